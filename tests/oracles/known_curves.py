"""What ``make_references.py`` writes: three short curves and their integrals, by quadrature over hyperparameters.

Estimates, integrals and the mean of the population are jointly normal given these. Kernels are integrated by Gauss and
Legendre's rule, and not in closed form. Nothing here uses the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from grouped_quadrature import mixture, on_grid
from known_posteriors import Reference, Rows, builds, frame, reference
from scipy import stats
from scipy.special import logsumexp

RAMPS = {"group": "run", "point": "lambda", "estimate": "slope", "standard_error": "se"}
LEVEL, RISE = (20.0, 15.0), (-20.0, 12.0)
LEVEL_SD, AMPLITUDE, LENGTH = 8.0, 10.0, (-0.9, 0.6)
PRIORS = {
    "level": "normal(20, 15)", "level_sd": "half_normal(8)", "amplitude": "half_normal(10)",
    "length_scale": "lognormal(-0.9, 0.6)",
}  # fmt: skip
LOWER, UPPER = -0.1, 1.05
WIDTH = UPPER - LOWER
LOG_SD, LOG_AMPLITUDE = np.linspace(-9, 4, 66), np.linspace(-7, 4.5, 70)
LOG_LENGTH = np.linspace(-0.9 - 6 * 0.6, -0.9 + 6 * 0.6, 60)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(80)
CHUNK = 4000
Kernel = Callable[[Any], Any]


def squared_exponential(u: Any) -> Any:
    return np.exp(-0.5 * u**2)


def matern_32(u: Any) -> Any:
    return (1 + np.sqrt(3) * u) * np.exp(-np.sqrt(3) * u)


def between(f: Callable[[Any], Any], low: float, high: float) -> Any:
    """The integral of a function whose last axis is of points."""
    half = (high - low) / 2
    return half * (f(low + half * (NODES + 1)) @ WEIGHTS)


def areas(kernel: Kernel, x: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of the correlation with each point, (G, n), and over both arguments, (G,)."""
    ell = length[:, None]
    one = [
        between(lambda t, x=x_: kernel(np.abs(x - t) / ell), LOWER, x_)
        + between(lambda t, x=x_: kernel(np.abs(x - t) / ell), x_, UPPER)
        for x_ in x
    ]  # fmt: skip
    return np.stack(one, axis=1), 2 * between(lambda u: (WIDTH - u) * kernel(u / ell), 0.0, WIDTH)


