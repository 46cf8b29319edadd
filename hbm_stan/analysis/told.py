"""What only the analyst can tell of a table: what is asked, what a group is, the unit of the outcome."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hbm_stan.cells import number
from hbm_stan.data import ColumnInfo, Dataset
from hbm_stan.errors import DataError
from hbm_stan.model import Family
from hbm_stan.nouns import GROUPS, noun_of
from hbm_stan.prepare import Prepared


@dataclass(frozen=True)
class Told:
    """The question, the noun of the groups (``child`` or ``child, children``) and the unit; empty where untold."""

    question: str = ""
    group_name: str = ""
    unit: str = ""


def label_column(family: Family, dataset: Dataset) -> str:
    """The column of the groups' labels."""
    role = next((r.name for r in family.roles if r.kind == "label"), "")
    return str(dataset.columns.get(role, ""))


def with_unit(dataset: Dataset, family: Family, unit: str) -> Dataset:
    """The dataset with this unit of its outcome, and of the outcome's standard errors."""
    roles = [r for r in (*family.outcomes, "standard_error", "lower", "upper") if r in dataset.columns]
    if not unit.strip():
        return dataset
    _refuse_labels(dataset, unit.strip())
    columns = {str(dataset.columns[r]) for r in roles}
    told = {c: replace(dataset.info.get(c, ColumnInfo()), unit=unit.strip()) for c in columns}
    return replace(dataset, info={**dataset.info, **told})


def _refuse_labels(dataset: Dataset, unit: str) -> None:
    """Raise DataError for a unit that is a column of labels: what is meant is what lies in a group."""
    cells = dataset.table.column(unit) if unit in dataset.table.names else ()
    if any(not math.isfinite(number(cell, dataset.table.decimal_comma)) for cell in cells):
        group = dataset.columns.get("group", "group")
        raise DataError(
            f"{dataset.table.where}: unit is what the outcome is measured in, such as kg, and {unit!r} is a column of "
            f"labels. Units within groups are said by a formula, y ~ ... + (1 | {group}/{unit}), or by --family "
            f"nested_normal --unit {unit}."
        )


def missing(table: Prepared, family: Family, told: Told) -> list[str]:
    """What page one would need and was not told, each with how to say it."""
    column = label_column(family, table.dataset)
    gaps = [*missing_unit(table, family)]
    if noun_of(column, told.group_name) == GROUPS:
        gaps.append(
            f"The report calls a row of {column!r} a group: say what it is with --group-name, or group_name in "
            "analysis.toml."
        )
    if not told.question.strip():
        gaps.append("No question is asked: --question, or question in analysis.toml, opens the report.")
    return gaps


def missing_unit(table: Prepared, family: Family) -> list[str]:
    """That the outcome has no unit, where it could have one; shares, rates and counts have none."""
    role = family.outcome(table)
    shares = family.words.quantity_unit.startswith("log odds")
    if (
        family.size
        or family.discrete
        or shares
        or table.ordered
        or role not in table.dataset.columns
        or table.dataset.unit(role)
    ):
        return []
    column = str(table.dataset.columns[role])
    return [f"No unit of {column!r} is given: say it with --unit of hbm new, or unit in analysis.toml."]
