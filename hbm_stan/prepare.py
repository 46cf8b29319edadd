"""Columns become checked arrays with their group labels, and the warnings that the data themselves call for.

The only place that turns labels into 1-based indices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hbm_stan.data import Dataset
from hbm_stan.design import Design, Factor, make_factor
from hbm_stan.errors import DataError, nearest
from hbm_stan.estimates import standard_errors
from hbm_stan.formula import Structure, check_single_trials, read_structure, refuse_formula, with_formula
from hbm_stan.levels import check_group_count, check_labels, check_single_rows, check_total, refuse_one_group
from hbm_stan.mapping import check_mapping
from hbm_stan.missingness import Unseen, refuse_unseen_groups
from hbm_stan.neighbours import check_neighbours
from hbm_stan.nouns import GROUPS, Noun, noun_of
from hbm_stan.ordered import read_ordered
from hbm_stan.portions import VERY_MANY_ROWS, NamesAsked
from hbm_stan.predictors import Predictors, check_columns, read_predictors
from hbm_stan.samples import SAMPLE, STANDARD_ERROR, Samples, folded
from hbm_stan.selection import notes_on
from hbm_stan.standard_errors import check_standard_errors
from hbm_stan.table import FloatArray
from hbm_stan.units import Units, read_units
from hbm_stan.values import (
    LARGEST,
    LIST_KINDS,
    SMALLEST,
    Role,
    RoleKind,
    read_values,
    refuse_constant,
    refuse_repeated_groups,
)
from hbm_stan.verdicts import Verdict

# What families import from here, wherever it is written.
__all__ = ["LARGEST", "LIST_KINDS", "SMALLEST", "Prepared", "Role", "RoleKind", "Units", "check_mapping", "prepare"]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """Checked columns by role: the ``pooled`` factor, whose levels are the groups (of the design, where there is one),
    ``values`` of each numeric role, shape (rows,), ``predictors`` of each role that takes a list, ``units`` of the
    middle level where there is one, ``notes`` on what was decided (levels, words taken as 0 and 1), and the ``noun``
    that sentences call a group by. ``design`` is the structure that a formula gives, for families with terms, and
    ``categories`` the levels of its columns. ``ordered`` are the categories of an ordered outcome, the lowest first, by
    column: its values count them from 1. ``unseen`` are the rows whose outcome is missing, where a family takes such
    rows: all else is of the others, whose places in the table ``rows`` has (None: all rows, in order). Where events
    are given as posterior ``samples``, rows are events. ``parts`` are the kinds of rows where a family makes
    several of a row of the table: ``values["part"]`` counts them from 1."""

    dataset: Dataset
    pooled: Factor
    values: Mapping[str, FloatArray]
    verdicts: tuple[Verdict, ...]
    predictors: Mapping[str, Predictors] = field(default_factory=dict)
    units: Units | None = None
    notes: tuple[str, ...] = ()
    noun: Noun = GROUPS
    design: Design | None = None
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ordered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unseen: Unseen | None = None
    rows: npt.NDArray[np.int64] | None = None
    samples: Samples | None = None
    parts: tuple[str, ...] = ()

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """The levels of each category among the predictors, by column, the reference first."""
        of_roles = {
            column: levels for predictors in self.predictors.values() for column, levels in predictors.levels.items()
        }
        return {**of_roles, **self.categories}

    @property
    def n_rows(self) -> int:
        """How many rows the table has."""
        return len(self.pooled.level)

    @property
    def n_all(self) -> int:
        """How many rows the table has, those without an outcome too."""
        return self.n_rows + (0 if self.unseen is None else self.unseen.n_rows)

    @property
    def n_read(self) -> int:
        """How many rows were read: of events that are given as samples, these."""
        return self.n_all if self.samples is None else len(self.samples.value)

    @property
    def n_groups(self) -> int:
        """How many levels the pooled factor has."""
        return len(self.pooled.labels)

    @property
    def group_idx(self) -> npt.NDArray[np.int64]:
        """The group of each row as Stan counts: from 1, shape (rows,)."""
        return self.pooled.level + 1

    def factor(self, name: str) -> Factor:
        """The grouping factor of that name: the pooled one, or another of the design; DataError names the nearest."""
        factors = {f.name: f for f in (self.pooled, *(self.design.factors if self.design else ()))}
        if name not in factors:
            raise DataError(
                f"{self.dataset.table.where}: there is no grouping factor {name!r}. {nearest(name, factors)}"
            )
        return factors[name]

    @cached_property
    def by_group(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The rows in the order of their groups, (N,), and where each group starts among them."""
        order = np.argsort(self.pooled.level, kind="stable")
        return order, np.flatnonzero(np.diff(self.pooled.level[order], prepend=-1))

    @property
    def one_row_per_group(self) -> bool:
        """Whether every group has one row: to leave the row out is to leave the group out."""
        return self.n_rows == self.n_groups

    @property
    def alone(self) -> npt.NDArray[np.bool_]:
        """Whether each row is the only one of its group, shape (rows,)."""
        return np.asarray(self.pooled.sizes[self.pooled.level] == 1)

    @property
    def row_names(self) -> Sequence[str]:
        """What messages call each row: its group, and its place in the table where groups have several."""
        if self.n_rows > VERY_MANY_ROWS and not self.parts and not self.one_row_per_group:
            return NamesAsked(self.n_rows, self._name)
        groups = self.pooled.row_labels
        if self.parts:
            return [f"{g}, {self.parts[int(k) - 1]}" for g, k in zip(groups, self.values["part"], strict=True)]
        if self.one_row_per_group:
            return groups
        return [self._name(i) for i in range(self.n_rows)]

    def _name(self, i: int) -> str:
        place = i if self.rows is None else int(self.rows[i])
        return f"{self.dataset.table.row(place)} ({self.pooled.labels[self.pooled.level[i]]})"

    def without(self, rows: npt.ArrayLike) -> Prepared:
        """The same table without some rows (counted from 0): what was made of columns stays, empty groups go.

        Labels keep their order; ``dataset`` is still the whole one, for its names. With the last row of a group its
        rows without an outcome go too.
        """
        remaining = np.delete(np.arange(self.n_rows), np.asarray(rows, dtype=np.int64))
        design = None if self.design is None else self.design.without(rows)
        units = None
        if self.units is not None:
            there, unit = np.unique(self.units.unit[remaining], return_inverse=True)
            above = np.searchsorted(np.unique(self.pooled.level[remaining]), self.units.group[there])
            units = Units(tuple(self.units.labels[u] for u in there), unit, above)
        unseen = None if self.unseen is None else self.unseen.among(np.unique(self.pooled.level[remaining]))
        places = None if self.rows is None else self.rows[remaining]
        return replace(
            self, pooled=self.pooled.of_rows(remaining) if design is None else design.pooled, units=units,
            unseen=unseen, rows=places,
            design=design, values={role: values[remaining] for role, values in self.values.items()},
            predictors={role: replace(p, values=p.values[remaining]) for role, p in self.predictors.items()},
            samples=None if self.samples is None else self.samples.of_events(remaining),
        )  # fmt: skip

    def __getitem__(self, role: str) -> FloatArray:
        return self.values[role]

    def __contains__(self, role: str) -> bool:
        return role in self.values


