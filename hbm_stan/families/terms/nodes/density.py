"""The posterior of a population with the coefficients of its groups integrated out by nodes that stay where they are.

Nodes lie about the mode of each group, given a population near the maximum; the density of the rows is worked out there
once. What is left for each other population is a normal density at every node, however many rows there are. Nodes that
follow the population (Pinheiro & Bates 1995, Journal of Computational and Graphical Statistics 4:12) would need the
rows anew; that those that stay are good enough is checked at draws of the posterior.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hbm_stan.families.terms.nodes.levels import GroupRows, Modes, find_level_modes
from hbm_stan.families.terms.nodes.population import PopulationPrior
from hbm_stan.integrate import grid
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray

# Nodes in each direction, by how many coefficients a group has: the fewest, and the most, which are taken as long as
# all groups together have no more than so many. With 7 x 7 of 10,000 groups log densities at draws lie within 0.02 of
# those by 11 x 11 laid anew, the largest and smallest draws within 0.1 (measured).
NODES = {1: 15, 2: 7, 3: 5}
_MOST_NODES, _ALL_NODES = {1: 41, 2: 15, 3: 9}, 150_000
# Of those laid anew, by which the others are checked: with 9 x 9 the differences are those with 15 x 15 to 0.0005.
FINER = {1: 31, 2: 9, 3: 9}
_DIFFERENCE = 1e-5  # of coordinates, for derivatives of what costs next to nothing
# Values at a time in each thread, and the least of points: what a processor holds near takes a fifth of the time.
_AT_ONCE, _POINTS_AT_ONCE = 50_000, 4
# The pilot: times that nodes are laid anew, steps of expectation and maximisation for each, and when they have arrived.
_LAID, _MOST, _ARRIVED, _NEAR = 6, 300, 1e-3, 0.02
# The sd of coefficients that a pilot begins with, on the scale of logs and log odds, and groups with it that count too.
_USUAL_SD, _MORE_GROUPS = 0.5, 2


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Coefficients of each group at its nodes (J, M, K), and the log of the node's weight times the density of the
    group's rows there, (J, M); ``features`` (J M, F) are products and coefficients, ``modes`` what they lie about."""

    theta: FloatArray
    log_rows: FloatArray
    modes: Modes

    @classmethod
    def about(cls, groups: GroupRows, modes: Modes, count: int) -> Nodes:
        """So many nodes in each direction, about modes."""
        theta, log_rows = laid_about(groups, modes, count)
        return cls(theta=theta, log_rows=log_rows, modes=modes)

    @cached_property
    def features(self) -> FloatArray:
        """``features_of`` all nodes, (J M, F)."""
        return features_of(self.theta.reshape(-1, self.theta.shape[2]))


def laid_about(groups: GroupRows, modes: Modes, count: int) -> tuple[FloatArray, FloatArray]:
    """So many nodes in each direction about modes: coefficients (..., J, M, K), and the log of each node's weight times
    the density of its group's rows there, (..., J, M)."""
    size = modes.theta.shape[-1]
    points, log_weights = grid(count, size)
    # chol(inverse(H)) z: the mode of a standard normal density in units of the curvature.
    root = np.linalg.cholesky(modes.precision)
    theta = modes.theta[..., None, :] + points @ np.linalg.inv(root)
    log_rows = np.empty(theta.shape[:-1])
    for m in range(len(points)):
        log_rows[..., m] = groups.log_lik(theta[..., m, :])
    log_root = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    # grid()'s weights are over standard normal densities, whose constant is that of the normal density taken off.
    log_rows += log_weights + size / 2 * math.log(2 * math.pi) - log_root[..., None]
    return theta, log_rows


def features_of(theta: FloatArray) -> FloatArray:
    """Products of two coefficients, then coefficients, of (..., K), (..., F)."""
    first, second = np.tril_indices(theta.shape[-1])
    return np.ascontiguousarray(np.concatenate([theta[..., first] * theta[..., second], theta], axis=-1))


