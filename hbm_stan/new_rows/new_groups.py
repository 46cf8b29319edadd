"""Rows of groups that were not fitted, with their outcomes, read as the fit's own table was and put behind its rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from hbm_stan.cells import kind, label, number
from hbm_stan.data import Dataset
from hbm_stan.encoding import IntArray
from hbm_stan.errors import DataError, ModelError, did_you_mean, nearest
from hbm_stan.formula.coding import learn_of, numbers_of
from hbm_stan.formula.expression import Column, columns_of
from hbm_stan.formula.parse import parse
from hbm_stan.frequencies import counted
from hbm_stan.model import Family
from hbm_stan.new_rows.asked import Asked, table_of
from hbm_stan.new_rows.extend import extended_design, joined
from hbm_stan.new_rows.needs import Grouping, Needs, needs_of_formula
from hbm_stan.new_rows.read import Rows, read_rows, refuse_lacking, refuse_not_finite
from hbm_stan.new_rows.settings import KNOWN, NEW
from hbm_stan.new_rows.whole import needs_of_family
from hbm_stan.prepare import LIST_KINDS, Prepared, Role
from hbm_stan.prepared import prepared_for
from hbm_stan.samples import STANDARD_ERROR, folded
from hbm_stan.table import FloatArray, Table, shorten
from hbm_stan.values import read_values, refuse_repeated_groups

_NOT_NUMBERS = {"label", "unit", "ordered", "binary", *LIST_KINDS}


@dataclass(frozen=True, kw_only=True)
class NewGroups:
    """``rows`` of the groups ``labels``, ``sizes`` rows in each, and ``table``, the fitted one with these rows behind.

    ``n_fitted`` rows and ``n_known`` groups of the table are those that were fitted.
    """

    rows: Rows
    labels: tuple[str, ...]
    sizes: IntArray
    table: Prepared
    n_fitted: int
    n_known: int

    @property
    def where(self) -> str:
        """What messages call the rows."""
        return self.rows.table.where

    @property
    def own_rows(self) -> Table:
        """The rows that are predicted where no others are named: those of the groups; of events that are given as
        samples a row each, with the sd of its samples for its standard error."""
        table, dataset = self.rows.table, self.table.dataset
        if self.table.samples is None:
            return table
        _, first = np.unique(self.rows.places[dataset.column("group")].level, return_index=True)
        lines, origin = (None if own is None else [own[i] for i in first] for own in (table.lines, table.origin))
        cells = tuple([column[i] for i in first] for column in table.cells)
        of_events = replace(table, cells=cells, lines=lines, origin=origin)
        return _with(of_events, STANDARD_ERROR, self.table[STANDARD_ERROR][self.n_fitted :])


def read_condition(family: Family, variant: str, read: Prepared, rows: Any) -> NewGroups:
    """Rows of new groups to be conditioned on; raises ModelError where the variant cannot be."""
    refuse_not_partial(family, variant)
    return read_new_groups(family, read, rows)


def read_new_groups(family: Family, read: Prepared, given: Any) -> NewGroups:
    """The rows of a CSV file, a DataFrame or columns by name; raises DataError naming column and row.

    All groups must be new; levels of other factors must be known, but for those that lie inside groups.
    """
    table = table_of(given)
    if read.dataset.reading.weights:
        refuse_lacking(table, read.dataset.reading.weights, "which says how often a row counts", at=False)
        table = counted(table, read.dataset.reading.weights)
    needs = (needs_of_formula if family.terms else needs_of_family)(family, read, {})
    column = read.dataset.column("group")
    states = {name: _states(read, grouping, table, column) for name, grouping in needs.groupings.items()}
    row_states = {name: (state,) * table.n_rows for name, state in states.items()}
    asked = Asked(table=table, n=table.n_rows, states=row_states)
    rows = read_rows(needs if family.terms else _whole_rows(needs), asked)
    place = rows.places[column]
    _refuse_shared(rows, needs, column)
    outcome = _of_formula if family.terms else _of_roles
    joint = outcome(family, read, rows, needs)
    n_fitted, n_known = read.n_rows, read.n_groups
    alone = joint.samples is None and joint.unseen is None  # else a row of the table is none, or not of its own
    level = joint.pooled.level[n_fitted:] if alone else place.level
    sizes = np.bincount(level - n_known, minlength=len(place.new))
    return NewGroups(rows=rows, labels=place.new, sizes=sizes, table=joint, n_fitted=n_fitted, n_known=n_known)


def _whole_rows(needs: Needs) -> Needs:
    """The needs of rows as they are fitted: sizes stand beside their outcomes, and a row has all of its parts."""
    levels = {name: own for name, own in needs.levels.items() if name not in needs.every}
    return replace(needs, sizes=(), levels=levels)


def _states(read: Prepared, grouping: Grouping, table: Table, column: str) -> str:
    """Whether levels of a factor are new or known in the rows; raises DataError for labels that are not so."""
    for part in grouping.parts:
        refuse_lacking(table, part, f"which labels the levels of {grouping.name}", at=False)
    labels = list(zip(*(table.labels(part) for part in grouping.parts), strict=True))
    known = [i for i, own in enumerate(labels) if own in grouping.known]
    last, noun = grouping.parts[-1], read.noun
    place = f"{table.where}, column {last!r}"
    inside = grouping.name != column and _inside(read, grouping, column)
    if grouping.name == column or inside:
        if known:
            what = f"a known level of {grouping.name}"
            raise DataError(
                f"{place}: {table.rows(known, last)} is {what}: its rows were fitted, and count already. Give a level "
                f"that was not fitted a label of its own; rows to be added to a known {noun.one} ask for another fit."
            )
        return NEW
    unknown = [i for i, own in enumerate(labels) if own not in grouping.known]
    if unknown:
        every = [": ".join(own) for own in grouping.known]
        near = did_you_mean(": ".join(labels[unknown[0]]), every)
        raise DataError(
            f"{place}: none of the {grouping.n_levels:,} known levels of {grouping.name}: "
            f"{table.rows(unknown, last)}. {near} Rows of a new {noun.one} may be of known levels of other factors "
            "alone; with levels that are new too, fit again with the rows."
        )
    return KNOWN


def _inside(read: Prepared, grouping: Grouping, column: str) -> bool:
    """Whether the levels of a factor lie inside those of the pooled one."""
    return read.design is None or read.design.inside(grouping.name, column)


def _refuse_shared(rows: Rows, needs: Needs, column: str) -> None:
    """Raise DataError where a new level inside groups lies in two of them."""
    group = rows.places[column].level
    for name, place in rows.places.items():
        for j in np.unique(place.level[place.level >= place.n_known]) if name != column else ():
            here = np.flatnonzero(place.level == j)
            if np.ptp(group[here]):
                last = needs.groupings[name].parts[-1]
                raise DataError(
                    f"{rows.table.where}, column {last!r}: {place.new[j - place.n_known]!r} lies in two new groups "
                    f"({rows.table.rows([int(i) for i in here], column)}). Levels of {name} lie inside one of {column}."
                )


def _of_roles(family: Family, read: Prepared, rows: Rows, needs: Needs) -> Prepared:
    """The table of a family without a formula: all rows read together, once the new ones have been checked alone."""
    dataset, table = read.dataset, rows.table
    roles = [role for role in family.roles if role.name in dataset.columns]
    for role in roles:
        for column in dataset.listed(role.name):
            refuse_lacking(table, column, f"the {role.name.replace('_', ' ')} of a row", at=False)
    alone = replace(dataset, table=table)
    values, _ = read_values(alone, [role for role in roles if role.kind not in {"label", "unit", *LIST_KINDS}])
    place = rows.places[dataset.column("group")]
    if read.samples is not None:
        folded(alone, values, place.level - place.n_known, place.new, read.noun)  # refused by the rows of their file
    elif family.one_row_per_group:
        (group,) = (role for role in roles if role.kind == "label")
        refuse_repeated_groups(alone, group, table.labels(dataset.column("group")))
    counted_roles = [role for role in roles if role.kind not in _NOT_NUMBERS]
    gaps = {role.name for role in counted_roles if role.blank or role.may_be_missing}
    numbers = {dataset.column(role.name) for role in counted_roles if role.name not in gaps}
    blanks = {dataset.column(role.name) for role in counted_roles if role.name in gaps}
    both = joined(dataset.table, table, numbers | set(needs.numbers), blanks)
    return prepared_for(replace(dataset, table=both), family)


def _of_formula(family: Family, read: Prepared, rows: Rows, needs: Needs) -> Prepared:
    """The table of a formula's model with the new rows: columns are coded and centred as they were."""
    assert read.design is not None  # needs_of_formula refused others
    values = _outcome(family, read, rows)
    design = extended_design(read.design, rows)
    both = joined(read.dataset.table, rows.table, {*needs.numbers, *needs.size_columns})
    return replace(
        read, dataset=replace(read.dataset, table=both), pooled=design.pooled, design=design,
        values={role: np.concatenate([read[role], values[role]]) for role in read.values if role in values},
    )  # fmt: skip


