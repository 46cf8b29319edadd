"""The shipped analyses, and the small example of each family that its programs are checked with."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from hbm_stan.data import Dataset
from hbm_stan.errors import ModelError
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared
from hbm_stan.report.analysis import Analysis, read_analysis
from hbm_stan.resources import share

_MOST_ROWS, _LEAST_GROUPS = 200, 6


@cache
def analyses() -> dict[str, Analysis]:
    """The shipped analyses by name."""
    return {p.parent.name: read_analysis(p.parent) for p in sorted(share("reports").glob("*/analysis.toml"))}


def smallest_analysis(family: str) -> Analysis:
    """The shipped analysis of a family with the fewest rows; ModelError where there is none."""
    own = [a for a in analyses().values() if a.family.name == family]
    if not own:
        raise ModelError(f"No shipped analysis uses the family {family!r}: name an analysis of your own.")
    return min(own, key=lambda a: a.dataset.table.n_rows)


@cache
def example(family: str) -> tuple[Family, Prepared]:
    """A family with a small table: the smallest groups of the smallest shipped analysis."""
    smallest = smallest_analysis(family)
    return smallest.family, prepare_table(smallest.family, few_rows(smallest.dataset, smallest.family))


def few_rows(dataset: Dataset, family: Family, most: int = _MOST_ROWS, least_groups: int = _LEAST_GROUPS) -> Dataset:
    """The smallest groups of a table, whole: up to ``most`` rows, but ``least_groups`` groups at least."""
    groups = pd.Series(dataset.table.labels(dataset.column(next(r.name for r in family.roles if r.kind == "label"))))
    sizes = groups.value_counts().sort_values(kind="stable")
    kept = sizes.index[: max(least_groups, int((sizes.cumsum() <= most).sum()))]
    inside = np.flatnonzero(groups.isin(kept))
    return dataset if len(inside) == dataset.table.n_rows else dataset.take([int(i) for i in inside])
