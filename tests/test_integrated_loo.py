"""Leave-one-out of rows, group effects integrated out, against dense normal densities, quadrature and refits."""

from __future__ import annotations

import math
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad, simpson
from scipy.special import logsumexp

from hbm_stan.attempts import fit
from hbm_stan.compare import compare
from hbm_stan.data import Dataset, load
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import family
from hbm_stan.families.varying_terms import correlation_matrix
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.leave_one_out import LeftOut, loo
from hbm_stan.model import Family
from hbm_stan.psis import psis_loo
from hbm_stan.scores import Route

ROOT = Path(__file__).parents[1]
SEED = 20261121
LINES, GROUPED, NESTED = family("linear_regression"), family("grouped_normal"), family("nested_normal")
SLEEP = {"group": "subject", "outcome": "reaction_ms", "predictors": ["days"]}
RADON = {"group": "county", "outcome": "log_radon", "predictors": ["floor"], "group_predictors": ["log_uranium"]}
SAMPLING = Sampling(seed=SEED)
RNG = np.random.default_rng(SEED)


def small(sizes: tuple[int, ...] = (1, 2, 3, 6)) -> pd.DataFrame:
    """Rows in groups of these sizes, two units in each group of two rows or more, in no order."""
    rng = np.random.default_rng(SEED)
    group = np.repeat(np.arange(len(sizes)), sizes)
    x, u = rng.normal(2, 3, len(group)), rng.normal(size=len(sizes))[group]
    y = 5 + 2 * rng.normal(size=len(sizes))[group] + 0.5 * x + rng.normal(size=len(group))
    unit = [f"{g}{'ab'[i % 2]}" for i, g in enumerate(group)]
    frame = pd.DataFrame({"g": [f"g{j}" for j in group], "unit": unit, "x": x, "u": u, "y": y})
    return frame.sample(frac=1, random_state=3, ignore_index=True)


def data_of(model: Family, frame: pd.DataFrame, variant: str, chosen: Any = None, **roles: Any) -> Any:
    source = Dataset.from_frame(frame, {"group": "g", "outcome": "y", **roles})
    table = prepare_table(model, source)
    return model.stan_data(table, model.priors(table, chosen), variant)


def dense(y: np.ndarray, mean: np.ndarray, covariance: np.ndarray, group: np.ndarray) -> np.ndarray:
    """log p(y_n | the other rows of its group), by the conditional normal distribution of the dense covariance."""
    log_density = np.empty(len(y))
    for n in range(len(y)):
        o = np.flatnonzero((group == group[n]) & (np.arange(len(y)) != n))
        gain = np.linalg.solve(covariance[np.ix_(o, o)], covariance[o, n]) if o.size else np.zeros(0)
        var = covariance[n, n] - gain @ covariance[o, n]
        log_density[n] = stats.norm.logpdf(y[n], mean[n] + gain @ (y[o] - mean[o]), math.sqrt(var))
    return log_density


@pytest.mark.parametrize("variant", ["partial_pooling", "partial_pooling_centered", "partial_pooling_intercept"])
def test_regression_equals_the_dense_conditional(variant: str) -> None:
    data = data_of(LINES, small(), variant, predictors=["x"], group_predictors=["u"])
    draws = {
        "mu": RNG.normal(2, 2, (5, 2)), "tau": RNG.gamma(2, 1, (5, 2)), "rho": RNG.uniform(-0.9, 0.9, (5, 1)),
        "gamma": RNG.normal(size=(5, 1)), "sigma": RNG.gamma(2, 0.5, 5),
    }  # fmt: skip
    if variant == "partial_pooling_intercept":
        draws["tau"][:, 1] = 0
        del draws["rho"]
    log_lik = LINES.need("loo_log_lik", "a test")(draws, data, variant)
    x, group = data["X"], data["group_idx"] - 1
    omega = correlation_matrix(draws.get("rho", np.zeros((5, 1))), 2)
    for s in range(5):
        mean = x @ draws["mu"][s] + (data["U"] @ draws["gamma"][s])[group]
        same = group[:, None] == group
        covariance = same * (x @ (np.diag(draws["tau"][s]) @ omega[s] @ np.diag(draws["tau"][s])) @ x.T)
        covariance = covariance + draws["sigma"][s] ** 2 * np.eye(len(group))
        np.testing.assert_allclose(log_lik[s], dense(data["y"], mean, covariance, group), atol=1e-9)


