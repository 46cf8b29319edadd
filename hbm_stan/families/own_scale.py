"""The density of a group's rows whose location, and whose sd where it is the group's own, are integrated out.

Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 3.3 and 5.4: a group of n rows enters through n, their
mean, and their sum of squares about it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from hbm_stan.later import logsumexp, norm, wrightomega
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

# Integrals over a group's sd: Gauss-Legendre in the argument of sinh, which reaches 120 widths of the peak.
NODES, _REACH = 200, 5.5


def log_rows(n: Any, mean: Any, ss: Any, location: Any, spread: Any, sd: Any) -> Any:
    """log p(rows of a group) where their mean is normal(location, spread^2 + sd^2 / n), theta integrated out."""
    rest = -(n - 1) * (np.log(sd) + 0.5 * math.log(2 * math.pi)) - 0.5 * np.log(n) - 0.5 * ss / sd**2
    return norm.logpdf(mean, location, np.sqrt(spread**2 + sd**2 / n)) + rest


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
    log_density = norm.logpdf(z) if prior is None else prior.log_density(sd) + np.log(k * sd)
    log_step = np.log(weights * half * width * np.cosh(x))
    return np.asarray(logsumexp(log_density + log_step + log_rows(n, mean, ss, location, spread, sd), axis=-1))
