"""Posteriors of linear models with normal errors: SciPy only, nothing of hbm_stan and nothing of Stan.

Given all scales the coefficients are normal, in closed form (``given_scales``). With one unknown residual scale what
remains is one integral over its logarithm (``regression``), by the trapezoidal rule.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from grouped_quadrature import QUANTILES, LogDensity, mixture, on_grid
from scipy.special import logsumexp
from scipy.stats import norm

Summary = dict[str, float]


def normal_summary(mean: float, sd: float) -> Summary:
    return {"mean": float(mean), "sd": float(sd)} | {q: float(norm.ppf(p, mean, sd)) for q, p in QUANTILES.items()}


def given_scales(
    design: np.ndarray, y: np.ndarray, error: np.ndarray | float, location: np.ndarray, scale: np.ndarray,
    wanted: Mapping[str, np.ndarray],
) -> dict[str, Summary]:  # fmt: skip
    """Linear combinations ``wanted`` of b, where y ~ normal(design b, error) and b ~ normal(location, scale)."""
    # In units of the prior: z ~ normal(0, 1), b = location + scale z.
    a = design * scale / np.reshape(error, (-1, 1))
    r = (y - design @ location) / error
    covariance = np.linalg.inv(np.eye(len(scale)) + a.T @ a)
    mean = location + scale * (covariance @ (a.T @ r))
    summaries = {}
    for name, row in wanted.items():
        own = row * scale
        summaries[name] = normal_summary(row @ mean, np.sqrt(own @ covariance @ own))
    return summaries


def regression(
    x: np.ndarray, y: np.ndarray, location: np.ndarray, scale: np.ndarray, log_prior: LogDensity,
    sigma_range: tuple[float, float], size: int = 1200,
) -> tuple[list[Summary], Summary]:  # fmt: skip
    """Summaries of b and of sigma, where y ~ normal(x b, sigma), b ~ normal(location, scale), sigma ~ its prior."""
    u, s, vt = np.linalg.svd(x * scale, full_matrices=True)
    k = x.shape[1]
    s = np.pad(s, (0, k - len(s)))  # directions of which the rows say nothing
    r = y - x @ location
    seen = np.pad(u.T[: min(len(y), k)] @ r, (0, max(k - len(y), 0)))
    rest = max(float(r @ r - seen @ seen), 0.0) if len(y) <= k else float(np.sum((r - u[:, :k] @ seen) ** 2))
    grid = np.linspace(*np.log(sigma_range), size)
    sigma = np.exp(grid)
    total = sigma[:, None] ** 2 + s**2
    log_p = -0.5 * (np.log1p(s**2 / sigma[:, None] ** 2) + seen**2 / total).sum(axis=1)
    log_p += -len(y) * grid - 0.5 * rest / sigma**2 + log_prior(sigma) + grid
    weight = np.exp(log_p - logsumexp(log_p))
    if max(weight[0], weight[-1]) > 1e-10:
        raise ValueError(f"sigma_range {sigma_range} cuts off a part of the posterior: {weight[[0, -1]]}")
    basis = scale[:, None] * vt.T  # b = location + basis z
    means = location[:, None] + basis @ (s * seen / total).T
    variances = basis**2 @ (sigma[:, None] ** 2 / total).T
    return [mixture(weight, m, v) for m, v in zip(means, variances, strict=True)], on_grid(grid, weight)
