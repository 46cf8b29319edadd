"""What ``make_references.py`` writes: quadratures of regressions and of Planck curves, with priors that are offered."""

from __future__ import annotations

import math
from typing import Any

import gaussian_quadrature as gaussian
import grid_quadrature as grids
import numpy as np
import pandas as pd
from known_posteriors import Reference, Rows, builds, frame, reference
from known_quadratures import LONG, SHORT, groups, half_normal
from scipy import stats
from scipy.special import gammaln, log_expit, logsumexp


@builds("sleepstudy-not_partial")
def _() -> Reference:
    given = frame("sleepstudy")
    x = np.column_stack([np.ones(len(given)), given["days"]])
    y = given["reaction_ms"].to_numpy(float)
    terms = ("intercept", "days")
    means, sigma = gaussian.regression(x, y, np.array([250.0, 0]), np.array([100.0, 50]), half_normal(50), (10, 400))
    complete = {f"mu[{t}]": row for t, row in zip(terms, means, strict=True)} | {"sigma": sigma}
    alone: Rows = {}
    prior = stats.lognorm(0.5, scale=30).logpdf
    for label in dict.fromkeys(given["subject"]):
        own = (given["subject"] == label).to_numpy()
        means, sd = gaussian.regression(x[own], y[own], np.array([300.0, 0]), np.array([200.0, 40]), prior, (0.5, 2000))
        alone |= {f"theta[{label}, {t}]": row for t, row in zip(terms, means, strict=True)}
        alone[f"sigma_group[{label}]"] = sd
    return reference(
        "Sleep study, complete and no pooling", "quadrature",
        "trapezoidal rule over sigma, coefficients in closed form",
        "linear_regression", "sleepstudy", {"group": "subject", "outcome": "reaction_ms", "predictors": ["days"]},
        {"mu[intercept]": "normal(250, 100)", "mu[days]": "normal(0, 50)", "sigma": "half_normal(50)",
         "theta[intercept]": "normal(300, 200)", "theta[days]": "normal(0, 40)",
         "sigma_group": f"lognormal({math.log(30)!r}, 0.5)"},
        [(["complete_pooling"], complete), (["no_pooling"], alone)],
    )  # fmt: skip


def log_odds_density(x: np.ndarray, y: np.ndarray, n: np.ndarray, location: np.ndarray, scale: np.ndarray) -> Any:
    """Log density of coefficients (K, M): binomial rows, normal priors."""

    def log_density(points: np.ndarray) -> np.ndarray:
        eta = x @ points
        rows = y[:, None] * log_expit(eta) + (n - y)[:, None] * log_expit(-eta)
        return np.asarray(rows.sum(axis=0) - 0.5 * np.sum(((points.T - location) / scale) ** 2, axis=1))

    return log_density


def same(x: np.ndarray) -> np.ndarray:
    return x


@builds("city_prices-not_partial")
def _() -> Reference:
    given = frame("city_prices")
    terms = ("intercept", "price_centered")

    def cells(own: pd.DataFrame, location: tuple[float, float], scale: tuple[float, float]) -> list[dict[str, float]]:
        table = own.groupby("price_centered")["bought"].agg(["sum", "count"]).reset_index()
        x = np.column_stack([np.ones(len(table)), table["price_centered"]])
        y, n = table["sum"].to_numpy(), table["count"].to_numpy()
        density = log_odds_density(x, y, n, np.array(location), np.array(scale))
        return grids.summaries(density, (0, 0), (same, same), 321, 16.0)

    complete = cells(given, (0, 0), (2, 1))
    alone: Rows = {}
    for label, own in groups(given, "city").items():
        rows = cells(own, (0, 0), (3, 1.5))
        alone |= {f"theta[{label}, {t}]": row for t, row in zip(terms, rows, strict=True)}
    return reference(
        "Purchases by price in ten cities, complete and no pooling", "quadrature",
        "trapezoidal rule over both coefficients",
        "logistic_regression", "city_prices", {"group": "city", "outcome": "bought", "predictors": ["price_centered"]},
        {"mu[intercept]": "normal(0, 2)", "mu[price_centered]": "normal(0, 1)", "theta[intercept]": "normal(0, 3)",
         "theta[price_centered]": "normal(0, 1.5)"},
        [(["complete_pooling"], {f"mu[{t}]": row for t, row in zip(terms, complete, strict=True)}),
         (["no_pooling"], alone)],
    )  # fmt: skip


@builds("contraception-three_coefficients")
def _() -> Reference:
    given = frame("contraception")
    table = given.groupby(["urban", "livch3plus"])["use"].agg(["sum", "count"]).reset_index()
    x = np.column_stack([np.ones(len(table)), table["urban"], table["livch3plus"]])
    density = log_odds_density(x, table["sum"].to_numpy(), table["count"].to_numpy(), np.zeros(3), np.full(3, 2.5))
    rows = grids.summaries(density, (0, 0, 0), (same,) * 3)
    names = ("mu[intercept]", "mu[urban]", "mu[livch3plus]")
    return reference(
        "Contraception in Bangladesh, three coefficients for all districts", "quadrature",
        "trapezoidal rule over three coefficients", "logistic_regression", "contraception",
        {"group": "district", "outcome": "use", "predictors": ["urban", "livch3plus"]}, {"mu": "normal(0, 2.5)"},
        [(["complete_pooling"], dict(zip(names, rows, strict=True)))], sampling=SHORT,
    )  # fmt: skip


