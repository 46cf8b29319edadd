"""The population of a group's coefficients in coordinates without bounds: its prior, mean and precision.

Coordinates are beta; log tau, or the logit of its share of a uniform prior's range; and partial correlations as their
inverse hyperbolic tangents: those of Stan, so that log densities with their Jacobians can be compared.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hbm_stan.families.terms.effects import terms_of
from hbm_stan.families.terms.population import scale_priors
from hbm_stan.families.varying_terms import pairs_of
from hbm_stan.integrate.structure import IntArray
from hbm_stan.later import betaln
from hbm_stan.model import StanData
from hbm_stan.priors import Prior
from hbm_stan.table import BoolArray, FloatArray

# The sd of coefficients to begin with, on the scale of logs and log odds (ours).
_USUAL_SD = 0.5
# The least sd of coefficients, and one over the largest: beyond them differences of coefficients are rounding, and next
# to nothing of a posterior.
_NARROWEST = 1e-10


@dataclass(frozen=True, kw_only=True)
class PopulationPrior:
    """Priors of beta (P, 2), tau (K) and correlation matrices; ``own`` the common column of each varying one, 0: none.

    ``pairs`` are the columns (later, earlier) of each partial correlation, ``shapes`` of its beta prior.
    """

    beta: FloatArray
    tau: tuple[Prior, ...]
    own: IntArray
    pairs: tuple[tuple[int, int], ...]
    shapes: FloatArray

    @classmethod
    def of(cls, data: StanData) -> PopulationPrior:
        """Those that data hold, all of whose terms are the group's."""
        pairs, shapes = [], []
        for term in terms_of(data):
            width = term.level.width if term.n_pairs else 1
            for k, m in pairs_of(width):
                pairs.append((term.at.start + k, term.at.start + m))
                shapes.append(float(data["prior_rho"]) + (width - 2 - m) / 2)
        return cls(
            beta=np.asarray(data["prior_beta"], dtype=float).reshape(-1, 2), tau=tuple(scale_priors(data, "tau")),
            own=np.asarray(data["own"], dtype=np.int64), pairs=tuple(pairs), shapes=np.array(shapes),
        )  # fmt: skip

    @property
    def dimension(self) -> int:
        """The number of coordinates."""
        return len(self.beta) + len(self.tau) + len(self.pairs)

    @cached_property
    def _ends(self) -> FloatArray:
        """The upper end of each tau, (K,): that of a uniform prior, else infinity."""
        return np.array([p.arguments[1] if p.distribution == "uniform" else math.inf for p in self.tau])

    @property
    def middle(self) -> FloatArray:
        """Coordinates (d,) to begin with: beta where its prior has it, tau as usual on the scale of logs, no rho."""
        return self.joined(self.beta[:, 0], np.minimum(_USUAL_SD, self._ends / 2), np.zeros(len(self.pairs)))

    @property
    def widths(self) -> FloatArray:
        """What is wide for each coordinate: the prior's sd of beta, one for the logs and hyperbolic tangents, (d,)."""
        return np.concatenate([self.beta[:, 1], np.ones(len(self.tau) + len(self.pairs))])

    def split(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """beta (n, P), tau (n, K) and partial correlations (n, R) at coordinates (n, d)."""
        n, k = len(self.beta), len(self.tau)
        free = x[:, n : n + k]
        with np.errstate(over="ignore"):
            share = np.exp(-np.logaddexp(0, -free))
            tau = np.where(
                np.isfinite(self._ends), share * np.where(np.isfinite(self._ends), self._ends, 0), np.exp(free)
            )
        return x[:, :n], tau, np.tanh(x[:, n + k :])

    def is_population(self, x: FloatArray) -> BoolArray:
        """Whether coefficients vary at each of the coordinates (n, d), and numbers can tell, (n,)."""
        with np.errstate(all="ignore"):
            _, tau, partial = self.split(x)
            scale = np.diagonal(self.factor(tau, partial), axis1=1, axis2=2)
            within = (scale > _NARROWEST) & (scale < 1 / _NARROWEST)
            return np.asarray(np.isfinite(x).all(axis=1) & within.all(axis=1) & (np.abs(partial) < 1).all(axis=1))

    def joined(self, beta: FloatArray, tau: FloatArray, partial: FloatArray) -> FloatArray:
        """The coordinates (d,) of one population."""
        bounded = np.isfinite(self._ends)
        share = np.where(bounded, tau / np.where(bounded, self._ends, 1), 0.5)
        share = np.clip(share, 1e-6, 1 - 1e-6)
        free = np.where(bounded, np.log(share) - np.log1p(-share), np.log(tau))
        return np.concatenate([beta, free, np.arctanh(partial)])

    def log_density(self, x: FloatArray) -> FloatArray:
        """The log prior at coordinates (n, d) with the Jacobian of these, (n,)."""
        return self.log_prior(x) + self._log_jacobian(x)

    def log_prior(self, x: FloatArray) -> FloatArray:
        """The log prior of beta, tau and the partial correlations at coordinates (n, d), (n,)."""
        beta, tau, _partial = self.split(x)
        z = (beta - self.beta[:, 0]) / self.beta[:, 1]
        total = -0.5 * (z**2).sum(axis=1) - np.log(self.beta[:, 1]).sum() - 0.5 * math.log(2 * math.pi) * z.shape[1]
        for k, prior in enumerate(self.tau):
            total = total + prior.log_density(tau[:, k])
        b = self.shapes
        return np.asarray(total + ((b - 1) * self._rest(x) - (2 * b - 1) * math.log(2) - betaln(b, b)).sum(axis=1))

    def _log_jacobian(self, x: FloatArray) -> FloatArray:
        tau, bounded = self.split(x)[1], np.isfinite(self._ends)
        slopes = np.log(tau).sum(axis=1) + np.log1p(-tau[:, bounded] / self._ends[bounded]).sum(axis=1)
        return np.asarray(slopes + self._rest(x).sum(axis=1))

    def _rest(self, x: FloatArray) -> FloatArray:
        """log(1 - partial^2) without its rounding, (n, R)."""
        free = x[:, len(self.beta) + len(self.tau) :]
        return np.asarray(2 * (math.log(2) - np.logaddexp(free, -free)))

    def factor(self, tau: FloatArray, partial: FloatArray) -> FloatArray:
        """Cholesky factors of the covariance of a group's coefficients, (n, K, K)."""
        size = len(self.tau)
        factor = np.zeros((len(tau), size, size))
        left = tau.copy()
        for r, (k, m) in enumerate(self.pairs):
            factor[:, k, m] = partial[:, r] * left[:, k]
            left[:, k] *= np.sqrt((1 - partial[:, r]) * (1 + partial[:, r]))
        factor[:, range(size), range(size)] = left
        return factor

    def mean(self, beta: FloatArray) -> FloatArray:
        """The mean of a group's coefficients, (n, K): 0 where they have no common one."""
        return np.hstack([np.zeros((len(beta), 1)), beta])[:, self.own]

    def rho(self, partial: FloatArray) -> FloatArray:
        """Correlations of all correlated terms, (n, R), in the order of the programs."""
        factor = self.factor(np.ones((len(partial), len(self.tau))), partial)
        rho = [(factor[:, k] * factor[:, m]).sum(axis=1) for k, m in self.pairs]
        return np.stack(rho, axis=1) if rho else np.empty_like(partial)
