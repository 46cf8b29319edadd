"""Streams of draws from a log density, each an independence chain over proposals of its own; and whether to trust them.

Tierney (1994), Annals of Statistics 22:1701: a proposal takes the place of the last draw with the probability
min(1, w' / w) of their weights, density over proposal. Draws repeat where a weight is large, so that effective sample
sizes and Monte Carlo errors are those of any chain, and R-hat compares streams that share nothing but the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.direct import MAX_K, MAX_K_SQUARES, MAX_MISSING, MAX_MISSING_SQUARES
from hbm_stan.direct.adapt import adapted, effective_share
from hbm_stan.direct.mixture import Mixture
from hbm_stan.direct.mode import Density, Mode, find_modes, values_of
from hbm_stan.psis import tail_beyond
from hbm_stan.table import FloatArray

# With more coordinates the sampler's own steps cost less than the points that a mixture needs (measured).
MAX_DIMENSION = 8
# The least effective number of proposals over their number (ours): below it draws repeat too often.
MIN_SHARE = 0.25
# No mean of a coordinate, or of its square, in one stream lies farther from that of the others, in standard errors: of
# 64 such distances (four streams, eight coordinates) one lies beyond with a probability of 1e-4.
MAX_APART = 4.8
# Starts of the search for modes: every second from where Stan's chains begin, the others from a box so much wider.
_STARTS, _BOX, _WIDER = 8, 2.0, 3.0
# Modes with less than e^-12 of the largest mass are no matter; two are apart where the density between them falls by
# e^-4, at one of so many points.
_NO_MASS, _VALLEY, _BETWEEN = 12.0, 4.0, 9
# Proposals for what is all but normal: widths in those of Laplace's approximation, shares, degrees of freedom.
_NEARLY_NORMAL = ((1.05, 0.85, 30.0), (1.5, 0.15, 8.0))
# Of a density that is all but normal: the most coordinates, and starts of the search for its mode, each with the
# one opposite (ours).
MOST_NEARLY_NORMAL, _FEW_STARTS = 30, 2
_BEFORE = 100  # proposals before the first draw of a stream
_HEAVIEST = 4  # proposals with the largest weights, from which modes are searched once more
# A first attempt, and one with so many times the points and twice the proposals for each draw.
_EFFORTS = ((1, 1), (3, 2))
_AGAIN = 6  # with more coordinates the second attempt takes longer than the sampler, and fails as often (measured)


@dataclass(frozen=True, kw_only=True)
class Streams:
    """Draws (stream, draw, d), their log densities (stream, draw), and what the weights of all proposals say.

    ``pareto_k`` is that of the weights, ``pareto_k_squares`` the largest of weights times squared distances from the
    mean in a coordinate, ``share`` the effective number of proposals over their number. ``trouble`` says in words why
    the draws are not to be trusted; empty where they are.
    """

    points: FloatArray
    log_density: FloatArray
    pareto_k: float = np.nan
    pareto_k_squares: float = np.nan
    share: float = 0.0
    evaluations: int = 0
    trouble: str = ""


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

    ``density`` takes points (n, d) and gives log densities (n,) up to one constant, and gradients (n, d). Where the
    weights are no good the mixture is adapted once more, with more points.
    """
    counted = _Counted(density)
    drawn_streams = _none(streams, draws, dimension)
    if not 0 < dimension <= MAX_DIMENSION:
        return replace(drawn_streams, trouble=_too_many(dimension, MAX_DIMENSION))
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
        drawn_streams, heaviest = _from_mixture(counted, mixture, streams, draws, thin, [seed, 4, effort])
        more = _of_mass(find_modes(counted, heaviest), modes)
        if len(more) > len(modes):
            drawn_streams, modes = replace(drawn_streams, trouble="a mode that the mixture did not hold"), more
        if not drawn_streams.trouble or dimension > _AGAIN:
            break
    return replace(drawn_streams, evaluations=counted.count)


def draw_nearly_normal(density: Density, dimension: int, streams: int, draws: int, seed: int) -> Streams:
    """The same of a density that costs much and is all but normal, as a population's of very many groups is.

    By proposals about its mode, with up to ``MOST_NEARLY_NORMAL`` coordinates; where these do not do, by a mixture,
    with as many as ``draw_streams`` takes.
    """
    counted = _Counted(density)
    if not 0 < dimension <= MOST_NEARLY_NORMAL:
        return replace(_none(streams, draws, dimension), trouble=_too_many(dimension, MOST_NEARLY_NORMAL))
    starts = _starts(np.random.default_rng([seed, 6]), _FEW_STARTS, dimension)
    modes = _of_mass(find_modes(counted, np.concatenate([starts, -starts])))
    drawn_streams = replace(_none(streams, draws, dimension), trouble="no mode was found")
    if len(modes) == 1:
        drawn_streams, heaviest = _from_mixture(counted, _about(modes[0]), streams, draws, 1, [seed, 5])
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
    drawn_streams, _ = _from_mixture(density, _about(mode), streams, draws, 1, [seed, 5])
    return replace(drawn_streams, evaluations=streams * (draws + _BEFORE))


