"""Independence chains over proposals, and whether to trust them.

Tierney (1994), Annals of Statistics 22:1701: a proposal takes the place of the last draw with the probability
min(1, w' / w) of their weights, density over proposal. Draws repeat where a weight is large, so that effective sample
sizes and Monte Carlo errors are those of any chain, and R-hat compares streams that share nothing but their proposals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hbm_stan.direct import MAX_K, MAX_K_SQUARES, MAX_MISSING, MAX_MISSING_SQUARES
from hbm_stan.direct.adapt import effective_share
from hbm_stan.direct.mode import Density, values_of
from hbm_stan.psis import tail_beyond
from hbm_stan.table import FloatArray

# The least effective number of proposals over their number (ours): below it draws repeat too often.
MIN_SHARE = 0.25
# No mean of a coordinate, or of its square, in one stream lies farther from that of the others, in standard errors: of
# 64 such distances (four streams, eight coordinates) one lies beyond with a probability of 1e-4.
MAX_APART = 4.8
_HEAVIEST = 4  # proposals with the largest weights, from which modes are searched once more


class Proposals(Protocol):
    """What draws are proposed from: a mixture, or a grid.

    ``holds_all`` says that all of the density is known to lie where they propose: squares then have the tails of the
    density itself, which say nothing of the weights.
    """

    holds_all: bool

    def draw(self, rng: np.random.Generator, number: int) -> FloatArray:
        """``number`` points (number, d)."""
        ...

    def log_density(self, points: FloatArray) -> FloatArray:
        """The log density at points (n, d), (n,), but for a constant."""
        ...


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


def from_proposals(
    density: Density, proposals: Proposals, streams: int, draws: int, thin: int, before: int, seed: list[int]
) -> tuple[Streams, FloatArray]:
    """The streams that proposals make, and those of them that weigh most (n, d)."""
    chains, proposed, scores, weights = [], [], [], []
    for stream in range(streams):
        rng = np.random.default_rng([*seed, stream])
        points = proposals.draw(rng, before + draws * thin)
        values = values_of(density, points)
        log_weights = values - proposals.log_density(points)
        chains.append(_chain(log_weights, -rng.exponential(size=len(points)))[before + thin - 1 :: thin])
        proposed.append(points)
        scores.append(values)
        weights.append(log_weights)
    rows = range(streams)
    everything, log_weights = np.concatenate(proposed), np.concatenate(weights)
    k, k_squares, trouble = _gate(np.stack(proposed), np.stack(weights), proposals.holds_all)
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


def _gate(points: FloatArray, log_weights: FloatArray, holds_all: bool = False) -> tuple[float, float, str]:
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
    k, k_squares, trouble = _tails(flat, squares, holds_all)
    if apart > MAX_APART:
        trouble = f"streams differ by {apart:.1f} standard errors, and {MAX_APART} is the limit"
    elif share < MIN_SHARE:
        trouble = f"its proposals count for {100 * share:.0f} % of their number only"
    return k, k_squares, trouble


def _tails(log_weights: FloatArray, squares: FloatArray, holds_all: bool) -> tuple[float, float, str]:
    """Pareto k of weights (n,) and the largest of weights times squares (n, d); what is wrong, if anything."""
    k, missing = tail_beyond(log_weights)
    with np.errstate(divide="ignore"):  # a square is nothing where all weight lies on one point
        columns = [tail_beyond(log_weights + np.log(column)) for column in squares.T]
    k_squares, missing_squares = (max(column[i] for column in columns) for i in range(2))
    limits = (
        (k, MAX_K, "the Pareto k of weights is {:.2f}"),
        (missing, MAX_MISSING, "a share of {:.3f} of the posterior may be missing"),
        (k_squares, MAX_K_SQUARES, "the Pareto k of weights times squares is {:.2f}"),
        (missing_squares, MAX_MISSING_SQUARES, "a share of {:.2f} of a mean square may be missing"),
    )[: 2 if holds_all else None]
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
