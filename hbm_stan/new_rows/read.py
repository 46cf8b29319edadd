"""Rows that are asked for become numbers, levels and places, each read as the fit's own table was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.cells import kind, label
from hbm_stan.encoding import IntArray
from hbm_stan.errors import DataError, did_you_mean, nearest
from hbm_stan.formula.expression import Node, columns_of
from hbm_stan.new_rows.asked import Asked
from hbm_stan.new_rows.needs import Needs, Size
from hbm_stan.new_rows.places import Place, place_rows
from hbm_stan.new_rows.settings import POPULATION
from hbm_stan.table import FloatArray, Table, shorten

# A count of trials beyond this is no count: Stan's integers.
_MOST_TRIALS = 2.0**31


@dataclass(frozen=True, kw_only=True)
class Rows:
    """``n`` rows to be predicted: ``values`` of the columns (numbers, 0-based levels of categories), the ``places`` of
    factors by name, ``sizes`` by datum; ``table`` is what was asked.

    ``unsaid`` are the factors that stand in the middle as nothing is said of them, ``beyond`` notes on numbers outside
    the range of the data.
    """

    n: int
    table: Table
    values: Mapping[str, npt.NDArray[Any]]
    places: Mapping[str, Place]
    sizes: Mapping[str, FloatArray]
    unsaid: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be said of where the rows stand."""
        return (*map(_unsaid, self.unsaid), *self.beyond)


def _unsaid(factor: str) -> str:
    return (
        f"{factor}: no coefficient deviates from its population ({POPULATION}), as nothing is said of it; known, new "
        "and averaged ask for something else."
    )


def read_rows(needs: Needs, asked: Asked) -> Rows:
    """The rows, checked; raises DataError naming column and row, and what to do."""
    table = asked.table
    if asked.n == 0:
        raise DataError(f"{table.where}: there are no rows to predict.")
    values: dict[str, npt.NDArray[Any]] = {c: _levels(table, c, own) for c, own in needs.levels.items()}
    values |= {column: _numbers(table, column) for column in needs.numbers}
    sizes = {size.datum: _size(table, size, asked, values) for size in needs.sizes}
    places = {g.name: place_rows(g, table, asked.n, asked.states) for g in needs.groupings.values()}
    beyond = [_beyond(table, c, values[c], needs.ranges[c]) for c in needs.numbers]
    beyond += [_blank(table, size) for size in needs.sizes if size.blank]
    return Rows(
        n=asked.n,
        table=table,
        values=values,
        places=places,
        sizes=sizes,
        unsaid=asked.unsaid,
        beyond=tuple(note for note in beyond if note),
    )


def refuse_lacking(table: Table, column: str, what: str = "which the model reads", *, at: bool = True) -> None:
    """Raise DataError where a column is not there; with ``at`` one value for all rows may stand in its place."""
    if column in table.names:
        return
    near = did_you_mean(column, [name for name in table.names if name])
    hint = f" {near}" if near else ""
    other = f", or say where all rows stand: --at {column}=... (in Python: at={{{column!r}: ...}})" if at else ""
    raise DataError(f"{table.where}: there is no column {shorten(column)!r}, {what}.{hint} Add it{other}.")


def _levels(table: Table, column: str, levels: tuple[str, ...]) -> IntArray:
    """The level of each row; one that the data do not have has no coefficient."""
    refuse_lacking(table, column)
    place = {name: k for k, name in enumerate(levels)}
    labels = [label(cell) for cell in table.column(column)]
    wrong = [i for i, name in enumerate(labels) if name not in place]
    if wrong:
        first = labels[wrong[0]]
        if not first:
            raise DataError(
                f"{table.where}, column {column!r}: no value in {table.rows(wrong)}. Every row needs a level."
            )
        raise DataError(
            f"{table.where}, column {column!r}: no such level in the data that were fitted: {table.rows(wrong, column)}"
            f". {nearest(first, levels)}"
        )
    return np.array([place[name] for name in labels], dtype=np.int64)


def _numbers(table: Table, column: str) -> FloatArray:
    refuse_lacking(table, column)
    return table.numbers(column)


def _size(table: Table, size: Size, asked: Asked, values: Mapping[str, npt.NDArray[Any]]) -> FloatArray:
    """Trials, exposure or standard error of each row."""
    if size.role in asked.sizes:
        return np.full(asked.n, asked.sizes[size.role])
    columns = columns_of(size.node)
    for column in columns:
        refuse_lacking(table, column, f"the {size.role.replace('_', ' ')} of a row")
    numbers = {
        c: values[c] if c in values and values[c].dtype.kind == "f" else _filled(table, size, c) for c in columns
    }
    with np.errstate(all="ignore"):
        sizes = np.asarray(size.node.values(numbers), dtype=float)
    whole = size.role == "trials" or size.whole
    bad = ~(np.isfinite(sizes) & (sizes > 0) & (not whole or ((sizes == np.floor(sizes)) & (sizes < _MOST_TRIALS))))
    if bad.any():
        rows = [int(i) for i in np.flatnonzero(bad)]
        kind = "a whole number from 1" if whole else "a number above 0"
        raise DataError(
            f"{table.where}: the {size.role.replace('_', ' ')} ({size.node}) must be {kind}; found "
            f"{table.rows(rows, columns[0])}."
        )
    return sizes


def _empty(table: Table, column: str) -> list[bool]:
    return [kind(cell) == "missing" for cell in table.column(column)]


def _filled(table: Table, size: Size, column: str) -> FloatArray:
    """The numbers of a column; what they usually are in empty cells, where these are allowed."""
    if not size.blank:
        return table.numbers(column)
    filled = [
        size.usual if gap else cell for gap, cell in zip(_empty(table, column), table.column(column), strict=True)
    ]
    cells = tuple(filled if name == column else table.column(name) for name in table.names)
    return replace(table, cells=cells).numbers(column)


def _blank(table: Table, size: Size) -> str:
    """A note on empty cells of a size; empty where there are none."""
    column = str(size.node)
    there = column in table.names and any(_empty(table, column))
    return f"{column}: {size.usual:g}, as in the middle row of the data, where the cell is empty." if there else ""


def refuse_not_finite(table: Table, node: Node | str, columns: FloatArray) -> None:
    """Raise DataError where what is computed of columns is no finite number."""
    bad = np.flatnonzero(~np.isfinite(columns))
    if bad.size:
        raise DataError(
            f"{table.where}: {node} is no finite number in {table.rows([int(i) for i in bad])}. Logarithms and roots "
            "need numbers above zero; a quotient needs a divisor that is not zero."
        )


def _beyond(table: Table, column: str, values: FloatArray, ends: tuple[float, float]) -> str:
    """A note on rows outside the range of the data; empty where there are none."""
    out = np.flatnonzero((values < ends[0]) | (values > ends[1]))
    if not out.size:
        return ""
    rows = table.rows([int(i) for i in out], column)
    return (
        f"{column}: outside the data, which run from {ends[0]:.6g} to {ends[1]:.6g}: {rows}. What is said there rests "
        "on the form of the model alone."
    )
