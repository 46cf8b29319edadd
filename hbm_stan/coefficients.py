"""The common coefficients of a formula's model as a reader wants them: with the intercept at the means of the columns
and where all columns are zero, and, where the link is a log or a logit, as ratios."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hbm_stan.design import Design
from hbm_stan.diagnose import summarise
from hbm_stan.families.terms.effects import factor_of, terms_of
from hbm_stan.fit import Fit
from hbm_stan.later import expit
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Draws, StanData
from hbm_stan.predictors import INTERCEPT
from hbm_stan.table import FloatArray

AT_MEANS, AT_ZERO = "at the means of the columns", "where all columns are 0"
_QUANTILES = ("q50", "q05", "q95")


def intercept_place(design: Design) -> str:
    """Where the intercept of a design stands; an empty text where there are no columns that could be elsewhere."""
    if len(design.names) <= 1 and not design.means.any() and not design.term_means.any():
        return ""
    if not design.means.any():
        return AT_ZERO
    columns = [design.encode.parts_of(name) for name in design.names if name != INTERCEPT]
    alone = columns[0] if len(columns) == 1 and len(columns[0]) == 1 else ()
    return f"at the mean of {alone[0].written}" if alone and alone[0].level is None else AT_MEANS


def spread_place(design: Design, factor: str = "") -> str:
    """Where the sd of the intercept between levels of a factor (the group) is that sd; empty where it is everywhere."""
    name = factor or design.pooled.name
    varying = {column for term in design.terms if term.factor.name == name for column in term.names}
    return intercept_place(design) if varying - {INTERCEPT} else ""


def intercept_at_zero(beta: FloatArray, design: Design) -> FloatArray:
    """The intercept where every column is 0 as it was read, (S,), from the coefficients (S, P) of centred columns."""
    return np.asarray(beta[:, design.names.index(INTERCEPT)] - beta @ design.means)


def sds_at_zero(draws: Draws, data: StanData, design: Design) -> dict[str, tuple[FloatArray, FloatArray]]:
    """The sd of the intercept between levels, at the means of the columns and where they are 0, (S,) each, by factor.

    Only of factors with slopes of centred columns beside the intercept. Where columns are 0 a level's intercept is
    u_0 - sum_k m_k u_k, m_k being what was taken off column k.
    """
    sds: dict[str, tuple[FloatArray, FloatArray]] = {}
    means = np.split(design.term_means, np.cumsum([len(term.names) for term in design.terms])[:-1])
    for factor in design.factors:
        own = [t for t, term in enumerate(design.terms) if term.factor.name == factor.name]
        intercepts = [np.array([float(name == INTERCEPT) for name in design.terms[t].names]) for t in own]
        if not np.concatenate(intercepts).any() or not any(means[t].any() for t in own):
            continue
        factors = [factor_of(terms_of(data)[t], draws, data) for t in own]
        sds[factor.name] = (
            _sd(intercepts, factors),
            _sd([one - means[t] for one, t in zip(intercepts, own, strict=True)], factors),
        )
    return sds


def _sd(weights: Sequence[FloatArray], factors: Sequence[FloatArray]) -> FloatArray:
    """The sd of a weighted sum of a level's coefficients, (S,): terms are independent of each other."""
    return np.asarray(np.sqrt(sum(np.sum((w @ a) ** 2, axis=1) for w, a in zip(weights, factors, strict=True))))


def coefficient_table(fit: Fit) -> pd.DataFrame:
    """One row for each common coefficient, in the order of the columns, the intercept twice where columns are centred.

    A summary as of parameters, with ``name``, ``place`` (of an intercept), ``indicator`` (whether a level of a category
    is in the column), ``q25``, ``q75``, ``p_positive``, ``column_sd`` and, but for the intercept, ``ratio_q50``,
    ``ratio_q05``, ``ratio_q95`` with their errors where the likelihood has a ratio. Empty without
    columns.
    """
    design = fit.table.design
    if design is None or not design.names:
        return pd.DataFrame()
    beta = fit.draws("beta")["beta"]
    place = {INTERCEPT: intercept_place(design)}
    rows = [(name, place.get(name, ""), b) for name, b in zip(design.names, beta.T, strict=True)]
    if design.means.any() and INTERCEPT in design.names:
        rows.insert(design.names.index(INTERCEPT) + 1, (INTERCEPT, AT_ZERO, intercept_at_zero(beta, design)))
    names, places, draws = zip(*rows, strict=True)
    table = _summary(fit, names, draws)
    table.insert(0, "name", names)
    table["place"] = places
    table["indicator"] = [_is_indicator(design, name) for name in names]
    for prob in (0.25, 0.75):
        table[f"q{round(100 * prob)}"] = [float(np.quantile(d, prob)) for d in draws]
    table["p_positive"] = [float(np.mean(d > 0)) for d in draws]
    table["column_sd"] = [float(np.std(design.X[:, design.names.index(n)])) for n in names]
    if likelihood(fit.family.name).ratio_words:
        with np.errstate(over="ignore"):
            ratios = _summary(fit, names, [np.exp(d) for d in draws])
        for key in (*_QUANTILES, *(f"mcse_{q}" for q in _QUANTILES)):
            table[f"ratio_{key}"] = np.where(table["name"] == INTERCEPT, np.nan, ratios[key])
    return table


def _is_indicator(design: Design, name: str) -> bool:
    return any(part.level is not None for part in design.encode.parts_of(name))


def share_table(fit: Fit, name: str) -> pd.DataFrame:
    """The coefficients of an own parameter of the likelihood that add up to log odds, a row for each column.

    A summary as of parameters, with ``name``, ``p_positive`` and odds ratios as in ``coefficient_table``; of the
    intercept these columns are the share itself, where the other columns are at their means.
    """
    design = fit.table.design
    if design is None:
        return pd.DataFrame()
    names, draws = design.beside[name].names, list(fit.draws(name)[name].T)
    table = _summary(fit, names, draws)
    table.insert(0, "name", names)
    table["indicator"] = [_is_indicator(design, name) for name in names]
    table["p_positive"] = [float(np.mean(d > 0)) for d in draws]
    with np.errstate(over="ignore"):
        values = [expit(d) if n == INTERCEPT else np.exp(d) for n, d in zip(names, draws, strict=True)]
    ratios = _summary(fit, names, values)
    for key in (*_QUANTILES, *(f"mcse_{q}" for q in _QUANTILES)):
        table[f"ratio_{key}"] = ratios[key]
    return table


def sd_table(fit: Fit) -> pd.DataFrame:
    """The sds of ``sds_at_zero``, two rows for each factor: a summary as of parameters, with ``factor`` and ``place``.

    Without the group where its intercept has no population.
    """
    design = fit.table.design
    by_factor = {} if design is None else sds_at_zero(fit.draws(), fit.data, design)
    if design is not None and fit.pooling != "partial":
        by_factor.pop(design.pooled.name, None)
    middle = AT_MEANS if design is None or not design.means.any() else intercept_place(design)
    rows = [(n, place, sd) for n, sds in by_factor.items() for place, sd in zip((middle, AT_ZERO), sds, strict=True)]
    if not rows:
        return pd.DataFrame()
    names, places, draws = zip(*rows, strict=True)
    table = _summary(fit, names, draws)
    table.insert(0, "factor", names)
    table["place"] = places
    return table


def _summary(fit: Fit, names: tuple[str, ...], draws: object) -> pd.DataFrame:
    shape = (len(names), *fit.shape)
    return summarise(list(names), np.array(draws).reshape(shape)).reset_index(drop=True)
