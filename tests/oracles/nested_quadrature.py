"""The posterior of balanced nested data by quadrature: SciPy only, nothing of hbm_stan and nothing of Stan.

With equally many units a group and rows a unit three sums of squares are sufficient (the nested analysis of variance).
Given the three scales, mu is normal; what remains is an integral over their logarithms.
"""

from __future__ import annotations

import numpy as np
from grouped_quadrature import LogDensity, mixture, on_grid
from scipy.special import logsumexp


def exact(
    y: np.ndarray, log_priors: tuple[LogDensity, LogDensity, LogDensity], mu: tuple[float, float],
    ranges: tuple[tuple[float, float], ...], size: tuple[int, int, int] = (180, 60, 50),
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Summaries of mu, tau, tau_unit and sigma for ``y`` of shape (groups, units, rows)."""
    n_groups, units, rows = y.shape
    of_units = y.mean(axis=2)
    of_groups = of_units.mean(axis=1)
    error = np.sum((y - of_units[:, :, None]) ** 2)
    between_units = np.sum((of_units - of_groups[:, None]) ** 2)
    logs = [np.linspace(*np.log(r), n) for r, n in zip(ranges, size, strict=True)]
    tau, tau_unit, sigma = (a.ravel() for a in np.meshgrid(*(np.exp(u) for u in logs), indexing="ij"))
    unit = tau_unit**2 + sigma**2 / rows
    v = (tau**2 + unit / units) / n_groups  # of the mean of all rows
    log_p = -0.5 * ((n_groups - 1) * np.log(v) + np.sum((of_groups - of_groups.mean()) ** 2) / (n_groups * v))
    log_p += -0.5 * (n_groups * (units - 1) * np.log(unit) + between_units / unit)
    log_p += -0.5 * (n_groups * units * (rows - 1) * np.log(sigma**2) + error / sigma**2)
    log_p += -0.5 * (np.log(v + mu[1] ** 2) + (of_groups.mean() - mu[0]) ** 2 / (v + mu[1] ** 2))
    for log_prior, x in zip(log_priors, (tau, tau_unit, sigma), strict=True):
        log_p += log_prior(x) + np.log(x)
    weight = np.exp(log_p - logsumexp(log_p))
    own = mu[1] ** 2 / (mu[1] ** 2 + v)
    summaries = {"mu": mixture(weight, mu[0] + own * (of_groups.mean() - mu[0]), own * v)}
    grid = weight.reshape(size)
    for axis, name in enumerate(("tau", "tau_unit", "sigma")):
        summaries[name] = on_grid(logs[axis], grid.sum(axis=tuple({0, 1, 2} - {axis})))
    return summaries
