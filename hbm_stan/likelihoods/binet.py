"""What log Gamma is beside Stirling's formula: densities whose large terms cancel are written with it."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import gammaln
from hbm_stan.table import FloatArray

# From here on three terms of Stirling's series are exact to 1e-17 (Abramowitz & Stegun 1964, equation 6.1.41).
_SERIES = 100.0


def binet(x: FloatArray) -> FloatArray:
    """log Gamma(x) - (x - 1/2) log(x) + x - log(2 pi) / 2, for x > 0: Binet's function, about 1 / (12 x)."""
    small, large = np.minimum(x, _SERIES), np.maximum(x, _SERIES)
    exact = gammaln(small) - (small - 0.5) * np.log(small) + small - 0.5 * math.log(2 * math.pi)
    series = (1 - (1 - 2 / (7 * large**2)) / (30 * large**2)) / (12 * large)
    return np.asarray(np.where(x < _SERIES, exact, series))
