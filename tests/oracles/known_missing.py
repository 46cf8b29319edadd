"""What ``make_references.py`` writes: three wards, some of whose scores nobody saw, in both forms, by quadrature.

The sd of rows is known. In the pattern mixture what was seen says nothing of delta: closed forms, and the probit of
being unseen by one grid. In the selection model given the probit and the population each ward is one integral: its seen
scores make its value normal, over which the probability that the others are unseen is averaged. Nothing here uses the
package.
"""

from __future__ import annotations

import math
from typing import Any

import grid_quadrature as grids
import numpy as np
from known_posteriors import KNOWN, Reference, Rows, builds, frame, known, of, reference
from scipy import stats
from scipy.special import log_ndtr, logsumexp

WARDS = {"group": "ward", "outcome": "score"}
SIGMA, DELTA = 1.2, -0.5
CENTRE = 2.6  # of the nine scores that were seen, rounded as the family does: their sd is 1.3
PRIORS = {
    "mu": "normal(1, 2)",
    "tau": "half_normal(1.5)",
    "sigma": known(SIGMA),
    "eta": "normal(-0.3, 0.8)",
    "theta": "normal(1, 3)",
}
MU, LOG_TAU, ETA = np.linspace(-6, 10, 81), np.linspace(-7, 2.3, 81), np.linspace(-3, 2.4, 61)
AT, WEIGHT = np.polynomial.hermite_e.hermegauss(41)
WEIGHT = WEIGHT / WEIGHT.sum()


class Wards:
    """Seen scores and the number unseen of each ward, in the order in which wards appear."""

    def __init__(self) -> None:
        given = frame("wards.csv")
        self.names = list(dict.fromkeys(given["ward"]))
        self.seen = [given.loc[(given["ward"] == w) & given["score"].notna(), "score"].to_numpy() for w in self.names]
        self.unseen = [int(given.loc[given["ward"] == w, "score"].isna().sum()) for w in self.names]
        self.every = np.concatenate(self.seen)
        assert round(float(np.mean(self.every)), 1) == CENTRE

    def nodes(self, j: int, location: Any, scale: Any, eta: Any) -> tuple[Any, Any]:
        """Values of a ward at nodes, (..., nodes), and their log weights, whose sum is p(scores, who was seen)."""
        y = self.seen[j]
        location, scale, eta = (
            np.asarray(v, dtype=float)[..., None] for v in np.broadcast_arrays(location, scale, eta)
        )
        # p(mean of scores), and what is left of them about it; then the value given them.
        spread = np.sqrt(scale**2 + SIGMA**2 / len(y))
        log_p = stats.norm.logpdf(y.mean(), location, spread) + self._about(y)
        precision = scale**-2.0 + len(y) / SIGMA**2
        centre = (location / scale**2 + y.sum() / SIGMA**2) / precision
        value = centre + AT / np.sqrt(precision)
        log_p = log_p + np.log(WEIGHT) + log_ndtr(-eta[..., None] - DELTA * (y - CENTRE)).sum(axis=-1)
        probit = (eta + DELTA * (value - CENTRE)) / math.sqrt(1 + (DELTA * SIGMA) ** 2)
        return value, log_p + self.unseen[j] * log_ndtr(probit)

    @staticmethod
    def _about(y: np.ndarray) -> float:
        """The log density of scores less that of their mean, which does not depend on their location."""
        whole = stats.norm.logpdf(y, y.mean(), SIGMA).sum()
        return float(whole - stats.norm.logpdf(0, 0, SIGMA / math.sqrt(len(y))))


