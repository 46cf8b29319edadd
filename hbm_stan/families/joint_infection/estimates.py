"""Estimates that need no draws: the intensity of villages by their first stream alone, and which form samples well."""

from __future__ import annotations

import numpy as np

from hbm_stan.families.joint_infection.conditional import IntArray
from hbm_stan.families.joint_infection.streams import BLOOD, EGGS, numbers
from hbm_stan.families.totals import row_index
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray

# From so many times the information in the population on, villages make the centered form the better one: as in
# logistic regression, tests/tools/sweep.py.
_STRONG = 1.75
_HALF = 0.6745  # the median of a half-normal of scale 1


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """theta of each village by its first stream alone, (J,), and the standard error of it.

    nan where the village lacks that stream, or a logarithm is none. The error of eggs leaves out how much single people
    differ, which one count of all of them cannot say: nan too.
    """
    estimate, error = np.full(data["J"], np.nan), np.full(data["J"], np.nan)
    at, y, size, sure, false = _first(data)
    with np.errstate(divide="ignore", invalid="ignore"):
        if sure is None or false is None:
            estimate[at] = np.where(y > 0, np.log(y / size), np.nan)
            return estimate, error
        share = y / size
        infected = (share - false) / (sure - false)
        inside = (infected > 0) & (infected < 1)
        infected = np.where(inside, infected, np.nan)
        estimate[at] = np.log(infected / (1 - infected))
        error[at] = np.sqrt(share * (1 - share) / size) / ((sure - false) * infected * (1 - infected))
    return estimate, error


def _first(data: StanData) -> tuple[IntArray, FloatArray, FloatArray, FloatArray | None, FloatArray | None]:
    """Of the first stream: villages, counts, what they are out of, and the share positive of all and of none infected.

    The last two are None for eggs.
    """
    rows = np.flatnonzero(np.asarray(data["stream"]) == 1)
    row, kind = numbers(data, rows), int(np.asarray(data["kind"])[rows[0]])
    village = row_index(data)[rows]
    if kind == EGGS:
        return village, row["y"], row["examined"], None, None
    sure = row["sensitivity"] if kind == BLOOD else np.ones(len(rows))
    false = 1 - row["specificity"] if kind == BLOOD else np.zeros(len(rows))
    return village, row["y"], row["trials"], sure, false


def rule(data: StanData) -> tuple[str, str]:
    """The form of partial pooling by what the first stream says of each village, against how villages scatter."""
    at, y, size, sure, false = _first(data)
    if sure is None or false is None:
        each = float(np.asarray(data["prior_overdispersion"])[0, 0]) * _HALF
        estimate, variance = np.log((y + 0.5) / size), 1 / (y + 0.5) + each**2 / size
    else:
        end = 0.5 / (size + 1)
        share = np.clip(((y + 0.5) / (size + 1) - false) / (sure - false), end, 1 - end)
        estimate, variance = np.log(share / (1 - share)), 1 / (size * (sure - false) ** 2 * share * (1 - share))
    columns = np.column_stack([np.ones(len(at)), np.asarray(data["U"]).reshape(data["J"], -1)[at]])
    rest = estimate - columns @ np.linalg.lstsq(columns, estimate, rcond=None)[0]
    freedom = max(len(at) - columns.shape[1], 1)
    between = max(float(rest @ rest) / freedom - float(variance.mean()), 0.0)
    strength = float(np.median(between / variance))
    form = "partial_pooling_centered" if strength > _STRONG else "partial_pooling"
    return form, (
        f"In the middle {{group}} the first stream weighs {strength:.2g} times the population (sd between {{groups}} "
        f"{between**0.5:.2g}); above {_STRONG:g} theta is centered, else non-centered"
    )
