"""What ``make_references.py`` writes: quadratures of normal families and of counts, with priors that are offered."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import count_quadrature
import gaussian_quadrature as gaussian
import grid_quadrature as grids
import grouped_quadrature
import nested_quadrature
import numpy as np
import pandas as pd
import quadrature
from known_posteriors import (
    CLINICS,
    DYESTUFF,
    PARTIAL,
    PASTES,
    PLAYERS,
    PUMPS,
    SCHOOLS,
    Reference,
    Rows,
    builds,
    frame,
    known,
    reference,
)
from scipy import stats
from scipy.special import expit, logsumexp

MARGINAL = PARTIAL[:2]  # the parameterisations that sample well also where groups say little
LONG = {"draws": 5000, "adapt_delta": 0.95}
SHORT = {"draws": 1000, "adapt_delta": 0.9}  # where a draw costs much
QUANTILES_ONLY = ("q05", "q50", "q95")


def half_normal(scale: float) -> Any:
    return stats.halfnorm(scale=scale).logpdf


# Eight schools: every distribution that a scale's prior may have (five sets of priors stand in test_truth.py; those of
# posteriordb and of Bayesian Data Analysis are compared with figures computed by others).
SCALE_PRIORS: dict[str, tuple[str, tuple[float, ...], tuple[float, float]]] = {
    "gelman2006": ("half_cauchy", (25.0,), (0.0, 100.0)),
    "half_normal": ("half_normal", (10.0,), (8.0, 25.0)),
    "half_student_t": ("half_student_t", (4.0, 10.0), (0.0, 20.0)),
    "uniform": ("uniform", (0.0, 40.0), (0.0, 20.0)),
    "exponential": ("exponential", (0.1,), (0.0, 20.0)),
    "gamma": ("gamma", (2.0, 0.2), (0.0, 20.0)),
    "lognormal": ("lognormal", (1.5, 0.8), (0.0, 20.0)),
}


def schools(name: str) -> Reference:
    tau, arguments, mu = SCALE_PRIORS[name]
    summaries = quadrature.exact(tau, arguments, mu).summaries()
    if name == "gelman2006":
        summaries["tau"].pop("sd")  # a tail so heavy that its Monte Carlo error is not known
    chosen = {"mu": f"normal({mu[0]:g}, {mu[1]:g})", "tau": f"{tau}({', '.join(f'{a:g}' for a in arguments)})"}
    return reference(
        f"Eight schools, tau ~ {chosen['tau']}", "quadrature", "Gauss-Legendre over tau, the rest in closed form",
        "normal_means", "eight_schools", SCHOOLS, chosen, [(MARGINAL, summaries)], sampling=LONG,
    )  # fmt: skip


for _name in SCALE_PRIORS:
    builds(f"eight_schools-{_name}")(lambda name=_name: schools(name))


@builds("eight_schools_precise")
def _() -> Reference:
    se = quadrature.SE / 5
    summaries = quadrature.exact("half_normal", (20.0,), (0.0, 20.0), se=se).summaries()
    return reference(
        "Eight schools with standard errors of a fifth, where the centered form samples well", "quadrature",
        "Gauss-Legendre over tau, the rest in closed form", "normal_means", "eight_schools_precise.csv", SCHOOLS,
        {"mu": "normal(0, 20)", "tau": "half_normal(20)"}, [(PARTIAL, summaries)],
    )  # fmt: skip


def dyestuff_near() -> pd.DataFrame:
    """Deviations from the batch means divided by five: the same batches, measured well."""
    given = frame("dyestuff")
    means = given.groupby("batch")["yield_g"].transform("mean")
    return given.assign(yield_g=(means + (given["yield_g"] - means) / 5).round(6))


def pastes_far() -> pd.DataFrame:
    """Batches moved apart from each other fivefold: tau is then far from 0."""
    given = frame("pastes")
    means = given.groupby("batch")["strength"].transform("mean")
    return given.assign(strength=(given["strength"] + 4 * (means - given["strength"].mean())).round(6))


TABLES = {
    "eight_schools_precise.csv": lambda: frame("eight_schools").assign(se=quadrature.SE / 5),
    "dyestuff_near.csv": dyestuff_near,
    "pastes_far.csv": pastes_far,
    "wine_three.csv": lambda: frame("wine").assign(rating=frame("wine")["rating"].clip(2, 4) - 1),
}


def groups(given: pd.DataFrame, group: str) -> dict[str, pd.DataFrame]:
    return {str(label): given[given[group] == label] for label in dict.fromkeys(given[group])}


GROUPED = {"mu": "normal(1500, 200)", "tau": "half_normal(80)", "sigma": "half_normal(80)",
           "sigma_spread": known(0.001), "theta": "normal(1500, 200)", "sigma_group": "half_normal(80)"}  # fmt: skip


def one_scale(given: pd.DataFrame, sigma: tuple[float, float]) -> tuple[dict[str, float], dict[str, float]]:
    """mu and sigma of rows that share both."""
    y = given["yield_g"].to_numpy(float)
    rest = np.array([1500.0]), np.array([200.0]), half_normal(80), sigma
    means, sd = gaussian.regression(np.ones((len(y), 1)), y, *rest)
    return means[0], sd


@builds("dyestuff-half_normal")
def _() -> Reference:
    given = frame("dyestuff")
    rows = grouped_quadrature.rows_of(given["yield_g"].to_numpy(float), given["batch"].to_numpy())
    prior = half_normal(80)
    partial = grouped_quadrature.exact(rows, prior, prior, (1500, 200), (1e-5, 600), (20, 200), "ABCDEF")
    complete = dict(zip(("mu", "sigma"), one_scale(given, (5, 2000)), strict=True))
    alone: Rows = {}
    for label, own in groups(given, "batch").items():
        alone[f"theta[{label}]"], alone[f"sigma_group[{label}]"] = one_scale(own, (1, 5000))
    return reference(
        "Dyestuff, half-normal priors of the scales", "quadrature",
        "trapezoidal rule over the scales, the rest in closed form. partial_pooling_sigma_by_group has groups whose "
        "sds differ by 0.1 %, which is one sd for all",
        "grouped_normal", "dyestuff", DYESTUFF, GROUPED,
        [((*MARGINAL, "partial_pooling_sigma_by_group"), partial), (["complete_pooling"], complete),
         (["no_pooling"], alone)], sampling=LONG,
    )  # fmt: skip


@builds("dyestuff_near-half_normal")
def _() -> Reference:
    given = dyestuff_near()
    rows = grouped_quadrature.rows_of(given["yield_g"].to_numpy(float), given["batch"].to_numpy())
    prior = half_normal(80)
    summaries = grouped_quadrature.exact(rows, prior, prior, (1500, 200), (1e-3, 600), (4, 40), "ABCDEF")
    return reference(
        "Dyestuff with rows near their batch's mean, where the centered form samples well", "quadrature",
        "trapezoidal rule over the scales, the rest in closed form", "grouped_normal", "dyestuff_near.csv", DYESTUFF,
        {k: GROUPED[k] for k in ("mu", "tau", "sigma")}, [(PARTIAL, summaries)],
    )  # fmt: skip


@builds("dyestuff-sigma_by_group")
def _() -> Reference:
    # theta_j ~ normal(1500, 200) with both known: what is left is the population of the groups' sds, two parameters,
    # and an integral over log sd of each group.
    given, centre, width = frame("dyestuff"), 1500.0, 200.0
    rows = grouped_quadrature.rows_of(given["yield_g"].to_numpy(float), given["batch"].to_numpy())
    u = np.linspace(math.log(2), math.log(3000), 1500)
    v = width**2 + np.exp(2 * u) / rows.n[:, None]
    log_l = -0.5 * (np.log(v) + (rows.mean[:, None] - centre) ** 2 / v) - (rows.n[:, None] - 1) * u
    log_l -= 0.5 * rows.ss[:, None] / np.exp(2 * u)
    z = np.linspace(-9, 9, 241)  # log sd = log sigma + spread z
    splines = [grids.CubicSpline(u, row) for row in log_l]

    def inner(points: np.ndarray) -> np.ndarray:
        """log p(rows of j | nodes) + log normal(z), (J, M, nodes of z)."""
        at = points[0][:, None] + np.exp(points[1])[:, None] * z
        return np.stack([spline(np.clip(at, u[0], u[-1])) for spline in splines]) + stats.norm.logpdf(z)

    def log_density(points: np.ndarray) -> np.ndarray:
        sigma, spread = np.exp(points)
        prior = half_normal(80)(sigma) + half_normal(0.5)(spread) + points.sum(axis=0)
        return np.asarray(prior + logsumexp(inner(points), axis=2).sum(axis=0))

    axes = [np.linspace(*ends, 141) for ends in ((math.log(15), math.log(300)), (math.log(2e-4), math.log(4)))]
    points = np.stack([a.ravel() for a in np.meshgrid(*axes, indexing="ij")])
    log_p = grids.evaluate(log_density, points)
    weight = np.exp(log_p - logsumexp(log_p))
    square = weight.reshape(141, 141)
    summaries = {name: grids.of_axis(axis, square.sum(axis=1 - i), np.exp)
                 for i, (name, axis) in enumerate(zip(("sigma", "sigma_spread"), axes, strict=True))}  # fmt: skip
    keep = weight > 1e-12 * weight.max()
    part = inner(points[:, keep])
    shares = np.exp(part - logsumexp(part, axis=2, keepdims=True)) * weight[keep][:, None]
    log_sd = points[0, keep][:, None] + np.exp(points[1, keep])[:, None] * z
    for j, label in enumerate("ABCDEF"):
        summaries[f"sigma_group[{label}]"] = grids.of_points(np.exp(log_sd).ravel(), shares[j].ravel())
        variance = np.exp(2 * log_sd) / rows.n[j]
        own = width**2 / (width**2 + variance)
        thin = shares[j] > 1e-7 * shares[j].max()
        mean, sd2 = centre + own * (rows.mean[j] - centre), own * variance
        summaries[f"theta[{label}]"] = binned_mixture(shares[j][thin], mean[thin], sd2[thin])
    return reference(
        "Dyestuff, sds of groups from a population, locations known to come from normal(1500, 200)", "quadrature",
        "trapezoidal rule over sigma and sigma_spread and over the sd of each group, theta in closed form. mu and tau "
        "are known: mu ~ normal(1500, 0.001), tau log-normal with a scale of 0.001",
        "grouped_normal", "dyestuff", DYESTUFF,
        {"mu": "normal(1500, 0.001)", "tau": known(width), "sigma": "half_normal(80)",
         "sigma_spread": "half_normal(0.5)"},
        [(["partial_pooling_sigma_by_group"], summaries)], sampling=LONG,
    )  # fmt: skip


def binned_mixture(weight: np.ndarray, mean: np.ndarray, variance: np.ndarray, bins: int = 3000) -> dict[str, float]:
    """A mixture of normals that one number orders: neighbours in it are put together, so that few are left."""
    order = np.argsort(variance)
    weight, mean, variance = weight[order], mean[order], variance[order]
    which = np.minimum((np.cumsum(weight) / weight.sum() * bins).astype(int), bins - 1)
    total = np.bincount(which, weight)
    centre, spread = (np.bincount(which, weight * x) / np.where(total > 0, total, 1) for x in (mean, variance))
    full = total > 0
    return grouped_quadrature.mixture(total[full] / total.sum(), centre[full], spread[full])


NESTED = {"mu": "normal(60, 10)", "tau": "half_normal(3)", "tau_unit": "half_normal(3)", "sigma": "half_normal(3)",
          "theta": "normal(60, 10)"}  # fmt: skip


def cube(given: pd.DataFrame) -> np.ndarray:
    return given["strength"].to_numpy(float).reshape(10, 3, 2)


@builds("pastes-half_normal")
def _() -> Reference:
    given = frame("pastes")
    prior = half_normal(3)
    partial = nested_quadrature.exact(cube(given), (prior,) * 3, (60, 10), ((1e-5, 25), (0.8, 12), (0.4, 2.5)))
    y = given["strength"].to_numpy(float)
    means, sigma = gaussian.regression(np.ones((60, 1)), y, np.array([60.0]), np.array([10.0]), prior, (0.5, 30))
    alone: Rows = {}
    for label, own in groups(given, "batch").items():
        alone |= nested_alone(label, own["strength"].to_numpy(float).reshape(3, 2))
    return reference(
        "Pastes, half-normal priors of the scales", "quadrature",
        "trapezoidal rule over the scales, the rest in closed form",
        "nested_normal", "pastes", PASTES, NESTED,
        [(MARGINAL, partial), (["complete_pooling"], {"mu": means[0], "sigma": sigma}), (["no_pooling"], alone)],
        sampling=LONG | {"adapt_delta": 0.99},
    )  # fmt: skip


def nested_alone(label: str, y: np.ndarray) -> Rows:
    """theta, tau_unit and sigma of one group without pooling: its units' means and the rows about them."""
    means, rows = y.mean(axis=1), y.shape[1]
    error = np.sum((y - means[:, None]) ** 2)
    logs = np.linspace(math.log(1e-5), math.log(30), 700), np.linspace(math.log(1e-3), math.log(30), 600)
    tau_unit, sigma = (np.exp(a).ravel() for a in np.meshgrid(*logs, indexing="ij"))
    v = tau_unit**2 + sigma**2 / rows
    precision = len(means) / v + 1 / 10**2
    centre = (means.sum() / v + 60 / 10**2) / precision
    log_p = -0.5 * (len(means) * np.log(v) + np.sum((means[:, None] - centre) ** 2, axis=0) / v)
    log_p += -0.5 * ((centre - 60) / 10) ** 2 - 0.5 * np.log(precision)
    log_p += -len(means) * (rows - 1) * np.log(sigma) - 0.5 * error / sigma**2
    log_p += half_normal(3)(tau_unit) + half_normal(3)(sigma) + np.log(tau_unit * sigma)
    weight = np.exp(log_p - logsumexp(log_p))
    square = weight.reshape(700, 600)
    keep = weight > 1e-9 * weight.max()
    share = weight[keep] / weight[keep].sum()
    return {
        f"theta[{label}]": grouped_quadrature.mixture(share, centre[keep], 1 / precision[keep]),
        f"tau_unit_group[{label}]": grouped_quadrature.on_grid(logs[0], square.sum(axis=1)),
        f"sigma_group[{label}]": grouped_quadrature.on_grid(logs[1], square.sum(axis=0)),
    }  # fmt: skip


