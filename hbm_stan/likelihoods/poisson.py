"""Counts with their exposure, with eta the log of the rate (McCullagh & Nelder 1989, chapter 6)."""

from __future__ import annotations

import numpy as np

from hbm_stan.later import gammaln, xlogy
from hbm_stan.likelihoods.likelihood import LARGEST_MEAN, RATE, Likelihood, Own, Residual, Rows
from hbm_stan.prepare import Role
from hbm_stan.table import FloatArray


def _y_e(rows: Rows) -> tuple[FloatArray, FloatArray]:
    return np.asarray(rows["y"], dtype=float), np.asarray(rows["exposure"], dtype=float)


def mean_counts(eta: FloatArray, rows: Rows) -> FloatArray:
    """The expected count of each row, the shape of eta."""
    return np.asarray(_y_e(rows)[1] * np.exp(eta))


def _kernel(eta: FloatArray, rows: Rows, _own: Own) -> FloatArray:
    return np.asarray(_y_e(rows)[0] * eta - mean_counts(eta, rows))


def _constant(rows: Rows) -> FloatArray:
    y, exposure = _y_e(rows)
    return np.asarray(xlogy(y, exposure) - gammaln(y + 1))


def _simulate(rng: np.random.Generator, eta: FloatArray, rows: Rows, _own: Own) -> FloatArray:
    return np.asarray(rng.poisson(np.minimum(mean_counts(eta, rows), LARGEST_MEAN)), dtype=float)


def _moments(eta: FloatArray, rows: Rows, _own: Own) -> tuple[FloatArray, FloatArray]:
    mean = mean_counts(eta, rows)
    return mean, mean


def _residual(rows: Rows, _own: Own) -> FloatArray:
    y = _y_e(rows)[0]
    return np.asarray(np.log1p(len(y) / (y.sum() + 0.5)))  # half a count more: all may be 0


LIKELIHOOD = Likelihood(
    name="poisson",
    title="Poisson",
    citation="McCullagh & Nelder (1989), Generalized Linear Models, 2nd ed., chapter 6",
    math=('y_n tilde "Poisson"("exposure"_n exp(eta_n)), quad n = 1, dots, N',),
    roles=(
        Role(name="outcome", kind="count", meaning="number of events"),
        Role(
            name="exposure",
            kind="positive",
            meaning="time, area or number that the count comes from; 1 if left out",
            optional=True,
        ),
    ),
    kernel=_kernel,
    constant=_constant,
    score=lambda eta, rows, _own: _y_e(rows)[0] - mean_counts(eta, rows),
    weight=lambda eta, rows, _own: mean_counts(eta, rows),
    simulate=_simulate,
    moments=_moments,
    inverse_link=np.exp,
    residual=Residual(
        name="a single count",
        note="On the scale of log rates a single count has the variance log(1 + 1/m), m being the mean of the counts "
        "(the lognormal approximation of Nakagawa, Johnson & Schielzeth 2017).",
        variance=_residual,
    ),
    size="exposure",
    eta_unit="log rate",
    measure=RATE,
    ratio_words="rate ratio",
    factor=RATE,
    rows_words="Poisson counts",
    ladder="counts",
    wider="negative_binomial",
)
