"""Where a calibration's data come from: the family's example made small, a table, or an analysis."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hbm_stan.data import Dataset
from hbm_stan.errors import ModelError
from hbm_stan.examples import analyses, irregular, smallest_analysis
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared

# Groups and rows of each: enough for a population's scale to be seen, few enough for hundreds of fits in minutes.
GROUPS, ROWS = 10, 12


def default_design(family: Family) -> tuple[Prepared, str]:
    """The table of a family's smallest shipped analysis, at most GROUPS groups of ROWS rows, and it in words.

    Made irregular: rows shuffled, groups of unequal size.
    """
    if family.name not in {a.family.name for a in analyses().values()}:
        raise ModelError(
            f"{family.name}: no shipped analysis has a table for this family. Name an analysis of yours instead of the "
            "family, or give calibrate() a table."
        )
    dataset = irregular(smaller(smallest_analysis(family.name).dataset, family), family)
    table = prepare_table(family, dataset)
    return table, f"{table.n_groups} groups, {table.n_rows} rows of the shipped data set {dataset.name}"


def smaller(dataset: Dataset, family: Family, groups: int = GROUPS, rows: int = ROWS) -> Dataset:
    """At most ``groups`` groups, evenly spaced by size, and ``rows`` rows of each, evenly spaced."""
    labels = pd.Series(dataset.table.labels(dataset.column(next(r.name for r in family.roles if r.kind == "label"))))
    by_size = labels.value_counts().sort_values(kind="stable").index
    chosen = by_size[np.unique(np.linspace(0, len(by_size) - 1, min(groups, len(by_size))).round().astype(int))]
    indices: list[int] = []
    for label in chosen:
        own = np.flatnonzero(labels == label)
        indices += [
            int(i) for i in own[np.unique(np.linspace(0, len(own) - 1, min(rows, len(own))).round().astype(int))]
        ]
    return dataset if len(indices) == dataset.table.n_rows else dataset.take(sorted(indices))
