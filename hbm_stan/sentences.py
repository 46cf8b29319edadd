"""The sentences of a comparison: one for each answer, each with its kind, so that no code looks into the words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hbm_stan.judge import Pair
from hbm_stan.nouns import GROUPS, Noun, capital
from hbm_stan.scores import FEW_UNITS, Score, plain

# Groups that a sentence names; more are counted (ours).
_MOST_NAMED = 3


@dataclass(frozen=True)
class Sentence:
    """A sentence, what it is about, and the pair that it speaks of where it speaks of one."""

    kind: Literal["pair", "withheld", "few", "unranked", "chance"]
    text: str
    pair: Pair | None = None


def sentences(
    scores: Sequence[Score], pairs: Sequence[Pair], n: int, unit: str = "observation", *,
    noun: Noun = GROUPS, rough: bool = False,
) -> list[Sentence]:  # fmt: skip
    """What is said of scores of ``n`` units: why there is no ranking, or each pair; then what is not ranked.

    ``noun`` is what a group is called; ``rough`` says that an integral over groups is not accurate
    enough for a ranking.
    """
    ranked = [s for s in scores if s.ranked]
    why = _withheld(ranked, units_of(unit, noun), noun, rough)
    statements = (
        [Sentence("withheld", why)] if why else [Sentence("pair", capital(clause(p, noun)) + ".", p) for p in pairs]
    )
    if not why and n < FEW_UNITS and len(ranked) > 1:
        statements.append(Sentence("few", few_units(n, units_of(unit, noun))))
    return statements + [Sentence("unranked", _unranked(s, unit, noun)) for s in scores if not s.ranked]


def _withheld(ranked: Sequence[Score], units: str, noun: Noun, rough: bool) -> str:
    """Why there is no ranking; empty where there is one."""
    high = [s for s in ranked if s.pareto_k_high]
    unknown = [s for s in high if math.isnan(s.elpd)]
    if unknown:
        return (
            f"The ranking is withheld: without refits there is no score of {units} left out for "
            f"{', '.join(plain(s.variant) for s in unknown)}."
        )
    if rough:
        return f"The ranking is withheld: an integral over {noun.many} is not accurate enough."
    if high:
        named = ", ".join(f"{plain(s.variant)} ({s.pareto_k_high})" for s in high)
        return (
            f"The ranking is withheld: Pareto k is too high for some {units} of {named}, and the error "
            "tends to favour the variant with more of them."
        )
    return ""


def short(pair: Pair) -> str:
    """What the scores say of a pair, without numbers, to stand in a sentence."""
    a, b = plain(pair.better), plain(pair.other)
    return {
        "alike": f"{a} and {b} predict alike, and these data do not decide between them",
        "better": f"{a} predicts better than {b}",
        "better_here": f"{a} predicts better than {b} here, but by how much is uncertain",
        "not_told_apart": f"{a} and {b} are not told apart",
        "withheld": f"nothing is said of {a} and {b}",
    }[pair.kind]


def in_numbers(pair: Pair) -> str:
    """The difference of the scores and its standard error."""
    error = "doubled standard error" if pair.n_units < FEW_UNITS else "standard error"
    return f"{pair.elpd_diff:.1f}, {error} {pair.se_diff_used:.1f}"


def clause(pair: Pair, noun: Noun) -> str:
    """What the scores say of a pair, to stand in a sentence."""
    a, b, numbers = plain(pair.better), plain(pair.other), _numbers(pair, noun)
    if pair.kind == "alike":
        return f"{a} and {b} predict alike ({numbers}): these data do not decide between them"
    if pair.kind == "better":
        return f"{a} predicts better than {b} ({numbers})"
    if pair.kind == "better_here":
        return f"{a} predicts better than {b} here, but by how much is uncertain ({numbers}): {_rests(pair, noun)}"
    why = {
        "draws": f"the difference has a Monte Carlo error of {pair.mcse_diff:.1f}: not told apart with these draws; "
        "draw more",
        "too_few": f"{pair.n_groups} {noun.many} are too few to tell them apart",
        "both_sides": f"{_undecided(pair, noun)}: not told apart on these data",
    }
    return f"{a} scores better than {b} ({numbers}), but {why[pair.reason]}"


def _undecided(pair: Pair, noun: Noun) -> str:
    """Why a lead with units on both sides does not stand."""
    units = noun.many if pair.decides or pair.n_units == pair.n_groups else "observations"
    one = (pair.decides and noun.named(pair.decides)) or (
        "one observation" if units == "observations" else f"one {noun.one}"
    )
    if pair.side == "for":
        return f"{one} alone makes it"
    if pair.side == "against":
        return f"{one} speaks against it, and some more {units} like it would undo it"
    return f"{noun.many} speak for either"


def _numbers(pair: Pair, noun: Noun) -> str:
    difference = f"elpd difference {in_numbers(pair)}"
    if pair.bootstrap is None or not all(map(math.isfinite, pair.bootstrap)):
        return difference
    low, high, _ = pair.bootstrap
    # Adding 0 makes a rounded -0.0 a 0.0.
    return f"{difference}, 90 % of a bootstrap over {noun.many} {round(low, 1) + 0:.1f} to {round(high, 1) + 0:.1f}"


def _rests(pair: Pair, noun: Noun) -> str:
    """The groups that the lead rests on."""
    names = [noun.named(label) for label, _ in pair.rests_on]
    share = sum(share for _, share in pair.rests_on)
    part = "all of it" if share >= 1 else f"{100 * share:.0f} % of it"
    if pair.reason == "few":
        return f"it rests on {pair.n_groups} {noun.many}, {part} on {_listed(names)}"
    return f"{part} rests on {len(names)} of {pair.n_groups} {noun.many}, {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:_MOST_NAMED], *([f"{len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else [])]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _unranked(score: Score, unit: str, noun: Noun) -> str:
    name = plain(score.variant).capitalize()
    if unit == "group":
        return (
            f"{name} is not ranked: it says nothing of a new {noun.one} but its prior, {score.prior}, "
            f"and its score ({score.elpd:.1f}) would change with that choice."
        )
    return (
        f"{name} is not ranked: with one row for each {noun.one}, leaving the row out leaves "
        f"only its prior, {score.prior}, and its score ({score.elpd:.1f}) would change with that choice."
    )


def few_units(n: int, units: str) -> str:
    """What a reader must know of a comparison on fewer than 100 units."""
    return (
        f"With {n} {units} the standard error of an elpd difference is too small; below {FEW_UNITS} "
        "the values given here are doubled."
    )


def units_of(unit: str, noun: Noun) -> str:
    """What is left out, in words: observations, or the groups by their noun."""
    return noun.many if unit == "group" else f"{unit}s"


def chance_in_words(n_models: int) -> str:
    """What must be said where the best of many models may be the best by chance (McLatchie & Vehtari 2024)."""
    return (
        f"With {n_models} variants the best one's lead over the median variant is no larger than the largest of as "
        "many chance differences would be: do not choose by rank."
    )
