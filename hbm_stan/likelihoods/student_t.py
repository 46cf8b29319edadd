"""Numbers with gross errors: rows that are Student-t about eta, so that one far away says little (Lange et al. 1989).

With nu degrees of freedom a row at z scales from eta weighs (nu + 1) / (nu + z^2) as much as a normal one. nu begins at
2, below which a row has no variance (Juarez & Steel 2010, Journal of Applied Econometrics 25:1128, on its prior).
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import betaln
from hbm_stan.likelihoods.likelihood import Likelihood, Own, Residual, Rows
from hbm_stan.prepare import Role
from hbm_stan.priors import FIXED, SCALES, PriorRow
from hbm_stan.table import FloatArray

LEAST_NU = 2.0
_LEAST = 1e-9  # of the largest outcome: a scale that is rounding error
# Degrees of freedom that are tried where rows are fitted without a posterior, and steps to the scale with each (ours).
_TRIED, _STEPS = (2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 50.0), 50


def _y(rows: Rows) -> FloatArray:
    return np.asarray(rows["y"], dtype=float)


def _kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    sigma, nu = own["sigma"], own["nu"]
    # log Gamma((nu + 1) / 2) - log Gamma(nu / 2) as a beta function: it does not cancel where nu is large.
    constant = -betaln(nu / 2, 0.5) - np.log(nu) / 2 - np.log(sigma)
    return np.asarray(constant - (nu + 1) / 2 * np.log1p(((_y(rows) - eta) / sigma) ** 2 / nu))


def _score(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    off = _y(rows) - eta
    return np.asarray(_majorant(eta, rows, own) * off)


def _majorant(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    return np.asarray((own["nu"] + 1) / (own["nu"] * own["sigma"] ** 2 + (_y(rows) - eta) ** 2))


def _information(own: Own) -> FloatArray:
    """What a row is expected to say of eta: of y known to be far away minus the second derivative is below 0."""
    return np.asarray((own["nu"] + 1) / ((own["nu"] + 3) * own["sigma"] ** 2))


def _weight(eta: FloatArray, _rows: Rows, own: Own) -> FloatArray:
    return np.broadcast_to(_information(own), eta.shape)


def _row_weights(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    return np.asarray(own["nu"] / (own["nu"] + ((_y(rows) - eta) / own["sigma"]) ** 2))


def _moments(eta: FloatArray, _rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
    """The variance is infinite at nu = 2."""
    more = np.maximum(own["nu"] - 2, 0.0)
    with np.errstate(divide="ignore"):
        variance = own["nu"] / more * own["sigma"] ** 2
    return eta, np.broadcast_to(variance, eta.shape)


def _simulate(rng: np.random.Generator, eta: FloatArray, _rows: Rows, own: Own) -> FloatArray:
    return np.asarray(eta + own["sigma"] * rng.standard_t(np.broadcast_to(own["nu"], eta.shape)))


def _own_about(eta: FloatArray, rows: Rows, freedom: float, fixed: Own) -> Own:
    """By maximum likelihood, the sum of weighted squares over degrees of freedom, not rows."""
    if freedom <= 0:
        return {"sigma": np.array([math.nan]), "nu": np.array([math.nan])}
    squares = (_y(rows) - eta) ** 2
    least = _LEAST * float(np.abs(_y(rows)).max(initial=0)) or _LEAST
    nu = np.asarray(fixed.get("nu", _TRIED))
    sigma = np.full(nu.shape, max(1.4826 * math.sqrt(float(np.median(squares))), least))
    for _ in range(_STEPS):
        weight = (nu + 1)[:, None] / (nu[:, None] + squares / sigma[:, None] ** 2)
        sigma = np.maximum(np.sqrt((weight * squares).sum(axis=1) / freedom), least)
    fits = [float(_kernel(eta, rows, {"sigma": s, "nu": n}).sum()) for s, n in zip(sigma, nu, strict=True)]
    best = [int(np.argmax(fits))]
    return {"sigma": sigma[best], "nu": nu[best]}


LIKELIHOOD = Likelihood(
    name="student_t",
    title="Student-t",
    citation="Lange, Little & Taylor (1989), Journal of the American Statistical Association 84:881",
    math=('y_n tilde "Student-t"(nu, eta_n, sigma), quad nu >= 2, quad n = 1, dots, N',),
    roles=(Role(name="outcome", kind="number", meaning="outcome of the row"),),
    kernel=_kernel,
    constant=lambda rows: np.zeros(len(rows["y"])),
    score=_score,
    weight=_weight,
    expected=_weight,
    majorant=_majorant,
    peak=_y,
    row_weights=_row_weights,
    simulate=_simulate,
    moments=_moments,
    inverse_link=lambda eta: eta,
    residual=Residual(
        name="the residual",
        note="The variance of the residual is what one row leaves open of its mean, sigma² (nu + 3) / (nu + 1): gross "
        "errors do not count in it. Outcomes themselves have the variance sigma² nu / (nu - 2).",
        variance=lambda _rows, own: 1 / _information(own),
    ),
    own=(
        PriorRow(name="sigma", distributions=SCALES, meaning="scale of a row about its mean, gross errors apart",
                 source="Gelman (2006), Bayesian Analysis 1:515", role="outcome"),
        PriorRow(name="nu", distributions=(*SCALES, FIXED),
                 meaning="degrees of freedom: near 2 gross errors are common, above 30 rows are normal",
                 source="Juarez & Steel (2010), Journal of Applied Econometrics 25:1128", lower=LEAST_NU),
    ),
    own_about=_own_about,
    rows_words="Student-t rows",
    ladder="numbers",
    known_residual=False,
)  # fmt: skip
