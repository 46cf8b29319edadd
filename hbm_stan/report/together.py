"""How much groups differ and what the scores say of pooling them, in one sentence, so that the two never disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hbm_stan.sentences import clause

if TYPE_CHECKING:
    from hbm_stan.comparison import Comparison
    from hbm_stan.judge import Pair

    # What the scores say of partial and complete pooling, for each target.
    Pairs = Sequence[tuple[Comparison, Pair]]

_TARGETS = {"observation": "a known", "group": "a new"}


def pairs_of(comparisons: Sequence[Comparison], partial: str, complete: str) -> Pairs:
    """The pair of partial and complete pooling in each comparison that has both and may rank them."""
    found = [(c, c.pair(partial, complete)) for c in comparisons]
    return [(c, pair) for c, pair in found if pair is not None and pair.kind != "withheld"]


def differ(pairs: Pairs, partial: str) -> bool:
    """Whether the scores of some target show that groups differ: partial pooling leads complete pooling."""
    return any(pair.kind in {"better", "better_here"} and pair.better == partial for _, pair in pairs)


def joined(spreads: Sequence[str], pairs: Pairs, partial: str, *, noun: str) -> list[str]:
    """The sentences on differences between groups, the last one joined with what the scores say of partial pooling.

    ``noun`` is what a group is called where the target has to be named, else empty.
    """
    if not spreads or not pairs:
        return list(spreads)
    told = [(comparison, clause(pair, comparison.noun)) for comparison, pair in pairs]
    said = [f"to predict {_TARGETS[c.unit]} {noun}, {text}" if noun else text for c, text in told]
    return [*spreads[:-1], f"{spreads[-1].removesuffix('.')}{_link(pairs, partial)} {'; '.join(said)}."]


def _link(pairs: Pairs, partial: str) -> str:
    kinds = {pair.kind for _, pair in pairs}
    if kinds == {"alike"}:
        return "; for prediction that makes little difference:"
    if kinds == {"not_told_apart"}:
        return "; whether that matters for prediction is not settled:"
    return ", and" if differ(pairs, partial) else "; yet"


def targeted(text: str, comparison: Comparison, *, noun: str) -> str:
    """A sentence with what is predicted, where there is more than one target."""
    return f"To predict {_TARGETS[comparison.unit]} {noun}: {text}" if noun else text
