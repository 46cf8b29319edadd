"""Successes out of trials, or 0 and 1, with eta the log odds (McCullagh & Nelder 1989, chapter 4)."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import expit, gammaln
from hbm_stan.likelihoods.likelihood import ODDS, Likelihood, Measure, Own, Residual, Rows
from hbm_stan.prepare import Role
from hbm_stan.table import FloatArray


def successes_and_trials(rows: Rows) -> tuple[FloatArray, FloatArray]:
    """Both by row, (N,)."""
    return np.asarray(rows["y"], dtype=float), np.asarray(rows["trials"], dtype=float)


def _kernel(eta: FloatArray, rows: Rows, _own: Own) -> FloatArray:
    y, n = successes_and_trials(rows)
    # log(1 + exp(eta)), three times as quick as np.logaddexp and as exact; in place, for eta may be large.
    softplus = np.abs(eta)
    np.negative(softplus, out=softplus)
    np.exp(softplus, out=softplus)
    np.log1p(softplus, out=softplus)
    softplus += np.maximum(eta, 0)
    softplus *= n
    return np.asarray(y * eta - softplus)


def _constant(rows: Rows) -> FloatArray:
    y, n = successes_and_trials(rows)
    return np.asarray(gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1))


def _score(eta: FloatArray, rows: Rows, _own: Own) -> FloatArray:
    y, n = successes_and_trials(rows)
    return np.asarray(y - n * expit(eta))


def _weight(eta: FloatArray, rows: Rows, _own: Own) -> FloatArray:
    # 1 - p would be 0 where p is near 1.
    return np.asarray(successes_and_trials(rows)[1] * expit(eta) * expit(-eta))


def _simulate(rng: np.random.Generator, eta: FloatArray, rows: Rows, _own: Own) -> FloatArray:
    return np.asarray(rng.binomial(np.asarray(rows["trials"], dtype=np.int64), expit(eta)), dtype=float)


LIKELIHOOD = Likelihood(
    name="binomial",
    title="Binomial",
    citation="McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., chapter 4",
    math=('y_n tilde "binomial"("trials"_n, "logit"^(-1)(eta_n)), quad n = 1, dots, N',),
    roles=(
        Role(name="outcome", kind="count", meaning="number of successes, or 0 and 1", at_most="trials"),
        Role(
            name="trials",
            kind="count",
            meaning="number of trials that the successes are out of; 1 if left out",
            optional=True,
        ),
    ),
    kernel=_kernel,
    constant=_constant,
    score=_score,
    weight=_weight,
    simulate=_simulate,
    moments=lambda eta, rows, own: (successes_and_trials(rows)[1] * expit(eta), _weight(eta, rows, own)),
    inverse_link=lambda eta: np.asarray(expit(eta)),
    residual=Residual(
        name="a single trial",
        note="On the scale of log odds a single trial has the variance of the logistic distribution, π²/3 "
        "(Nakagawa, Johnson & Schielzeth 2017).",
        variance=lambda _rows, _own: np.asarray(math.pi**2 / 3),
    ),
    size="trials",
    eta_unit="log odds",
    measure=Measure("probability"),
    ratio_words="odds ratio",
    factor=ODDS,
    rows_words="binomial successes",
    ladder="trials",
    wider="beta_binomial_rows",
)
