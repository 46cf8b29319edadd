"""Kernels of curves, and their integrals over an interval, once and twice, in closed form.

Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, eq. 4.9 and 4.17. With r the correlation at a
distance in length scales, P(u) = int_0^u r(v) dv and Q(u) = int_0^u P(v) dv, an integral over [a, b] once and twice is
l (P((x - a) / l) + P((b - x) / l)) and 2 l^2 Q((b - a) / l): O'Hagan (1991), Journal of Statistical Planning and
Inference 29:245, for the squared exponential; by parts for the others.
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import erf
from hbm_stan.table import FloatArray

# As the programs count them: the places of KERNELS, from 1.
SQUARED_EXPONENTIAL, MATERN_32, MATERN_52 = 1, 2, 3
_ROOT = {MATERN_32: math.sqrt(3), MATERN_52: math.sqrt(5)}


def correlation(distance: FloatArray, kernel: int, length_scale: FloatArray) -> FloatArray:
    """r at distances, which may have either sign; arguments broadcast."""
    u = np.abs(distance) / length_scale
    if kernel == SQUARED_EXPONENTIAL:
        return np.asarray(np.exp(-0.5 * u**2))
    s = _ROOT[kernel] * u
    polynomial = 1 + s if kernel == MATERN_32 else 1 + s + s**2 / 3
    return np.asarray(polynomial * np.exp(-s))


def _once(u: FloatArray, kernel: int) -> FloatArray:
    """P, odd in u."""
    if kernel == SQUARED_EXPONENTIAL:
        return np.asarray(math.sqrt(math.pi / 2) * erf(u / math.sqrt(2)))
    c = _ROOT[kernel]
    s = c * np.abs(u)
    if kernel == MATERN_32:
        area = 2 * -np.expm1(-s) - s * np.exp(-s)
    else:
        area = 8 / 3 * -np.expm1(-s) - (5 / 3 * s + s**2 / 3) * np.exp(-s)
    return np.asarray(np.sign(u) * area / c)


def _twice(u: FloatArray, kernel: int) -> FloatArray:
    """Q, of u above zero."""
    if kernel == SQUARED_EXPONENTIAL:
        return np.asarray(u * _once(u, kernel) + np.expm1(-0.5 * u**2))
    s = _ROOT[kernel] * u
    if kernel == MATERN_32:
        return np.asarray((2 * s + 3 * np.expm1(-s) + s * np.exp(-s)) / 3)
    return np.asarray((8 / 3 * s + 5 * np.expm1(-s) + (7 / 3 * s + s**2 / 3) * np.exp(-s)) / 5)


def area_with(x: FloatArray, limits: tuple[float, float], kernel: int, length_scale: FloatArray) -> FloatArray:
    """Integral over t between the limits of the correlation of the curve at x and at t; arguments broadcast."""
    low, high = limits
    areas = _once((x - low) / length_scale, kernel) + _once((high - x) / length_scale, kernel)
    return np.asarray(length_scale * areas)


def area_of_area(limits: tuple[float, float], kernel: int, length_scale: FloatArray) -> FloatArray:
    """Double integral of the correlation over the interval times itself, of the shape of ``length_scale``."""
    low, high = limits
    return np.asarray(2 * length_scale**2 * _twice((high - low) / length_scale, kernel))
