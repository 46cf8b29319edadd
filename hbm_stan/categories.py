"""Which predictors are categories, and their levels in order: the first is what the others are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hbm_stan.cells import MISSING, kinds, label, truth
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, nearest
from hbm_stan.levels import index_levels
from hbm_stan.table import NOT_DROPPED, shorten

# More levels than this in a column of words are rather names, or a column of numbers with a slip in it.
_MOST_LEVELS = 20
_OF_NUMBERS = {"number", "grouped", "percent", "infinite"}


def is_category(dataset: Dataset, column: str) -> bool:
    """Whether a predictor is a category: told so, or a column of words; raises DataError for a column of dates.

    Where one cell is meant as a number (12, 12 %, 1,200), the column is one of numbers, and its other cells mistakes.
    """
    if _declared(dataset, column):
        return True
    table = dataset.table
    if any(one in _OF_NUMBERS for one in kinds(table.column(column), table.decimal_comma)):
        return False
    cell_kinds = list(kinds(table.column(column)))
    dates = [i for i, one in enumerate(cell_kinds) if one == "date"]
    if 2 * len(dates) > len(cell_kinds) - cell_kinds.count("missing"):
        raise DataError(
            f"{table.where}, column {column!r}: dates are no predictor as they are ({table.rows(dates, column)}). Turn "
            "them into a number, such as the days since the first of them, or into a category, such as the month."
        )
    return True


def read_category(dataset: Dataset, column: str) -> tuple[tuple[str, ...], npt.NDArray[np.int64], str]:
    """The levels of a category in order, the 0-based level of each row, and why the first is the first."""
    declared = _declared(dataset, column)
    _refuse_missing(dataset, column, declared)
    present, level = index_levels(dataset.table.labels(column))
    if len(present) > _MOST_LEVELS:
        raise DataError(
            f"{dataset.table.where}, column {column!r}: a category of {len(present)} levels, the first "
            f"{shorten(present[0])!r}. Predictors are numbers, or categories of at most {_MOST_LEVELS} levels; "
            "a column of names is a group."
        )
    levels, why = _in_order(dataset, column, present)
    place = np.array([levels.index(name) for name in present])
    return levels, place[level], why


def _declared(dataset: Dataset, column: str) -> tuple[str, ...]:
    """The levels that the analyst named, or those of a frame's category."""
    return dataset.reading.levels.get(column) or dataset.table.categories.get(column, ())


def _refuse_missing(dataset: Dataset, column: str, declared: Sequence[str]) -> None:
    """Raise DataError for rows without a level: what stands for a missing value is one where it was named so."""
    table = dataset.table
    labels = [label(cell) for cell in table.column(column)]
    # "+" and "-" are a pair of levels, as of a test's result.
    known = {*declared, *("-" for text in labels if text == "+")}
    missing = [i for i, text in enumerate(labels) if text.lower() in MISSING and text not in known]
    if not missing:
        return
    words = [labels[i] for i in missing if labels[i]]
    hint = (
        f" If {words[0]!r} is a level, name it with the others under [levels] of analysis.toml (in Python: levels=)."
        if words
        else ""
    )
    where = table.rows(missing, column if words else "")
    raise DataError(f"{table.where}, column {column!r}: no value in {where}. {NOT_DROPPED}{hint}")


def _in_order(dataset: Dataset, column: str, present: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The levels that have rows: as the analyst named them, as the frame has them, no before yes, as they appear."""
    named = dataset.reading.levels.get(column, ())
    for name in named:
        if name not in present:
            place = f"{dataset.table.where}, column {column!r}"
            raise DataError(f"{place}: there is no level {shorten(name)!r}. {nearest(name, present)}")
    if named:
        return tuple(dict.fromkeys((*named, *present))), "as asked"
    if known := dataset.table.categories.get(column):
        return tuple(name for name in known if name in present), "the first of the category"
    pair = truth(present[0])
    if pair is not None and sorted(name.casefold() for name in present) == sorted(pair):
        return tuple(sorted(present, key=lambda name: pair.index(name.casefold()))), "the level that says no"
    return tuple(present), "the first in the table"
