"""A formula without what varies between the levels of one of its factors."""

from __future__ import annotations

from dataclasses import replace

from hbm_stan.data import Dataset
from hbm_stan.formula.left import columns_read
from hbm_stan.formula.parse import Bar, parse
from hbm_stan.formula.tokens import Token, split_at, tokenize, without_brackets, written


def without_factor(text: str, factor: str) -> str:
    """The formula without the terms of a factor; of ``(x | a/b)`` without ``a``, ``(x | a:b)`` stays."""
    formula = parse(text)
    shortened, bars = formula.text, {bar.text: bar for bar in formula.bars}
    right = split_at(tokenize(shortened), "~")[1][1]
    # From the right, so that the places of what stands before do not change.
    for _, piece in reversed(split_at(right, "+", "-")):
        start, end = (piece[0].at, piece[-1].at + len(piece[-1].text)) if piece else (0, 0)
        bar = bars.get(shortened[start:end])
        if bar is None:
            continue
        others = [parts for parts in bar.factors if ":".join(parts) != factor]
        if not others:
            shortened = _cut(shortened, start, end)
        elif len(others) < len(bar.factors):
            shortened = shortened[:start] + _of_factors(shortened, piece, bar, others) + shortened[end:]
    return shortened


def dataset_without_factor(dataset: Dataset, factor: str) -> Dataset:
    """The dataset read by its formula without the terms of a factor; its roles, and so its group, stay."""
    reading = replace(dataset.reading, formula=without_factor(dataset.reading.formula, factor))
    read = columns_read(replace(dataset, reading=reading))
    levels = {column: order for column, order in reading.levels.items() if column in read}
    return replace(dataset, reading=replace(reading, levels=levels))


def _of_factors(text: str, piece: list[Token], bar: Bar, factors: list[tuple[str, ...]]) -> str:
    """The bar with these factors only."""
    inside = without_brackets(piece)
    factor = split_at(inside, "|", "||")[1][1][0]
    names = [":".join(map(written, parts)) for parts in factors]
    return f"({text[inside[0].at : factor.at]}{' + '.join(names)})"


def _cut(text: str, start: int, end: int) -> str:
    """The text without that piece and the plus that joined it to the others."""
    before, after = text[:start].rstrip(), text[end:].lstrip()
    if before.endswith("+"):
        before = before[:-1].rstrip()
    else:
        after = after.removeprefix("+").lstrip()
    return f"{before} {after}".rstrip()
