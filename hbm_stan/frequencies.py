"""Frequency weights: a column that says how many times a row counts becomes as many rows.

The rows are repeated, so that every number is that of the table with all its rows: likelihood, leave-one-out, checks.
Weights of any other kind (of samples, of precision) ask for another model, not for more rows, and are refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.table import Table

# Rows of the whole table beyond which every row by itself is too many to score (ours).
MOST_ROWS = 1_000_000
_OTHER_KINDS = (
    "Weights say how many times a row counts, in whole numbers from 0 on. Weights of a survey, of propensity or of "
    "precision are none: put what a sample was drawn by into the model, and known standard errors into estimates."
)


def counted(table: Table, column: str) -> Table:
    """The table with each row as often as ``column`` says; raises DataError for what is no number of times.

    Rows keep the names that they had in the table, so that messages find them.
    """
    place = f"{table.where}, column {column!r}"
    times = table.numbers(column)
    below = np.flatnonzero(times < 0)
    if below.size:
        raise DataError(f"{place}: below 0 in {table.rows(below.tolist(), column)}. {_OTHER_KINDS}")
    parts = np.flatnonzero(times != np.floor(times))
    if parts.size:
        raise DataError(f"{place}: not whole in {table.rows(parts.tolist(), column)}. {_OTHER_KINDS}")
    total = int(times.sum())
    if total == 0:
        raise DataError(f"{place}: all weights are 0, so that no row is left.")
    if total > MOST_ROWS:
        raise DataError(
            f"{place}: the weights add up to {total:,} rows, more than {MOST_ROWS:,}. Give a row for each group with "
            "its successes and trials, its count and exposure, or its mean and standard error."
        )
    row = np.repeat(np.arange(table.n_rows), times.astype(np.int64)).tolist()
    none = int(np.sum(times == 0))
    left_out = f"; {none:,} of weight 0 left out" * bool(none)
    note = f"{column} says how often each of {table.n_rows:,} rows counts: {total:,} rows in all{left_out}"
    return replace(
        table, cells=tuple([cells[i] for i in row] for cells in table.cells), notes=(*table.notes, note), origin=row,
        lines=None if table.lines is None else [table.lines[i] for i in row],
    )  # fmt: skip


def refuse_weights(where: str, weights: str, used: Collection[str], roles: Collection[str]) -> None:
    """Raise DataError where the column of weights is in the model too, or rows are estimates with standard errors.

    ``used`` are the columns that the model uses, ``roles`` those that it has.
    """
    if "standard_error" in roles:
        raise DataError(
            f"{where}: {weights!r} says how many times a row counts, and a row here is an estimate with its standard "
            "error, which says by itself how much it counts. Leave the weights out."
        )
    if weights in used:
        raise DataError(f"{where}: the column {weights!r} is in the model and named as weights. It can be one of them.")
