"""The sentences of a comparison: one for each answer, each with its kind, so that no code looks into the words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hbm_stan.judge import Pair
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
    scores: Sequence[Score], pairs: Sequence[Pair], n: int, unit: str = "observation", *, rough: bool = False
) -> list[Sentence]:
    """What is said of scores of ``n`` units: why there is no ranking, or each pair; then what is not ranked.

    ``rough`` says that an integral over groups is not accurate enough for a ranking.
    """
    ranked = [s for s in scores if s.ranked]
    why = _withheld(ranked, unit, rough)
    said = [Sentence("withheld", why)] if why else [Sentence("pair", _capital(clause(p)) + ".", p) for p in pairs]
    if not why and n < FEW_UNITS and len(ranked) > 1:
        said.append(Sentence("few", few_units(n, unit)))
    return said + [Sentence("unranked", _unranked(s, unit)) for s in scores if not s.ranked]


def _withheld(ranked: Sequence[Score], unit: str, rough: bool) -> str:
    """Why there is no ranking; empty where there is one."""
    high = [s for s in ranked if s.pareto_k_high]
    unknown = [s for s in high if math.isnan(s.elpd)]
    if unknown:
        return (
            f"The ranking is withheld: without refits there is no score of {unit}s left out for "
            f"{', '.join(plain(s.variant) for s in unknown)}."
        )
    if rough:
        return "The ranking is withheld: an integral over groups is not accurate enough."
    if high:
        named = ", ".join(f"{plain(s.variant)} ({s.pareto_k_high})" for s in high)
        return (
            f"The ranking is withheld: Pareto k is too high for some {unit}s of {named}, and the error "
            "tends to favour the variant with more of them."
        )
    return ""


def clause(pair: Pair) -> str:
    """What the scores say of a pair, to stand in a sentence."""
    a, b = plain(pair.better), plain(pair.other)
    if pair.kind == "alike":
        return f"{a} and {b} predict alike ({_numbers(pair)}): these data do not decide between them"
    if pair.kind == "better":
        return f"{a} predicts better than {b} ({_numbers(pair)})"
    if pair.kind == "better_here":
        return f"{a} predicts better than {b} here, but by how much is uncertain ({_numbers(pair)}): {_rests(pair)}"
    why = {
        "draws": f"the difference has a Monte Carlo error of {pair.mcse_diff:.1f}: not told apart with these draws; "
        "draw more",
        "too_few": f"{pair.n_groups} groups are too few to tell them apart",
        "both_sides": "single groups decide it: not told apart on these data",
    }
    return f"{a} scores better than {b} ({_numbers(pair)}), but {why[pair.reason]}"


def _numbers(pair: Pair) -> str:
    error = "doubled standard error" if pair.n_units < FEW_UNITS else "standard error"
    said = f"elpd difference {pair.elpd_diff:.1f}, {error} {pair.se_diff_used:.1f}"
    if pair.bootstrap is None or not all(map(math.isfinite, pair.bootstrap)):
        return said
    low, high, _ = pair.bootstrap
    # Adding 0 makes a rounded -0.0 a 0.0.
    return f"{said}, 90 % of a bootstrap over groups {round(low, 1) + 0:.1f} to {round(high, 1) + 0:.1f}"


def _rests(pair: Pair) -> str:
    """The groups that the lead rests on."""
    names = [label for label, _ in pair.rests_on]
    share = sum(share for _, share in pair.rests_on)
    part = "all of it" if share >= 1 else f"{100 * share:.0f} % of it"
    if pair.reason == "few":
        return f"it rests on {pair.n_groups} groups, {part} on {_listed(names)}"
    return f"{part} rests on {len(names)} of {pair.n_groups} groups, {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    shown = [*names[:_MOST_NAMED], *([f"{len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else [])]
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _unranked(score: Score, unit: str) -> str:
    name = plain(score.variant).capitalize()
    if unit == "group":
        return (
            f"{name} is not ranked: it says nothing of a new group but its prior, {score.prior}, "
            f"and its score ({score.elpd:.1f}) would change with that choice."
        )
    return (
        f"{name} is not ranked: with one row for each group, leaving the row out leaves "
        f"only its prior, {score.prior}, and its score ({score.elpd:.1f}) would change with that choice."
    )


def few_units(n: int, unit: str = "observation") -> str:
    """What a reader must know of a comparison on fewer than 100 units."""
    return (
        f"With {n} {unit}s the standard error of an elpd difference is too small; below {FEW_UNITS} "
        "the values given here are doubled."
    )


def chance_in_words(n_models: int) -> str:
    """What must be said where the best of many models may be the best by chance (McLatchie & Vehtari 2024)."""
    return (
        f"With {n_models} variants the best one's lead over the median variant is no larger than the largest of as "
        "many chance differences would be: do not choose by rank."
    )
