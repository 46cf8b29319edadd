"""Proposals about the mode of what is all but normal: Student-t distributions that are wider to one side.

Geweke (1989), Econometrica 57:1317, section 4: in each direction, and to each side, as wide as the density asks for at
some distances from the mode. Directions are those of the symmetric root of the correlations by the curvature there,
each nearly one coordinate: the log of a scale that is not known well falls off more slowly to one side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hbm_stan.direct.mixture import Mixture
from hbm_stan.direct.mode import Density, Mode, values_of
from hbm_stan.table import FloatArray

# Widths of components in those that the density asks for, shares, degrees of freedom (measured: with five coordinates
# nine proposals in ten are taken, with ten eight).
COMPONENTS = ((1.0, 0.92, 30.0), (1.5, 0.08, 8.0))
# Where a side is looked at, in sds by the curvature, and the narrowest and widest that it may be (ours).
_DISTANCES, _NARROWEST, _WIDEST = np.array([1.0, 2.0, 3.0, 4.0]), 0.5, 3.0


@dataclass(frozen=True)
class Split:
    """Components about one centre (d,): directions are the columns of ``root`` (d, d), ``sides`` (2, d) the widths
    below and above it."""

    centre: FloatArray
    root: FloatArray
    sides: FloatArray
    holds_all = False  # what lies where it hardly proposes anything may have been missed

    @cached_property
    def _base(self) -> Mixture:
        """The components about 0, before they are stretched."""
        widths, shares, degrees = (np.array(column) for column in zip(*COMPONENTS, strict=True))
        d = len(self.centre)
        return Mixture(shares, np.zeros((len(shares), d)), widths[:, None, None] * np.eye(d), degrees)

    def draw(self, rng: np.random.Generator, number: int) -> FloatArray:
        """``number`` points (number, d), in random order, as those of a mixture."""
        away = self._base.draw(rng, number)
        return np.asarray(self.centre + (away * self._widths(away)) @ self.root.T)

    def log_density(self, points: FloatArray) -> FloatArray:
        """The log density at points (n, d), (n,), but for a constant."""
        away = np.linalg.solve(self.root, (points - self.centre).T).T
        widths = self._widths(away)
        return np.asarray(self._base.log_density(away / widths) - np.log(widths).sum(axis=1))

    def _widths(self, away: FloatArray) -> FloatArray:
        return np.asarray(np.where(away < 0, self.sides[0], self.sides[1]))


def split_about(density: Density, mode: Mode) -> Split:
    """The proposals for a density about its only mode."""
    covariance = np.linalg.inv(mode.precision)
    sd = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(sd, sd))
    root = sd[:, None] * (vectors * np.sqrt(values)) @ vectors.T
    sides = np.stack([_asked_for(density, mode, -root), _asked_for(density, mode, root)])
    return Split(mode.point, root, sides)


def _asked_for(density: Density, mode: Mode, root: FloatArray) -> FloatArray:
    """The largest width that a normal density needs to reach this one's values in each direction, (d,)."""
    points = mode.point + (_DISTANCES[:, None, None] * root.T).reshape(-1, len(root))
    fallen = mode.log_density - values_of(density, points).reshape(len(_DISTANCES), -1)
    widths = _DISTANCES[:, None] / np.sqrt(2 * np.maximum(fallen, 1e-3))
    return np.clip(widths.max(axis=0), _NARROWEST, _WIDEST)
