"""Integrals over groups of rows that are not normal, against grids; rows left out, raw estimates and shrinkage."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from formula_cases import CASES, C, N
from formula_data import data_of, dense_covariance, design_of, eta_row_by_row, population, term, with_coefficients
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from hbm_stan.families.left_out import exact_rows
from hbm_stan.families.terms import closed_form, density, effects, groups_left_out, integrals, left_out, raw
from hbm_stan.integrate import usual_nodes
from hbm_stan.likelihoods import likelihood
from hbm_stan.priors import decode_scale

# Between a grid of steps of 1/8 sd over 8 sds, exact for smooth integrands, and the usual nodes: 21, 9 and 5 in each.
CLOSE = {1: 1e-6, 2: 5e-4}
GRID = np.arange(-8, 8.01, 1 / 8)


def discrete(case: str, name: str) -> dict[str, Any]:
    data = CASES[case]()
    rng = np.random.default_rng(21)
    counts = rng.poisson(3, N)
    return {**data, "y": np.minimum(counts, data["trials"]) if name == "binomial" else counts}


def sum_over_grid(name: str, data: dict[str, Any], eta: np.ndarray, rows: np.ndarray, levels: list[Any]) -> Any:
    """log of the integral over the coefficients of ``levels`` [(columns (rows, K), factor (K, K))], at eta (..., N)."""
    directions = sum(z.shape[1] for z, _ in levels)
    points = np.stack(np.meshgrid(*[GRID] * directions, indexing="ij"), axis=-1).reshape(-1, directions)
    start, along = 0, np.zeros((len(points), len(rows)))
    for z, factor in levels:
        along += points[:, start : start + z.shape[1]] @ factor.T @ z.T
        start += z.shape[1]
    some = {key: np.asarray(data[key])[rows] for key in ("y", "trials", "exposure")}
    values = likelihood(name).log_p(eta[..., None, rows] + along, some, {}).sum(axis=-1)
    return logsumexp(values + norm.logpdf(points).sum(axis=1), axis=-1) + directions * np.log(1 / 8)


@pytest.mark.parametrize("pooling", ["no", "partial"])
@pytest.mark.parametrize("name", ["binomial", "poisson"])
@pytest.mark.parametrize(
    "case", ["one factor", "crossed slopes", "group inside another", "a slope that is no common one"]
)
def test_the_integral_over_a_group_is_that_of_a_grid(case: str, name: str, pooling: str) -> None:
    data, rng = discrete(case, name), np.random.default_rng(22)
    data["prior_theta"] = np.tile([0.0, 1.0], (data["KG"], 1))
    draws = with_coefficients(rng, data, population(rng, data, 2, pooling))
    ours = integrals.group_log_lik(likelihood(name), draws, data)
    finer = integrals.finer_group_log_lik(likelihood(name), draws, data)
    many = integrals.by_quadrature(likelihood(name), draws, data, lambda _: 50)
    assert finer is not None
    others = list(range(data["G"], data["T"]))
    terms = [t for t in effects.terms_of(data) if t.pooled]
    for s in range(2):
        eta = (
            effects.middle(draws, data)[s] + eta_row_by_row(data, draws, s, others) - eta_row_by_row(data, draws, s, [])
        )
        for j in range(data["J"]):
            rows = np.flatnonzero(data["level"][0] == j + 1)
            levels = [(t.level.columns[rows], effects.factor_of(t, draws, data)[s]) for t in terms]
            exact = sum_over_grid(name, data, eta, rows, levels)
            assert ours[s, j] == pytest.approx(exact, abs=CLOSE[data["KG"]])
            assert many[s, j] == pytest.approx(exact, abs=1e-8)
            assert abs(finer[s, j] - exact) <= max(abs(ours[s, j] - exact), 1e-9)


@pytest.mark.parametrize("name", ["binomial", "poisson"])
@pytest.mark.parametrize("pooling", ["complete", "partial"])
def test_factors_inside_a_group_are_integrated_with_it(name: str, pooling: str) -> None:
    data, rng = discrete("nested", name), np.random.default_rng(23)
    draws = with_coefficients(rng, data, population(rng, data, 1, pooling))
    ours = integrals.group_log_lik(likelihood(name), draws, data)[0]
    group, unit = effects.terms_of(data)
    eta, tau, sd = effects.middle(draws, data)[0], draws.get("tau", np.zeros((1, 1)))[0, 0], draws["sd"][0, 0]
    points = GRID if pooling == "partial" else np.zeros(1)
    for j in range(data["J"]):
        values = norm.logpdf(points) if pooling == "partial" else np.zeros(1)
        for level in np.unique(unit.level.level[group.level.level == j]):
            rows = np.flatnonzero(unit.level.level == level)
            one = np.ones((len(rows), 1))
            values = values + [
                sum_over_grid(name, data, eta + tau * z, rows, [(one, np.array([[sd]]))]) for z in points
            ]
        exact = logsumexp(values) + (np.log(1 / 8) if pooling == "partial" else 0.0)
        assert ours[j] == pytest.approx(exact, abs=1e-6)


def test_no_varying_coefficient_leaves_the_rows() -> None:
    data, rng = discrete("crossed", "poisson"), np.random.default_rng(24)
    draws = with_coefficients(rng, data, population(rng, data, 2, "complete"))
    draws["theta"] = np.repeat(effects.theta_mean(draws, data)[:, None], data["J"], axis=1)
    rows = likelihood("poisson").log_p(effects.linear_predictor(draws, data), data, {})
    exact = np.stack([rows[:, data["level"][0] == j + 1].sum(axis=1) for j in range(data["J"])], axis=1)
    np.testing.assert_allclose(integrals.group_log_lik(likelihood("poisson"), draws, data), exact, rtol=1e-12)
    assert integrals.finer_group_log_lik(likelihood("poisson"), draws, data) is None


def test_two_factors_crossed_inside_a_group_are_integrated_by_laplace() -> None:
    data, rng = discrete("two crossed inside the group", "poisson"), np.random.default_rng(25)
    data["exposure"] = 200 * data["exposure"]
    data["y"] = rng.poisson(data["exposure"])
    draws = with_coefficients(rng, data, population(rng, data, 1))
    draws["sd"] = 0.05 * draws["sd"]
    draws["tau"] = 0.3 * draws["tau"]
    ours = integrals.group_log_lik(likelihood("poisson"), draws, data)[0]
    assert np.isnan(integrals.finer_group_log_lik(likelihood("poisson"), draws, data)).all()  # type: ignore[arg-type]
    # By importance, from a normal about the mode, wider than the curvature there says.
    eta = effects.middle(draws, data)[0] + eta_row_by_row(data, draws, 0, [3]) - eta_row_by_row(data, draws, 0, [])
    rows = np.flatnonzero(data["level"][0] == 1)
    columns = [data["level"][t][rows][:, None] == np.unique(data["level"][t][rows]) for t in range(3)]
    z = np.hstack([sd * c for sd, c in zip([draws["tau"][0, 0], *draws["sd"][0, :2]], columns, strict=True)])
    some = {key: np.asarray(data[key])[rows] for key in ("y", "exposure")}

    def log_p(e: np.ndarray) -> np.ndarray:
        rows_too = likelihood("poisson").log_p(eta[rows] + e @ z.T, some, {}).sum(axis=-1)
        return np.asarray(rows_too + norm.logpdf(e).sum(axis=-1))

    mode = minimize(lambda e: -log_p(e), np.zeros(z.shape[1]), method="BFGS").x
    curvature = np.eye(len(mode)) + (z.T * some["exposure"] * np.exp(eta[rows] + z @ mode)) @ z
    proposal = multivariate_normal(mode, 1.3 * np.linalg.inv(curvature), seed=26)
    e = proposal.rvs(20_000)
    values = log_p(e) - proposal.logpdf(e)
    exact = logsumexp(values) - np.log(len(e))
    error = np.exp(values - exact).std() / np.sqrt(len(e))
    assert error < 0.02
    assert ours[0] == pytest.approx(exact, abs=4 * error + 0.01)  # Laplace's own error, with counts of hundreds


@pytest.mark.parametrize("pooling", ["complete", "no"])
@pytest.mark.parametrize("prior", ["half_normal", "uniform"])
def test_rows_are_left_out_exactly_with_the_residual_sd_integrated(pooling: str, prior: str) -> None:
    data = CASES["correlated slopes"]()
    data |= {"prior_sigma_family": 1 if prior == "half_normal" else 4, "prior_sigma": [3.0, 1.0]}
    data["prior_beta"] = np.column_stack([[0.5, -1.0, 0.0], [3.0, 2.0, 1.0]])
    ours = left_out.exact_loo(likelihood("normal"), data, f"{pooling}_pooling")
    x, coefficients, y = data["X"], data["prior_beta"], data["y"] - data["offset_"]
    if pooling == "no":
        group = data["level"][0] - 1
        x = np.hstack([data["Z"] * (group == j)[:, None] for j in range(data["J"])])
        coefficients = np.tile(data["prior_theta"], (data["J"], 1))
    sigma = decode_scale("sigma", data["prior_sigma_family"], data["prior_sigma"])
    exact = exact_rows(x, y, np.zeros(N, dtype=int), coefficients, sigma, 3.0)
    np.testing.assert_allclose(ours, exact, atol=2e-6)


@pytest.mark.parametrize("pooling", ["complete", "no"])
def test_estimates_are_left_out_exactly(pooling: str) -> None:
    data = CASES["a slope that is no common one"]()
    ours = left_out.exact_loo(likelihood("estimates"), data, f"{pooling}_pooling")
    design = [(data["X"], data["prior_beta"])]
    if pooling == "no":
        group = data["level"][0] - 1
        z = np.hstack([data["Z"] * (group == j)[:, None] for j in range(data["J"])])
        design = [(data["X"][:, 1:], data["prior_beta"][1:]), (z, np.tile(data["prior_theta"], (data["J"], 1)))]
    mean = data["offset_"] + sum(x @ prior[:, 0] for x, prior in design)
    covariance = np.diag(data["se"] ** 2) + sum((x * prior[:, 1] ** 2) @ x.T for x, prior in design)
    inverse = np.linalg.inv(covariance)
    variance = 1 / np.diagonal(inverse)
    exact = norm.logpdf(data["y"], data["y"] - variance * (inverse @ (data["y"] - mean)), np.sqrt(variance))
    np.testing.assert_allclose(ours, exact, rtol=1e-9)


def test_nothing_is_exact_with_partial_pooling_or_beside_other_factors() -> None:
    assert left_out.exact_loo(likelihood("normal"), CASES["one factor"](), "partial_pooling") is None
    assert left_out.exact_loo(likelihood("normal"), CASES["crossed"](), "complete_pooling") is None
    assert left_out.exact_loo(likelihood("poisson"), CASES["one factor"](), "complete_pooling") is None


def alone(name: str) -> dict[str, Any]:
    """Groups with coefficients of their own only: nothing is shared between them."""
    design = design_of({"intercept": 1, "x": C["x"]}, [term(C["g"], intercept=1, x=C["x"])], N, offset=C["offset"])
    y = np.minimum(np.random.default_rng(1).poisson(3, N), C["trials"]) if name == "binomial" else C["y"]
    return data_of(design, y, trials=C["trials"], se=C["se"], exposure=C["exposure"])


@pytest.mark.parametrize("name", ["estimates", "binomial"])
def test_a_group_under_its_fixed_prior_alone(name: str) -> None:
    data = alone(name)
    data["prior_theta"] = np.array([[0.5, 2.0], [-0.2, 1.0]])
    ours = integrals.prior_group_log_lik(likelihood(name), data, "no_pooling")
    assert ours is not None
    for j in range(data["J"]):
        rows = np.flatnonzero(data["level"][0] == j + 1)
        z, mean = data["Z"][rows], data["offset_"] + data["Z"] @ [0.5, -0.2]
        if name == "estimates":
            covariance = (z * [4.0, 1.0]) @ z.T + np.diag(data["se"][rows] ** 2)
            exact = multivariate_normal.logpdf(data["y"][rows], mean[rows], covariance)
        else:
            exact = sum_over_grid(name, data, mean, rows, [(z, np.diag([2.0, 1.0]))])
        assert ours[j] == pytest.approx(exact, abs=1e-6)
    assert integrals.prior_group_log_lik(likelihood(name), data, "partial_pooling") is None
    assert integrals.prior_group_log_lik(likelihood(name), CASES["crossed"](), "no_pooling") is None
    assert integrals.prior_group_log_lik(likelihood("normal"), data, "no_pooling") is None


def test_raw_estimates_of_lines_are_least_squares_of_each_group() -> None:
    data = alone("normal")
    estimate, error = raw.raw(likelihood("normal"), data)
    rss = 0.0
    for j in range(data["J"]):
        rows = np.flatnonzero(data["level"][0] == j + 1)
        fit = np.linalg.lstsq(data["Z"][rows], data["y"][rows] - data["offset_"][rows], rcond=None)
        np.testing.assert_allclose(estimate[j], fit[0], rtol=1e-8)
        rss += float(fit[1][0])
    own = data["Z"][data["level"][0] == 1]
    expected = np.sqrt(np.diagonal(np.linalg.inv(own.T @ own)) * rss / (N - 2 * data["J"]))
    np.testing.assert_allclose(error[0], expected, rtol=1e-8)


def test_raw_estimates_have_one_common_slope_in_all_groups() -> None:
    data = CASES["one factor"]()
    estimate, _ = raw.raw(likelihood("normal"), data)
    dummies = (data["level"][0][:, None] == np.arange(1, data["J"] + 1)).astype(float)
    fit = np.linalg.lstsq(np.hstack([dummies, data["X"][:, 1:]]), data["y"] - data["offset_"], rcond=None)[0]
    np.testing.assert_allclose(estimate[:, 0], fit[: data["J"]], rtol=1e-7)


def test_raw_rates_add_half_an_event_and_half_of_each_outcome() -> None:
    design = design_of({"intercept": 1}, [term(C["g"], intercept=1)], N)
    y, trials, exposure = np.zeros(N, dtype=int), C["trials"], C["exposure"]
    y[C["g"] == 1] = trials[C["g"] == 1]
    y[C["g"] == 2] = 1
    data = data_of(design, y, trials=trials, exposure=exposure)
    group = data["level"][0] - 1
    hits, total, time = (np.bincount(group, weights=v) for v in (y, trials, exposure))
    odds = np.log((hits + 0.5) / (total - hits + 0.5))
    np.testing.assert_allclose(raw.raw(likelihood("binomial"), data)[0][:, 0], odds, rtol=1e-5)
    np.testing.assert_allclose(raw.raw(likelihood("poisson"), data)[0][:, 0], np.log((hits + 0.5) / time), rtol=1e-5)


def test_a_coefficient_that_a_group_does_not_determine_is_no_number() -> None:
    x = np.where(C["g"] == 3, 1.0, C["x"])
    design = design_of({"intercept": 1, "x": x}, [term(C["g"], intercept=1, x=x)], N)
    estimate, error = raw.raw(likelihood("poisson"), data_of(design, np.abs(np.round(C["y"])), exposure=C["exposure"]))
    j = list(dict.fromkeys(C["g"])).index(3)
    assert np.isnan(np.append(estimate[j], error[j])).all()
    assert np.isfinite(np.delete(estimate, j, axis=0)).all()


@pytest.mark.parametrize("case", ["correlated slopes", "nested", "uncorrelated slopes"])
def test_shrinkage_is_how_much_the_population_moves_a_group(case: str) -> None:
    data = CASES[case]()
    draws = population(np.random.default_rng(26), data, 1)
    ours = raw.shrinkage_factor(likelihood("normal"), draws, data)
    assert ours is not None
    variance = dense_covariance(data, draws, 0) + np.eye(N) * draws["sigma"][0] ** 2
    for k in range(data["KG"]):
        # E(theta_jk | y) for a population whose k-th mean is higher by 1, in group j alone.
        for j in range(data["J"]):
            rows = data["level"][0] == j + 1
            block = np.flatnonzero(rows)
            theta_cov = np.zeros((data["KG"], data["KG"]))
            for t in effects.terms_of(data):
                if t.pooled:
                    factor = effects.factor_of(t, draws, data)[0]
                    theta_cov[t.at, t.at] = factor @ factor.T
            z = data["Z"][block, : data["KG"]]
            gain = theta_cov @ z.T @ np.linalg.inv(variance[np.ix_(block, block)])
            assert ours[0, j, k] == pytest.approx(1 - (gain @ z)[k, k], abs=1e-9)
    assert raw.shrinkage_factor(likelihood("normal"), population(np.random.default_rng(1), data, 1, "no"), data) is None


def test_draws_in_pieces_are_draws_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    data, rng = CASES["nested and crossed"](), np.random.default_rng(27)
    draws = with_coefficients(rng, data, population(rng, data, 7))
    whole = closed_form.loo_log_lik(likelihood("normal"), draws, data, ""), closed_form.group_log_lik(
        likelihood("normal"), draws, data)  # fmt: skip
    counts = discrete("nested", "poisson")
    some = with_coefficients(rng, counts, population(rng, counts, 7))
    quadrature = integrals.group_log_lik(likelihood("poisson"), some, counts)
    monkeypatch.setattr(closed_form, "_CHUNK", 3_000)
    monkeypatch.setattr("hbm_stan.integrate._CHUNK", 100)
    monkeypatch.setattr("hbm_stan.integrate.leverage._CHUNK", 100)
    np.testing.assert_allclose(closed_form.loo_log_lik(likelihood("normal"), draws, data, ""), whole[0], rtol=1e-9)
    np.testing.assert_allclose(closed_form.group_log_lik(likelihood("normal"), draws, data), whole[1], rtol=1e-9)
    np.testing.assert_allclose(integrals.group_log_lik(likelihood("poisson"), some, counts), quadrature, rtol=1e-9)
    assert usual_nodes(2) == 9


@pytest.mark.parametrize("pooling", ["no", "partial"])
@pytest.mark.parametrize("name", ["binomial", "poisson"])
@pytest.mark.parametrize("case", ["crossed slopes", "nested"])
def test_a_row_is_left_out_of_its_group(case: str, name: str, pooling: str) -> None:
    data, rng = discrete(case, name), np.random.default_rng(28)
    data["prior_theta"] = np.tile([0.0, 1.0], (data["KG"], 1))
    # The second group keeps one row: without it there is nothing but the population.
    keep = np.flatnonzero((data["level"][0] != 2) | (np.cumsum(data["level"][0] == 2) == 1))
    data = effects.take_rows(data, keep)
    draws = with_coefficients(rng, data, population(rng, data, 2, pooling))
    ours = integrals.loo_log_lik(likelihood(name), draws, data, "")
    terms = [t for t in effects.terms_of(data) if t.pooled]
    others = list(range(data["G"], data["T"]))
    for s in range(2):
        eta = (
            effects.middle(draws, data)[s] + eta_row_by_row(data, draws, s, others) - eta_row_by_row(data, draws, s, [])
        )
        for n in (0, 5, int(np.flatnonzero(data["level"][0] == 2)[0])):
            rows = np.flatnonzero(data["level"][0] == data["level"][0][n])
            whole, rest = (
                sum_over_grid(
                    name, data, eta, r, [(t.level.columns[r], effects.factor_of(t, draws, data)[s]) for t in terms]
                )
                for r in (rows, rows[rows != n])
            )
            assert ours[s, n] == pytest.approx(whole - rest, abs=2 * CLOSE[data["KG"]])


def test_a_decisive_row_has_an_integral_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    data, rng = discrete("one factor", "poisson"), np.random.default_rng(29)
    data["exposure"] = np.where(np.arange(N) == 3, 400.0, data["exposure"])
    data["y"] = np.where(np.arange(N) == 3, 900, data["y"])
    draws = population(rng, data, 2)
    ours = integrals.loo_log_lik(likelihood("poisson"), draws, data, "")
    monkeypatch.setattr("hbm_stan.integrate.rows._decisive", lambda _count: 1e-9)
    exact = integrals.loo_log_lik(likelihood("poisson"), draws, data, "")
    monkeypatch.setattr("hbm_stan.integrate.rows._decisive", lambda _count: 1.0)
    rough = integrals.loo_log_lik(likelihood("poisson"), draws, data, "")
    np.testing.assert_allclose(ours, exact, atol=1e-6)
    assert abs(rough[:, 3] - exact[:, 3]).max() > 0.1  # what nodes about the mode with the row would say


@pytest.mark.parametrize("pooling", ["complete", "no", "partial"])
def test_amounts_are_their_logs_with_the_jacobian(pooling: str) -> None:
    """Every density of lognormal rows is that of normal logs, less the log of each row's amount."""
    data, of_logs, amounts = CASES["crossed"](), likelihood("normal"), likelihood("lognormal")
    own = {**data, "y": np.exp(data["y"])}
    rng = np.random.default_rng(31)
    draws = with_coefficients(rng, data, population(rng, data, 3, pooling))
    by_group = np.bincount(data["level"][0] - 1, weights=data["y"])
    for function, jacobian in (
        (density.pointwise, data["y"]),
        (partial(closed_form.loo_log_lik, _variant=""), data["y"]),
        (integrals.group_log_lik, by_group),
        (groups_left_out.group_loo_log_lik, by_group),
        (closed_form.log_marginal, data["y"].sum()),
    ):
        expected = function(of_logs, draws, data) - jacobian
        np.testing.assert_allclose(function(amounts, draws, own), expected, rtol=1e-9)
    if pooling != "partial":
        alone = CASES["one factor"]()
        exact = left_out.exact_loo(of_logs, alone, f"{pooling}_pooling")
        log_lik = left_out.exact_loo(amounts, {**alone, "y": np.exp(alone["y"])}, f"{pooling}_pooling")
        assert exact is not None
        assert log_lik is not None
        np.testing.assert_allclose(log_lik, exact - alone["y"], rtol=1e-7)


@pytest.mark.parametrize("pooling", ["complete", "no"])
def test_rows_given_others_are_the_same_some_sds_at_a_time(pooling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, of_rows = CASES["one factor"](), likelihood("normal")
    whole = left_out.exact_loo(of_rows, data, f"{pooling}_pooling")
    monkeypatch.setattr("hbm_stan.portions.AT_ONCE", 3 * data["N"])
    some = left_out.exact_loo(of_rows, data, f"{pooling}_pooling")
    assert whole is not None
    np.testing.assert_allclose(some, whole, rtol=1e-13)
