"""Bayesian R-squared of known and of new groups.

Gelman, Goodrich, Gabry & Vehtari (2019), American Statistician 73:307.

Of a draw it is the variance of the rows' expected values over that variance plus the mean variance of a row about its
expected value (eq. 3). Of new groups the expected value is the mean over groups drawn from the population, and what
these differ by is a part of the variance about it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.families.terms.density import row_moments
from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Draws, StanData
from hbm_stan.portions import VERY_MANY_ROWS, portions
from hbm_stan.results.entry import Entry
from hbm_stan.table import FloatArray

# Draws that are taken, evenly spaced, and populations of groups that are drawn for each (ours): the Monte Carlo error
# of the mean over populations is taken off the variance of expected values. Of very many groups, whose average that is,
# fewer populations leave as little: so many groups in all populations are enough (ours).
_DRAWS, _POPULATIONS, _FEWEST, _GROUPS = 200, 40, 4, 10**6
_QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}


@dataclass(frozen=True, kw_only=True)
class Explained(Entry):
    """Quantiles of the share of the variance of rows that is explained, between 0 and 1."""

    q05: float
    q50: float
    q95: float


@dataclass(frozen=True, kw_only=True)
class RSquared(Entry):
    """The section ``r_squared``: of rows of known groups and of new ones, from so many draws."""

    known: Explained
    new: Explained
    n_draws: int


def r_squared(fit: Fit) -> RSquared | None:
    """R-squared for rows of ``known`` groups and of ``new`` ones; None where a row's moments are not known.

    Groups of one row have none: what the row is, its group is.
    """
    family = fit.family
    one_each = fit.table.one_row_per_group or family.groups.group_quantity not in fit.named["posterior"]
    of_kinds = family.twin.of_groups is not None  # whose rows have no common variance
    if one_each or of_kinds or family.groups.new_group is None or fit.pooling != "partial":
        return None
    step = max(1, fit.n_draws // _DRAWS)
    draws = {name: values[::step] for name, values in fit.draws().items()}
    n, rng, shares, (data, times) = (
        len(next(iter(draws.values()))),
        fit.rng("new groups of R-squared"),
        [],
        _rows(fit, draws),
    )
    for part in portions(n, len(np.asarray(data[family.programs.observed]))):
        some = {name: values[part] for name, values in draws.items()}
        moments = _moments(fit, some, data)
        if moments is None or not np.isfinite(moments[1]).all():
            return None
        mean_new, between = _of_new_groups(fit, some, data, rng)
        new = share(mean_new, moments[1] + between, between / _populations(fit), times)
        shares.append((share(*moments, 0.0, times), new))
    of_known, of_new = (np.concatenate(each) for each in zip(*shares, strict=True))
    return RSquared(known=_explained(of_known), new=_explained(of_new), n_draws=n)


def _populations(fit: Fit) -> int:
    """How many populations of groups are drawn for each draw."""
    return min(_POPULATIONS, max(_FEWEST, _GROUPS // fit.table.n_groups))


def _rows(fit: Fit, draws: Draws) -> tuple[StanData, FloatArray | None]:
    """The data of the rows that are looked at, and how often each counts (None: once): of a large table not all.

    Rows that differ in their outcome alone have the moments of their group: one of each group is looked at. Of very
    many others some are, evenly spaced in the order of their expected values at the mean of the draws, so that these
    vary as those of all rows do.
    """
    family, table, some_rows = fit.family, fit.table, fit.family.twin.some_rows
    if some_rows is None or not fit.rows_on_request:
        return fit.data, None
    if not (table.predictors or table.design or table.units or family.size):
        _, first, counts = np.unique(table.pooled.level, return_index=True, return_counts=True)
        return some_rows(fit.settled_data, first), counts.astype(float)
    middle = {name: np.mean(values, axis=0, keepdims=True) for name, values in draws.items()}
    if table.n_rows <= VERY_MANY_ROWS or (moments := _moments(fit, middle, fit.data)) is None:
        return fit.data, None
    order = np.argsort(moments[0][0], kind="stable")
    spaced = ((np.arange(VERY_MANY_ROWS) + 0.5) * table.n_rows / VERY_MANY_ROWS).astype(int)  # neither end counts more
    return some_rows(fit.settled_data, np.sort(order[spaced])), None


def _explained(shares: FloatArray) -> Explained:
    """Quantiles of the R-squared of draws, (S,)."""
    return Explained(**{key: float(np.quantile(shares, p)) for key, p in _QUANTILES.items()})


def share(
    mean: FloatArray, variance: FloatArray, error: FloatArray | float = 0.0, times: FloatArray | None = None
) -> FloatArray:
    """The R-squared of each draw, (S,), from the means and variances of rows, (S, N).

    ``error`` is the variance of the means that is Monte Carlo error; each row counts so many ``times`` (N,), or once.
    """
    error, centre = np.broadcast_to(error, mean.shape), np.average(mean, axis=1, weights=times)
    spread = np.average((mean - centre[:, None]) ** 2, axis=1, weights=times)
    explained = np.maximum(spread - np.average(error, axis=1, weights=times), 0.0)
    return np.asarray(explained / (explained + np.average(variance, axis=1, weights=times)))


def _moments(fit: Fit, draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray] | None:
    """Mean and variance of rows, (S, N), of a trial or a unit of exposure where rows have several; None if unknown."""
    family = fit.family
    if family.terms:
        mean, variance = row_moments(likelihood(family.name), draws, data)
    elif family.twin.row_moments is not None:
        mean, variance = family.twin.row_moments(draws, data)
    elif family.twin.mean_of_rows is not None and "sigma" in draws and "sigma_spread" not in draws:
        mean, variance = family.twin.mean_of_rows(draws, data), np.square(draws["sigma"])[:, None]
    else:
        return None
    size = np.asarray(data[family.size], dtype=float) if family.size else np.ones(1)
    return np.asarray(mean / size), np.broadcast_to(variance / np.square(size), np.shape(mean))


def _of_new_groups(fit: Fit, draws: Draws, data: StanData, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """The mean of rows over groups drawn from the population, and the variance of that between groups, (S, N) each."""
    name, populations = fit.family.groups.group_quantity, _populations(fit)
    total = squares = np.zeros(1)
    for _ in range(populations):
        theta = fit.family.need("new_group", "R-squared")(rng, draws, fit.data, fit.variant)
        moments = _moments(fit, {**draws, name: theta}, data)
        if moments is not None:
            total, squares = total + moments[0], squares + moments[0] ** 2
    mean = total / populations
    return mean, np.asarray((squares - populations * mean**2) / (populations - 1))
