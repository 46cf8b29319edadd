"""The tables of draws that figures show: the population beside its priors, ranks, energy, effective sample sizes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hbm_stan.diagnose import parameters
from hbm_stan.fit import Fit
from hbm_stan.later import binom, rankdata
from hbm_stan.predict import population_names
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

_RANK_BINS = 20
_OF_RANKS = ["parameter", "chain", "bin", "count", "expected", "low", "high"]
_RANK_BAND = 0.99  # of a bin's count where ranks are uniform
_PRIOR_POINTS = 400
# What a page has room for: parameters of the population, rank histograms.
_MOST_POPULATION, _MOST_RANKS = 6, 5


def population_table(fit: Fit) -> pd.DataFrame:
    """Draws of the population's parameters, element by element: columns parameter, value."""
    names, draws = parameters(fit)
    chosen = [n for n in population_names(fit) if n in names][:_MOST_POPULATION]
    return pd.concat(
        [pd.DataFrame({"parameter": name, "value": draws[names.index(name)].ravel()}) for name in chosen]
        or [pd.DataFrame({"parameter": [], "value": []})]
    )


def prior_tables(fit: Fit, population: pd.DataFrame) -> pd.DataFrame:
    """The densities of the priors of all parameters of the population."""
    return pd.concat([prior_table(fit.priors.get(p), p, population) for p in population["parameter"].unique()])


def prior_table(prior: Prior | None, name: str, population: pd.DataFrame) -> pd.DataFrame:
    """The density of a prior where the posterior is: columns parameter, x, density; no rows where it has none alone."""
    prior = None if prior is None or prior.of_all else prior
    values = population.loc[population["parameter"] == name, "value"]
    x = np.linspace(values.min(), values.max(), _PRIOR_POINTS if prior is not None else 0)
    density = np.exp(prior.log_density(x)) if prior is not None else x
    return pd.DataFrame({"parameter": name, "x": x, "density": density})


def rank_table(fit: Fit, summary: pd.DataFrame) -> pd.DataFrame:
    """Ranks of the draws among all chains, counted in bins: the population's parameters and the worst other one."""
    names, draws = parameters(fit)
    population = [n for n in population_names(fit) if n in names]
    others = summary.loc[[n for n in names if n not in population], "rhat"]
    chosen = population[:_MOST_RANKS]
    chosen += [str(others.fillna(np.inf).idxmax())] if len(others) else []
    tables = [_ranks(name, draws[names.index(name)]) for name in chosen]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_OF_RANKS)


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
    energy = np.asarray(fit.chains["sample_stats"]["energy"].values)
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
