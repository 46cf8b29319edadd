"""Counts of a group's rows, together: what a conjugate family needs of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hbm_stan.model import StanData
from hbm_stan.table import FloatArray


def row_index(data: StanData) -> Any:
    """The group of each row, counted from 0."""
    return np.asarray(data["group_idx"]) - 1


def totals(data: StanData, size: str) -> tuple[FloatArray, FloatArray]:
    """Sums of the outcome, and of trials or exposure, over the rows of each group, (J,) each."""
    outcome, sizes = (
        np.bincount(row_index(data), weights=np.asarray(data[k], dtype=float), minlength=data["J"]) for k in ("y", size)
    )
    return outcome, sizes


def of_others(data: StanData, size: str, *, shared: bool = False) -> tuple[FloatArray, FloatArray]:
    """The same sums over the other rows of each row's group, (N,) each; ``shared``: over all other rows."""
    outcome, sizes = (np.full(data["N"], s.sum()) if shared else s[row_index(data)] for s in totals(data, size))
    # A group of one row leaves no size behind; what rounding leaves of a sum is never below zero.
    return outcome - np.asarray(data["y"]), np.maximum(sizes - np.asarray(data[size]), 0)
