"""Estimates with known standard errors: meta-analysis and meta-regression (Raudenbush & Bryk 1985)."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.likelihoods.likelihood import Likelihood, Own, Rows
from hbm_stan.prepare import Role
from hbm_stan.table import FloatArray


def _y_se(rows: Rows) -> tuple[FloatArray, FloatArray]:
    return np.asarray(rows["y"], dtype=float), np.asarray(rows["se"], dtype=float)


def _kernel(eta: FloatArray, rows: Rows, _own: Own) -> FloatArray:
    y, se = _y_se(rows)
    return np.asarray(-0.5 * ((y - eta) / se) ** 2)


def _score(eta: FloatArray, rows: Rows, _own: Own) -> FloatArray:
    y, se = _y_se(rows)
    return np.asarray((y - eta) / se**2)


def _precision(rows: Rows) -> FloatArray:
    return np.asarray(np.asarray(rows["se"], dtype=float) ** -2)


LIKELIHOOD = Likelihood(
    name="estimates",
    title="Estimates with known standard errors",
    citation="Raudenbush & Bryk (1985), Journal of Educational Statistics 10:75",
    math=('y_n tilde "normal"(eta_n, s_n), quad n = 1, dots, N',),
    roles=(
        Role("outcome", "number", "estimate of the row"),
        Role("standard_error", "positive", "standard error of the estimate"),
    ),
    kernel=_kernel,
    constant=lambda rows: -np.log(_y_se(rows)[1]) - 0.5 * math.log(2 * math.pi),
    score=_score,
    weight=lambda eta, rows, _own: np.broadcast_to(_precision(rows), eta.shape),
    simulate=lambda rng, eta, rows, _own: np.asarray(rng.normal(eta, np.asarray(rows["se"], dtype=float))),
    moments=lambda eta, rows, _own: (eta, np.broadcast_to(1 / _precision(rows), eta.shape)),
    precision=_precision,
    inverse_link=lambda eta: eta,
    mean_words="true value",
)
