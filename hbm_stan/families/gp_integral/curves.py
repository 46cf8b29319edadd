"""Curves given hyperparameters: their values at points and their integral are jointly normal, and all else follows.

Rasmussen & Williams (2006), Gaussian Processes for Machine Learning, eq. 2.23 and 2.24, with the integral as one more
value; O'Hagan (1991), Journal of Statistical Planning and Inference 29:245.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.families.gp_integral.kernels import area_of_area, area_with, correlation
from hbm_stan.families.gp_integral.normal import draw, given
from hbm_stan.model import Draws, StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Hyper:
    """What one curve depends on, (S,) each: mean and sd of its level and its rise, amplitude and length scale."""

    level: FloatArray
    level_sd: FloatArray
    slope: FloatArray
    slope_sd: FloatArray
    amplitude: FloatArray
    length_scale: FloatArray

    def some(self, part: Any) -> Hyper:
        """Those of some draws."""
        return Hyper(**{f.name: getattr(self, f.name)[part] for f in fields(self)})


def hyper(draws: Draws, data: StanData, j: int) -> Hyper:
    """The hyperparameters of curve j: without pooling its own, level and rise by their priors; else those of all."""
    if "amplitude_group" in draws:
        return _alone(draws, data, j)
    size = len(draws["amplitude"])

    def of(name: str, there: bool = True) -> FloatArray:
        return np.asarray(draws[name], dtype=float).reshape(size) if there and name in draws else np.zeros(size)

    lines = bool(data["T"])
    return Hyper(
        level=of("level"), level_sd=of("level_sd"), slope=of("slope", lines), slope_sd=of("slope_sd", lines),
        amplitude=of("amplitude"), length_scale=of("length_scale"),
    )  # fmt: skip


def _alone(draws: Draws, data: StanData, j: int) -> Hyper:
    """Without pooling level and rise have fixed priors, and are integrated out, unless they are known and no curve is.

    That is so of values that data are simulated from.
    """
    size, known = len(draws["amplitude_group"]), "level_group" in draws and "f" not in draws
    (level, level_sd), (slope, slope_sd) = data["prior_level"], data["prior_slope"]
    means, sds = [np.full(size, level), np.full(size, slope)], [np.full(size, level_sd), np.full(size, slope_sd)]
    if known:
        means[0], sds = draws["level_group"][:, j], [np.zeros(size), np.zeros(size)]
        means[1] = draws["slope_group"][:, j] if data["T"] else np.zeros(size)
    lines = float(data["T"])
    return Hyper(
        level=means[0], level_sd=sds[0], slope=lines * means[1], slope_sd=lines * sds[1],
        amplitude=draws["amplitude_group"][:, j], length_scale=draws["length_scale_group"][:, j],
    )  # fmt: skip


def limits_of(data: StanData) -> tuple[float, float]:
    """The limits of the integral."""
    low, high = data["limits"]
    return float(low), float(high)


def is_one_curve(draws: Draws) -> bool:
    """Whether all groups have one curve: complete pooling."""
    return "amplitude" in draws and "level_sd" not in draws


def curves(draws: Draws, data: StanData) -> Iterator[tuple[int, IntArray]]:
    """Each curve, counted from 0, with its rows; with complete pooling the only one with all rows."""
    if is_one_curve(draws):
        yield 0, np.arange(int(data["N"]))
        return
    for j in range(int(data["J"])):
        yield j, np.flatnonzero(np.asarray(data["group_idx"]) == j + 1)


def joint(h: Hyper, x: FloatArray, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean (S, n + 1) and covariance (S, n + 1, n + 1) of a curve at points x (n,) and, last, of its integral."""
    low, high = limits_of(data)
    kernel, width, n = int(data["kernel"]), high - low, len(x)
    z = (x - (low + high) / 2) / width
    length, amplitude = h.length_scale[:, None, None], h.amplitude[:, None, None]
    mean = np.empty((len(h.level), n + 1))
    mean[:, :n] = h.level[:, None] + h.slope[:, None] * z
    mean[:, n] = width * h.level
    cov = np.empty((len(h.level), n + 1, n + 1))
    cov[:, :n, :n] = amplitude**2 * correlation(x[:, None] - x, kernel, length) + h.level_sd[:, None, None] ** 2
    cov[:, :n, :n] += h.slope_sd[:, None, None] ** 2 * np.outer(z, z)
    across = h.amplitude[:, None] ** 2 * area_with(x, (low, high), kernel, h.length_scale[:, None])
    cov[:, :n, n] = cov[:, n, :n] = across + width * h.level_sd[:, None] ** 2
    own = h.amplitude**2 * area_of_area((low, high), kernel, h.length_scale)
    cov[:, n, n] = own + (width * h.level_sd) ** 2
    return mean, cov


