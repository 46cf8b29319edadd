"""Streams of draws from a log density: proposals that are fitted to it, and chains over them that can be trusted.

With one or two coordinates proposals are those of a grid, else those of a mixture, or lie about the mode of what is all
but normal.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hbm_stan.direct.adapt import adapted
from hbm_stan.direct.grid import MAX_COORDINATES, grid_about
from hbm_stan.direct.independence import Streams, from_proposals
from hbm_stan.direct.mode import Density, Mode, find_modes, values_of
from hbm_stan.direct.split import split_about
from hbm_stan.table import FloatArray

# With more coordinates the sampler's own steps cost less than the points that a mixture needs (measured).
MAX_DIMENSION = 8
# Starts of the search for modes: every second from where Stan's chains begin, the others from a box so much wider.
_STARTS, _BOX, _WIDER = 8, 2.0, 3.0
# Modes with less than e^-12 of the largest mass are no matter; two are apart where the density between them falls by
# e^-4, at one of so many points.
_NO_MASS, _VALLEY, _BETWEEN = 12.0, 4.0, 9
# Of a density that is all but normal: the most coordinates, and starts of the search for its mode, each with the
# one opposite (ours).
MOST_NEARLY_NORMAL, _FEW_STARTS = 30, 2
# Proposals before the first draw of a stream: of a mixture, and about a mode, where nearly all are taken.
_BEFORE, _BEFORE_ABOUT = 100, 25
# A first attempt, and one with so many times the points and twice the proposals for each draw.
_EFFORTS = ((1, 1), (3, 2))
_AGAIN = 6  # with more coordinates the second attempt takes longer than the sampler, and fails as often (measured)


class _Counted:
    """A density that counts its points, and is minus infinity where it is not a number, or plus infinity: a pole."""

    def __init__(self, density: Density) -> None:
        self._density, self.count = density, 0

    def __call__(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        values, gradients = self._density(points)
        self.count += len(points)
        return np.where(values < np.inf, values, -np.inf), gradients

    def values(self, points: FloatArray) -> FloatArray:
        """The log densities alone, (n,)."""
        self.count += len(points)
        values = values_of(self._density, points)
        return np.where(values < np.inf, values, -np.inf)


def draw_streams(density: Density, dimension: int, streams: int, draws: int, seed: int) -> Streams:
    """Streams of draws from a density on ``dimension`` unconstrained coordinates; the same for the same ``seed``.

    ``density`` takes points (n, d) and gives log densities (n,) up to one constant, and gradients (n, d). With one
    or two coordinates proposals are those of a grid; else, and where that will not do, those of a mixture, which is
    adapted once more, with more points, where the weights are no good.
    """
    counted = _Counted(density)
    drawn_streams = _none(streams, draws, dimension)
    if not 0 < dimension <= MAX_DIMENSION:
        return replace(drawn_streams, trouble=_too_many(dimension, MAX_DIMENSION))
    if dimension <= MAX_COORDINATES:
        drawn_streams = _from_grid(counted, dimension, streams, draws, seed)
        if not drawn_streams.trouble:
            return replace(drawn_streams, evaluations=counted.count)
    rng = np.random.default_rng([seed, 3])
    modes = _of_mass(find_modes(counted, _starts(rng, _STARTS, dimension)))
    for effort, thin in _EFFORTS:
        trouble = _no_use(counted, modes)
        if trouble:
            return replace(drawn_streams, trouble=trouble, evaluations=counted.count)
        try:
            with np.errstate(all="ignore"):  # what is not finite shows in the weights
                mixture = adapted(counted, modes, rng, effort)
        except np.linalg.LinAlgError:  # nearly all weight on one point
            return replace(drawn_streams, trouble="no mixture could be fitted to it", evaluations=counted.count)
        drawn_streams, heaviest = from_proposals(counted, mixture, streams, draws, thin, _BEFORE, [seed, 4, effort])
        more = _of_mass(find_modes(counted, heaviest), modes)
        if len(more) > len(modes):
            drawn_streams, modes = replace(drawn_streams, trouble="a mode that the mixture did not hold"), more
        if not drawn_streams.trouble or dimension > _AGAIN:
            break
    return replace(drawn_streams, evaluations=counted.count)


def _from_grid(density: Density, dimension: int, streams: int, draws: int, seed: int) -> Streams:
    """Streams from proposals by quadrature about the only mode; as any others, they show whether they will do."""
    modes, nothing = _few_modes(density, dimension, [seed, 8]), _none(streams, draws, dimension)
    if len(modes) != 1:
        return replace(nothing, trouble=f"{len(modes)} modes")
    grid = grid_about(density, modes[0])
    if grid.reaches_beyond:
        return replace(nothing, trouble="it reaches beyond a grid about its mode")
    # Its nodes see all modes that are no needles: none is searched from the heaviest proposals.
    return from_proposals(density, grid, streams, draws, 1, _BEFORE_ABOUT, [seed, 7])[0]


def _few_modes(density: Density, dimension: int, seed: list[int]) -> list[Mode]:
    """The modes that few starts, and those opposite, lead to."""
    starts = _starts(np.random.default_rng(seed), _FEW_STARTS, dimension)
    return _of_mass(find_modes(density, np.concatenate([starts, -starts])))


def draw_nearly_normal(density: Density, dimension: int, streams: int, draws: int, seed: int) -> Streams:
    """The same of a density that costs much and is all but normal, as a population's of very many groups is.

    By proposals about its mode, with up to ``MOST_NEARLY_NORMAL`` coordinates; where these do not do, by a mixture,
    with as many as ``draw_streams`` takes.
    """
    counted = _Counted(density)
    if not 0 < dimension <= MOST_NEARLY_NORMAL:
        return replace(_none(streams, draws, dimension), trouble=_too_many(dimension, MOST_NEARLY_NORMAL))
    modes = _few_modes(counted, dimension, [seed, 6])
    drawn_streams = replace(_none(streams, draws, dimension), trouble="no mode was found")
    if len(modes) == 1:
        drawn_streams, heaviest = _from_mode(counted, modes[0], streams, draws, seed)
        if not drawn_streams.trouble and len(_of_mass(find_modes(counted, heaviest), modes)) == 1:
            return replace(drawn_streams, evaluations=counted.count)
    elif modes:
        drawn_streams = replace(drawn_streams, trouble=f"{len(modes)} modes")
    if dimension > MAX_DIMENSION:
        return replace(drawn_streams, trouble=drawn_streams.trouble or "a mode apart from its draws")
    return draw_streams(density, dimension, streams, draws, seed)


def _none(streams: int, draws: int, dimension: int) -> Streams:
    return Streams(points=np.empty((streams, draws, dimension)), log_density=np.empty((streams, draws)))


def _too_many(dimension: int, most: int) -> str:
    return f"{dimension} unconstrained parameters, where 1 to {most} can be"


def _starts(rng: np.random.Generator, number: int, dimension: int) -> FloatArray:
    """Where modes are searched from, (number, dimension)."""
    wide = np.where(np.arange(number) % 2, _WIDER, 1.0)[:, None]
    return np.asarray(_BOX * wide * rng.uniform(-1, 1, (number, dimension)))


def streams_about(density: Density, mode: Mode, streams: int, draws: int, seed: int) -> Streams:
    """The same by proposals about one mode, no mixture being fitted: for a density that is all but normal.

    Many times cheaper where a density costs much; ``trouble`` says where it does not do.
    """
    counted = _Counted(density)
    drawn_streams, _ = _from_mode(counted, mode, streams, draws, seed)
    return replace(drawn_streams, evaluations=counted.count)


def _from_mode(density: Density, mode: Mode, streams: int, draws: int, seed: int) -> tuple[Streams, FloatArray]:
    """The same as ``from_proposals`` by proposals for what is all but normal."""
    return from_proposals(density, split_about(density, mode), streams, draws, 1, _BEFORE_ABOUT, [seed, 5])


def _of_mass(new: list[Mode], known: list[Mode] | None = None) -> list[Mode]:
    """The known modes and the new ones that differ from them, without those of no mass; the largest first."""
    modes = list(known or [])
    modes += [mode for mode in new if not any(mode.is_same(other) for other in modes)]
    modes.sort(key=lambda mode: -mode.log_mass)
    return [mode for mode in modes if mode.log_mass > modes[0].log_mass - _NO_MASS]


def _no_use(density: Density, modes: list[Mode]) -> str:
    """Why a mixture cannot be built on these modes: there is none, or a valley between two."""
    if not modes:
        return "no mode was found"
    steps = np.linspace(0, 1, _BETWEEN + 2)[1:-1, None]
    for other in modes[1:]:
        between = values_of(density, modes[0].point + steps * (other.point - modes[0].point))
        if between.min() < min(modes[0].log_density, other.log_density) - _VALLEY:
            return f"{len(modes)} modes with a valley between them"
    return ""
