"""Columns of numbers, checked for what their role allows; 0 and 1 may be written as words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from hbm_stan.cells import TRUTHS, distinct, kind, label, truth
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError
from hbm_stan.table import NOT_DROPPED, FloatArray, shorten

RoleKind = Literal[
    "label", "unit", "number", "positive", "share", "count", "binary", "ordered", "predictors", "group_predictors"
]
LIST_KINDS = ("predictors", "group_predictors")
# Numbers beyond these cannot be squared and added up in double precision.
LARGEST, SMALLEST = 1e100, 1e-100
# Stan's integers end here.
_LARGEST_COUNT = 2**31 - 1
# What to do about a value that a likelihood of amounts, or of shares, does not take.
ZERO_AMOUNT = (
    "Amounts of 0 are another process: take two steps, whether there is an amount at all (0 or 1) and how much where "
    "there is one; or another likelihood, normal if amounts lie far from 0. What is below 0 is no amount."
)
_END_OF_SHARES = (
    "Shares of 0 or 1 are another process: where a share is a count out of trials, write successes | trials(n) ~ ...; "
    "else model in a step of their own which rows are 0 or 1. To move them a little inside is a choice that changes "
    "the answer: if it is yours, make it in the table."
)
_PERCENT = " Percent are shares times 100: divide by 100, as in I(y / 100) ~ ..."


@dataclass(frozen=True)
class Role:
    """A part that a column plays for a family: its name, what values are allowed, what it means.

    Kinds: ``label`` (the group), ``unit`` (labels of the middle level, within groups), ``number``, ``positive``,
    ``share`` (strictly between 0 and 1), ``count`` (0, 1, 2, ...), ``binary`` (0 or 1), ``ordered`` (categories in
    order), and two that take a list of columns: ``predictors`` and ``group_predictors`` (one value in each group).
    ``at_most`` names the role whose value bounds this one, ``instead`` roles that may stand in its place, one way or
    another: a variance, or two limits, for a standard error. ``advice`` says what to do about a value that is not
    positive. Where ``neighbours`` is set, labels are those of areas, and a list says which lie beside which. Where
    ``may_be_missing`` is set, cells may be empty: rows without that value are kept apart. Where ``selection``
    is set, a list may say how likely an event of a value is seen. Where ``blank`` is set, a cell may be empty,
    and is nan. Where ``integrated`` is, values are points of curves that are integrated over. ``likelihoods`` are
    those that the outcome may have where this role has a column; the first is the default.
    """

    name: str
    kind: RoleKind
    meaning: str
    optional: bool = False
    at_most: str = ""
    instead: tuple[tuple[str, ...], ...] = ()
    advice: str = ""
    neighbours: bool = False
    may_be_missing: bool = False
    selection: bool = False
    blank: bool = False
    integrated: bool = False
    likelihoods: tuple[str, ...] = ()


def read_values(dataset: Dataset, roles: Sequence[Role]) -> tuple[dict[str, FloatArray], list[str]]:
    """The numbers of these roles, shape (rows,), and what was decided on the way; raises DataError."""
    notes: list[str] = []
    values = {role.name: (_with_blanks if role.blank else _values)(dataset, role, notes) for role in roles}
    _refuse_above(dataset, roles, values)
    return values, notes


def _with_blanks(dataset: Dataset, role: Role, notes: list[str]) -> FloatArray:
    """The numbers of a role whose cells may be empty, nan where they are; the others are checked as any."""
    column = dataset.column(role.name)
    cells = dataset.table.column(column)
    empty = np.array([kind(cell) == "missing" for cell in cells])
    # A one is no fault of any role: a count, above zero.
    filled = tuple(1 if gap else cell for gap, cell in zip(empty, cells, strict=True))
    table = dataset.table
    columns = tuple(filled if name == column else table.column(name) for name in table.names)
    values = _values(replace(dataset, table=replace(table, cells=columns)), role, notes)
    return np.where(empty, np.nan, values)


def _values(dataset: Dataset, role: Role, notes: list[str]) -> FloatArray:
    column = dataset.column(role.name)
    # Successes of trials that have no column: one trial in each row. Where they may be left out themselves, as one of
    # two ways to give an outcome, the family says that trials are missing.
    alone = role.at_most != "" and role.at_most not in dataset.columns and not role.optional
    binary = role.kind == "binary" or alone
    if binary and any(map(truth, distinct(dataset.table.column(column)))):
        return _truths(dataset, role, notes)
    try:
        values = dataset.table.numbers(column, missing=role.may_be_missing)
    except DataError as error:
        raise DataError(f"{error} Write 1 for yes and 0 for no." if binary else str(error)) from error
    positive = role.kind == "positive"
    if positive:
        refuse_rows(dataset, role, values <= 0, "must be above zero; found", f" {role.advice}" if role.advice else "")
    if role.kind == "share":
        _refuse_no_shares(dataset, role, values)
    if role.kind == "count":
        refuse_rows(dataset, role, values < 0, "a count cannot be negative:", "")
        refuse_rows(dataset, role, values != np.floor(values), "a count is a whole number; found", "")
        refuse_rows(dataset, role, values > _LARGEST_COUNT, "larger than Stan's whole numbers:", " Change the unit.")
    if binary:
        refuse_rows(dataset, role, (values != 0) & (values != 1), "must be 0 or 1; found", "")
    extreme = (np.abs(values) > LARGEST) | (positive & (values < SMALLEST))
    refuse_rows(dataset, role, extreme, "out of the range that can be computed with;", " Change the unit.")
    return values


def _refuse_no_shares(dataset: Dataset, role: Role, values: FloatArray) -> None:
    """Raise DataError for values that do not lie strictly between 0 and 1; percent are named as such."""
    outside = (values < 0) | (values > 1)
    percent = bool((values >= 0).all() and (values <= 100).all())
    refuse_rows(dataset, role, outside, "a share lies between 0 and 1; found", _PERCENT if percent else "")
    ends = (values == 0) | (values == 1)
    refuse_rows(dataset, role, ends, "a share lies strictly between 0 and 1; found", f" {_END_OF_SHARES}")


def _truths(dataset: Dataset, role: Role, notes: list[str]) -> FloatArray:
    """A column of TRUE and FALSE, or of yes and no, as 1 and 0; one pair of words in a column."""
    table, column = dataset.table, dataset.column(role.name)
    cells = table.column(column)
    no, yes = next(pair for pair in map(truth, cells) if pair)
    words = [label(cell).casefold() for cell in cells]
    bad = [i for i, word in enumerate(words) if word not in (no, yes)]
    missing = [i for i in bad if kind(cells[i]) == "missing"]
    if missing:
        raise DataError(f"{table.where}, column {column!r}: no value in {table.rows(missing)}. {NOT_DROPPED}")
    if bad:
        pairs = ", ".join(f"{no} and {yes}" for no, yes in TRUTHS[:2])
        raise DataError(
            f"{table.where}, column {column!r} ({role.meaning}): other rows say {no} or {yes}; found "
            f"{table.rows(bad, column)}. An outcome of two values is 0 and 1, or one pair of words ({pairs})."
        )
    written = {word: label(cells[i]) for i, word in reversed(list(enumerate(words)))}
    notes.append(f"{column}: {written.get(yes, yes)} is taken as 1, {written.get(no, no)} as 0.")
    return np.array([word == yes for word in words], dtype=float)


def _refuse_above(dataset: Dataset, roles: Sequence[Role], values: Mapping[str, FloatArray]) -> None:
    """Raise DataError where a value is above the one that bounds it: more successes than trials."""
    for role in roles:
        if role.at_most and role.at_most in values:
            limit = dataset.column(role.at_most)
            bad = values[role.name] > values[role.at_most]
            refuse_rows(dataset, role, bad, f"above {limit!r} of the same row:", f" It is at most {limit!r}.")


def refuse_constant(dataset: Dataset, values: Mapping[str, FloatArray]) -> None:
    """Raise DataError for an outcome that has one value: there is nothing to explain, and no residual scale."""
    outcome = values.get("outcome")
    if outcome is not None and np.ptp(outcome) == 0:
        raise DataError(
            f"{dataset.table.where}, column {dataset.column('outcome')!r}: the outcome is {outcome[0]:g} in every row. "
            "An outcome that does not vary cannot be modelled."
        )


def refuse_rows(dataset: Dataset, role: Role, bad: npt.NDArray[np.bool_], wrong: str, advice: str) -> None:
    """Raise DataError naming the rows that are wrong, with their cells in the column of the role."""
    if bad.any():
        column = dataset.column(role.name)
        places = dataset.table.rows([int(i) for i in np.flatnonzero(bad)], column)
        raise DataError(f"{dataset.table.where}, column {column!r} ({role.meaning}): {wrong} {places}.{advice}")


def refuse_repeated_groups(dataset: Dataset, role: Role, labels: Sequence[str]) -> None:
    """Raise DataError where a group stands in several rows, for families that take one estimate of each."""
    counts = Counter(labels)
    repeated = [label for label, n in counts.items() if n > 1]
    if not repeated:
        return
    label = repeated[0]
    rows = [i for i, other in enumerate(labels) if other == label]
    more = f" {len(repeated) - 1:,} more groups are repeated too." if len(repeated) > 1 else ""
    raise DataError(
        f"{dataset.table.where}, column {dataset.column(role.name)!r}: the group {shorten(label)!r} stands in "
        f"{len(rows):,} rows ({dataset.table.rows(rows)}). This family takes one estimate for each group: "
        f"combine them into one row, or give them different labels.{more}"
    )
