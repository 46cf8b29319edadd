"""What rows say about each other through coefficients that were eliminated: predicted residuals and leverages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hbm_stan.integrate.elimination import Eliminated, forward, turned_crossed
from hbm_stan.integrate.structure import IntArray, Structure
from hbm_stan.table import FloatArray

_CHUNK = 4_000_000  # values at a time


def predict_rows(eliminated: Eliminated, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means and leverages of all rows, their columns times ``scale`` (N,), (S, N) each.

    The mean of Z e given all rows, and its variance: Z P A^-1 P' Z' of the row, taken factor by factor.
    """
    draws, n = len(eliminated.gain), len(scale)
    mean, leverage = np.empty((draws, n)), np.empty((draws, n))
    for rows in _pieces(eliminated, n):
        mean[:, rows], leverage[:, rows] = _predict(eliminated, scale, rows)
    return mean, leverage


def _pieces(eliminated: Eliminated, n: int) -> Iterator[IntArray]:
    widths = [step.rest.shape[-1] * step.rest.shape[-2] for step in eliminated.steps]
    cost = len(eliminated.gain) * max([*widths, 2 * eliminated.structure.n_crossed, 1])
    yield from np.array_split(np.arange(n), max(1, min(n, -(-n * cost // _CHUNK))))


def _predict(eliminated: Eliminated, scale: FloatArray, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    s = eliminated.structure
    own = {f: np.asarray((level.columns * scale[:, None])[rows][None]) for f, level in enumerate(s.chain)}
    crossed = crossed_columns(s, scale, rows)[None]
    mean, leverage = np.zeros((len(eliminated.gain), len(rows))), np.zeros((len(eliminated.gain), len(rows)))
    for f, (level, step) in enumerate(zip(s.chain, eliminated.steps, strict=True)):
        at = level.level[rows]
        turned = own[f] @ eliminated.factors[f]
        a = forward(step.root[:, at], turned[..., None])[..., 0]
        rest = step.rest[:, at]
        mean += (a * rest[..., -1]).sum(axis=-1)
        leverage += (a**2).sum(axis=-1)
        lost = (a[..., None, :] @ rest[..., :-1])[..., 0, :]
        start = 0
        for g in range(f + 1, len(s.chain)):
            own[g] = own[g] - lost[..., start : start + s.chain[g].width]
            start += s.chain[g].width
        crossed = crossed - lost[..., start:]
    if s.n_crossed:
        spread = np.swapaxes(np.broadcast_to(crossed, (len(mean), *crossed.shape[1:])), 1, 2)
        a = forward(eliminated.crossed.root, turned_crossed(s, eliminated.factors, spread))
        mean += (a * eliminated.crossed.rest).sum(axis=1)
        leverage += (a**2).sum(axis=1)
    return mean, leverage


def crossed_columns(s: Structure, scale: FloatArray, rows: IntArray) -> FloatArray:
    """The columns of crossed coefficients in some rows, (rows, M)."""
    columns, start = np.zeros((len(rows), s.n_crossed)), 0
    for level in s.crossed:
        for k in range(level.width):
            place = start + level.level[rows] * level.width + k
            columns[np.arange(len(rows)), place] = level.columns[rows, k] * scale[rows]
        start += level.size * level.width
    return columns
