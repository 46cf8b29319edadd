"""What ``make_references.py`` writes: seven events measured with error, and six given as samples, by quadrature.

Events are seen with the probability 0.1 + 0.9 x, straight in their value x: the share of a population with the mean mu
that is seen is then 0.1 + 0.9 mu, whatever its spread. Integrals over beta(a, b) are by Gauss-Jacobi quadrature, whose
weight function is that density; values of events are on a grid of their log odds. Nothing here uses the package.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import grid_quadrature as grids
import numpy as np
from known_posteriors import Reference, Rows, builds, reference
from known_posteriors import frame as read_frame
from scipy import stats
from scipy.special import betaln, expit, roots_jacobi

MERGERS = {"group": "merger", "estimate": "spin", "standard_error": "error"}
SAMPLES = {"group": "merger", "sample": "spin", "prior_density": "prior"}
PRIORS = {"mu": "beta(2, 3)", "kappa": "lognormal(2, 0.8)", "theta": "beta(1.5, 2)"}
# Log kappa ends six sds of its prior out: beyond, weights of Gauss-Jacobi are no numbers.
LOGIT_MU, LOG_KAPPA, JACOBI = np.linspace(-6.5, 4.5, 155), np.linspace(-2.8, 6.8, 121), 80
LOG_ODDS = np.linspace(-30, 14, 3001)


frame = cache(read_frame)


def seen(x: Any) -> Any:
    return 0.1 + 0.9 * x


def log_prior(point: np.ndarray) -> float:
    """Of logit mu and log kappa, Jacobians included, to a constant."""
    mu, kappa = expit(point[0]), np.exp(point[1])
    jacobian = np.log(mu * (1 - mu)) + point[1]
    log_normal = -0.5 * ((point[1] - 2) / 0.8) ** 2 - np.log(kappa)
    return float(np.log(mu) + 2 * np.log(1 - mu) + log_normal + jacobian)


def shapes(point: np.ndarray) -> tuple[float, float]:
    mu, kappa = expit(point[0]), np.exp(point[1])
    return float(mu * kappa), float((1 - mu) * kappa)


def log_estimates(point: np.ndarray) -> float:
    """log p(estimates | population, seen): of each event the mean of normal density and chance to be seen."""
    given = frame("mergers.csv")
    a, b = shapes(point)
    nodes, weights = roots_jacobi(JACOBI, b - 1, a - 1)
    x = (nodes + 1) / 2
    y, error = given["spin"].to_numpy()[:, None], given["error"].to_numpy()[:, None]
    means = (np.exp(-0.5 * ((y - x) / error) ** 2) / error * seen(x)) @ weights / weights.sum()
    return float(np.sum(np.log(means)) - len(given) * np.log(seen(a / (a + b))))


def log_samples(point: np.ndarray) -> float:
    """log of the mean over samples of population density over prior density, an event at a time, over what is seen."""
    a, b = shapes(point)
    given = frame("merger_samples.csv")
    ratio = np.exp((a - 1) * np.log(given["spin"]) + (b - 1) * np.log(1 - given["spin"]) - betaln(a, b))
    means = (ratio / given["prior"]).groupby(given["merger"], sort=False).mean()
    with np.errstate(divide="ignore"):  # where a narrow population is far from all samples of an event
        return float(np.sum(np.log(means)) - len(means) * np.log(seen(a / (a + b))))


def posterior(log_likelihood: Any) -> tuple[Rows, np.ndarray, np.ndarray]:
    """mu and kappa, points of both, (2, M), and their weights (M,)."""

    points = np.stack([axis.ravel() for axis in np.meshgrid(LOGIT_MU, LOG_KAPPA, indexing="ij")])
    log_p = np.array([log_prior(point) + log_likelihood(point) for point in points.T])
    weight = np.exp(log_p - log_p.max())
    table = weight.reshape(len(LOGIT_MU), -1) / weight.sum()
    mu = grids.of_axis(LOGIT_MU, table.sum(axis=1), expit)
    kappa = grids.of_axis(LOG_KAPPA, table.sum(axis=0), np.exp)
    few = weight > 1e-9 * weight.max()
    return {"mu": mu, "kappa": kappa}, points[:, few], weight[few] / weight[few].sum()


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
    population, _, _ = posterior(log_samples)
    return reference(
        "Six mergers with samples of their spins, large ones seen more", "quadrature",
        "sums over samples, trapezoidal rule over logit mu and log kappa", "event_population", "merger_samples.csv",
        SAMPLES, PRIORS, [(["partial_pooling"], population)],
        sampling={"draws": 5000, "adapt_delta": 0.95}, selection="mergers_seen.csv",
    )  # fmt: skip
