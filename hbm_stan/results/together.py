"""How much groups differ and what the scores say of pooling them, in one sentence, so that the two never disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hbm_stan.nouns import Noun, capital
from hbm_stan.sentences import clause, in_numbers, short

if TYPE_CHECKING:
    from hbm_stan.comparison import Comparison
    from hbm_stan.judge import Pair

    # What the scores say of partial and complete pooling, for each target.
    Pairs = Sequence[tuple[Comparison, Pair]]

_TARGETS = {"observation": "a known", "group": "a new"}


def pairs_of(comparisons: Sequence[Comparison], partial: str, complete: str) -> Pairs:
    """The pair of partial and complete pooling in each comparison that has both and may rank them."""
    pairs = [(c, c.pair(partial, complete)) for c in comparisons]
    return [(c, pair) for c, pair in pairs if pair is not None and pair.kind != "withheld"]


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
    clauses = [f"to predict {_TARGETS[c.unit]} {noun}, {text}" if noun else text for c, text in told]
    return [*spreads[:-1], f"{spreads[-1].removesuffix('.')}{_link(pairs, partial)} {'; '.join(clauses)}."]


def _link(pairs: Pairs, partial: str) -> str:
    kinds = {pair.kind for _, pair in pairs}
    if kinds == {"alike"}:
        return "; for prediction that makes little difference:"
    if kinds == {"not_told_apart"}:
        return "; whether that matters for prediction is not settled:"
    return ", and" if differ(pairs, partial) else "; yet"


def compared(comparisons: Sequence[Comparison | None], main: str, noun: Noun) -> list[str]:
    """The line of page one on the comparison: for each target what the scores say of the main variant, or why nothing.

    The pair is that with complete pooling where there is one, else the first that the main variant is in. Targets of
    which the same is said share a sentence.
    """
    scored = [c for c in comparisons if c is not None]
    told: dict[str, list[tuple[str, str]]] = {}
    for comparison in scored:
        withheld = [s.text.removesuffix(".") for s in comparison.sentences if s.kind == "withheld"]
        pairs = [pair for pair in comparison.pairs if main in (pair.better, pair.other)]
        pair = next((p for p in pairs if "complete_pooling" in (p.better, p.other)), pairs[0] if pairs else None)
        if withheld or pair is not None:
            text, score = (withheld[0], "") if withheld or pair is None else (short(pair), in_numbers(pair))
            told.setdefault(text, []).append((f"{_TARGETS[comparison.unit]} {noun.one}", score))
    sentences = []
    for text, targets in told.items():
        where = f"To predict {' and '.join(name for name, _ in targets)}: " if len(scored) > 1 else ""
        scores = " and ".join(filter(None, (score for _, score in targets)))
        of_what = f" (difference in log predictive density, elpd: {scores})" if scores else ""
        sentences.append(f"{where}{text if where else capital(text)}{of_what}.")
    return sentences


def targeted(text: str, comparison: Comparison, *, noun: str) -> str:
    """A sentence with what is predicted, where there is more than one target."""
    return f"To predict {_TARGETS[comparison.unit]} {noun}: {text}" if noun else text
