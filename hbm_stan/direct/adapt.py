"""Rounds of adaptive importance sampling: a mixture of Student-t distributions that comes to follow a log density.

The mixture of Hoogerheide, Opschoor & van Dijk (2012), Journal of Econometrics 171:101: it begins at the mode, is
fitted to points weighted by density over proposal, and gets one component more in each round, where it is thinnest.
Points of the last rounds count, each over the mixture of their proposals (Cornuet, Marin, Mira & Robert 2012,
Scandinavian Journal of Statistics 39:798).

A second mixture, fitted in the same way to a power of the density below one, keeps a share of every proposal: its tails
are longer than those of the density in every direction, however long these are (the log of a scale that may be nothing
falls off as exp(-|x|)), so that the weights are bounded. Hesterberg (1995), Technometrics 37:185: defensive mixtures.
"""

from __future__ import annotations

import numpy as np

from hbm_stan.direct.mixture import Mixture, fitted
from hbm_stan.direct.mode import Density, Mode, values_of
from hbm_stan.log_sums import log_sum_exp
from hbm_stan.psis import smooth
from hbm_stan.table import FloatArray

# Points of a round: so many, and more for each coordinate (ours; fewer leave thin places with five coordinates).
_POINTS, _POINTS_EACH = 250, 150
_MOST_ROUNDS, _WINDOW = 6, 3  # rounds, and of how many the points count
# Share of the points of a round that tell, by their weights, where the mixture is thinnest.
_THIN = 0.1
# The share that a new component begins with, its degrees of freedom, and the spread added to it (of the whole).
_NEW_SHARE, _NEW_DEGREES, _NEW_SPREAD = 0.1, 8.0, 0.01
_STEPS = 5  # of each fit
# The first mixture: how many times as wide as Laplace's approximation, and shares; degrees of freedom.
_FIRST = ((1.0, 0.6), (2.0, 0.4))
_FIRST_DEGREES = 4.0
# The second mixture: its share, and the power of the density that it is fitted to. Of 0.15 to 0.3 and 0.3 to 0.5 these
# leave the fewest Pareto k too high, over 16 seeds of six posteriors.
_WIDE_SHARE, _POWER = 0.25, 0.35
_LEAST_MASS = 0.01  # of a mode beside the largest: its share of the first mixture


def effective_share(log_weights: FloatArray) -> float:
    """The effective number of points over their number: (sum w)^2 / (n sum w^2), Kong (1992)."""
    weights = np.exp(log_weights - log_weights.max())
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def good_share(dimension: int) -> float:
    """The effective share from which another round is not worth its points: less with more coordinates (ours)."""
    return max(0.9 - 0.04 * max(dimension - 2, 0), 0.7)


def adapted(density: Density, modes: list[Mode], rng: np.random.Generator, effort: int = 1) -> Mixture:
    """The mixture after rounds of ``effort`` times as many points as usual; they end where another gains little."""
    core = wide = _first(modes)
    dimension = core.dimension
    number = effort * (_POINTS + _POINTS_EACH * dimension)
    proposals, points, values = [core], np.empty((0, dimension)), np.empty(0)
    for done in range(_MOST_ROUNDS):
        new = proposals[-1].draw(rng, number)
        score = values_of(density, new)
        thick = proposals[-1].log_density(new)
        points, values = np.concatenate([points, new]), np.concatenate([values, score])
        if done and effective_share(score - thick) > good_share(dimension):
            break
        proposals, points, values = proposals[-_WINDOW:], points[-_WINDOW * number :], values[-_WINDOW * number :]
        proposed = log_sum_exp(np.stack([p.log_density(points) for p in proposals]), axis=0) - np.log(len(proposals))
        core = _refitted(core, new, score - thick, points, values - proposed)
        wide = _refitted(wide, new, _POWER * score - thick, points, _POWER * values - proposed)
        proposals.append(_joined(core, wide, _WIDE_SHARE))
    return proposals[-1]


def _first(modes: list[Mode]) -> Mixture:
    """Student-t components at the modes, with shares by their masses."""
    masses = np.array([mode.log_mass for mode in modes])
    masses = np.maximum(np.exp(masses - masses.max()), _LEAST_MASS)
    masses /= masses.sum()
    factors = [np.linalg.cholesky(np.linalg.inv(mode.precision)) for mode in modes]
    return Mixture(
        np.array([mass * share for mass in masses for _, share in _FIRST]),
        np.array([mode.point for mode in modes for _ in _FIRST]),
        np.array([scale * factor for factor in factors for scale, _ in _FIRST]),
        np.full(len(modes) * len(_FIRST), _FIRST_DEGREES),
    )


def _refitted(
    mixture: Mixture, new: FloatArray, own: FloatArray, points: FloatArray, log_weights: FloatArray
) -> Mixture:
    """The mixture with a component more, at the newest points of most weight ``own``, fitted to all points."""
    count = max(int(_THIN * len(new)), mixture.dimension + 2)
    heavy = np.argsort(own)[-count:]
    pull = np.exp(own[heavy] - own[heavy].max())
    weights = np.exp(smooth(log_weights)[0])
    location, spread = _moments(new[heavy], pull / pull.sum())
    spread += _NEW_SPREAD * np.diag(np.diag(_moments(points, weights)[1]))
    one = Mixture(np.ones(1), location[None], np.linalg.cholesky(spread)[None], np.full(1, _NEW_DEGREES))
    return fitted(_joined(mixture, one, _NEW_SHARE), points, weights, _STEPS)


def _joined(first: Mixture, second: Mixture, share: float) -> Mixture:
    """Both mixtures in one, the second with this share."""
    return Mixture(
        np.concatenate([(1 - share) * first.weights, share * second.weights]),
        np.concatenate([first.locations, second.locations]),
        np.concatenate([first.factors, second.factors]), np.concatenate([first.degrees, second.degrees]),
    )  # fmt: skip


def _moments(points: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (d,) and covariance (d, d) of points under weights that sum to one."""
    mean = weights @ points
    around = points - mean
    return mean, (around.T * weights) @ around
