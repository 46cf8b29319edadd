"""The posterior of grouped normal data by quadrature: SciPy only, nothing of hbm_stan and nothing of Stan.

Given tau and sigma everything is normal: mu and each theta_j have closed-form conditional means and variances. What
remains is an integral over log tau and log sigma, done by the trapezoidal rule on a fine grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import logsumexp, ndtr

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
LogDensity = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Rows:
    """Number of rows, mean and sum of squares about it, of each group."""

    n: np.ndarray
    mean: np.ndarray
    ss: np.ndarray


def rows_of(y: np.ndarray, group: np.ndarray) -> Rows:
    own = [y[group == g] for g in dict.fromkeys(group)]
    return Rows(*(np.array([f(x) for x in own]) for f in (len, np.mean, lambda x: np.sum((x - x.mean()) ** 2))))


def restricted(rows: Rows, tau: np.ndarray, sigma: np.ndarray, mu: tuple[float, float]) -> tuple[np.ndarray, ...]:
    """log p(y | tau, sigma) with mu integrated out over its normal prior; mean and variance of mu given them."""
    v = np.asarray(tau)[..., None] ** 2 + np.asarray(sigma)[..., None] ** 2 / rows.n
    precision = 1 / mu[1] ** 2 + (1 / v).sum(axis=-1)
    mean = (mu[0] / mu[1] ** 2 + (rows.mean / v).sum(axis=-1)) / precision
    # p(means) = p(means | mu) p(mu) / p(mu | means), at mu = its conditional mean; then what varies about the means.
    log_p = -0.5 * ((rows.mean - mean[..., None]) ** 2 / v + np.log(2 * np.pi * v)).sum(axis=-1)
    log_p += -0.5 * ((mean - mu[0]) / mu[1]) ** 2 - np.log(mu[1]) - 0.5 * np.log(precision)
    freedom = np.sum(rows.n - 1)
    log_p += -0.5 * freedom * np.log(2 * np.pi * sigma**2) - 0.5 * np.sum(np.log(rows.n))
    return log_p - 0.5 * rows.ss.sum() / sigma**2, mean, 1 / precision


def exact(
    rows: Rows, log_prior_tau: LogDensity, log_prior_sigma: LogDensity, mu: tuple[float, float],
    tau_range: tuple[float, float], sigma_range: tuple[float, float], labels: str, size: tuple[int, int] = (700, 120),
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Mean, sd and quantiles of mu, tau, sigma and every theta; ranges beyond which nothing lies."""
    u, w = (np.linspace(*np.log(r), n) for r, n in zip((tau_range, sigma_range), size, strict=True))
    tau, sigma = (a.ravel() for a in np.meshgrid(np.exp(u), np.exp(w), indexing="ij"))
    log_p, mean, var = restricted(rows, tau, sigma, mu)
    log_p += log_prior_tau(tau) + log_prior_sigma(sigma) + np.log(tau * sigma)
    weight = np.exp(log_p - logsumexp(log_p))
    grid = weight.reshape(size)
    summaries = {
        "mu": mixture(weight, mean, var),
        "tau": on_grid(u, grid.sum(axis=1)),
        "sigma": on_grid(w, grid.sum(axis=0)),
    }
    for j, label in enumerate(labels):
        own = tau**2 / (tau**2 + sigma**2 / rows.n[j])
        centre = mean + own * (rows.mean[j] - mean)
        summaries[f"theta[{label}]"] = mixture(weight, centre, tau**2 * (1 - own) + (1 - own) ** 2 * var)
    return summaries


def mixture(weight: np.ndarray, mean: np.ndarray, var: np.ndarray) -> dict[str, float]:
    """Summary of a mixture of normals."""
    keep = weight > 1e-12 * weight.max()
    weight, mean, sd = weight[keep], mean[keep], np.sqrt(var[keep])
    weight = weight / weight.sum()
    centre = float(weight @ mean)
    spread = float(np.sqrt(weight @ (sd**2 + (mean - centre) ** 2)))
    ends = centre - 30 * spread, centre + 30 * spread
    quantiles = {q: brentq(lambda x, p=p: weight @ ndtr((x - mean) / sd) - p, *ends) for q, p in QUANTILES.items()}
    return {"mean": centre, "sd": spread} | quantiles


def on_grid(log_x: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Summary of a scale whose logarithm has these weights on an even grid."""
    x = np.exp(log_x)
    mean = float(weight @ x)
    below = CubicSpline(log_x, weight).antiderivative()
    quantiles = {
        q: float(np.exp(brentq(lambda t, p=p: below(t) - p * below(log_x[-1]), log_x[0], log_x[-1])))
        for q, p in QUANTILES.items()
    }
    return {"mean": mean, "sd": float(np.sqrt(weight @ (x - mean) ** 2))} | quantiles
