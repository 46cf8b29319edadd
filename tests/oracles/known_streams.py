"""What ``make_references.py`` writes: four villages with streams of three kinds, some of them missing, by quadrature.

Given how streams measure, a village's streams depend on its intensity alone: on one grid of intensities, the evidence
of a village is a product of two matrices, of its streams by how they measure and of its intensity by mu and tau. How
snails measure is taken as known. Nothing here uses the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import grid_quadrature as grids
import numpy as np
from known_posteriors import Reference, Rows, builds, frame, known, reference
from scipy import stats
from scipy.special import expit

COLUMNS = {
    "group": "village", "eggs": "eggs", "examined": "examined", "positive": "positive", "blood_tests": "tests",
    "sensitivity": "sensitivity", "specificity": "specificity", "infected": "infected", "snails": "snails",
}  # fmt: skip
CENTRE, ALPHA_SNAILS, BETA_SNAILS = 2.0, -1.2, 0.6
PRIORS = {
    "mu": "normal(2, 0.7)", "tau": "lognormal(-0.4, 0.4)", "alpha[blood]": "normal(0, 0.6)",
    "alpha[snails]": f"normal({ALPHA_SNAILS}, 0.0001)", "beta[blood]": "lognormal(-0.3, 0.4)",
    "beta[snails]": known(BETA_SNAILS), "overdispersion": "lognormal(0.4, 0.4)", "theta": "normal(2, 1.2)",
}  # fmt: skip
# Axes on which the priors are normal: location and scale. The last three are how streams measure.
AXES = {"mu": (2.0, 0.7), "tau": (-0.4, 0.4), "alpha[blood]": (0.0, 0.6), "beta[blood]": (-0.3, 0.4),
        "overdispersion[eggs]": (0.4, 0.4)}  # fmt: skip
LOGS = {"tau", "beta[blood]", "overdispersion[eggs]"}
STREAMS = ("alpha[blood]", "beta[blood]", "overdispersion[eggs]")
REACH, THETA = 4.8, np.linspace(-3.0, 7.0, 161)
# Nodes of an axis; with one axis less, on which posteriors are narrower, there may be more of them.
NODES = {"complete_pooling": (21, 121), "no_pooling": (25, 121), "partial_pooling": (15, 97)}  # coarse, fine


def axis(name: str, nodes: int) -> np.ndarray:
    """An even axis of a parameter, or of its log, over its prior."""
    location, scale = AXES[name]
    return location + scale * np.linspace(-REACH, REACH, nodes)


def streams_of(row: Any, measures: np.ndarray) -> np.ndarray:
    """p(streams of a village | theta) by how they measure (K, 3) and theta, (K, G)."""
    alpha, log_beta, log_od = (column[:, None] for column in measures.T)
    log_p = np.zeros((len(measures), len(THETA)))
    if np.isfinite(row.eggs):
        size, mean = row.examined * np.exp(-2 * log_od), row.examined * np.exp(THETA)
        log_p += stats.nbinom.logpmf(row.eggs, size, size / (size + mean))
    if np.isfinite(row.positive):
        p = expit(alpha + np.exp(log_beta) * (THETA - CENTRE))
        log_p += stats.binom.logpmf(row.positive, row.tests, row.sensitivity * p + (1 - row.specificity) * (1 - p))
    if np.isfinite(row.infected):
        log_p += stats.binom.logpmf(row.infected, row.snails, expit(ALPHA_SNAILS + BETA_SNAILS * (THETA - CENTRE)))
    return np.exp(log_p)


class Posterior:
    """Weights of all points of a grid, one axis of which is fine, and what they say of each village's intensity."""

    def __init__(self, variant: str, fine: str) -> None:
        self.variant = variant
        population = {"partial_pooling": ("mu", "tau"), "complete_pooling": ("mu",)}.get(variant, ())
        names = (*STREAMS, *population)
        self.axes = {name: axis(name, NODES[variant][1 if name == fine else 0]) for name in names}
        points = np.array(list(product(*(self.axes[name] for name in STREAMS))))
        outer = np.array(list(product(*(self.axes[name] for name in population))))
        self.inner = self._intensity(outer)
        self.rows = {row.village: row for row in frame("streams.csv").itertuples()}
        self.given = {name: streams_of(row, points) for name, row in self.rows.items()}
        self.evidence = {name: given @ self.inner for name, given in self.given.items()}
        prior = self._prior(points, STREAMS)[:, None] + self._prior(outer, population)[None]
        log_weight = prior + sum(np.log(np.maximum(own, 1e-300)) for own in self.evidence.values())
        self.weight = np.exp(log_weight - log_weight.max())
        self.weight /= self.weight.sum()

    def _intensity(self, outer: np.ndarray) -> np.ndarray:
        """The probability of each node of theta by population, (G, B)."""
        if self.variant == "complete_pooling":  # a certain intensity, between two nodes by the cubic of Lagrange
            return np.array([_lagrange(mu) for (mu,) in outer]).T
        mean, sd = (outer[:, 0], np.exp(outer[:, 1])) if outer.shape[1] else (np.array([2.0]), np.array([1.2]))
        return stats.norm.pdf(THETA[:, None], mean, sd) * (THETA[1] - THETA[0])

    def _prior(self, points: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
        return sum((stats.norm.logpdf(points[:, k], *AXES[n]) for k, n in enumerate(names)), np.zeros(len(points)))

    def parameter(self, name: str) -> dict[str, float]:
        """Mean, sd and quantiles of a parameter: the others are summed over."""
        cube = self.weight.reshape([len(nodes) for nodes in self.axes.values()])
        own = list(self.axes).index(name)
        marginal = cube.sum(axis=tuple(k for k in range(cube.ndim) if k != own))
        return grids.of_axis(self.axes[name], marginal, np.exp if name in LOGS else np.asarray)

    def theta(self, name: str) -> dict[str, float]:
        """The same of a village's intensity."""
        share = self.weight / np.maximum(self.evidence[name], 1e-300)
        weight = (self.given[name] * (share @ self.inner.T)).sum(axis=0)
        return grids.of_axis(THETA, weight / weight.sum(), np.asarray)


def _lagrange(at: float) -> np.ndarray:
    """Weights of the nodes of theta that give a smooth function's value at a point, (G,): six nodes about it."""
    step = THETA[1] - THETA[0]
    first = int(np.clip(np.floor((at - THETA[0]) / step) - 2, 0, len(THETA) - 6))
    nodes, weights = THETA[first : first + 6], np.zeros(len(THETA))
    for k, node in enumerate(nodes):
        others = np.delete(nodes, k)
        weights[first + k] = np.prod((at - others) / (node - others))
    return weights


def summaries(variant: str) -> Rows:
    population: Mapping[str, tuple[str, ...]] = {"partial_pooling": ("mu", "tau"), "complete_pooling": ("mu",)}
    names = (*population.get(variant, ()), *STREAMS)
    rows = {name: Posterior(variant, name).parameter(name) for name in names}
    if variant == "complete_pooling":
        return rows
    coarse = Posterior(variant, "")
    return rows | {f"theta[{name}]": coarse.theta(name) for name in coarse.rows}


@builds("streams-quadrature")
def _() -> Reference:
    return reference(
        "Four villages with streams of three kinds, some of them missing", "quadrature",
        "trapezoidal rule over how eggs and blood measure, mu, log tau and the intensities", "joint_infection",
        "streams.csv", COLUMNS, PRIORS,
        [([*variants], summaries(variants[0])) for variants in
         (("complete_pooling",), ("no_pooling",),
          ("partial_pooling", "partial_pooling_noncentered", "partial_pooling_centered"))],
        sampling={"draws": 5000, "adapt_delta": 0.99},
    )  # fmt: skip
