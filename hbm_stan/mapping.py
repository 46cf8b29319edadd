"""Which column plays which part: the roles that a family asks for, and ways of reading that it has no use for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hbm_stan.data import Dataset, listed
from hbm_stan.errors import DataError, nearest
from hbm_stan.estimates import refuse_ways
from hbm_stan.formula import columns_read
from hbm_stan.frequencies import refuse_weights
from hbm_stan.integrals import refuse_integral
from hbm_stan.missingness import refuse_missingness
from hbm_stan.neighbours import refuse_neighbours
from hbm_stan.selection import refuse_selection
from hbm_stan.table import shorten
from hbm_stan.values import LIST_KINDS, Role


def check_mapping(dataset: Dataset, roles: Sequence[Role]) -> Dataset:
    """The dataset, if each role that is needed has columns of its own that are there; else raises DataError."""
    names = [r.name for r in roles]
    _refuse_reading(dataset, roles)
    for role in dataset.columns:
        if role not in names:
            raise DataError(f"Columns: there is no role {role!r}. {nearest(role, names)}")
    for r in roles:
        if r.instead:
            refuse_ways(dataset, r)
        elif r.name not in dataset.columns and not r.optional:
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


def _refuse_reading(dataset: Dataset, roles: Sequence[Role]) -> None:
    """Raise DataError where the table is to be read in a way that its roles have no use for."""
    limits = any(r.instead for r in roles) and {"lower", "upper"} & set(dataset.columns)
    for key, asked in (("log_scale", dataset.reading.log_scale), ("level", dataset.reading.level is not None)):
        if asked and not limits:
            raise DataError(
                f"{dataset.table.where}: {key} is for estimates with limits (roles lower and upper of normal_means). "
                "Of ratios with a standard error, give the logs and the standard error of the log."
            )
    if dataset.reading.weights:
        used = {column for role in dataset.columns for column in dataset.listed(role)}
        used |= set(columns_read(dataset) if dataset.reading.formula else ())
        refuse_weights(dataset.table.where, dataset.reading.weights, used, {r.name for r in roles})
    if dataset.reading.unit_labels and not any(r.kind == "unit" for r in roles):
        raise DataError(f"{dataset.table.where}: unit_labels is for units within groups (nested_normal).")
    refuse_neighbours(dataset.table.where, dataset.reading.neighbours, any(r.neighbours for r in roles))
    refuse_selection(dataset.table.where, dataset.reading.selection, any(r.selection for r in roles))
    refuse_integral(dataset.table.where, dataset.reading.integral, any(r.integrated for r in roles))
    refuse_missingness(dataset.table.where, dataset.reading.missing, any(r.may_be_missing for r in roles))
    _refuse_likelihood(dataset, roles)


def _refuse_likelihood(dataset: Dataset, roles: Sequence[Role]) -> None:
    """Raise DataError for a likelihood where the columns leave no choice, or one that they do not leave."""
    asked, choices = dataset.reading.likelihood, [r for r in roles if r.likelihoods]
    offered = next((r.likelihoods for r in choices if r.name in dataset.columns), ())
    if asked and not offered:
        beside = f"{choices[0].name} ({choices[0].meaning})" if choices else "expected (of the family disease_mapping)"
        raise DataError(
            f"{dataset.table.where}: likelihood is {shorten(asked)!r}, and these columns leave no choice of one. It is "
            f"for counts beside a column for the role {beside}, and for formulas. Leave it out here."
        )
    if asked and asked not in offered:
        raise DataError(f"{dataset.table.where}: likelihood is {shorten(asked)!r}. {nearest(asked, offered)}")
