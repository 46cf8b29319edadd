"""The rows that are asked for, of a file, a frame or a grid, as one table with what was said of factors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hbm_stan.cells import label
from hbm_stan.data import Dataset, load
from hbm_stan.errors import DataError, ModelError, nearest
from hbm_stan.formula.expression import Column
from hbm_stan.later import pd
from hbm_stan.new_rows.needs import Grouping, Needs
from hbm_stan.new_rows.places import States
from hbm_stan.new_rows.settings import (
    ALL,
    KNOWN,
    MOST_ROWS,
    NEW,
    POPULATION,
    STATES,
    new_label,
    numbers_in,
    read_settings,
    words_of,
)  # fmt: skip
from hbm_stan.table import Table, shorten


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A table of ``n`` rows, the state of each row by column or factor, and the sizes of all rows that have no column,
    by role; ``unsaid`` are the factors that nothing is said of and that stand in the middle of their population."""

    table: Table
    n: int
    states: States = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)
    unsaid: tuple[str, ...] = ()


def table_of(rows: Any) -> Table:
    """The table of a CSV file, of a DataFrame, or of columns by name; a table is one already."""
    if isinstance(rows, Table):
        return rows
    if isinstance(rows, str | Path):
        return load(rows).table
    frame = pd.DataFrame(rows) if isinstance(rows, Mapping | list) else rows
    return replace(Dataset.from_frame(frame).table, where="the rows")


def of_table(needs: Needs, table: Table, groups: Mapping[str, Any], at: Mapping[str, str]) -> Asked:
    """The rows of a table; ``groups`` says which levels of factors are new, ``at`` where all rows stand in a column."""
    _refuse_unknown(needs, at, "--at")
    names, cells = list(table.names), list(table.cells)
    states: dict[str, Any] = {}
    for name, values in at.items():
        state = _state_in(needs, name, values)
        if state:
            states[name] = state
            continue
        if name in names:
            raise DataError(
                f"{table.where}: the column {name!r} is there, and --at says {values!r} of it. Leave one out."
            )
        entries = _cells(needs, name, values, "--at")
        if len(entries) > 1:
            raise ModelError(f"--at {name} = {values}: one value is needed, found {len(entries)}.")
        names.append(name)
        cells.append(entries * table.n_rows)
    full_table = _with_every(needs, replace(table, names=tuple(names), cells=tuple(cells)))
    declared = {**states, **groups}
    return Asked(
        table=full_table,
        n=full_table.n_rows,
        states={name: _states(needs, full_table, name, declared[name]) for name in declared},
    )


def _with_every(needs: Needs, table: Table) -> Table:
    """The table with a row for each level of columns that it lacks, where these stand for all of them."""
    for name in needs.every:
        if name in table.names:
            continue
        levels, n = needs.levels[name], table.n_rows
        cells = tuple([cell for cell in column for _ in levels] for column in table.cells)
        lines = None if table.lines is None else [line for line in table.lines for _ in levels]
        origin = [i for i in (table.origin or range(n)) for _ in levels]
        table = replace(
            table, names=(*table.names, name), cells=(*cells, list(levels) * n), lines=lines, origin=origin
        )  # fmt: skip
    return table


def _state_in(needs: Needs, name: str, values: str) -> str:
    """The state that a setting says of a factor; empty where it says a label or a number."""
    words = words_of(values)
    plain = len(words) == 1 and not words[0][1] and words[0][0] in STATES
    if name in needs.groupings and name not in needs.factor_columns and not plain:
        raise ModelError(f"{name} = {values}: name {', '.join(STATES[1:])}, or the labels of its columns.")
    is_factor = name in needs.groupings or name in needs.factor_columns
    return words[0][0] if plain and is_factor and name not in (*needs.numbers, *needs.levels) else ""


