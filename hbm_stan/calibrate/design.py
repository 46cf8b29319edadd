"""Where a calibration's data come from: the family's example made small, a table, or an analysis."""

from __future__ import annotations

from collections import Counter

import numpy as np

from hbm_stan.data import Dataset
from hbm_stan.errors import ModelError
from hbm_stan.examples import irregular, smallest_analysis
from hbm_stan.fit import prepare_table
from hbm_stan.later import pd
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared

# Groups and rows of each: enough for a population's scale to be seen, few enough for hundreds of fits in minutes.
GROUPS, ROWS = 10, 12


def default_design(family: Family) -> tuple[Prepared, str]:
    """The table of a family's smallest shipped analysis, at most GROUPS groups of ROWS rows, and it in words.

    Made irregular: rows shuffled, groups of unequal size.
    """
    try:
        smallest = smallest_analysis(family.name)
    except ModelError as error:
        raise ModelError(
            f"{family.name}: no shipped analysis has a table for this family. Name an analysis of yours instead of the "
            "family, or give calibrate() a table."
        ) from error
    dataset = irregular(smaller(smallest.dataset, family), family)
    table = prepare_table(family, dataset)
    return table, f"{table.n_groups} groups, {table.n_rows} rows of the shipped data set {dataset.name}"


def smaller(dataset: Dataset, family: Family, groups: int = GROUPS, rows: int = ROWS) -> Dataset:
    """At most ``groups`` groups, evenly spaced by size, and ``rows`` rows of each, evenly spaced."""
    own_labels = dataset.table.labels(dataset.column(next(r.name for r in family.roles if r.kind == "label")))
    sizes = Counter(own_labels)
    if len(sizes) <= groups and max(sizes.values()) <= rows:
        return dataset
    labels = pd.Series(own_labels)
    by_size = labels.value_counts().sort_values(kind="stable").index
    chosen = by_size[np.unique(np.linspace(0, len(by_size) - 1, min(groups, len(by_size))).round().astype(int))]
    indices: list[int] = []
    for label in chosen:
        own = np.flatnonzero(labels == label)
        indices += [
            int(i) for i in own[np.unique(np.linspace(0, len(own) - 1, min(rows, len(own))).round().astype(int))]
        ]
    return dataset.take(sorted(indices))
