"""The log density of a beta-binomial population given the counts of all arms, on the log odds and the log of kappa.

The model and its priors are those of ``families/beta_binomial.py``, partial pooling with the rates integrated out
(Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., equation 5.8). Here it is evaluated at many nodes at once, equal
counts once, as the Stan program does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hbm_stan.errors import ModelError
from hbm_stan.later import expit, log_expit
from hbm_stan.likelihoods.rising import digamma_rise, log_rising, trigamma_rise
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

_BLOCK = 2**20  # numbers that are worked on at once
Rise = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Tally:
    """Distinct counts above zero, and how many arms have each; a count of zero adds nothing to a density."""

    count: FloatArray
    times: FloatArray

    @classmethod
    def of(cls, counts: FloatArray) -> Tally:
        """The tally of counts, shape (arms,)."""
        count, times = np.unique(counts[counts > 0], return_counts=True)
        return cls(count, times.astype(float))

    def total(self, rise: Rise, x: FloatArray) -> FloatArray:
        """The sum over arms of ``rise(x, count)``, same shape as ``x``."""
        flat = x.ravel()
        result = np.zeros(flat.size)
        step = max(1, _BLOCK // max(flat.size, 1))
        for i in range(0, len(self.count), step):
            part = slice(i, i + step)
            result += rise(flat[:, None], self.count[None, part]) @ self.times[part]
        return result.reshape(x.shape)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What all counts together say of mu and kappa, with their priors: a beta of mu, one of a positive kappa.

    ``successes`` and ``trials`` are those of each arm, retired ones too, shape (arms,); an arm without trials is an arm
    of which nothing is known yet.
    """

    successes: FloatArray
    trials: FloatArray
    prior_mu: Prior
    prior_kappa: Prior

    @classmethod
    def of(cls, successes: FloatArray, trials: FloatArray, priors: Mapping[str, Prior]) -> Evidence:
        """The evidence under the priors of mu and kappa; ModelError where the grid cannot take a prior."""
        if priors["kappa"].distribution == "uniform":
            raise ModelError(
                f"Prior of kappa: {priors['kappa'].text} ends at a number, and decisions integrate over the logarithm "
                "of kappa without an end. Take lognormal, gamma, exponential or one of the half distributions."
            )
        return cls(successes=successes, trials=trials, prior_mu=priors["mu"], prior_kappa=priors["kappa"])

    @cached_property
    def _tallies(self) -> tuple[Tally, Tally, Tally]:
        return Tally.of(self.successes), Tally.of(self.trials - self.successes), Tally.of(self.trials)

    @cached_property
    def powers(self) -> tuple[float, float]:
        """The powers of mu and of 1 - mu: all successes or failures, the prior, and one for the Jacobian of log odds.

        d mu / d logit = mu (1 - mu) takes the power of the beta prior, a - 1, to a.
        """
        hits = float(self.successes.sum())
        a, b = self.prior_mu.arguments
        return hits + a, float(self.trials.sum()) - hits + b

    def log_density(self, logit: FloatArray, log_kappa: FloatArray) -> FloatArray:
        """The log density at log odds of mu, shape (Z, T), and logarithms of kappa, shape (Z, 1), up to a constant."""
        kappa = np.exp(log_kappa)
        hits, misses, sizes = self._tallies
        of_kappa = self.prior_kappa.log_density(kappa) + log_kappa - sizes.total(log_rising, kappa)
        total = of_kappa + self.powers[0] * log_expit(logit) + self.powers[1] * log_expit(-logit)
        total = total + hits.total(log_rising, expit(logit) * kappa)
        return np.asarray(total + misses.total(log_rising, expit(-logit) * kappa))

    def slope(self, logit: FloatArray, log_kappa: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First and second derivative of the log density by the log odds, at pairs of both, shape (Z,)."""
        kappa, mu, rest = np.exp(log_kappa), expit(logit), expit(-logit)
        hits, misses, _ = self._tallies
        a, b = self.powers
        # log_rising(x, n) lacks n log x, which stands in the powers: its derivative takes n / x off the digammas.
        up = hits.total(_first, mu * kappa) - misses.total(_first, rest * kappa)
        bend = hits.total(_second, mu * kappa) + misses.total(_second, rest * kappa)
        v = mu * rest
        first = a * rest - b * mu + kappa * v * up
        second = -(a + b) * v + kappa * v * (rest - mu) * up + (kappa * v) ** 2 * bend
        return np.asarray(first), np.asarray(second)


def _first(x: FloatArray, count: FloatArray) -> FloatArray:
    return np.asarray(digamma_rise(x, count) - count / x)


def _second(x: FloatArray, count: FloatArray) -> FloatArray:
    return np.asarray(trigamma_rise(x, count) + count / x**2)