def numbers(data: StanData, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Points, estimates and standard errors of rows."""
    return tuple(np.asarray(data[k], dtype=float)[rows] for k in ("x", "y", "se"))  # type: ignore[return-value]


def noisy_rows(h: Hyper, data: StanData, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The estimates of rows of one curve, their mean (S, n) and covariance (S, n, n), errors included."""
    x, y, se = numbers(data, rows)
    mean, cov = joint(h, x, data)
    return y, mean[:, :-1], cov[:, :-1, :-1] + np.diag(se**2)


def moments(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of the integral of each curve given hyperparameters, before its rows are seen, (S, J) each."""
    hypers = [hyper(draws, data, 0 if is_one_curve(draws) else j) for j in range(int(data["J"]))]
    low, high = limits_of(data)
    mean = np.stack([(high - low) * h.level for h in hypers], axis=1)
    variance = [
        (h.amplitude**2 * area_of_area((low, high), int(data["kernel"]), h.length_scale))
        + ((high - low) * h.level_sd) ** 2
        for h in hypers
    ]
    return mean, np.sqrt(np.stack(variance, axis=1))


def integral_given_rows(draws: Draws, data: StanData, on: int = 1) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of the integral of each curve given hyperparameters and its rows, (S, J) each."""
    mean, sd = moments(draws, data)
    if not on:
        return mean, sd
    for j, rows in curves(draws, data):
        h, (x, y, se) = hyper(draws, data, j), numbers(data, rows)
        which = slice(None) if is_one_curve(draws) else slice(j, j + 1)
        for part in portions(len(mean), (len(rows) + 1) ** 2):
            centre, cov = joint(h.some(part), x, data)
            noisy = cov[:, :-1, :-1] + np.diag(se**2)
            moved, own = given(y - centre[:, :-1], noisy, cov[:, :-1, -1:], cov[:, -1:, -1:])
            mean[part, which] = centre[:, -1:] + moved
            sd[part, which] = np.sqrt(np.maximum(own[:, 0], 0.0))
    return mean, sd


def draw_curves(rng: np.random.Generator, draws: Draws, data: StanData) -> dict[str, FloatArray]:
    """theta (S, J) and the curves at their rows f (S, N) given hyperparameters and rows, jointly; mu of one curve."""
    size = len(hyper(draws, data, 0).level)
    theta, f = np.empty((size, int(data["J"]))), np.empty((size, int(data["N"])))
    for j, rows in curves(draws, data):
        h, (x, y, se) = hyper(draws, data, j), numbers(data, rows)
        which = slice(None) if is_one_curve(draws) else slice(j, j + 1)
        for part in portions(size, 4 * (len(rows) + 1) ** 2):
            mean, cov = joint(h.some(part), x, data)
            if data["use_likelihood"]:
                noisy = cov[:, :-1, :-1] + np.diag(se**2)
                moved, cov = given(y - mean[:, :-1], noisy, cov[:, :-1], cov)
                mean = mean + moved
            both = draw(rng, mean, cov)
            f[part, rows], theta[part, which] = both[:, :-1], both[:, -1:]
    return {"theta": theta, "f": f, **({"mu": theta[:, 0]} if is_one_curve(draws) else {})}


def at_rows(rng: Any, draws: Draws, data: StanData) -> FloatArray:
    """The curves at their rows given their integrals theta and hyperparameters, estimates not seen, (S, N)."""
    f = np.empty((len(draws["theta"]), int(data["N"])))
    for j, rows in curves(draws, data):
        f[:, rows] = given_integral(rng, hyper(draws, data, j), np.asarray(draws["theta"])[:, j], data, rows)
    return f


def given_integral(rng: Any, h: Hyper, theta: FloatArray, data: StanData, rows: IntArray) -> FloatArray:
    """A curve at these rows given its integral, (S, n)."""
    f = np.empty((len(theta), len(rows)))
    for part in portions(len(theta), 4 * (len(rows) + 1) ** 2):
        mean, cov = joint(h.some(part), np.asarray(data["x"], dtype=float)[rows], data)
        # Of a curve that cannot deviate, the integral is its mean's, and says nothing.
        weight = cov[:, :-1, -1] / np.maximum(cov[:, -1, -1], np.finfo(float).tiny)[:, None]
        centre = mean[:, :-1] + weight * (theta[part] - mean[:, -1])[:, None]
        own = cov[:, :-1, :-1] - weight[:, :, None] * weight[:, None, :] * cov[:, -1:, -1:]
        f[part] = draw(rng, centre, own)
    return f