@builds("pastes_far-half_normal")
def _() -> Reference:
    prior = half_normal(10)
    ends = ((0.5, 60), (0.8, 12), (0.4, 2.5))
    summaries = nested_quadrature.exact(cube(pastes_far()), (prior,) * 3, (60, 30), ends)
    return reference(
        "Pastes with batches far apart, where the centered form samples well", "quadrature",
        "trapezoidal rule over the scales, the rest in closed form", "nested_normal", "pastes_far.csv", PASTES,
        {"mu": "normal(60, 30)"} | dict.fromkeys(("tau", "tau_unit", "sigma"), "half_normal(10)"),
        [(("partial_pooling", "partial_pooling_centered"), summaries)], sampling=LONG,
    )  # fmt: skip


# Counts.


def spread_of(nodes: count_quadrature.Nodes, name: str) -> dict[str, float]:
    """A parameter of the population that is no coordinate of the grid."""
    return grids.of_points(nodes.values[name], nodes.weight)


def along(nodes: count_quadrature.Nodes, name: str, to: Any, back: Any) -> dict[str, float]:
    """A parameter that is a coordinate of the grid: its marginal, by splines."""
    x, where = np.unique(nodes.values[name], return_inverse=True)
    return grids.of_axis(np.asarray(to(x)), np.bincount(where, weights=nodes.weight), back)


