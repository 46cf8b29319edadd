"""Posteriors of one to three bounded-away parameters on a grid, and of group effects mixed over one: SciPy only.

The grid lies about the mode, along the Cholesky factor of the curvature there, on scales without ends (logarithms of
positive parameters). The trapezoidal rule is exact to rounding error once the ends carry no mass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from grouped_quadrature import QUANTILES
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq, minimize
from scipy.special import logsumexp

Density = Callable[[np.ndarray], np.ndarray]  # points (K, M) -> log density (M,)
REACH = {1: 12.0, 2: 10.0, 3: 9.0}  # sds on either side of the mode
NODES = {1: 2001, 2: 201, 3: 73}
CHUNK = 20_000
FEWEST = 24  # nodes on a peak: a quarter of an sd apart, where splines are right to 1e-4 sds


@dataclass(frozen=True)
class Grid:
    """Points (K, M) with their posterior weights (M,), and the axis of the first coordinate with its marginal."""

    points: np.ndarray
    weight: np.ndarray
    axis: np.ndarray
    marginal: np.ndarray


def evaluate(log_density: Density, points: np.ndarray) -> np.ndarray:
    parts = np.array_split(points, 1 + points.shape[1] // CHUNK, axis=1)
    return np.concatenate([log_density(part) for part in parts])


def mode(log_density: Density, start: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The mode and minus the inverse of the curvature there, by differences."""

    def minus(x: np.ndarray) -> float:
        return -float(log_density(np.asarray(x)[:, None])[0])

    at = minimize(minus, np.asarray(start, dtype=float), method="Nelder-Mead",
                  options={"xatol": 1e-6, "fatol": 1e-10, "maxiter": 20_000, "maxfev": 20_000}).x  # fmt: skip
    k, unit = len(at), np.eye(len(at))
    h = np.full(k, 1e-3)
    for _ in range(30):  # steps of which the density says something: a drop of about a tenth
        drop = np.array([minus(at + h[i] * unit[i]) + minus(at - h[i] * unit[i]) - 2 * minus(at) for i in range(k)])
        h = h * np.clip(np.sqrt(0.1 / np.maximum(drop, 1e-12)), 0.2, 5)
    hessian = np.empty((k, k))
    for i in range(k):
        for j in range(k):
            a, b = h[i] * unit[i], h[j] * unit[j]
            hessian[i, j] = (minus(at + a + b) - minus(at + a - b) - minus(at - a + b) + minus(at - a - b)) / (
                4 * h[i] * h[j]
            )
    return at, np.linalg.inv(hessian)


def grid(log_density: Density, start: Sequence[float], first: int = 0, nodes: int = 0, reach: float = 0.0) -> Grid:
    """The grid whose first axis is the coordinate ``first``."""
    at, covariance = mode(log_density, start)
    k = len(at)
    order = [first, *(i for i in range(k) if i != first)]
    factor = np.zeros((k, k))
    factor[order] = np.linalg.cholesky(covariance[np.ix_(order, order)])
    z = np.linspace(-1, 1, nodes or NODES[k]) * (reach or REACH[k])
    unit = np.stack([a.ravel() for a in np.meshgrid(*[z] * k, indexing="ij")])
    points = at[:, None] + factor @ unit
    log_p = evaluate(log_density, points)
    weight = np.exp(log_p - logsumexp(log_p))
    marginal = weight.reshape(len(z), -1).sum(axis=1)
    if max(marginal[0], marginal[-1]) > 1e-9:
        raise ValueError(f"the grid cuts off a part of the posterior: {marginal[[0, -1]]}")
    return Grid(points, weight, at[first] + factor[first, 0] * z, marginal)


def summaries(
    log_density: Density, start: Sequence[float], inverse: Sequence[Callable[[np.ndarray], np.ndarray]],
    nodes: int = 0, reach: float = 0.0,
) -> list[dict[str, float]]:  # fmt: skip
    """Mean, sd and quantiles of each coordinate, taken by ``inverse`` (increasing) to its own scale."""
    marginals = []
    for i, back in enumerate(inverse):
        axis_grid = grid(log_density, start, i, nodes, reach)
        marginals.append(of_axis(axis_grid.axis, axis_grid.marginal, back))
    return marginals


def of_axis(axis: np.ndarray, weight: np.ndarray, back: Callable[[np.ndarray], np.ndarray]) -> dict[str, float]:
    """Summary of ``back(axis)`` for weights on an even grid; ValueError where few nodes hold the mass."""
    if np.sum(weight > 0.01 * weight.max()) < FEWEST:
        raise ValueError("the grid is too coarse for the peak of the posterior")
    x = back(axis)
    mean = float(weight @ x)
    below = CubicSpline(axis, weight).antiderivative()
    quantiles = {
        q: float(back(np.array(brentq(lambda t, p=p: below(t) - p * below(axis[-1]), axis[0], axis[-1], xtol=1e-12))))
        for q, p in QUANTILES.items()
    }
    return {"mean": mean, "sd": float(np.sqrt(weight @ (x - mean) ** 2))} | quantiles


def of_points(x: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Summary of many values with weights; quantiles are read off between neighbours."""
    keep = weight > 1e-14 * weight.max()
    x, weight = x[keep], weight[keep] / weight[keep].sum()
    order = np.argsort(x)
    x, weight = x[order], weight[order]
    mean = float(weight @ x)
    below = np.cumsum(weight) - weight / 2
    quantiles = {q: float(np.interp(p, below, x)) for q, p in QUANTILES.items()}
    return {"mean": mean, "sd": float(np.sqrt(weight @ (x - mean) ** 2))} | quantiles
