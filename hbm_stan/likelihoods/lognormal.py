"""Amounts above 0 whose log is normal about eta, with one residual sd; eta is the log of the median.

The model of log(y) ~ ..., whose outcome is the log, on the scale of the amounts: densities have the Jacobian of the
log, 1 / y, so that they compare with those of other likelihoods of the same amounts, and draws are amounts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hbm_stan.likelihoods import normal
from hbm_stan.likelihoods.likelihood import MEDIAN, Likelihood, Own, Rows
from hbm_stan.prepare import Role
from hbm_stan.table import FloatArray
from hbm_stan.values import SMALLEST, ZERO_AMOUNT

_OF_LOGS = normal.LIKELIHOOD


def _logs(rows: Rows) -> Rows:
    return {"y": np.log(np.asarray(rows["y"], dtype=float))}


def _moments(eta: FloatArray, _rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
    variance = own["sigma"] ** 2
    mean = np.exp(eta + variance / 2)
    return mean, mean**2 * np.expm1(variance)


def _simulate(rng: np.random.Generator, eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    return np.asarray(np.maximum(np.exp(_OF_LOGS.simulate(rng, eta, rows, own)), SMALLEST))


LIKELIHOOD: Likelihood = replace(
    _OF_LOGS,
    name="lognormal",
    title="Lognormal",
    citation="Limpert, Stahel & Abbt (2001), BioScience 51:341",
    math=('log(y_n) tilde "normal"(eta_n, sigma), quad n = 1, dots, N',),
    roles=(Role(name="outcome", kind="positive", meaning="amount of the row", advice=ZERO_AMOUNT),),
    kernel=lambda eta, rows, own: _OF_LOGS.kernel(eta, _logs(rows), own),
    constant=lambda rows: _OF_LOGS.constant(rows) - _logs(rows)["y"],
    score=lambda eta, rows, own: _OF_LOGS.score(eta, _logs(rows), own),
    simulate=_simulate,
    moments=_moments,
    logs=True,
    inverse_link=np.exp,
    own=tuple(replace(row, meaning="residual sd of the log of a row", role="") for row in _OF_LOGS.own),
    own_about=lambda eta, rows, freedom, fixed: _OF_LOGS.own_about(eta, _logs(rows), freedom, fixed),
    eta_unit="log median",
    measure=MEDIAN,
    ratio_words="ratio of medians",
    factor=MEDIAN,
    rows_words="lognormal amounts",
    many_crossed="lognormal_sampled",
)
