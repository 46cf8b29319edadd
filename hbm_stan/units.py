"""The middle level of a table: units within groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hbm_stan.data import Dataset
from hbm_stan.levels import index_levels, refuse_recurring_units
from hbm_stan.reading import REPEAT


@dataclass(frozen=True)
class Units:
    """The middle level: labels of the units (``group: unit``), the 0-based unit of each row, the group of each unit."""

    labels: tuple[str, ...]
    unit: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]


def read_units(dataset: Dataset, column: str, labels: Sequence[str], group: npt.NDArray[np.int64]) -> Units:
    """The units of the middle level; equal labels in two groups are two units, if the analyst says so."""
    cells = dataset.table.labels(column)
    pairs = [f"{labels[g]}: {cell}" for g, cell in zip(group, cells, strict=True)]
    names, unit = index_levels(pairs)
    above = np.zeros(len(names), dtype=np.int64)
    above[unit] = group
    if dataset.reading.unit_labels != REPEAT:
        refuse_recurring_units(f"{dataset.table.where}, column {column!r}", cells, [labels[g] for g in group])
    return Units(names, unit, above)
