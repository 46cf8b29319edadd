"""Pareto smoothed importance sampling: leave-one-out of many units, a block of them in memory, and of any log ratios.

Vehtari, Simpson, Gelman, Yao & Gabry (2024), JMLR 25(72); the generalised Pareto distribution is fitted by the
estimator of Zhang & Stephens (2009), 10.1198/tech.2009.08017. The same numbers as ArviZ's ``psislw``, to rounding.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from hbm_stan.log_sums import log_sum_exp
from hbm_stan.resources import cores
from hbm_stan.scratch import give_back
from hbm_stan.table import FloatArray

# Zhang & Stephens (2009): points of the grid beyond sqrt(n), and how far the grid reaches in first quartiles.
_GRID, _REACH = 30, 3
# Vehtari et al. (2024): the prior of k counts as so many observations at one half.
_PRIOR_COUNT, _PRIOR_K = 10, 0.5
# Fewer values than that say nothing of a tail: Vehtari et al. (2024), as in R's loo and ArviZ.
_LEAST_TAIL = 5
# Values that differ by less on the log scale are all alike: what their tail would show is rounding.
ALIKE = 1e-9
_NEGLIGIBLE = 10 * np.finfo(float).eps
# Draws times units: what is worked on at once stays in the cache of a core; what is read at once takes whole pages of a
# memory map.
_BLOCK, _READ = 2**17, 2**20
# Every so many draws make the sample that tells roughly where the tail begins.
_STRIDE = 10
# A sum of weights that is less than this of what was subtracted is summed again, by itself.
_NO_DIGITS = 1e-3
# Largest over first quartile of the excesses: below it a product of eight factors 1 - b x, at most (3 * 1e35) ** 8, is
# a double.
_FOLDABLE = 1e35


class Columns(Protocol):
    """Log densities of units at draws, (S, U), whose columns are asked for by slice or indices: an array, a memory map,
    or what is worked out then."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Draws and units."""
        ...

    def __getitem__(self, place: Any, /) -> Any: ...


@dataclass(frozen=True)
class Psis:
    """What leaving each unit out gives: ``elpd_i`` and ``pareto_k``, shape (unit,), and ``series``, shape (draw,).

    The value of ``series`` at a draw is the sum over units of S times its raw weight: to first order, and up to sign,
    what that draw does to the sum of elpd. Its mean is the number of units, and the Monte Carlo standard error of its
    mean is that of the sum of elpd.
    """

    elpd_i: FloatArray
    pareto_k: FloatArray
    series: FloatArray


