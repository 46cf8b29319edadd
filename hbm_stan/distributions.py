"""The distributions that priors may have: log density, tails, quantiles from above, draws.

By the functions of ``scipy.special``, as ``scipy.stats`` has them; importing that takes a tenth of a report's seconds.
The same numbers to rounding, and the same draws from the same generator, which a test holds against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_stan.later import (
    betainc,
    betaincc,
    betainccinv,
    betaln,
    erf,
    gammainc,
    gammaincc,
    gammainccinv,
    gammaln,
    ndtr,
    ndtri,
    poch,
    stdtr,
    stdtrit,
    xlog1py,
    xlogy,
)
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.table import FloatArray

_Function = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class _Standard:
    """A distribution in standard units, from ``low`` to ``high``; its functions take a value and the shape."""

    log_density: _Function
    cdf: _Function
    sf: _Function
    isf: _Function
    draw: _Function  # takes a generator, how many, and the shape
    low: float = 0.0
    high: float = math.inf


_NORMAL = _Standard(
    log_density=normal_logpdf,
    cdf=ndtr,
    sf=lambda z: ndtr(-z),
    isf=lambda p: -ndtri(p),
    draw=lambda rng, size: rng.standard_normal(size),
    low=-math.inf,
)
_HALF_NORMAL = _Standard(
    log_density=lambda z: 0.5 * math.log(2 / math.pi) - 0.5 * z * z,
    cdf=lambda z: erf(z / math.sqrt(2)),
    sf=lambda z: 2 * ndtr(-z),
    isf=lambda p: -ndtri(p / 2),
    draw=lambda rng, size: np.abs(rng.standard_normal(size)),
)
_HALF_CAUCHY = _Standard(
    log_density=lambda z: math.log(2 / math.pi) - np.log1p(z * z),
    cdf=lambda z: 2 / math.pi * np.arctan(z),
    sf=lambda z: 2 / math.pi * np.arctan2(1, z),
    isf=lambda p: 1 / np.tan(math.pi * p / 2),
    draw=lambda rng, size: np.tan(math.pi / 2 * rng.uniform(size=size)),
)
_HALF_STUDENT_T = _Standard(
    log_density=lambda z, df: (
        np.log(2 * poch(0.5 * df, 0.5)) - 0.5 * np.log(df * math.pi) - (df + 1) / 2 * np.log1p(z * z / df)
    ),
    cdf=lambda z, df: betainc(0.5, df / 2, 1 / (1 + df / (z * z))),  # as a difference from 1 small ones were rounded
    sf=lambda z, df: 2 * stdtr(df, -z),
    isf=lambda p, df: -stdtrit(df, p / 2),
    draw=lambda rng, size, df: np.abs(rng.standard_t(df, size=size)),
)
_UNIFORM = _Standard(
    log_density=lambda z: 0 * z,  # nan stays nan
    cdf=lambda z: z,
    sf=lambda z: 1 - z,
    isf=lambda p: 1 - p,
    draw=lambda rng, size: rng.uniform(0.0, 1.0, size),
    high=1.0,
)
_EXPONENTIAL = _Standard(
    log_density=np.negative,
    cdf=lambda z: -np.expm1(-z),
    sf=lambda z: np.exp(-z),
    isf=lambda p: -np.log(p),
    draw=lambda rng, size: rng.standard_exponential(size),
)
_GAMMA = _Standard(
    log_density=lambda z, a: xlogy(a - 1, z) - z - gammaln(a),
    cdf=lambda z, a: gammainc(a, z),
    sf=lambda z, a: gammaincc(a, z),
    isf=lambda p, a: gammainccinv(a, p),
    draw=lambda rng, size, a: rng.standard_gamma(a, size),
)
_LOGNORMAL = _Standard(
    log_density=lambda z, s: np.where(z == 0, -np.inf, normal_logpdf(np.log(z), 0.0, s) - np.log(z)),
    cdf=lambda z, s: ndtr(np.log(z) / s),
    sf=lambda z, s: ndtr(-np.log(z) / s),
    isf=lambda p, s: np.exp(-s * ndtri(p)),
    draw=lambda rng, size, s: np.exp(s * rng.standard_normal(size)),
)
_BETA = _Standard(
    log_density=lambda z, a, b: xlog1py(b - 1, -z) + xlogy(a - 1, z) - betaln(a, b),
    cdf=lambda z, a, b: betainc(a, b, z),
    sf=lambda z, a, b: betaincc(a, b, z),
    isf=lambda p, a, b: betainccinv(a, b, p),
    draw=lambda rng, size, a, b: rng.beta(a, b, size),
    high=1.0,
)


@dataclass(frozen=True, kw_only=True)
class Located:
    """A distribution at ``location`` + ``scale`` times its standard units; what it is asked has any shape."""

    standard: _Standard
    shape: tuple[float, ...] = ()
    location: float = 0.0
    scale: float = 1.0

    def _at(self, x: Any) -> FloatArray:
        with np.errstate(all="ignore"):
            return (np.asarray(x, dtype=float) - self.location) / np.float64(self.scale)

    def logpdf(self, x: Any) -> FloatArray:
        """The log density; minus infinity outside the support."""
        z = self._at(x)
        outside = (z < self.standard.low) | (z > self.standard.high)
        with np.errstate(all="ignore"):
            inside = self.standard.log_density(z, *self.shape) - np.log(self.scale)
        return np.where(outside, -np.inf, inside)

    def cdf(self, x: Any) -> FloatArray:
        """The probability of a value up to ``x``."""
        with np.errstate(all="ignore"):
            return np.asarray(self.standard.cdf(self._clipped(x), *self.shape))

    def sf(self, x: Any) -> FloatArray:
        """The probability of a value above ``x``."""
        with np.errstate(all="ignore"):
            return np.asarray(self.standard.sf(self._clipped(x), *self.shape))

    def _clipped(self, x: Any) -> FloatArray:
        return np.clip(self._at(x), self.standard.low, self.standard.high)

    def isf(self, p: Any) -> FloatArray:
        """The value above which there is a probability of ``p``."""
        with np.errstate(all="ignore"):
            z = self.standard.isf(np.asarray(p, dtype=float), *self.shape)
        return np.asarray(self.location + self.scale * z)

    def draw(self, rng: np.random.Generator, size: int) -> FloatArray:
        """``size`` independent draws."""
        return np.asarray(self.location + self.scale * self.standard.draw(rng, size, *self.shape), dtype=float)


# By the names that analyses use.
_BY_NAME: Mapping[str, Callable[..., Located]] = {
    "normal": lambda location, scale: Located(standard=_NORMAL, location=location, scale=scale),
    "half_normal": lambda scale: Located(standard=_HALF_NORMAL, scale=scale),
    "half_cauchy": lambda scale: Located(standard=_HALF_CAUCHY, scale=scale),
    "half_student_t": lambda df, scale: Located(standard=_HALF_STUDENT_T, shape=(df,), scale=scale),
    "uniform": lambda lower, upper: Located(standard=_UNIFORM, location=lower, scale=upper - lower),
    "exponential": lambda rate: Located(standard=_EXPONENTIAL, scale=1 / rate),
    "gamma": lambda shape, rate: Located(standard=_GAMMA, shape=(shape,), scale=1 / rate),
    "lognormal": lambda location, scale: Located(standard=_LOGNORMAL, shape=(scale,), scale=math.exp(location)),
    "beta": lambda a, b: Located(standard=_BETA, shape=(a, b)),
    # Of one correlation in a 2 x 2 matrix; marginally so in larger ones only near enough for a picture.
    "lkj": lambda shape: Located(standard=_BETA, shape=(shape, shape), location=-1.0, scale=2.0),
}


def located(distribution: str, arguments: tuple[float, ...]) -> Located:
    """The distribution of that name with these arguments, in the order of ``priors.DISTRIBUTIONS``."""
    return _BY_NAME[distribution](*arguments)
