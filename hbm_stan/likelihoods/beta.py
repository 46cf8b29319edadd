"""Shares strictly between 0 and 1, with eta the log odds of the mean share.

``spread`` is 1 / sqrt(concentration), for the concentration phi of most programs: the variance of a share is mean
(1 - mean) / (1 + phi). At 0 every share is its mean; at a mean of one half a spread of 0.7 is a uniform share, and from
1 on most shares lie near 0 and 1.
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import digamma, expit, log_expit, logit
from hbm_stan.likelihoods.binet import binet
from hbm_stan.likelihoods.likelihood import ODDS, Likelihood, Measure, Own, Residual, Rows
from hbm_stan.likelihoods.rising import trigamma
from hbm_stan.prepare import Role
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.table import FloatArray
from hbm_stan.values import SMALLEST

_LEAST, _MOST = 1e-9, 0.99  # share of the largest variance that rows about their means may seem to have
_FAR = 30.0  # a deviation in log odds whose exponential dwarfs 1, and is a number still
_TINY = 1e-150  # a shape whose square is a number


def _y(rows: Rows) -> FloatArray:
    return np.asarray(rows["y"], dtype=float)


def _shapes(eta: FloatArray, own: Own) -> tuple[FloatArray, FloatArray]:
    """The shapes of the beta distribution: mean and 1 - mean times the concentration."""
    concentration = own["spread"] ** -2
    return np.maximum(concentration * expit(eta), _TINY), np.maximum(concentration * expit(-eta), _TINY)


def divergence(eta: FloatArray, other: FloatArray) -> FloatArray:
    """The Kullback-Leibler divergence of a trial with log odds ``other`` from one with log odds eta; 0 where equal."""
    # From the nearer end, and in deviations: so that neither near 0 and 1 nor near each other digits are lost. Where
    # the exponential of a deviation may be no number, log(1 + exp()) of both odds differ by enough.
    side = np.where(eta > 0, -1.0, 1.0)
    nearer, deviation = -np.abs(eta), side * (other - eta)
    near = np.log1p(expit(nearer) * np.expm1(np.minimum(deviation, _FAR)))
    far = np.logaddexp(0, nearer + np.maximum(deviation, _FAR)) - np.logaddexp(0, nearer + _FAR)
    return np.asarray(near + far - expit(nearer) * deviation)


def _kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    log_concentration, log_mean, log_rest = -2 * np.log(own["spread"]), log_expit(eta), log_expit(-eta)
    scale = 0.5 * (log_concentration + log_mean + log_rest - math.log(2 * math.pi))
    tails = binet(log_concentration) - binet(log_concentration + log_mean) - binet(log_concentration + log_rest)
    return np.asarray(scale + tails - own["spread"] ** -2 * divergence(eta, logit(_y(rows))))


def _score(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    a, b = _shapes(eta, own)
    beyond = (np.log(a) - digamma(a)) - (np.log(b) - digamma(b))
    return np.asarray(a * expit(-eta) * (logit(_y(rows)) - eta + beyond))


def _expected(eta: FloatArray, _rows: Rows, own: Own) -> FloatArray:
    a, b = _shapes(eta, own)
    return np.asarray((a * expit(-eta)) ** 2 * trigamma(a) + (b * expit(eta)) ** 2 * trigamma(b))


def _moments(eta: FloatArray, _rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
    mean = np.asarray(expit(eta))
    return mean, mean * expit(-eta) / (1 + own["spread"] ** -2)


def _simulate(rng: np.random.Generator, eta: FloatArray, _rows: Rows, own: Own) -> FloatArray:
    # A share that is nearer to an end than numbers tell is the last one before it.
    return np.asarray(np.clip(rng.beta(*_shapes(eta, own)), SMALLEST, 1 - np.finfo(float).epsneg))


def _own_about(eta: FloatArray, rows: Rows, freedom: float, _fixed: Own) -> Own:
    """By moments: squares of the deviations over the largest variance that a share of its mean can have."""
    if freedom <= 0:
        return {"spread": np.array([math.nan])}
    squares = float(((_y(rows) - expit(eta)) ** 2 / (expit(eta) * expit(-eta))).sum()) / freedom
    part = min(max(squares, _LEAST**2), _MOST)
    return {"spread": np.array([math.sqrt(part / (1 - part))])}


def _residual(rows: Rows, own: Own) -> FloatArray:
    mean, concentration = float(_y(rows).mean()), own["spread"] ** -2
    return np.asarray(trigamma(mean * concentration) + trigamma((1 - mean) * concentration))


LIKELIHOOD = Likelihood(
    name="beta",
    title="Beta",
    citation="Ferrari & Cribari-Neto (2004), Journal of Applied Statistics 31:799",
    math=(
        'y_n tilde "beta"(mu_n phi, (1 - mu_n) phi), quad n = 1, dots, N',
        'mu_n = "logit"^(-1)(eta_n), quad "spread" = 1 / sqrt(phi)',
    ),
    roles=(Role(name="outcome", kind="share", meaning="share of the row"),),
    kernel=_kernel,
    constant=lambda rows: -np.log(_y(rows)) - np.log1p(-_y(rows)),
    score=_score,
    weight=_expected,
    expected=_expected,
    simulate=_simulate,
    moments=_moments,
    inverse_link=lambda eta: np.asarray(expit(eta)),
    residual=Residual(
        name="the spread of rows",
        note="On the scale of log odds the variance of a row is that of the log odds of a beta share at the mean of "
        "all shares: trigamma(mean φ) + trigamma((1 - mean) φ), φ = 1 / spread².",
        variance=_residual,
    ),
    own=(
        PriorRow(
            name="spread", distributions=SCALES, meaning="spread of shares about their mean: 1 / sqrt(concentration)",
            source="Simpson et al. (2017), Statistical Science 32:1",
        ),
    ),
    own_about=_own_about,
    known_residual=False,
    eta_unit="log odds",
    measure=Measure("mean share"),
    ratio_words="odds ratio",
    factor=ODDS,
    rows_words="beta shares",
    ladder="numbers",
)  # fmt: skip
