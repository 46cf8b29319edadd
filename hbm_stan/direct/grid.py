"""Proposals by quadrature: with one or two coordinates, a density is worked out on a grid and interpolated.

Nodes lie along the axes of Laplace's approximation at equal steps of t, with t = c asinh(u / c): 0.6 sds apart about
the mode, and wider far from it, so that few of them reach the end of a long tail. What is interpolated linearly between
nodes is a mixture of triangular distributions about them, which can be drawn from exactly; weights are all but one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.direct.mixture import latin_hypercube
from hbm_stan.direct.mode import Density, Mode, values_of
from hbm_stan.table import FloatArray

MAX_COORDINATES = 2
# The step of t, the bend c where nodes begin to lie wider, and steps to either end: 136 sds from the mode.
_STEP, _BEND, _STEPS = 0.6, 1.5, 13
# What the outermost nodes may hold of the whole; more, and the density reaches beyond them.
_LEAST = 1e-8


@dataclass(frozen=True)
class Grid:
    """A density at nodes, (n,) or (n, n), that is linear in t between them, and nothing beyond; and the axes of u."""

    values: FloatArray
    centre: FloatArray
    factor: FloatArray
    holds_all = True  # a density that reaches beyond is refused

    @property
    def reaches_beyond(self) -> bool:
        """Whether its outermost nodes, next to those that have nothing, hold more than next to nothing of the whole."""
        inner = self.values[(slice(2, -2),) * self.values.ndim]
        return bool(1 - inner.sum() / self.values.sum() > _LEAST)

    def draw(self, rng: np.random.Generator, number: int) -> FloatArray:
        """``number`` points (number, d), in random order: by a Latin hypercube of nodes and places about them."""
        uniform = latin_hypercube(rng, number, 1 + self.values.ndim)
        cumulative = np.cumsum(self.values)
        node = np.searchsorted(cumulative, uniform[:, 0] * cumulative[-1], side="right")
        places = np.stack(np.unravel_index(np.minimum(node, self.values.size - 1), self.values.shape), axis=1)
        v = uniform[:, 1:]
        about = np.where(v < 0.5, np.sqrt(2 * v) - 1, 1 - np.sqrt(2 * (1 - v)))  # triangular on (-1, 1)
        return self.centre + _u_of(places - len(self.values) // 2 + about) @ self.factor.T

    def log_density(self, points: FloatArray) -> FloatArray:
        """The log density at points (n, d), (n,), but for a constant; minus infinity beyond the grid."""
        u = np.linalg.solve(self.factor, (points - self.centre).T)
        at = np.arcsinh(u / _BEND) * (_BEND / _STEP) + len(self.values) // 2
        last = len(self.values) - 2
        below = np.clip(np.floor(at), 0, last).astype(int)
        share = at - below
        values = np.zeros(len(points))
        for corner in np.ndindex((2,) * len(u)):
            sides = np.array(corner)[:, None]
            values += self.values[tuple(below + sides)] * np.where(sides == 1, share, 1 - share).prod(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = ((at >= 0) & (at <= last + 1)).all(axis=0)
            return np.where(inside, np.log(values) - _log_slope(u).sum(axis=0), -np.inf)


def grid_about(density: Density, mode: Mode) -> Grid:
    """The grid of a density of one or two coordinates about a mode."""
    factor, d = np.linalg.cholesky(np.linalg.inv(mode.precision)), len(mode.point)
    axis = _u_of(np.arange(-_STEPS, _STEPS + 1, dtype=float))
    u = np.stack(np.meshgrid(*[axis] * d, indexing="ij"), axis=-1).reshape(-1, d)
    log_values = values_of(density, mode.point + u @ factor.T) + _log_slope(u).sum(axis=1)
    log_values = np.where(np.isfinite(log_values), log_values, -np.inf)
    values = np.exp(log_values - log_values.max()).reshape((len(axis),) * d)
    return Grid(np.pad(values, 1), mode.point, factor)


def _u_of(steps: FloatArray) -> FloatArray:
    """The place that lies so many steps of t from the mode."""
    return np.asarray(_BEND * np.sinh(_STEP * steps / _BEND))


def _log_slope(u: FloatArray) -> FloatArray:
    """The log of the derivative of u by t."""
    return np.asarray(0.5 * np.log1p((u / _BEND) ** 2))
