"""An area given all others: its deviation on the map, and the probability of its count with its own effect taken out.

Given the mixing parameter the deviations of the map are normal with a known covariance, so that each has a known normal
distribution given the rest (Rasmussen & Williams 2006, section 5.4.2). The count is integrated over it by quadrature.
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.families.disease_mapping.density import log_count, overdispersion_of, size_of
from hbm_stan.families.disease_mapping.effects import row_of_areas
from hbm_stan.families.disease_mapping.graph import IntArray
from hbm_stan.families.group_predictors import mean_of
from hbm_stan.later import expit
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

_NODES = 21  # of Gauss-Hermite quadrature about the mode; twice as many show its error
# Of counts that spread more: log p(y) is nearly straight on both sides, which sinh-spaced nodes meet better.
_REACH, _PER_NODE = 4.0, 2
_NEWTON, _CLOSE = 60, 1e-10  # steps to the mode, halvings included; a step of no consequence in sds
_HELD = 2**22  # values at once
# The rule over a fixed prior: sinh-spaced nodes about the mode, so that a narrow peak and wide tails are both met.
_PRIOR_REACH, _PRIOR_NODES = 7.5, 401


def directions(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Independent directions of the structured effects on the map, (A, A), and their scaled variances, (A,).

    An island is a direction of variance 1: rho + (1 - rho) is then 1, as it should be for it.
    """
    scaled = np.asarray(data["basis"]) / np.sqrt(data["scaling"])[:, None]
    variances, vectors = np.linalg.eigh(scaled @ scaled.T + np.diag(np.asarray(data["island"], dtype=float)))
    return vectors, np.maximum(variances, 0.0)


def given_others(
    draws: Draws, data: StanData, along: tuple[FloatArray, FloatArray] | None = None
) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of theta of each area with a row given those of all other areas on the map, (S, J) each.

    ``along`` are the ``directions`` of the map, where they are known: they take the cube of the number of areas.

    mu is integrated out too, over its normal prior: where nearly all variance is spatial, effects that sum to zero
    leave an area no freedom beside a known mean. Without space others say no more than mu, which is then given.
    """
    if "rho" not in draws:
        mean = mean_of(draws, data)
        return mean, np.broadcast_to(draws["tau"][:, None] if "tau" in draws else 0.0, mean.shape)
    vectors, variances = along or directions(data)
    location, scale = data["prior_mu"]
    rho, tau = draws["rho"][:, None], draws["tau"][:, None]
    weight = 1 / (tau**2 * (rho * variances + 1 - rho))  # of each direction, (S, A)
    common = vectors.T @ np.ones(len(variances))  # mu moves all areas alike
    residual = draws["mu"][:, None] + draws["deviation"] - location
    # The precision without mu, less what mu takes up: Sherman and Morrison.
    taken = weight * common @ vectors.T
    share = 1 / (scale**-2.0 + np.sum(weight * common**2, axis=1, keepdims=True))
    precision = weight @ (vectors**2).T - share * taken**2
    pull = (residual @ vectors * weight) @ vectors.T - share * taken * np.sum(taken * residual, axis=1, keepdims=True)
    place = np.asarray(data["place"]) - 1
    mean = location + residual - pull / precision
    by_predictors = draws["gamma"] @ np.asarray(data["U"]).T if data["L"] else 0.0
    return mean[:, place] + by_predictors, precision[:, place] ** -0.5


def new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """theta of areas, (S, J): of those on the map given all others, of one that is nowhere on it from the population.

    Draws from the prior have no map yet: then all of it is drawn. Without pooling the fixed prior.
    """
    if variant == "no_pooling":
        return np.asarray(rng.normal(*design["prior_theta"], size=(len(draws["theta"]), design["J"])))
    mean = mean_of(draws, design)
    if "tau" not in draws:
        return mean
    place = np.asarray(design["place"])
    if "rho" in draws and place.all():
        if "deviation" in draws:
            return np.asarray(rng.normal(*given_others(draws, design)))
        return mean + _whole_map(rng, draws, design)[:, place - 1]
    return np.asarray(rng.normal(mean, draws["tau"][:, None]))


def _whole_map(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """Deviations of all areas on the map given tau and rho, (S, A)."""
    vectors, variances = directions(data)
    rho = draws["rho"][:, None]
    coordinates = rng.normal(0.0, np.sqrt(rho * variances + 1 - rho))
    return np.asarray(draws["tau"][:, None] * (coordinates @ vectors.T))


def group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log p(y of an area | all other areas and the population), its own effect integrated out, (S, J)."""
    return _integrated(draws, data, _NODES)


def finer_group_log_lik(draws: Draws, data: StanData) -> FloatArray | None:
    """The same with twice the nodes; None with complete pooling, which has no integral."""
    return None if "mu" in draws and "tau" not in draws else _integrated(draws, data, 2 * _NODES)


