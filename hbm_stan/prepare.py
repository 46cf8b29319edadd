"""Columns become checked arrays with their group labels, and the warnings that the data themselves call for.

The only place that turns labels into 1-based indices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from hbm_stan.data import Dataset, listed
from hbm_stan.errors import DataError, nearest
from hbm_stan.levels import check_group_count, check_levels, check_single_rows, index_levels
from hbm_stan.predictors import Predictors, check_predictors, read_predictors, refuse_predictors, refuse_varying
from hbm_stan.table import FloatArray, shorten
from hbm_stan.verdicts import Verdict

RoleKind = Literal["label", "unit", "number", "positive", "count", "binary", "predictors", "group_predictors"]
LIST_KINDS = ("predictors", "group_predictors")

# Numbers beyond these cannot be squared and added up in double precision.
LARGEST, SMALLEST = 1e100, 1e-100
# Stan's integers end here.
_LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True)
class Role:
    """A part that a column plays for a family: its name, what values are allowed, what it means.

    Kinds: ``label`` (the group), ``unit`` (labels of the middle level, within groups), ``number``, ``positive``,
    ``count`` (0, 1, 2, ...), ``binary`` (0 or 1), and two that take a list of columns: ``predictors`` and
    ``group_predictors`` (one value in each group). ``at_most`` names the role whose value bounds this one.
    """

    name: str
    kind: RoleKind
    meaning: str
    optional: bool = False
    at_most: str = ""


@dataclass(frozen=True)
class Units:
    """The middle level: labels of the units (``group: unit``), the 0-based unit of each row, the group of each unit."""

    labels: tuple[str, ...]
    unit: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """Checked columns by role: ``labels`` of the groups in order of appearance, the 0-based ``group`` of each row,
    ``values`` of each numeric role, shape (rows,), ``predictors`` of each role that takes a list, and ``units`` of the
    middle level where there is one."""

    dataset: Dataset
    labels: tuple[str, ...]
    group: npt.NDArray[np.int64]
    values: Mapping[str, FloatArray]
    verdicts: tuple[Verdict, ...]
    predictors: Mapping[str, Predictors] = field(default_factory=dict)
    units: Units | None = None

    @property
    def group_idx(self) -> npt.NDArray[np.int64]:
        """The group of each row as Stan counts: from 1, shape (rows,)."""
        return self.group + 1

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many rows each group has, shape (groups,)."""
        return np.bincount(self.group, minlength=len(self.labels))

    @property
    def one_row_per_group(self) -> bool:
        """Whether every group has one row: to leave the row out is to leave the group out."""
        return len(self.group) == len(self.labels)

    @property
    def alone(self) -> npt.NDArray[np.bool_]:
        """Whether each row is the only one of its group, shape (rows,)."""
        return np.asarray(self.sizes[self.group] == 1)

    @property
    def row_names(self) -> list[str]:
        """What messages call each row: its group, and its place in the table where groups have several."""
        if self.one_row_per_group:
            return [self.labels[g] for g in self.group]
        return [f"{self.dataset.table.row(i)} ({self.labels[g]})" for i, g in enumerate(self.group)]

    def without(self, rows: npt.ArrayLike) -> Prepared:
        """The same table without some rows (counted from 0): what was made of columns stays, empty groups go.

        Labels keep their order; ``dataset`` is still the whole one, for its names.
        """
        kept = np.delete(np.arange(len(self.group)), np.asarray(rows, dtype=np.int64))
        present, group = np.unique(self.group[kept], return_inverse=True)
        units = None
        if self.units is not None:
            there, unit = np.unique(self.units.unit[kept], return_inverse=True)
            above = np.searchsorted(present, self.units.group[there])
            units = Units(tuple(self.units.labels[u] for u in there), unit, above)
        return replace(
            self, labels=tuple(self.labels[j] for j in present), group=group, units=units,
            values={role: values[kept] for role, values in self.values.items()},
            predictors={role: replace(p, values=p.values[kept]) for role, p in self.predictors.items()},
        )  # fmt: skip

    def __getitem__(self, role: str) -> FloatArray:
        return self.values[role]

    def __contains__(self, role: str) -> bool:
        return role in self.values


def prepare(dataset: Dataset, roles: Sequence[Role], *, one_row_per_group: bool, known_residual: bool) -> Prepared:
    """The columns that the roles ask for, checked; raises DataError naming file, column, row or group."""
    dataset = check_mapping(dataset, roles)
    given = [r for r in roles if r.name in dataset.columns]
    label_role = next(r for r in given if r.kind == "label")
    labels_of_rows = dataset.table.labels(dataset.column(label_role.name))
    labels, group = index_levels(labels_of_rows)
    if one_row_per_group:
        _refuse_repeated_groups(dataset, label_role, labels_of_rows)
    values = {r.name: _values(dataset, r) for r in given if r.kind not in {"label", "unit", *LIST_KINDS}}
    _refuse_above(dataset, given, values)
    if not known_residual:
        _refuse_constant(dataset, values)
    if len(labels) < 2:
        raise DataError(
            f"{dataset.table.where}: there is one group ({shorten(labels[0])!r}) only. Pooling needs at least "
            "two groups, and says little with fewer than five."
        )
    predictors = {r.name: read_predictors(dataset, dataset.listed(r.name)) for r in roles if r.kind in LIST_KINDS}
    units = next((_units(dataset, r, labels, group) for r in given if r.kind == "unit"), None)
    verdicts = [
        *check_levels(dataset.column(label_role.name), labels),
        *check_group_count(len(labels)),
        *([] if known_residual else check_single_rows(group, len(labels))),
        *_check_predictors(dataset, roles, predictors, values, labels, group),
    ]
    return Prepared(dataset, labels, group, values, tuple(verdicts), predictors, units)


