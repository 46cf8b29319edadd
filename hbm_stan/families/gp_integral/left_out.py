"""Rows and curves left out, and what rows say of curves: densities in closed form given hyperparameters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hbm_stan.families.gp_integral.curves import (
    Hyper,
    IntArray,
    curves,
    draw_curves,
    hyper,
    integral_given_rows,
    is_one_curve,
    moments,
    noisy_rows,
)
from hbm_stan.families.gp_integral.normal import left_out, left_out_moments, log_density
from hbm_stan.model import Draws, GivenRows, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

_SEED = 20261130  # for curves drawn afterwards


def log_rows(h: Hyper, data: StanData, rows: IntArray) -> FloatArray:
    """log p(estimates of these rows of one curve | hyperparameters), (S,)."""
    out = np.empty(len(h.level))
    for part in portions(len(out), (len(rows) + 1) ** 2):
        out[part] = log_density(*noisy_rows(h.some(part), data, rows)) if len(rows) else 0.0
    return out


def _by_curve(data: StanData) -> list[IntArray]:
    """The rows of each group."""
    return [np.flatnonzero(np.asarray(data["group_idx"]) == j + 1) for j in range(int(data["J"]))]


def group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log p(estimates of a curve | hyperparameters), all of it integrated out, (S, J).

    With complete pooling all groups share one curve: given the groups before it too, so that the sum is that of all.
    """
    own = _by_curve(data)
    if not is_one_curve(draws):
        return np.stack([log_rows(hyper(draws, data, j), data, rows) for j, rows in enumerate(own)], axis=1)
    h, so_far = hyper(draws, data, 0), [np.concatenate(own[:j]) for j in range(1, len(own) + 1)]
    return np.diff([np.zeros(len(h.level)), *(log_rows(h, data, rows) for rows in so_far)], axis=0).T


def group_loo_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log p(estimates of a curve | hyperparameters and, with complete pooling, the estimates of all others), (S, J)."""
    if not is_one_curve(draws):
        return group_log_lik(draws, data)
    h, every = hyper(draws, data, 0), np.arange(int(data["N"]))
    whole = log_rows(h, data, every)
    others = [np.setdiff1d(every, rows) for rows in _by_curve(data)]
    return np.stack([whole - log_rows(h, data, rows) for rows in others], axis=1)


def loo_log_lik(draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """log p(y_n | the other rows of its curve, hyperparameters), (S, N)."""
    out = np.empty((len(hyper(draws, data, 0).level), int(data["N"])))
    for j, rows in curves(draws, data):
        h = hyper(draws, data, j)
        for part in portions(len(out), 2 * (len(rows) + 1) ** 2):
            out[part, rows] = left_out(*noisy_rows(h.some(part), data, rows))
    return out


def loo_rep(
    rng: np.random.Generator, draws: Draws, data: StanData, _variant: str, wanted: npt.NDArray[np.int64]
) -> FloatArray:
    """Replicated estimates of some rows given the other rows of their curve and hyperparameters, (S, rows)."""
    out = np.empty((len(hyper(draws, data, 0).level), int(data["N"])))
    for j, rows in curves(draws, data):
        h = hyper(draws, data, j)
        for part in portions(len(out), 2 * (len(rows) + 1) ** 2):
            mean, sd = left_out_moments(*noisy_rows(h.some(part), data, rows))
            out[part, rows] = rng.normal(mean, sd)
    return out[:, wanted]


def given_rows(_rng: np.random.Generator, draws: Draws, data: StanData) -> GivenRows:
    """Integrals of curves that were not fitted, given their rows and hyperparameters: exactly."""
    mean, sd = integral_given_rows(draws, data)
    return GivenRows(group_log_lik(draws, data), lambda rng, at: {"theta": rng.normal(mean[at], sd[at])})


def settle(data: StanData, fitted: StanData, _where: str) -> StanData:
    """The data of new curves with the limits that the fitted ones are integrated between."""
    return {**data, "limits": fitted["limits"]}


def shrinkage_factor(draws: Draws, data: StanData) -> FloatArray:
    """The share of a curve's variance in the population that its rows leave, (S, J).

    Where one value is measured this is the weight of the population: Gelman et al. (2013), BDA3, eq. 5.17.
    """
    return np.asarray((integral_given_rows(draws, data)[1] / moments(draws, data)[1]) ** 2)


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | the curve there), (S, N); curves that a program left out are drawn given their rows."""
    drawn = draws.get("f")
    f = draw_curves(np.random.default_rng(_SEED), draws, data)["f"] if drawn is None else drawn
    return np.asarray(normal_logpdf(np.asarray(data["y"]), f, np.asarray(data["se"])))
