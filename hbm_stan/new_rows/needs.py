"""What a row of a fit's model needs to be predicted: its columns, what it comes from, its grouping factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_stan.encoding import IntArray
from hbm_stan.errors import ModelError
from hbm_stan.formula.expression import Column, Node, columns_of
from hbm_stan.formula.parse import parse
from hbm_stan.model import Family
from hbm_stan.predictors import INTERCEPT
from hbm_stan.prepare import Prepared

# What a row may have beside its columns, by role -> the name of the datum.
SIZES = {
    "trials": "trials", "exposure": "exposure", "standard_error": "se", "expected": "expected", "tested": "tested",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Size:
    """Trials, exposure or standard error of a row: what it is made of, and what it usually is.

    Where it may be ``blank``, it is what it usually is in an empty cell.
    """

    role: str
    datum: str
    node: Node
    usual: float
    whole: bool = False
    blank: bool = False


@dataclass(frozen=True)
class Grouping:
    """A factor: the columns whose labels cross in it, and its known levels by their labels in these columns."""

    name: str
    parts: tuple[str, ...]
    known: Mapping[tuple[str, ...], int]
    n_levels: int


@dataclass(frozen=True, kw_only=True)
class Needs:
    """``numbers`` and ``levels`` of the columns of the right side, the range of each number in the data, where columns
    usually stand (``usual``), sizes and factors. Of the columns in ``every`` a table that lacks one has all levels:
    each row of it is then one of each."""

    numbers: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    ranges: Mapping[str, tuple[float, float]]
    usual: Mapping[str, Any]
    sizes: tuple[Size, ...]
    groupings: Mapping[str, Grouping]
    every: tuple[str, ...] = ()

    @property
    def size_columns(self) -> tuple[str, ...]:
        """The columns that sizes are made of."""
        return tuple(dict.fromkeys(column for size in self.sizes for column in columns_of(size.node)))

    @property
    def factor_columns(self) -> tuple[str, ...]:
        """The columns of factors' labels."""
        return tuple(dict.fromkeys(part for grouping in self.groupings.values() for part in grouping.parts))

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that a row may have, each once."""
        every = (*self.levels, *self.numbers, *self.size_columns, *self.factor_columns)
        return tuple(dict.fromkeys(every))


def needs_of_formula(family: Family, read: Prepared, prediction: Mapping[str, Any] | None = None) -> Needs:
    """What a row of a formula needs; ``prediction`` are options as under [prediction]: where a row usually is."""
    if read.design is None:
        raise ModelError(f"{family.name}: this table was not read for a formula.")
    asked = dict(prediction or {})
    encode: Any = read.design.encode
    numbers = {name: mean for name, mean in encode.means.items() if name != INTERCEPT}
    usual = {**{name: own[0] for name, own in encode.levels.items()}, **numbers, **asked.get("predictors", {})}
    table = read.dataset.table
    ranges = {name: _range(table.numbers(name)) for name in numbers}
    return Needs(
        numbers=tuple(numbers),
        levels=dict(encode.levels),
        ranges=ranges,
        usual=usual,
        sizes=_sizes(family, read, asked),
        groupings=groupings_of(read),
    )


def _range(values: Any) -> tuple[float, float]:
    return float(np.min(values)), float(np.max(values))


def _sizes(family: Family, read: Prepared, asked: Mapping[str, Any]) -> tuple[Size, ...]:
    """The sizes that have a column; where there is none, every row is of one trial or one unit of exposure."""
    additions = parse(read.dataset.reading.formula).additions
    sizes = []
    for role, datum in SIZES.items():
        column = read.dataset.column(role)
        if column and any(role == own.name for own in family.roles):
            usual = 1.0 if role == "trials" else float(np.median(read[role]))
            node, middle = additions.get(role, Column(column)), float(asked.get(role, usual))
            sizes.append(Size(role=role, datum=datum, node=node, usual=middle))
    return tuple(sizes)


def groupings_of(read: Prepared) -> dict[str, Grouping]:
    """The factors of a formula by name, with the labels of their levels."""
    formula, design, table = parse(read.dataset.reading.formula), read.design, read.dataset.table
    parts = {":".join(columns): columns for bar in formula.bars for columns in bar.factors}
    if design is None:
        return {}
    return {
        factor.name: Grouping(
            factor.name, parts[factor.name], _by_labels([table.labels(c) for c in parts[factor.name]], factor.level),
            len(factor.labels),
        )
        for factor in design.factors
    }  # fmt: skip


def _by_labels(labels: list[list[str]], level: IntArray) -> dict[tuple[str, ...], int]:
    return {labels_of_row: int(j) for labels_of_row, j in zip(zip(*labels, strict=True), level, strict=True)}
