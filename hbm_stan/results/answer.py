"""The answer in words, from numbers that passed their checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from hbm_stan.between import intercept_place
from hbm_stan.coefficients import intercept_place as formula_place
from hbm_stan.coefficients import spread_place
from hbm_stan.diagnose import draws_of
from hbm_stan.elements import base_of, in_term, term_of, term_words
from hbm_stan.nouns import GROUPS, Noun, capital
from hbm_stan.predict import Y_NEW, NewGroup, is_ratio
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.coefficients import coefficients_of
from hbm_stan.results.digits import format_probability, significant
from hbm_stan.results.formula_answer import (
    coefficient_sentences,
    other_spreads,
    own_sentences,
    share_sentence,
    weight_sentences,
)
from hbm_stan.results.intervals import estimate, in_unit, listed
from hbm_stan.results.ratios import ratio_answer
from hbm_stan.results.shares import shares_of
from hbm_stan.results.spreads import differences
from hbm_stan.results.terms import unit_of_term, varying
from hbm_stan.results.together import differ, joined, pairs_of, targeted
from hbm_stan.results.units import own_meaning, quantity_unit, zero_matters
from hbm_stan.scores import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hbm_stan.analysis.read import Analysis
    from hbm_stan.comparison import Comparison
    from hbm_stan.fit import Fit
    from hbm_stan.judge import Pair
    from hbm_stan.results.collect import Findings

# That groups hardly differ is mentioned where it has at least this probability (ours).
MENTIONED = 0.05
# Up to so many terms have a sentence each; more are listed in one (ours).
_SENTENCES = 3


def answer(analysis: Analysis, findings: Findings) -> list[str]:
    """Sentences for page one; where a check failed, why there is no answer."""
    if findings.withheld:
        failed = [name for name, d in findings.diagnoses.items() if d.status == "fail"]
        named = ", ".join(plain(name) for name in failed)
        return [f"No conclusion is drawn: {named} did not pass {'their' if len(failed) > 1 else 'its'} checks."]
    main, noun = findings.fits[analysis.main_variant], analysis.noun
    pooling = main.family.variant(main.variant).pooling
    unit = quantity_unit(main)
    summary = findings.diagnoses[main.variant].summary
    comparisons = [c for c in (findings.comparison, findings.group_comparison) if c is not None]
    complete = next((name for name, fit in findings.fits.items() if fit.pooling == "complete"), "")
    pairs = pairs_of(comparisons, main.variant, complete) if pooling == "partial" else []
    # With one target it need not be named.
    apart, named = differ(pairs, main.variant), noun.one if len(comparisons) > 1 else ""
    sentences: list[str] = []
    coefficients, shares = coefficients_of(main), shares_of(main)
    if pooling == "no":
        sentences.append(
            f"Without pooling, each {noun.one} is estimated by itself: there is no common answer, and none for a new "
            f"{noun.one}."
        )
    elif is_ratio(main):
        near = _near_zero(main, "tau", "", unit, noun) if pooling == "partial" and not apart else ""
        average, *rest = ratio_answer(main, summary, findings.new_group, near, noun)
        sentences += [average, *joined(rest[:1], pairs, main.variant, noun=named), *rest[1:]]
    elif main.table.design is not None:
        sentences += coefficient_sentences(main, coefficients, unit) if coefficients else []
    else:
        sentences += _averages(main, summary, unit, noun) or _population(main, summary)
        sentences += _effects(main, summary)
    if pooling == "partial" and not is_ratio(main):
        sentences += joined(_spreads(main, summary, unit, noun, differ=apart), pairs, main.variant, noun=named)
        sentences += (
            other_spreads(main, summary, unit) + own_sentences(main, summary, coefficients) + weight_sentences(main)
        )
        sentences += share_sentence(shares) if shares else []
        sentences += [] if findings.new_group is None else _new(main, findings.new_group, summary, unit, noun)
    return sentences + comparison_sentences(comparisons, [pair for _, pair in pairs], noun=named)


def comparison_sentences(comparisons: Sequence[Comparison], already: Sequence[Pair], *, noun: str) -> list[str]:
    """What the scores say, but of pairs that were spoken of; of a ranking that is withheld, only that and why.

    ``noun`` is what a group is called where the target has to be named.
    """
    sentences = []
    for comparison in comparisons:
        kinds = {"withheld"} if comparison.withheld else {"pair", "unranked", "chance"}
        shown = [s.text for s in comparison.sentences if s.kind in kinds and s.pair not in already]
        sentences += [targeted(text, comparison, noun=noun) for text in shown]
    return sentences


def _of_terms(summary: pd.DataFrame, name: str) -> dict[str, str]:
    """The rows of the summary that belong to a population parameter: term (empty for a single one) -> row."""
    return {term_of(str(row)): str(row) for row in summary.index if base_of(str(row)) == name}


def _quantity(fit: Fit, term: str, *, spread: bool = False) -> str:
    """A group's coefficient in words; of an intercept where it stands, and of its ``spread`` where that matters."""
    if term:
        place = intercept_place(fit) if term == INTERCEPT else ""
        if fit.table.design is not None and term == INTERCEPT:
            if not spread and INTERCEPT not in fit.table.design.names:
                return "intercept's deviation from the average"  # thresholds, or nothing, stand in an average's place
            place = spread_place(fit.table.design) if spread else formula_place(fit.table.design)
        return f"{term_words(term)} ({place})" if place else term_words(term)
    return own_meaning(fit)


