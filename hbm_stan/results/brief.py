"""Page one: at most six sentences in the words of the table, the numbers in them, and how sure the comparison is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.diagnose import parameters
from hbm_stan.elements import base_of, term_of
from hbm_stan.nouns import Noun, capital
from hbm_stan.predict import is_ratio
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.answer import MENTIONED, answer
from hbm_stan.results.brief_effects import effect_sentences
from hbm_stan.results.coefficients import how_large
from hbm_stan.results.digits import format_probability
from hbm_stan.results.formula_answer import share_sentence, weight_sentences
from hbm_stan.results.intervals import estimate, in_unit, numbers
from hbm_stan.results.quantities import Quantity, averages, of_group, of_new_group, summary_of
from hbm_stan.results.scales import scale_of
from hbm_stan.results.spreads import differences
from hbm_stan.results.terms import shared_terms
from hbm_stan.results.together import compared
from hbm_stan.results.units import zero_matters

if TYPE_CHECKING:
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.fit import Fit
    from hbm_stan.results.collect import Findings

MOST_SENTENCES = 6
# Terms of the group quantity that page one speaks of and draws (ours).
MOST_TERMS = 2
NOTHING: dict[str, Any] = {"said": [], "numbers": [], "panels": [], "comparison": []}


def page_one(analysis: Analysis, findings: Findings, results: Mapping[str, Any]) -> dict[str, Any]:
    """Sentences, their numbers, the panels of the figure, and the line on the comparison, for JSON.

    ``results`` are the results so far. Where a check failed there is nothing of it.
    """
    if findings.withheld:
        return NOTHING
    fit, noun = findings.fits[analysis.main_variant], analysis.noun
    terms = varying_terms(results["shrinkage"])
    groups = [pair for term in terms[:MOST_TERMS] for pair in _extremes(fit, results["shrinkage"], term)]
    middle = averages(fit, terms)
    # A deviation from an average that is none, as beside thresholds, is 0 in a new group whatever the data say.
    new = of_new_group(fit, findings.new_group, [q.term for q in middle])
    spreads = _spreads(fit, terms[: MOST_TERMS + 1])
    effects = effect_sentences(fit, results["coefficients"])
    own = _of_family(findings)
    first = [*own, *effects.sentences] if any(f.opens for f in findings.own[:1]) else [*effects.sentences, *own]
    sentences = _sentences(fit, noun, first, middle, spreads, groups, new, results)
    quantities = [*effects.numbers, *middle, *(q for q, _ in spreads), *groups, *new]
    panels = [
        {"term": t, "average": _row_of(middle, t), "new": _row_of(new, t), "words": scale_of(fit, t).words,
         "unit": scale_of(fit, t).unit, "place": scale_of(fit, t).place}
        for t in terms[:MOST_TERMS]
    ]  # fmt: skip
    return {
        "said": sentences or answer(analysis, findings)[:MOST_SENTENCES],
        "numbers": [q.as_dict() for q in quantities] + [near for _, near in spreads if near],
        "panels": panels,
        "comparison": compared([findings.comparison, findings.group_comparison], fit.variant, noun),
    }


def varying_terms(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The terms that differ between groups in the main variant, in their order."""
    shared = shared_terms(rows)
    known = [r["term"] for r in rows if r["partial_pooling"] is not None or r["no_pooling"] is not None]
    return [term for term in dict.fromkeys(known) if term not in shared]


def _row_of(quantities: Sequence[Quantity], term: str) -> dict[str, float] | None:
    return next((q.row for q in quantities if q.term == term), None)


def _extremes(fit: Fit, rows: Sequence[Mapping[str, Any]], term: str) -> list[Quantity]:
    """The groups with the lowest and the highest median of a term; none where there is one group."""
    own = [r for r in rows if r["term"] == term]
    if len(own) < 2 or fit.pooling == "complete":
        return []
    ordered = sorted(own, key=lambda r: float(r["q50"]))
    return [of_group(fit, str(ordered[k]["group"]), term) for k in (0, -1)]


def _spreads(fit: Fit, terms: Sequence[str]) -> list[tuple[Quantity, dict[str, Any]]]:
    """The sd between groups of each term, or the factor that it is, and whether it may be next to nothing."""
    if fit.pooling != "partial":
        return []
    names, draws = parameters(fit)
    spreads = []
    for name in names:
        term = term_of(name)
        if base_of(name) != fit.family.groups.population_scale or term not in terms:
            continue
        scale, values = scale_of(fit, term), draws[names.index(name)].ravel()
        # A difference of logs or of log odds is a factor.
        spread = Quantity(
            name=_spread_name(term),
            term=term,
            scale=scale,
            row=summary_of(fit, np.exp(values) if scale.factor else values),
        )
        apart, lines = differences(fit, name, term)
        near = {"name": f"near zero {name}", "probability": apart.near_zero, "limit": apart.limit, "lines": lines}
        spreads.append((spread, near if apart.near_zero >= MENTIONED else {}))
    return spreads


def _spread_name(term: str) -> str:
    return f"spread[{term}]" if term else "spread"


