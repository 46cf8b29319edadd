"""Amounts above 0 whose sd is a share of their mean, with eta the log of the mean.

``variation``, the coefficient of variation, is the sd over the mean: the same for all rows. variation = 1 / sqrt(shape)
for the shape of most programs. At 0 every amount is its mean.
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.likelihoods.binet import binet
from hbm_stan.likelihoods.likelihood import MEAN, Likelihood, Own, Residual, Rows
from hbm_stan.prepare import Role
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.table import FloatArray
from hbm_stan.values import SMALLEST, ZERO_AMOUNT

_LEAST = 1e-9  # variation of amounts that are their means: rounding error


def _logs(rows: Rows) -> FloatArray:
    return np.log(np.asarray(rows["y"], dtype=float))


def _kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    # log(y / mean) - y / mean + 1, which is 0 at the mean, without the loss of digits there.
    above, shape = _logs(rows) - eta, own["variation"] ** -2
    scale = 0.5 * np.log(shape / (2 * math.pi)) - binet(np.log(shape))
    return np.asarray(scale + shape * (above - np.expm1(above)))


def _score(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    return np.asarray(np.expm1(_logs(rows) - eta) / own["variation"] ** 2)


def _weight(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    return np.asarray(np.exp(_logs(rows) - eta) / own["variation"] ** 2)


def _simulate(rng: np.random.Generator, eta: FloatArray, _rows: Rows, own: Own) -> FloatArray:
    square = np.broadcast_to(own["variation"] ** 2, eta.shape)
    # A draw of a tiny shape may be less than the smallest number that there is.
    return np.asarray(np.maximum(np.exp(eta) * rng.gamma(1 / square, square), SMALLEST))


def _own_about(eta: FloatArray, rows: Rows, freedom: float, _fixed: Own) -> Own:
    """By moments: the squares of the deviations over the means."""
    if freedom <= 0:
        return {"variation": np.array([math.nan])}
    squares = float((np.expm1(_logs(rows) - eta) ** 2).sum())
    return {"variation": np.array([max(math.sqrt(squares / freedom), _LEAST)])}


LIKELIHOOD = Likelihood(
    name="gamma",
    title="Gamma",
    citation="McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., chapter 8",
    math=(
        'y_n tilde "gamma"("mean" = exp(eta_n), "sd" = v exp(eta_n)), quad n = 1, dots, N',
        'v = "variation" = 1 / sqrt("shape")',
    ),
    roles=(Role(name="outcome", kind="positive", meaning="amount of the row", advice=ZERO_AMOUNT),),
    kernel=_kernel,
    constant=lambda rows: -_logs(rows),
    score=_score,
    weight=_weight,
    expected=lambda eta, _rows, own: np.broadcast_to(own["variation"] ** -2, eta.shape),
    simulate=_simulate,
    moments=lambda eta, _rows, own: (np.exp(eta), (own["variation"] * np.exp(eta)) ** 2),
    inverse_link=np.exp,
    residual=Residual(
        name="the variation of rows",
        note="On the scale of log means a row has the variance log(1 + variation²) (the lognormal approximation of "
        "Nakagawa, Johnson & Schielzeth 2017).",
        variance=lambda _rows, own: np.log1p(own["variation"] ** 2),
    ),
    own=(
        PriorRow(name="variation", distributions=SCALES,
                 meaning="sd of a row over its mean, the coefficient of variation: 1 / sqrt(shape)",
                 source="Simpson et al. (2017), Statistical Science 32:1"),
    ),
    own_about=_own_about,
    known_residual=False,
    eta_unit="log mean",
    ratio_words="ratio of means",
    factor=MEAN,
    rows_words="gamma amounts",
    ladder="numbers",
)  # fmt: skip