@pytest.mark.parametrize("by_group", [False, True])
def test_grouped_rows_equal_the_dense_conditional(by_group: bool) -> None:
    data = data_of(GROUPED, small(), "partial_pooling")
    draws = {"mu": RNG.normal(5, 2, 5), "tau": RNG.gamma(2, 1, 5), "sigma": RNG.gamma(2, 0.5, 5)}
    if by_group:
        draws["sigma_group"] = RNG.gamma(2, 0.5, (5, 4))
    log_lik = GROUPED.need("loo_log_lik", "a test")(draws, data, "partial_pooling")
    group = data["group_idx"] - 1
    for s in range(5):
        sd = draws["sigma_group"][s][group] if by_group else np.full(len(group), draws["sigma"][s])
        covariance = draws["tau"][s] ** 2 * (group[:, None] == group) + np.diag(sd**2)
        np.testing.assert_allclose(log_lik[s], dense(data["y"], np.full(len(sd), draws["mu"][s]), covariance, group))


@pytest.mark.parametrize("variant", ["partial_pooling", "no_pooling"])
def test_nested_rows_equal_the_dense_conditional(variant: str) -> None:
    data = data_of(NESTED, small(), variant, unit="unit")
    draws = {"mu": RNG.normal(5, 2, 5), **{k: RNG.gamma(2, 1, 5) for k in ("tau", "tau_unit", "sigma")}}
    if variant == "no_pooling":
        draws = {f"{k}_group": RNG.gamma(2, 1, (5, 4)) for k in ("tau_unit", "sigma")}
    log_lik = NESTED.need("loo_log_lik", "a test")(draws, data, variant)
    group, unit = data["group_idx"] - 1, data["unit_idx"]
    for s in range(5):
        own = {k: draws[k][s] if k in draws else draws[f"{k}_group"][s][group] for k in ("tau_unit", "sigma")}
        mu, tau = (draws["mu"][s], draws["tau"][s]) if "mu" in draws else data["prior_theta"]
        sd = np.broadcast_to(own["sigma"], len(group))
        covariance = tau**2 * (group[:, None] == group) + np.diag(sd**2)
        covariance = covariance + own["tau_unit"] ** 2 * (unit[:, None] == unit)
        np.testing.assert_allclose(log_lik[s], dense(data["y"], np.full(len(sd), mu), covariance, group))


def log_marginal(x: np.ndarray, y: np.ndarray, prior: np.ndarray, log_density: Any, log_sd: np.ndarray) -> float:
    """log of the integral of the dense normal density of the rows over log(sd), by Simpson's rule."""
    if not len(y):
        return 0.0
    mean, effects = x @ prior[:, 0], (x * prior[:, 1] ** 2) @ x.T
    covariance = effects + np.exp(2 * log_sd)[:, None, None] * np.eye(len(y))
    squares = (y - mean) @ np.linalg.solve(covariance, np.tile((y - mean)[:, None], (len(log_sd), 1, 1)))
    rows = -0.5 * (len(y) * math.log(2 * math.pi) + np.linalg.slogdet(covariance)[1] + squares[:, 0])
    joint = rows + log_density(np.exp(log_sd)) + log_sd
    return float(np.log(simpson(np.exp(joint - joint.max()), x=log_sd)) + joint.max())


@pytest.mark.parametrize("prior", ["lognormal(0, 1)", "half_cauchy(2)", "uniform(0, 6)", "gamma(20, 10)"])
def test_exact_scores_are_ratios_of_dense_evidences(prior: str) -> None:
    frame = small()
    frame.loc[frame["g"] == "g2", "x"] = [1.0, 1.0, 4.0]  # without the third row only the prior knows of the slope
    theta = {"theta[intercept]": "normal(4, 5)", "theta[x]": "normal(0, 2)"}
    roles = {"predictors": ["x"], "group_predictors": ["u"]}
    data = data_of(LINES, frame, "no_pooling", {**theta, "sigma_group": prior, "sigma": prior}, **roles)
    table = prepare_table(LINES, Dataset.from_frame(frame, {"group": "g", "outcome": "y", **roles}))
    density = LINES.priors(table, {"sigma": prior})["sigma"].log_density
    log_sd = np.linspace(-11, math.log(5.9999999) if "uniform" in prior else 14, 2001)
    above = data["U"][data["group_idx"] - 1]
    cases = (
        ("no_pooling", data["X"], data["prior_theta"], data["group_idx"], range(12)),
        ("complete_pooling", np.hstack([data["X"], above]), np.vstack([data["prior_mu"], data["prior_gamma"]]),
         np.ones(12), (0, 7)),
    )  # fmt: skip
    for variant, x, terms, group, rows in cases:
        ours = LINES.need("exact_loo", "a test")(data, variant)
        evidence = {g: log_marginal(x[group == g], data["y"][group == g], terms, density, log_sd) for g in set(group)}
        for n in rows:
            o = (group == group[n]) & (np.arange(12) != n)
            others = log_marginal(x[o], data["y"][o], terms, density, log_sd)
            assert ours[n] == pytest.approx(evidence[group[n]] - others, abs=1e-4)


