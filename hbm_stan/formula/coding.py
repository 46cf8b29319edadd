"""Atoms of a formula become columns with names, of the rows of a table or of one new row."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.categories import is_category, read_category
from hbm_stan.cells import kind, label, number
from hbm_stan.data import Dataset, listed
from hbm_stan.encoding import OFFSET, Part
from hbm_stan.errors import DataError, nearest
from hbm_stan.formula.expression import Column, Node, columns_of, learn
from hbm_stan.formula.parse import Atom, Category
from hbm_stan.formula.scopes import Scope
from hbm_stan.predictors import INTERCEPT
from hbm_stan.table import FloatArray, shorten


@dataclass(frozen=True)
class Levels:
    """A category: its column, its levels (the first is what the others are compared with), and why it is the first."""

    column: str
    levels: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Numbers:
    """A number or several made of columns; functions know what they learnt from the table."""

    name: str
    node: Node


Coded = Levels | Numbers
# Column -> its numbers, or the 0-based levels of its rows where it is a category.
Values = Mapping[str, npt.NDArray[Any]]


def numbers_of(dataset: Dataset, column: str) -> FloatArray:
    """The numbers of a column that stands in a formula; a category, or a column that is not there, is an error."""
    refuse_unknown(dataset, column)
    try:
        return dataset.table.numbers(column)
    except DataError as error:
        if any(kind(cell) in {"text", "percent"} for cell in dataset.table.column(column)):
            raise DataError(f"{error} If the column is a category, name its levels under [levels].") from error
        raise


def refuse_unknown(dataset: Dataset, column: str) -> None:
    """Raise DataError for a column that is not there, naming the nearest."""
    if not column or column not in dataset.table.names:
        raise DataError(
            f"{dataset.table.where}: there is no column {shorten(column)!r}, which the formula names. "
            f"{listed(dataset.table, column)}"
        )


def code(dataset: Dataset, atom: Atom, values: dict[str, npt.NDArray[Any]]) -> Coded:
    """The atom as it is coded; what it reads of the table is added to ``values``."""
    if isinstance(atom, Category) or (isinstance(atom, Column) and _is_category(dataset, atom.name)):
        refuse_unknown(dataset, atom.name)
        levels, level, why = _with_reference(dataset, atom)
        if len(levels) == 1:
            raise DataError(
                f"{dataset.table.where}, column {atom.name!r}: a category with one level ({shorten(levels[0])!r}) has "
                "nothing to be compared with. Leave it out of the formula."
            )
        _refuse_two_readings(dataset, atom.name, values, category=True)
        values[atom.name] = level
        return Levels(atom.name, levels, why)
    for column in columns_of(atom):
        _refuse_two_readings(dataset, column, values, category=False)
        if column not in values:
            values[column] = numbers_of(dataset, column)
    return Numbers(str(atom), learn_of(dataset, atom, values))


def _is_category(dataset: Dataset, column: str) -> bool:
    refuse_unknown(dataset, column)
    return is_category(dataset, column)


def _refuse_two_readings(dataset: Dataset, column: str, values: Values, *, category: bool) -> None:
    """Raise DataError for a column that is a category in one term and a number in another."""
    if column in values and (values[column].dtype.kind == "i") != category:
        raise DataError(
            f"{dataset.table.where}: the formula has {column!r} as a number and as a category. Make a second column of "
            "it for one of the two."
        )


def _with_reference(dataset: Dataset, atom: Category | Column) -> tuple[tuple[str, ...], npt.NDArray[np.int64], str]:
    """The levels of a category, the level of each row and why the first is the first; C() may name the reference."""
    levels, level, why = read_category(dataset, atom.name)
    reference = atom.reference if isinstance(atom, Category) else ""
    if not reference:
        return levels, level, why
    if reference not in levels:
        place = f"{dataset.table.where}, column {atom.name!r}"
        raise DataError(f"{place}: there is no level {shorten(reference)!r}. {nearest(reference, levels)}")
    ordered = (reference, *(name for name in levels if name != reference))
    return ordered, np.array([ordered.index(name) for name in levels])[level], "as the formula says"


def learn_of(dataset: Dataset, node: Node, values: Values) -> Node:
    """The expression with what it learns of the table; raises DataError where it is no finite number in some row."""
    with np.errstate(all="ignore"):
        learnt = learn(node, values)
        numbers = np.asarray(learnt.values(values), dtype=float)
    if numbers.ndim == 0:
        raise DataError(f"{dataset.table.where}: the formula has {node}, which reads no column.")
    bad = np.flatnonzero(~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1))
    if bad.size:
        column = next(iter(columns_of(node)))
        raise DataError(
            f"{dataset.table.where}: {node} is no finite number in {dataset.table.rows([int(i) for i in bad], column)}"
            ". Logarithms and roots need numbers above zero; a quotient needs a divisor that is not zero."
        )
    return learnt


def columns_of_scopes(
    atoms: Sequence[Coded], scopes: Sequence[Scope], values: Values, n: int, *, apart: bool = False
) -> dict[str, tuple[tuple[Part, ...], FloatArray]]:
    """What the columns of these products are made of, and they, (n,) each, by name, such as ``arm=drug:age``.

    With ``apart`` a category that has all its levels is written ``arm(drug)``: the same indicator stands for another
    coefficient than ``arm=drug``, which is compared with the reference.
    """
    columns: dict[str, tuple[tuple[Part, ...], FloatArray]] = {}
    for scope in scopes:
        parts = [_columns(atoms[i], values, reduced, apart) for i, reduced in scope]
        for product in itertools.product(*(part.items() for part in reversed(parts))):
            own = tuple(part for part, _ in reversed(product))
            name = ":".join(part.label for part in own) or INTERCEPT
            if name in columns:
                raise DataError(f"The formula has two coefficients called {name!r}. Rename a column.")
            columns[name] = own, np.prod([column for _, column in product], axis=0) if product else np.ones(n)
    return columns


def _columns(atom: Coded, values: Values, reduced: bool, apart: bool) -> dict[Part, FloatArray]:
    """The columns of one atom; ``reduced`` leaves out the indicator of a category's reference."""
    if isinstance(atom, Levels):
        level, whole = values[atom.column], apart and not reduced
        named = "{}({})" if whole else "{}={}"
        return {
            Part(named.format(atom.column, own), atom.column, own, whole): np.asarray(level == i, dtype=float)
            for i, own in enumerate(atom.levels)
            if i >= int(reduced)
        }
    numbers = np.asarray(atom.node.values(values), dtype=float)
    if numbers.ndim == 1:
        return {Part(atom.name, atom.name): numbers}
    return {Part(f"{atom.name}{k + 1}", atom.name): numbers[:, k] for k in range(numbers.shape[1])}


