"""What ``make_references.py`` writes: seven events measured with error, and six given as samples, by quadrature.

Events are seen with the probability 0.1 + 0.9 x, straight in their value x: the share of a population with the mean mu
that is seen is then 0.1 + 0.9 mu, whatever its spread. Integrals over beta(a, b) are by Gauss-Jacobi quadrature, whose
weight function is that density; values of events are on a grid of their log odds. Nothing here uses the package.
"""

from __future__ import annotations

from typing import Any

import grid_quadrature as grids
import numpy as np
from known_posteriors import Reference, Rows, builds, frame, reference
from scipy import stats
from scipy.special import betaln, expit, roots_jacobi

MERGERS = {"group": "merger", "estimate": "spin", "standard_error": "error"}
SAMPLES = {"group": "merger", "sample": "spin", "prior_density": "prior"}
PRIORS = {"mu": "beta(2, 3)", "kappa": "lognormal(2, 0.8)", "theta": "beta(1.5, 2)"}
START = (-0.7, 2.0)  # logit mu, log kappa
NODES, REACH, JACOBI = 151, 12.0, 90
LARGEST = 1000.0  # of kappa, six sds of its prior out: beyond, weights of Gauss-Jacobi are no numbers
LOG_ODDS = np.linspace(-30, 14, 6001)


def seen(x: Any) -> Any:
    return 0.1 + 0.9 * x


def log_prior(point: np.ndarray) -> float:
    """Of logit mu and log kappa, Jacobians included."""
    mu, kappa = expit(point[0]), np.exp(point[1])
    jacobian = np.log(mu * (1 - mu)) + point[1]
    return float(stats.beta.logpdf(mu, 2, 3) + stats.lognorm.logpdf(kappa, 0.8, scale=np.exp(2)) + jacobian)


def shapes(point: np.ndarray) -> tuple[float, float]:
    mu, kappa = expit(point[0]), np.exp(point[1])
    return float(mu * kappa), float((1 - mu) * kappa)


def log_estimates(point: np.ndarray) -> float:
    """log p(estimates | population, seen): of each event the mean of normal density and chance to be seen."""
    given = frame("mergers.csv")
    a, b = shapes(point)
    if a + b > LARGEST:
        return -np.inf
    nodes, weights = roots_jacobi(JACOBI, b - 1, a - 1)
    x = (nodes + 1) / 2
    means = [weights @ (stats.norm.pdf(r.spin, x, r.error) * seen(x)) / weights.sum() for r in given.itertuples()]
    return float(np.sum(np.log(means)) - len(given) * np.log(seen(a / (a + b))))


def log_samples(point: np.ndarray) -> float:
    """log of the mean over samples of population density over prior density, an event at a time, over what is seen."""
    a, b = shapes(point)
    given = frame("merger_samples.csv")
    ratio = stats.beta.pdf(given["spin"], a, b) / given["prior"]
    means = ratio.groupby(given["merger"], sort=False).mean()
    return float(np.sum(np.log(means)) - len(means) * np.log(seen(a / (a + b))))


def posterior(log_likelihood: Any) -> tuple[Rows, np.ndarray, np.ndarray]:
    """mu and kappa, points of both, (2, M), and their weights (M,)."""

    def log_density(points: np.ndarray) -> np.ndarray:
        return np.array([log_prior(point) + log_likelihood(point) for point in points.T])

    mu, kappa = grids.summaries(log_density, START, (expit, np.exp), NODES, REACH)
    grid = grids.grid(log_density, START, 0, NODES, REACH)
    few = grid.weight > 1e-12 * grid.weight.max()
    return {"mu": mu, "kappa": kappa}, grid.points[:, few], grid.weight[few] / grid.weight[few].sum()


def log_population(a: Any, b: Any) -> np.ndarray:
    """The log density of beta(a, b) over log odds."""
    return a * -np.logaddexp(0, -LOG_ODDS) + b * -np.logaddexp(0, LOG_ODDS) - betaln(a, b)


def values_given(points: np.ndarray, weight: np.ndarray) -> Rows:
    """theta of each event with an estimate, mixed over the population."""
    x, rows = expit(LOG_ODDS), {}
    for event in frame("mergers.csv").itertuples():
        own = stats.norm.pdf(event.spin, x, event.error) * seen(x)
        total = np.zeros(len(x))
        for point, w in zip(points.T, weight, strict=True):
            density = np.exp(log_population(*shapes(point))) * own
            total += w * density / density.sum()
        rows[f"theta[{event.merger}]"] = grids.of_axis(LOG_ODDS, total, expit)
    return rows


def values_of_samples(points: np.ndarray, weight: np.ndarray) -> Rows:
    """theta of each event with samples: one of these, by its weight."""
    given, rows = frame("merger_samples.csv"), {}
    for merger, own in given.groupby("merger", sort=False):
        total = np.zeros(len(own))
        for point, w in zip(points.T, weight, strict=True):
            ratio = stats.beta.pdf(own["spin"], *shapes(point)) / own["prior"].to_numpy()
            total += w * ratio / ratio.sum()
        mean = float(total @ own["spin"])
        rows[f"theta[{merger}]"] = {"mean": mean, "sd": float(np.sqrt(total @ (own["spin"] - mean) ** 2))}
    return rows


def one_by_one() -> tuple[Rows, Rows]:
    """mu of complete pooling, and theta of each event without pooling."""
    given, x = frame("mergers.csv"), expit(LOG_ODDS)
    own = {r.merger: stats.norm.logpdf(r.spin, x, r.error) for r in given.itertuples()}

    def summary(a: float, b: float, log_likelihood: Any) -> dict[str, float]:
        log_density = log_population(a, b) + log_likelihood
        weight = np.exp(log_density - log_density.max())
        return grids.of_axis(LOG_ODDS, weight / weight.sum(), expit)

    theta = {f"theta[{name}]": summary(1.5, 2, log_p) for name, log_p in own.items()}
    return {"mu": summary(2, 3, sum(own.values()))}, theta


@builds("mergers-quadrature")
def _() -> Reference:
    shared, own = one_by_one()
    population, points, weight = posterior(log_estimates)
    return reference(
        "Seven mergers with estimates of their spins, large ones seen more", "quadrature",
        "Gauss-Jacobi over values of events, trapezoidal rule over logit mu, log kappa and log odds of values",
        "event_population", "mergers.csv", MERGERS, PRIORS,
        [(["complete_pooling"], shared), (["no_pooling"], own),
         (["partial_pooling"], population | values_given(points, weight))],
        sampling={"draws": 5000, "adapt_delta": 0.95}, selection="mergers_seen.csv",
    )  # fmt: skip


@builds("merger_samples-quadrature")
def _() -> Reference:
    population, points, weight = posterior(log_samples)
    return reference(
        "Six mergers with samples of their spins, large ones seen more", "quadrature",
        "sums over samples, trapezoidal rule over logit mu and log kappa", "event_population", "merger_samples.csv",
        SAMPLES, PRIORS, [(["partial_pooling"], population | values_of_samples(points, weight))],
        sampling={"draws": 5000, "adapt_delta": 0.95}, selection="mergers_seen.csv",
    )  # fmt: skip
