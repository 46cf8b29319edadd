"""The left side of a formula: columns for the roles of a likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, nearest
from hbm_stan.formula.coding import refuse_unknown
from hbm_stan.formula.expression import Column, Node, columns_of
from hbm_stan.formula.parse import Atom, Category, Formula, parse, parse_columns
from hbm_stan.formula.read import left_values, read_factor
from hbm_stan.formula.roles import read_columns


def with_formula(dataset: Dataset, group: str = "") -> Dataset:
    """The dataset with columns for the roles that its formula names; log(y) and a:b become columns of that name.

    ``group`` is the factor that is pooled; by default the one that the columns name, or the first of the formula.
    Without a formula the columns by role say one.
    """
    if not dataset.reading.formula:
        dataset = read_columns(dataset)
    formula = parse(dataset.reading.formula)
    _refuse_outcome_on_the_right(dataset, formula)
    for role, node in {"outcome": formula.outcome, **formula.additions}.items():
        dataset = _with_number(dataset, role, node)
    pooled = group or dataset.column("group") or formula.factors[0]
    if pooled not in formula.factors:
        raise DataError(
            f"{dataset.table.where}: {pooled!r} is no grouping factor of the formula. "
            f"{nearest(pooled, formula.factors)}"
        )
    if pooled not in dataset.table.names:
        factor = read_factor(dataset, pooled, formula)
        dataset = _with_column(dataset, pooled, factor.row_labels)
    named = {"outcome": str(formula.outcome), **{role: str(node) for role, node in formula.additions.items()}}
    for role, column in named.items():
        if dataset.column(role) not in {"", column}:
            raise DataError(
                f"{dataset.table.where}: the formula has {column!r} as {role}, the columns name "
                f"{dataset.column(role)!r}. Name it in one place."
            )
    return replace(dataset, columns=MappingProxyType({**dataset.columns, **named, "group": pooled}))


def _refuse_outcome_on_the_right(dataset: Dataset, formula: Formula) -> None:
    """Raise DataError where the outcome is to explain itself, as a column or as a grouping factor."""
    factors = [column for bar in formula.bars for parts in bar.factors for column in parts]
    if isinstance(formula.outcome, Column) and formula.outcome.name in {*columns_read(dataset), *factors}:
        raise DataError(
            f"{dataset.table.where}: {formula.outcome.name!r} is the outcome, and stands on the right side of the "
            "formula too, as a predictor or a group. Leave it out there."
        )


def columns_read(dataset: Dataset, left: bool = False) -> tuple[str, ...]:
    """The columns of the table that the right side of the formula reads, factors aside, and the formulas of own
    parameters; with ``left`` those of both sides."""
    formula = parse(dataset.reading.formula)
    beside = map(parse_columns, dataset.reading.beside.values())
    sums = (formula.common, *(bar.columns for bar in formula.bars), *beside)
    atoms = [atom for terms in sums for atom in terms.atoms]
    nodes: list[Atom] = [*atoms, *formula.offsets, *([formula.outcome, *formula.additions.values()] if left else [])]
    names = [(atom.name,) if isinstance(atom, Category) else columns_of(atom) for atom in nodes]
    return tuple(dict.fromkeys(name for columns in names for name in columns))


def computed(dataset: Dataset) -> set[str]:
    """The names of columns that the left side of the formula was computed to: log(y)."""
    formula = parse(dataset.reading.formula)
    return {str(node) for node in (formula.outcome, *formula.additions.values()) if not isinstance(node, Column)}


def refuse_formula(dataset: Dataset) -> None:
    """Raise DataError for a formula, where the family takes none."""
    if dataset.reading.formula:
        raise DataError(
            f"{dataset.table.where}: this family takes no formula; its structure is fixed, and columns are named by "
            "role. A formula goes with a likelihood: hbm families lists them."
        )


def _with_number(dataset: Dataset, role: str, node: Node) -> Dataset:
    """The dataset with the numbers of an expression as a column of its own, where it is no column already."""
    if isinstance(node, Column):
        refuse_unknown(dataset, node.name)
        return dataset
    if not columns_of(node):
        raise DataError(f"Formula: {role} is {node}, which reads no column. Make a column of it in the table.")
    return _with_column(dataset, str(node), left_values(dataset, node).tolist())


def _with_column(dataset: Dataset, name: str, cells: Sequence[Any]) -> Dataset:
    """The dataset with one more column; one of that name that is there already is kept."""
    table = dataset.table
    if name in table.names:
        return dataset
    return replace(dataset, table=replace(table, names=(*table.names, name), cells=(*table.cells, cells)))