def _sentences(
    fit: Fit, noun: Noun, effects: Sequence[str], middle: Sequence[Quantity],
    spreads: Sequence[tuple[Quantity, dict[str, Any]]], groups: Sequence[Quantity], new: Sequence[Quantity],
    results: Mapping[str, Any],
) -> list[str]:  # fmt: skip
    """The sentences in their order; where there are too many, the extremes go first, which the figure shows."""
    beside = [] if fit.pooling != "partial" else weight_sentences(fit)
    coefficients, shares = results["coefficients"], results["variance_shares"]
    beside += [how_large(share) for share in (coefficients["shares"] if coefficients else [])]
    beside += share_sentence(shares) if shares and len(shares["rows"]) > 2 else []
    sentences = [*effects, *_averages(fit, noun, middle), *_differ(fit, noun, spreads), *beside]
    sentences += [] if fit.pooling == "complete" else _new(fit, noun, new)
    extremes = _lowest_and_highest(noun, groups)
    return [*sentences, *extremes][:MOST_SENTENCES]


def _of_family(findings: Findings) -> list[str]:
    """What only this family answers (which rate is highest, where the variance lies), its first sentence.

    Curves have no answer in a sentence, unless they say what comes first, and those of formulas are of their
    parameters.
    """
    own = [
        f
        for f in findings.own
        if (f.curves is None or f.first) and f.sentences and not next(iter(findings.fits.values())).family.terms
    ]
    return [f.first or f.sentences[0] for f in own[:1]]


def _averages(fit: Fit, noun: Noun, middle: Sequence[Quantity]) -> list[str]:
    if fit.pooling == "no":
        return [
            f"Without pooling, each {noun.one} is estimated by itself: there is no common answer, and none for a new "
            f"{noun.one}."
        ]
    intercepts = [q for q in middle if q.term in {"", INTERCEPT}]
    if not intercepts:
        return []
    (first,) = intercepts[:1]
    if fit.pooling == "complete":
        what = f"The {_what(first)} that all {noun.many} are assumed to share"
    elif first.term:
        what = f"In an average {noun.one}, the {_what(first)}"
    else:
        what = f"The average {_what(first)} over {noun.many}"
    return [f"{what} is about {estimate(first.row, first.scale.unit)}{_above(fit, first)}."]


def _what(q: Quantity) -> str:
    """What a quantity is called, and where it stands."""
    return " ".join(filter(None, [q.scale.words, q.scale.place]))


def _above(fit: Fit, q: Quantity) -> str:
    """How surely it is above zero, a ratio above 1; nothing where nobody would ask."""
    if not zero_matters(fit, q.term):
        return ""
    return f"; it is above {'1' if is_ratio(fit) else 'zero'} with probability {_probability(fit, q)}"


def _probability(fit: Fit, q: Quantity) -> str:
    return format_probability(q.row["p_above"], fit.n_draws)


def _differ(fit: Fit, noun: Noun, spreads: Sequence[tuple[Quantity, dict[str, Any]]]) -> list[str]:
    """How much groups differ, term by term."""
    parts, nearly = [], ""
    for k, (q, near) in enumerate(spreads[:MOST_TERMS]):
        centre, low, high = numbers(q.row)
        value = f"by a factor of about {centre}" if q.scale.factor else f"by about {in_unit(centre, q.scale.unit)}"
        parts.append(
            f"{_in_what(fit, q)}{value} ({'one standard deviation; ' * (k == 0)}90 % interval {low} to {high})"
        )
        if near:
            probability = format_probability(near["probability"], fit.n_draws)
            nearly = (
                f"; with probability {probability} they hardly differ{' in it' * bool(q.term and not near['lines'])}"
            )
    return [f"{capital(noun.many)} differ {' and '.join(parts)}{nearly}."] if parts else []


def _in_what(fit: Fit, q: Quantity) -> str:
    """In what groups differ: nothing is said of a single quantity that was just named."""
    if not q.term:
        return ""
    if q.scale.factor and q.term == INTERCEPT:
        return f"in their {q.scale.factor} " if fit.table.design is None or q.scale.place else f"in {q.scale.factor} "
    return f"in the {_what(q)} "


def _lowest_and_highest(noun: Noun, groups: Sequence[Quantity]) -> list[str]:
    """The groups at both ends of each term; the figure has their intervals."""
    parts: list[str] = []
    for low, high in zip(groups[::2], groups[1::2], strict=True):
        ends = [f"{in_unit(numbers(q.row)[0], q.scale.unit)} ({q.group})" for q in (low, high)]
        parts.append(f"{f', for the {low.scale.words},' if parts else ''} from {ends[0]} to {ends[1]}")
    return [f"The estimates of the {noun.many} run{' and'.join(parts)}."] if parts else []


def _new(fit: Fit, noun: Noun, new: Sequence[Quantity]) -> list[str]:
    """What to expect of a group that was not seen."""
    parts = [
        f"the {_what(q)} is expected to be about {estimate(q.row, q.scale.unit)}{_above(fit, q)}"
        for q in new[:MOST_TERMS]
    ]
    return [f"For a new {noun.one} of the same kind, {'; '.join(parts)}."] if parts else []