def prepare(
    dataset: Dataset, roles: Sequence[Role], *, one_row_per_group: bool, known_residual: bool, terms: bool = False,
    own_formulas: Sequence[str] = (),
) -> Prepared:  # fmt: skip
    """The columns that the roles ask for, checked; raises DataError naming file, column, row or group.

    With ``terms`` the dataset's formula gives the structure; where it has none, the intercept varies between groups.
    ``own_formulas`` are parameters of a likelihood that have a formula of their own.
    """
    if not terms:
        refuse_formula(dataset)
    dataset = check_mapping(with_formula(dataset) if terms else dataset, roles)
    given = [r for r in roles if r.name in dataset.columns]
    label_role = next(r for r in given if r.kind == "label")
    labels_of_rows = dataset.table.labels(dataset.column(label_role.name))
    pooled = make_factor(dataset.column(label_role.name), labels_of_rows)
    labels, group = pooled.labels, pooled.level
    if one_row_per_group and SAMPLE not in dataset.columns:
        refuse_repeated_groups(dataset, label_role, labels_of_rows)
    values, ordered, notes = _values(dataset, given, labels)
    values, notes, warnings = _with_errors(dataset, roles, values, notes)
    unseen, seen = _unseen(dataset, given, pooled, values)
    refuse_constant(dataset, {} if known_residual else seen)
    if not any(r.integrated for r in roles):  # a curve alone has an integral
        refuse_one_group(dataset.table.where, labels)
    structure = read_structure(dataset, own_formulas, ordered, known_residual=known_residual) if terms else None
    predictors = {r.name: read_predictors(dataset, dataset.listed(r.name)) for r in roles if r.kind in LIST_KINDS}
    units = next((read_units(dataset, dataset.column(r.name), labels, group) for r in given if r.kind == "unit"), None)
    noun = noun_of(dataset.column(label_role.name), dataset.reading.group_name)
    verdicts = [
        *check_labels(dataset.column(label_role.name), labels, noun),
        *check_total(dataset.column(label_role.name), labels_of_rows, noun),
        *warnings,
        *check_group_count(len(labels), noun),
        *([] if known_residual else check_single_rows(group[~unseen], len(labels), noun)),
        *_check_standard_errors(dataset, values, [labels[g] for g in group]),
        *check_columns(dataset, {r.name: r.kind for r in roles}, predictors, seen, labels, group, noun),
    ]
    prepared = Prepared(
        dataset=dataset, pooled=pooled, values=values, verdicts=tuple(verdicts), predictors=predictors, units=units,
        notes=(*notes, *(note for own in predictors.values() for note in own.notes)), noun=noun, ordered=ordered,
    )  # fmt: skip
    prepared = _seen(prepared, unseen) if any(r.may_be_missing for r in given) else prepared
    return _with_samples(prepared) if structure is None else _with_structure(prepared, structure, roles)


