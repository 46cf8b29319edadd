"""Do groups differ less than chance alone would make them? The lower tail of tests that are made for the upper one.

Rows that are less alike within groups than between them have a negative intraclass correlation, which no sd between
groups can describe (Snedecor & Cochran 1989, Statistical Methods, 8th ed., section 13.5). Each function takes Stan
data and gives the variance between groups as a ratio of that which chance leaves, and the probability of one as small;
None where that cannot be told.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hbm_stan.families.totals import row_index, totals
from hbm_stan.later import chdtr, fdtr
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray

# Smallest expected count of a chi-square test: Cochran (1954), Biometrics 10:417.
_LEAST_EXPECTED = 5
# A share of the sum of squares that is rounding error.
_ROUNDING = 1e-12
# What is left of a column in units of its size, or of a singular value in units of the largest, that is one too.
_SMALL = 1e-9


def alike_rows(data: StanData) -> tuple[float, float] | None:
    """The F test of groups beside the predictors that all share."""
    y, group = np.asarray(data["y"], dtype=float), row_index(data)
    x = np.asarray(data["X"], dtype=float) if "X" in data else np.ones((len(y), 1))
    above = np.asarray(data["U"], dtype=float)[group] if "U" in data else np.empty((len(y), 0))
    columns = np.hstack([x, above])
    return f_of_groups(y, group, columns / np.maximum(np.abs(columns).max(axis=0), _ROUNDING))


def alike_units(data: StanData) -> tuple[float, float] | None:
    """The F tests of units within their groups, and of groups by the means of their units; the smaller p, doubled."""
    y, unit, group = np.asarray(data["y"], dtype=float), np.asarray(data["unit_idx"]) - 1, row_index(data)
    means = np.bincount(unit, weights=y) / np.bincount(unit)
    about_units = float(np.sum((y - means[unit]) ** 2))
    about_groups = float(np.sum((y - _means(y, group)) ** 2))
    n, units, groups = len(y), len(means), data["J"]
    tests = [
        test for test in (
            _f(about_groups - about_units, units - groups, about_units, n - units, float(y @ y)),
            f_of_groups(means, np.asarray(data["unit_group"]) - 1, np.ones((units, 1))),
        ) if test is not None
    ]  # fmt: skip
    if not tests:
        return None
    ratio, p = min(tests, key=lambda test: test[1])
    return ratio, min(1.0, len(tests) * p)


def f_of_groups(y: FloatArray, group: npt.NDArray[np.int64], x: FloatArray) -> tuple[float, float] | None:
    """F of the groups, 0-based (N,), beside common columns x (N, K), and its lower tail."""
    without, rank = _residual(x, y)
    own = np.column_stack([column - _means(column, group) for column in x.T])
    within, inner = _residual(own, y - _means(y, group))
    groups = int(group.max()) + 1
    return _f(without - within, groups + inner - rank, within, len(y) - groups - inner, float(y @ y))


def _means(values: FloatArray, group: npt.NDArray[np.int64]) -> FloatArray:
    """The mean of each row's group, (N,)."""
    return np.asarray((np.bincount(group, weights=values) / np.bincount(group))[group])


def _f(between: float, groups: int, within: float, left: int, total: float) -> tuple[float, float] | None:
    """The ratio of mean squares with these degrees of freedom, and its lower tail."""
    if groups < 1 or left < 1 or within <= _ROUNDING * total:
        return None
    ratio = max(between, 0.0) / groups / (within / left)
    return ratio, float(fdtr(groups, left, ratio))


def _residual(x: FloatArray, y: FloatArray) -> tuple[float, int]:
    """The sum of squares of y about its regression on x, and the rank of x; columns of rounding error count as 0."""
    x = np.where(np.abs(x).max(axis=0) > _SMALL, x, 0.0)
    beta, _, rank, _ = np.linalg.lstsq(x, y, rcond=_SMALL)
    return float(np.sum((y - x @ beta) ** 2)), int(rank)


def alike_estimates(data: StanData) -> tuple[float, float] | None:
    """Cochran's Q of estimates with known standard errors, over its degrees of freedom."""
    y, weight = np.asarray(data["y"], dtype=float), 1 / np.asarray(data["se"], dtype=float) ** 2
    if len(y) < 2:
        return None
    q = float(np.sum(weight * (y - np.sum(weight * y) / np.sum(weight)) ** 2))
    return q / (len(y) - 1), float(chdtr(len(y) - 1, q))


def alike_rates(data: StanData) -> tuple[float, float] | None:
    """The chi-square test of groups' rates; None beside predictors, and where expected counts are too small for it."""
    if np.ndim(data.get("X", 0)) and (np.shape(data["X"])[1] > 1 or np.size(data["U"])):
        return None
    trials = "trials" in data
    events, size = totals(data, "trials" if trials else "exposure")
    rate = events.sum() / size.sum()
    expected = size * rate
    least = np.minimum(expected, size - expected) if trials else expected
    if len(events) < 2 or least.min() < _LEAST_EXPECTED:
        return None
    q = float(np.sum((events - expected) ** 2 / (expected * (1 - rate if trials else 1))))
    return q / (len(events) - 1), float(chdtr(len(events) - 1, q))