def check_mapping(dataset: Dataset, roles: Sequence[Role]) -> Dataset:
    """The dataset, if each role that is needed has columns of its own that are there; else raises DataError."""
    names = [r.name for r in roles]
    for role in dataset.columns:
        if role not in names:
            raise DataError(f"Columns: there is no role {role!r}. {nearest(role, names)}")
    for r in roles:
        if r.name not in dataset.columns and not r.optional:
            raise DataError(
                f"{dataset.table.where}: no column is named for the role {r.name!r} ({r.meaning}). "
                f"{listed(dataset.table)}"
            )
    dataset = dataset.with_columns(dataset.columns)
    for r in roles:
        if r.kind not in LIST_KINDS and not isinstance(dataset.columns.get(r.name, ""), str):
            raise DataError(f"Columns: the role {r.name!r} takes one column, found {dataset.columns[r.name]!r}.")
    for column, n in Counter(c for role in dataset.columns for c in dataset.listed(role)).items():
        if n > 1:
            twice = [role for role in dataset.columns if column in dataset.listed(role)]
            raise DataError(
                f"{dataset.table.where}: the column {column!r} is named for {n} roles ({', '.join(twice)}). "
                "Each role needs a column of its own."
            )
    return dataset


def _units(dataset: Dataset, role: Role, labels: Sequence[str], group: npt.NDArray[np.int64]) -> Units:
    """The units of the middle level; equal labels in two groups are two units."""
    cells = dataset.table.labels(dataset.column(role.name))
    pairs = [f"{labels[g]}: {cell}" for g, cell in zip(group, cells, strict=True)]
    names, unit = index_levels(pairs)
    above = np.zeros(len(names), dtype=np.int64)
    above[unit] = group
    return Units(names, unit, above)


def _refuse_repeated_groups(dataset: Dataset, role: Role, labels: Sequence[str]) -> None:
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


def _values(dataset: Dataset, role: Role) -> FloatArray:
    try:
        values = dataset.table.numbers(dataset.column(role.name))
    except DataError as error:
        raise DataError(f"{error} Write 1 for yes and 0 for no." if role.kind == "binary" else str(error)) from error
    positive = role.kind == "positive"
    if positive:
        _refuse(dataset, role, values <= 0, "must be above zero; found", "")
    if role.kind == "count":
        _refuse(dataset, role, values < 0, "a count cannot be negative:", "")
        _refuse(dataset, role, values != np.floor(values), "a count is a whole number; found", "")
        _refuse(dataset, role, values > _LARGEST_COUNT, "larger than Stan's whole numbers:", " Change the unit.")
    if role.kind == "binary":
        _refuse(dataset, role, (values != 0) & (values != 1), "must be 0 or 1; found", "")
    extreme = (np.abs(values) > LARGEST) | (positive & (values < SMALLEST))
    _refuse(dataset, role, extreme, "out of the range that can be computed with;", " Change the unit.")
    return values


def _refuse_above(dataset: Dataset, roles: Sequence[Role], values: Mapping[str, FloatArray]) -> None:
    """Raise DataError where a value is above the one that bounds it: more successes than trials."""
    for role in roles:
        if role.at_most and role.at_most in values:
            limit = dataset.column(role.at_most)
            bad = values[role.name] > values[role.at_most]
            _refuse(dataset, role, bad, f"above {limit!r} of the same row:", f" It is at most {limit!r}.")


def _refuse_constant(dataset: Dataset, values: Mapping[str, FloatArray]) -> None:
    """Raise DataError for an outcome that has one value: there is nothing to explain, and no residual scale."""
    outcome = values.get("outcome")
    if outcome is not None and np.ptp(outcome) == 0:
        raise DataError(
            f"{dataset.table.where}, column {dataset.column('outcome')!r}: the outcome is {outcome[0]:g} in every row. "
            "An outcome that does not vary cannot be modelled."
        )


def _refuse(dataset: Dataset, role: Role, bad: npt.NDArray[np.bool_], wrong: str, advice: str) -> None:
    if bad.any():
        column = dataset.column(role.name)
        places = dataset.table.rows([int(i) for i in np.flatnonzero(bad)], column)
        raise DataError(f"{dataset.table.where}, column {column!r} ({role.meaning}): {wrong} {places}.{advice}")


def _check_predictors(
    dataset: Dataset,
    roles: Sequence[Role],
    predictors: Mapping[str, Predictors],
    values: Mapping[str, FloatArray],
    labels: Sequence[str],
    group: npt.NDArray[np.int64],
) -> list[Verdict]:
    kinds = {r.name: r.kind for r in roles}
    refuse_predictors(dataset.table.where, list(predictors.values()))
    verdicts = []
    for role, found in predictors.items():
        if kinds[role] == "group_predictors":
            refuse_varying(dataset.table.where, found, group, labels)
        else:
            verdicts += check_predictors(found, values.get("outcome"), group)
    return verdicts
