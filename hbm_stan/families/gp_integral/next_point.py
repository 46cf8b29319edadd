"""Where one more estimate would help the integral most: the expected reduction of its variance.

Given hyperparameters the variance of the integral after an estimate does not depend on its value, so that its
expectation is exact: O'Hagan (1991), Journal of Statistical Planning and Inference 29:245, section 3. What the estimate
would teach of the hyperparameters is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.families.gp_integral.curves import Hyper, IntArray, curves, hyper, joint, limits_of, numbers
from hbm_stan.families.gp_integral.normal import forward
from hbm_stan.model import Draws, StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

CANDIDATES = 201  # points of the interval that are tried: half a percent of it apart


@dataclass(frozen=True, kw_only=True)
class NextPoint:
    """The best next point of curve ``group`` (counted from 0), and the sd of its integral now and after it.

    ``points`` (P,) were tried; ``sd`` (P,) is what an estimate with ``standard_error`` there is expected to leave.
    """

    group: int
    point: float
    standard_error: float
    now: float
    after: float
    points: FloatArray
    sd: FloatArray


def given_rows_at(
    h: Hyper, data: StanData, rows: IntArray, points: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean and variance of a curve at points, and covariance with its integral, given its rows, (S, P) each."""
    x, y, se = numbers(data, rows)
    n, size = len(x), len(h.level)
    mean, variance, with_integral = (np.empty((size, len(points))) for _ in range(3))
    for part in portions(size, (n + len(points) + 1) ** 2):
        centre, cov = joint(h.some(part), np.concatenate([x, points]), data)
        root = np.linalg.cholesky(cov[:, :n, :n] + np.diag(se**2))
        gain = forward(root, cov[:, :n, n:])
        white = forward(root, (y - centre[:, :n])[..., None])
        mean[part] = centre[:, n:-1] + np.einsum("sij,sik->sj", gain[..., :-1], white)
        diagonal = np.diagonal(cov, axis1=1, axis2=2)[:, n:-1]
        variance[part] = np.maximum(diagonal - np.sum(gain[..., :-1] ** 2, axis=1), 0.0)
        with_integral[part] = cov[:, n:-1, -1] - np.einsum("sij,si->sj", gain[..., :-1], gain[..., -1])
    return mean, variance, with_integral


def reduction(
    h: Hyper, data: StanData, rows: IntArray, points: FloatArray, standard_error: float
) -> FloatArray:  # fmt: skip
    """By how much one estimate at each point reduces the variance of the integral, the mean over draws, (P,)."""
    _, variance, with_integral = given_rows_at(h, data, rows, points)
    return np.asarray(np.mean(with_integral**2 / (variance + standard_error**2), axis=0))


def next_points(draws: Draws, data: StanData, standard_error: float | None = None) -> list[NextPoint]:
    """The best next point of each curve; by default as well measured as the middle one of its estimates.

    With complete pooling there is one curve. ``draws`` hold hyperparameters and theta, (S, ...).
    """
    points, best_of = np.linspace(*limits_of(data), CANDIDATES), []
    for j, rows in curves(draws, data):
        error = float(np.median(np.asarray(data["se"])[rows])) if standard_error is None else standard_error
        total = float(np.var(np.asarray(draws["theta"])[:, j]))
        less = reduction(hyper(draws, data, j), data, rows, points, error)
        sd = np.sqrt(np.maximum(total - less, 0.0))
        best = int(np.argmin(sd))
        best_of.append(NextPoint(
            group=j, point=float(points[best]), standard_error=error, now=total**0.5, after=float(sd[best]),
            points=points, sd=sd,
        ))  # fmt: skip
    return best_of
