"""Counts that spread more than Poisson counts, with eta the log of the rate.

The rate of each row is a gamma draw about exp(eta), whose sd over its mean is ``overdispersion``: the variance is mean
+ (overdispersion mean)^2, and overdispersion = 1 / sqrt(phi) for the phi of most programs. At 0 counts are Poisson.
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.likelihoods.likelihood import LARGEST_MEAN, RATE, Likelihood, Own, Residual, Rows
from hbm_stan.likelihoods.poisson import LIKELIHOOD as POISSON
from hbm_stan.likelihoods.poisson import mean_counts
from hbm_stan.likelihoods.rising import log_rising
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.table import FloatArray

_LEAST = 1e-4  # overdispersion of rows that spread no more than Poisson counts


def _y(rows: Rows) -> FloatArray:
    return np.asarray(rows["y"], dtype=float)


def _log_rising(phi: FloatArray, y: FloatArray) -> FloatArray:
    """``log_rising`` for y (N,) and phi of a shape that fits it; equal y are evaluated once."""
    count, place = np.unique(y, return_inverse=True)
    return np.asarray(log_rising(phi, count)[..., place])


def _kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    y = _y(rows)
    square = own["overdispersion"] ** 2
    return np.asarray(
        _log_rising(1 / square, y) + y * eta - (y + 1 / square) * np.log1p(square * mean_counts(eta, rows))
    )


def _score(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    y = _y(rows)
    mean = mean_counts(eta, rows)
    return np.asarray((y - mean) / (1 + own["overdispersion"] ** 2 * mean))


def _weight(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    y = _y(rows)
    mean, square = mean_counts(eta, rows), own["overdispersion"] ** 2
    return np.asarray(mean * (1 + square * y) / (1 + square * mean) ** 2)


def _expected(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    mean = mean_counts(eta, rows)
    return np.asarray(mean / (1 + own["overdispersion"] ** 2 * mean))


def _moments(eta: FloatArray, rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
    mean = mean_counts(eta, rows)
    return mean, mean + (own["overdispersion"] * mean) ** 2


def _simulate(rng: np.random.Generator, eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    mean, square = mean_counts(eta, rows), np.broadcast_to(own["overdispersion"] ** 2, eta.shape)
    rate = mean * rng.gamma(1 / square, square)
    return np.asarray(rng.poisson(np.minimum(rate, LARGEST_MEAN)), dtype=float)


def overdispersion_about(eta: FloatArray, rows: Rows, counted: FloatArray, freedom: float) -> Own:
    """By moments: what the squares are beyond the means, each row counted so often (N,)."""
    y = _y(rows)
    mean = mean_counts(eta, rows)
    if freedom <= 0:
        return {"overdispersion": np.array([math.nan])}
    beyond = float((counted * ((y - mean) ** 2 * len(y) / freedom - mean)).sum()) / float((counted * mean**2).sum())
    return {"overdispersion": np.array([max(math.sqrt(max(beyond, 0.0)), _LEAST)])}


def _own_about(eta: FloatArray, rows: Rows, freedom: float, _fixed: Own) -> Own:
    return overdispersion_about(eta, rows, np.ones(len(_y(rows))), freedom)


def _residual(rows: Rows, own: Own) -> FloatArray:
    y = _y(rows)
    return np.asarray(np.log1p(len(y) / (y.sum() + 0.5) + own["overdispersion"] ** 2))


LIKELIHOOD = Likelihood(
    name="negative_binomial",
    title="Negative binomial",
    citation="Cameron & Trivedi (2013), Regression Analysis of Count Data, 2nd ed., section 3.3",
    math=(
        'y_n tilde "negative binomial"("mean" = mu_n, "variance" = mu_n + (alpha mu_n)^2), quad n = 1, dots, N',
        'mu_n = "exposure"_n exp(eta_n), quad alpha = "overdispersion" = 1 / sqrt(phi)',
    ),
    roles=POISSON.roles,
    kernel=_kernel,
    constant=POISSON.constant,
    score=_score,
    weight=_weight,
    expected=_expected,
    simulate=_simulate,
    moments=_moments,
    inverse_link=np.exp,
    residual=Residual(
        name="a single count",
        note="On the scale of log rates a single count has the variance log(1 + 1/m + overdispersion²), m being the "
        "mean of the counts (Nakagawa, Johnson & Schielzeth 2017).",
        variance=_residual,
    ),
    own=(
        PriorRow(name="overdispersion", distributions=SCALES,
                 meaning="sd of the rates of rows over their mean, beyond Poisson: 1 / sqrt(phi)",
                 source="Simpson et al. (2017), Statistical Science 32:1"),
    ),
    own_about=_own_about,
    size="exposure",
    eta_unit="log rate",
    measure=RATE,
    ratio_words="rate ratio",
    factor=RATE,
    rows_words="negative binomial counts",
    ladder="counts",
)  # fmt: skip
