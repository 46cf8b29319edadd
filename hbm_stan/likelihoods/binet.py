"""What log Gamma is beside Stirling's formula: densities whose large terms cancel are written with it."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import gammaln
from hbm_stan.table import FloatArray

# From here on three terms of Stirling's series are exact to 1e-17 (Abramowitz & Stegun 1964, equation 6.1.41).
_SERIES = math.log(100.0)


def binet(log_x: FloatArray) -> FloatArray:
    """log Gamma(x) - (x - 1/2) log(x) + x - log(2 pi) / 2 at log(x): Binet's function, about 1 / (12 x) for large x."""
    log_near = np.minimum(log_x, _SERIES)
    near, far = np.exp(log_near), np.exp(-np.maximum(log_x, _SERIES))
    exact = gammaln(1 + near) - (near + 0.5) * log_near + near - 0.5 * math.log(2 * math.pi)
    series = (1 - (1 - 2 * far**2 / 7) * far**2 / 30) * far / 12
    return np.asarray(np.where(log_x < _SERIES, exact, series))
