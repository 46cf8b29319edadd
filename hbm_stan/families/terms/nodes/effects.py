"""Coefficients of groups given their rows, a set for each draw of the population, without the steps of a sampler.

Proposals are Student-t about the mode given the rows and the draw, whose curvature is that at the pilot's mode; each
takes the place of the last with the probability min(1, w' / w) of their weights (Tierney 1994, Annals of Statistics
22:1701). Groups are independent of each other given the population: all of them move at once, and those of which fewer
proposals are taken go on for longer.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hbm_stan.families.terms.nodes.levels import GroupRows, Modes
from hbm_stan.integrate.structure import IntArray
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray

# Moves that a group may get, and what may be left of its first proposals, as a share of its draws (ours): a group that
# needs more moves than the most is drawn by a sampler, with all others.
MOVES, LEFT = (2, 4, 8, 16, 32, 64), 0.003
# Those that do for nearly all groups with narrow proposals (measured: 2 to 200 rows each, rare successes, counts).
_FEW = (3,)
_AT_ONCE = 200_000  # rows times draws at a time: what a processor holds at hand


@dataclass(frozen=True)
class Tails:
    """Degrees of freedom of proposals, and how many times as wide as the curvature says they are."""

    freedom: float
    wider: float


# With both of the wide ones tails are those of groups of few rows too, which share nothing with others.
_NARROW, WIDE = Tails(12.0, 1.05), Tails(8.0, 1.25)


@dataclass(frozen=True)
class Populations:
    """Means (S, K) and Cholesky factors (S, K, K) of the coefficients of groups, a population a draw."""

    mean: FloatArray
    factor: FloatArray

    def some(self, taken: IntArray) -> Populations:
        """Those of some draws."""
        return Populations(self.mean[taken], self.factor[taken])

    @property
    def precision(self) -> FloatArray:
        """The inverse of each covariance, (S, K, K)."""
        inverse = np.linalg.inv(self.factor)
        return np.asarray(np.swapaxes(inverse, 1, 2) @ inverse)


@dataclass(frozen=True)
class Coefficients:
    """theta (S, J, K), and the largest share of a group's draws that may still be one of its first proposals."""

    theta: FloatArray
    left: float


def draw_coefficients(
    rng: np.random.Generator, groups: GroupRows, modes: Modes, populations: Populations
) -> Coefficients:
    """The coefficients of all groups, a set for each population, from modes given one that is near all of them."""
    theta = np.empty((len(populations.mean), *modes.theta.shape))

    def draw(some: IntArray, tails: Tails, moves: tuple[int, ...]) -> FloatArray:
        return _drawn(rng, groups, modes, populations, theta, some, tails, moves)

    left = draw(np.arange(groups.n_groups), _NARROW, _FEW)
    if len(some := np.flatnonzero(left > LEFT)):
        left[some] = draw(some, WIDE, MOVES)
    return Coefficients(theta, float(left.max()))


def _drawn(
    rng: np.random.Generator, groups: GroupRows, modes: Modes, populations: Populations, theta: FloatArray,
    some: IntArray, tails: Tails, moves: tuple[int, ...],
) -> FloatArray:  # fmt: skip
    """Draw the coefficients of some groups anew, in place, each by as many of these moves as it needs, and at most the
    last; what may be left of their first proposals, (some,)."""
    weights = _moved(rng, groups, modes, populations, theta, some, tails, moves[0], first=True)
    left = np.stack([left_after(weights, number) for number in moves])
    enough = np.where((left <= LEFT).any(axis=0), (left <= LEFT).argmax(axis=0), len(moves) - 1)
    for i in range(1, len(moves)):
        if len(more := some[enough == i]):
            _moved(rng, groups, modes, populations, theta, more, tails, moves[i] - moves[0], first=False)
    return np.asarray(np.take_along_axis(left, enough[None], axis=0)[0])


def left_after(log_weights: FloatArray, moves: int) -> FloatArray:
    """What is left of first proposals after so many moves, by group, (J,), from log weights of proposals (S, J).

    A proposal is taken from anywhere with at least the probability 1 / w of its weight, of which the mean is one: the
    distance to the density is at most its mean of (1 - 1 / w)^n (Smith & Tierney 1996, Exact transition probabilities
    for the independence Metropolis sampler).
    """
    weights = np.exp(log_weights - log_weights.max(axis=0))
    weights /= weights.mean(axis=0)
    return np.asarray((weights * (1 - 1 / np.maximum(weights, 1)) ** moves).mean(axis=0))


