"""The normal-means posterior by quadrature: SciPy only, nothing of hbm_stan and nothing of Stan.

Given tau, everything is normal: mu and each theta_j have closed-form conditional means and variances. What remains is
one integral over tau, done by Gauss-Legendre in t = tau / (tau + c); moments and distribution functions are then sums
over the nodes. ``brute_force`` integrates over (mu, tau) in two dimensions instead, and is what the first is tested
against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import logsumexp, ndtr

Y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
SE = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
LABELS = tuple("ABCDEFGH")
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
_C = 10.0  # where half of the nodes lie below

# Log densities of tau by name and arguments.
TAU_PRIORS: dict[str, Callable[..., Callable[[np.ndarray], np.ndarray]]] = {
    "half_normal": lambda s: stats.halfnorm(scale=s).logpdf,
    "half_cauchy": lambda s: stats.halfcauchy(scale=s).logpdf,
    "half_student_t": lambda df, s: lambda x: np.log(2) + stats.t(df, scale=s).logpdf(x),
    "uniform": lambda low, upper: stats.uniform(low, upper - low).logpdf,
    "exponential": lambda rate: stats.expon(scale=1 / rate).logpdf,
    "gamma": lambda shape, rate: stats.gamma(shape, scale=1 / rate).logpdf,
    "lognormal": lambda location, s: stats.lognorm(s, scale=np.exp(location)).logpdf,
}


@dataclass(frozen=True, kw_only=True)
class Exact:
    """Nodes of tau with their posterior weight; ``mean`` and ``var`` of mu given each node."""

    tau: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    var: np.ndarray
    log_evidence: float
    y: np.ndarray
    se: np.ndarray

    def summaries(self, labels: tuple[str, ...] = LABELS) -> dict[str, dict[str, float]]:
        """Mean, sd and quantiles of mu, tau and every theta."""
        summaries = {"mu": self._mixture(self.mean, self.var), "tau": self._of_tau()}
        return summaries | {f"theta[{label}]": self._mixture(*self.theta(j)) for j, label in enumerate(labels)}

    def theta(self, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of theta_j given each node."""
        own = self.tau**2 / (self.tau**2 + self.se[j] ** 2)
        return self.mean + own * (self.y[j] - self.mean), own * self.se[j] ** 2 + (1 - own) ** 2 * self.var

    def new(self) -> dict[str, float]:
        """Summary of a new group's theta."""
        return self._mixture(self.mean, self.var + self.tau**2)

    def factor(self, j: int) -> float:
        """Posterior mean of se^2 / (se^2 + tau^2)."""
        return float(self.weight @ (self.se[j] ** 2 / (self.se[j] ** 2 + self.tau**2)))

    def _mixture(self, mean: np.ndarray, var: np.ndarray) -> dict[str, float]:
        centre = float(self.weight @ mean)
        sd = float(np.sqrt(self.weight @ (var + (mean - centre) ** 2)))

        def cdf(x: float) -> float:
            return float(self.weight @ ndtr((x - mean) / np.sqrt(var)))

        ends = centre - 30 * sd, centre + 30 * sd
        return {"mean": centre, "sd": sd} | {q: brentq(lambda x, p=p: cdf(x) - p, *ends) for q, p in QUANTILES.items()}

    def _of_tau(self) -> dict[str, float]:
        mean = float(self.weight @ self.tau)
        sd = float(np.sqrt(self.weight @ (self.tau - mean) ** 2))
        below = np.cumsum(self.weight) - self.weight / 2
        return {"mean": mean, "sd": sd} | {q: float(np.interp(p, below, self.tau)) for q, p in QUANTILES.items()}


