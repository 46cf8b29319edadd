"""The left side of a formula: columns for the roles of a likelihood, and the likelihood that the outcome calls for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from hbm_stan.cells import number, truth
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, ModelError, nearest
from hbm_stan.formula.coding import refuse_unknown
from hbm_stan.formula.expression import Column, Node, columns_of
from hbm_stan.formula.parse import ADDITIONS, Atom, Category, Formula, parse
from hbm_stan.formula.read import left_values, read_factor
from hbm_stan.reading import make_reading

LIKELIHOODS = ("normal", "estimates", "binomial", "poisson")
# The role beside the outcome that a likelihood has.
_BESIDE = {"trials": "binomial", "exposure": "poisson", "standard_error": "estimates"}
_AS_WRITTEN = {"trials": "| trials(n)", "exposure": "| rate(exposure)", "standard_error": "| se(s)"}


def with_formula(dataset: Dataset, group: str = "") -> Dataset:
    """The dataset with columns for the roles that its formula names; log(y) and a:b become columns of that name.

    ``group`` is the factor that is pooled; by default the one that the columns name, or the first of the formula.
    Without a formula the columns give one: the outcome's mean varies between groups.
    """
    if not dataset.reading.formula:
        return _of_columns(dataset)
    formula = parse(dataset.reading.formula)
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
        dataset = _with_column(dataset, pooled, [factor.labels[j] for j in factor.level])
    named = {"outcome": str(formula.outcome), **{role: str(node) for role, node in formula.additions.items()}}
    for role, column in named.items():
        if dataset.column(role) not in {"", column}:
            raise DataError(
                f"{dataset.table.where}: the formula has {column!r} as {role}, the columns name "
                f"{dataset.column(role)!r}. Name it in one place."
            )
    return replace(dataset, columns=MappingProxyType({**dataset.columns, **named, "group": pooled}))


def _of_columns(dataset: Dataset) -> Dataset:
    """The dataset with the formula that its columns stand for; as it is where outcome or group have no column."""
    if not (dataset.column("outcome") and dataset.column("group")):
        return dataset
    words = {role: word for word, role in ADDITIONS.items()}
    beside = " + ".join(f"{words[r]}(`{dataset.column(r)}`)" for r in words if dataset.column(r))
    outcome = f"`{dataset.column('outcome')}`" + (f" | {beside}" if beside else "")
    formula = f"{outcome} ~ 1 + (1 | `{dataset.column('group')}`)"
    return with_formula(replace(dataset, reading=replace(dataset.reading, formula=formula)))


def columns_read(dataset: Dataset, left: bool = False) -> tuple[str, ...]:
    """The columns of the table that the right side of the formula reads, factors aside; with ``left`` those of both."""
    formula = parse(dataset.reading.formula)
    atoms = [atom for terms in (formula.common, *(bar.columns for bar in formula.bars)) for atom in terms.atoms]
    nodes: list[Atom] = [*atoms, *formula.offsets, *([formula.outcome, *formula.additions.values()] if left else [])]
    names = [(atom.name,) if isinstance(atom, Category) else columns_of(atom) for atom in nodes]
    return tuple(dict.fromkeys(name for columns in names for name in columns))


def computed(dataset: Dataset) -> set[str]:
    """The names of columns that the left side of the formula was computed to: log(y)."""
    formula = parse(dataset.reading.formula)
    return {str(node) for node in (formula.outcome, *formula.additions.values()) if not isinstance(node, Column)}


def of_formula(formula: str, data: Any, likelihood: str = "", group: str = "", **reading: Any) -> tuple[str, Dataset]:
    """The likelihood and the dataset of a formula and a DataFrame, or a Dataset whose reading it joins.

    ``reading`` says how to read the table: ``centre``, ``levels``, ``reference``.
    """
    if not isinstance(data, Dataset):
        data = Dataset.from_frame(data, formula=formula, **reading)
    else:
        own = make_reading(formula=formula, **reading)
        levels = {**data.reading.levels, **own.levels}
        data = replace(data, reading=replace(data.reading, formula=own.formula, centre=own.centre, levels=levels))
    dataset = with_formula(data, group)
    return choose_likelihood(dataset, likelihood)[0], dataset


def refuse_formula(dataset: Dataset) -> None:
    """Raise DataError for a formula, where the family takes none."""
    if dataset.reading.formula:
        raise DataError(
            f"{dataset.table.where}: this family takes no formula; its structure is fixed, and columns are named by "
            f"role. A formula goes with a likelihood: {', '.join(LIKELIHOODS)}."
        )


def choose_likelihood(dataset: Dataset, named: str = "") -> tuple[str, str]:
    """The likelihood of a formula's outcome, and why: as named, or as the left side and the outcome's values say."""
    formula = parse(dataset.reading.formula)
    if named and named not in LIKELIHOODS:
        raise ModelError(f"There is no likelihood {named!r}. {nearest(named, LIKELIHOODS)}")
    beside = next(iter(formula.additions), "")
    if len(formula.additions) > 1:
        both = " and ".join(_AS_WRITTEN[role] for role in formula.additions)
        raise ModelError(f"The left side of the formula has {both}, which no likelihood has together.")
    if beside and named and _BESIDE[beside] != named:
        raise ModelError(
            f"{_AS_WRITTEN[beside]} on the left side of the formula goes with the likelihood {_BESIDE[beside]}, not "
            f"{named}."
        )
    if named == "estimates" and not beside:
        raise ModelError("The likelihood estimates needs standard errors: write y | se(s) ~ ..., with their column.")
    if named:
        return named, "as asked"
    if beside:
        return _BESIDE[beside], f"the formula has {_AS_WRITTEN[beside]}"
    return _of_values(dataset, formula)


def _of_values(dataset: Dataset, formula: Formula) -> tuple[str, str]:
    """The likelihood that the values of the outcome call for."""
    if not isinstance(formula.outcome, Column):
        return "normal", f"{formula.outcome} is a number on a scale"
    name = formula.outcome.name
    refuse_unknown(dataset, name)
    cells = dataset.table.column(name)
    if any(truth(cell) for cell in cells):
        return "binomial", f"{name} has two words, each row one trial (Bernoulli)"
    values = np.array([number(cell, dataset.table.decimal_comma) for cell in cells])
    if not np.all(np.isfinite(values)):
        return "normal", f"{name} is a number"
    if set(np.unique(values)) <= {0.0, 1.0}:
        return "binomial", f"{name} is 0 or 1, each row one trial (Bernoulli)"
    if looks_like_counts(values):
        return "poisson", (
            f"{name} has whole numbers from {values.min():g} on that look like counts; this is a choice: "
            "--likelihood normal, or likelihood in analysis.toml, if they are a score or a measurement"
        )
    return "normal", f"{name} is a number on a scale"


def looks_like_counts(values: Any) -> bool:
    """Whether numbers look like counts: whole, none below 0, and 0 or 1 among them.

    Scores and measurements that are rounded to whole numbers (blood pressure, milliseconds) lie far from 0.
    """
    return bool(np.all(values == np.floor(values)) and values.min() >= 0 and values.min() <= 1)


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