def _about(mode: Mode) -> Mixture:
    """Proposals for what is all but normal."""
    factor = np.linalg.cholesky(np.linalg.inv(mode.precision))
    widths, shares, degrees = (np.array(column) for column in zip(*_NEARLY_NORMAL, strict=True))
    return Mixture(shares, np.tile(mode.point, (len(widths), 1)), widths[:, None, None] * factor, degrees)


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


def _from_mixture(
    density: Density, mixture: Mixture, streams: int, draws: int, thin: int, seed: list[int]
) -> tuple[Streams, FloatArray]:
    """The streams that proposals of a mixture make, and the proposals that weigh most (n, d)."""
    chains, proposed, scores, weights = [], [], [], []
    for stream in range(streams):
        rng = np.random.default_rng([*seed, stream])
        points = mixture.draw(rng, _BEFORE + draws * thin)
        values = values_of(density, points)
        log_weights = values - mixture.log_density(points)
        chains.append(_chain(log_weights, -rng.exponential(size=len(points)))[_BEFORE + thin - 1 :: thin])
        proposed.append(points)
        scores.append(values)
        weights.append(log_weights)
    rows = range(streams)
    everything, log_weights = np.concatenate(proposed), np.concatenate(weights)
    k, k_squares, trouble = _gate(np.stack(proposed), np.stack(weights))
    drawn_streams = Streams(
        points=np.stack([proposed[i][chains[i]] for i in rows]),
        log_density=np.stack([scores[i][chains[i]] for i in rows]), pareto_k=k, pareto_k_squares=k_squares,
        share=effective_share(log_weights), evaluations=0, trouble=trouble,
    )  # fmt: skip
    return drawn_streams, everything[np.argsort(log_weights)[-_HEAVIEST:]]


def _chain(log_weights: FloatArray, thresholds: FloatArray) -> list[int]:
    """The place of the proposal that a chain stands at, after each; thresholds are logs of uniform numbers."""
    at, here, places = 0, -np.inf, []
    for i, (weight, threshold) in enumerate(zip(log_weights.tolist(), thresholds.tolist(), strict=True)):
        if weight - here >= threshold or here == -np.inf:
            at, here = i, weight
        places.append(at)
    return places


def _gate(points: FloatArray, log_weights: FloatArray) -> tuple[float, float, str]:
    """Pareto k of weights (stream, n) and of weights times squares, and why these are not to be trusted, if so."""
    flat, every = log_weights.ravel(), points.reshape(-1, points.shape[2])
    if not np.isfinite(flat).any():
        return np.nan, np.nan, "no proposal has a density"
    weights = np.exp(flat - flat.max())
    weights /= weights.sum()
    around = every - weights @ every
    squares = around**2 / (weights @ around**2)
    share = effective_share(flat)
    apart = _apart(np.concatenate([around, squares - 1], axis=1).reshape(*log_weights.shape, -1), log_weights)
    k, k_squares, trouble = _tails(flat, squares)
    if apart > MAX_APART:
        trouble = f"streams differ by {apart:.1f} standard errors, and {MAX_APART} is the limit"
    elif share < MIN_SHARE:
        trouble = f"its proposals count for {100 * share:.0f} % of their number only"
    return k, k_squares, trouble


def _tails(log_weights: FloatArray, squares: FloatArray) -> tuple[float, float, str]:
    """Pareto k of weights (n,) and the largest of weights times squares (n, d); what is wrong, if anything."""
    k, missing = tail_beyond(log_weights)
    columns = [tail_beyond(log_weights + np.log(column)) for column in squares.T]
    k_squares, missing_squares = (max(column[i] for column in columns) for i in range(2))
    limits = (
        (k, MAX_K, "the Pareto k of weights is {:.2f}"),
        (k_squares, MAX_K_SQUARES, "the Pareto k of weights times squares is {:.2f}"),
        (missing, MAX_MISSING, "a share of {:.3f} of the posterior may be missing"),
        (missing_squares, MAX_MISSING_SQUARES, "a share of {:.2f} of a mean square may be missing"),
    )
    problems = (
        f"{template.format(value)}, and {limit} is the limit" for value, limit, template in limits if not value < limit
    )
    return k, k_squares, next(problems, "")


def _apart(quantities: FloatArray, log_weights: FloatArray) -> float:
    """The largest distance of a stream's weighted mean from 0, that of all streams, in standard errors.

    ``quantities`` (stream, n, q) have the mean 0 under all weights; the error is that of a ratio estimate.
    """
    weights = np.exp(log_weights - log_weights.max())
    total = weights.sum(axis=1)
    means = np.einsum("sn,snq->sq", weights, quantities) / total[:, None]
    errors = np.sqrt(np.einsum("sn,snq->sq", weights**2, quantities**2)) / total[:, None]
    return float(np.abs(means / errors).max()) if len(weights) > 1 else 0.0