def _with_samples(table: Prepared) -> Prepared:
    """The table of events where its rows are samples of them; else the table as it is."""
    if SAMPLE not in table:
        return table
    samples, values, notes = folded(table.dataset, table.values, table.pooled.level, table.pooled.labels, table.noun)
    pooled = replace(table.pooled, level=np.arange(table.n_groups))
    return replace(table, pooled=pooled, values=values, samples=samples, notes=(*table.notes, *notes))


def _with_errors(
    dataset: Dataset, roles: Sequence[Role], values: dict[str, FloatArray], notes: list[str]
) -> tuple[dict[str, FloatArray], list[str], list[Verdict]]:
    """The values with standard errors where roles may stand in their place, notes, and warnings on them."""
    if not any(r.instead and r.name == STANDARD_ERROR for r in roles):
        return values, notes, []
    values, error_notes, warnings = standard_errors(dataset, values, {r.name: r for r in roles})
    return values, [*notes, *error_notes], warnings


def _unseen(
    dataset: Dataset, roles: Sequence[Role], pooled: Factor, values: Mapping[str, FloatArray]
) -> tuple[npt.NDArray[np.bool_], dict[str, FloatArray]]:
    """Which rows lack a value that may be missing, (rows,), and the values of the others by role.

    Raises DataError where a group has no such value.
    """
    unseen = np.zeros(len(pooled.level), dtype=bool)
    for role in roles:
        if role.may_be_missing:
            unseen |= np.isnan(values[role.name])
            column = dataset.column(role.name)
            refuse_unseen_groups(dataset.table.where, column, pooled.labels, pooled.level, unseen)
    return unseen, {role: own[~unseen] for role, own in values.items()}


def _seen(table: Prepared, unseen: npt.NDArray[np.bool_]) -> Prepared:
    """The table of the rows whose outcome was seen, with the others beside."""
    beside = Unseen(table.pooled.level[unseen], {role: p.values[unseen] for role, p in table.predictors.items()})
    seen = replace(table, rows=np.arange(table.n_rows)).without(np.flatnonzero(unseen))
    note = f"{beside.n_rows} of {table.n_rows} rows have no outcome: nobody saw it. They are kept beside the others."
    return replace(seen, unseen=beside, notes=(*table.notes, note) if beside.n_rows else table.notes)


def _values(
    dataset: Dataset, roles: Sequence[Role], labels: Sequence[str]
) -> tuple[dict[str, FloatArray], dict[str, tuple[str, ...]], list[str]]:
    """The values of roles that have one in each row, the categories of those that are ordered by column, and notes."""
    values, notes = read_values(dataset, [r for r in roles if r.kind not in {"label", "unit", "ordered", *LIST_KINDS}])
    in_order = {r.name: read_ordered(dataset, dataset.column(r.name)) for r in roles if r.kind == "ordered"}
    values |= {role: outcome.values for role, outcome in in_order.items()}
    categories = {outcome.column: outcome.categories for outcome in in_order.values()}
    notes += check_neighbours(dataset.reading.neighbours, dataset.table.where, labels)
    notes += notes_on(dataset.reading.selection)
    return values, categories, [*notes, *(note for outcome in in_order.values() for note in outcome.notes)]


def _with_structure(table: Prepared, structure: Structure, roles: Sequence[Role]) -> Prepared:
    """The table with the structure of its formula; trials and exposure that have no column are 1 in each row."""
    n = table.n_rows
    ones = {r.name: np.ones(n) for r in roles if r.optional and r.kind in {"count", "positive"}}
    values = {**ones, **table.values}
    verdicts = check_single_trials(structure.design, values.get("outcome"), values.get("trials"))
    return replace(
        table, values=values, pooled=structure.design.pooled, design=structure.design, categories=structure.levels,
        notes=(*table.notes, *structure.notes), verdicts=(*table.verdicts, *structure.verdicts, *verdicts),
    )  # fmt: skip


def _check_standard_errors(dataset: Dataset, values: Mapping[str, FloatArray], labels: Sequence[str]) -> list[Verdict]:
    se = values.get("standard_error")
    column = next((c for role in ("standard_error", "variance", "upper") if (c := dataset.column(role))), "")
    return [] if se is None else check_standard_errors(se, labels, column)