def _averages(fit: Fit, summary: pd.DataFrame, unit: str, noun: Noun = GROUPS) -> list[str]:
    rows = _of_terms(summary, "mu")
    complete = fit.pooling == "complete"
    if len(rows) > _SENTENCES:
        what = f"The coefficients that all {noun.many} are assumed to share"
        what = what if complete else f"The average coefficients over the population of {noun.many}"
        return [listed(what, {term: summary.loc[row] for term, row in rows.items()})]
    sentences = []
    for term, row in rows.items():
        what = f"The {' '.join(filter(None, ['average', _quantity(fit, term)]))} over the population of {noun.many}"
        what += (
            f" (where predictors of {noun.many} are 0)"
            if term in {"", INTERCEPT} and "gamma" in fit.named["posterior"]
            else ""
        )
        if complete:
            what = f"The {_quantity(fit, term) or 'value'} that all {noun.many} are assumed to share"
        sentence = f"{what} is about {estimate(summary.loc[row], unit_of_term(term, unit), posterior=True)}"
        sentences.append(sentence + _above_zero(fit, row, term))
    return sentences


def _effects(fit: Fit, summary: pd.DataFrame) -> list[str]:
    """Population parameters with a label of their own, such as the effects of predictors of groups."""
    meanings = {row.name: fit.table.noun.fill(row.meaning) for row in fit.family.programs.prior_rows}
    usual = {"mu", fit.family.groups.population_scale}
    names = [n for n in fit.family.programs.population if n in meanings and n not in usual]
    rows = [(n, term, row) for n in names for term, row in _of_terms(summary, n).items() if term and "," not in term]
    return [
        f"The {in_term(meanings[n], term)} is about {estimate(summary.loc[row], '', posterior=True)}"
        + _above_zero(fit, row, term)
        for n, term, row in rows[:_SENTENCES]
    ]


def _population(fit: Fit, summary: pd.DataFrame) -> list[str]:
    """Of a family without mu (a user's own): its first population parameters by their names."""
    rows = [row for name in fit.family.programs.population for row in _of_terms(summary, name).values()]
    return [f"{row} is about {estimate(summary.loc[row], '', posterior=True)}." for row in rows[:_SENTENCES]]


def _above_zero(fit: Fit, row: str, term: str) -> str:
    if not zero_matters(fit, term):
        return "."
    positive = format_probability(float(np.mean(draws_of(fit, row) > 0)), fit.n_draws)
    return f"; the probability that it is above zero is {positive}."


def _spreads(fit: Fit, summary: pd.DataFrame, unit: str, noun: Noun = GROUPS, *, differ: bool) -> list[str]:
    """How much groups differ; an interval of a scale never holds 0, so what is near 0 is said in words.

    ``differ`` says that the scores show differences: then no more than some terms are near 0, and those stand first.
    """
    pairs = []
    name = fit.family.groups.population_scale
    rows = _of_terms(summary, name)
    if len(rows) > _SENTENCES:
        return [
            listed(f"Standard deviations between {noun.many}", {term: summary.loc[row] for term, row in rows.items()})
        ]
    for term, row in rows.items():
        quantity = _quantity(fit, term, spread=True)
        subject = f"The {quantity} varies" if quantity else f"{capital(noun.many)} vary"
        deviation = "a standard deviation" + ("" if term else f" {name}")
        around = f"between {noun.many}" if term else "around that average"
        sentence = (
            f"{subject} {around} with {deviation} of about {estimate(summary.loc[row], unit_of_term(term, unit))}"
        )
        pairs.append((sentence, _near_zero(fit, row, term, unit, noun)))
    if differ and all(near for _, near in pairs):
        pairs = [(sentence, "") for sentence, _ in pairs]
    ordered = sorted(pairs, key=lambda pair: not pair[1]) if differ else pairs
    return [f"{sentence}{near}." for sentence, near in ordered]


def _near_zero(fit: Fit, row: str, term: str, unit: str, noun: Noun = GROUPS) -> str:
    """That groups may hardly differ; of an intercept by their lines over the data, for no data may be where it is."""
    difference, lines = differences(fit, row, term)
    if difference.near_zero < MENTIONED:
        return ""
    limit = in_unit(significant(difference.limit, 2), unit_of_term(term, unit))
    probability = format_probability(difference.near_zero, fit.n_draws)
    what = f"over the data, the sd between the lines of {noun.many}" if lines else "it"
    all_in_all = "in it" if term and not lines else "at all"
    return (
        f"; {what} is below {limit} with probability {probability}, so the {noun.many} may hardly differ {all_in_all}"
    )


def _new(fit: Fit, prediction: NewGroup, summary: pd.DataFrame, unit: str, noun: Noun = GROUPS) -> list[str]:
    """What a new group is expected to be; coefficients that all groups share were said before."""
    table = prediction.quantities.rename_axis("name").reset_index()
    quantities: list[dict[str, Any]] = [{str(k): v for k, v in q.items()} for q in table.to_dict("records")]
    quantities = [q for q in quantities if q["name"] != Y_NEW]
    shared = [summary.loc[row].to_dict() for term, row in _of_terms(summary, "mu").items() if term]
    rows = {term_of(str(q["name"])): pd.Series(q) for q in varying(quantities, shared)}
    if len(rows) > _SENTENCES:
        return [listed(f"For a new {noun.one} of the same kind", rows)]
    sentences = []
    for term, row in rows.items():
        quantity = _quantity(fit, term)
        what = f"For a new {noun.one} of the same kind the predictive median" + (
            f" of the {quantity}" if quantity else ""
        )
        sentence = f"{what} is {estimate(row, unit_of_term(term, unit))}"
        if zero_matters(fit, term):
            positive = format_probability(row["p_positive"], fit.n_draws)
            sentence += f"; the probability that {'it' if quantity else 'its value'} is above zero is {positive}"
        sentences.append(sentence + ".")
    return sentences
