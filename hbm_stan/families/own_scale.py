"""The density of a group's rows whose location, and whose sd where it is the group's own, are integrated out.

Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 3.3 and 5.4: a group of n rows enters through n, their
mean, and their sum of squares about it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from hbm_stan.counting import counted
from hbm_stan.integrate.given_rows import place_by_weight
from hbm_stan.later import logsumexp, wrightomega
from hbm_stan.model import Draws, GivenRows
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

# Integrals over a group's sd: Gauss-Legendre in the argument of sinh, which reaches 120 widths of the peak.
NODES, _REACH = 200, 5.5


def log_rows(n: Any, mean: Any, ss: Any, location: Any, spread: Any, sd: Any) -> Any:
    """log p(rows of a group) where their mean is normal(location, spread^2 + sd^2 / n), theta integrated out."""
    rest = -(n - 1) * (np.log(sd) + 0.5 * math.log(2 * math.pi)) - 0.5 * np.log(n) - 0.5 * ss / sd**2
    return rest + normal_logpdf(mean, location, np.sqrt(spread**2 + sd**2 / n))


@cache
def _legendre(nodes: int) -> tuple[FloatArray, FloatArray]:
    return np.polynomial.legendre.leggauss(nodes)


def over_sd(
    n: Any,
    mean: Any,
    ss: Any,
    location: Any,
    spread: Any,
    median: Any,
    log_sd: Any,
    prior: Prior | None = None,
    nodes: int = NODES,
) -> FloatArray:
    """log of the integral of p(rows of a group) over its sd = median exp(log_sd z), arguments of shape (M,) or numbers.

    z is standard normal, or sd has ``prior``. Nodes lie around the peak in z of the normal times the likelihood of ss:
    the root of z + m k = k (ss / median^2) exp(-2 k z), with k = log_sd and m = n - 1, by Wright's omega function.
    """
    _, log_density, _ = at_nodes(n, mean, ss, location, spread, median, log_sd, prior, nodes)
    return np.asarray(logsumexp(log_density, axis=-1))


def at_nodes(
    n: Any, mean: Any, ss: Any, location: Any, spread: Any, median: Any, log_sd: Any, prior: Prior | None, nodes: int
) -> tuple[FloatArray, FloatArray, FloatArray]:  # fmt: skip
    """z at the nodes, the log densities there times their weights, and the width of each node's share in z."""
    n, mean, ss, location, spread, median, k = (
        np.asarray(a, dtype=float)[..., None] for a in (n, mean, ss, location, spread, median, log_sd)
    )
    with np.errstate(divide="ignore"):  # log(0): rows that are all equal, or one row
        omega = wrightomega(np.log(2 * ss) + 2 * np.log(k / median) + 2 * k**2 * (n - 1))
    peak, width = omega / (2 * k) - k * (n - 1), 1 / np.sqrt(1 + omega)
    end = np.full(peak.shape, _REACH)
    if prior is not None and prior.distribution == "uniform":  # which ends at what is here the median
        end = np.clip(np.arcsinh(-peak / width), -_REACH, _REACH)
    nodes_at, weights = _legendre(nodes)
    half = (end + _REACH) / 2
    x = half * (nodes_at + 1) - _REACH
    z = peak + width * np.sinh(x)
    sd = median * np.exp(np.clip(k * z, -300, 300))
    log_density = -0.5 * (z**2 + math.log(2 * math.pi)) if prior is None else prior.log_density(sd) + np.log(k * sd)
    step = weights * half * width * np.cosh(x)
    return z, np.asarray(log_density + np.log(step) + log_rows(n, mean, ss, location, spread, sd)), step


def draw_sd(
    rng: np.random.Generator, n: Any, mean: Any, ss: Any, location: Any, spread: Any, median: Any, log_sd: Any
) -> FloatArray:
    """The sd of a group, median exp(log_sd z), given its rows, (R,): a node by its density, even in its share of z."""
    z, log_density, step = at_nodes(n, mean, ss, location, spread, median, log_sd, None, NODES)
    node = place_by_weight(rng, log_density)
    row = np.arange(len(node))
    drawn = z[row, node] + (rng.uniform(size=len(node)) - 0.5) * step[row, node]
    return np.asarray(median * np.exp(log_sd * drawn))


def given_scales(draws: Draws, statistics: tuple[FloatArray, FloatArray, FloatArray], log_lik: FloatArray) -> GivenRows:
    """theta of groups given the number of their rows, mean and sum of squares, and their own sds if they have some."""

    def draw(rng: np.random.Generator, at: Any) -> dict[str, FloatArray]:
        mu, tau, sigma = (np.asarray(draws[name])[at] for name in ("mu", "tau", "sigma"))
        spread = None if "sigma_spread" not in draws else np.asarray(draws["sigma_spread"])[at]
        theta, sds = [], []
        for n, mean, ss in counted(zip(*statistics, strict=True), len(statistics[0])):
            sd = sigma if spread is None else draw_sd(rng, n, mean, ss, mu, tau, sigma, spread)
            weight = tau**2 / (tau**2 + sd**2 / n)
            theta.append(rng.normal(mu + weight * (mean - mu), tau * np.sqrt(1 - weight)))
            sds.append(sd)
        own = {} if spread is None else {"sigma_group": np.stack(sds, axis=1)}
        return {"theta": np.stack(theta, axis=1), **own}

    return GivenRows(log_lik, draw)
