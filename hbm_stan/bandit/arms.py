"""A table of arms: a row for each, with its successes and trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hbm_stan.bandit.thompson import ARMS
from hbm_stan.data import Dataset, listed, load
from hbm_stan.errors import DataError
from hbm_stan.levels import FEW_GROUPS, check_labels, check_total
from hbm_stan.table import FloatArray, Table, shorten
from hbm_stan.values import Role, read_values
from hbm_stan.verdicts import Verdict

ROLES = (
    Role(name="arm", kind="label", meaning="name of the arm"),
    Role(name="successes", kind="count", meaning="number of successes", at_most="trials"),
    Role(name="trials", kind="count", meaning="number of trials that the successes are out of"),
)
# Where nobody names a column, it is called as its role.
COLUMNS: Mapping[str, str] = {role.name: role.name for role in ROLES}


@dataclass(frozen=True, kw_only=True)
class Arms:
    """The rows of a table: labels in file order, successes and trials, shape (arms,), and where they come from."""

    where: str
    labels: tuple[str, ...]
    hits: FloatArray
    trials: FloatArray
    sha256: str
    verdicts: tuple[Verdict, ...] = ()


def read_arms(path: str | Path, columns: Mapping[str, str] = COLUMNS) -> Arms:
    """The arms of a CSV, a dataset folder or a shipped data set; ``columns`` says which column has which role.

    DataError names the file, the column and the row: columns that are not there (with the nearest), an arm twice,
    counts that are not whole, negative, or more successes than trials. An arm without trials is a new one.
    """
    dataset = load(path)
    _refuse_columns(dataset.table, columns)
    dataset = dataset.with_columns(columns)
    labels = dataset.table.labels(columns["arm"])
    _refuse_twice(dataset, columns["arm"], labels)
    values, _ = read_values(dataset, [role for role in ROLES if role.kind == "count"])
    return Arms(
        where=dataset.table.where, labels=tuple(labels), hits=values["successes"], trials=values["trials"],
        sha256=dataset.sha256, verdicts=tuple(check_total(columns["arm"], labels, ARMS)),
    )  # fmt: skip


def check_arms(column: str, labels: Sequence[str]) -> list[Verdict]:
    """What may be wrong with the names of all arms together, and whether they are too few to say what a new one is."""
    few = Verdict(
        name="number of arms", status="warn", value=len(labels), threshold=FEW_GROUPS,
        hint=f"{len(labels)} arms say little of how much arms differ: the prior of kappa decides much of how far their "
        "rates are drawn together, and of what an arm never tried would do. Try another --prior.",
    )  # fmt: skip
    return [*check_labels(column, labels, ARMS), *([few] if len(labels) < FEW_GROUPS else [])]


def _refuse_columns(table: Table, columns: Mapping[str, str]) -> None:
    for role in ROLES:
        column = columns[role.name]
        if column not in table.names:
            raise DataError(
                f"{table.where}: there is no column {shorten(column)!r} for the {role.meaning}. "
                f"{listed(table, column)} Say which it is: --{role.name} COLUMN."
            )
    twice = [column for column, n in Counter(columns.values()).items() if n > 1]
    if twice:
        roles = " and ".join(f"--{role}" for role, column in columns.items() if column == twice[0])
        raise DataError(f"{table.where}: the column {twice[0]!r} is named by {roles}. Each needs a column of its own.")


def _refuse_twice(dataset: Dataset, column: str, labels: Sequence[str]) -> None:
    twice = [label for label, n in Counter(labels).items() if n > 1]
    if twice:
        rows = [i for i, label in enumerate(labels) if label == twice[0]]
        more = f" {len(twice) - 1:,} more arms are repeated too." if len(twice) > 1 else ""
        raise DataError(
            f"{dataset.table.where}, column {column!r}: the arm {shorten(twice[0])!r} stands in "
            f"{len(rows):,} rows ({dataset.table.rows(rows)}). Add its rows up into one, or give them names of their "
            f"own.{more}"
        )
