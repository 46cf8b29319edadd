"""Rows at points of curves: values of a curve lie between the quantity of its group and its rows, and go together."""

from __future__ import annotations

from typing import Any

import numpy as np

from hbm_stan.encoding import IntArray
from hbm_stan.fit import Fit
from hbm_stan.model import Draws, StanData
from hbm_stan.new_rows.places import Place
from hbm_stan.new_rows.terms import rng_of_level
from hbm_stan.table import FloatArray

CURVE = "f"  # what the programs call the values of curves at rows
_UNSEEN = -1


def on_curves(
    fit: Fit, draws: Draws, own: Draws, data: StanData, level: IntArray, place: Place, middle: Any
) -> FloatArray:  # fmt: skip
    """The curve of each row at its point, (S, n), those of one group drawn together.

    ``own`` are the draws with what groups have row by row; ``middle`` stands for a generator where a row has no group
    of its own, and gives means. With complete pooling all rows lie on the one curve.
    """
    values = np.empty((fit.n_draws, len(level)))
    labels = fit.table.pooled.labels
    groups = np.zeros_like(level) if fit.pooling == "complete" else level
    for j in np.unique(groups):
        mine = np.flatnonzero(groups == j)
        seen = 0 <= j < place.n_known
        label = labels[j] if seen else place.new[j - place.n_known] if j >= 0 else ""
        rng = rng_of_level(fit, CURVE, label) if label else middle
        values[:, mine] = curve_of(fit, rng, draws, own, data, mine, int(j) if seen else _UNSEEN)
    return values


def curve_of(
    fit: Fit, rng: Any, draws: Draws, own: Draws, data: StanData, rows: IntArray, j: int = _UNSEEN
) -> FloatArray:  # fmt: skip
    """One curve at some rows, (S, n): of the j-th group that was fitted, or of one with the theta of the first row."""
    theta, n = fit.family.groups.group_quantity, len(rows)
    by_row = {datum: np.asarray(data[datum])[rows] for datum in fit.family.groups.row_data.values()}
    part: StanData = {**data, **by_row, "N": n, "J": 1, "group_idx": np.ones(n, dtype=np.int64)}
    given = draws if j >= 0 else {**draws, theta: np.asarray(own[theta])[:, rows[:1]]}
    values: FloatArray = fit.family.need("curve_at", "a prediction of rows")(rng, given, part, fit.data, j, fit.variant)
    return values
