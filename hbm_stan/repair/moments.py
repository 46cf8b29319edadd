"""Importance weighted moment matching: Paananen, Piironen, Bürkner & Vehtari (2021), 10.1007/s11222-020-09982-2.

The draws are moved so that their mean, sds or covariance match those of the posterior without the unit. Here the
program itself is asked for that posterior: once with all data, once without the unit, at unconstrained points. Both
densities come from the embedded engine, whichever engine sampled; they differ by that of the unit and a constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.density import density_model
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import good_k, mean_error
from hbm_stan.log_sums import log_sum_exp
from hbm_stan.program import _evaluate
from hbm_stan.psis import smooth
from hbm_stan.repair.bridge import Exact, tail_of
from hbm_stan.repair.jobs import job_without
from hbm_stan.table import FloatArray

# Paananen et al. (2021), section 3: at most so many steps. A map is found on some of the draws, and applied to all.
_STEPS, _SEARCHED = 30, 1000
# The difference of the two densities and the log density of the unit are one constant apart, or the program has other
# coordinates without the unit: relative rounding is near 1e-12, a changed coordinate moves the first digits.
_ONE_CONSTANT = 1e-6
# Below the smallest log weight: exp(-700) of it is nothing.
_NO_WEIGHT = 700.0


@dataclass(frozen=True)
class Move:
    """An affine map of points: q -> to + matrix (q - origin)."""

    origin: FloatArray
    to: FloatArray
    matrix: FloatArray

    def forward(self, q: FloatArray) -> FloatArray:
        """The points moved, (S, D)."""
        return np.asarray(self.to + (q - self.origin) @ self.matrix.T)

    def backward(self, q: FloatArray) -> FloatArray:
        """The points that are moved to these."""
        return np.asarray(self.origin + np.linalg.solve(self.matrix, (q - self.to).T).T)

    @property
    def log_volume(self) -> float:
        """log |det|."""
        return float(np.linalg.slogdet(self.matrix)[1])

    def then(self, other: Move) -> Move:
        """This map and the other one after it."""
        return Move(self.origin, other.forward(self.to[None])[0], other.matrix @ self.matrix)


class Unconstrained:
    """The draws of a fit as unconstrained points with their log density; made once for all units of the fit."""

    def __init__(self, fit: Fit) -> None:
        self.fit = fit
        self.job = job_without(fit, [])

    @cached_property
    def model(self) -> Any:
        """The program with all data."""
        return density_model(self.job.program, self.job.data)

    @cached_property
    def points(self) -> FloatArray:
        """(S, D), chains joined."""
        draws = self.fit.draws()
        declared = self.job.program.block("parameters")
        empty = {d.name: np.zeros([int(_evaluate(size, self.job.data) or 0) for size in d.dims]) for d in declared}
        values = {d.name: draws.get(d.name) for d in declared}

        def point(s: int) -> Any:
            return self.model.unconstrain(
                {name: (empty[name] if v is None else v[s]).tolist() for name, v in values.items()}
            )

        try:
            return np.array([point(s) for s in range(self.fit.n_draws)], dtype=float)
        except (RuntimeError, ValueError) as error:  # a draw that rounding put on a bound
            raise ComparisonError(f"moment matching: a draw has no unconstrained point ({error})") from error

    @cached_property
    def log_density(self) -> FloatArray:
        """Of the points, (S,)."""
        return log_density(self.model, self.points)


def log_density(model: Any, points: FloatArray) -> FloatArray:
    """The log density of a model at unconstrained points, (S,); minus infinity where it has none."""
    densities = np.full(len(points), -math.inf)
    for s, q in enumerate(points):
        if np.isfinite(q).all():
            try:
                value = model.log_prob_grad(q)[0]
            except (RuntimeError, ValueError):  # Stan rejects the point: its density there is zero
                continue
            densities[s] = value if math.isfinite(value) else -math.inf
    return densities


def moment_matched(
    whole: Unconstrained, rows: Sequence[int], candidates: Sequence[FloatArray], threshold: float
) -> Exact:
    """The score of a unit (its rows, counted from 0) by moment matching.

    ``candidates`` are log densities of the unit at the draws, (S,) each; the one that differs from the program's by a
    constant is taken. Raises ComparisonError where none does, where the program cannot be asked, or where no map brings
    Pareto k below ``threshold``.
    """
    without = job_without(whole.fit, rows)
    model = density_model(without.program, without.data)
    if model.n_unconstrained != whole.model.n_unconstrained:
        raise ComparisonError("moment matching: the group's own parameters leave with it")
    reduced = log_density(model, whole.points)
    constant = _constant(whole.log_density - reduced, candidates)
    taken = np.linspace(0, len(whole.points) - 1, min(_SEARCHED, len(whole.points))).astype(int)
    move = _search(model, whole.points[taken], whole.log_density[taken], reduced[taken], good_k(len(taken)))
    score = _split(whole, model, move, constant)
    if not score.pareto_k < threshold:
        raise ComparisonError(f"moment matching: Pareto k stays at {score.pareto_k:.2f}")
    return score


def _constant(difference: FloatArray, candidates: Sequence[FloatArray]) -> float:
    """log p(unit) - difference, one number for all draws."""
    for log_p in candidates:
        apart = log_p - difference
        if np.ptp(apart) <= _ONE_CONSTANT * max(1.0, float(np.abs(log_p).max())):
            return float(np.median(apart))
    raise ComparisonError("moment matching: without the unit the program has other coordinates")


def _search(model: Any, q: FloatArray, proposal: FloatArray, target: FloatArray, good: float) -> Move:
    """The map that was found to lower Pareto k furthest: shift, then sds, then covariance, as long as one helps."""
    size = q.shape[1]
    move = Move(np.zeros(size), np.zeros(size), np.eye(size))
    at, (log_w, k) = q, _weights(target - proposal)
    for _ in range(_STEPS):
        if k < good:
            break
        for step in _steps(at, np.exp(log_w)):
            moved = step.forward(at)
            tried, tried_k = _weights(log_density(model, moved) - proposal)
            if tried_k < k:
                at, log_w, k, move = moved, tried, tried_k, move.then(step)
                break
        else:
            break
    return move


def _weights(log_ratios: FloatArray) -> tuple[FloatArray, float]:
    """Smoothed log weights, and Pareto k: infinite where none can be estimated."""
    possible = np.isfinite(log_ratios)
    if not possible.any():
        return np.full(len(log_ratios), -math.log(len(log_ratios))), math.inf
    # A point that the target excludes has no weight; the smoothing needs numbers.
    log_w, k = smooth(np.where(possible, log_ratios, log_ratios[possible].min() - _NO_WEIGHT))
    return log_w, float(k) if not math.isnan(float(k)) else math.inf


def _steps(q: FloatArray, w: FloatArray) -> list[Move]:
    """Maps that match the mean; the mean and the sds; the mean and the covariance (section 2.3 of the paper)."""
    size, mean, to = q.shape[1], q.mean(axis=0), w @ q
    maps = [Move(mean, to, np.eye(size))]
    spread = w @ (q - to) ** 2
    if (spread > 0).all():
        maps.append(Move(mean, to, np.diag(np.sqrt(spread / q.var(axis=0)))))
    # A covariance of as many draws as dimensions says nothing.
    if size > 1 and 1 / float(w @ w) > 2 * size:
        factor, own = (_factor(c) for c in ((q - to).T @ ((q - to) * w[:, None]), np.cov(q.T, ddof=0)))
        if factor is not None and own is not None:
            maps.append(Move(mean, to, factor @ np.linalg.inv(own)))
    return maps


def _factor(covariance: npt.NDArray[Any]) -> FloatArray | None:
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        return None


def _split(whole: Unconstrained, model: Any, move: Move, constant: float) -> Exact:
    """Every other draw is moved, the rest stay: a mixture that covers the unit's density too (section 2.4)."""
    q, moved = whole.points, np.arange(len(whole.points)) % 2 == 0
    x = np.where(moved[:, None], move.forward(q), q)
    # The mixture's density: half of it is the posterior, half the posterior moved.
    stays, moves = np.empty(len(q)), np.empty(len(q))
    stays[moved], stays[~moved] = log_density(whole.model, x[moved]), whole.log_density[~moved]
    moves[moved] = whole.log_density[moved]
    moves[~moved] = log_density(whole.model, move.backward(q[~moved]))
    target = log_density(model, x)
    log_w, k = _weights(target - np.logaddexp(stays, moves - move.log_volume))
    with np.errstate(invalid="ignore"):
        log_p = np.where(np.isfinite(target), stays - target + constant, -math.inf)
    elpd = float(log_sum_exp(log_w + log_p))
    # The influence of each draw on a ratio of weighted means.
    series = len(q) * np.exp(log_w) * (np.exp(log_p - elpd) - 1)
    worst = max(k, tail_of(log_w + log_p))
    return Exact(elpd, mean_error(series, whole.fit.sampling.chains), worst)
