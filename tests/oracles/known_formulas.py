"""Posteriors of formulas: in closed form with known scales, crossed factors too, and by quadrature for one factor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import gaussian_quadrature as gaussian
import grid_quadrature
import numpy as np
from known_posteriors import KNOWN, Reference, builds, frame, indicators, known, reference
from scipy.special import expit
from scipy.stats import beta as beta_distribution
from scipy.stats import betabinom, binom, gamma, lognorm, nbinom, norm, poisson, t

FORMS = ["partial_pooling", "partial_pooling_centered", "partial_pooling_noncentered"]


def crossed(
    title: str, family: str, forms: Sequence[str], *, left: str = "diameter_mm", outcome: str = "diameter_mm",
    dataset: str = "penicillin", factors: tuple[str, str] = ("plate", "sample"), errors: str = "",
    scales: tuple[float, float, float] = (0.55, 0.85, 2.0), middle: float = 20.0,
    of: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Reference:  # fmt: skip
    """A table with two factors and known scales, the programs of partial pooling in these ``forms``.

    ``of`` the outcome is normal; ``errors`` is the column of standard errors, where rows have some. ``middle`` is the
    mean of priors, half of it their sd, all of it that of groups without pooling.
    """
    given, (sigma, tau, sd) = frame(dataset), scales
    y = of(given[outcome].to_numpy(float))
    se = given[errors].to_numpy(float) if errors else np.full(len(given), sigma)
    plates, own = indicators(given[factors[0]])
    samples, other = indicators(given[factors[1]])
    n, m, one = len(plates), len(samples), np.ones((len(y), 1))
    unit = np.eye(1 + n + m)
    effect = {f"effect[{factors[1]}: {s}, intercept]": unit[1 + n + k] for k, s in enumerate(samples)}
    theta = {f"theta[{p}, intercept]": unit[0] + unit[1 + j] for j, p in enumerate(plates)}
    partial = gaussian.given_scales(
        np.hstack([one, own, other]), y, se, np.array([middle] + [0.0] * (n + m)),
        np.array([middle / 2] + [tau] * n + [sd] * m), {"beta[intercept]": unit[0], **theta, **effect},
    )  # fmt: skip
    columns = np.r_[0, 1 + n : 1 + n + m]
    complete = gaussian.given_scales(
        np.hstack([one, other]), y, se, np.array([middle] + [0.0] * m), np.array([middle / 2] + [sd] * m),
        {"beta[intercept]": unit[0][columns], **{name: row[columns] for name, row in effect.items()}},
    )  # fmt: skip
    alone = {f"theta[{p}, intercept]": unit[1 + j][1:] for j, p in enumerate(plates)}
    mean = np.r_[np.full(n, 1 / n), np.zeros(m)]
    no = gaussian.given_scales(
        np.hstack([own, other]), y, se, np.array([middle] * n + [0.0] * m), np.array([middle] * n + [sd] * m),
        {"beta[intercept]": mean, **alone, **{name: row[1:] for name, row in effect.items()}},
    )  # fmt: skip
    half = f"{middle:g}, {middle / 2:g}"
    priors = {"beta": f"normal({half})", "theta": f"normal({middle:g}, {middle:g})", "tau": known(tau), "sd": known(sd)}
    return reference(
        title, "closed form", f"all is normal given scales. {KNOWN}", family, dataset, {},
        priors if errors else {**priors, "sigma": known(sigma)},
        [(["complete_pooling"], complete), (["no_pooling"], no), (list(forms), partial)],
        formula=f"{left} ~ 1 + (1 | {factors[0]}) + (1 | {factors[1]})",
    )  # fmt: skip


@builds("penicillin-crossed_known_scales")
def _() -> Reference:
    return crossed("Penicillin, plates crossed with samples, known scales", "normal", ["partial_pooling"])


@builds("penicillin-crossed_sampled")
def _() -> Reference:
    return crossed("Penicillin, plates crossed with samples, known scales, sampled", "normal_sampled", FORMS)


@builds("penicillin-crossed_lognormal_sampled")
def _() -> Reference:
    title = "Penicillin, logs, plates crossed with samples, known scales, sampled"
    return crossed(title, "lognormal_sampled", FORMS, of=np.log, scales=(0.03, 0.04, 0.1), middle=3.0)


@builds("school_calendar-sampled")
def _() -> Reference:
    return crossed(
        "A modified school calendar, schools in districts, known scales, sampled", "estimates_sampled", FORMS,
        left="effect | se(standard_error)", outcome="effect", dataset="school_calendar", factors=("school", "district"),
        errors="standard_error", scales=(0.0, 0.18, 0.25), middle=0.5,
    )  # fmt: skip


@builds("bcg-latitude_known_scale")
def _() -> Reference:
    given, tau = frame("bcg"), 0.3
    y, se = given["log_risk_ratio"].to_numpy(float), given["standard_error"].to_numpy(float)
    trials, own = indicators(given["trial_name"])
    x = np.column_stack([np.ones(len(y)), given["latitude"].to_numpy(float)])
    n, unit = len(trials), np.eye(2 + len(trials))
    beta = {"beta[intercept]": unit[0], "beta[latitude]": unit[1]}
    theta = {f"theta[{t}, intercept]": unit[0] + unit[2 + j] for j, t in enumerate(trials)}
    partial = gaussian.given_scales(
        np.hstack([x, own]), y, se, np.zeros(2 + n), np.array([1.0, 0.1] + [tau] * n), {**beta, **theta}
    )
    complete = gaussian.given_scales(
        x, y, se, np.zeros(2), np.array([1.0, 0.1]), {name: row[:2] for name, row in beta.items()}
    )
    alone = {f"theta[{t}, intercept]": unit[2 + j][1:] for j, t in enumerate(trials)}
    no = gaussian.given_scales(
        np.hstack([x[:, 1:], own]), y, se, np.zeros(1 + n), np.array([0.1] + [2.0] * n),
        {"beta[intercept]": np.r_[0.0, np.full(n, 1 / n)], "beta[latitude]": unit[1][1:], **alone},
    )  # fmt: skip
    return reference(
        "BCG vaccine by latitude, known scale", "closed form", f"all is normal given tau = {tau:g}. {KNOWN}",
        "estimates", "bcg", {},
        {"beta[intercept]": "normal(0, 1)", "beta[latitude]": "normal(0, 0.1)", "theta": "normal(0, 2)",
         "tau": known(tau)},
        [(["complete_pooling"], complete), (["no_pooling"], no), (["partial_pooling"], partial)],
        formula="log_risk_ratio | se(standard_error) ~ latitude + (1 | trial_name)", centre=False,
    )  # fmt: skip


TAU = (-0.4, 0.5)  # log-normal: no mass at scales that are not far above the step of theta
THETA = np.linspace(-12, 8, 1001)


def one_factor(
    title: str, family: str, dataset: str, group: str, formula: str, log_rows: Callable[[np.ndarray], np.ndarray],
    theta: np.ndarray = THETA, forms: Sequence[str] = FORMS, centre: float = 0.0,
    given: Mapping[str, str] = MappingProxyType({}), **own: float,
) -> Reference:  # fmt: skip
    """An intercept that varies by one factor: log_rows gives log p(rows of each group | theta), (J, number of theta).

    ``theta`` are the points of the rule, ``forms`` those of partial pooling, ``centre`` the intercept's prior mean,
    ``own`` the likelihood's own parameters, known, ``given`` further priors.

    Partial pooling: a grid over beta and log tau, each group's integral by the trapezoidal rule over theta.
    """
    step, labels = theta[1] - theta[0], list(dict.fromkeys(frame(dataset)[group]))
    log_p = log_rows(theta)
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))

    def integrals(beta: np.ndarray, tau: np.ndarray) -> np.ndarray:  # (J, M)
        return p @ norm.pdf(theta[:, None], beta, tau) * step

    def log_density(points: np.ndarray) -> np.ndarray:
        beta, log_tau = points
        prior = norm.logpdf(beta, centre, 2.5) + norm.logpdf(log_tau, *TAU)
        with np.errstate(divide="ignore"):  # the far end of the grid
            return np.asarray(prior + np.log(integrals(beta, np.exp(log_tau))).sum(axis=0))

    beta, tau = grid_quadrature.summaries(log_density, (centre, -0.5), (lambda x: x, np.exp), 161, 13)
    grid = grid_quadrature.grid(log_density, (centre, -0.5), 0, 121, 13)
    keep = grid.weight > 1e-14 * grid.weight.max()
    at, sd = grid.points[0, keep], np.exp(grid.points[1, keep])
    share = norm.pdf(theta[:, None], at, sd) @ (grid.weight[keep] / integrals(at, sd)).T  # p(theta | the other groups)
    alone = p * norm.pdf(theta, centre, 3)
    pooled = np.exp(log_p.sum(axis=0) - log_p.sum(axis=0).max()) * norm.pdf(theta, centre, 2.5)

    def of(weight: np.ndarray) -> dict[str, float]:
        return grid_quadrature.of_axis(theta, weight / weight.sum(), lambda x: x)

    def of_groups(weight: np.ndarray) -> dict[str, dict[str, float]]:
        return {f"theta[{label}, intercept]": of(row) for label, row in zip(labels, weight, strict=True)}

    return reference(
        title, "quadrature", "trapezoidal rule over beta, log tau and the intercept of each group", family, dataset, {},
        {"beta": f"normal({centre:g}, 2.5)", "theta": f"normal({centre:g}, 3)",
         "tau": f"lognormal({TAU[0]:g}, {TAU[1]:g})", **{name: known(value) for name, value in own.items()}, **given},
        [(["complete_pooling"], {"beta[intercept]": of(pooled)}), (["no_pooling"], of_groups(alone)),
         (list(forms), {"beta[intercept]": beta, "tau[intercept]": tau, **of_groups(p * share.T)})],
        formula=formula,
    )  # fmt: skip


@builds("clinics-one_factor")
def _() -> Reference:
    given = frame("clinics")
    y, n = (given[name].to_numpy()[:, None] for name in ("adherent", "patients"))
    return one_factor(
        "Clinics, log odds of one population", "binomial", "clinics", "clinic",
        "adherent | trials(patients) ~ 1 + (1 | clinic)", lambda theta: binom.logpmf(y, n, expit(theta)),
    )  # fmt: skip


@builds("pumps-one_factor")
def _() -> Reference:
    given = frame("pumps")
    y, time = given["failures"].to_numpy()[:, None], given["time_1000h"].to_numpy(float)[:, None]
    return one_factor(
        "Pumps, log rates of one population", "poisson", "pumps", "pump",
        "failures | rate(time_1000h) ~ 1 + (1 | pump)", lambda theta: poisson.logpmf(y, time * np.exp(theta)),
    )  # fmt: skip


def by_group(dataset: str, group: str, outcome: str, log_row: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """log p(rows of each group | theta), (J, number of theta), from that of rows with outcomes (N, 1)."""
    given = frame(dataset)
    rows = log_row(given[outcome].to_numpy(float)[:, None])
    return np.stack([rows[given[group] == label].sum(axis=0) for label in dict.fromkeys(given[group])])


@builds("repair_costs-one_factor")
def _() -> Reference:
    variation = 0.8
    shape = variation**-2
    return one_factor(
        "Repair costs, log means of one population", "gamma", "repair_costs", "garage", "cost ~ 1 + (1 | garage)",
        lambda theta: by_group(
            "repair_costs", "garage", "cost", lambda y: gamma.logpdf(y, shape, scale=np.exp(theta) / shape)
        ),
        np.linspace(2, 10, 1001), variation=variation,
    )  # fmt: skip


@builds("repair_costs-lognormal_one_factor")
def _() -> Reference:
    sigma = 0.9
    return one_factor(
        "Repair costs, log medians of one population", "lognormal", "repair_costs", "garage",
        "cost ~ 1 + (1 | garage)",
        lambda theta: by_group(
            "repair_costs", "garage", "cost", lambda y: lognorm.logpdf(y, sigma, scale=np.exp(theta))
        ),
        np.linspace(2, 10, 1001), ["partial_pooling"], sigma=sigma,
    )  # fmt: skip


@builds("pumps-known_overdispersion")
def _() -> Reference:
    given, overdispersion = frame("pumps"), 0.6
    y, time = given["failures"].to_numpy()[:, None], given["time_1000h"].to_numpy(float)[:, None]
    phi = overdispersion**-2
    return one_factor(
        "Pumps, log rates of one population, overdispersed", "negative_binomial", "pumps", "pump",
        "failures | rate(time_1000h) ~ 1 + (1 | pump)",
        lambda theta: nbinom.logpmf(y, phi, phi / (phi + time * np.exp(theta))), overdispersion=overdispersion,
    )  # fmt: skip


@builds("cbpp-known_extra_zeros")
def _() -> Reference:
    log_odds, size = -0.4, frame("cbpp")["size"].to_numpy(float)[:, None]

    def log_row(y: np.ndarray, theta: np.ndarray) -> np.ndarray:
        count = poisson.logpmf(y, size * np.exp(theta)) + np.log(expit(-log_odds))
        return np.asarray(np.where(y == 0, np.logaddexp(np.log(expit(log_odds)), count), count))

    return one_factor(
        "Cattle pneumonia, log rates of one population with extra zeros", "zero_inflated_poisson", "cbpp", "herd",
        "incidence | rate(size) ~ 1 + (1 | herd)",
        lambda theta: by_group("cbpp", "herd", "incidence", lambda y: log_row(y, theta)),
        given={"zi": f"normal({log_odds:g}, 0.000001)"},
    )  # fmt: skip


@builds("cbpp-known_extra_zeros_and_overdispersion")
def _() -> Reference:
    log_odds, phi, size = -0.4, 0.6**-2, frame("cbpp")["size"].to_numpy(float)[:, None]

    def log_row(y: np.ndarray, theta: np.ndarray) -> np.ndarray:
        count = nbinom.logpmf(y, phi, phi / (phi + size * np.exp(theta))) + np.log(expit(-log_odds))
        return np.asarray(np.where(y == 0, np.logaddexp(np.log(expit(log_odds)), count), count))

    return one_factor(
        "Cattle pneumonia, log rates of one overdispersed population with extra zeros",
        "zero_inflated_negative_binomial", "cbpp", "herd", "incidence | rate(size) ~ 1 + (1 | herd)",
        lambda theta: by_group("cbpp", "herd", "incidence", lambda y: log_row(y, theta)),
        given={"zi": f"normal({log_odds:g}, 0.000001)"}, overdispersion=phi**-0.5,
    )  # fmt: skip


@builds("cbpp-known_overdispersion")
def _() -> Reference:
    given, overdispersion = frame("cbpp"), 0.5
    size, n = overdispersion**-2, given["size"].to_numpy()[:, None]

    def log_row(y: np.ndarray, theta: np.ndarray) -> np.ndarray:
        return np.asarray(betabinom.logpmf(y, n, size * expit(theta), size * expit(-theta)))

    return one_factor(
        "Cattle pneumonia, log odds of one population, overdispersed", "beta_binomial_rows", "cbpp", "herd",
        "incidence | trials(size) ~ 1 + (1 | herd)",
        lambda theta: by_group("cbpp", "herd", "incidence", lambda y: log_row(y, theta)),
        overdispersion=overdispersion,
    )  # fmt: skip


@builds("petrol-one_factor")
def _() -> Reference:
    spread = 0.3

    def log_row(y: np.ndarray, theta: np.ndarray) -> np.ndarray:
        return np.asarray(beta_distribution.logpdf(y, expit(theta) / spread**2, expit(-theta) / spread**2))

    return one_factor(
        "Petrol, log odds of one population", "beta", "petrol", "crude", "share ~ 1 + (1 | crude)",
        lambda theta: by_group("petrol", "crude", "share", lambda y: log_row(y, theta)), spread=spread,
    )  # fmt: skip


@builds("penicillin-student_t")
def _() -> Reference:
    given, (sigma, nu) = frame("penicillin"), (0.8, 4.0)
    y, (samples, own) = given["diameter_mm"].to_numpy(float), indicators(given["sample"])
    assert list(samples) == list(dict.fromkeys(given["sample"]))
    return one_factor(
        "Penicillin samples with gross errors, known scale and degrees of freedom", "student_t", "penicillin", "sample",
        "diameter_mm ~ 1 + (1 | sample)", lambda theta: own.T @ t.logpdf(y[:, None], nu, theta, sigma),
        23.0 + THETA, FORMS, 23.0, {"nu": f"fixed({nu:g})"}, sigma=sigma,
    )  # fmt: skip