def _outcome(family: Family, read: Prepared, rows: Rows) -> dict[str, FloatArray]:
    """Outcomes of the rows and what stands beside them, by role."""
    dataset, table, name = read.dataset, rows.table, read.dataset.column("outcome")
    node = parse(dataset.reading.formula).outcome
    for column in columns_of(node):
        refuse_lacking(table, column, "of which the outcome is made", at=False)
    if not isinstance(node, Column):
        fitted = {column: numbers_of(dataset, column) for column in columns_of(node)}
        with np.errstate(all="ignore"):
            new = {column: table.numbers(column) for column in columns_of(node)}
            computed = np.asarray(learn_of(dataset, node, fitted).values(new), dtype=float)
        refuse_not_finite(table, node, computed)
        table = _with(table, name, computed)
    (role,) = (role for role in family.roles if role.name == "outcome")
    sizes = {role: rows.sizes[datum] for role, datum in _DATA.items() if datum in rows.sizes}
    beside = {r: np.ones(rows.n) for r in read.values if r in {"trials", "exposure"}} | sizes
    if role.kind == "ordered":
        return {"outcome": _categories(table, name, read.ordered[name]), **beside}
    columns = {"outcome": name}
    for size, numbers in sizes.items():
        columns[size] = dataset.column(size)
        table = _with(table, columns[size], numbers)
    alone = replace(dataset, table=table, columns=MappingProxyType(columns))
    return {**read_values(alone, [role])[0], **beside} if not sizes else _bounded(alone, family, role, sizes, beside)


