"""Estimates with known standard errors: meta-analysis and meta-regression (Raudenbush & Bryk 1985)."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.likelihoods.likelihood import Likelihood, Measure, Own, Residual, Rows
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


def typical_variance(columns: FloatArray, se: FloatArray) -> FloatArray:
    """(k - p) / trace(P), where P = W - W X (X' W X)^-1 X' W.

    Higgins & Thompson (2002), Statistics in Medicine 21:1539, equation 9, for the intercept alone; Viechtbauer (2010),
    Journal of Statistical Software 36(3), for more columns.

    Without more rows than columns the mean of the squared standard errors, weighted by 1 / se^2.
    """
    x, w = np.asarray(columns, dtype=float) / np.asarray(se)[:, None], np.asarray(se, dtype=float) ** -2
    spare = len(w) - x.shape[1]
    if spare <= 0:
        return np.asarray(len(w) / w.sum())
    leverage = np.einsum("nk,kn->n", x, np.linalg.pinv(x)) if x.shape[1] else np.zeros(len(w))
    return np.asarray(spare / float(np.sum(w * (1 - leverage))))


LIKELIHOOD = Likelihood(
    name="estimates",
    title="Estimates with known standard errors",
    citation="Raudenbush & Bryk (1985), Journal of Educational Statistics 10:75",
    math=('y_n tilde "normal"(eta_n, s_n), quad n = 1, dots, N',),
    roles=(
        Role(name="outcome", kind="number", meaning="estimate of the row"),
        Role(name="standard_error", kind="positive", meaning="standard error of the estimate"),
    ),
    kernel=_kernel,
    constant=lambda rows: -np.log(_y_se(rows)[1]) - 0.5 * math.log(2 * math.pi),
    score=_score,
    weight=lambda eta, rows, _own: np.broadcast_to(_precision(rows), eta.shape),
    simulate=lambda rng, eta, rows, _own: np.asarray(rng.normal(eta, np.asarray(rows["se"], dtype=float))),
    moments=lambda eta, rows, _own: (eta, np.broadcast_to(1 / _precision(rows), eta.shape)),
    precision=_precision,
    inverse_link=lambda eta: eta,
    residual=Residual(
        name="the standard errors",
        note="The variance of the standard errors is the typical sampling variance of the estimates (Higgins & "
        "Thompson 2002; beside common columns, Viechtbauer 2010): all other shares together are I².",
        variance=lambda rows, _own: typical_variance(rows["X"], rows["se"]),
    ),
    measure=Measure("true value", of=False),
    rows_words="normal estimates",
    ladder="estimates",
    many_crossed="estimates_sampled",
)
