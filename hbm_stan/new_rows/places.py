"""The level of a factor in each row to be predicted: a known one, one never seen, the centre, or an average of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hbm_stan.encoding import IntArray
from hbm_stan.errors import DataError, did_you_mean, nearest
from hbm_stan.new_rows.needs import Grouping
from hbm_stan.new_rows.settings import AVERAGED, KNOWN, NEW, POPULATION, new_label
from hbm_stan.table import Table, shorten

CENTRE, AVERAGE = -1, -2  # levels of rows where no coefficient deviates, and of those averaged over the population
_WITHIN = ": "  # between the labels of an outer and an inner level, as where levels are read
_SHOWN = 10  # labels that a message names
States = Mapping[str, Sequence[str]]  # column or factor -> the state of each row


@dataclass(frozen=True)
class Place:
    """The level of a factor in each row (N,): a known one from 0, then those of ``new`` labels, CENTRE or AVERAGE."""

    level: IntArray
    n_known: int
    new: tuple[str, ...]

    def of_rows(self, rows: slice) -> Place:
        """The same of some rows."""
        return Place(self.level[rows], self.n_known, self.new)


def place_rows(grouping: Grouping, table: Table, n: int, states: States) -> Place:
    """Where n rows stand; raises DataError naming the row for a label that is neither known nor declared new."""
    labels = {part: table.labels(part) for part in grouping.parts if part in table.names}
    level, new = np.empty(n, dtype=np.int64), dict[str, int]()
    for i in range(n):
        state = _state(grouping, states, i)
        if state in {POPULATION, AVERAGED}:
            level[i] = CENTRE if state == POPULATION else AVERAGE
            continue
        own = _labels(grouping, labels, states, i, state, table)
        j = grouping.known.get(own)
        if (j is None) != (state == NEW):
            raise DataError(_wrong(grouping, table, i, own, state))
        level[i] = grouping.n_levels + new.setdefault(_WITHIN.join(own), len(new)) if j is None else j
    return Place(level, grouping.n_levels, tuple(new))


def _state(grouping: Grouping, states: States, i: int) -> str:
    """What was said of the factor, else of its innermost column of which something was; all is new in a new level."""
    if grouping.name in states:
        return states[grouping.name][i]
    part_states = [states[part][i] for part in grouping.parts if part in states and states[part][i] != KNOWN]
    return part_states[-1] if part_states else KNOWN


def _labels(
    grouping: Grouping, labels: Mapping[str, Sequence[str]], states: States, i: int, state: str, table: Table
) -> tuple[str, ...]:
    """The row's labels; those of a new level that has no column are ``new``: all such rows are of one level."""
    row_labels, inside_new = list[str](), False
    for part in grouping.parts:
        inside_new |= state == NEW and (part in states and states[part][i] == NEW)
        is_new = inside_new or (state == NEW and grouping.name in states and part == grouping.parts[-1])
        if part not in labels and not is_new:
            raise DataError(
                f"{table.where}: there is no column {part!r} with labels of {grouping.name}. Add it, or say what a "
                f"row's {part} is: --at \"{part} = new\", population or averaged (in Python: at={{{part!r}: 'new'}})."
            )
        row_labels.append(
            labels[part][i] if part in labels else new_label([known[len(row_labels)] for known in grouping.known])
        )
    return tuple(row_labels)


def _wrong(grouping: Grouping, table: Table, i: int, own: tuple[str, ...], state: str) -> str:
    """The message on a label that is new and was not declared so, or the other way round."""
    column, level = grouping.parts[-1], _WITHIN.join(own)
    where = f"{table.where}, column {column!r}, {table.row(i)}"
    if state == NEW:
        return (
            f"{where}: {shorten(level)!r} was declared new, but it is a known level of {grouping.name}. Leave the "
            "declaration out to predict that level, or give a new one a label of its own."
        )
    return (
        f"{where}: {shorten(level)!r} is none of the {grouping.n_levels:,} known levels of {grouping.name}. "
        f"{_near(level, [_WITHIN.join(known) for known in grouping.known])} If it is a level never seen: --new "
        f"{column}={shorten(own[-1])} beside a file of rows, {column} = new in a grid (in Python: "
        f"groups={{{column!r}: [{shorten(own[-1])!r}]}})."
    )


def _near(level: str, known: Sequence[str]) -> str:
    if near := did_you_mean(level, known):
        return near
    if len(known) <= _SHOWN:
        return nearest(level, known)
    return f"Among them: {', '.join(repr(shorten(k)) for k in known[:_SHOWN])}."
