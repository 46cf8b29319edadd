"""Modes of a log density from several starts at once: Newton's steps, with Hessians from differences of gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hbm_stan.table import BoolArray, FloatArray

# points (n, d) -> log density (n,), minus infinity where there is none, and its gradient (n, d)
Density = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

_STEPS = 60
_DIFFERENCE = 1e-4
# Lengths that are tried of each step: about Newton's, and far below it, where the density bends only near the mode.
_LENGTHS = np.array([2, 1, 0.5, 0.25, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6])
# Squared gradient in the metric of the Hessian: half of it is what a step would still gain, in nats.
_CLOSE, _NEAR = 1e-8, 1e-3
# Curvatures below it are taken for it: a direction in which the density is almost flat, or bends upwards.
_FLAT = 1e-3
# Modes closer than so many sds are one.
_SAME = 0.05


@dataclass(frozen=True)
class Mode:
    """A point (d,), its log density, and minus the Hessian there with all curvatures positive, (d, d)."""

    point: FloatArray
    log_density: float
    precision: FloatArray

    @property
    def log_mass(self) -> float:
        """The log of Laplace's approximation of the integral, up to a constant of the dimension."""
        return self.log_density - float(np.linalg.slogdet(self.precision)[1]) / 2

    def is_same(self, other: Mode) -> bool:
        """Whether two modes are one but for the error of the search."""
        apart = self.point - other.point
        return bool(apart @ other.precision @ apart < _SAME**2)


def values_of(density: Density, points: FloatArray) -> FloatArray:
    """Log densities (n,) alone: of a density that has a method ``values``, without what its gradients cost."""
    alone: Callable[[FloatArray], FloatArray] | None = getattr(density, "values", None)
    return density(points)[0] if alone is None else alone(points)


def find_modes(density: Density, starts: FloatArray) -> list[Mode]:
    """The different modes that starts (m, d) lead to, that of the largest mass first; empty where none leads to one."""
    points = np.array(starts, dtype=float)
    values, gradients = density(points)
    points, gradients, values = points[np.isfinite(values)], gradients[np.isfinite(values)], values[np.isfinite(values)]
    modes: list[Mode] = []
    for _ in range(_STEPS):
        if not len(points):
            break
        precisions, directions, left = _newton(density, points, gradients)
        after, higher_values, higher_gradients, higher = _moved(density, points, values, directions)
        # Where rounding keeps the density from rising, a small gradient is all that can be had.
        done = (left < _CLOSE) | (~higher & (left < _NEAR))
        for i in np.flatnonzero(done):
            mode = Mode(points[i], float(values[i]), precisions[i])
            if not any(mode.is_same(other) for other in modes):
                modes.append(mode)
        on = higher & ~done
        points, values, gradients = after[on], higher_values[on], higher_gradients[on]
    return sorted(modes, key=lambda m: -m.log_mass)


def _newton(density: Density, points: FloatArray, gradients: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Minus the Hessian of each point with positive curvatures, Newton's step, the squared gradient in its metric."""
    m, d = points.shape
    shifts = _DIFFERENCE * np.concatenate([np.eye(d), -np.eye(d)])
    _, around = density((points[:, None, :] + shifts).reshape(-1, d))
    around = around.reshape(m, 2, d, d)
    hessian = (around[:, 0] - around[:, 1]) / (2 * _DIFFERENCE)
    hessian = np.where(np.isfinite(hessian), hessian, 0.0)
    values, vectors = np.linalg.eigh(-(hessian + np.swapaxes(hessian, 1, 2)) / 2)
    values = np.maximum(np.abs(values), _FLAT)
    along = np.einsum("mji,mj->mi", vectors, gradients)
    precision = np.einsum("mij,mj,mkj->mik", vectors, values, vectors)
    return precision, np.einsum("mij,mj->mi", vectors, along / values), (along**2 / values).sum(axis=1)


def _moved(
    density: Density, points: FloatArray, values: FloatArray, directions: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Each point after the best length of its step, with density and gradient, and whether that raised its density."""
    m, d = points.shape
    tried = points[:, None, :] + _LENGTHS[:, None] * directions[:, None, :]
    scores, slopes = density(tried.reshape(-1, d))
    scores, slopes = scores.reshape(m, -1), slopes.reshape(m, -1, d)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    best, rows = scores.argmax(axis=1), np.arange(m)
    return tried[rows, best], scores[rows, best], slopes[rows, best], scores[rows, best] > values
