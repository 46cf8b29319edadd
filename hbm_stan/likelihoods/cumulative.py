"""Ordered categories, with eta the log odds of a higher category (McCullagh 1980; Agresti 2010, chapter 3).

P(y <= k) = inv_logit(threshold[k] - eta): a logistic variable about eta is cut at thresholds. eta has no intercept, in
whose place the thresholds stand. The probability of a category is a product of two Bernoulli probabilities and of what
depends on thresholds alone, so that log p is concave in eta and has short derivatives.
"""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.later import expit
from hbm_stan.likelihoods.likelihood import ODDS, Likelihood, Own, OwnVector, Residual, Rows
from hbm_stan.prepare import Role
from hbm_stan.priors import PriorRow
from hbm_stan.table import FloatArray
from hbm_stan.thresholds import fitting, log_between, log_induced_dirichlet, log_shares, of_shares, with_ends

_HALF = 0.5  # a row of each category more, so that one that nobody chose has thresholds: Jeffreys' prior of shares


def _thresholds(own: Own) -> FloatArray:
    return np.asarray(own["threshold"])[..., 0, :]


def _ends(eta: FloatArray, rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
    """How far the thresholds below and above the category of each row lie from eta; infinite at the ends."""
    ends, y = with_ends(_thresholds(own)), np.asarray(rows["y"], dtype=np.int64)
    leading = np.broadcast_shapes(ends.shape[:-1], y.shape[:-1])
    y = np.broadcast_to(y, (*leading, y.shape[-1]))
    ends = np.broadcast_to(ends, (*leading, ends.shape[-1]))
    lower, upper = (np.take_along_axis(ends, place, axis=-1) for place in (y - 1, y))
    return lower - eta, upper - eta


def _kernel(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    return log_between(*_ends(eta, rows, own))


def _score(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    lower, upper = _ends(eta, rows, own)
    return np.asarray(expit(lower) - expit(-upper))


def _weight(eta: FloatArray, rows: Rows, own: Own) -> FloatArray:
    lower, upper = _ends(eta, rows, own)
    return np.asarray(expit(lower) * expit(-lower) + expit(upper) * expit(-upper))


def category_shares(eta: FloatArray, own: Own) -> FloatArray:
    """The probability of each category, (..., N, K)."""
    return np.asarray(np.exp(log_shares(_thresholds(own)[..., None, :], eta)))


def _expected(eta: FloatArray, _rows: Rows, own: Own) -> FloatArray:
    ends = with_ends(_thresholds(own))[..., None, :] - eta[..., None]
    score = expit(ends[..., :-1]) - expit(-ends[..., 1:])
    return np.asarray((category_shares(eta, own) * score**2).sum(axis=-1))


def _moments(eta: FloatArray, _rows: Rows, own: Own) -> tuple[FloatArray, FloatArray]:
    """Of the numbers of categories, from 1."""
    shares = category_shares(eta, own)
    number = np.arange(1, shares.shape[-1] + 1)
    mean = (shares * number).sum(axis=-1)
    return mean, (shares * (number - mean[..., None]) ** 2).sum(axis=-1)


def _simulate(rng: np.random.Generator, eta: FloatArray, _rows: Rows, own: Own) -> FloatArray:
    latent = eta + rng.logistic(size=eta.shape)
    thresholds = _thresholds(own)
    return np.asarray(1.0 + sum(latent > thresholds[..., k, None] for k in range(thresholds.shape[-1])))


def _start(rows: Rows) -> FloatArray:
    """From the shares of categories."""
    counts = np.bincount(np.asarray(rows["y"], dtype=np.int64), minlength=int(rows["categories"]) + 1)[1:]
    return of_shares(np.asarray(counts + _HALF))[None]


def _own_about(eta: FloatArray, rows: Rows, freedom: float, _fixed: Own) -> Own:
    """Thresholds at which as many rows as there are up to each category are expected.

    About eta less its mean, that of offsets apart: rows know nothing of where both lie together, and thresholds are
    where groups deviate by 0 on average.
    """
    size = int(rows["categories"])
    if freedom <= 0:
        return {"threshold": np.full((1, size - 1), math.nan)}
    counts = np.bincount(np.asarray(rows["y"], dtype=np.int64), minlength=size + 1)[1:] + _HALF
    below = np.cumsum(counts)[:-1] / counts.sum() * len(eta)
    return {"threshold": fitting(eta - eta.mean() + np.mean(rows["offset_"]), below)[None]}


THRESHOLD = OwnVector(
    row=PriorRow(
        name="threshold", distributions=("dirichlet",),
        meaning="threshold between categories, log odds",
        source="Betancourt (2019), Ordinal regression, section 2.2",
    ),
    dim="cut",
    log_prior=lambda value, data: float(log_induced_dirichlet(value, float(data["prior_threshold"]))),
    draw=lambda rng, data, size: of_shares(
        rng.dirichlet(np.full(int(data["categories"]), float(data["prior_threshold"])), size)
    ),
    start=_start,
)  # fmt: skip

LIKELIHOOD = Likelihood(
    name="cumulative",
    title="Ordered categories, cumulative logit",
    citation="McCullagh (1980), Journal of the Royal Statistical Society B 42:109",
    math=(
        'P(y_n <= k) = "logit"^(-1)("threshold"_k - eta_n), quad k = 1, dots, K - 1, quad n = 1, dots, N',
        '"threshold"_1 < dots < "threshold"_(K - 1)',
    ),
    roles=(Role(name="outcome", kind="ordered", meaning="category of the row, in order"),),
    kernel=_kernel,
    constant=lambda rows: np.zeros(len(rows["y"])),
    score=_score,
    weight=_weight,
    expected=_expected,
    simulate=_simulate,
    moments=_moments,
    inverse_link=lambda eta: eta,
    residual=Residual(
        name="a single row",
        note="On the scale of log odds a single row has the variance of the logistic distribution, π²/3 "
        "(McKelvey & Zavoina 1975).",
        variance=lambda _rows, _own: np.asarray(math.pi**2 / 3),
    ),
    vectors=(THRESHOLD,),
    own_about=_own_about,
    eta_unit="log odds",
    shared_words="The thresholds, which no {group} alone could teach, are shared.",
    ratio_words="odds ratio",
    factor=ODDS,
    ratio_note="odds of a higher category",
    rows_words="ordered categories",
    ladder="ordered",
)  # fmt: skip