def beta_binomial(title: str, dataset: str, columns: dict[str, str], kappa: tuple[float, float], fine: int, coarse: int,
                  variants: tuple[str, ...]) -> Reference:  # fmt: skip
    given = frame(dataset)
    y, n = (given[columns[role]].to_numpy() for role in ("successes", "trials"))

    def log_prior(mu: np.ndarray, size: np.ndarray) -> np.ndarray:
        return stats.beta.logpdf(mu, 1, 1) + stats.lognorm.logpdf(size, kappa[1], scale=np.exp(kappa[0]))

    nodes, few = (count_quadrature.beta_binomial(y, n, log_prior, size) for size in (fine, coarse))
    summaries = {"mu": along(nodes, "mu", lambda x: np.log(x) - np.log1p(-x), expit), "tau": spread_of(nodes, "tau"),
                 "kappa": along(nodes, "kappa", np.log, np.exp)}  # fmt: skip
    summaries["kappa"] = {q: summaries["kappa"][q] for q in QUANTILES_ONLY}
    a, b = few.values["alpha"], few.values["beta"]
    rate = cache(lambda hits, trials: few.mixture("beta", a + hits, b + trials - hits))
    summaries |= {f"theta[{g}]": rate(int(h), int(t)) for g, h, t in zip(given[columns["group"]], y, n, strict=True)}
    return reference(
        title, "quadrature", "trapezoidal rule over the log odds of mu and log kappa, rates in closed form. kappa has "
        "no mean or sd here: its tail is too heavy for their Monte Carlo errors to be known", "beta_binomial", dataset,
        columns, {"mu": "beta(1, 1)", "kappa": f"lognormal({kappa[0]:g}, {kappa[1]:g})"}, [(variants, summaries)],
        sampling=LONG,
    )  # fmt: skip


