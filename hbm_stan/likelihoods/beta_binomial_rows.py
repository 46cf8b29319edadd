"""Successes out of trials that spread more than binomial ones, with eta the log odds of the mean probability.

The probability of each row is a beta draw about inv_logit(eta) with concentration 1 / overdispersion^2: the variance of
y is n p (1 - p) (1 + (n - 1) rho), rho = overdispersion^2 / (1 + overdispersion^2). At 0 rows are binomial.
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import expit
from hbm_stan.likelihoods.binomial import LIKELIHOOD as BINOMIAL
from hbm_stan.likelihoods.binomial import successes_and_trials
from hbm_stan.likelihoods.likelihood import ODDS, Likelihood, Measure, Own, Rows
from hbm_stan.likelihoods.rising import digamma_rise, log_rising, trigamma_rise
from hbm_stan.prepare import Role
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.table import FloatArray

_LEAST = 1e-4  # overdispersion of rows that spread no more than binomial ones
_BINOMIAL = 1e14  # a concentration whose beta draws are their mean to seven digits
_TINY = 1e-300  # a probability above 0, for logarithms


def _rho(own: Own) -> FloatArray:
    return np.asarray(own["overdispersion"] ** 2 / (1 + own["overdispersion"] ** 2))


def _kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    (y, n), size = successes_and_trials(rows), own["overdispersion"] ** -2.0
    p, q = np.maximum(expit(eta), _TINY), np.maximum(expit(-eta), _TINY)
    return np.asarray(
        log_rising(p * size, y) + log_rising(q * size, n - y) - log_rising(size, n) + y * eta - n * np.logaddexp(0, eta)
    )


def _digammas(eta: FloatArray, rows: Rows, own: Own) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """p, size p q, and the first and second derivative of log p(y) in p over the size."""
    (y, n), size = successes_and_trials(rows), own["overdispersion"] ** -2.0
    p, q = np.maximum(expit(eta), _TINY), np.maximum(expit(-eta), _TINY)
    first = digamma_rise(p * size, y) - digamma_rise(q * size, n - y)
    second = trigamma_rise(p * size, y) + trigamma_rise(q * size, n - y)
    return p, size * p * q, first, second


def _score(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    _, slope, first, _ = _digammas(eta, rows, own)
    return np.asarray(slope * first)


def _weight(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    """Where the log density is not concave, 1 / variance on the scale of eta instead."""
    p, slope, first, second = _digammas(eta, rows, own)
    exact = -(slope * (1 - 2 * p) * first + slope**2 * second)
    n = successes_and_trials(rows)[1]
    return np.asarray(np.where(exact > 0, exact, n * p * (1 - p) / (1 + (n - 1) * _rho(own))))


def _moments(eta: FloatArray, rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
    (_, n), p = successes_and_trials(rows), expit(eta)
    return np.asarray(n * p), np.asarray(n * p * expit(-eta) * (1 + (n - 1) * _rho(own)))


def _simulate(rng: np.random.Generator, eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    size = np.minimum(own["overdispersion"] ** -2.0, _BINOMIAL)
    p = rng.beta(np.maximum(expit(eta) * size, _TINY), np.maximum(expit(-eta) * size, _TINY))
    return np.asarray(rng.binomial(np.asarray(rows["trials"], dtype=np.int64), p), dtype=float)


def _own_about(eta: FloatArray, rows: Rows, freedom: float, _fixed: Own) -> Own:
    """By moments: what the squares are beyond those of binomial rows."""
    (y, n), p = successes_and_trials(rows), expit(eta)
    if freedom <= 0 or n.max() < 2:
        return {"overdispersion": np.array([math.nan])}
    plain = n * p * expit(-eta)
    beyond = float((((y - n * p) ** 2) * len(y) / freedom - plain).sum() / (plain * (n - 1)).sum())
    rho = min(max(beyond, 0.0), 0.99)
    return {"overdispersion": np.array([max(math.sqrt(rho / (1 - rho)), _LEAST)])}


LIKELIHOOD = Likelihood(
    name="beta_binomial_rows",
    title="Beta-binomial rows",
    citation="Williams (1975), Biometrics 31:949",
    math=(
        'y_n tilde "beta-binomial"("trials"_n, p_n kappa, (1 - p_n) kappa), quad n = 1, dots, N',
        'p_n = "logit"^(-1)(eta_n), quad kappa = 1 / "overdispersion"^2',
    ),
    roles=(
        Role(name="outcome", kind="count", meaning="number of successes", at_most="trials"),
        Role(name="trials", kind="count", meaning="number of trials that the successes are out of"),
    ),
    kernel=_kernel,
    constant=BINOMIAL.constant,
    score=_score,
    weight=_weight,
    simulate=_simulate,
    moments=_moments,
    inverse_link=BINOMIAL.inverse_link,
    residual=BINOMIAL.residual,
    own=(
        PriorRow(name="overdispersion", distributions=SCALES,
                 meaning="1 / sqrt(concentration) of the probabilities of rows about their mean",
                 source="Williams (1975), Biometrics 31:949"),
    ),
    own_about=_own_about,
    size="trials",
    eta_unit="log odds",
    measure=Measure("probability"),
    ratio_words="odds ratio",
    factor=ODDS,
    rows_words="beta-binomial successes",
    ladder="trials",
)  # fmt: skip