@pytest.mark.parametrize("prior", ["half_normal(2)", "uniform(0, 8)", "lognormal(0, 0.5)"])
def test_nested_scores_without_pooling_are_ratios_of_dense_evidences(prior: str) -> None:
    frame, chosen = small((1, 2, 5)), {"tau_unit": prior, "sigma": prior, "theta": "normal(5, 4)"}
    data = data_of(NESTED, frame, "no_pooling", chosen, unit="unit")
    table = prepare_table(NESTED, Dataset.from_frame(frame, {"group": "g", "unit": "unit", "outcome": "y"}))
    density = NESTED.priors(table, chosen)["sigma"].log_density
    log_sd = np.linspace(-11, math.log(7.9999999) if "uniform" in prior else 4, 241)

    def evidence(rows: np.ndarray) -> float:
        if not rows.any():
            return 0.0
        y, unit, each = data["y"][rows] - 5, data["unit_idx"][rows], np.exp(2 * log_sd)[:, None, None]
        values = []
        for sigma, log_prior in zip(np.exp(log_sd), density(np.exp(log_sd)) + log_sd, strict=True):
            covariance = 16 + each * (unit[:, None] == unit) + sigma**2 * np.eye(len(y))
            squares = np.linalg.solve(covariance, np.tile(y[:, None], (len(log_sd), 1, 1)))[:, :, 0] @ y
            normal = -0.5 * (squares + np.linalg.slogdet(covariance)[1] + len(y) * math.log(2 * math.pi))
            joint = np.exp(normal + density(np.exp(log_sd)) + log_sd + log_prior)
            values.append(simpson(joint, x=log_sd))
        return math.log(simpson(values, x=log_sd))

    ours = NESTED.need("exact_loo", "a test")(data, "no_pooling")
    group = data["group_idx"]
    whole = {g: evidence(group == g) for g in set(group)}
    for n in range(len(group)):
        others = evidence((group == group[n]) & (np.arange(len(group)) != n))
        assert ours[n] == pytest.approx(whole[group[n]] - others, abs=1e-3)


def test_a_row_alone_in_its_group_has_the_density_of_its_prior() -> None:
    data = data_of(LINES, small(), "no_pooling", {"sigma_group": "half_normal(2)"}, predictors=["x"])
    n = int(np.flatnonzero(np.bincount(data["group_idx"])[data["group_idx"]] == 1)[0])
    x, (location, scale) = data["X"][n], data["prior_theta"].T
    centre, spread = x @ location, math.sqrt(x**2 @ scale**2)

    def joint(sd: float) -> float:
        return float(stats.norm.pdf(data["y"][n], centre, math.hypot(spread, sd)) * stats.halfnorm.pdf(sd, scale=2))

    ours = LINES.need("exact_loo", "a test")(data, "no_pooling")[n]
    assert ours == pytest.approx(math.log(quad(joint, 0, 40, epsabs=0, epsrel=1e-10)[0]), abs=1e-6)


def test_exact_scores_hold_for_one_large_group_and_for_an_outlier() -> None:
    # A peak in log(sd) of width 0.013, which the outlier moves by 20 widths.
    rng = np.random.default_rng(SEED)
    y = np.concatenate([rng.normal(3, 1, 2999), [50.0, 2.0, 3.5]])
    frame = pd.DataFrame({"g": ["a"] * 3000 + ["b"] * 2, "y": y})
    data = data_of(LINES, frame, "no_pooling", {"sigma_group": "lognormal(0, 1)", "theta": "normal(0, 10)"})
    started = time.perf_counter()
    regression = LINES.need("exact_loo", "a test")(data, "no_pooling")
    assert time.perf_counter() - started < 10
    data = data_of(GROUPED, frame, "no_pooling", {"sigma_group": "lognormal(0, 1)", "theta": "normal(0, 10)"})
    np.testing.assert_allclose(regression, GROUPED.need("exact_loo", "a test")(data, "no_pooling"), atol=1e-5)


@cache
def radon(variant: str) -> tuple[Fit, LeftOut]:
    radon_fit = fit(LINES, load("radon", RADON), variant, sampling=SAMPLING, engine=StanliEngine())
    return radon_fit, loo(radon_fit)


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling", "partial_pooling", "partial_pooling_intercept"])
def test_no_row_of_radon_breaks_down(variant: str) -> None:
    _, left_out = radon(variant)
    assert not left_out.high.any()
    assert (left_out.pareto_k is None) == (not variant.startswith("partial"))
    if variant.startswith("partial"):
        assert left_out.route is Route.INTEGRATED
        assert np.max(left_out.pareto_k) < 0.5


