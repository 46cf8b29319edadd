"""The answer of a formula's model in words: common coefficients, other factors, and where the variance lies."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.elements import base_of, term_of
from hbm_stan.likelihoods import likelihood
from hbm_stan.nouns import capital
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.coefficients import (
    Coefficient,
    Coefficients,
    RowShare,
    for_one_more,
    how_large,
    of_ratio,
)
from hbm_stan.results.digits import format_probability
from hbm_stan.results.intervals import estimate, in_unit, listed, numbers
from hbm_stan.results.meanings import column_of, meanings
from hbm_stan.results.shares import Share, VarianceShares
from hbm_stan.results.summary import Interval
from hbm_stan.results.terms import unit_of_term
from hbm_stan.results.units import observed_unit

if TYPE_CHECKING:
    import pandas as pd

    from hbm_stan.fit import Fit

# Up to so many coefficients have a sentence each; more are listed in one (ours).
_SENTENCES = 3
# Rows that say less than this share of what one at its mean would are told, so many by name, from so many draws (ours).
_LITTLE, _LISTED, _DRAWS = 0.2, 5, 500


def coefficient_sentences(fit: Fit, coefficients: Coefficients, unit: str) -> list[str]:
    """What the common coefficients are, as ratios where there are some, and the intercept in the middle of the data."""
    slopes = coefficients.slopes
    ratio, of_what = coefficients.ratio, f" ({coefficients.ratio_note})" * bool(coefficients.ratio_note)
    if len(slopes) > _SENTENCES:
        what = f"{capital(ratio)}s{of_what}" if ratio else "Common coefficients"
        sentences = [listed(f"{what} for one unit more of a column", {r.name: _shown(r, ratio) for r in slopes})]
    else:
        sentences = [_slope(fit, row, ratio, of_what, unit) for row in slopes]
    return [*sentences, *(_intercept(fit, row, unit) for row in coefficients.rows[:1] if row.name == INTERCEPT)]


def _shown(row: Coefficient, ratio: str) -> Coefficient | Interval:
    return of_ratio(row) if ratio else row


def _slope(fit: Fit, row: Coefficient, ratio: str, of_what: str, unit: str) -> str:
    positive = format_probability(row.p_positive, fit.n_draws)
    if ratio:
        what, against = f"The {ratio} {for_one_more(row)}{of_what}", "1"
        value = estimate(of_ratio(row), posterior=True)
    else:
        what, against = f"The common coefficient of {row.name}", "zero"
        value = estimate(row, unit_of_term(row.name, unit), posterior=True)
    return f"{what} is about {value}; the probability that it is above {against} is {positive}."


def _intercept(fit: Fit, row: Coefficient, unit: str) -> str:
    what = f"The common intercept, {row.place}," if row.place else "The common intercept"
    clause = f"{capital(what)} is about {estimate(row, unit, posterior=True)}"
    given = likelihood(fit.family.name)
    if given.factor is None:
        return f"{clause}."
    centre, low, high = numbers(_as_mean(fit, row))
    return f"{clause}, which is a {given.measure.words} of {in_unit(centre, observed_unit(fit))} ({low} to {high})."


def _as_mean(fit: Fit, row: Coefficient) -> Interval:
    """The quantiles of the intercept as means of a trial or a unit of exposure, with their errors."""
    link = likelihood(fit.family.name).inverse_link
    quantiles: dict[str, float] = {}
    for key in ("q05", "q50", "q95"):
        middle, error = getattr(row, key), getattr(row, f"mcse_{key}")
        ends = link(np.array([middle, middle - error / 2, middle + error / 2]))
        quantiles |= {key: float(ends[0]), f"mcse_{key}": float(ends[2] - ends[1])}
    return Interval(**quantiles)


def other_spreads(fit: Fit, summary: pd.DataFrame, unit: str) -> list[str]:
    """How much the levels of factors that are not the group differ."""
    design = fit.table.design
    if design is None:
        return []
    rows = [str(name) for name in summary.index if base_of(str(name)) == "sd"]
    if len(rows) > _SENTENCES:
        return [listed("Standard deviations between levels of other factors", {
            term_of(name): summary.loc[name].to_dict() for name in rows
        })]  # fmt: skip
    sentences, words = [], meanings(design, fit.table.noun)
    for name in rows:
        value = estimate(summary.loc[name].to_dict(), unit_of_term(column_of(design, name), unit))
        sentences.append(f"The {words[name]} is about {value}.")
    return sentences


def own_sentences(fit: Fit, summary: pd.DataFrame, coefficients: Coefficients | None) -> list[str]:
    """What the likelihood's own parameters without a unit are: how much rows spread beyond the plainest likelihood."""
    own = likelihood(fit.family.name).own if fit.family.terms else ()
    rows = [row for row in own if not row.role and row.name in summary.index]
    values = [estimate(summary.loc[row.name].to_dict()) for row in rows]
    sentences = [f"{capital(r.name)} ({r.meaning}) is about {value}." for r, value in zip(rows, values, strict=True)]
    shares = coefficients.shares if coefficients else []
    return sentences + [sentence for share in shares for sentence in _of_share(fit, share)]


def _of_share(fit: Fit, share: RowShare) -> list[str]:
    """How large a share of the rows is, and what multiplies its odds."""
    slopes = [row for row in share.rows if row.name != INTERCEPT][:_SENTENCES]
    sentences = [
        f"The odds ratio of {share.what} {for_one_more(row)} is about {estimate(of_ratio(row))}; the "
        f"probability that it is above 1 is {format_probability(row.p_positive, fit.n_draws)}."
        for row in slopes
    ]
    return [how_large(share), *sentences]


def weight_sentences(fit: Fit) -> list[str]:
    """Which rows say less than a fifth of what a row at its mean would; nothing where all rows say the same."""
    family = fit.family
    step = max(1, fit.n_draws // _DRAWS)
    draws = {name: values[::step] for name, values in fit.draws().items()}
    weights = family.twin.row_weights(draws, fit.data) if family.twin.row_weights is not None else None
    if weights is None:
        return []
    low = [int(i) for i in np.argsort(weights) if weights[i] < _LITTLE]
    if not low:
        return ["Every row says at least a fifth of what a row at its mean would: there are no gross errors."]
    names = fit.table.row_names
    shown = ", ".join(f"{names[i]} {weights[i]:.2f}" for i in low[:_LISTED])
    more = f" and {len(low) - _LISTED} more" if len(low) > _LISTED else ""
    rows = "row says" if len(low) == 1 else "rows say"
    return [f"{len(low)} of {len(weights):,} {rows} less than a fifth of what a row at its mean would: {shown}{more}."]


def share_sentence(shares: VarianceShares) -> list[str]:
    """Where the variance lies that common columns leave."""
    *factors, residual = shares.rows
    parts = [f"{_percent(row)} {'' if k else 'lies '}between {row.many}" for k, row in enumerate(factors)]
    parts.append(f"{_percent(residual)} is left to {residual.name}")
    split = f"{', '.join(parts[:-1])}, and {parts[-1]}"
    return [f"Of {shares.whole}, {split} (medians and 90 % intervals)."]


def _percent(row: Share) -> str:
    centre, low, high = numbers(Interval(**{named.name: 100 * getattr(row, named.name) for named in fields(Interval)}))
    return f"{centre} % ({low} to {high})"
