"""Estimates that need no draws: the raw one of each group, and what a group's data say about each of its terms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.later import expit
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray

# Newton's method: its longest step in log odds, most steps, and the step at which it has arrived.
_STEP, _STEPS, _ROUNDING = 2.0, 60, 1e-9
# Log odds that a maximum of the likelihood only reaches on its way to infinity.
_SEPARATED = 15.0
# From so many times the information in the population on, a group's data make the centered form the better one. Were
# the population's sd known, it would be 1 (Papaspiliopoulos, Roberts & Skold 2007, section 3); it is not, and where it
# may be near zero the centered form has a funnel. In tests/tools/sweep.py forms change places between 1.5 and 1.9.
_STRONG = 1.75


def cells(data: StanData) -> tuple[FloatArray, Any, FloatArray, FloatArray]:
    """Terms, 0-based group, successes and trials of each cell."""
    row = np.asarray(data["cell_row"]) - 1
    counts = (np.asarray(data[name], dtype=float) for name in ("cell_y", "cell_trials"))
    return np.asarray(data["X"])[row], np.asarray(data["group_idx"])[row] - 1, *counts


def _maximum(x: FloatArray, y: FloatArray, trials: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coefficients of greatest likelihood and their information (K, K); nan where some lie at infinity."""
    beta = np.zeros(x.shape[1])
    nowhere = np.full_like(beta, np.nan), np.full((x.shape[1], x.shape[1]), np.nan)
    if np.linalg.matrix_rank(x) < x.shape[1]:
        return nowhere
    for _ in range(_STEPS):
        p = expit(x @ beta)
        information = (x * (trials * p * (1 - p))[:, None]).T @ x
        if np.abs(x @ beta).max() > _SEPARATED:
            return nowhere
        step = np.linalg.solve(information, x.T @ (y - trials * p))
        length = np.abs(x @ step).max()
        beta += step / max(1.0, length / _STEP)
        if length < _ROUNDING:
            return beta, information
    return nowhere


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Without predictors the log odds of each group with half a success and half a failure added (Haldane 1956), and
    their standard error. With predictors the maximum likelihood of the group's own rows; nan where there is none."""
    x, group, y, trials = cells(data)
    size = (data["J"], data["K"])
    if data["K"] == 1:
        hits, misses = (np.bincount(group, weights=w, minlength=size[0]) + 0.5 for w in (y, trials - y))
        return np.log(hits / misses)[:, None], np.sqrt(1 / hits + 1 / misses)[:, None]
    estimate, error = np.full(size, np.nan), np.full(size, np.nan)
    for j in range(size[0]):
        own = group == j
        estimate[j], information = _maximum(x[own], y[own], trials[own])
        if np.isfinite(estimate[j]).all():
            error[j] = np.sqrt(np.diagonal(np.linalg.inv(information)))
    return estimate, error


def _strength(data: StanData) -> tuple[FloatArray, FloatArray]:
    """Information of each group on each term times the variance of the population, (J, K), and the sd of the latter.

    Each group's coefficients are estimated by one step from the pooled regression; their variance between groups is
    that of DerSimonian & Laird (1986), eq. 8.
    """
    x, group, y, trials = cells(data)
    pooled = np.hstack([x, np.asarray(data["U"]).reshape(data["J"], -1)[group]])
    shrunken = np.zeros(pooled.shape[1])  # a ridge of one success and one failure: it is never separated
    beta, _ = _maximum(
        np.vstack([pooled, np.eye(len(shrunken))]), np.append(y, shrunken + 1), np.append(trials, shrunken + 2)
    )
    p = expit(pooled @ np.nan_to_num(beta))
    information, score = np.zeros((data["J"], data["K"], data["K"])), np.zeros((data["J"], data["K"]))
    np.add.at(information, group, x[:, :, None] * x[:, None, :] * (trials * p * (1 - p))[:, None, None])
    np.add.at(score, group, x * (y - trials * p)[:, None])
    little = 1e-6 * np.diag(np.diagonal(information, axis1=1, axis2=2).mean(axis=0))
    variance = np.linalg.inv(information + little)
    off = (variance @ score[:, :, None])[:, :, 0]
    weight = 1 / np.diagonal(variance, axis1=1, axis2=2)
    total = weight.sum(axis=0)
    q = (weight * (off - (weight * off).sum(axis=0) / total) ** 2).sum(axis=0)
    between = np.maximum(0, (q - (data["J"] - 1)) / (total - (weight**2).sum(axis=0) / total))
    return weight * between, np.sqrt(between)


def choose_centered(data: StanData) -> npt.NDArray[np.int64]:
    """By term, 1 where the data of most groups are strong."""
    return (np.median(_strength(data)[0], axis=0) > _STRONG).astype(np.int64)


def rule(data: StanData) -> tuple[str, str]:
    """The parameterisation by the strength of the groups' data, and the figures in words."""
    strength, between = _strength(data)
    middle = np.median(strength, axis=0)
    terms = ["the intercept", *(f"predictor {k}" for k in range(1, data["K"]))]
    weight_text = ", ".join(
        f"{m:.2g} times for {t} (sd between {{groups}} {s:.2g})" for t, m, s in zip(terms, middle, between, strict=True)
    )
    variant = {0: "partial_pooling", data["K"]: "partial_pooling_centered"}.get(
        int(sum(middle > _STRONG)), "partial_pooling_by_term"
    )
    return variant, (
        f"In the middle {{group}} the data weigh, against the population, {weight_text}; a term is centered above "
        f"{_STRONG:g} times, else non-centered. Estimated from the pooled regression and how {{groups}} scatter "
        "about it"
    )