def test_four_thousand_draws_of_radon_take_seconds() -> None:
    fit, _ = radon("partial_pooling")
    draws = fit.draws("mu", "tau", "rho", "gamma", "sigma")
    started = time.perf_counter()
    values = LINES.need("loo_log_lik", "a test")(draws, fit.data, fit.variant)
    assert values.shape == (4000, 919)
    assert time.perf_counter() - started < 10


def importance_error(log_lik: np.ndarray, elpd_i: np.ndarray) -> np.ndarray:
    """Monte Carlo error of leave-one-out by self-normalised importance sampling, where draws are independent."""
    weights = np.exp(-log_lik - logsumexp(-log_lik, axis=0))
    return np.asarray(np.sqrt(np.sum(weights**2 * (np.exp(log_lik - elpd_i) - 1) ** 2, axis=0)))


def test_psis_agrees_with_the_exact_scores_where_it_is_reliable() -> None:
    for variant in ("complete_pooling", "no_pooling"):
        fit, exact = radon(variant)
        log_lik = fit.tree["log_likelihood"]["y"].values.reshape(4000, -1)
        plain = psis_loo(log_lik)
        elpd_i, k = plain.elpd_i, plain.pareto_k
        good = k < 0.3
        assert good.sum() > (900 if variant == "complete_pooling" else 200)
        z = ((elpd_i - exact.elpd_i) / np.maximum(importance_error(log_lik, elpd_i), 1e-4))[good]
        assert np.max(np.abs(z)) < 2 * stats.norm.isf(0.01 / good.sum())


def test_rows_of_sleepstudy_equal_refits_without_them(stanli: Engine) -> None:
    frame = pd.read_csv(ROOT / "data" / "sleepstudy" / "data.csv")
    sleep_fit = fit(LINES, Dataset.from_frame(frame, **SLEEP), sampling=SAMPLING, engine=stanli)
    left_out = loo(sleep_fit)
    assert left_out.pareto_k is not None
    assert left_out.high.sum() <= 3  # of one row or two, k lies at the limit
    log_lik = LINES.need("loo_log_lik", "a test")(sleep_fit.draws(), sleep_fit.data, sleep_fit.variant)
    for n in np.argsort(-left_out.pareto_k)[left_out.high.sum() :][[0, 1, 2, 60, -1]]:
        rest = Dataset.from_frame(frame.drop(index=n), **SLEEP)
        other = fit(LINES, rest, priors=texts(sleep_fit), sampling=SAMPLING, engine=stanli)
        given = LINES.need("loo_log_lik", "a test")(other.draws(), sleep_fit.data, sleep_fit.variant)[:, n]
        exact = logsumexp(given) - math.log(len(given))
        refit = np.std(np.exp(given - exact)) / math.sqrt(len(given))
        errors = float(np.hypot(importance_error(log_lik[:, [n]], left_out.elpd_i[[n]])[0], refit))
        assert left_out.elpd_i[n] == pytest.approx(exact, abs=max(0.02, 4 * errors))  # 0.02 but for three outliers


def texts(fit: Fit) -> dict[str, str]:
    return {name: prior.text for name, prior in fit.priors.items()}


@pytest.mark.parametrize("model", [GROUPED, LINES])
def test_rows_alone_in_their_group_are_said_to_be_scored_by_their_prior(model: Family, stanli: Engine) -> None:
    for sizes, words in (
        ((1, 4, 4, 6), "1 row is the only one of its group: without pooling its score ("),
        ((1, 1, 4, 6), "2 rows are the only one of their group: without pooling their score ("),
        ((2, 4, 4, 6), ""),
    ):
        source = Dataset.from_frame(small(sizes), group="g", outcome="y")
        fits = {v: fit(model, source, v, sampling=SAMPLING, engine=stanli) for v in ("complete_pooling", "no_pooling")}
        comparison = compare(fits, {v: Passed() for v in fits})  # type: ignore[dict-item]
        readings = {s.variant: s.reading for s in comparison.scores}
        assert all(s.ranked for s in comparison.scores)
        assert readings["no_pooling"].startswith(words)
        assert bool(readings["no_pooling"]) == bool(words)
        assert "lognormal" in readings["no_pooling"] or not words
        assert readings["complete_pooling"] == ""


class Passed:
    verdicts = ()

    def require(self) -> None:
        """These fits are not about convergence."""
