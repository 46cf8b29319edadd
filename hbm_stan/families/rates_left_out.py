"""Successes and counts given the other rows of their group, the group's rate integrated out: densities, replications.

The rate given the other rows is again beta or gamma, and the row beta-binomial or negative binomial: Gelman et al.
(2013), Bayesian Data Analysis, 3rd ed., sections 2.4 and 2.6. Leave-one-out then weighs draws of the population only,
for which no row is decisive as it is for the rate of its own group, where that has few rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.families.totals import of_others
from hbm_stan.later import gammaln
from hbm_stan.likelihoods.rising import log_rising
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray

# Two numbers of the distribution of rates at each draw, (S, 1) each: shapes of a beta, shape and rate of a gamma.
Pair = tuple[FloatArray, FloatArray]
# Stan's poisson_rng takes expected counts up to 2^30; only a prior without data goes beyond.
LARGEST_MEAN = 1e9


def exact_rows(density: Callable[..., FloatArray], data: StanData, variant: str) -> FloatArray | None:
    """log p(y_n | the other rows), (N,), where the prior of the rate is fixed: of one for all, or of each group's."""
    if variant not in {"complete_pooling", "no_pooling"}:
        return None
    shared = variant == "complete_pooling"
    return np.asarray(density(_fixed(data["prior_mu" if shared else "prior_theta"], 1), data, shared=shared)[0])


def of_groups(pair: tuple[FloatArray, FloatArray] | None, draws: Draws, data: StanData) -> Pair:
    """The numbers of the distribution that rates of groups come from: those of draws, (S,), else of a fixed prior."""
    if pair is None:
        return _fixed(data["prior_theta"], len(draws["theta"]))
    return pair[0][:, None], pair[1][:, None]


def _fixed(prior: Any, size: int) -> Pair:
    first, second = (np.full((size, 1), float(number)) for number in prior)
    return first, second


def log_choose(data: StanData) -> FloatArray:
    """log of the binomial coefficients, (N,)."""
    y, trials = np.asarray(data["y"], dtype=float), np.asarray(data["trials"], dtype=float)
    return np.asarray(gammaln(trials + 1) - gammaln(y + 1) - gammaln(trials - y + 1))


def successes(shapes: Pair, data: StanData, *, shared: bool = False) -> FloatArray:
    """log p(y_n | the other rows of its group, shapes), (S, N): beta-binomial; ``shared`` where all have one rate."""
    a, b = shapes
    y, trials = np.asarray(data["y"], dtype=float), np.asarray(data["trials"], dtype=float)
    hits, total = of_others(data, "trials", shared=shared)
    log_density = _log_rise(a, hits, y)
    log_density += _log_rise(b, total - hits, trials - y)
    log_density -= _log_rise(a + b, total, trials)
    log_density -= y * np.log1p(b / a) + (trials - y) * np.log1p(a / b)
    return np.asarray(log_density + log_choose(data))


def counts(pair: Pair, data: StanData, *, shared: bool = False) -> FloatArray:
    """log p(y_n | the other rows of its group, shape and rate), (S, N): negative binomial."""
    shape, rate = pair
    y, exposure = np.asarray(data["y"], dtype=float), np.asarray(data["exposure"], dtype=float)
    events, others = of_others(data, "exposure", shared=shared)
    log_density = _log_rise(shape, events, y)
    log_density += y * np.log(shape * exposure / (rate + others + exposure))
    log_density -= (shape + events) * np.log1p(exposure / (rate + others))
    return np.asarray(log_density - gammaln(y + 1))


def _log_rise(x: FloatArray, start: FloatArray, more: FloatArray) -> FloatArray:
    """log of prod_(i < more) (1 + (start + i) / x), (S, N), x (S, 1): equal whole numbers are evaluated once."""
    whole, place = np.unique(np.concatenate([start + more, start]), return_inverse=True)
    rises, (last, first) = log_rising(x, whole), np.split(place, 2)
    risen = np.take(rises, last, axis=1)
    risen -= np.take(rises, first, axis=1)
    return risen


def successes_drawn(rng: np.random.Generator, shapes: Pair, data: StanData, rows: npt.NDArray[np.int64]) -> FloatArray:
    """Replications of some rows (places in the table) given the other rows of their groups, (S, rows)."""
    (a, b), (hits, total) = shapes, _of(rows, *of_others(data, "trials"))
    theta = rng.beta(a + hits, b + total - hits)
    return np.asarray(rng.binomial(np.asarray(data["trials"])[rows], theta), dtype=float)


def counts_drawn(rng: np.random.Generator, pair: Pair, data: StanData, rows: npt.NDArray[np.int64]) -> FloatArray:
    """The same of counts."""
    (shape, rate), (events, others) = pair, _of(rows, *of_others(data, "exposure"))
    theta = rng.gamma(shape + events, 1 / (rate + others))
    return np.asarray(rng.poisson(np.minimum(theta * np.asarray(data["exposure"])[rows], LARGEST_MEAN)), dtype=float)


def _of(rows: npt.NDArray[np.int64], *values: FloatArray) -> tuple[Any, ...]:
    return tuple(v[rows] for v in values)