_DATA: Mapping[str, str] = {"trials": "trials", "exposure": "exposure", "standard_error": "se"}


def _bounded(
    alone: Dataset, family: Family, role: Role, sizes: Collection[str], beside: Mapping[str, FloatArray]
) -> dict[str, FloatArray]:
    """The outcome, which may not be above its trials."""
    values, _ = read_values(alone, [role, *(r for r in family.roles if r.name in sizes)])
    return {"outcome": values["outcome"], **beside}


def _with(table: Table, name: str, numbers: FloatArray) -> Table:
    """The table with these numbers in the column of that name."""
    names = [*table.names, *([] if name in table.names else [name])]
    cells: dict[str, Any] = dict(zip(table.names, table.cells, strict=True)) | {name: numbers.tolist()}
    return replace(table, names=tuple(names), cells=tuple(cells[n] for n in names))


def _categories(table: Table, column: str, categories: tuple[str, ...]) -> FloatArray:
    """The category of each row, counted from 1 as those that were fitted."""
    refuse_lacking(table, column, "the outcome", at=False)
    cells = table.column(column)
    place = {name: k for k, name in enumerate(categories, 1)}
    by_number = {value: k for name, k in place.items() if np.isfinite(value := number(name))}
    values = [place.get(label(cell), by_number.get(number(cell, table.decimal_comma), 0)) for cell in cells]
    wrong = [i for i, value in enumerate(values) if not value]
    if wrong:
        empty = all(kind(cells[i]) == "missing" for i in wrong)
        raise DataError(
            f"{table.where}, column {column!r}: "
            + (f"no value in {table.rows(wrong)}." if empty else f"no such category: {table.rows(wrong, column)}.")
            + f" The categories that were fitted: {', '.join(categories)}."
        )
    return np.array(values, dtype=float)


def refuse_not_partial(family: Family, variant: str) -> None:
    """Raise ModelError for a variant, or a family, that cannot be conditioned on a new group, with the reason."""
    pooling = family.variant(variant).pooling
    partial = [v.name for v in family.programs.variants if v.pooling == "partial"]
    if pooling != "partial":
        why = {
            "complete": "with complete pooling a new group has nothing of its own that its rows could tell of",
            "no": "without pooling no population is learnt: a new group knows its own rows and a fixed prior",
        }[pooling]
        raise ModelError(f"{shorten(variant)}: {why}. Take {nearest(variant, partial) if not partial else partial[0]}.")
    groups, programs = family.groups, family.programs
    if family.terms or groups.given_rows is not None:
        return
    if groups.group_log_lik is None or programs.draw_groups is None or groups.new_group is None:
        lacking = [n for n in ("group_log_lik", "draw_groups", "new_group") if family.function(n) is None]
        raise ModelError(
            f"{family.name} gives no {', '.join(f'{name}()' for name in lacking)}: what rows say of a new group "
            "cannot be worked out from draws of the population. Add it to the family, or fit again with the rows."
        )