def psis_loo(log_lik: Columns, r_eff: float = 1.0) -> Psis:
    """Leave each unit out, from its log density in each posterior draw; ``log_lik`` has shape (draw, unit).

    ``log_lik`` may be a memory map: some units are asked for at a time, and it is never written to. A tail that no
    Pareto distribution can be fitted to (fewer than 5 values, all alike, or a value that is not finite) keeps its raw
    weights and has a k that is not finite. The result does not depend on the number of cores.
    """
    n_draws, n = log_lik.shape
    width = max(1, _READ // n_draws)
    elpd, k, series = np.empty(n), np.empty(n), np.zeros(n_draws)

    def read(start: int) -> FloatArray:
        part = slice(start, start + width)
        # Whatever is not finite shows in elpd and k.
        with np.errstate(all="ignore"):
            ratios = np.negative(log_lik[:, part], dtype=float, order="C")
            left_out = _leave_out(ratios, tail_length(n_draws, r_eff))
        give_back(log_lik)
        elpd[part], k[part] = left_out.elpd_i, left_out.pareto_k
        return left_out.series

    with ThreadPoolExecutor(cores()) as pool:
        for influence in pool.map(read, range(0, n, width)):
            series += influence
    return Psis(elpd, k, series)


def smooth(log_weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Smoothed and normalised log weights of any log ratios, and the Pareto k of each column.

    ``log_weights`` has shape (draw,) or (draw, unit); the log weights that come back have the same shape and the order
    of the draws, and their logsumexp over draws is 0. k has shape () or (unit,). A ratio of 0 (minus infinity) is
    allowed.
    """
    given = np.asarray(log_weights, dtype=float)
    rows = np.array(given.reshape(len(given), math.prod(given.shape[1:])).T, order="C")
    with np.errstate(all="ignore"):
        rows -= rows.max(axis=1, keepdims=True)
        first = len(given) - tail_length(len(given))
        order = np.argsort(rows, axis=1, kind="stable")[:, first - 1 :]
        ordered = np.take_along_axis(rows, order, axis=1)
        tail, k = _smoothed(ordered[:, 1:], np.exp(ordered))
        np.put_along_axis(rows, order[:, 1:], tail, axis=1)
        rows -= log_sum_exp(rows, axis=1, keepdims=True)
    return rows.T.reshape(given.shape), k.reshape(given.shape[1:])


def tail_k(log_values: FloatArray) -> float:
    """The Pareto k of the right tail of positive values, given by their logs, shape (draw,)."""
    with np.errstate(all="ignore"):
        ordered = np.sort(np.asarray(log_values, dtype=float))[len(log_values) - tail_length(len(log_values)) - 1 :]
        ordered = (ordered - ordered[-1])[None]
        return float(_smoothed(ordered[:, 1:], np.exp(ordered))[1][0])


def tail_beyond(log_values: FloatArray) -> tuple[float, float]:
    """The Pareto k of the right tail of positive values, given by their logs, and how much of their sum may be missing.

    The second is what the fitted distribution has beyond the largest value, where one more of n values is expected
    with the probability 1 / n, as a share of the sum; infinite from a k of 1 on, for then there is no mean.
    """
    with np.errstate(all="ignore"):
        values = np.sort(np.exp(log_values - np.max(log_values)))
        largest, base = values[-1], values[len(values) - tail_length(len(values)) - 1]
        k, sigma = (float(estimate[0]) for estimate in gpd_fit((values[-tail_length(len(values)) :] - base)[None]))
        if not k < 1:
            return k, math.inf
        further = (sigma + k * (largest - base)) / (1 - k)  # mean excess over the largest: Coles (2001), eq. 4.9
        return k, (largest + max(further, 0.0)) / float(values.sum())


def tail_length(n_draws: int, r_eff: float = 1.0) -> int:
    """How many of the largest weights are smoothed: Vehtari et al. (2024); rounded down, as ArviZ does."""
    return int(3 * math.sqrt(n_draws / r_eff)) if n_draws * r_eff > 225 else n_draws // 5


def _leave_out(ratios: FloatArray, length: int) -> Psis:
    """A part of the units, by their log ratios (draw, unit): the draws in small blocks, then all tails at once."""
    n_draws, n = ratios.shape
    width = max(1, _BLOCK // n_draws)
    largest, total, series, ordered = np.empty(n), np.empty(n), np.zeros(n_draws), np.empty((n, length + 1))
    for start in range(0, n, width):
        part = slice(start, start + width)
        block = ratios[:, part].T.copy()
        largest[part] = block.max(axis=1)
        block -= largest[part, None]
        weights = np.exp(block)
        total[part] = weights.sum(axis=1)
        series += (n_draws / total[part]) @ weights
        ordered[part] = _largest(block, length + 1)
    tail, raw = ordered[:, 1:], np.exp(ordered)
    smoothed, k = _smoothed(tail, raw)
    # A draw outside the tail keeps its ratio 1 / p, so that its weight times p is one: n_draws - length of them. A gain
    # can be anything: the smallest of a tail may be hundreds below its largest.
    gain = smoothed - tail
    top = gain.max(axis=1, initial=0.0)
    gained = (n_draws - length) * np.exp(-top) + np.exp(gain - top[:, None]).sum(axis=1)
    body, smooth_sum = total - raw[:, 1:].sum(axis=1), np.exp(smoothed).sum(axis=1)
    for unit in np.flatnonzero(body + smooth_sum < _NO_DIGITS * total):
        # The raw tail outweighs all else, and the difference has no digits left.
        body[unit] = np.exp(np.sort(ratios[:, unit])[: n_draws - length] - largest[unit]).sum()
    return Psis(np.log(gained) + top - np.log(body + smooth_sum) - largest, k, series)


def _largest(rows: FloatArray, count: int) -> FloatArray:
    """The ``count`` largest of each row, ascending.

    A threshold that a sample of the row says is below them leaves few to sort; where the sample was wrong (seldom: four
    standard errors), or is too small, the rows are partitioned instead.
    """
    n = rows.shape[1]
    sample = rows[:, ::_STRIDE].copy()
    expected = count * sample.shape[1] / n
    above = int(expected + 4 * math.sqrt(expected)) + 2
    if above < sample.shape[1] // 2:
        sample.sort(axis=1)
        candidates = rows >= sample[:, -above, None]
        counts = np.count_nonzero(candidates, axis=1)
        if counts.min() >= count:
            few = np.full((len(rows), counts.max()), -np.inf)
            few[np.arange(few.shape[1]) < counts[:, None]] = rows[candidates]
            few.sort(axis=1)
            return few[:, -count:]
    return np.sort(np.partition(rows, n - count, axis=1)[:, n - count :], axis=1)


def _smoothed(tail: FloatArray, raw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Tails of log weights, ascending, replaced by quantiles of the fitted distribution; and k.

    ``raw`` holds the weights themselves, with the cutoff (the largest outside the tail) before them.
    """
    base, length = raw[:, :1], tail.shape[1]
    if length < _LEAST_TAIL:
        return tail, np.full(len(tail), np.inf)
    k, sigma = gpd_fit(raw[:, 1:] - base)
    probs = -np.log1p(-(np.arange(length) + 0.5) / length)
    shape, scale = k[:, None], sigma[:, None]
    quantiles = np.where(shape == 0, probs, np.expm1(shape * probs) / shape)
    smoothed = np.minimum(np.log(base + scale * quantiles), tail[:, -1:])
    fitted = np.isfinite(shape) & np.isfinite(smoothed).all(axis=1, keepdims=True)
    # As in R's loo, k is infinite where all of a tail is alike.
    return np.where(fitted, smoothed, tail), np.where(tail[:, 0] == tail[:, -1], np.inf, k)


def gpd_fit(excess: FloatArray) -> tuple[FloatArray, FloatArray]:
    """k and sigma of generalised Pareto distributions, one for each row of excesses over the cutoff, ascending.

    k is nan where the first quartile is the smallest value: far from any such distribution.
    """
    n = excess.shape[1]
    size = _GRID + int(math.sqrt(n))
    quartile, last = excess[:, int(n / 4 + 0.5) - 1], excess[:, -1]
    grid = (1 - np.sqrt(size / (np.arange(1, size + 1) - 0.5))) / _REACH
    b = grid / quartile[:, None] + 1 / last[:, None]
    k = _mean_logs(b, excess, folds=3 if np.all(last < _FOLDABLE * quartile) else 0)
    profile = n * (np.log(-b / k) - k - 1)
    weight = np.exp(profile - profile.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    weight = np.where(weight >= _NEGLIGIBLE, weight, 0.0)
    best = (b * weight).sum(axis=1) / weight.sum(axis=1)
    shape = np.log1p(-best[:, None] * excess).mean(axis=1)
    sigma = -shape / best
    shape = (n * shape + _PRIOR_COUNT * _PRIOR_K) / (n + _PRIOR_COUNT)
    return np.where(quartile > excess[:, 0], np.where(np.isnan(shape), np.inf, shape), np.nan), sigma


def _mean_logs(b: FloatArray, excess: FloatArray, folds: int) -> FloatArray:
    """The mean over a tail of log(1 - b x) at each b, shape (unit, grid).

    The log of a product of 2 ** folds values is taken: with three folds, an eighth of the logs. The units stand last,
    so that a fold is one product of long runs.
    """
    n, parts = excess.shape[1], 2**folds
    x = np.zeros((-(-n // parts) * parts, len(excess)))  # what fills up is 0, whose log(1 - b x) is 0
    x[:n] = excess.T
    factors, means = np.empty_like(x), np.empty((b.shape[1], len(b)))
    for j in range(len(means)):  # one point of the grid at a time: it all stays in the cache
        left = np.subtract(1, np.multiply(x, b[:, j], out=factors), out=factors)
        for _ in range(folds):
            half = len(left) // 2
            left = np.multiply(left[:half], left[half:], out=left[:half])
        means[j] = np.log(left).sum(axis=0)
    return np.asarray(means.T / n)