def _states(needs: Needs, table: Table, name: str, declaration: Any) -> tuple[str, ...]:
    """The state of each row in a column or a factor: one word for all, or the labels that are new."""
    factors = dict.fromkeys((*needs.factor_columns, *needs.groupings))
    if name not in factors:
        raise ModelError(f"There is no grouping factor {shorten(name)!r} to be new or known. {nearest(name, factors)}")
    if isinstance(declaration, str):
        if declaration not in STATES:
            raise ModelError(
                f"{name}: {declaration!r} is none of {', '.join(STATES)}. New labels are a list: [{declaration!r}]."
            )
        return (declaration,) * table.n_rows
    new = {label(one) for one in declaration}
    if name not in table.names:
        raise DataError(f"{table.where}: there is no column {name!r}, in which {', '.join(sorted(new))} should be new.")
    labels = table.labels(name)
    for one in new - set(labels):
        raise DataError(
            f"{table.where}, column {name!r}: no row has the new label {shorten(one)!r}. {nearest(one, set(labels))}"
        )
    return tuple(NEW if own_label in new else KNOWN for own_label in labels)


def of_grid(needs: Needs, settings: Mapping[str, str], option: str = "--grid", rest: str = POPULATION) -> Asked:
    """Every combination of the values that are named; other columns stand where a row usually does.

    ``rest`` is the state of factors of which nothing is said: ``population`` or ``averaged``.
    """
    _refuse_unknown(needs, settings, option)
    whole = {name: _state_in(needs, name, values) for name, values in settings.items() if name not in needs.columns}
    axes = _axes(needs, {name: values for name, values in settings.items() if name in needs.columns}, option)
    n = math.prod(len(axis.rows) for axis in axes)
    if n > MOST_ROWS:
        raise ModelError(f"{option}: the grid has {n:,} rows; {MOST_ROWS:,} are taken at most. Name fewer values.")
    columns = [column for axis in axes for column in axis.columns]
    rows = [tuple(itertools.chain(*combined)) for combined in itertools.product(*(axis.rows for axis in axes))]
    cells = {column: [row[k][0] for row in rows] for k, column in enumerate(columns)}
    states: dict[str, Sequence[str]] = {name: (state,) * n for name, state in whole.items()}
    states |= {c: [row[k][1] for row in rows] for k, c in enumerate(columns) if c in needs.factor_columns}
    return _with_usual(needs, cells, states, n, option, rest)


@dataclass(frozen=True)
class _Axis:
    """Columns that vary together, and the cell and state of each in each of its rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[Any, str], ...], ...]


def _refuse_unknown(needs: Needs, settings: Iterable[str], option: str) -> None:
    allowed = (*needs.columns, *(name for name in needs.groupings if name not in needs.columns))
    for name in settings:
        if name not in allowed:
            raise ModelError(f"{option}: the model has no column {shorten(name)!r}. {nearest(name, allowed)}")


def _axes(needs: Needs, settings: Mapping[str, str], option: str) -> list[_Axis]:
    """The axes of a grid; columns of one factor of which all levels are asked vary together, as their labels do."""
    axes: list[_Axis] = []
    every = {name for name, values in settings.items() if _state_in(needs, name, values) == KNOWN}
    for name, values in settings.items():
        if any(name in axis.columns for axis in axes):
            continue
        if name in every:
            axes.append(_known(needs, name, every))
            continue
        axes.append(_Axis((name,), tuple((one,) for one in _one_column(needs, name, values, option))))
    return axes


def _known(needs: Needs, name: str, every: set[str]) -> _Axis:
    """All known levels of the finest factor whose columns, this one among them, are all asked for."""
    own = [g for g in needs.groupings.values() if name in g.parts and set(g.parts) <= every]
    finest = max(own, key=lambda g: len(g.parts), default=None)
    if finest is not None:
        return _Axis(finest.parts, tuple(tuple((cell, KNOWN) for cell in labels) for labels in finest.known))
    return _Axis((name,), tuple((one,) for one in _every(needs, name)))


def _every(needs: Needs, name: str) -> list[tuple[Any, str]]:
    """The known labels of a column of factors, each once."""
    within = next(g for g in needs.groupings.values() if name in g.parts)
    return [(cell, KNOWN) for cell in dict.fromkeys(known[within.parts.index(name)] for known in within.known)]


def _one_column(needs: Needs, name: str, values: str, option: str) -> list[tuple[Any, str]]:
    """The cells of a column with the state of each: a word in quotes is a label."""
    if name in (*needs.numbers, *needs.levels) or name not in needs.factor_columns:
        return [(cell, KNOWN) for cell in _cells(needs, name, values, option)]
    known = _every(needs, name)
    if (values, KNOWN) in known:  # a label of several words, or one that is a word for a state
        return [(values, KNOWN)] if values not in STATES else [*_of_word(known, values, quoted=False)]
    return [one for word, quoted in words_of(values) for one in _of_word(known, word, quoted=quoted)]


def _of_word(known: list[tuple[Any, str]], word: str, *, quoted: bool) -> list[tuple[Any, str]]:
    """The cells and states that a word of a factor's column stands for."""
    if quoted or word not in STATES:
        return [(word, KNOWN)]
    if word == KNOWN:
        return known
    return [(new_label([cell for cell, _ in known]) if word == NEW else word, word)]