BOTH = ("partial_pooling", "partial_pooling_centered")


@builds("rat_tumour-lognormal")
def _() -> Reference:
    columns = {"group": "experiment", "successes": "tumours", "trials": "rats"}
    return beta_binomial("Rat tumours, kappa log-normal", "rat_tumour", columns, (3.4, 2.0), 600, 150, BOTH)


@builds("baseball-lognormal")
def _() -> Reference:
    return beta_binomial("Batters of 1970, kappa log-normal", "baseball", PLAYERS, (4.0, 2.0), 600, 150, BOTH[:1])


@builds("clinics-lognormal")
def _() -> Reference:
    return beta_binomial("Clinics, kappa log-normal", "clinics", CLINICS, (3.0, 1.0), 400, 150, BOTH)


@builds("pumps-lognormal")
def _() -> Reference:
    given = frame("pumps")
    y, e = given["failures"].to_numpy(), given["time_1000h"].to_numpy(float)

    def log_prior(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
        return stats.lognorm.logpdf(alpha, 1, scale=1.0) + stats.gamma.logpdf(beta, 2, scale=1 / 2)

    nodes, few = (count_quadrature.gamma_poisson(y, e, log_prior, size) for size in (600, 150))
    summaries = {"alpha": along(nodes, "alpha", np.log, np.exp), "mu": along(nodes, "mu", np.log, np.exp)}
    summaries |= {name: spread_of(nodes, name) for name in ("beta", "tau")}
    for name in ("mu", "tau"):
        summaries[name].pop("sd")
    a, b = few.values["alpha"], few.values["beta"]
    for label, count, time in zip(given["pump"], y, e, strict=True):
        summaries[f"theta[{label}]"] = few.mixture("gamma", a + count, b + time)
    return reference(
        "Pumps, alpha log-normal", "quadrature", "trapezoidal rule over log alpha and log mu, rates in closed form. mu "
        "and tau have no sd here: their tails are too heavy for its Monte Carlo error to be known", "gamma_poisson",
        "pumps", PUMPS, {"alpha": "lognormal(0, 1)", "beta": "gamma(2, 2)"}, [(BOTH, summaries)],
        sampling=LONG,
    )  # fmt: skip
