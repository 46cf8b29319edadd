"""log p(spectrum), its temperature integrated out: given the population, or with its own priors without pooling."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from hbm_stan.families.planck.curve import STEP, nodes, on_nodes
from hbm_stan.families.planck.fits import index
from hbm_stan.later import gammaln, log_expit, logsumexp
from hbm_stan.model import Draws, StanData
from hbm_stan.priors import Prior, decode_scale
from hbm_stan.table import FloatArray

# Log density below the largest at which the tails of the population are cut.
_TAIL = 50.0
# log(sigma) - log(scale of its prior): where the mass may be; log T - log(scale of its prior) either way.
_COARSE, _T_REACH = np.arange(-28, 12.5, 0.5), 30.0
# The trapezoidal rule over log(sigma): its coarsest step, and its step in sds of the peak that n rows make of it.
_SIGMA_STEP, _OF_PEAK = 0.035, 0.5
_PIECE = 4.0  # of log(sigma), over which the polynomial of ``on_nodes`` is exact


def group_log_lik(draws: Draws, data: StanData, pointwise: Callable[[Draws, StanData], FloatArray]) -> FloatArray:
    """log of the integral over T of p(y_group | T, sigma) gamma(T | alpha, beta), (S, J); complete pooling has mu."""
    if "alpha" in draws:
        return over_population(draws, data, STEP)
    group, n_groups = index(data), int(data["J"])
    rows = pointwise({**draws, "T": np.repeat(draws["mu"][:, None], n_groups, axis=1)}, data)
    return np.stack([rows[:, group == j].sum(axis=1) for j in range(n_groups)], axis=1)


def finer_group_log_lik(draws: Draws, data: StanData) -> FloatArray | None:
    """The same with half the step; None with complete pooling, which has no integral."""
    return over_population(draws, data, STEP / 2) if "alpha" in draws else None


def ends_of_population(draws: Draws) -> tuple[float, float]:
    """Where log T lies in the populations of all draws, but for tails that count for nothing."""
    alpha, beta = np.asarray(draws["alpha"]), np.asarray(draws["beta"])
    low = float(np.min(np.log(alpha / beta) - _TAIL / np.minimum(alpha, np.sqrt(alpha))))
    return low, float(np.max(np.log((alpha + 2 * _TAIL + 10 * np.sqrt(alpha)) / beta)))


def log_population(u: FloatArray, alpha: FloatArray, beta: FloatArray) -> FloatArray:
    """The log density of log T at u, (S, nodes), in the populations with this shape and rate, (S, 1) each."""
    return np.asarray(alpha * np.log(beta) - gammaln(alpha) + alpha * u - beta * np.exp(u))


def over_population(draws: Draws, data: StanData, step: float) -> FloatArray:
    """The integral of each spectrum over the gamma population of its temperature, its log, (S, J)."""
    alpha, beta, sigma = (np.asarray(draws[name])[:, None] for name in ("alpha", "beta", "sigma"))
    result = np.empty((len(alpha), int(data["J"])))
    for j in range(int(data["J"])):
        u, log_weight = nodes(j, data, ends_of_population(draws), float(sigma.min()), step)
        result[:, j] = logsumexp(on_nodes(j, data, u, sigma) + log_population(u, alpha, beta) + log_weight, axis=1)
    return result


def prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_group) where T and sigma of a spectrum have their own fixed priors, (J,); None where pooled."""
    return np.array([_of_group(j, data) for j in range(data["J"])]) if variant.startswith("no_pooling") else None


def _of_group(j: int, data: StanData) -> float:
    """By the trapezoidal rule in log(sigma), of integrals over T: coarsely first, then where the mass is."""
    coarse = _over_temperature(j, data, _COARSE, 4 * STEP)
    inside = np.flatnonzero(coarse > coarse.max() - _TAIL)
    low, high = _COARSE[max(inside[0] - 1, 0)], _COARSE[min(inside[-1] + 1, len(_COARSE) - 1)]
    rows = int(np.sum(index(data) == j))
    step = min(_SIGMA_STEP, _OF_PEAK / math.sqrt(2 * rows))
    v = np.linspace(low, high, 1 + math.ceil((high - low) / step))
    return float(logsumexp(_over_temperature(j, data, v, STEP))) + math.log(v[1] - v[0])


def _over_temperature(j: int, data: StanData, v: FloatArray, step: float) -> FloatArray:
    """log of p(y_group | sigma) times the density of v, log(sigma / scale) or its logit where the prior has an end."""
    own, scale, middle = _prior("sigma_group", data), data["prior_sigma_group"][0], math.log(data["prior_T"][0])
    uniform = own.distribution == "uniform"
    log_sigma = math.log(scale) + (log_expit(v) if uniform else v)
    sigma = np.exp(log_sigma)
    weight = log_sigma + (log_expit(-v) - math.log(scale) if uniform else own.log_density(sigma))
    u, log_weight = nodes(j, data, (middle - _T_REACH, middle + _T_REACH), float(sigma.min()), step)
    prior = _prior("T", data).log_density(np.exp(u)) + u + log_weight
    pieces = np.array_split(sigma[:, None], math.ceil((v[-1] - v[0]) / _PIECE))
    inner = [logsumexp(on_nodes(j, data, u, piece) + prior, axis=1) for piece in pieces]
    return np.asarray(np.concatenate(inner) + weight)


def _prior(name: str, data: StanData) -> Prior:
    return decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"])
