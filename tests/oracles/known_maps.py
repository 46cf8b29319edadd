"""What ``make_references.py`` writes: three villages, two of them neighbours and one an island, by quadrature.

For two neighbours the generalised inverse of the precision is [[1, -1], [-1, 1]] / 4, with variances of 1/4: scaled,
their structured effects are z and -z of one standard normal z. Both have then the sd tau, and the correlation -rho. The
island has the sd tau and is independent of them. Nothing here uses the package.
"""

from __future__ import annotations

from typing import Any

import grid_quadrature as grids
import numpy as np
from gaussian_quadrature import QUANTILES
from known_posteriors import Reference, Rows, builds, frame, reference
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, gammaln, logsumexp

VILLAGES = {"group": "village", "count": "cases", "expected": "expected"}
PRIORS = {"mu": "normal(0, 1)", "tau": "half_normal(1)", "rho": "beta(2, 2)", "theta": "normal(0.2, 1.5)"}
MU, LOG_TAU, LOGIT_RHO = np.linspace(-3.1, 3.5, 67), np.linspace(-8, 2.0, 75), np.linspace(-8, 8, 55)
# The trapezoidal rule about the mode of theta: nodes of the village that is asked of, and of its neighbour.
OWN, BESIDE, REACH = 81, 25, 7.0
CHUNK = 2000


def log_poisson(theta: Any, row: tuple[float, float]) -> Any:
    y, expected = row
    return y * (np.log(expected) + theta) - expected * np.exp(theta) - gammaln(y + 1)


