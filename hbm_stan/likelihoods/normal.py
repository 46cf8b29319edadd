"""Rows that are normal about eta, with one residual sd (Gelman & Hill 2007, chapter 12)."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.likelihoods.likelihood import Likelihood, Own, Residual, Rows
from hbm_stan.prepare import Role
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.table import FloatArray

_LEAST = 1e-9  # of the largest outcome: a residual sd that is rounding error


def _y(rows: Rows) -> FloatArray:
    return np.asarray(rows["y"], dtype=float)


def _kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    return np.asarray(-0.5 * ((_y(rows) - eta) / own["sigma"]) ** 2 - np.log(own["sigma"]))


def _moments(eta: FloatArray, _rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
    return eta, np.broadcast_to(own["sigma"] ** 2, eta.shape)


def _own_about(eta: FloatArray, rows: Rows, freedom: float, _fixed: Own) -> Own:
    squares = float(((_y(rows) - eta) ** 2).sum())
    # Rows that agree to the last digit would have infinite weight.
    least = _LEAST * float(np.abs(_y(rows)).max(initial=0)) or _LEAST
    return {"sigma": np.array([max(math.sqrt(squares / freedom), least) if freedom > 0 else math.nan])}


LIKELIHOOD = Likelihood(
    name="normal",
    title="Normal",
    citation="Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, chapter 12",
    math=('y_n tilde "normal"(eta_n, sigma), quad n = 1, dots, N',),
    roles=(Role(name="outcome", kind="number", meaning="outcome of the row"),),
    kernel=_kernel,
    constant=lambda rows: np.full(len(rows["y"]), -0.5 * math.log(2 * math.pi)),
    score=lambda eta, rows, own: (_y(rows) - eta) / own["sigma"] ** 2,
    weight=lambda eta, _rows, own: np.broadcast_to(1 / own["sigma"] ** 2, eta.shape),
    simulate=lambda rng, eta, _rows, own: np.asarray(rng.normal(eta, own["sigma"])),
    moments=_moments,
    precision=lambda rows: np.ones(len(rows["y"])),
    inverse_link=lambda eta: eta,
    residual=Residual(
        name="the residual",
        note="The variance of the residual is sigma squared.",
        variance=lambda _rows, own: own["sigma"] ** 2,
    ),
    own=(
        PriorRow(
            name="sigma",
            distributions=SCALES,
            meaning="residual sd of a row",
            source="Gelman (2006), Bayesian Analysis 1:515",
            role="outcome",
        ),
    ),
    own_about=_own_about,
    known_residual=False,
    rows_words="normal rows",
    ladder="numbers",
    many_crossed="normal_sampled",
)
