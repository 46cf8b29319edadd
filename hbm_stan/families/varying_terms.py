"""What families with coefficients that vary between groups share: terms, their correlations, lines.

A term is the intercept or a predictor; group predictors act on the intercept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.later import gammaln
from hbm_stan.model import Evidence, Finding, Option, Variant
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

INTERCEPT_ONLY = "partial_pooling_intercept"
_PANELS = 8  # groups whose lines are drawn
_GRID = 20  # points of a line
_DRAWN = 400  # observed rows of a group that are drawn: more are a blot, and five megabytes of a million rows (ours)
_QUANTILES = {"q10": 0.1, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q90": 0.9}

# A prior of the intercept's sd is carried so many sds of a predictor from the data to its zero. Beyond, it would be
# what nobody means: half_normal(660) for a yield of 16 to 25 by year (ours).
CARRIED = 10.0

PREDICTION = {
    "predictors": Option(
        "values of the predictors in the new row; others: categories at their reference, numbers at their means",
        "table",
    ),
    "group_predictors": Option("values of the new group's predictors, by name; the others likewise", "table"),
}


def design(table: Prepared) -> tuple[tuple[str, ...], tuple[str, ...], FloatArray, FloatArray]:
    """Names of the terms and of the group predictors, their values by row (N, K) and by group (J, L)."""
    x, u = table.predictors["predictors"], table.predictors["group_predictors"]
    of_rows, of_groups = np.ones((table.n_rows, 1)), u.by_group(table.pooled.level, table.n_groups)
    return ("intercept", *x.names), u.names, np.hstack([of_rows, x.values]), of_groups


def carried(offsets: FloatArray) -> FloatArray:
    """Squared offsets of the predictors from 0, in their sds, as far as the sd of the intercept is carried there."""
    return np.asarray(np.where(np.abs(offsets) <= CARRIED, offsets, 0.0) ** 2)


def not_carried(names: Sequence[str], offsets: FloatArray) -> str:
    """What the prior of the intercept's sd does not allow for, in words; empty where it does."""
    far = [f"{n} = 0" for n, off in zip(names, offsets, strict=True) if abs(off) > CARRIED]
    return f"; not carried to {', '.join(far)}, which is more than {CARRIED:g} sds from all data" if far else ""


def effects_beyond(table: Prepared, variant: Variant, rows: int) -> str:
    """Why slopes of groups cannot be learnt: as many varying effects as rows (of 0 and 1: trials); empty if they can.

    Of a group's coefficients its rows can tell as many as their design has rank. Where that adds up to all rows, each
    group is fitted exactly, and its slopes cannot be told from the residuals.
    """
    _, _, x, _ = design(table)
    size = x.shape[1]
    if variant.pooling != "partial" or variant.name == INTERCEPT_ONLY or size == 1:
        return ""
    if np.minimum(table.pooled.sizes, size).sum() < rows:
        return ""
    order = np.argsort(table.pooled.level, kind="stable")
    blocks = np.split(x[order], np.cumsum(table.pooled.sizes)[:-1])
    if sum(int(np.linalg.matrix_rank(block)) for block in blocks) < rows:
        return ""
    return (
        f"with {size} coefficients for each of {table.n_groups:,} {table.noun.many} there are as many varying "
        f"effects as rows ({rows:,}), so that slopes cannot be told from the residuals of rows. {INTERCEPT_ONLY} "
        f"works: intercepts vary between {table.noun.many}, slopes are the same in all"
    )


def coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """Labels of the terms, of pairs of them (``intercept, floor``) and of the group predictors."""
    terms, above, _, _ = design(table)
    pairs = tuple(f"{terms[m]}, {terms[k]}" for k, m in pairs_of(len(terms)))
    return {"term": terms, "other_term": terms, "pair": pairs, "group_predictor": above}


def pairs_of(size: int) -> list[tuple[int, int]]:
    """Places of the correlations in their matrix, 0-based row and column, in the order of ``rho``."""
    return [(k, m) for k in range(size) for m in range(k)]


def correlation_matrix(rho: FloatArray, size: int) -> FloatArray:
    """Correlation matrices (S, K, K) from their entries (1, 2), (1, 3), (2, 3), ..., shape (S, K (K - 1) / 2)."""
    omega = np.tile(np.eye(size), (len(rho), 1, 1))
    for i, (k, m) in enumerate(pairs_of(size)):
        omega[:, k, m] = omega[:, m, k] = rho[:, i]
    return omega


def log_lkj(factor: FloatArray, shape: float) -> float:
    """Log density of the Cholesky factor of an LKJ correlation matrix.

    Lewandowski, Kurowicka & Joe (2009), Journal of Multivariate Analysis 100:1989, section 3, times the Jacobian.
    """
    k = len(factor)
    m = np.arange(1, k)
    constant = gammaln(shape + (k - 1) / 2) - m / 2 * math.log(math.pi) - gammaln(shape + (k - 1 - m) / 2)
    return float(np.sum(constant + (k - m + 2 * shape - 3) * np.log(np.diagonal(factor)[1:])))


