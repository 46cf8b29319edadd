"""Mixtures of multivariate Student-t distributions: density, quasi-random draws, and a fit to weighted points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hbm_stan.log_sums import log_sum_exp
from hbm_stan.normal_quantile import normal_quantile
from hbm_stan.table import FloatArray

# A component that holds less than this of the weight is left out.
_LEAST_SHARE = 0.01
# Degrees of freedom that a fit chooses from: from tails that hold three moments to almost normal ones.
_DEGREES = (4.0, 8.0, 30.0)
# Part of the common scale that is added to that of a component: no component shrinks to a point.
_RIDGE = 1e-3


@dataclass(frozen=True)
class Mixture:
    """Components k with weight, location (K, d), Cholesky factor of the scale matrix (K, d, d), degrees of freedom."""

    weights: FloatArray
    locations: FloatArray
    factors: FloatArray
    degrees: FloatArray
    holds_all = False  # what lies where it hardly proposes anything may have been missed

    @property
    def dimension(self) -> int:
        """The number of coordinates d."""
        return int(self.locations.shape[1])

    def distances(self, points: FloatArray) -> FloatArray:
        """Squared Mahalanobis distances of points (n, d) from each component, (K, n)."""
        squared = np.empty((len(self.weights), len(points)))
        # Products of matrices, several times as fast as one sum over all indices.
        for k, inverse in enumerate(np.linalg.inv(self.factors)):
            z = (points - self.locations[k]) @ inverse.T
            np.einsum("nd,nd->n", z, z, out=squared[k])
        return squared

    def parts(self, points: FloatArray, distances: FloatArray | None = None) -> FloatArray:
        """log(weight_k t_k(x)) of points (n, d), (K, n)."""
        d, nu = self.dimension, self.degrees
        squared = self.distances(points) if distances is None else distances
        log_det = np.log(np.diagonal(self.factors, axis1=1, axis2=2)).sum(axis=1)
        gammas = np.array([math.lgamma((n + d) / 2) - math.lgamma(n / 2) for n in nu.tolist()])
        constant = gammas - d / 2 * np.log(nu * math.pi) - log_det
        top = np.log(self.weights) + constant
        return np.asarray(top[:, None] - ((nu + d) / 2)[:, None] * np.log1p(squared / nu[:, None]))

    def log_density(self, points: FloatArray) -> FloatArray:
        """The log density at points (n, d), (n,)."""
        return log_sum_exp(self.parts(points), axis=0)

    def draw(self, rng: np.random.Generator, number: int) -> FloatArray:
        """``number`` points (number, d), in random order: normal scores of a Latin hypercube, each component its share.

        Each point by itself is a draw from the mixture; together they lie more evenly than independent ones.
        """
        u = latin_hypercube(rng, number, self.dimension + 1)
        k = np.minimum(np.searchsorted(np.cumsum(self.weights), u[:, 0], side="right"), len(self.weights) - 1)
        normal = normal_quantile(u[:, 1:])
        stretch = np.sqrt(self.degrees[k] / rng.chisquare(self.degrees[k]))
        return np.asarray(self.locations[k] + stretch[:, None] * np.einsum("nij,nj->ni", self.factors[k], normal))


def latin_hypercube(rng: np.random.Generator, number: int, dimension: int) -> FloatArray:
    """Points in the open unit cube (number, dimension), each uniform, in random order, one in each slice of each axis.

    McKay, Beckman & Conover (1979), Technometrics 21:239. Means over n points vary no more than n / (n - 1) times as
    much as those of independent ones, whatever the mean is of (Owen 1997, SIAM Journal on Numerical Analysis 34:1884);
    a lattice has no such bound, and had 1.8 times the error in the ends of intervals of slopes.
    """
    slices = rng.permuted(np.tile(np.arange(number), (dimension, 1)), axis=1).T
    return np.asarray(np.clip((slices + rng.uniform(size=slices.shape)) / number, 1e-15, 1 - 1e-15))


def fitted(start: Mixture, points: FloatArray, weights: FloatArray, steps: int) -> Mixture:
    """``steps`` of expectation and maximisation for points (n, d) of weights (n,) that sum to one.

    Peel & McLachlan (2000), Statistics and Computing 10:339; with importance weights, Hoogerheide, Opschoor & van Dijk
    (2012), Journal of Econometrics 171:101. The degrees of freedom are the best of three at the last step.
    """
    mixture = start
    for _ in range(steps):
        mixture = _step(mixture, points, weights)
    scores, squared = [], mixture.distances(points)
    for nu in _DEGREES:
        tried = Mixture(mixture.weights, mixture.locations, mixture.factors, np.full(len(mixture.weights), nu))
        scores.append((float(weights @ log_sum_exp(tried.parts(points, squared), axis=0)), nu, tried))
    return max(scores, key=lambda s: s[0])[2]


def _step(old: Mixture, points: FloatArray, weights: FloatArray) -> Mixture:
    d = old.dimension
    squared = old.distances(points)
    parts = old.parts(points, squared)
    shares = np.exp(parts - log_sum_exp(parts, axis=0)) * weights
    total = shares.sum(axis=1)
    heavy = total > _LEAST_SHARE
    shares, squared, total, degrees = shares[heavy], squared[heavy], total[heavy], old.degrees[heavy][:, None]
    pull = shares * (degrees + d) / (degrees + squared)
    locations = (pull @ points) / pull.sum(axis=1)[:, None]
    scales = np.empty((len(total), d, d))
    for k, location in enumerate(locations):
        around = points - location
        scales[k] = (around.T * pull[k]) @ around / total[k]
    common = np.tensordot(total, scales, 1)
    scales = scales + _RIDGE * np.diag(np.diag(common))
    return Mixture(total / total.sum(), locations, np.linalg.cholesky(scales), old.degrees[heavy])