def _integrated(draws: Draws, data: StanData, nodes: int) -> FloatArray:
    row, spread = row_of_areas(data), overdispersion_of(draws)
    if "mu" in draws and "tau" not in draws:
        return log_count(mean_of(draws, data), data, row, spread)
    log_lik = np.empty((len(next(iter(draws.values()))), data["J"]))
    along = directions(data) if "rho" in draws else None
    for part in portions(len(log_lik), data["J"], _HELD):
        some = {name: draws[name][part] for name in ("mu", "gamma", "tau", "rho", "deviation") if name in draws}
        if "mu" in draws:
            mean, sd = given_others(some, data, along)
        else:  # no pooling: areas share no more than the overdispersion
            mean, sd = (np.full(log_lik[part].shape, value) for value in data["prior_theta"])
        if spread is None:
            log_lik[part] = _over_normal(mean, sd, data, row, nodes)
        else:
            log_lik[part] = _by_sinh(mean, sd, data, spread[part], np.linspace(-_REACH, _REACH, _PER_NODE * nodes - 1))
    return log_lik


def _over_normal(mean: FloatArray, sd: FloatArray, data: StanData, row: IntArray, nodes: int) -> FloatArray:
    """log of the integral of p(y | theta) normal(theta | mean, sd), (S, J), by adaptive Gauss-Hermite quadrature.

    Pinheiro & Bates (1995), Journal of Computational and Graphical Statistics 4:12, section 2.4.
    """
    mode, width = _mode(mean, sd, data, row)
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    total = np.full(mean.shape, -np.inf)
    for x, w in zip(points, weights, strict=True):
        theta = mode + width * x
        prior = normal_logpdf(theta, mean, sd)
        total = np.logaddexp(total, log_count(theta, data, row) + prior + x**2 / 2 + math.log(w))
    return np.asarray(total + np.log(width))


def _mode(
    mean: FloatArray, sd: FloatArray, data: StanData, row: IntArray, spread: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """The mode of p(y | theta) normal(theta | mean, sd), and the sd of the normal that has its curvature there.

    Newton's method between two points at which the slope has opposite signs; where it leaves them, their middle.
    """
    y, size, variance = np.asarray(data["y"], dtype=float)[row], size_of(data)[row], sd**2
    if data["counted"]:
        # log1p(x) is above x / (1 + x): so far below the mean the prior pulls up by more than is expected there. The
        # mode lies between the mean and the count's own rate. Counts that spread more pull less, and the same way.
        low = mean - np.logaddexp(0.0, np.log(variance * size) + mean)
        high = np.where(y > 0, np.maximum(mean, np.log(np.maximum(y, 0.5) / size)), mean)
    else:
        low, high = mean - variance * size, mean + variance * y
    theta = np.clip(np.log((y + 0.5) / size), low, high)
    for _ in range(_NEWTON):
        pull, information = _pull(theta, y, size, bool(data["counted"]), spread)
        curvature = 1 / variance + information
        slope = pull - (theta - mean) / variance
        low, high = np.where(slope >= 0, theta, low), np.where(slope <= 0, theta, high)
        step = slope / curvature
        following = np.where((theta + step < low) | (theta + step > high), (low + high) / 2, theta + step)
        moved, theta = np.abs(following - theta), following
        if np.all(moved * np.sqrt(curvature) < _CLOSE):
            break
    return theta, curvature**-0.5


def _pull(
    theta: FloatArray, y: FloatArray, size: FloatArray, counted: bool, spread: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """The slope of the log density of counts in theta, and minus its second derivative; both are of theta's shape."""
    if not counted:
        rate = size * expit(theta)
        return y - rate, rate * expit(-theta)
    rate = size * np.exp(theta)
    if spread is None:
        return y - rate, rate
    more = 1 + spread**2 * rate
    return (y - rate) / more, rate * (1 + spread**2 * y) / more**2


def prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """log p(y of an area) under the fixed prior of its theta, (J,).

    None where areas are pooled, and where they share an overdispersion: no area is then alone with its prior.
    """
    return None if variant != "no_pooling" or data["overdispersed"] else under_prior(data)[0]


def under_prior(data: StanData, spread: FloatArray | None = None, nodes: int = _PRIOR_NODES) -> FloatArray:
    """log p(y of an area) under the fixed prior of its theta, (1, J), or for each overdispersion (S, 1), (S, J)."""
    log_lik = np.empty((1 if spread is None else len(spread), data["J"]))
    t = np.linspace(-_PRIOR_REACH, _PRIOR_REACH, nodes)
    for part in portions(len(log_lik), data["J"], _HELD):
        mean, sd = (np.full(log_lik[part].shape, value) for value in data["prior_theta"])
        log_lik[part] = _by_sinh(mean, sd, data, None if spread is None else spread[part], t)
    return log_lik


def _by_sinh(mean: FloatArray, sd: FloatArray, data: StanData, spread: FloatArray | None, t: FloatArray) -> FloatArray:
    """``_over_normal`` by the trapezoidal rule in t, whose hyperbolic sine is the distance from the mode.

    It meets a narrow middle and wide tails alike (Trefethen & Weideman 2014, SIAM Review 56:385, section 14).
    """
    row = row_of_areas(data)
    mode, width = _mode(mean, sd, data, row, spread)
    total = np.full(mean.shape, -np.inf)
    for x in t:
        theta = mode + width * np.sinh(x)
        prior = normal_logpdf(theta, mean, sd)
        inside = log_count(theta, data, row, spread) + prior + np.log(width * np.cosh(x))
        total = np.logaddexp(total, inside)
    return np.asarray(total + math.log(t[1] - t[0]))