def draw_lkj(rng: np.random.Generator, shape: float, size: int, k: int) -> FloatArray:
    """Correlations drawn from LKJ(shape), (size, K (K - 1) / 2), by partial correlations (section 2.4)."""
    factor = np.zeros((size, k, k))
    factor[:, 0, 0] = 1.0
    for i in range(1, k):
        left = np.ones(size)
        for j in range(i):
            b = shape + (k - 2 - j) / 2
            factor[:, i, j] = (2 * rng.beta(b, b, size) - 1) * np.sqrt(left)
            left = left - factor[:, i, j] ** 2
        factor[:, i, i] = np.sqrt(left)
    omega = factor @ np.swapaxes(factor, 1, 2)
    return np.stack([omega[:, i, j] for i, j in pairs_of(k)], axis=1) if k > 1 else np.zeros((size, 0))


def lines(evidence: Evidence, inverse: Callable[[FloatArray], FloatArray], what: str) -> list[Finding]:
    """The regression line of groups over the first predictor, with their rows; groups evenly spaced by size.

    ``inverse`` takes the line to the scale of the outcome. Other predictors stand at the mean of the group.
    """
    table, theta = evidence.table, evidence.draws["theta"]
    terms, _, x, _ = design(table)
    if len(terms) == 1:
        return []
    order = np.argsort(table.pooled.sizes, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(_PANELS, len(order))).round().astype(int))]
    grid = np.unique(x[:, 1])
    grid = grid if len(grid) <= _GRID else np.linspace(grid[0], grid[-1], _GRID)
    curves, points = [], []
    for j in chosen:
        own = np.flatnonzero(table.pooled.level == j)
        rows = np.tile(x[own].mean(axis=0), (len(grid), 1))
        rows[:, 1] = grid
        quantiles = np.quantile(inverse(theta[:, j] @ rows.T), list(_QUANTILES.values()), axis=0)
        panel = table.pooled.labels[j]
        curves.append(pd.DataFrame({"panel": panel, "x": grid, **dict(zip(_QUANTILES, quantiles, strict=True))}))
        if len(own) > _DRAWN:
            own = own[np.linspace(0, len(own) - 1, _DRAWN).round().astype(int)]
        values = np.asarray(evidence.data["y"], dtype=float)[own]
        points.append(pd.DataFrame({"panel": panel, "x": x[own, 1], "y": values, "kind": "observed"}))
    some = f"{len(chosen)} of {len(order)} {table.noun.many}, evenly spaced by size"
    which = f"All {table.noun.many}" if len(chosen) == len(order) else some
    text = f"{which}: posterior median of {what} over {terms[1]}, with 50 % and 80 % bands and the observed rows."
    if table.pooled.sizes[chosen].max() > _DRAWN:
        text += f" Of more than {_DRAWN} rows in a panel {_DRAWN} are drawn, at equal distances in the table."
    text += " Other predictors stand at their means in each panel." if len(terms) > 2 else ""
    column, unit = table.dataset.column("outcome"), table.dataset.unit("outcome")
    words = column.removesuffix(f"_{unit}").replace("_", " ")
    x_unit = table.dataset.unit_of(terms[1])
    x_label = f"{terms[1]} ({x_unit})" if x_unit and x_unit.casefold() != terms[1].casefold() else terms[1]
    return [
        Finding(
            title=f"Regression lines of the {table.noun.many}", sentences=(text,),
            caption=f"Regression lines over {terms[1]}, by {table.noun.one}.",
            curves=pd.concat(curves, ignore_index=True), points=pd.concat(points, ignore_index=True),
            x_label=x_label, y_label=f"{words} ({unit})" if unit else words,
        )
    ]  # fmt: skip


def explained(evidence: Evidence) -> list[Finding]:
    """How much of the variation of intercepts between groups their group predictors explain."""
    draws = evidence.draws
    if evidence.data["L"] == 0 or "tau" not in draws or "gamma" not in draws:
        return []
    by_predictors = np.var(draws["gamma"] @ np.asarray(evidence.data["U"]).T, axis=1)
    share = by_predictors / (by_predictors + draws["tau"][:, 0] ** 2)
    low, middle, high = 100 * np.quantile(share, [0.05, 0.5, 0.95])
    named = " and ".join(design(evidence.table)[1])
    sentence = (
        f"Of the variance of the intercept between {evidence.table.noun.many}, {named} "
        f"explain{'s' if evidence.data['L'] == 1 else ''} {middle:.0f} % (90 % interval {low:.0f} to {high:.0f} %)."
    )
    rest = "What they do not explain of the intercept has the standard deviation tau[intercept]."
    return [Finding(title="What the group predictors explain", sentences=(sentence, rest))]
