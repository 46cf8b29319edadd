"""Units within groups, in rows that are predicted: known ones, new ones, and those in the middle of their group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.encoding import IntArray
from hbm_stan.fit import Fit
from hbm_stan.model import Draws
from hbm_stan.new_rows.needs import Grouping
from hbm_stan.new_rows.places import AVERAGE
from hbm_stan.new_rows.read import Rows
from hbm_stan.new_rows.terms import rng_of_level
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray

UNIT = "theta_unit"  # what the programs call the values of units


def units_of(read: Prepared) -> dict[str, Grouping]:
    """The units as a factor, by its name, ``group:unit``; none where the table has no units."""
    if read.units is None:
        return {}
    parts = (read.dataset.column("group"), read.dataset.column("unit"))
    labels = zip(*(read.dataset.table.labels(part) for part in parts), strict=True)
    known = {pair: int(unit) for pair, unit in zip(labels, read.units.unit, strict=True)}
    name = ":".join(parts)
    return {name: Grouping(name, parts, known, len(read.units.labels))}


@dataclass(frozen=True)
class Units:
    """How far the unit of each row lies from its group, (S, n); 0 where it stands in the middle or is averaged.

    ``spread`` (S, n) is the sd of units where they are averaged: each such row is of a unit drawn for it; else 0.
    """

    deviation: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, fit: Fit, draws: Draws, own: Draws, rows: Rows, some: IntArray) -> Units:
        """The units of some of the rows; ``own`` are the draws with what groups have row by row."""
        (place,) = (p for name, p in rows.places.items() if name != fit.table.dataset.column("group"))
        level, theta = place.level[some], np.asarray(own[fit.family.groups.group_quantity])
        deviation, sd = np.zeros(theta.shape), _sd(own, theta)
        known = np.flatnonzero((level >= 0) & (level < place.n_known))
        if known.size:
            deviation[:, known] = _values(fit, draws)[:, level[known]] - theta[:, known]
        for j in np.unique(level[level >= place.n_known]):
            mine = np.flatnonzero(level == j)
            z = rng_of_level(fit, UNIT, place.new[j - place.n_known]).normal(size=(len(theta), 1))
            deviation[:, mine] = sd[:, mine] * z
        return cls(deviation, sd * (level == AVERAGE))

    def fresh(self, rng: np.random.Generator) -> FloatArray:
        """Deviations of the units that averaged rows are drawn in, (S, n)."""
        return np.asarray(self.spread * rng.normal(size=self.spread.shape)) if self.spread.any() else self.spread


def _values(fit: Fit, draws: Draws) -> FloatArray:
    """The values of all known units, (S, M); drawn given their rows where the program left them out."""
    if UNIT in draws:
        return np.asarray(draws[UNIT])
    drawn: FloatArray = fit.family.need("known_units", "a prediction of rows of known units")(
        fit.rng("units given their rows"), draws, fit.data
    )
    return drawn


def _sd(own: Draws, theta: FloatArray) -> FloatArray:
    """The sd of units within the group of each row, (S, n): its own without pooling, none with complete pooling."""
    if "tau_unit_group" in own:
        return np.asarray(own["tau_unit_group"])
    sd = np.asarray(own["tau_unit"])[:, None] if "tau_unit" in own else np.zeros((len(theta), 1))
    return np.asarray(np.broadcast_to(sd, theta.shape))
