"""The shipped analyses, and the small example of each family that its programs are checked with."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.data import Dataset
from hbm_stan.errors import ModelError
from hbm_stan.families import shipped
from hbm_stan.fit import prepare_table
from hbm_stan.later import pd
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared
from hbm_stan.resources import share

_MOST_ROWS, _LEAST_GROUPS = 200, 6
_ORDER = 20261128  # the seed of the order of shuffled rows


def analyses() -> dict[str, Analysis]:
    """The shipped analyses by name."""
    return {file.parent.name: _analysis(file) for file in _files()}


def _files() -> list[Path]:
    return sorted(share("reports").glob("*/analysis.toml"))


@cache
def _analysis(file: Path) -> Analysis:
    return read_analysis(file.parent)


def _analyses_of(family: str) -> list[Analysis]:
    """The shipped analyses of a family; those that name another are not read, nor their tables."""
    own = shipped(family)
    otherwise = family if own is not None and own.terms else ""  # with a formula, what its outcome needs
    stated = {file: tomllib.loads(file.read_text(encoding="utf-8")).get("family", otherwise) for file in _files()}
    analyses = (_analysis(file) for file, name in stated.items() if name == family)
    return [a for a in analyses if a.family.name == family]


def smallest_analysis(family: str) -> Analysis:
    """The shipped analysis of a family with the fewest rows; ModelError where there is none."""
    own = _analyses_of(family)
    if not own:
        raise ModelError(f"No shipped analysis uses the family {family!r}: name an analysis of your own.")
    return min(own, key=lambda a: a.dataset.table.n_rows)


@cache
def example(family: str) -> tuple[Family, Prepared]:
    """A family with a small table: the smallest groups of the smallest shipped analysis, made irregular."""
    smallest = smallest_analysis(family)
    few = few_rows(smallest.dataset, smallest.family)
    return smallest.family, prepare_table(smallest.family, irregular(few, smallest.family))


def few_rows(dataset: Dataset, family: Family, most: int = _MOST_ROWS, least_groups: int = _LEAST_GROUPS) -> Dataset:
    """The smallest groups of a table, whole: up to ``most`` rows, but ``least_groups`` groups at least."""
    groups = pd.Series(dataset.table.labels(_group_column(dataset, family)))
    sizes = groups.value_counts().sort_values(kind="stable")
    smallest = sizes.index[: max(least_groups, int((sizes.cumsum() <= most).sum()))]
    inside = np.flatnonzero(groups.isin(smallest))
    return dataset if len(inside) == dataset.table.n_rows else dataset.take([int(i) for i in inside])


def irregular(dataset: Dataset, family: Family) -> Dataset:
    """A table on which a program that confuses rows and groups shows it: rows shuffled, groups of unequal size.

    Shipped tables are sorted by group, and many have one row, or equally many, for each: the index of the groups may
    then be sorted, or the rows counted, without anything to be seen. Where groups have one row, and may have more, one
    in three gets the values of another group as a second row; where they are equal, every other one loses a row.
    """
    rearranged = shuffled(dataset)
    if family.one_row_per_group:
        return rearranged
    labels, fixed = rearranged.table.labels(_group_column(rearranged, family)), ("unit", "group_predictors")
    n, places = len(labels), {label: [i for i, other in enumerate(labels) if other == label] for label in set(labels)}
    sizes = {len(own) for own in places.values()}
    if sizes == {1} and not any(r.kind in fixed and r.name in rearranged.columns for r in family.roles):
        second = np.arange(0, n, 3)
        more = rearranged.take([*range(n), *((second + 1) % n).tolist()])
        return shuffled(_renamed(more, _group_column(rearranged, family), [*labels, *(labels[i] for i in second)]))
    if len(sizes) == 1 and sizes != {1}:
        # The second row: without the last one, the units of a batch of the nested example would have equal rows only,
        # and a scale of that batch alone would have no proper posterior.
        lost = [places[label][1] for label in dict.fromkeys(labels)][::2]
        return rearranged.take(np.delete(np.arange(n), lost).tolist())
    return rearranged


def shuffled(dataset: Dataset) -> Dataset:
    """The same rows in another order, always the same one. The first row stays: its levels are those of reference."""
    return dataset.take(shuffled_places(dataset.table.n_rows))


def shuffled_places(n: int) -> list[int]:
    """Which of n rows, counted from 0, ``shuffled`` puts in each place."""
    order = np.random.default_rng(_ORDER).permutation(n - 1) + 1
    return [0, *order.tolist()]


def _group_column(dataset: Dataset, family: Family) -> str:
    return dataset.column(next(r.name for r in family.roles if r.kind == "label"))


def _renamed(dataset: Dataset, column: str, labels: Sequence[str]) -> Dataset:
    """The table with other cells in one column."""
    table = dataset.table
    cells = tuple(labels if name == column else table.column(name) for name in table.names)
    return replace(dataset, table=replace(table, cells=cells))
