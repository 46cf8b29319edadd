"""Two-parameter posteriors of counts by quadrature: SciPy only, nothing of hbm_stan and nothing of Stan.

With the rates integrated out, a beta-binomial or gamma-Poisson population has two parameters. Both are laid out on an
even grid of their unbounded scale (log odds, logarithm), where the trapezoidal rule is exact to rounding error once the
ends carry no mass. Moments and distribution functions are sums over the nodes; a group's rate is a mixture of beta or
gamma distributions over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
NODES = 600
_WIDE, _COARSE = 40.0, 400  # where the mass is looked for
_NOTHING = 30.0  # logarithm of the ratio of densities from which on nothing is left: 1e-13

Array = np.ndarray
LogDensity = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Nodes:
    """Values of the population's parameters at the nodes, and the posterior weight of each node."""

    values: dict[str, Array]
    weight: Array

    def summary(self, name: str) -> dict[str, float]:
        """Mean, sd and quantiles of a parameter of the population."""
        x, where = np.unique(self.values[name], return_inverse=True)
        weight = np.bincount(where, weights=self.weight)
        mean = float(weight @ x)
        below = np.cumsum(weight) - weight / 2
        moments = {"mean": mean, "sd": float(np.sqrt(weight @ (x - mean) ** 2))}
        return moments | {q: float(np.interp(p, below, x)) for q, p in QUANTILES.items()}

    def mixture(self, kind: str, first: Array, second: Array) -> dict[str, float]:
        """The same of a group's rate, given the two parameters of its distribution at each node."""
        one = stats.beta(first, second) if kind == "beta" else stats.gamma(first, scale=1 / second)
        means, variances = one.stats(moments="mv")
        mean = float(self.weight @ means)
        sd = float(np.sqrt(self.weight @ (variances + (means - mean) ** 2)))
        keep = self.weight > 1e-12
        part = (
            stats.beta(first[keep], second[keep])
            if kind == "beta"
            else stats.gamma(first[keep], scale=1 / second[keep])
        )

        def cdf(x: float) -> float:
            return float(self.weight[keep] @ part.cdf(x))

        top = 1.0 if kind == "beta" else mean + 60 * sd
        return {"mean": mean, "sd": sd} | {
            q: float(brentq(lambda x, p=p: cdf(x) - p, 0.0, top, xtol=1e-7 * sd)) for q, p in QUANTILES.items()
        }


def _grid(log_density: LogDensity, nodes: int) -> tuple[Array, Array, Array]:
    """Nodes of both coordinates and their weight, on the rectangle that holds all of the mass."""
    ends = np.array([[-_WIDE, _WIDE], [-_WIDE, _WIDE]])
    for n in (_COARSE, _COARSE, nodes):
        x, y = (np.linspace(*e, n) for e in ends)
        log_p = log_density(x[:, None], y[None, :])
        log_p = np.where(np.isnan(log_p), -np.inf, log_p) - np.nanmax(log_p)
        held = log_p > -_NOTHING
        for k, axis in ((0, x), (1, y)):
            inside = np.flatnonzero(held.any(axis=1 - k))
            step = axis[1] - axis[0]
            ends[k] = axis[inside[0]] - step, axis[inside[-1]] + step
    X, Y = np.broadcast_arrays(x[:, None], y[None, :])
    weight = np.exp(log_p)
    return X.ravel(), Y.ravel(), (weight / weight.sum()).ravel()


def _rising(x: Array, counts: Array) -> Array:
    """Sum over counts of log(x (x + 1) ... (x + count - 1)), which is log Gamma(x + count) - log Gamma(x).

    As a sum of logarithms it is exact for large x too, where the two log Gammas cancel.
    """
    total = np.zeros_like(x)
    for i in range(int(counts.max())):
        total += np.sum(counts > i) * np.log(x + i)
    return total


def beta_binomial(y: Array, n: Array, log_prior: LogDensity, nodes: int = NODES) -> Nodes:
    """mu, kappa, tau, alpha, beta; ``log_prior`` is the density of (mu, kappa)."""

    def log_density(logit: Array, log_kappa: Array) -> Array:
        mu, kappa = expit(logit), np.exp(log_kappa)
        a, b = mu * kappa, expit(-logit) * kappa
        total = log_prior(mu, kappa) + np.log(mu) + np.log(expit(-logit)) + log_kappa  # and the Jacobian of both
        return np.asarray(total + _rising(a, y) + _rising(b, n - y) - _rising(kappa, n))

    with np.errstate(all="ignore"):
        logit, log_kappa, weight = _grid(log_density, nodes)
    mu, kappa = expit(logit), np.exp(log_kappa)
    values = {"mu": mu, "kappa": kappa, "tau": np.sqrt(mu * (1 - mu) / (kappa + 1))}
    return Nodes(values | {"alpha": mu * kappa, "beta": (1 - mu) * kappa}, weight)


def gamma_poisson(y: Array, exposure: Array, log_prior: LogDensity, nodes: int = NODES) -> Nodes:
    """alpha, beta, mu, tau; ``log_prior`` is the density of (alpha, beta)."""

    def log_density(log_alpha: Array, log_mu: Array) -> Array:
        alpha, beta = np.exp(log_alpha), np.exp(log_alpha - log_mu)
        # d(alpha, beta) / d(log alpha, log mu) = alpha beta
        total = log_prior(alpha, beta) + np.log(alpha) + np.log(beta)
        for count, e in zip(y, exposure, strict=True):
            total = total - alpha * np.log1p(e / beta) - count * np.log(beta + e)
        return np.asarray(total + _rising(alpha, y))

    with np.errstate(all="ignore"):
        log_alpha, log_mu, weight = _grid(log_density, nodes)
    alpha, mu = np.exp(log_alpha), np.exp(log_mu)
    return Nodes({"alpha": alpha, "beta": alpha / mu, "mu": mu, "tau": mu / np.sqrt(alpha)}, weight)
