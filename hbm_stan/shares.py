"""The share of variance by factor of a formula's model: a posterior, beside what factors leave of a row.

Goldstein, Browne & Rasbash (2002), Understanding Statistics 1:223; on the scale of the linear predictor as Nakagawa,
Johnson & Schielzeth (2017), Journal of the Royal Society Interface 14:20170213; with varying slopes the mean over rows,
as Johnson (2014), Methods in Ecology and Evolution 5:944.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hbm_stan.design import Design
from hbm_stan.diagnose import summarise
from hbm_stan.families.terms.effects import factor_of, terms_of
from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import Residual
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray


@dataclass(frozen=True)
class VarianceShares:
    """The share of each factor and of the residual, last: a summary as of parameters, with ``levels`` (0 for the
    residual) and ``sd_q50``, the median of the sd; ``note`` says what the residual is."""

    table: pd.DataFrame
    note: str


def variances(draws: Draws, data: StanData, design: Design) -> dict[str, FloatArray]:
    """The variance that the levels of each factor bring into the linear predictor, (S,), by factor.

    Of a row it is z' Sigma z, over the terms of the factor; of all rows the mean: the sum of the elements of Sigma
    times those of the mean of z z'.
    """
    by_factor: dict[str, FloatArray] = {}
    for own, term in zip(design.terms, terms_of(data), strict=True):
        z = term.level.columns
        # The trace of A' (Z'Z / N) A, where Sigma = A A'; squares, so that rounding leaves nothing below 0.
        half = np.linalg.qr(z / np.sqrt(len(z)), mode="r")
        variance = np.sum((half @ factor_of(term, draws, data)) ** 2, axis=(1, 2))
        by_factor[own.factor.name] = by_factor.get(own.factor.name, 0.0) + variance
    return by_factor


def shares(by_factor: Mapping[str, FloatArray], residual: FloatArray) -> dict[str, FloatArray]:
    """Each variance over the sum of all and of the residual, (S,): between 0 and 1, together with the rest 1."""
    total = sum(by_factor.values(), np.asarray(residual))
    with np.errstate(invalid="ignore"):  # nothing varies at all: no share
        return {name: np.asarray(variance / total) for name, variance in by_factor.items()}


def variance_shares(fit: Fit) -> VarianceShares | None:
    """The shares of a fit of a formula; None for other families, and without a population of groups to learn."""
    design = fit.table.design
    if design is None or fit.pooling != "partial":
        return None
    given = likelihood(fit.family.name)
    draws = fit.draws()
    by_factor = variances(draws, fit.data, design)
    residual = np.broadcast_to(given.residual.variance(fit.data, draws), (fit.n_draws,))
    return _summary(fit, design, {**by_factor, given.residual.name: residual}, given.residual)


def _summary(fit: Fit, design: Design, every: Mapping[str, FloatArray], residual: Residual) -> VarianceShares:
    shape = fit.shape
    of_all = shares(every, np.zeros(fit.n_draws))
    table = summarise(list(of_all), np.array([s.reshape(shape) for s in of_all.values()]))
    table["levels"] = [*(len(factor.labels) for factor in design.factors), 0]
    table["sd_q50"] = [float(np.median(np.sqrt(variance))) for variance in every.values()]
    return VarianceShares(table, residual.note)