def given_normal(row: tuple[float, float], mean: Any, sd: Any, nodes: int) -> tuple[Any, Any, Any]:
    """theta of one village at even nodes about its mode, (..., nodes), log density there, and the spacing (..., 1)."""
    y, expected = row
    mean, sd = (np.asarray(value, dtype=float)[..., None] for value in np.broadcast_arrays(mean, sd))
    theta = np.maximum(mean, np.log(y / expected))  # right of the mode, from where Newton's steps never leave it
    for _ in range(100):
        rate = expected * np.exp(theta)
        step = (y - rate - (theta - mean) / sd**2) / (rate + sd**-2.0)
        theta = theta + step
        if np.abs(step).max() < 1e-9:
            break
    spacing = 2 * REACH / (nodes - 1) * (expected * np.exp(theta) + sd**-2.0) ** -0.5
    at = theta + spacing * (np.arange(nodes) - (nodes - 1) / 2)
    return at, log_poisson(at, row) - 0.5 * ((at - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2 * np.pi), spacing


class Posterior:
    """Weights of points of mu, log tau and logit rho, and the distribution of theta of each village at each point."""

    def __init__(self, *, spatial: bool) -> None:
        given = frame("villages.csv")
        self.rows = {r.village: (float(r.cases), float(r.expected)) for r in given.itertuples()}
        self.spatial = spatial
        axes = np.meshgrid(MU, LOG_TAU, LOGIT_RHO if spatial else [0.0], indexing="ij")
        self.mu, log_tau, logit = (axis.ravel() for axis in axes)
        self.tau, self.rho = np.exp(log_tau), expit(logit)
        prior = stats.norm.logpdf(self.mu) + stats.halfnorm.logpdf(self.tau) + log_tau
        if spatial:
            prior += stats.beta.logpdf(self.rho, 2, 2) + np.log(self.rho * (1 - self.rho))
        parts = np.array_split(np.arange(len(self.mu)), 1 + len(self.mu) // CHUNK)
        likelihood = np.concatenate([sum(self.log_evidence(name, part) for name in self.apart) for part in parts])
        self.weight = np.exp(prior + likelihood - np.max(prior + likelihood))
        self.weight /= self.weight.sum()
        heavy = np.flatnonzero(self.weight > 1e-13 * self.weight.max())
        self.parts = np.array_split(heavy, 1 + len(heavy) // CHUNK)

    @property
    def apart(self) -> tuple[str, ...]:
        """Villages whose evidences multiply; that of one with a neighbour is of both."""
        return ("isle", "lake") if self.spatial else tuple(self.rows)

    def nodes(self, name: str, part: Any) -> tuple[Any, Any, Any]:
        """theta of a village at nodes, (K, OWN), its log density with its neighbour integrated out, and the spacing."""
        mu, tau, rho = self.mu[part], self.tau[part], self.rho[part]
        at, log_p, spacing = given_normal(self.rows[name], mu, tau, OWN)
        if self.spatial and name != "isle":
            other = self.rows["hill" if name == "lake" else "lake"]
            mean = mu[:, None] - rho[:, None] * (at - mu[:, None])
            sd = (tau * np.sqrt(1 - rho**2))[:, None]
            _, inner, width = given_normal(other, mean, sd, BESIDE)
            log_p = log_p + logsumexp(inner, axis=-1) + np.log(width[..., 0])
        return at, log_p, spacing

    def log_evidence(self, name: str, part: Any) -> Any:
        _, log_p, spacing = self.nodes(name, part)
        return logsumexp(log_p, axis=-1) + np.log(spacing[:, 0])

    def theta(self, name: str) -> dict[str, float]:
        """Mean, sd and quantiles; below a value by the cubic between nodes that has the density as its slope."""
        pieces, moments = [], np.zeros(2)
        for part in self.parts:
            at, log_p, h = self.nodes(name, part)
            f = np.exp(log_p - logsumexp(log_p, axis=-1, keepdims=True)) / h
            slope = np.gradient(f, axis=1) / h
            steps = h / 2 * (f[:, 1:] + f[:, :-1]) - h**2 / 12 * np.diff(slope, axis=1)
            below = np.concatenate([np.zeros((len(part), 1)), np.cumsum(steps, axis=1)], axis=1)
            pieces.append((at[:, :1], h, f, below, self.weight[part]))
            moments += self.weight[part] @ np.stack([(h * f * at).sum(axis=1), (h * f * at**2).sum(axis=1)], axis=1)

        def cumulative(q: float) -> float:
            total = 0.0
            for first, h, f, below, weight in pieces:
                place = np.clip((q - first) / h, 0, OWN - 1 - 1e-9)
                k = place.astype(int)
                t, own = place - k, np.arange(len(h))[:, None]
                f0, f1, a, b = f[own, k] * h, f[own, k + 1] * h, below[own, k], below[own, k + 1]
                value = a + t * f0 + t**2 * (3 * (b - a) - 2 * f0 - f1) + t**3 * (2 * (a - b) + f0 + f1)
                total += float(weight @ value[:, 0])
            return total

        quantiles = {q: float(brentq(lambda x, p=p: cumulative(x) - p, -3, 3, xtol=1e-8)) for q, p in QUANTILES.items()}
        mean = float(moments[0])
        return {"mean": mean, "sd": float(np.sqrt(moments[1] - mean**2))} | quantiles

    def summaries(self) -> Rows:
        cube = self.weight.reshape(len(MU), len(LOG_TAU), -1)
        shared = {
            "mu": grids.of_axis(MU, cube.sum(axis=(1, 2)), np.asarray),
            "tau": grids.of_axis(LOG_TAU, cube.sum(axis=(0, 2)), np.exp),
        }
        if self.spatial:
            shared["rho"] = grids.of_axis(LOGIT_RHO, cube.sum(axis=(0, 1)), expit)
        return shared | {f"theta[{name}]": self.theta(name) for name in self.rows}


def one_by_one() -> tuple[Rows, Rows]:
    """mu of complete pooling, and theta of each village without pooling."""
    given, x = frame("villages.csv"), np.linspace(-4, 4, 8001)
    rows = {r.village: log_poisson(x, (float(r.cases), float(r.expected))) for r in given.itertuples()}

    def summary(log_density: np.ndarray) -> dict[str, float]:
        weight = np.exp(log_density - log_density.max())
        return grids.of_axis(x, weight / weight.sum(), np.asarray)

    own = {f"theta[{name}]": summary(stats.norm.logpdf(x, 0.2, 1.5) + log_p) for name, log_p in rows.items()}
    return {"mu": summary(stats.norm.logpdf(x) + sum(rows.values()))}, own


LOG_SPREAD, THETA, Z = np.linspace(-6, 2.5, 86), np.linspace(-9, 9, 3601), np.linspace(-9, 9, 361)
SPREAD_PRIORS = PRIORS | {"tau": "half_normal(0.5)", "overdispersion": "gamma(4, 8)"}
SPREAD = "overdispersion[counts]"


def log_spread_counts(theta: Any, spread: Any, row: tuple[float, float]) -> Any:
    """log p(y) of a negative binomial count with the mean expected exp(theta) and 1 / spread^2 for its size."""
    y, expected = row
    size, rate = spread**-2.0, expected * np.exp(theta)
    rising = gammaln(size + y) - gammaln(size) - gammaln(y + 1)
    return rising + y * np.log(rate) - y * np.log(size + rate) - size * np.log1p(rate / size)


class SpreadPosterior:
    """Negative binomial counts: the log of the overdispersion beside what each pooling has, its prior in it."""

    def __init__(self) -> None:
        self.rows = {r.village: (float(r.cases), float(r.expected)) for r in frame("villages.csv").itertuples()}
        self.spread = np.exp(LOG_SPREAD)
        self.prior = stats.gamma.logpdf(self.spread, 4, scale=1 / 8) + LOG_SPREAD

    def shared(self) -> Rows:
        """Complete pooling: mu and overdispersion on a grid."""
        mu = np.linspace(-4, 4.5, 401)
        log_p = self.prior + stats.norm.logpdf(mu)[:, None]
        log_p = log_p + sum(log_spread_counts(mu[:, None], self.spread, row) for row in self.rows.values())
        return self._of_two("mu", mu, log_p)

    def own(self) -> Rows:
        """No pooling: theta of each village given the overdispersion, mixed over it."""
        prior, h = stats.norm.logpdf(THETA, 0.2, 1.5)[:, None], THETA[1] - THETA[0]
        inside = {name: prior + log_spread_counts(THETA[:, None], self.spread, row) for name, row in self.rows.items()}
        evidence = {name: logsumexp(own, axis=0) + np.log(h) for name, own in inside.items()}
        total = self.prior + sum(evidence.values())
        weight = np.exp(total - logsumexp(total))
        rows = {SPREAD: grids.of_axis(LOG_SPREAD, weight, np.exp)}
        for name, own in inside.items():
            given = np.exp(own - logsumexp(own, axis=0))
            rows[f"theta[{name}]"] = grids.of_axis(THETA, given @ weight, np.asarray)
        return rows

    def partial(self) -> Rows:
        """Partial pooling without space: mu, log tau and log overdispersion on a grid, theta by deviations in taus."""
        log_tau = np.linspace(-8, 1.1, 71)
        normal = (stats.norm.logpdf(Z) + np.log(Z[1] - Z[0]))[:, None]
        log_p = np.empty((len(MU), len(log_tau), len(LOG_SPREAD)))
        for i, mu in enumerate(MU):
            for k, tau in enumerate(np.exp(log_tau)):
                theta = (mu + tau * Z)[:, None]
                own = [logsumexp(normal + log_spread_counts(theta, self.spread, r), axis=0) for r in self.rows.values()]
                top = stats.norm.logpdf(mu) + stats.halfnorm.logpdf(tau, scale=0.5) + log_tau[k]
                log_p[i, k] = self.prior + top + sum(own)
        weight = np.exp(log_p - logsumexp(log_p))
        return {
            "mu": grids.of_axis(MU, weight.sum(axis=(1, 2)), np.asarray),
            "tau": grids.of_axis(log_tau, weight.sum(axis=(0, 2)), np.exp),
            SPREAD: grids.of_axis(LOG_SPREAD, weight.sum(axis=(0, 1)), np.exp),
        }

    def _of_two(self, name: str, axis: np.ndarray, log_p: np.ndarray) -> Rows:
        weight = np.exp(log_p - logsumexp(log_p))
        return {
            name: grids.of_axis(axis, weight.sum(axis=1), np.asarray),
            SPREAD: grids.of_axis(LOG_SPREAD, weight.sum(axis=0), np.exp),
        }


@builds("villages-negative_binomial")
def _() -> Reference:
    posterior = SpreadPosterior()
    return reference(
        "Three villages, counts that spread more than Poisson counts", "quadrature",
        "trapezoidal rule over mu, log tau, the log of the overdispersion and the log rates",
        "disease_mapping", "villages.csv", VILLAGES, SPREAD_PRIORS,
        [(["complete_pooling"], posterior.shared()), (["no_pooling"], posterior.own()),
         (["partial_pooling_iid"], posterior.partial())],
        sampling={"draws": 5000, "adapt_delta": 0.99}, neighbours="villages_neighbours.csv",
        likelihood="negative_binomial",
    )  # fmt: skip


@builds("villages-quadrature")
def _() -> Reference:
    shared, own = one_by_one()
    return reference(
        "Three villages, two of them neighbours and one an island", "quadrature",
        "trapezoidal rule over mu, log tau, logit rho and the log rates, all but complete and no pooling",
        "disease_mapping", "villages.csv", VILLAGES, PRIORS,
        [(["complete_pooling"], shared), (["no_pooling"], own),
         (["partial_pooling"], Posterior(spatial=True).summaries()),
         (["partial_pooling_iid"], Posterior(spatial=False).summaries())],
        sampling={"draws": 5000, "adapt_delta": 0.99}, neighbours="villages_neighbours.csv",
    )  # fmt: skip
