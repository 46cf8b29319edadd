"""Posteriors of ordered categories: in closed form where rows share all, by quadrature where groups differ.

Three categories of wine's ratings, so that a grid over both thresholds and the sd of groups is fine enough.
"""

from __future__ import annotations

from collections.abc import Iterator

import grid_quadrature
import numpy as np
from known_posteriors import PARTIAL, Reference, builds, frame, reference
from scipy.special import digamma, log_expit, logit, polygamma
from scipy.stats import beta, norm

DATASET, FORMULA, CONCENTRATION = "wine_three.csv", "rating ~ 1 + (1 | judge)", 2.0
TAU = (-0.4, 0.5)  # log-normal: no mass at scales that are not far above the step of theta
WIDE = 3.0  # the sd of a group without pooling
THETA = np.linspace(-11, 11, 221)
NAMES = ("threshold[1|2]", "threshold[2|3]")
# Nodes of an axis, and sds on either side: thresholds have tails of an exponential distribution.
GRIDS = {False: (161, 12.0), True: (89, 11.0)}
CHUNK = 4_000  # points of a grid at once: so many integrals over theta in each group


def log_odds_of(a: float, b: float) -> dict[str, float]:
    """Summary of the log odds of a share that is beta(a, b)."""
    moments = {"mean": float(digamma(a) - digamma(b)), "sd": float(np.sqrt(polygamma(1, a) + polygamma(1, b)))}
    return moments | {q: float(logit(beta(a, b).ppf(p))) for q, p in grid_quadrature.QUANTILES.items()}


def ends(points: np.ndarray, lower: bool) -> tuple[np.ndarray, np.ndarray]:
    """Both thresholds, (M,) each, from one (the lower or the other) and the log of their distance."""
    gap = np.exp(points[1])
    return (points[0], points[0] + gap) if lower else (points[0] - gap, points[0])


def log_shares(low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
    """Of three categories between thresholds less eta; never log(0)."""
    return [log_expit(low), log_expit(high) + log_expit(-low) + np.log(-np.expm1(low - high)), log_expit(-high)]


def log_prior(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Shares at 0 are dirichlet(a, a, a); each threshold moves the share below it by its logistic density."""
    slopes = sum(log_expit(end) + log_expit(-end) for end in (low, high))
    return np.asarray((CONCENTRATION - 1) * sum(log_shares(low, high)) + slopes)


class Groups:
    """Groups whose intercepts are normal about 0 with the sd tau, or a known one where they are not pooled."""

    def __init__(self, counts: np.ndarray, pooled: bool) -> None:
        self.counts, self.pooled = counts, pooled  # of the categories in each group, (J, 3)
        self.start = (-1.0, 0.5, -0.4) if pooled else (-1.0, 0.5)

    def densities(self, points: np.ndarray, lower: bool) -> Iterator[np.ndarray]:
        """p(rows of a group, theta | the rest), (number of theta, M), group by group."""
        low, high = (end - THETA[:, None] for end in ends(points, lower))
        log_p = np.array(log_shares(low, high))
        spread = norm.pdf(THETA[:, None], 0, np.exp(points[2]) if self.pooled else WIDE)
        for counts in self.counts:
            yield np.exp(np.tensordot(counts, log_p, axes=1)) * spread

    def log_density(self, points: np.ndarray, lower: bool = True) -> np.ndarray:
        """Of a threshold, the log of the distance to the other, and log tau."""
        log_joint = log_prior(*ends(points, lower)) + points[1]
        log_joint += norm.logpdf(points[2], *TAU) if self.pooled else 0.0
        for density in self.densities(points, lower):
            log_joint += np.log(density.sum(axis=0))
        return np.asarray(log_joint)

    def grid(self, first: int, lower: bool = True) -> grid_quadrature.Grid:
        def log_density(points: np.ndarray) -> np.ndarray:
            parts = np.array_split(points, 1 + points.shape[1] // CHUNK, axis=1)
            return np.concatenate([self.log_density(part, lower) for part in parts])

        return grid_quadrature.grid(log_density, self.start, first, *GRIDS[self.pooled])

    def summaries(self, labels: list[str]) -> dict[str, dict[str, float]]:
        """Of both thresholds, of tau where groups are pooled, and of the intercept of each group."""
        summaries = {}
        for name, lower in zip(NAMES, (True, False), strict=True):
            grid = self.grid(0, lower)
            summaries[name] = grid_quadrature.of_axis(grid.axis, grid.marginal, lambda x: x)
        grid = self.grid(2 if self.pooled else 0)
        if self.pooled:
            summaries["tau[intercept]"] = grid_quadrature.of_axis(grid.axis, grid.marginal, np.exp)
        theta = np.zeros((len(self.counts), len(THETA)))
        keep = grid.weight > 1e-10 * grid.weight.max()
        pieces = 1 + int(keep.sum()) // CHUNK
        for part in np.array_split(np.flatnonzero(keep), pieces):
            for j, density in enumerate(self.densities(grid.points[:, part], True)):
                theta[j] += density @ (grid.weight[part] / density.sum(axis=0))
        rows = {f"theta[{label}, intercept]": row for label, row in zip(labels, theta, strict=True)}
        return summaries | {n: grid_quadrature.of_axis(THETA, row / row.sum(), lambda x: x) for n, row in rows.items()}


@builds("wine_three-ordered")
def _() -> Reference:
    given = frame(DATASET)
    labels = list(dict.fromkeys(given["judge"]))
    counts = np.array([[((given["judge"] == j) & (given["rating"] == k)).sum() for k in (1, 2, 3)] for j in labels])
    n = counts.sum(axis=0) + CONCENTRATION
    together = {name: log_odds_of(n[: k + 1].sum(), n[k + 1 :].sum()) for k, name in enumerate(NAMES)}
    named = [str(label) for label in labels]
    return reference(
        "Wine in three categories, log odds of one population", "quadrature",
        "closed form where judges are alike: shares are Dirichlet; else the trapezoidal rule over thresholds, log tau "
        "and the intercept of each judge",
        "cumulative", DATASET, {},
        {"threshold": f"dirichlet({CONCENTRATION:g})", "theta": f"normal(0, {WIDE:g})",
         "tau": f"lognormal({TAU[0]:g}, {TAU[1]:g})"},
        [(["complete_pooling"], together), (["no_pooling"], Groups(counts, False).summaries(named)),
         (PARTIAL, Groups(counts, True).summaries(named))],
        formula=FORMULA,
    )  # fmt: skip
