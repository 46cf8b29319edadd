"""Planck's curve and its fluxes: least squares, truncated normal errors, the likelihood of a spectrum over log T."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hbm_stan.later import BarycentricInterpolator, log_ndtr, ndtr, ndtri
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray

# Step of the integral over log T, in units of asinh.
STEP = 0.03
# Values of the normal distribution function that are computed one by one.
_MOST = 20_000_000
_POINTS = 32  # of the polynomial that stands for the others


def planck_curve(nu: FloatArray, temperature: FloatArray) -> FloatArray:
    """nu^3 / (exp(nu / T) - 1), which goes to 0 for small T."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        x = nu / temperature
        return np.asarray(nu**3 * np.exp(-x) / -np.expm1(-x))


def _slope(nu: FloatArray, u: FloatArray) -> FloatArray:
    """d curve / d log T."""
    x = nu * np.exp(-u)
    return np.asarray(planck_curve(nu, np.exp(u)) * x / -np.expm1(-x))


def least_squares(nu: FloatArray, y: FloatArray, group: Any, n_groups: int) -> tuple[FloatArray, FloatArray]:
    """log T of each group by least squares, and its information (of errors with sd 1), (J,); nan where none is best.

    The curve rises with T at every frequency: a group whose fluxes are near or below zero has no best T.
    """
    grid = np.linspace(math.log(nu.min() / 200), math.log(float(np.max(nu + np.abs(y) / nu**2))) + 0.5, 600)
    squares = np.zeros((n_groups, len(grid)))
    np.add.at(squares, group, (y[:, None] - planck_curve(nu[:, None], np.exp(grid))) ** 2)
    best = squares.argmin(axis=1)
    step, u = grid[1] - grid[0], grid[best]
    low, high = u - step, u + step
    for _ in range(30):
        slope, residual = _slope(nu, u[group]), y - planck_curve(nu, np.exp(u[group]))
        information = np.bincount(group, slope**2, n_groups)
        with np.errstate(divide="ignore", invalid="ignore"):
            move = np.bincount(group, slope * residual, n_groups) / information
        u = np.clip(u + np.nan_to_num(move), low, high)
    inside = (best > 0) & (best < len(grid) - 1) & (information > 0) & (squares[:, 0] > squares.min(axis=1))
    return np.where(inside, u, np.nan), np.where(inside, information, np.nan)


def _tails(f: FloatArray, sigma: FloatArray, data: StanData) -> tuple[FloatArray, FloatArray, Any]:
    """The bounds in units of sigma from f, mirrored where both lie above it: below zero tails keep their digits."""
    a, b = (np.asarray(data["y_lower"]) - f) / sigma, (np.asarray(data["y_upper"]) - f) / sigma
    return np.where(a > 0, -b, a), np.where(a > 0, -a, b), a > 0


def log_mass(f: FloatArray, sigma: FloatArray, data: StanData) -> FloatArray:
    """log P(y_lower < y < y_upper), 0 where rows are not truncated."""
    if not data["truncated"]:
        return np.zeros(np.broadcast_shapes(f.shape, sigma.shape))
    a, b, _ = _tails(f, sigma, data)
    upper = log_ndtr(b)
    return np.asarray(upper + np.log1p(-np.exp(log_ndtr(a) - upper)))


def draw_flux(rng: np.random.Generator, f: FloatArray, sigma: FloatArray, data: StanData) -> FloatArray:
    """Fluxes given the curve, shape of ``f``; truncated ones by the inverse of the distribution function."""
    if not data["truncated"]:
        return rng.normal(f, sigma)
    a, b, mirrored = _tails(f, sigma, data)
    u = rng.uniform(size=f.shape)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        far = b - np.log1p(u * np.expm1(b * (b - a))) / b  # where the tail is exponential to one part in a thousand
        z = np.where(b < -35, far, ndtri(ndtr(a) + u * (ndtr(b) - ndtr(a))))
    return np.asarray(f + np.where(mirrored, -1, 1) * sigma * np.clip(z, a, b))


def nodes(
    j: int, data: StanData, ends: tuple[float, float], sigma: float, step: float = STEP
) -> tuple[FloatArray, FloatArray]:
    """Nodes in log T and their log weights: the trapezoid rule in t, log T = centre + width sinh(t).

    Dense where the group's likelihood may be narrowest, for the smallest sigma, and reaching from end to end.
    """
    information, centre, width = data["T_information"][j], math.log(data["T_fit"][j]), 0.01
    if information > 0:
        width = min(0.1, sigma / math.sqrt(information))
    else:  # the likelihood falls off where the curve leaves the noise
        grid = np.linspace(*ends, 2000)
        curve = planck_curve(np.asarray(data["nu"])[np.asarray(data["group_idx"]) == j + 1][:, None], np.exp(grid))
        centre = float(grid[(curve > sigma).any(axis=0).argmax()])
    reach = np.arcsinh((np.array([min(ends[0], centre - 1), max(ends[1], centre + 1)]) - centre) / width)
    t = np.arange(reach[0], reach[1] + step, step)
    return centre + width * np.sinh(t), np.log(step * width * np.cosh(t))


def on_nodes(j: int, data: StanData, u: FloatArray, sigma: FloatArray) -> FloatArray:
    """log p(y_group | T, sigma) at the nodes for each sigma, (S, nodes).

    The sum of squares needs no sigma. The probability of the range does: where that is much work, a polynomial in log
    sigma stands for it; sigma^2 times its logarithm is smooth and bounded.
    """
    rows = np.asarray(data["group_idx"]) == j + 1
    part = {**data, **{name: np.asarray(data[name])[rows] for name in ("y_lower", "y_upper")}}
    f, y = planck_curve(np.asarray(data["nu"])[rows], np.exp(u)[:, None]), np.asarray(data["y"])[rows]
    likelihood = -0.5 * ((y - f) ** 2).sum(axis=1) / sigma**2 - len(y) * np.log(sigma * math.sqrt(2 * math.pi))
    if not data["truncated"]:
        return np.asarray(likelihood)
    points = np.log(sigma[:, 0])
    if f.size * len(points) > _MOST and len(points) > _POINTS:
        ends = points.min() - 0.01, points.max() + 0.01
        points = np.mean(ends) + np.ptp(ends) / 2 * np.cos(math.pi * (np.arange(_POINTS) + 0.5) / _POINTS)
    mass = np.array([log_mass(f, np.exp(p), part).sum(axis=1) * np.exp(2 * p) for p in points])
    if len(points) < len(sigma):
        mass = BarycentricInterpolator(points, mass)(np.log(sigma[:, 0]))
    return np.asarray(likelihood - mass / sigma**2)
