"""Proposals about the mode of what is all but normal: Student-t distributions that are wider to one side.

Geweke (1989), Econometrica 57:1317, section 4: in each direction, and to each side, as wide as the density asks for at
some distances from the mode. Directions are those of the symmetric root of the correlations by the curvature there,
each nearly one coordinate: the log of a scale that is not known well falls off more slowly to one side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hbm_stan.direct.mixture import latin_hypercube
from hbm_stan.direct.mode import Density, Mode, values_of
from hbm_stan.log_sums import log_sum_exp
from hbm_stan.normal_quantile import normal_quantile
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

    def draw(self, rng: np.random.Generator, number: int) -> FloatArray:
        """``number`` points (number, d), in random order: normal scores of a Latin hypercube."""
        uniform = latin_hypercube(rng, number, len(self.centre) + 1)
        widths, shares, degrees = (np.array(column) for column in zip(*COMPONENTS, strict=True))
        component = np.minimum(np.searchsorted(np.cumsum(shares), uniform[:, 0], side="right"), len(shares) - 1)
        stretch = widths[component] * np.sqrt(degrees[component] / rng.chisquare(degrees[component]))
        away = stretch[:, None] * normal_quantile(uniform[:, 1:])
        return np.asarray(self.centre + (away * self._widths(away)) @ self.root.T)

    def log_density(self, points: FloatArray) -> FloatArray:
        """The log density at points (n, d), (n,), but for a constant."""
        away = np.linalg.solve(self.root, (points - self.centre).T).T
        sides, d = self._widths(away), len(self.centre)
        squares = ((away / sides) ** 2).sum(axis=1)
        parts = [
            math.log(share) + math.lgamma((nu + d) / 2) - math.lgamma(nu / 2) - d / 2 * math.log(nu * width**2)
            - (nu + d) / 2 * np.log1p(squares / (nu * width**2))
            for width, share, nu in COMPONENTS
        ]  # fmt: skip
        return np.asarray(log_sum_exp(np.stack(parts), axis=0) - np.log(sides).sum(axis=1))

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