def exact(
    tau_prior: str = "half_cauchy", tau_args: tuple[float, ...] = (5.0,), mu_prior: tuple[float, float] = (0.0, 5.0),
    y: np.ndarray = Y, se: np.ndarray = SE, nodes: int = 2000,
) -> Exact:  # fmt: skip
    """The posterior by quadrature over tau, mu integrated in closed form."""
    tau, log_step = _nodes(tau_prior, tau_args, nodes)
    v = se[:, None] ** 2 + tau**2
    precision = 1 / mu_prior[1] ** 2 + (1 / v).sum(axis=0)
    mean = (mu_prior[0] / mu_prior[1] ** 2 + (y[:, None] / v).sum(axis=0)) / precision
    # p(y | tau) = p(y | mu, tau) p(mu) / p(mu | y, tau), at mu = its conditional mean.
    log_p = stats.norm.logpdf(y[:, None], mean, np.sqrt(v)).sum(axis=0) + stats.norm.logpdf(mean, *mu_prior)
    log_p -= stats.norm.logpdf(0, 0, np.sqrt(1 / precision))
    log_p += TAU_PRIORS[tau_prior](*tau_args)(tau) + log_step
    total = float(logsumexp(log_p))
    return Exact(tau=tau, weight=np.exp(log_p - total), mean=mean, var=1 / precision, log_evidence=total, y=y, se=se)


_leggauss = cache(np.polynomial.legendre.leggauss)


def _nodes(tau_prior: str, tau_args: tuple[float, ...], nodes: int) -> tuple[np.ndarray, np.ndarray]:
    t, step = _leggauss(nodes)
    end = tau_args[1] / (tau_args[1] + _C) if tau_prior == "uniform" else 1.0
    t, step = (t + 1) / 2 * end, step / 2 * end
    return _C * t / (1 - t), np.log(step * _C / (1 - t) ** 2)


def brute_force(
    tau_prior: str = "half_cauchy", tau_args: tuple[float, ...] = (5.0,), mu_prior: tuple[float, float] = (0.0, 5.0)
) -> dict[str, tuple[float, float]]:
    """Mean and sd of mu, tau and theta by two-dimensional quadrature over (mu, tau)."""
    tau, log_step = _nodes(tau_prior, tau_args, 300)
    m, wm = _leggauss(300)
    mu, log_width = 8 + 150 * m, np.log(150 * wm)
    M, T = (a.ravel() for a in np.meshgrid(mu, tau, indexing="ij"))
    log_p = stats.norm.logpdf(M, *mu_prior) + TAU_PRIORS[tau_prior](*tau_args)(T)
    log_p += np.add.outer(log_width, log_step).ravel()
    for y_j, se_j in zip(Y, SE, strict=True):
        log_p += stats.norm.logpdf(y_j, M, np.hypot(se_j, T))
    weight = np.exp(log_p - logsumexp(log_p))
    moments = {}
    for name, mean, var in [("mu", M, 0 * M), ("tau", T, 0 * T)] + [
        (f"theta[{label}]", M + T**2 / (T**2 + s**2) * (y - M), T**2 * s**2 / (T**2 + s**2))
        for label, y, s in zip(LABELS, Y, SE, strict=True)
    ]:
        centre = float(weight @ mean)
        moments[name] = (centre, float(np.sqrt(weight @ (var + (mean - centre) ** 2))))
    return moments


def exact_loo(tau_prior: str, tau_args: tuple[float, ...], mu_prior: tuple[float, float]) -> np.ndarray:
    """log p(y_j | the other y) of partial pooling, as a ratio of evidences."""
    whole = exact(tau_prior, tau_args, mu_prior).log_evidence
    rest = [exact(tau_prior, tau_args, mu_prior, np.delete(Y, j), np.delete(SE, j)).log_evidence for j in range(len(Y))]
    return whole - np.array(rest)


def exact_loo_complete(mu_prior: tuple[float, float]) -> np.ndarray:
    """log p(y_j | the other y) of complete pooling: normal with known variances, in closed form."""
    out = []
    for j in range(len(Y)):
        keep = np.arange(len(Y)) != j
        precision = 1 / mu_prior[1] ** 2 + np.sum(1 / SE[keep] ** 2)
        mean = (mu_prior[0] / mu_prior[1] ** 2 + np.sum(Y[keep] / SE[keep] ** 2)) / precision
        out.append(stats.norm.logpdf(Y[j], mean, np.sqrt(1 / precision + SE[j] ** 2)))
    return np.array(out)
