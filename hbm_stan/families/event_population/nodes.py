"""Nodes at which the likelihoods of events are known, so that integrals over a beta population are sums.

An estimate with a normal error: tanh-sinh quadrature (Takahasi & Mori 1974, Publications of the Research Institute for
Mathematical Sciences 9:721) over the log odds of the value, whose sums of equal steps converge exponentially and which
takes densities that go to infinity at 0 or 1. Posterior samples are nodes themselves: the mean over them of population
density over prior density is a Monte Carlo estimate of the same integral (Mandel, Farr & Gair 2019, MNRAS 486:1086,
eq. 15).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hbm_stan.later import PchipInterpolator, expit, logit
from hbm_stan.model import StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.samples import Samples
from hbm_stan.table import FloatArray

# Steps of the grid, and its ends: log odds of 6,365, so that a shape of 0.001 leaves 0.2 % of its mass beyond.
SPACING, REACH = 0.02, 9.0
# An event has at least so many steps in its standard error: its value is drawn anywhere within a step.
_STEPS = 4.0
# Standard errors beyond which a normal density is not looked at: it is e^-50 of its peak.
_FAR = 10.0

Chance = Callable[[FloatArray], FloatArray]


def grid(spacing: float = SPACING, low: float = -REACH, high: float = REACH) -> tuple[FloatArray, FloatArray]:
    """Log odds of nodes at equal steps of asinh(2 log odds / pi), and the share of each of the axis of log odds."""
    n = math.ceil((high - low) / spacing)
    u = np.linspace(low, high, n + 1)
    return math.pi / 2 * np.sinh(u), math.pi / 2 * np.cosh(u) * (high - low) / n


def _coordinate(x: float) -> float:
    """Where a value lies on the axis of equal steps, at most REACH off its middle."""
    if not 0 < x < 1:
        return REACH if x >= 1 else -REACH
    return float(np.clip(np.arcsinh(2 / math.pi * logit(x)), -REACH, REACH))


def of_estimates(y: FloatArray, se: FloatArray, chance: Chance | None, spacing: float = SPACING) -> StanData:
    """Nodes and weights of events with estimates: the grid, and steps of their own for those that are precise.

    A weight is N(y | x, se) P(seen | x) times the node's share: seen or not, given its value x, an event's estimate is
    what it is, so that both factors belong to what is known of it.
    """
    log_odds, share = grid(spacing)
    nodes, cells, weights, first, size = [log_odds], [share], [], [], []
    total = len(log_odds)
    for estimate, error in zip(y, se, strict=True):
        step = _step_of(estimate, error) * spacing / SPACING
        if step < spacing:
            at, own = grid(step, _coordinate(estimate - _FAR * error), _coordinate(estimate + _FAR * error))
            begin, total = total, total + len(at)
            nodes.append(at)
            cells.append(own)
        else:
            begin, at, own = 0, log_odds, share
        density = normal_logpdf(estimate, expit(at), error)
        near = np.flatnonzero(density > density.max() - _FAR**2 / 2)
        x = expit(at[near])
        weight = np.exp(density[near]) * own[near] * (1.0 if chance is None else chance(x))
        weights.append(weight)
        first.append(begin + int(near[0]) + 1)
        size.append(int(near[-1] - near[0]) + 1)
    return _as_data(nodes, cells, first, size, weights, chance, log_odds, share)


def _step_of(estimate: float, error: float) -> float:
    """The step that an event's standard error asks for: a share of it, where a step is widest within its reach."""
    low, high = (min(max(estimate + side * _FAR * error, 0.0), 1.0) for side in (-1, 1))
    x = min(max(0.5, low), high)  # a step is widest at 0.5
    t = logit(min(max(x, 1e-300), 1 - 1e-16))
    return error / (_STEPS * x * (1 - x) * math.hypot(math.pi / 2, t)) if 0 < x < 1 else math.inf


def of_samples(samples: Samples, n_events: int, chance: Chance | None) -> StanData:
    """Nodes and weights of events with posterior samples: 1 / (number of samples x prior density x x (1 - x)).

    Detection probabilities are no part of the weights: whether an event is seen is decided by the data that its samples
    are conditional on (Mandel, Farr & Gair 2019, eq. 3; Vitale et al. 2020, arXiv:2007.05579).
    """
    log_odds, share = grid() if chance is not None else (np.zeros(0), np.zeros(0))
    order = np.argsort(samples.event, kind="stable")
    x, density = samples.value[order], samples.density[order]
    size = np.bincount(samples.event, minlength=n_events)
    weight = 1 / (np.repeat(size, size) * density * x * (1 - x))
    first = len(log_odds) + 1 + np.concatenate([[0], np.cumsum(size)[:-1]])
    nodes, cells = [log_odds, logit(x)], [share, np.zeros(len(x))]
    return _as_data(nodes, cells, first.tolist(), size.tolist(), [weight], chance, log_odds, share)


def _as_data(
    nodes: list[FloatArray], cells: list[FloatArray], first: list[int], size: list[int], weights: list[FloatArray],
    chance: Chance | None, log_odds: FloatArray, share: FloatArray,
) -> StanData:  # fmt: skip
    node, weight = np.concatenate(nodes), np.concatenate(weights)
    seen = np.zeros(0) if chance is None else chance(expit(log_odds)) * share
    return {
        "K": len(node), "node": node, "cell": np.concatenate(cells),
        "first": np.array(first, dtype=np.int64), "size": np.array(size, dtype=np.int64),
        "W": len(weight), "weight": weight, "G": len(seen), "seen": seen,
    }  # fmt: skip


def chance_of(data: StanData) -> Chance | None:
    """The detection probability by value as the data have it at the nodes of the grid; None where all are seen."""
    if not data["G"]:
        return None
    log_odds, share = np.asarray(data["node"])[: data["G"]], np.asarray(data["cell"])[: data["G"]]
    curve = PchipInterpolator(log_odds, np.asarray(data["seen"]) / share)
    return lambda x: np.asarray(curve(logit(np.clip(x, 1e-300, 1 - 1e-16))))


def nodes_of_event(data: StanData, j: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log odds, cells and weights of the nodes of an event."""
    begin, n = int(data["first"][j]) - 1, int(data["size"][j])
    start = int(np.sum(np.asarray(data["size"])[:j]))
    return (
        np.asarray(data["node"])[begin : begin + n],
        np.asarray(data["cell"])[begin : begin + n],
        np.asarray(data["weight"])[start : start + n],
    )


def log_x(log_odds: Any) -> FloatArray:
    """log x of the value with these log odds; log (1 - x) is that of their negative."""
    return np.asarray(-np.logaddexp(0.0, -np.asarray(log_odds)))