def slopes_of(
    prior: PopulationPrior, x: FloatArray, along: FloatArray, n_groups: int, origin: FloatArray | float = 0.0
) -> FloatArray:
    """Derivatives by coordinates (n, d) of log densities of which ``along`` (n, F) are those by ``in_features``; of
    features of coefficients less an ``origin`` (n, K), if there is one."""
    slopes = np.empty_like(x)
    for i in range(x.shape[1]):
        shift = np.zeros(x.shape[1])
        shift[i] = _DIFFERENCE
        (w1, c1), (w0, c0) = (population_in_features(prior, at, origin) for at in (x + shift, x - shift))
        of_prior = prior.log_density(x + shift) - prior.log_density(x - shift)
        of_rows = (along * (w1 - w0)).sum(axis=1) + n_groups * (c1 - c0)
        slopes[:, i] = (of_rows + of_prior) / (2 * _DIFFERENCE)
    return slopes


def population_in_features(
    prior: PopulationPrior, x: FloatArray, origin: FloatArray | float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """``in_features`` of the populations at coordinates (n, d), their means counted from an origin."""
    beta, tau, partial = prior.split(x)
    return in_features(prior.mean(beta) - origin, prior.factor(tau, partial))


def in_features(mean: FloatArray, factor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Normal log densities as sums over features, (n, F), and their constants (n,); means (n, K), factors (n, K, K)."""
    size = mean.shape[1]
    inverse = np.linalg.inv(factor)
    precision = np.swapaxes(inverse, 1, 2) @ inverse
    first, second = np.tril_indices(size)
    products = -0.5 * precision[:, first, second] * np.where(first == second, 1.0, 2.0)
    linear = np.einsum("nkl,nl->nk", precision, mean)
    log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    constant = -0.5 * (linear * mean).sum(axis=1) - log_det - size / 2 * math.log(2 * math.pi)
    return np.hstack([products, linear]), constant


class Posterior:
    """The log posterior density of a population at coordinates (n, d), with its gradient: what draws are made from.

    Coordinates are those of ``PopulationPrior`` about ``centre`` in units of ``scale``, (d, d).
    """

    def __init__(
        self, prior: PopulationPrior, nodes: Nodes, centre: FloatArray, scale: FloatArray | None = None
    ) -> None:
        self._prior, self._nodes, self._centre = prior, nodes, centre
        self._scale = np.eye(len(centre)) if scale is None else scale

    def coordinates(self, points: FloatArray) -> FloatArray:
        """The coordinates of the prior at points (n, d)."""
        return self._centre + points @ self._scale.T

    def __call__(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The log density (n,), minus infinity where rounding leaves none, and its gradient (n, d)."""
        x = self.coordinates(points)
        values, slopes = np.full(len(x), -np.inf), np.zeros(x.shape)
        some = self._prior.is_population(x)
        if some.any():
            values[some], along = self._integrated(x[some], with_slopes=True)
            slopes[some] = slopes_of(self._prior, x[some], along, len(self._nodes.log_rows))
        return values, slopes @ self._scale

    def values(self, points: FloatArray) -> FloatArray:
        """The log density alone, (n,): gradients take half as long again."""
        x = self.coordinates(points)
        values = np.full(len(x), -np.inf)
        some = self._prior.is_population(x)
        if some.any():
            values[some], _ = self._integrated(x[some], with_slopes=False)
        return values

    def _integrated(self, x: FloatArray, *, with_slopes: bool) -> tuple[FloatArray, FloatArray]:
        """Log densities at coordinates (n, d), (n,), and what features are expected to be, summed over groups, (n, F):
        0 without slopes; in pieces, side by side."""
        weights, constant = population_in_features(self._prior, x)
        each = max(_POINTS_AT_ONCE, _AT_ONCE // self._nodes.log_rows.size)
        pieces = [weights[i : i + each] for i in range(0, len(weights), each)]
        with ThreadPoolExecutor(cores()) as pool:
            done = list(pool.map(lambda piece: sums_over_nodes(self._nodes, piece, with_slopes=with_slopes), pieces))
        values, along = (np.concatenate(of_all) for of_all in zip(*done, strict=True))
        return values + len(self._nodes.log_rows) * constant + self._prior.log_density(x), along


def sums_over_nodes(nodes: Nodes, weights: FloatArray, *, with_slopes: bool = True) -> tuple[FloatArray, FloatArray]:
    """Sums over groups of the logs of integrals of populations whose densities have these weights of features (n, F),
    (n,), and of what features are expected to be, (n, F): 0 without slopes. So many groups at a time."""
    count = nodes.log_rows.shape[1]
    at_once = max(1, _AT_ONCE // (len(weights) * count))
    values, along = np.zeros(len(weights)), np.zeros_like(weights)
    with np.errstate(all="ignore"):  # what is no number is far from all rows
        for first in range(0, len(nodes.log_rows), at_once):
            log_rows = nodes.log_rows[first : first + at_once]
            some = nodes.features[first * count : (first + at_once) * count]
            terms = (weights @ some.T).reshape(len(weights), *log_rows.shape)
            terms += log_rows
            top = terms.max(axis=2, keepdims=True)
            np.exp(np.subtract(terms, top, out=terms), out=terms)
            total = terms.sum(axis=2, keepdims=True)
            values += (np.log(total) + top).sum(axis=(1, 2))
            if with_slopes:
                terms /= total
                along += terms.reshape(len(weights), -1) @ some
    return values, along


def pilot(groups: GroupRows, prior: PopulationPrior) -> tuple[FloatArray, Nodes]:
    """Coordinates (d,) of a population near the maximum of the rows' density, and nodes about the modes given it."""
    size = groups.columns.shape[1]
    count = min(max(NODES[size], math.floor((_ALL_NODES / groups.n_groups) ** (1 / size))), _MOST_NODES[size])
    mean = np.zeros(size)
    has = prior.own > 0
    mean[has] = prior.beta[prior.own[has] - 1, 0]
    covariance = np.eye(size) * _USUAL_SD**2
    theta = np.tile(mean, (groups.n_groups, 1))
    for _ in range(_LAID):
        modes = find_level_modes(groups, mean, np.linalg.inv(covariance), theta)
        nodes, theta = Nodes.about(groups, modes, count), modes.theta
        before = mean, np.diag(covariance)
        mean, covariance = _maximised(nodes, prior, mean, covariance)
        moved = np.abs(mean - before[0]) / np.sqrt(before[1]) + np.abs(np.log(np.diag(covariance) / before[1]))
        if moved.max() < _NEAR:
            break
    modes = find_level_modes(groups, mean, np.linalg.inv(covariance), theta)
    return _coordinates(prior, mean, covariance), Nodes.about(groups, modes, count)


def _maximised(
    nodes: Nodes, prior: PopulationPrior, mean: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and covariance after steps of expectation and maximisation with nodes that stay (Dempster et al. 1977)."""
    size = len(mean)
    first, second = np.tril_indices(size)
    groups, held = len(nodes.log_rows), _held(prior)
    for _ in range(_MOST):
        weights, _ = in_features(mean[None], np.linalg.cholesky(covariance)[None])
        expected = sums_over_nodes(nodes, weights)[1][0] / groups
        new_mean = np.where(prior.own > 0, expected[len(first) :], 0.0)
        moment = np.zeros((size, size))
        moment[first, second] = moment[second, first] = expected[: len(first)]
        around = np.outer(expected[len(first) :], new_mean)
        new = moment - around - around.T + np.outer(new_mean, new_mean)
        # As if two more groups had been seen: few that look alike would leave no covariance that can be inverted.
        new = (groups * np.where(held, new, 0.0) + _MORE_GROUPS * np.eye(size) * _USUAL_SD**2) / (groups + _MORE_GROUPS)
        moved = np.abs(new_mean - mean) / np.sqrt(np.diag(covariance)) + np.abs(
            np.log(np.diag(new) / np.diag(covariance))
        )
        mean, covariance = new_mean, new
        if moved.max() < _ARRIVED:
            break
    return mean, covariance


def _held(prior: PopulationPrior) -> FloatArray:
    """Which elements of a covariance there are: variances, and those of columns that are correlated."""
    held = np.eye(len(prior.tau), dtype=bool)
    for k, m in prior.pairs:
        held[k, m] = held[m, k] = True
    return held


def _coordinates(prior: PopulationPrior, mean: FloatArray, covariance: FloatArray) -> FloatArray:
    beta = prior.beta[:, 0].copy()
    has = prior.own > 0
    beta[prior.own[has] - 1] = mean[has]
    tau = np.sqrt(np.diag(covariance))
    factor = np.linalg.cholesky(covariance / np.outer(tau, tau))
    partial, left = np.zeros(len(prior.pairs)), np.ones(len(tau))
    for r, (k, m) in enumerate(prior.pairs):
        partial[r] = np.clip(factor[k, m] / left[k], -0.999, 0.999)
        left[k] *= math.sqrt(1 - partial[r] ** 2)
    return prior.joined(beta, tau, partial)