def _cells(needs: Needs, name: str, values: str, option: str) -> list[Any]:
    """The cells that are written of a column: numbers, levels, or labels and states of a factor."""
    if name in needs.numbers or name in needs.size_columns:
        return numbers_in(name, values, option)
    words = [word for word, _ in words_of(values)]
    if name not in needs.levels:
        return [cell for cell, _ in _one_column(needs, name, values, option)]
    levels = needs.levels[name]
    if values in levels:  # a level of several words
        return [values]
    if words == [ALL]:
        return list(levels)
    for word in words:
        if word not in levels:
            raise ModelError(f"{option}: {name!r} has no level {shorten(word)!r}. {nearest(word, levels)}")
    return list(words)


def _with_usual(
    needs: Needs, cells: dict[str, list[Any]], states: dict[str, Sequence[str]], n: int, option: str, rest: str
) -> Asked:  # fmt: skip
    """The rows with every other column where it usually stands."""
    sizes: dict[str, float] = {}
    for size in needs.sizes:
        if isinstance(size.node, Column):
            cells.setdefault(size.node.name, [size.usual] * n)
        elif not set(cells) & set(needs.size_columns):
            sizes[size.role] = size.usual
    cells |= {name: [value] * n for name, value in needs.usual.items() if name not in cells}
    unsaid = [g for g in needs.groupings.values() if g.name not in states and not set(g.parts) <= set(states)]
    states |= {g.name: _unsaid(g, states, n, rest) for g in unsaid}
    free = [g for g in unsaid if rest in states[g.name]]
    cells |= {part: _shown(g, states[g.name]) for g in free for part in g.parts if part not in cells}
    table = Table(where=f"the rows of {option}", names=tuple(cells), cells=tuple(cells.values()))
    return Asked(
        table=table, n=n, states=states, sizes=sizes, unsaid=tuple(g.name for g in free) if rest == POPULATION else ()
    )


def _shown(grouping: Grouping, row_states: Sequence[str]) -> list[str]:
    """What stands in a column of a factor of which nothing is said: its state; levels in a new level are new."""
    new = new_label([cell for labels in grouping.known for cell in labels])
    return [new if state == NEW else state for state in row_states]


def _unsaid(grouping: Grouping, states: States, n: int, rest: str) -> tuple[str, ...]:
    """The state of each row in a factor of which not all is said: that of its columns, else ``rest``."""
    parts = [states[part] for part in grouping.parts if part in states]
    row_states = [[part[i] for part in parts if part[i] != KNOWN] for i in range(n)]
    return tuple(own[-1] if own else rest for own in row_states)


def settings_of(settings: str | Mapping[str, Any] | None, option: str) -> dict[str, str]:
    """Column -> what is written of it, of a text or of values by column."""
    if settings is None:
        return {}
    return (
        read_settings(settings, option) if isinstance(settings, str) else {k: _written(v) for k, v in settings.items()}
    )


def _written(value: Any) -> str:
    """A value of Python as it would be written."""
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return " ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in value)
    return str(value)
