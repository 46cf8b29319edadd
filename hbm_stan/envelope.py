"""The simultaneous envelope of the ECDF of ranks, or of values from 0 to 1 at so many points, and how improbable an
ECDF is that leaves it, both exact.

Säilynoja, Bürkner & Vehtari (2022), Statistics and Computing 32:32. Ranks are whole numbers from 0 to L, so the ECDF
is looked at where it can step, at i / (L + 1): there the number of ranks below i is binomial, and the numbers at
successive points are a Markov chain, so that the probability to stay inside is a sum (their section 2.3), not a
simulation. ArviZ (1.3, ``ecdf_utils``) looks at i / N and simulates, which for ranks is right only where L + 1 is a
multiple of N, and too rough at a level of 0.999.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hbm_stan.table import FloatArray

IntArray = npt.NDArray[np.int64]
_TIES = 1e-9  # relative: tail probabilities nearer than this are equal, one of them rounded
_STEPS = 30  # of the bisection over the logarithm of the local level


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """Where the ECDF of ``n`` uniform ranks 0 .. ``draws`` stays with probability 1 - ``error``.

    ``points`` (draws,) are i / (draws + 1); ``low`` and ``high`` the smallest and largest shares of ranks below i.
    """

    n: int
    draws: int
    error: float
    points: FloatArray
    low: FloatArray
    high: FloatArray


def counts_below(ranks: npt.ArrayLike, draws: int) -> IntArray:
    """How many of the ranks are smaller than i, for i = 1 .. draws, shape (draws,)."""
    each = np.bincount(np.asarray(ranks, dtype=np.int64), minlength=draws + 1)
    return np.cumsum(each)[:-1].astype(np.int64)


def p_value(ranks: npt.ArrayLike, draws: int) -> float:
    """The probability that the ECDF of uniform ranks lies somewhere at least as far out as this one does anywhere.

    Far out is measured by the binomial tail probability at each point: section 2.2 of the paper.
    """
    counts = counts_below(ranks, draws)
    return p_of_counts(counts, counts, np.asarray(ranks).size)


def p_of_counts(least: IntArray, most: IntArray, n: int) -> float:
    """The same probability for n values whose numbers below each point are known to lie between two, (draws,) each.

    It is that of what is sure: too many where even the least number is, too few where even the largest is.
    """
    draws = len(least)
    below, above = _tails(n, draws)
    at = np.arange(draws)
    level = float(np.minimum(below[at, most], above[at, least]).min())
    return min(max(1 - _inside(n, draws, level), 0.0), 1.0)


@lru_cache(maxsize=64)
def envelope(n: int, draws: int, error: float) -> Envelope:
    """The widest set of ECDFs that uniform ranks leave with a probability of at most ``error``."""
    low, high = np.log(error / (4 * draws)), np.log(error)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 - _inside(n, draws, float(np.exp(middle))) <= error else (low, middle)
    first, last = _band(n, draws, float(np.exp(low)))
    points = np.arange(1, draws + 1) / (draws + 1)
    return Envelope(n=n, draws=draws, error=error, points=points, low=first / n, high=last / n)


@lru_cache(maxsize=16)
def _tails(n: int, draws: int) -> tuple[FloatArray, FloatArray]:
    """Twice P(count <= c) and twice P(count >= c) for c = 0 .. n at each point, shape (draws, n + 1)."""
    points, counts = np.arange(1, draws + 1)[:, None] / (draws + 1), np.arange(n + 1)
    log_factorial = _log_factorials(n)
    log_p = log_factorial[n] - log_factorial - log_factorial[::-1]
    p = np.exp(log_p + counts * np.log(points) + (n - counts) * np.log1p(-points))
    # Each summed from its far end: small tails are not what is left of one.
    return 2 * np.cumsum(p, axis=1), 2 * np.cumsum(p[:, ::-1], axis=1)[:, ::-1]


@lru_cache(maxsize=16)  # each step of the bisection asks for them
def _log_factorials(n: int) -> FloatArray:
    """log(k!) for k = 0 .. n, (n + 1,), without SciPy: it takes longer to import than the rest of a calibration's p."""
    return np.array([math.lgamma(k + 1) for k in range(n + 1)])


def _band(n: int, draws: int, level: float) -> tuple[IntArray, IntArray]:
    """The smallest and the largest count at each point whose tail probabilities are above the level."""
    below, above = _tails(n, draws)
    limit = level * (1 + _TIES)
    return (below > limit).argmax(axis=1), n - (above[:, ::-1] > limit).argmax(axis=1)


def _inside(n: int, draws: int, level: float) -> float:
    """The probability that the counts of uniform ranks are in the band at every point."""
    first, last = _band(n, draws, level)
    if (first > last).any():
        return 0.0
    log_factorial = _log_factorials(n)
    counts, probability = np.zeros(1, dtype=np.int64), np.ones(1)
    for i in range(draws):
        share = 1 / (draws + 1 - i)  # of the ranks that are not below i, those that are i
        ahead = np.arange(first[i], last[i] + 1)
        step, left = ahead[:, None] - counts, n - counts
        possible = step >= 0
        k = np.where(possible, step, 0)
        rest = np.maximum(left - k, 0)
        log_p = log_factorial[left] - log_factorial[k] - log_factorial[rest]
        log_p = log_p + k * np.log(share) + rest * np.log1p(-share)
        probability = np.where(possible & (left >= k), np.exp(log_p), 0.0) @ probability
        counts = ahead
    return float(probability.sum())