@builds("contraception-intercepts")
def _() -> Reference:
    table = frame("contraception").groupby("district", sort=False)["use"].agg(["sum", "count"])
    y, n = (table[c].to_numpy(float)[:, None, None] for c in ("sum", "count"))
    z = np.linspace(-9, 9, 181)

    def inner(points: np.ndarray) -> np.ndarray:
        eta = points[0][:, None] + np.exp(points[1])[:, None] * z
        return y * log_expit(eta) + (n - y) * log_expit(-eta) + stats.norm.logpdf(z)

    def log_density(points: np.ndarray) -> np.ndarray:
        tau = np.exp(points[1])
        prior = stats.norm.logpdf(points[0], 0, 2.5) + half_normal(1)(tau) + points[1]
        return np.asarray(prior + logsumexp(inner(points), axis=2).sum(axis=0))

    def slices(points: np.ndarray) -> np.ndarray:
        return np.concatenate([log_density(p) for p in np.array_split(points, 1 + points.shape[1] // 500, axis=1)])

    rows = grids.summaries(slices, (-0.5, -0.7), (same, np.exp), nodes=81)
    summaries = {"mu[intercept]": rows[0], "tau[intercept]": rows[1]}
    grid = grids.grid(slices, (-0.5, -0.7), nodes=81)
    keep = grid.weight > 1e-9 * grid.weight.max()
    part = inner(grid.points[:, keep])
    part -= logsumexp(part, axis=2, keepdims=True)
    eta = grid.points[0, keep][:, None] + np.exp(grid.points[1, keep])[:, None] * z
    for j, label in enumerate(table.index):
        weight = np.exp(part[j]) * grid.weight[keep][:, None]
        summaries[f"theta[{label}, intercept]"] = grids.of_points(eta.ravel(), weight.ravel())
    names = ("partial_pooling", "partial_pooling_noncentered", "partial_pooling_by_term", "partial_pooling_centered",
             "partial_pooling_intercept")  # fmt: skip
    return reference(
        "Contraception in Bangladesh, intercepts of districts and nothing else", "quadrature",
        "trapezoidal rule over mu and log tau and over the log odds of each district", "logistic_regression",
        "contraception", {"group": "district", "outcome": "use"},
        {"mu": "normal(0, 2.5)", "tau": "half_normal(1)"}, [(names, summaries)], sampling=SHORT,
    )  # fmt: skip


# Planck curves.

SPECTRA = {"group": "spectrum", "frequency": "frequency", "flux": "flux"}
SPECTRA_BY = "trapezoidal rule over log alpha, log mu and log sigma and over the log temperature of each spectrum"
POPULATION = {"alpha": "exponential(1)", "beta": "exponential(1)", "sigma": "exponential(1)"}
COLD = {"T": "lognormal(0.7, 1)", "sigma": "exponential(1)", "sigma_group": "gamma(2, 2)"}


def curve_errors(own: pd.DataFrame, u: np.ndarray) -> np.ndarray:
    """Sum of squared residuals of the curves with temperatures exp(u), (M,)."""
    nu, y = own["frequency"].to_numpy(float), own["flux"].to_numpy(float)
    with np.errstate(over="ignore"):
        curve = nu[:, None] ** 3 / np.expm1(np.minimum(nu[:, None] * np.exp(-u), 700))
    return np.asarray(np.sum((y[:, None] - curve) ** 2, axis=0))


@builds("planck-not_partial")
def _() -> Reference:
    given = frame("planck")

    def one(own: pd.DataFrame, log_prior_sd: Any) -> list[dict[str, float]]:
        """Temperature and residual sd of these rows."""
        ends = np.array([[-9.0, 10.0], [-14.0, 6.0]])  # of both logarithms: where the mass is looked for
        for size in ((4000, 500), (4000, 350), (8000, 350), (24_000, 350)):  # a peak of u may stand on a wide foot
            u, w = (np.linspace(*e, n) for e, n in zip(ends, size, strict=True))
            log_p = (stats.norm.logpdf(u, 0.7, 1))[:, None] + (log_prior_sd(np.exp(w)) + w - len(own) * w)
            log_p = log_p - 0.5 * np.outer(curve_errors(own, u), np.exp(-2 * w))
            held = log_p > log_p.max() - 35
            for i, axis in enumerate((u, w)):
                inside = np.flatnonzero(held.any(axis=1 - i))
                step = axis[1] - axis[0]
                ends[i] = axis[inside[0]] - 2 * step, axis[inside[-1]] + 2 * step
        weight = np.exp(log_p - logsumexp(log_p))
        return [grids.of_axis(axis, weight.sum(axis=1 - i), np.exp) for i, axis in enumerate((u, w))]

    complete = one(given, stats.expon().logpdf)
    alone: Rows = {}
    for label, own in groups(given, "spectrum").items():
        alone[f"T[{label}]"], alone[f"sigma_group[{label}]"] = one(own, stats.gamma(2, scale=1 / 2).logpdf)
    return reference(
        "Twenty spectra, complete and no pooling", "quadrature", "trapezoidal rule over log temperature and log sd",
        "planck", "planck", SPECTRA, COLD,
        [(["complete_pooling"], {"mu": complete[0], "sigma": complete[1]}), (["no_pooling"], alone)],
        sampling=LONG | {"adapt_delta": 0.99},
    )  # fmt: skip


@builds("planck-partial")
def _() -> Reference:
    summaries = population_of_spectra(frame("planck"), (0.2, 150), (0.5, 9), (0.38, 0.64))
    return reference(
        "Twenty spectra, partial pooling", "quadrature", SPECTRA_BY, "planck", "planck", SPECTRA, POPULATION,
        [(("partial_pooling", "partial_pooling_centered"), summaries)], sampling={"draws": 2500, "adapt_delta": 0.9},
    )  # fmt: skip


def population_of_spectra(table: pd.DataFrame, *ends: tuple[float, float]) -> Rows:
    """log alpha, log mu, log sigma on a grid; temperatures of a spectrum on a grid of their own, found in two steps."""
    given = groups(table, "spectrum")
    axes = [np.linspace(*np.log(e), size) for e, size in zip(ends, (111, 101, 81), strict=True)]
    log_alpha, log_mu = (a.ravel() for a in np.meshgrid(*axes[:2], indexing="ij"))
    alpha, beta, w = np.exp(log_alpha), np.exp(log_alpha - log_mu), axes[2]
    # d(alpha, beta) / d(log alpha, log mu) = alpha beta
    log_p = (-alpha - beta + log_alpha + np.log(beta))[:, None] + (-np.exp(w) + w)[None, :]

    def population(u: np.ndarray) -> np.ndarray:
        """log density of u = log T at each pair (alpha, mu), (pairs, nodes)."""
        return (alpha * np.log(beta) - gammaln(alpha))[:, None] + np.outer(alpha, u) - np.outer(beta, np.exp(u))

    def errors(own: pd.DataFrame, u: np.ndarray) -> np.ndarray:
        return -len(own) * w - 0.5 * np.outer(curve_errors(own, u), np.exp(-2 * w))  # (nodes, sigmas)

    nodes = {}
    for label, own in given.items():
        low, high = -8.0, 5.0
        for size in (6000, 3000, 900):
            u = np.linspace(low, high, size)
            best = errors(own, u)[:, -1] + np.max(population(u) if size < 1000 else envelope(alpha, beta, u), axis=0)
            inside = np.flatnonzero(best > best.max() - 40)
            step = u[1] - u[0]
            low, high = u[inside[0]] - 2 * step, u[inside[-1]] + 2 * step
        u = np.linspace(low, high, 900)
        rows, prior = errors(own, u), population(u)
        top, peak = rows.max(axis=0), prior.max(axis=1)
        held = np.exp(prior - peak[:, None]) @ np.exp(rows - top)
        nodes[label] = u, np.exp(prior - peak[:, None]), np.exp(rows - top), held
        with np.errstate(divide="ignore"):
            log_p = log_p + np.log(held) + top + peak[:, None] + np.log(u[1] - u[0])
    weight = np.exp(log_p - logsumexp(log_p))
    solid = weight.reshape(*(len(a) for a in axes))
    cut = [solid.take([0, -1], axis=i).sum(axis=tuple({0, 1, 2} - {i})).max() for i in range(3)]
    if max(cut) > 1e-7:
        raise ValueError(f"the grid cuts off a part of the posterior: {cut}")
    summaries = {name: grids.of_axis(axes[i], solid.sum(axis=tuple({0, 1, 2} - {i})), np.exp)
                 for i, name in enumerate(("alpha", "mu", "sigma"))}  # fmt: skip
    pairs = weight.sum(axis=1)
    summaries["beta"] = grids.of_points(beta, pairs)
    summaries["tau"] = grids.of_points(np.sqrt(alpha) / beta, pairs)
    for label, (u, prior, rows, held) in nodes.items():
        marginal = np.einsum("pu,us,ps->u", prior, rows, weight / np.where(held > 0, held, 1), optimize=True)
        summaries[f"T[{label}]"] = grids.of_axis(u, marginal / marginal.sum(), np.exp)
    return summaries


def envelope(alpha: np.ndarray, beta: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Log densities of log T for the widest populations of a grid."""
    wide = alpha <= np.sort(np.unique(alpha))[1]
    a, b = alpha[wide], beta[wide]
    return (a * np.log(b) - gammaln(a))[:, None] + np.outer(a, u) - np.outer(b, np.exp(u))