def _moved(
    rng: np.random.Generator, groups: GroupRows, modes: Modes, populations: Populations, theta: FloatArray,
    some: IntArray, tails: Tails, moves: int, *, first: bool,
) -> FloatArray:  # fmt: skip
    """Move the coefficients of some groups so many times, from proposals where they are the ``first``; in place.

    The log weights of what they began with, (S, some).
    """
    if len(some) < groups.n_groups:
        groups, modes = groups.of_groups(some), modes.of_groups(some)
    draws = len(theta)
    pieces = np.array_split(np.arange(draws), max(1, math.ceil(draws * len(groups.offset) / _AT_ONCE)))
    streams = rng.spawn(len(pieces))  # one for each piece: the same in however many threads
    shape = Shape.of(modes.precision, tails)

    def fill(i: int) -> FloatArray:
        start = None if first else theta[np.ix_(pieces[i], some)]
        given = populations.some(pieces[i])
        about = Proposed(_middles(modes, given.mean, given.precision), shape)
        moved, weights = move(streams[i], groups, about, given, start, moves)
        theta[np.ix_(pieces[i], some)] = moved
        return weights

    with ThreadPoolExecutor(cores()) as pool:
        return np.concatenate(list(pool.map(fill, range(len(pieces)))))


@dataclass(frozen=True)
class Shape:
    """Student-t proposals about 0: Cholesky factors of their precisions, (J, K, K) or for each draw (S, J, K, K), the
    inverses of these, and degrees of freedom."""

    root: FloatArray
    inverse: FloatArray
    freedom: float

    @classmethod
    def of(cls, precision: FloatArray, tails: Tails) -> Shape:
        """Those of these curvatures."""
        root = np.linalg.cholesky(precision) / tails.wider
        return cls(root, np.linalg.inv(root), tails.freedom)

    def draw(self, rng: np.random.Generator, size: tuple[int, ...]) -> FloatArray:
        """Proposals about 0, (S, J, K)."""
        z = rng.standard_normal(size)
        z *= np.sqrt(self.freedom / rng.chisquare(self.freedom, size=size[:2]))[..., None]
        return np.asarray(np.einsum("...mk,...m->...k", self.inverse, z))

    def log_density(self, away: FloatArray) -> FloatArray:
        """Log densities at coefficients less the middles (S, J, K), but for a constant of each shape, (S, J)."""
        z = np.einsum("...mk,...m->...k", self.root, away)
        return np.asarray(-(self.freedom + z.shape[2]) / 2 * np.log1p((z**2).sum(axis=2) / self.freedom))


@dataclass(frozen=True)
class Proposed:
    """Proposals for coefficients: their middles (S, J, K), and their shape about these."""

    middle: FloatArray
    shape: Shape

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """A proposal for each draw and group, (S, J, K)."""
        return self.middle + self.shape.draw(rng, self.middle.shape)


def move(
    rng: np.random.Generator, groups: GroupRows, about: Proposed, populations: Populations, start: FloatArray | None,
    moves: int,
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """Coefficients (S, J, K) after so many proposals about these, the first of which is the start where there is none;
    and the log weights of what they began with, (S, J), but for what does not depend on them."""
    inverse = np.linalg.inv(populations.factor)

    def weigh(theta: FloatArray) -> FloatArray:
        proposed = about.shape.log_density(theta - about.middle)
        away = np.einsum("skl,sjl->sjk", inverse, theta - populations.mean[:, None])
        return np.asarray(groups.log_lik(theta) - 0.5 * (away**2).sum(axis=2) - proposed)

    theta = about.draw(rng) if start is None else start
    weight = weigh(theta)
    began_with = weight.copy()
    for _ in range(moves):
        new = about.draw(rng)
        log_weight = weigh(new)
        better = np.log(rng.uniform(size=weight.shape)) < log_weight - weight
        theta[better], weight[better] = new[better], log_weight[better]
    return theta, began_with


def _middles(modes: Modes, mean: FloatArray, precision: FloatArray) -> FloatArray:
    """The mode of each group given each population, by a step of Newton's from the pilot's, (S, J, K)."""
    slope = modes.first + np.einsum("skl,sjl->sjk", precision, mean[:, None] - modes.theta)
    both = modes.second + precision[:, None]
    if both.shape[-1] == 2:  # many small systems: written out they take a twentieth of the time
        a, b, d = both[..., 0, 0], both[..., 0, 1], both[..., 1, 1]
        first, second = slope[..., 0], slope[..., 1]
        step = np.stack([d * first - b * second, a * second - b * first], axis=-1) / (a * d - b**2)[..., None]
        return np.asarray(modes.theta + step)
    return np.asarray(modes.theta + np.linalg.solve(both, slope[..., None])[..., 0])
