"""Poisson counts without those of 0: what counts above 0 say of rates and of their spread, however many rows are 0.

eta is the log of the rate of all counts (Johnson, Kemp & Kotz 2005, Univariate Discrete Distributions, section 4.10).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hbm_stan.likelihoods.likelihood import Own, Rows
from hbm_stan.likelihoods.poisson import LIKELIHOOD as POISSON
from hbm_stan.likelihoods.poisson import mean_counts
from hbm_stan.table import FloatArray

_RARE = 1e-6  # rates below which the variance is half of them, to six digits, and its formula is rounding error


def _rate(eta: FloatArray, rows: Rows) -> FloatArray:
    return np.maximum(mean_counts(eta, rows), np.finfo(float).tiny)


def _kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    return np.asarray(POISSON.kernel(eta, rows, own) - np.log(-np.expm1(-_rate(eta, rows))))


def _moments(eta: FloatArray, rows: Rows, _own: Own) -> tuple[FloatArray, FloatArray]:
    rate = _rate(eta, rows)
    mean = rate / -np.expm1(-rate)
    return mean, np.where(rate < _RARE, rate / 2, mean * (1 + rate - mean))


ABOVE_ZERO = replace(
    POISSON,
    name="poisson_above_zero",
    kernel=_kernel,
    score=lambda eta, rows, own: np.asarray(rows["y"] - _moments(eta, rows, own)[0]),
    weight=lambda eta, rows, own: _moments(eta, rows, own)[1],
    moments=_moments,
)
