"""An outcome of ordered categories: whole numbers as they lie, or words in an order that the analyst states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hbm_stan.cells import kind, label, number
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, did_you_mean
from hbm_stan.levels import index_levels
from hbm_stan.table import NOT_DROPPED, FloatArray, shorten

# More categories than this are a measurement rather (ours).
MOST_CATEGORIES = 20
_SHOWN = 8


@dataclass(frozen=True)
class Ordered:
    """The categories of a column, the lowest first, and the category of each row (N,), counted from 1."""

    column: str
    categories: tuple[str, ...]
    values: FloatArray

    @property
    def unused(self) -> list[str]:
        """The categories that no row has."""
        return [name for k, name in enumerate(self.categories, 1) if not np.any(self.values == k)]

    @property
    def notes(self) -> list[str]:
        """What was decided on the way, and what can be said before anything is sampled."""
        notes = [f"{self.column}: {len(self.categories)} categories, the lowest first: {', '.join(self.categories)}."]
        if self.unused:
            many = len(self.unused) > 1
            notes.append(
                f"{self.column}: no row has the {'categories' if many else 'category'} {', '.join(self.unused)}. What "
                f"is said of {'them' if many else 'it'} comes from the prior of the thresholds."
            )
        if len(self.categories) == 2:
            notes.append(
                f"{self.column} has two categories: --likelihood binomial says the same of 0 and 1, with an intercept "
                "in the place of the threshold."
            )
        return notes


def read_ordered(dataset: Dataset, column: str) -> Ordered:
    """The categories of an outcome in order; raises DataError naming the column, its rows and what to do."""
    table = dataset.table
    cells = table.column(column)
    stated = _stated(dataset, column)
    missing = [i for i, cell in enumerate(cells) if kind(cell) == "missing" and label(cell) not in stated]
    if missing:
        raise DataError(f"{table.where}, column {column!r}: no value in {table.rows(missing)}. {NOT_DROPPED}")
    ordered = _as_stated(dataset, column, stated) if stated else _whole_numbers(dataset, column)
    if len(ordered.categories) > MOST_CATEGORIES:
        raise DataError(
            f"{table.where}, column {column!r}: {len(ordered.categories)} categories; at most {MOST_CATEGORIES} are "
            "taken. A number on a scale of so many steps is a measurement: --likelihood normal."
        )
    if np.ptp(ordered.values) == 0:
        only = ordered.categories[int(ordered.values[0]) - 1]
        raise DataError(
            f"{table.where}, column {column!r}: the outcome is {shorten(only)!r} in every row. An outcome that does "
            "not vary cannot be modelled."
        )
    return ordered


def _how_to_state(column: str, present: Sequence[str]) -> str:
    """What to write so that words have an order, with the words of the column."""
    words = list(present[:_SHOWN])
    more = ", ..." if len(present) > _SHOWN else ""
    listed = ", ".join(f'"{word}"' for word in words) + more
    return (
        "State it, the lowest first (here as they appear): "
        f'--levels "{column}={",".join(words)}{more.replace(" ", "")}", '
        f"[levels] {column} = [{listed}] in analysis.toml, levels={{{column!r}: [{listed}]}} in Python; a pandas "
        "Categorical may be ordered itself."
    )


def is_ordered(dataset: Dataset, column: str) -> bool:
    """Whether the order of a column's categories is stated, by the analyst or by the frame."""
    return bool(_stated(dataset, column))


def _stated(dataset: Dataset, column: str) -> tuple[str, ...]:
    """The order that the analyst named, or that of a frame's ordered category."""
    named = dataset.reading.levels.get(column)
    return named or (dataset.table.categories.get(column, ()) if column in dataset.table.ordered else ())


def _as_stated(dataset: Dataset, column: str, stated: tuple[str, ...]) -> Ordered:
    table = dataset.table
    place = {name: k for k, name in enumerate(stated, 1)}
    # A number may be written in several ways: 1 and 1.0 are one category.
    by_number = {value: k for name, k in place.items() if np.isfinite(value := number(name))}
    labels = [label(cell) for cell in table.column(column)]
    values = [place.get(name, by_number.get(number(name), 0)) for name in labels]
    wrong = [i for i, value in enumerate(values) if not value]
    if wrong:
        near = did_you_mean(labels[wrong[0]], stated)
        allowed = f" {near}" if near else ""
        raise DataError(
            f"{table.where}, column {column!r}: not among the categories that are stated; found "
            f"{table.rows(wrong, column)}.{allowed} The categories are, the lowest first: {', '.join(stated)}."
        )
    return Ordered(column, stated, np.array(values, dtype=float))


def _whole_numbers(dataset: Dataset, column: str) -> Ordered:
    """Whole numbers are in order; those between them that no row has are categories too."""
    table = dataset.table
    cells = table.column(column)
    values = np.array([number(cell, table.decimal_comma) for cell in cells])
    place = f"{table.where}, column {column!r}"
    words = [i for i, value in enumerate(values) if not np.isfinite(value)]
    if words:
        present = index_levels([label(cells[i]) for i in words])[0]
        if len(words) < len(values):
            raise DataError(f"{place}: other rows have numbers; found {table.rows(words, column)}.")
        raise DataError(f"{place}: words have no order of their own. {_how_to_state(column, present)}")
    broken = [i for i, value in enumerate(values) if value != np.floor(value)]
    if broken:
        raise DataError(
            f"{place}: categories are whole numbers or words; found {table.rows(broken, column)}. A number on a scale "
            "is a measurement: --likelihood normal."
        )
    low, high = int(values.min()), int(values.max())
    if high - low >= MOST_CATEGORIES:
        raise DataError(
            f"{place}: whole numbers from {low} to {high} are too many categories; at most {MOST_CATEGORIES} are "
            "taken. A number on a scale of so many steps is a measurement: --likelihood normal."
        )
    return Ordered(column, tuple(str(k) for k in range(low, high + 1)), values - low + 1)
