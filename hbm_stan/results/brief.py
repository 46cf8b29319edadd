"""Page one: at most six sentences in the words of the table, the numbers in them, and how sure the comparison is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.diagnose import parameters
from hbm_stan.elements import base_of, term_of
from hbm_stan.nouns import Noun, capital
from hbm_stan.predict import is_ratio
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.answer import MENTIONED, answer
from hbm_stan.results.brief_effects import effect_sentences
from hbm_stan.results.coefficients import Coefficients, how_large
from hbm_stan.results.digits import format_probability
from hbm_stan.results.entry import KEY, Entry
from hbm_stan.results.formula_answer import share_sentence, weight_sentences
from hbm_stan.results.intervals import estimate, in_unit, numbers
from hbm_stan.results.quantities import Number, Quantiles, Quantity, averages, of_group, of_new_group, summary_of
from hbm_stan.results.scales import scale_of
from hbm_stan.results.shares import VarianceShares
from hbm_stan.results.shrunken import ShrinkageRow
from hbm_stan.results.spreads import differences
from hbm_stan.results.terms import varying_terms
from hbm_stan.results.together import compared
from hbm_stan.results.units import zero_matters

if TYPE_CHECKING:
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.fit import Fit
    from hbm_stan.results.collect import Findings

MOST_SENTENCES = 6
# Terms of the group quantity that page one speaks of and draws (ours).
MOST_TERMS = 2


@dataclass(frozen=True, kw_only=True)
class NearZero(Entry):
    """That groups may hardly differ: the probability that their sd is below ``limit``, in the unit of the sd.

    ``lines`` says that it is the sd between the lines of groups over the data.
    """

    name: str
    probability: float
    limit: float
    lines: bool


@dataclass(frozen=True, kw_only=True)
class Panel(Entry):
    """A panel of the figure: a term, its average over groups and its value in a new group; None where there is none.

    ``words`` and ``place`` are what the term is called, ``unit`` that of the quantiles.
    """

    term: str
    average: Quantiles | None
    new: Quantiles | None
    words: str
    unit: str
    place: str


@dataclass(frozen=True, kw_only=True)
class PageOne(Entry):
    """The section ``page_one``: its sentences, the numbers in them, the panels, and the line on the comparison."""

    sentences: list[str] = field(metadata={KEY: "said"})
    numbers: list[Number | NearZero]
    panels: list[Panel]
    comparison: list[str]


NOTHING = PageOne(sentences=[], numbers=[], panels=[], comparison=[])


@dataclass(frozen=True, kw_only=True)
class Beside:
    """The sections that page one speaks of too."""

    shrinkage: list[ShrinkageRow]
    coefficients: Coefficients | None
    shares: VarianceShares | None


def page_one(analysis: Analysis, findings: Findings, beside: Beside) -> PageOne:
    """What page one says; nothing where a check failed."""
    if findings.withheld:
        return NOTHING
    fit, noun = findings.fits[analysis.main_variant], analysis.noun
    terms = varying_terms(beside.shrinkage)
    groups = [pair for term in terms[:MOST_TERMS] for pair in _extremes(fit, beside.shrinkage, term)]
    middle = averages(fit, terms)
    # A deviation from an average that is none, as beside thresholds, is 0 in a new group whatever the data say.
    new = of_new_group(fit, findings.new_group, [q.term for q in middle])
    spreads = _spreads(fit, terms[: MOST_TERMS + 1])
    effects = effect_sentences(fit, beside.coefficients)
    own = _of_family(findings)
    first = [*own, *effects.sentences] if any(f.opens for f in findings.own[:1]) else [*effects.sentences, *own]
    sentences = _sentences(fit, noun, first, middle, spreads, groups, new, beside)
    quantities = [*effects.numbers, *middle, *(q for q, _ in spreads), *groups, *new]
    return PageOne(
        sentences=sentences or answer(analysis, findings)[:MOST_SENTENCES],
        numbers=[*(q.number for q in quantities), *(near for _, near in spreads if near)],
        panels=[_panel(fit, term, middle, new) for term in terms[:MOST_TERMS]],
        comparison=compared([findings.comparison, findings.group_comparison], fit.variant, noun),
    )


def _panel(fit: Fit, term: str, middle: Sequence[Quantity], new: Sequence[Quantity]) -> Panel:
    scale = scale_of(fit, term)
    return Panel(
        term=term, average=_row_of(middle, term), new=_row_of(new, term), words=scale.words, unit=scale.unit,
        place=scale.place,
    )  # fmt: skip


def _row_of(quantities: Sequence[Quantity], term: str) -> Quantiles | None:
    return next((q.row for q in quantities if q.term == term), None)


def _extremes(fit: Fit, rows: Sequence[ShrinkageRow], term: str) -> list[Quantity]:
    """The groups with the lowest and the highest median of a term; none where there is one group."""
    own = [r for r in rows if r.term == term]
    if len(own) < 2 or fit.pooling == "complete":
        return []
    ordered = sorted(own, key=lambda r: r.q50)
    return [of_group(fit, str(ordered[k].group), term) for k in (0, -1)]


def _spreads(fit: Fit, terms: Sequence[str]) -> list[tuple[Quantity, NearZero | None]]:
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
        near = NearZero(name=f"near zero {name}", probability=apart.near_zero, limit=apart.limit, lines=lines)
        spreads.append((spread, near if apart.near_zero >= MENTIONED else None))
    return spreads


def _spread_name(term: str) -> str:
    return f"spread[{term}]" if term else "spread"


def _sentences(
    fit: Fit, noun: Noun, effects: Sequence[str], middle: Sequence[Quantity],
    spreads: Sequence[tuple[Quantity, NearZero | None]], groups: Sequence[Quantity], new: Sequence[Quantity],
    beside: Beside,
) -> list[str]:  # fmt: skip
    """The sentences in their order; where there are too many, the extremes go first, which the figure shows."""
    more = [] if fit.pooling != "partial" else weight_sentences(fit)
    coefficients, shares = beside.coefficients, beside.shares
    more += [how_large(share) for share in (coefficients.shares if coefficients else [])]
    more += share_sentence(shares) if shares and len(shares.rows) > 2 else []
    sentences = [*effects, *_averages(fit, noun, middle), *_differ(fit, noun, spreads), *more]
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
    return format_probability(q.row.p_above, fit.n_draws)


def _differ(fit: Fit, noun: Noun, spreads: Sequence[tuple[Quantity, NearZero | None]]) -> list[str]:
    """How much groups differ, term by term."""
    parts, nearly = [], ""
    for k, (q, near) in enumerate(spreads[:MOST_TERMS]):
        centre, low, high = numbers(q.row)
        value = f"by a factor of about {centre}" if q.scale.factor else f"by about {in_unit(centre, q.scale.unit)}"
        parts.append(
            f"{_in_what(fit, q)}{value} ({'one standard deviation; ' * (k == 0)}90 % interval {low} to {high})"
        )
        if near:
            probability = format_probability(near.probability, fit.n_draws)
            nearly = f"; with probability {probability} they hardly differ{' in it' * bool(q.term and not near.lines)}"
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
        ends = [f"{in_unit(numbers(q.row)[0], q.scale.unit)} ({noun.named(str(q.group))})" for q in (low, high)]
        parts.append(f"{f', for the {low.scale.words},' if parts else ''} from {ends[0]} to {ends[1]}")
    return [f"The estimates of the {noun.many} run{' and'.join(parts)}."] if parts else []


def _new(fit: Fit, noun: Noun, new: Sequence[Quantity]) -> list[str]:
    """What to expect of a group that was not seen."""
    parts = [
        f"the {_what(q)} is expected to be about {estimate(q.row, q.scale.unit)}{_above(fit, q)}"
        for q in new[:MOST_TERMS]
    ]
    return [f"For a new {noun.one} of the same kind, {'; '.join(parts)}."] if parts else []
