"""Events given as posterior samples, a row each: the table becomes one of events, with their samples beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hbm_stan.data import Dataset
from hbm_stan.errors import DataError
from hbm_stan.nouns import Noun
from hbm_stan.table import FloatArray, shorten

SAMPLE, PRIOR_DENSITY, STANDARD_ERROR = "sample", "prior_density", "standard_error"


@dataclass(frozen=True)
class Samples:
    """Posterior samples of events: ``value`` (P,), the ``density`` (P,) there of the prior that they were drawn under,
    and the ``event`` (P,) of each, counted from 0."""

    value: FloatArray
    density: FloatArray
    event: npt.NDArray[np.int64]

    def of_events(self, events: npt.NDArray[np.int64]) -> Samples:
        """The samples of some events (increasing), which are counted anew."""
        mine = np.isin(self.event, events)
        event = np.searchsorted(events, self.event[mine]).astype(np.int64)
        return Samples(self.value[mine], self.density[mine], event)


def folded(
    dataset: Dataset, values: Mapping[str, FloatArray], event: npt.NDArray[np.int64], labels: Sequence[str], noun: Noun
) -> tuple[Samples, dict[str, FloatArray], list[str]]:
    """Samples, values with one number an event, and notes; raises DataError for an event with one sample.

    An event's value is the mean of its samples, its standard error their sd, both weighted so that the prior under
    which they were drawn counts for nothing: what the event says by itself.
    """
    value = values[SAMPLE]
    outside = np.flatnonzero((value <= 0) | (value >= 1))
    if outside.size:
        column = dataset.column(SAMPLE)
        raise DataError(
            f"{dataset.table.where}, column {column!r}: samples outside the support, 0 to 1 without its ends: "
            f"{dataset.table.rows([int(i) for i in outside], column)}. Divide by the largest value there can be, or "
            "correct the rows."
        )
    density = values.get(PRIOR_DENSITY, np.ones(len(value)))
    sizes = np.bincount(event, minlength=len(labels))
    for j in np.flatnonzero(sizes == 1).tolist():
        raise DataError(
            f"{dataset.table.where}, column {dataset.column(SAMPLE)!r}: the {noun.one} {shorten(labels[j])!r} has one "
            "sample. Samples are draws of its posterior, some hundred rows an event; of a single estimate, name the "
            "columns for the roles estimate and standard_error."
        )
    weight = 1 / density
    total = np.bincount(event, weights=weight, minlength=len(labels))
    mean = np.bincount(event, weights=weight * value, minlength=len(labels)) / total
    spread = np.bincount(event, weights=weight * (value - mean[event]) ** 2, minlength=len(labels)) / total
    for j in np.flatnonzero(np.sqrt(spread) <= 1e-9).tolist():
        raise DataError(
            f"{dataset.table.where}, column {dataset.column(SAMPLE)!r}: all samples of the {noun.one} "
            f"{shorten(labels[j])!r} are {value[event == j][0]:g}. Samples of a posterior differ."
        )
    notes = [
        f"{len(value):,} samples of {len(labels):,} {noun.many}: {sizes.min():,} to {sizes.max():,} each."
        if np.ptp(sizes)
        else f"{len(value):,} samples of {len(labels):,} {noun.many}: {sizes[0]:,} each."
    ]
    if PRIOR_DENSITY not in values:
        notes.append("No prior_density is named: samples are taken as drawn under a prior that is uniform on (0, 1).")
    rest = {role: own for role, own in values.items() if role not in {SAMPLE, PRIOR_DENSITY}}
    return Samples(value, density, event), {**rest, SAMPLE: mean, STANDARD_ERROR: np.sqrt(spread)}, notes
