"""What results.json holds of the table: its columns, its first rows, or its groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hbm_stan.analysis.told import missing_unit
from hbm_stan.estimates import ESTIMATE, STANDARD_ERROR
from hbm_stan.fit import Fit
from hbm_stan.nouns import Noun
from hbm_stan.replicate import by_group
from hbm_stan.results.columns import columns_of, numbers_of_formula
from hbm_stan.results.entry import Entry
from hbm_stan.results.units import observed_quantity, observed_unit, outcome_unit, quantity_unit
from hbm_stan.samples import SAMPLE
from hbm_stan.verdicts import Verdict

_ROWS_SHOWN = 60


# A cell of the table: a label, or a number in the unit of its column.
Cell = str | int | float | bool | None


@dataclass(frozen=True, kw_only=True)
class RowsPerGroup(Entry):
    """How many rows groups have."""

    least: int
    median: float
    most: int


@dataclass(frozen=True, kw_only=True)
class Column(Entry):
    """A column that is read: the role it has in the family, its name, what it means and its unit."""

    role: str
    column: str
    meaning: str
    unit: str


@dataclass(frozen=True, kw_only=True)
class GroupRow(Entry):
    """A group: how many rows, and their mean and sd in the unit of what is observed; nan where an sd says nothing."""

    group: str
    rows: int
    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class Data(Entry):
    """The section ``data``: the table, its first rows where each group has one, else its first groups."""

    name: str
    title: str
    source: str
    sha256: str
    n_rows: int
    n_unseen: int
    n_groups: int
    rows_per_group: RowsPerGroup
    columns: list[Column]
    unit: str
    quantity_unit: str
    observed: str
    observed_unit: str
    notes: list[str]
    verdicts: list[Verdict]
    rows: list[dict[str, Cell]]
    groups: list[GroupRow]
    noun: Noun


def data_of(fit: Fit) -> Data:
    """The table of a fit."""
    table, dataset = fit.table, fit.table.dataset
    sizes = table.pooled.sizes if table.samples is None else np.bincount(table.samples.event)
    return Data(
        name=dataset.name,
        title=dataset.title,
        source=dataset.source,
        sha256=dataset.sha256,
        n_rows=table.n_rows if table.samples is None else table.n_read,
        n_unseen=table.n_all - table.n_rows,
        n_groups=table.n_groups,
        rows_per_group=RowsPerGroup(least=int(sizes.min()), median=float(np.median(sizes)), most=int(sizes.max())),
        columns=[
            Column(
                role=role,
                column=column,
                meaning=dataset.meaning(column),
                unit=dataset.unit_of(column),
            )
            for role, column in columns_of(fit)
        ],
        unit=outcome_unit(fit),
        quantity_unit=quantity_unit(fit),
        observed=observed_quantity(fit),
        observed_unit=observed_unit(fit),
        notes=[*dataset.table.notes, *table.notes, *missing_unit(table, fit.family)],
        verdicts=list(table.verdicts),
        rows=_rows(fit) if table.one_row_per_group else [],
        groups=[] if table.one_row_per_group else _groups(fit),
        noun=table.noun,
    )


def _rows(fit: Fit) -> list[dict[str, Cell]]:
    """The first rows of the table, by column."""
    dataset = fit.table.dataset
    group = dataset.column(next(r.name for r in fit.family.roles if r.kind == "label"))
    if fit.table.samples is not None:
        return _events(fit, group)
    columns = {c: dataset.table.column(c) for _, c in columns_of(fit) if c != group}
    given = {r.name for r in fit.family.roles if r.name in fit.table} & set(dataset.columns)
    numbers = {dataset.column(role): fit.table[role] for role in given}
    of_predictors = [c for own in fit.table.predictors.values() for c in own.names if c in dataset.table.names]
    numbers |= {c: dataset.table.numbers(c) for c in (*numbers_of_formula(fit), *of_predictors)}
    if dataset.reading.log_scale:  # the column is shown as it stands, its logs beside it
        ratio = dataset.column(ESTIMATE)
        numbers |= {ratio: dataset.table.numbers(ratio), dataset.unit(ESTIMATE): fit.table[ESTIMATE]}
    if STANDARD_ERROR in fit.table and STANDARD_ERROR not in given:
        numbers[STANDARD_ERROR.replace("_", " ")] = fit.table[STANDARD_ERROR]
    values: dict[str, Any] = {**columns, **numbers}
    labels = fit.table.pooled.row_labels[:_ROWS_SHOWN]
    return [{group: label, **{c: v[i] for c, v in values.items()}} for i, label in enumerate(labels)]


def _events(fit: Fit, group: str) -> list[dict[str, Cell]]:
    """The first events that are given as samples: how many, their mean and their sd, the prior undone."""
    sizes, column = np.bincount(fit.table.samples.event), fit.table.dataset.column(SAMPLE)  # type: ignore[union-attr]
    rows = zip(fit.table.pooled.row_labels, sizes, fit.table[SAMPLE], fit.table[STANDARD_ERROR], strict=True)
    return [
        {group: label, "samples": int(n), f"mean {column}": float(f"{mean:.4g}"), "sd": float(f"{sd:.3g}")}
        for label, n, mean, sd in list(rows)[:_ROWS_SHOWN]
    ]


def _groups(fit: Fit) -> list[GroupRow]:
    """The first groups: how many rows, and the mean of the outcome (its rate, where there are trials or exposure)."""
    means, sizes = by_group(fit, fit.y[None])[0], fit.table.pooled.sizes
    sds = _within_sd(fit)
    shown = range(min(_ROWS_SHOWN, fit.table.n_groups))
    return [GroupRow(group=fit.table.pooled.labels[j], rows=sizes[j], mean=means[j], sd=sds[j]) for j in shown]


def _within_sd(fit: Fit) -> Any:
    """The sd of each group's rows, nan where it says nothing: one row, or counts and 0/1 values."""
    sizes = fit.table.pooled.sizes
    if fit.family.discrete or fit.family.size:
        return np.full(len(sizes), np.nan)
    centred = fit.y - by_group(fit, fit.y[None])[0][fit.table.pooled.level]
    with np.errstate(invalid="ignore", divide="ignore"):
        sd = np.sqrt(np.bincount(fit.table.pooled.level, weights=centred**2) / (sizes - 1))
    return np.where(sizes > 1, sd, np.nan)
