"""A village given the population: its intensity by quadrature, with all of its streams, with some, or with none.

The intensity is one number, so that its integral is one-dimensional: the trapezoidal rule about the mode, in a variable
whose hyperbolic sine is the distance from it, which meets a narrow middle and wide tails alike (Trefethen & Weideman
2014, SIAM Review 56:385, section 14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hbm_stan.families.group_predictors import mean_of
from hbm_stan.families.joint_infection.density import levels_and_slopes, number_of, overdispersion_of
from hbm_stan.families.joint_infection.streams import constant, kernel, numbers, slope_and_curvature
from hbm_stan.families.totals import row_index
from hbm_stan.integrate.given_rows import place_by_weight
from hbm_stan.later import logsumexp
from hbm_stan.model import Draws, GivenRows, StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
_NODES, _REACH = 41, 4.0  # of the rule, and how far it goes: sinh(4) = 27 widths
_NEWTON, _CLOSE = 80, 1e-9  # steps to the mode, halvings included; a step of no consequence in sds
_HELD = 2**21  # values at once
OF_POPULATION = ("mu", "gamma", "tau", "alpha", "beta", "overdispersion")


@dataclass(frozen=True, kw_only=True)
class Strand:
    """A stream of the villages that have it: its place among the streams, kind, villages (n,) and what they counted."""

    stream: int
    kind: int
    village: IntArray
    row: dict[str, FloatArray]
    rows: IntArray


def strands(data: StanData) -> list[Strand]:
    """The streams that some village has, in their order."""
    stream, kind, village = (np.asarray(data[name]) for name in ("stream", "kind", "group_idx"))
    present = []
    for s in range(1, int(data["S"]) + 1):
        rows = np.flatnonzero(stream == s)
        if rows.size:
            own, row = int(kind[rows[0]]), numbers(data, rows)
            present.append(Strand(stream=s, kind=own, village=village[rows] - 1, row=row, rows=rows))
    return present


def has_stream(data: StanData) -> BoolArray:
    """Which village has which stream, (S, J)."""
    has = np.zeros((int(data["S"]), int(data["J"])), dtype=bool)
    has[np.asarray(data["stream"]) - 1, row_index(data)] = True
    return has


def population(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of the intensity of each village before its streams, (S, J) each; without pooling of its prior."""
    if "mu" in draws:
        mean = mean_of(draws, data)
        return mean, np.broadcast_to(np.asarray(draws["tau"])[:, None], mean.shape)
    shape = (number_of(draws), int(data["J"]))
    return np.full(shape, data["prior_theta"][0]), np.full(shape, data["prior_theta"][1])


