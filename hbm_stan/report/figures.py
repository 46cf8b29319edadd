"""The figures of a report: a table for each, drawn by ``hbm_stan.plots``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binom, rankdata

from hbm_stan.diagnose import parameters
from hbm_stan.fit import Fit
from hbm_stan.priors import Prior
from hbm_stan.report.found import Findings
from hbm_stan.rhat import MIN_ESS_PER_CHAIN
from hbm_stan.table import FloatArray

_RANK_BINS = 20
_RANK_BAND = 0.99  # of a bin's count where ranks are uniform
_PRIOR_POINTS = 400


def draw_figures(found: Findings, results: dict[str, Any]) -> dict[str, bytes]:
    """All figures that the results call for, as SVG by name."""
    from hbm_stan import plots

    main = found.fits[results["main_variant"]]
    unit = results["data"]["unit"]
    diagnosis = found.diagnoses[main.variant]
    drawn: dict[str, Callable[[], Any]] = {
        "ranks": lambda: plots.plot_ranks(rank_table(main, diagnosis.summary)),
        "energy": lambda: plots.plot_energy(energy_table(main)),
        "ess": lambda: plots.plot_ess(ess_table(diagnosis.summary), MIN_ESS_PER_CHAIN * main.sampling.chains),
    }
    if not found.withheld:
        population = population_table(main)
        if len(population):
            priors = pd.concat([prior_table(main.priors[p], population) for p in population["parameter"].unique()])
            drawn["population"] = lambda: plots.plot_population(population, priors, unit)
        drawn["shrinkage"] = lambda: plots.plot_shrinkage(found.shrinkage, unit)
        drawn["ppc"] = lambda: plots.plot_ppc(found.ppc.groups, unit)
        drawn["new_group"] = lambda: plots.plot_new_group(
            new_group_table(found), pd.DataFrame(results["new_group"]["quantities"]), unit
        )
    ranked = [] if found.comparison is None or found.comparison.withheld else ranked_scores(results)
    if len(ranked) > 1:
        drawn["comparison"] = lambda: plots.plot_comparison(pd.DataFrame(ranked))
    return {name: plots.save_svg(draw()) for name, draw in drawn.items()}


def ranked_scores(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The scores that may be ranked against each other, best first."""
    return [s for s in results["comparison"]["scores"] if s["ranked"]]


def population_table(fit: Fit) -> pd.DataFrame:
    """Draws of the population's parameters: columns parameter, value."""
    draws = fit.draws(*fit.family.population)
    return pd.concat(
        [pd.DataFrame({"parameter": name, "value": values}) for name, values in draws.items()]
        or [pd.DataFrame({"parameter": [], "value": []})]
    )


def prior_table(prior: Prior, population: pd.DataFrame) -> pd.DataFrame:
    """The density of a prior where the posterior is: columns parameter, x, density."""
    values = population.loc[population["parameter"] == prior.name, "value"]
    x = np.linspace(values.min(), values.max(), _PRIOR_POINTS)
    return pd.DataFrame({"parameter": prior.name, "x": x, "density": np.exp(prior.log_density(x))})


def new_group_table(found: Findings) -> pd.DataFrame:
    """Draws of the new group's quantities: columns name, value."""
    return pd.concat([pd.DataFrame({"name": n, "value": v}) for n, v in found.new_group.draws.items()])


def rank_table(fit: Fit, summary: pd.DataFrame) -> pd.DataFrame:
    """Ranks of the draws among all chains, counted in bins: the population's parameters and the worst other one."""
    names, draws = parameters(fit)
    others = summary.drop(index=[n for n in fit.family.population if n in summary.index])["rhat"]
    chosen = [n for n in fit.family.population if n in names]
    chosen += [str(others.fillna(np.inf).idxmax())] if len(others) else []
    return pd.concat([_ranks(name, draws[names.index(name)]) for name in chosen], ignore_index=True)


def _ranks(name: str, draws: FloatArray) -> pd.DataFrame:
    chains, n = draws.shape
    ranks = rankdata(draws).reshape(draws.shape) - 1
    counts = [np.histogram(row, _RANK_BINS, (0, draws.size))[0] for row in ranks]
    low, high = binom.interval(_RANK_BAND, n, 1 / _RANK_BINS)
    return pd.DataFrame({
        "parameter": name, "chain": np.repeat(np.arange(1, chains + 1), _RANK_BINS),
        "bin": np.tile(np.arange(_RANK_BINS), chains), "count": np.concatenate(counts),
        "expected": n / _RANK_BINS, "low": low, "high": high,
    })  # fmt: skip


def energy_table(fit: Fit) -> pd.DataFrame:
    """Energy about its mean, and its changes from draw to draw, by chain: columns chain, kind, value."""
    energy = np.asarray(fit.tree["sample_stats"]["energy"].values)
    rows = []
    for chain, values in enumerate(energy, start=1):
        rows.append(pd.DataFrame({"chain": chain, "kind": "marginal", "value": values - values.mean()}))
        rows.append(pd.DataFrame({"chain": chain, "kind": "transition", "value": np.diff(values)}))
    return pd.concat(rows, ignore_index=True)


def ess_table(summary: pd.DataFrame) -> pd.DataFrame:
    """Bulk and tail ESS of each parameter: columns parameter, kind, ess."""
    return pd.concat(
        [
            pd.DataFrame({"parameter": summary.index, "kind": kind, "ess": summary[f"ess_{kind}"]})
            for kind in ("bulk", "tail")
        ],
        ignore_index=True,
    )
