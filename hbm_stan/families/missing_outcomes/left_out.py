"""Groups: what their rows alone say, the density of one that is left out, and a row in a new one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from hbm_stan.families.alike import alike_rows
from hbm_stan.families.missing_outcomes.density import fitted, log_being_seen, probit_unseen
from hbm_stan.families.own_scale import log_rows
from hbm_stan.families.totals import row_index
from hbm_stan.families.usual_row import row_of
from hbm_stan.later import log_ndtr, logsumexp
from hbm_stan.model import Draws, StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

_NODES = 16  # of Gauss-Hermite quadrature over the value of a group given its seen rows; twice as many show the error


@cache
def _hermite(nodes: int) -> tuple[FloatArray, FloatArray]:
    """Places and weights for the mean of a function of a standard normal number."""
    at, weight = np.polynomial.hermite_e.hermegauss(nodes)
    return at, weight / math.sqrt(2 * math.pi)


def _population(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of theta of a group that was not seen, (S, 1) each: without pooling those of its fixed prior."""
    size = len(draws["sigma"])
    if "mu" not in draws:
        location, sd = data["prior_theta"]
        return np.full((size, 1), location), np.full((size, 1), sd)
    return draws["mu"][:, None], draws["tau"][:, None] if "tau" in draws else np.zeros((size, 1))


def _residuals(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Seen rows of each group (J,), the mean of what predictors leave of them, and the squares about it, (S, J) each.

    Squares by the quadratic form of beta in sums of products, so that no array has draws times rows.
    """
    x, y, group, j = np.asarray(data["X"], dtype=float)[:, 1:], np.asarray(data["y"]), row_index(data), data["J"]
    z = np.column_stack([-x, y])
    n = np.bincount(group, minlength=j).astype(float)
    means = np.stack([np.bincount(group, weights=column, minlength=j) / n for column in z.T], axis=1)
    about = z - means[group]
    products = np.zeros((j, z.shape[1], z.shape[1]))
    np.add.at(products, group, about[:, :, None] * about[:, None, :])
    b = np.column_stack([draws["beta"], np.ones(len(draws["beta"]))])
    return n, b @ means.T, np.einsum("sk,jkl,sl->sj", b, products, b)


@dataclass(frozen=True)
class GivenSeen:
    """Of each group the log density of its seen rows, theta integrated out, and the mean and sd of theta given them,
    (S, J) each."""

    log_lik: FloatArray
    centre: FloatArray
    sd: FloatArray


def given_seen(draws: Draws, data: StanData) -> GivenSeen:
    """What the outcomes that were seen, and that they were seen, say of the groups given the population."""
    n, mean, ss = _residuals(draws, data)
    location, tau = _population(draws, data)
    sigma = draws["sigma"][:, None]
    total = np.array(log_rows(n, mean, ss, location, tau, sigma))
    np.add.at(total.T, row_index(data), log_being_seen(draws, data).T)
    precision = n * tau**2 / (n * tau**2 + sigma**2)
    return GivenSeen(total, location + precision * (mean - location), tau * np.sqrt(1 - precision))


def group_log_lik(draws: Draws, data: StanData, nodes: int = _NODES) -> FloatArray:
    """log p(outcomes of group j, which of its rows are seen | population), theta integrated out, (S, J).

    Seen rows make theta normal; over that, by quadrature, the probability that the others are unseen.
    """
    given = given_seen(draws, data)
    total, centre, sd = np.array(given.log_lik), given.centre, given.sd
    x = np.asarray(data["X_unseen"], dtype=float).reshape(-1, data["K"])
    group = np.asarray(data["group_idx_unseen"], dtype=np.int64) - 1
    for j in np.unique(group):
        total[:, j] += _log_unseen(draws, data, x[group == j], centre[:, j], sd[:, j], nodes)
    return total


def _log_unseen(
    draws: Draws, data: StanData, x: FloatArray, centre: FloatArray, sd: FloatArray, nodes: int
) -> FloatArray:
    """log of the mean, over a normal theta, of the probability that all rows of x are unseen, (S,)."""
    at, weight = _hermite(nodes)
    log_p = np.empty(len(centre))
    for part in portions(len(centre), len(x)):
        own = {name: draws[name][part] for name in ("beta", "eta", "sigma")}
        logs = [
            log_ndtr(probit_unseen(own, data, x, fitted((centre[part] + z * sd[part])[:, None], own, x))).sum(axis=1)
            for z in at
        ]
        log_p[part] = logsumexp(np.stack(logs), axis=0, b=weight[:, None])
    return log_p


def finer_group_log_lik(draws: Draws, data: StanData) -> FloatArray | None:
    """The same with twice the nodes; None where theta is known or nothing depends on it, so that it is exact."""
    if "mu" in draws and "tau" not in draws:
        return None
    exact = not (data["selection"] and data["delta"]) or not len(np.ravel(data["group_idx_unseen"]))
    return None if exact else group_log_lik(draws, data, 2 * _NODES)


def prior_group_log_lik(_data: StanData, _variant: str) -> FloatArray | None:
    """None: without pooling slopes, sigma and how rows come to be unseen are common, so that no group stands alone."""
    return None


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Least squares of the rows that were seen, an intercept for each group and common slopes, and standard errors."""
    x, y, group, j = np.asarray(data["X"], dtype=float)[:, 1:], np.asarray(data["y"]), row_index(data), data["J"]
    n = np.bincount(group, minlength=j).astype(float)
    z = np.column_stack([x, y])
    means = np.stack([np.bincount(group, weights=column, minlength=j) / n for column in z.T], axis=1)
    about = z - means[group]
    inverse = np.linalg.pinv(about[:, :-1].T @ about[:, :-1])
    slopes = inverse @ about[:, :-1].T @ about[:, -1]
    freedom = len(y) - j - int(np.linalg.matrix_rank(about[:, :-1]))
    left = about[:, -1] - about[:, :-1] @ slopes
    sd = math.sqrt(float(left @ left) / freedom) if freedom > 0 else math.nan
    spread = np.einsum("jk,kl,jl->j", means[:, :-1], inverse, means[:, :-1])
    return means[:, -1] - means[:, :-1] @ slopes, sd * np.sqrt(1 / n + spread)


def shrinkage_factor(draws: Draws, data: StanData) -> FloatArray | None:
    """The weight of the population beside the seen rows of each group, (S, J); None where nothing is learnt of it."""
    if "tau" not in draws:
        return None
    n, sigma2 = np.bincount(row_index(data), minlength=data["J"]), draws["sigma"][:, None] ** 2
    return np.asarray(sigma2 / (sigma2 + n * draws["tau"][:, None] ** 2))


def alike(data: StanData) -> tuple[float, float] | None:
    """The F test of groups beside the predictors, of the rows that were seen."""
    return alike_rows({name: data[name] for name in ("y", "group_idx", "J", "X")})


def new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """The design of one row in a new group, seen or not, and what it is in words."""
    terms = options.get("coords", {}).get("unseen_term", ())
    named = {**options, "coords": {"term": terms}}
    design, places = row_of({**data, "U": np.zeros((data["J"], 0))}, named)
    words = "any row, seen or not, in a new {group}"
    return {**design, "given_seen": 0}, words + (f": {', '.join(places)}" if places else "")