class Posterior:
    """Weights of points of the hyperparameters, and integrals and mu given each: with one curve for all rows, or not.

    ``axes`` are logarithms of the amplitude, the length scale and, where there is a population, of the sd of levels.
    """

    def __init__(self, rows: Any, kernel: Kernel, *axes: np.ndarray, one_curve: bool = False, line: bool = False):
        self.axes, points = axes, [a.ravel() for a in np.meshgrid(*axes, indexing="ij")]
        x, y, se = (rows[name].to_numpy(float) for name in ("lambda", "slope", "se"))
        run = np.zeros(len(rows)) if one_curve else rows["run"].to_numpy()
        self.names = list(dict.fromkeys(run))
        same = run[:, None] == run
        of = np.array([run == name for name in self.names])
        z = (x - (LOWER + UPPER) / 2) / WIDTH
        log_weight, self.mean, self.var = [], [], []
        prior = (
            stats.halfnorm.logpdf(np.exp(points[0]), 0, AMPLITUDE) + points[0] + stats.norm.logpdf(points[1], *LENGTH)
        )
        if len(points) > 2:
            prior = prior + stats.halfnorm.logpdf(np.exp(points[2]), 0, LEVEL_SD) + points[2]
        for part in np.array_split(np.arange(len(prior)), 1 + len(prior) // CHUNK):
            amplitude, length = (np.exp(p[part])[:, None, None] for p in points[:2])
            own = np.exp(points[2][part])[:, None, None] ** 2 if len(points) > 2 else np.zeros_like(amplitude)
            once, twice = areas(kernel, x, length[:, 0, 0])
            cov = LEVEL[1] ** 2 + same * (own + amplitude**2 * kernel(np.abs(x[:, None] - x) / length))
            cov = cov + (RISE[1] ** 2 * same * np.outer(z, z) if line else 0.0) + np.diag(se**2)
            mean = LEVEL[0] + (RISE[0] * z if line else 0.0 * z)
            # With each integral, then with mu, the mean of the population's.
            across = WIDTH * LEVEL[1] ** 2 + of * (WIDTH * own + (amplitude**2 * once[:, None]))
            across = np.concatenate([across, np.full((len(part), 1, len(x)), WIDTH * LEVEL[1] ** 2)], axis=1)
            spread = (WIDTH**2 * (LEVEL[1] ** 2 + own[:, 0]) + amplitude[:, 0] ** 2 * twice[:, None]) * np.ones(len(of))
            spread = np.concatenate([spread, np.full((len(part), 1), WIDTH**2 * LEVEL[1] ** 2)], axis=1)
            solved = np.linalg.solve(cov, np.concatenate([np.tile((y - mean)[:, None], (len(part), 1, 1)),
                                                          np.swapaxes(across, 1, 2)], axis=2))  # fmt: skip
            log_weight.append(-0.5 * solved[:, :, 0] @ (y - mean) - 0.5 * np.linalg.slogdet(cov)[1])
            self.mean.append(WIDTH * LEVEL[0] + np.einsum("gkn,n->gk", np.swapaxes(solved[:, :, 1:], 1, 2), y - mean))
            self.var.append(spread - np.einsum("gkn,gnk->gk", across, solved[:, :, 1:]))
        total = prior + np.concatenate(log_weight)
        self.weight = np.exp(total - logsumexp(total))

    def of_scale(self, axis: int) -> dict[str, float]:
        cube = self.weight.reshape([len(a) for a in self.axes])
        weight = cube.sum(axis=tuple(k for k in range(cube.ndim) if k != axis))
        if max(weight[0], weight[-1]) > 2e-4:
            raise ValueError(f"the grid cuts off a part of the posterior: {weight[[0, -1]]}")
        return on_grid(self.axes[axis], weight)

    def of_integral(self, k: int) -> dict[str, float]:
        """Of the k-th curve; of mu for k = -1."""
        return mixture(self.weight, np.concatenate(self.mean)[:, k], np.concatenate(self.var)[:, k])


def by_run(rows: Any, kernel: Kernel, *, line: bool = False) -> Rows:
    """No pooling: each curve by itself."""
    out: Rows = {}
    for name, own in rows.groupby("run"):
        posterior = Posterior(own, kernel, LOG_AMPLITUDE, LOG_LENGTH, line=line)
        out[f"theta[{name}]"] = posterior.of_integral(0)
        out |= {f"{n}_group[{name}]": posterior.of_scale(k) for k, n in enumerate(("amplitude", "length_scale"))}
    return out


def together(rows: Any) -> Rows:
    """Partial pooling of squared exponential curves about constants."""
    posterior = Posterior(rows, squared_exponential, LOG_AMPLITUDE, LOG_LENGTH, LOG_SD)
    scales = {name: posterior.of_scale(k) for k, name in enumerate(("amplitude", "length_scale", "level_sd"))}
    integrals = {f"theta[{name}]": posterior.of_integral(k) for k, name in enumerate(posterior.names)}
    return {"mu": posterior.of_integral(-1), **scales, **integrals}


@builds("ramps-quadrature")
def _() -> Reference:
    rows = frame("ramps.csv")
    one = Posterior(rows, squared_exponential, LOG_AMPLITUDE, LOG_LENGTH, one_curve=True)
    scales = {name: one.of_scale(k) for k, name in enumerate(("amplitude", "length_scale"))}
    return reference(
        "Three short curves and their integrals, squared exponential kernel", "quadrature",
        "normal given hyperparameters, trapezoidal rule over their logarithms; kernels integrated by Gauss-Legendre",
        "gp_integral", "ramps.csv", RAMPS, PRIORS,
        [(["complete_pooling"], {"mu": one.of_integral(0), **scales}),
         (["no_pooling"], by_run(rows, squared_exponential)), (["partial_pooling"], together(rows))],
        sampling={"draws": 4000, "adapt_delta": 0.98},
        integral={"lower": LOWER, "upper": UPPER, "kernel": "squared_exponential", "mean": "constant"},
    )  # fmt: skip


@builds("ramps-lines")
def _() -> Reference:
    return reference(
        "Three short curves about lines and their integrals, Matern 3/2 kernel, each by itself", "quadrature",
        "normal given hyperparameters, trapezoidal rule over their logarithms; kernels integrated by Gauss-Legendre",
        "gp_integral", "ramps.csv", RAMPS,
        {k: v for k, v in PRIORS.items() if k != "level_sd"} | {"slope": "normal(-20, 12)"},
        [(["no_pooling"], by_run(frame("ramps.csv"), matern_32, line=True))],
        sampling={"draws": 4000, "adapt_delta": 0.98},
        integral={"lower": LOWER, "upper": UPPER, "kernel": "matern_32", "mean": "linear"},
    )  # fmt: skip