def of_values(parts: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    """Summary of values with log weights."""
    value, log_p = (np.concatenate([np.ravel(part[k]) for part in parts]) for k in (0, 1))
    return grids.of_points(value, np.exp(log_p - log_p.max()))


def partial() -> Rows:
    wards = Wards()
    mu, log_tau, eta = (a.ravel() for a in np.meshgrid(MU, LOG_TAU, ETA, indexing="ij"))
    tau = np.exp(log_tau)
    prior = stats.norm.logpdf(mu, 1, 2) + stats.halfnorm.logpdf(tau, 0, 1.5) + log_tau
    log_p = prior + stats.norm.logpdf(eta, -0.3, 0.8)
    chunks = np.array_split(np.arange(len(mu)), 60)
    evidence = np.concatenate([
        np.stack([logsumexp(wards.nodes(j, mu[c], tau[c], eta[c])[1], axis=-1) for j in range(3)], axis=1)
        for c in chunks
    ])  # fmt: skip
    log_p = log_p + evidence.sum(axis=1)
    weight = np.exp(log_p - logsumexp(log_p))
    cube = weight.reshape(len(MU), len(LOG_TAU), len(ETA))
    rows = {
        "mu": grids.of_axis(MU, cube.sum(axis=(1, 2)), np.asarray),
        "tau": grids.of_axis(LOG_TAU, cube.sum(axis=(0, 2)), np.exp),
        "eta[intercept]": grids.of_axis(ETA, cube.sum(axis=(0, 1)), np.asarray),
    }
    heavy = np.flatnonzero(weight > 1e-9 * weight.max())
    for j, name in enumerate(wards.names):
        value, own = wards.nodes(j, mu[heavy], tau[heavy], eta[heavy])
        rows[f"theta[{name}]"] = of_values([(value, own - evidence[heavy, j, None] + log_p[heavy, None])])
    return rows


def alone() -> tuple[Rows, Rows]:
    """Complete pooling, over mu and the probit; and no pooling, over the probit and one value of each ward."""
    wards, fine = Wards(), np.linspace(-3, 2.4, 1201)
    mu, eta = np.linspace(-1, 6, 701), np.linspace(-3, 2.4, 541)
    log_p = stats.norm.logpdf(mu, 1, 2)[:, None] + stats.norm.logpdf(eta, -0.3, 0.8)
    log_p = log_p + stats.norm.logpdf(wards.every[:, None], mu, SIGMA).sum(axis=0)[:, None]
    log_p = log_p + log_ndtr(-eta - DELTA * (wards.every[:, None] - CENTRE)).sum(axis=0)
    probit = (eta + DELTA * (mu[:, None] - CENTRE)) / math.sqrt(1 + (DELTA * SIGMA) ** 2)
    log_p = log_p + sum(wards.unseen) * log_ndtr(probit)
    weight = np.exp(log_p - logsumexp(log_p))
    together = {
        "mu": grids.of_axis(mu, weight.sum(axis=1), np.asarray),
        "eta[intercept]": grids.of_axis(eta, weight.sum(axis=0), np.asarray),
    }
    nodes = [wards.nodes(j, np.full(len(fine), 1.0), 3.0, fine) for j in range(3)]
    evidence = np.stack([logsumexp(own, axis=-1) for _, own in nodes])
    log_eta = stats.norm.logpdf(fine, -0.3, 0.8) + evidence.sum(axis=0)
    weight = np.exp(log_eta - logsumexp(log_eta))
    own_rows = {"eta[intercept]": grids.of_axis(fine, weight, np.asarray)}
    value = np.linspace(-3, 8, 1101)  # with a fixed prior nodes are the same for every probit: an even grid instead
    for j, name in enumerate(wards.names):
        y = wards.seen[j]
        log_p = stats.norm.logpdf(value, 1, 3) + stats.norm.logpdf(y[:, None], value, SIGMA).sum(axis=0)
        unseen = (fine[:, None] + DELTA * (value - CENTRE)) / math.sqrt(1 + (DELTA * SIGMA) ** 2)
        log_p = log_p + wards.unseen[j] * log_ndtr(unseen)
        density = weight @ np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
        own_rows[f"theta[{name}]"] = grids.of_axis(value, density, np.asarray)
    return together, own_rows


@builds("wards-selection")
def _() -> Reference:
    together, own = alone()
    return reference(
        "Three wards, whose low scores are the missing ones", "quadrature",
        f"trapezoidal rule over mu, log tau and eta, Gauss-Hermite over the value of each ward. {KNOWN}",
        "missing_outcomes", "wards.csv", WARDS, PRIORS,
        [(["complete_pooling"], together), (["no_pooling"], own), (["partial_pooling"], partial())],
        sampling={"draws": 5000}, missing={"form": "selection", "delta": DELTA},
    )  # fmt: skip


def _conjugate(y: np.ndarray, location: float, scale: float) -> dict[str, float]:
    precision = scale**-2 + len(y) / SIGMA**2
    return of(stats.norm((location / scale**2 + y.sum() / SIGMA**2) / precision, precision**-0.5))


@builds("wards-pattern")
def _() -> Reference:
    wards, eta = Wards(), np.linspace(-3, 2.4, 1201)
    log_p = stats.norm.logpdf(eta, -0.3, 0.8) + len(wards.every) * log_ndtr(-eta) + sum(wards.unseen) * log_ndtr(eta)
    probit = {"eta[intercept]": grids.of_axis(eta, np.exp(log_p - logsumexp(log_p)), np.asarray)}
    own = {f"theta[{name}]": _conjugate(wards.seen[j], 1, 3) for j, name in enumerate(wards.names)}
    return reference(
        "Three wards, whose missing scores are shifted", "quadrature",
        f"conjugate normal values, which no shift moves, and the trapezoidal rule over eta. {KNOWN}",
        "missing_outcomes", "wards.csv", WARDS, PRIORS,
        [(["complete_pooling"], {"mu": _conjugate(wards.every, 1, 2), **probit}), (["no_pooling"], {**own, **probit})],
        sampling={"draws": 5000}, missing={"form": "pattern_mixture", "delta": -1.5},
    )  # fmt: skip
