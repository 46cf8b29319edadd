"""Figures of how well a fit describes its data, and of its draws."""

from __future__ import annotations

from typing import Any

from hbm_stan import diagnose
from hbm_stan import loo_pit as transforms
from hbm_stan.fit import Fit
from hbm_stan.plot.chosen import Fits, lacks, main_of, with_table
from hbm_stan.reliability import reliability
from hbm_stan.replicate import PredictiveCheck, can_replicate, predictive_check
from hbm_stan.results import draw_tables
from hbm_stan.results.units import observed_quantity, observed_unit
from hbm_stan.rhat import MIN_ESS_PER_CHAIN


def replicated(fits: Fits) -> Any:
    """What was observed of each group beside its replications. ``.data``: group, observed, q05, q25, q50, q75, q95."""
    from hbm_stan.plots.layered import layered_replicated

    fit, noun = main_of(fits), main_of(fits).table.noun
    what = observed_quantity(fit)
    words = what if what == "outcome" else f"{what} of the {noun.one}"
    return layered_replicated(_check_of(fit, "replicated").groups, words, observed_unit(fit), noun.many)


def rows(fits: Fits) -> Any:
    """How many rows have each value, observed and replicated. ``.data``: low, high, observed, q05, ..., q95."""
    from hbm_stan.plots.layered import layered_rows

    fit = main_of(fits)
    table = _check_of(fit, "rows").rows
    if table is None:
        raise lacks(fit, "rows", "its rows have two values at most, or are fewer than 20")
    return layered_rows(table, observed_unit(fit))


def loo_pit(fits: Fits) -> Any:
    """Where rows lie in what all other rows predict of them. ``.data``: x, low, high, band_low, band_high."""
    from hbm_stan.plots.layered import layered_transforms

    return layered_transforms(transforms.loo_pit(main_of(fits)).curve)


def calibration(fits: Fits) -> Any:
    """How often what other rows predict of 0 and 1, or of successes, came true. ``.data``: p, observed, low, high."""
    from hbm_stan.plots.layered import layered_calibration

    own = reliability(main_of(fits))
    return layered_calibration(own.curve, own.bins)


def ranks(fits: Fits) -> Any:
    """Ranks of the draws by chain, of the population's parameters and the worst other one.

    ``.data``: parameter, chain, bin, count, expected, low, high.
    """
    from hbm_stan import plots

    table = draw_tables.rank_table(main_of(fits), diagnose.check(main_of(fits)).summary)
    return with_table(plots.plot_ranks(table), table)


def energy(fits: Fits) -> Any:
    """Energy and its changes, chain by chain. ``.data``: chain, kind, value. Direct draws have none."""
    from hbm_stan import plots

    fit = main_of(fits)
    if "energy" not in fit.named["sample_stats"]:
        raise lacks(fit, "energy", "no sampler made its draws, and only the draws of one have an energy")
    table = draw_tables.energy_table(fit)
    return with_table(plots.plot_energy(table), table)


def ess(fits: Fits) -> Any:
    """Bulk and tail effective sample size of each parameter. ``.data``: parameter, kind, ess."""
    from hbm_stan import plots

    fit = main_of(fits)
    table = draw_tables.ess_table(diagnose.check(fit).summary)
    return with_table(plots.plot_ess(table, MIN_ESS_PER_CHAIN * fit.sampling.chains), table)


def _check_of(fit: Fit, figure: str) -> PredictiveCheck:
    if not can_replicate(fit):
        raise lacks(fit, figure, f"{fit.family.name} replicates no rows")
    return predictive_check(fit)