class Village:
    """log p(some streams, theta) of each village for draws of the population, and the mode of it."""

    def __init__(self, draws: Draws, data: StanData, use: BoolArray) -> None:
        """``use`` (S, J) says which streams of a village count."""
        self.mean, self.sd = population(draws, data)
        self.overdispersion, self.centre = overdispersion_of(draws), float(data["prior_mu"][0])
        self.level, self.slope = levels_and_slopes(draws, self.centre)
        self.parts = [(s, np.flatnonzero(use[s.stream - 1][s.village])) for s in strands(data)]

    def eta(self, strand: Strand, theta: FloatArray) -> FloatArray:
        """The linear predictor of a stream where its villages have these intensities, (S, n)."""
        s = strand.stream - 1
        return np.asarray(self.level[:, s, None] + self.slope[:, s, None] * (theta - self.centre))

    def constants(self) -> FloatArray:
        """What the log density has that does not depend on theta, (S, J)."""
        total = -np.log(self.sd) - 0.5 * math.log(2 * math.pi)
        for strand, at in self.parts:
            row = {name: values[at] for name, values in strand.row.items()}
            total[:, strand.village[at]] += constant(strand.kind, row, self.overdispersion)
        return total

    def log_density(self, theta: FloatArray) -> FloatArray:
        """The log density at theta (S, J), but for ``constants``."""
        total = -0.5 * ((theta - self.mean) / self.sd) ** 2
        for strand, at in self.parts:
            row, own = {name: values[at] for name, values in strand.row.items()}, strand.village[at]
            total[:, own] += kernel(strand.kind, self.eta(strand, theta[:, own]), row, self.overdispersion)
        return total

    def _derivatives(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        slope, information = -(theta - self.mean) / self.sd**2, 1 / self.sd**2
        for strand, at in self.parts:
            row, own = {name: values[at] for name, values in strand.row.items()}, strand.village[at]
            first, second = slope_and_curvature(
                strand.kind, self.eta(strand, theta[:, own]), row, self.overdispersion
            )  # fmt: skip
            factor = self.slope[:, strand.stream - 1, None]
            slope[:, own] += factor * first
            information[:, own] += factor**2 * second
        return slope, information

    def mode(self) -> tuple[FloatArray, FloatArray]:
        """The mode of each village and the sd of the normal that has its curvature there, (S, J) each.

        Newton's method; a step that would leave the points between which the slope is known to change its sign goes
        half way to the end of them instead, or grows where no such end is known yet.
        """
        theta = np.array(self.mean)
        low, high, reach = np.full(theta.shape, -np.inf), np.full(theta.shape, np.inf), 4 * self.sd
        for _ in range(_NEWTON):
            slope, information = self._derivatives(theta)
            low, high = np.where(slope >= 0, theta, low), np.where(slope <= 0, theta, high)
            step = np.clip(slope / information, -reach, reach)
            following = theta + step
            outside = (following <= low) & (slope < 0) | (following >= high) & (slope > 0)
            with np.errstate(invalid="ignore"):
                following = np.where(outside, (low + high) / 2, following)
            moved, theta = np.abs(following - theta), following
            if np.all(moved * np.sqrt(information) < _CLOSE):
                break
        return theta, self._derivatives(theta)[1] ** -0.5


def rule(nodes: int) -> tuple[FloatArray, float]:
    """The nodes of the rule, evenly spaced from -_REACH to _REACH, and their spacing."""
    t = np.linspace(-_REACH, _REACH, nodes)
    return t, float(t[1] - t[0])


def log_integral(draws: Draws, data: StanData, use: BoolArray, nodes: int = _NODES) -> FloatArray:
    """log p(the streams of each village that count | population), its intensity integrated out, (S, J)."""
    village = Village(draws, data, use)
    mode, width = village.mode()
    t, step = rule(nodes)
    total = np.full(mode.shape, -np.inf)
    for x in t:
        inside = village.log_density(mode + width * np.sinh(x)) + math.log(np.cosh(x))
        total = np.logaddexp(total, inside)
    return np.asarray(total + np.log(width) + math.log(step) + village.constants())


def on_nodes(draws: Draws, data: StanData, use: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Nodes t of the rule with their normalised weights (S, J, nodes), and mode and width of theta, (S, J) each."""
    village = Village(draws, data, use)
    mode, width = village.mode()
    t, _ = rule(_NODES)
    inside = np.stack([village.log_density(mode + width * np.sinh(x)) + math.log(np.cosh(x)) for x in t], axis=-1)
    return t, np.exp(inside - logsumexp(inside, axis=-1, keepdims=True)), mode, width


def draw_given(rng: np.random.Generator, draws: Draws, data: StanData, use: BoolArray) -> FloatArray:
    """theta of each village given the streams that count and draws of the population, (S, J)."""
    t, weights, mode, width = on_nodes(draws, data, use)
    with np.errstate(divide="ignore"):
        node = place_by_weight(rng, np.log(weights).reshape(-1, len(t))).reshape(mode.shape)
    even = t[node] + (t[1] - t[0]) * (rng.uniform(size=mode.shape) - 0.5)  # the density is even between two nodes
    return np.asarray(mode + width * np.sinh(even))


def _in_portions(draws: Draws, data: StanData, nodes: int, use: BoolArray) -> FloatArray:
    """``log_integral``, some draws at a time."""
    names = [n for n in OF_POPULATION if n in draws] or list(draws)
    size = number_of(draws)
    log_lik = np.empty((size, int(data["J"])))
    for part in portions(size, 4 * int(data["N"]), _HELD):
        log_lik[part] = log_integral({name: np.asarray(draws[name])[part] for name in names}, data, use, nodes)
    return log_lik


def group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log p(all streams of a village | population), its intensity integrated out, (S, J)."""
    return _of_villages(draws, data, _NODES)


def finer_group_log_lik(draws: Draws, data: StanData) -> FloatArray | None:
    """The same with twice the nodes; None with complete pooling, which has no integral."""
    return None if "mu" in draws and "tau" not in draws else _of_villages(draws, data, 2 * _NODES)


def _of_villages(draws: Draws, data: StanData, nodes: int) -> FloatArray:
    if "mu" not in draws or "tau" in draws:
        return _in_portions(draws, data, nodes, has_stream(data))
    certain = {**draws, "tau": np.ones(len(draws["mu"]))}  # complete pooling: theta is known
    village = Village(certain, data, has_stream(data))
    prior = -np.log(village.sd) - 0.5 * math.log(2 * math.pi)
    return village.log_density(village.mean) + village.constants() - prior


def loo_log_lik(draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """log p(y_n | the other streams of its village, population), the intensity integrated out, (S, N)."""
    has, whole = has_stream(data), group_log_lik(draws, data)
    log_lik = np.empty((len(whole), int(data["N"])))
    for strand in strands(data):
        others = has.copy()
        others[strand.stream - 1] = False
        without = _in_portions(draws, data, _NODES, others)
        log_lik[:, strand.rows] = (whole - without)[:, strand.village]
    return log_lik


def prior_group_log_lik(_data: StanData, _variant: str) -> FloatArray | None:
    """None: without pooling too a village is not alone with its prior, for all share how streams measure."""
    return None


def given_rows(_rng: np.random.Generator, draws: Draws, data: StanData) -> GivenRows:
    """Villages that were not fitted given their streams: the integral, and theta by the rule's nodes."""

    def draw(rng: np.random.Generator, at: IntArray) -> dict[str, FloatArray]:
        taken = {name: np.asarray(values)[at] for name, values in draws.items()}
        return {"theta": draw_given(rng, taken, data, has_stream(data))}

    return GivenRows(group_log_lik(draws, data), draw)


def new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """theta of villages that nobody has observed, (S, J): from the population; without pooling from the prior."""
    if variant == "no_pooling":
        return np.asarray(rng.normal(*design["prior_theta"], size=(len(draws["theta"]), design["J"])))
    mean = mean_of(draws, design)
    return np.asarray(rng.normal(mean, draws["tau"][:, None])) if "tau" in draws else mean
