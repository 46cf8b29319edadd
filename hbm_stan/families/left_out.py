"""The density of a row given the other rows of its group, where all that is normal is integrated out.

With p(y | population) = p(y_n | the others, population) p(the others | population), leave-one-out weighs draws of the
population by 1 / p(y_n | the others, population): no row is decisive for it as it is for its group's own parameters.
Rasmussen & Williams (2006), section 5.4.2; Vehtari et al. (2016), Journal of Machine Learning Research 17(103).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.later import log_expit, logsumexp
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.portions import portions
from hbm_stan.priors import Prior
from hbm_stan.products import products_by
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray

_CHUNK = 250  # rows at a time
_RANK = 1e-12  # a share of the largest eigenvalue that is rounding error
_COARSE = np.arange(-150, 60, 0.5)  # log(sd) - log(scale of its prior): where the mass may be
_TAIL, _CLOSE, _HALVINGS = 50.0, 1e-7, 8  # exp(-50) of the peak is left out; the steps are halved until it is close
# Of sets of more rows than this the mass lies in a small part of the coarse range, which is looked for in parts of so
# many steps, so that the work does not grow with the rows (ours: below, the steps are few).
_MANY, _PARTS = 1000, 32


def nested_rows(
    y: FloatArray, unit: npt.NDArray[Any], group: npt.NDArray[Any], location: Any, tau: Any, tau_unit: Any, sigma: Any
) -> FloatArray:
    """log p(y_n | the other rows of its group), (S, N), of rows in units (``unit``) in groups (``group`` of each unit).

    Location and sd of groups have shape (S, 1) or (S, J), sds of units and of rows (S, 1) or (S, M). Groups that are
    not nested are units whose group has sd 0.
    """
    n = np.bincount(unit).astype(float)
    mean, alone = np.bincount(unit, weights=y) / n, np.bincount(group)[group] == 1
    member = (group[:, None] == np.arange(group.max() + 1)).astype(float)
    location, tau = (a[:, group] if a.shape[1] > 1 else a for a in (location, tau))
    v = tau_unit**2 + sigma**2 / n
    from_location = mean - location
    # The group given its other units, then the unit before its own rows are seen; means about the location.
    total, precision = (np.where(alone, 0.0, (a @ member)[:, group] - a) for a in (from_location / v, 1 / v))
    above = tau**2 / (1 + tau**2 * np.maximum(precision, 0))
    unit_mean, unit_var = above * total, above + tau_unit**2
    log_lik = np.empty((len(v), len(y)))
    for rows in np.array_split(np.arange(len(y)), 1 + len(y) // _CHUNK):
        u = unit[rows]
        others, variance, at = n[u] - 1, unit_var[:, u], unit_mean[:, u]
        sd2 = (sigma[:, u] if sigma.shape[1] > 1 else sigma) ** 2
        seen = from_location[:, u] - (y[rows] - mean[u]) / np.maximum(others, 1)
        weight = others * variance / (others * variance + sd2)
        centre = at + weight * (seen - at) + (location[:, u] if location.shape[1] > 1 else location)
        log_lik[:, rows] = normal_logpdf(y[rows], centre, np.sqrt(variance * sd2 / (others * variance + sd2) + sd2))
    return log_lik


def grouped_rows(draws: Draws, data: StanData, of_groups: tuple[FloatArray, ...]) -> FloatArray:
    """log p(y_n | the other rows of its group, population), (S, N); sds of groups, where they vary, are given.

    ``of_groups`` has the number of rows of each group and their mean, of all rows, where those of the data are some.
    """
    y, group, mu = np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1, draws["mu"][:, None]
    variance = draws["tau"][:, None] ** 2
    log_lik = np.empty((len(mu), len(y)))
    for rows in np.array_split(np.arange(len(y)), 1 + len(y) // _CHUNK):
        own = group[rows]
        others, mean = of_groups[0][own] - 1, of_groups[1][own]
        sd2 = (draws["sigma_group"][:, own] if "sigma_group" in draws else draws["sigma"][:, None]) ** 2
        seen = mean - mu - (y[rows] - mean) / np.maximum(others, 1)
        known = others * variance + sd2
        centre = mu + others * variance / known * seen
        log_lik[:, rows] = normal_logpdf(y[rows], centre, np.sqrt(variance * sd2 / known + sd2))
    return log_lik


@dataclass(frozen=True)
class Sets:
    """Sets of rows: their number, residual sum of squares, and for each direction of the terms what it holds.

    With coefficients of prior sd 1 the covariance of the rows is sd^2 + ``along`` in each of K directions, in which
    their squares are ``square``, and sd^2 in the others, in which they are ``rss``.
    """

    n: FloatArray
    rss: FloatArray
    along: FloatArray
    square: FloatArray

    def take(self, rows: npt.NDArray[np.int64]) -> Sets:
        """Some of the sets."""
        return Sets(self.n[rows], self.rss[rows], self.along[rows], self.square[rows])

    def log_density(self, log_sd: FloatArray) -> FloatArray:
        """log p(rows | sd), (sets, sds)."""
        var = np.exp(2 * log_sd)
        log_density = -self.n[:, None] * (log_sd + 0.5 * math.log(2 * math.pi)) - 0.5 * self.rss[:, None] / var
        for along, square in zip(self.along.T, self.square.T, strict=True):
            log_density -= 0.5 * (np.log1p(along[:, None] / var) + square[:, None] / (var + along[:, None]))
        return np.asarray(log_density)


def _without_each(x: FloatArray, r: FloatArray) -> Sets:
    """A group's rows without the first, without the second ..., and all; r = y - x E(coefficients), x in prior sds.

    A row that is left out takes e^2 / (1 - h) from the residual sum of squares, e its residual and h its leverage:
    Belsley, Kuh & Welsch (1980), Regression Diagnostics, section 2.1.
    """
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    nonzero = s > math.sqrt(_RANK) * s[0]
    u, s = u[:, nonzero], s[nonzero]
    a = u.T @ r
    e, left = r - u @ a, 1 - np.sum(u**2, axis=1)
    rss = float(e @ e)
    taken = np.where(left > _RANK, e**2 / np.maximum(left, _RANK), 0.0)
    along, square = np.zeros((2, len(r) + 1, x.shape[1]))
    for rows in portions(len(r), len(s) ** 2):
        scaled = u[rows] * s
        values, q = np.linalg.eigh(np.diag(s**2) - scaled[:, :, None] * scaled[:, None, :])
        c = np.einsum("nkm,nk->nm", q, s * a - scaled * r[rows, None])
        known = values > _RANK * s[0] ** 2
        along[rows, : len(s)] = np.where(known, values, 0.0)
        square[rows, : len(s)] = np.where(known, c**2 / np.where(known, values, 1.0), 0.0)
    along[-1, : len(s)], square[-1, : len(s)] = s**2, a**2
    n = np.append(np.full(len(r), len(r) - 1.0), len(r))
    return Sets(n, np.append(np.maximum(rss - taken, 0), rss), along, square)


def _log_evidence(sets: Sets, prior: Prior, scale: float) -> FloatArray:
    """log of the integral of p(rows | sd) over the prior of the sd, by the trapezoidal rule in log(sd).

    Integrands are smooth and vanish at both ends, so that the rule converges faster than any power of the step
    (Trefethen & Weideman 2014, SIAM Review 56:385).
    """
    integrand, _ = sd_integrand(sets, prior, scale)
    low, high = where_mass_is(integrand, many=float(sets.n.max()) > _MANY)
    steps = 2 * math.ceil((high - low) * math.sqrt(2 * sets.n.max() + 1) / 2)
    for _ in range(_HALVINGS):
        values, step = integrand(np.linspace(low, high, steps + 1)), (high - low) / steps
        log_evidence = np.asarray(logsumexp(values, axis=1)) + math.log(step)
        coarser = np.asarray(logsumexp(values[:, ::2], axis=1)) + math.log(2 * step)
        if np.max(np.abs(log_evidence - coarser)) < _CLOSE:
            break
        steps *= 2
    return log_evidence


def sd_integrand(
    sets: Sets, prior: Prior, scale: float
) -> tuple[Callable[[FloatArray], FloatArray], Callable[[FloatArray], FloatArray]]:  # fmt: skip
    """The log density of sets and their sd at v = log(sd / scale), (sets, v), and the log of the sd at v.

    A uniform prior ends: v = logit(sd / scale) there.
    """
    uniform = prior.distribution == "uniform"

    def log_sd_at(v: FloatArray) -> FloatArray:
        return np.asarray(math.log(scale) + (log_expit(v) if uniform else v))

    def integrand(v: FloatArray) -> FloatArray:
        log_sd = log_sd_at(v)
        jacobian = log_sd + log_expit(-v) if uniform else log_sd
        with np.errstate(over="ignore"):
            density = -math.log(scale) if uniform else prior.log_density(np.exp(log_sd))
            return np.asarray(sets.log_density(log_sd) + density + jacobian)

    return integrand, log_sd_at


def where_mass_is(integrand: Callable[[FloatArray], FloatArray], *, many: bool) -> tuple[float, float]:
    """Ends between which all but exp(-50) of the peak of each integrand lies; of many rows in ever smaller parts."""

    def within(at: FloatArray) -> tuple[float, float]:
        rough = integrand(at)
        inside = np.flatnonzero((rough > rough.max(axis=1, keepdims=True) - _TAIL).any(axis=0))
        return float(at[max(inside[0] - 1, 0)]), float(at[min(inside[-1] + 1, len(at) - 1)])

    if not many:
        return within(_COARSE)
    low, high = within(_COARSE[::8])
    while True:
        before, (low, high) = high - low, within(np.linspace(low, high, _PARTS + 1))
        if high - low > before / 2:
            return low, high


def _by_group(
    x: FloatArray, y: FloatArray, group: npt.NDArray[Any], coefficients: FloatArray
) -> tuple[list[npt.NDArray[np.int64]], list[Sets]]:
    """The rows of each group, and its sets: without each row, and all."""
    z, r = x * coefficients[:, 1], y - x @ coefficients[:, 0]
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return members, [_without_each(z[own], r[own]) for own in members]


def _evidences(each: list[Sets], sd: Prior, scale: float) -> FloatArray:
    """log p(rows) of all sets, one list after the other, the sd integrated out."""
    fields = ([getattr(sets, name) for sets in each] for name in ("n", "rss", "along", "square"))
    sets = Sets(*(np.concatenate(values) for values in fields))
    evidence, by_size = np.empty(len(sets.n)), np.argsort(sets.n, kind="stable")

    def work_out(part: npt.NDArray[np.int64]) -> None:
        evidence[part] = _log_evidence(sets.take(part), sd, scale)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work_out, np.array_split(by_size, 1 + len(by_size) // _CHUNK)))
    return evidence


def whole_groups(
    x: FloatArray, y: FloatArray, group: npt.NDArray[Any], coefficients: FloatArray, sd: Prior, scale: float
) -> FloatArray:
    """log p(rows of each group), (J,), exactly, where each has its own coefficients and sd; see ``exact_rows``."""
    last = [sets.take(np.array([-1])) for sets in _by_group(x, y, group, coefficients)[1]]
    return _evidences(last, sd, scale)


def exact_rows(
    x: FloatArray, y: FloatArray, group: npt.NDArray[Any], coefficients: FloatArray, sd: Prior, scale: float
) -> FloatArray:
    """log p(y_n | the other rows of its group), (N,), exactly, where each group has its own coefficients and sd.

    ``coefficients`` are location and scale of the normal priors, (K, 2); ``scale`` is that of the prior of the sd.
    """
    members, each = _by_group(x, y, group, coefficients)
    evidence = _evidences(each, sd, scale)
    scores, start = np.empty(len(y)), 0
    for own in members:
        whole = start + len(own)
        scores[own] = evidence[whole] - evidence[start:whole]
        start = whole + 1
    return scores


def groups_left_out(
    x: FloatArray, y: FloatArray, group: npt.NDArray[Any], coefficients: FloatArray, sd: Prior, scale: float
) -> FloatArray:
    """log p(rows of a group | all other rows), (J,), exactly, where all rows share coefficients and sd.

    By sums of products, residuals taken from the least squares of all rows, so that few digits are lost.
    """
    z, r = x * coefficients[:, 1], y - x @ coefficients[:, 0]
    a = np.linalg.lstsq(z, r, rcond=math.sqrt(_RANK))[0]
    own = products_by(np.column_stack([z, r - z @ a]), group, int(group.max()) + 1)
    total = own.sum(axis=0)
    p = np.concatenate([total - own, total[None]])
    sizes = np.bincount(group)
    sets, _, _ = _of_products(p, a, np.append(len(y) - sizes, len(y)))
    evidence = _evidences([sets], sd, scale)
    return np.asarray(evidence[-1] - evidence[:-1])


def sets_of_products(
    x: FloatArray, y: FloatArray, group: npt.NDArray[Any], coefficients: FloatArray
) -> tuple[Sets, FloatArray, FloatArray]:  # fmt: skip
    """The rows of each group as a set, q' z'r in the directions of their terms, (J, K), and these, q (J, K, K).

    z are the terms in units of the prior sds of their ``coefficients``, r = y - x E(coefficients).
    """
    z, r = x * coefficients[:, 1], y - x @ coefficients[:, 0]
    a, sizes = np.linalg.lstsq(z, r, rcond=math.sqrt(_RANK))[0], np.bincount(group)
    return _of_products(products_by(np.column_stack([z, r - z @ a]), group, len(sizes)), a, sizes)


def _of_products(p: FloatArray, a: FloatArray, n: npt.NDArray[Any]) -> tuple[Sets, FloatArray, FloatArray]:
    """Sets of n rows each, from sums of products of (z, r - z a), (sets, K + 1, K + 1); see ``sets_of_products``."""
    along, q = np.linalg.eigh(p[:, :-1, :-1])
    known = along > _RANK * along[:, -1:]
    along, divisor = np.where(known, along, 0.0), np.where(known, along, 1.0)
    about = np.where(known, np.einsum("jkm,jk->jm", q, p[:, :-1, -1]), 0.0)
    c = about + along * (a @ q)
    rss = np.maximum(p[:, -1, -1] - (about**2 / divisor).sum(axis=1), 0)
    return Sets(n.astype(float), rss, along, c**2 / divisor), c, q