@dataclass(frozen=True)
class Coding:
    """How a sum of terms becomes columns."""

    atoms: tuple[Coded, ...]
    scopes: tuple[Scope, ...]
    apart: bool = False

    def columns(self, values: Values, n: int) -> dict[str, FloatArray]:
        """The columns by name, (n,) each."""
        products = columns_of_scopes(self.atoms, self.scopes, values, n, apart=self.apart)
        return {name: column for name, (_, column) in products.items()}

    def parts(self, values: Values) -> dict[str, tuple[Part, ...]]:
        """What each column is made of, by name; ``values`` are of one row at least."""
        one = {column: own[:1] for column, own in values.items()}
        products = columns_of_scopes(self.atoms, self.scopes, one, 1, apart=self.apart)
        return {name: own for name, (own, _) in products.items()}


@dataclass(frozen=True, kw_only=True)
class NewRow:
    """The columns of a new row, by name, of what is named of it; the rest is at its mean or reference level."""

    codings: tuple[Coding, ...]
    offsets: tuple[Node, ...]
    levels: Mapping[str, tuple[str, ...]]
    means: Mapping[str, float]
    parts: Mapping[str, tuple[Part, ...]]

    def __call__(self, named: Mapping[str, Any]) -> dict[str, float]:
        """The value of each column, not centred; ``offset()`` is what the offsets add up to."""
        known = {**self.levels, **self.means}
        for name in named:
            if name not in known:
                raise DataError(f"A new row: the formula has no column {name!r}. {nearest(name, known)}")
        values = {c: np.array([_number(c, named[c]) if c in named else mean]) for c, mean in self.means.items()}
        values |= {c: np.array([self._level(c, named[c]) if c in named else 0]) for c in self.levels}
        columns = self.rows(values, 1)
        bad = [name for name, value in columns.items() if not np.isfinite(value[0])]
        if bad:
            raise DataError(f"A new row: {bad[0]} is no finite number.")
        return {name: float(value[0]) for name, value in columns.items()}

    def rows(self, values: Values, n: int) -> dict[str, FloatArray]:
        """The columns of n rows, not centred; functions know what they learnt from the table, not from these rows."""
        columns = {name: x for coding in self.codings for name, x in coding.columns(values, n).items()}
        offset = sum((np.asarray(node.values(values), dtype=float) for node in self.offsets), np.zeros(n))
        return columns | {OFFSET: offset}

    def words(self, named: Mapping[str, Any]) -> list[str]:
        """Where the row stands: ``arm = placebo (the reference)``, ``days = 4.5 (the mean)``."""
        levels = [f"{c} = {named.get(c, f'{own[0]} (the reference)')}" for c, own in self.levels.items()]
        rest = [f"{c} = {mean:.3g}{' (the mean)' * (mean != 0)}" for c, mean in self.means.items() if c not in named]
        return [*levels, *(f"{c} = {float(named[c]):.3g}" for c in self.means if c in named), *rest]

    def parts_of(self, name: str) -> tuple[Part, ...]:
        """What the column of that name is a product of; nothing of an intercept."""
        return self.parts[name]

    def _level(self, column: str, named: Any) -> int:
        levels, level = self.levels[column], label(named)
        if level not in levels:
            raise DataError(f"A new row: {column!r} has no level {shorten(level)!r}. {nearest(level, levels)}")
        return levels.index(level)


def _number(column: str, named: Any) -> float:
    x = number(named)
    if not np.isfinite(x):
        raise DataError(f"A new row: {column!r} must be a finite number, found {shorten(repr(named))}.")
    return x
