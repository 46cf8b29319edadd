"""Rising factorials, which counts that spread add to Poisson or binomial ones, and the derivative of the digamma."""

from __future__ import annotations

import numpy as np

from hbm_stan.later import digamma, gammaln
from hbm_stan.table import FloatArray

# From so large an x on, Stirling's series is exact to 1e-14 and two log Gammas cancel to noise (Abramowitz & Stegun
# 1964, equation 6.1.41).
_SERIES = 1e4


def log_rising(x: FloatArray, count: FloatArray) -> FloatArray:
    """log of prod_(i < count) (1 + i / x), x above 0, element by element; it goes to 0 as x grows."""
    small, large = np.minimum(x, _SERIES), np.maximum(x, _SERIES)
    exact = gammaln(small + count) - gammaln(small) - count * np.log(small)
    series = (large + count - 0.5) * np.log1p(count / large) - count + 1 / (12 * (large + count)) - 1 / (12 * large)
    return np.asarray(np.where(x < _SERIES, exact, series))


def digamma_rise(x: FloatArray, count: FloatArray) -> FloatArray:
    """digamma(x + count) - digamma(x)."""
    small, large = np.minimum(x, _SERIES), np.maximum(x, _SERIES)
    exact = digamma(small + count) - digamma(small)
    end = large + count
    series = np.log1p(count / large) + (1 / large - 1 / end) / 2 + (1 / large**2 - 1 / end**2) / 12
    return np.asarray(np.where(x < _SERIES, exact, series))


def trigamma_rise(x: FloatArray, count: FloatArray) -> FloatArray:
    """trigamma(x + count) - trigamma(x)."""
    small, large = np.minimum(x, _SERIES), np.maximum(x, _SERIES)
    exact = trigamma(small + count) - trigamma(small)
    end = large + count
    series = -count / (large * end) + (1 / end**2 - 1 / large**2) / 2 + (1 / end**3 - 1 / large**3) / 6
    return np.asarray(np.where(x < _SERIES, exact, series))


_STEPS = 8  # from here on the asymptotic series is exact to 1e-11


def trigamma(x: FloatArray) -> FloatArray:
    """The derivative of the digamma function of x above 0 (Abramowitz & Stegun 1964, equations 6.4.6 and 6.4.12).

    SciPy's polygamma sums a zeta function, which takes twenty times as long.
    """
    below = sum(1 / (x + k) ** 2 for k in range(_STEPS))
    far = 1 / (x + _STEPS)
    square = far**2
    series = far * (1 + square * (1 / 6 - square * (1 / 30 - square * (1 / 42 - square / 30)))) + square / 2
    return np.asarray(below + series)
