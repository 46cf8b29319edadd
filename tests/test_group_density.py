"""log p(y_group) under a group's own prior against integrals by SciPy, and the error of integrals over groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad, simpson

from hbm_stan import integrate
from hbm_stan.data import Dataset
from hbm_stan.examples import analyses, example
from hbm_stan.families import families, family, own_scale
from hbm_stan.families.planck import curve as planck_curve
from hbm_stan.families.planck import evidence as planck
from hbm_stan.fit import prepare_table
from hbm_stan.likelihoods import likelihoods
from hbm_stan.model import Family, StanData
from hbm_stan.priors import Prior

SEED = 20261121
SIZES = (1, 2, 4)
NO = "no_pooling"
Inputs = tuple[Family, StanData, dict[str, Prior]]


def frame(**columns: Any) -> pd.DataFrame:
    """Rows of three groups with 1, 2 and 4 rows, in no order."""
    rows = pd.DataFrame({"g": np.repeat(["a", "b", "c"], SIZES), **columns})
    return rows.sample(frac=1, random_state=3, ignore_index=True)


def data_of(name: str, table: pd.DataFrame, variant: str = NO, chosen: Any = None, **roles: Any) -> Inputs:
    model = family(name)
    again = {"unit_labels": "repeat"} if "unit" in roles else {}
    prepared = prepare_table(model, Dataset.from_frame(table, {"group": "g", **roles}, **again))
    priors = model.priors(prepared, chosen)
    return model, model.stan_data(prepared, priors, variant), priors


def density(inputs: Inputs, variant: str = NO) -> np.ndarray:
    log_density = inputs[0].need("prior_group_log_lik", "a test")(inputs[1], variant)
    assert log_density.shape == (inputs[1]["J"],)
    return np.asarray(log_density)


def rows_of(data: StanData, j: int) -> np.ndarray:
    return np.flatnonzero(np.asarray(data["group_idx"]) == j + 1)


# Independent integrals, family by family; each beside what a forgotten integral would give


def test_normal_means_have_the_density_of_estimates_about_the_prior() -> None:
    table = pd.DataFrame({"g": list("abc"), "y": [3.0, -9.0, 20.0], "se": [1.0, 2.0, 0.5]})
    inputs = data_of("normal_means", table, chosen={"theta": "normal(2, 5)"}, estimate="y", standard_error="se")
    exact = stats.norm.logpdf(table["y"], 2, np.sqrt(25 + table["se"] ** 2))
    np.testing.assert_allclose(density(inputs), exact, rtol=1e-12)
    assert np.abs(density(inputs) - stats.norm.logpdf(table["y"], 2, table["se"])).min() > 0.1


def test_rates_are_integrated_jointly_over_the_rows_of_a_group() -> None:
    table = frame(y=[3, 0, 2, 7, 5, 1, 9], n=[10, 4, 9, 8, 5, 20, 12])
    inputs = data_of("beta_binomial", table, chosen={"theta": "beta(2, 3)"}, successes="y", trials="n")
    y, n = inputs[1]["y"], inputs[1]["trials"]
    apart = stats.betabinom.logpmf(y, n, 2, 3)
    for j, ours in enumerate(density(inputs)):
        own = rows_of(inputs[1], j)
        exact, _ = quad(lambda p, own=own: stats.beta.pdf(p, 2, 3) * stats.binom.pmf(y[own], n[own], p).prod(), 0, 1)
        assert ours == pytest.approx(math.log(exact), abs=1e-7)
        assert (abs(apart[own].sum() - ours) > 0.1) == (len(own) > 1)  # each row by itself is not the group


def test_counts_are_integrated_jointly_over_the_rows_of_a_group() -> None:
    table = frame(y=[3, 0, 2, 7, 5, 1, 9], t=[1.0, 0.4, 0.9, 2.0, 1.5, 0.2, 1.0])
    inputs = data_of("gamma_poisson", table, chosen={"theta": "gamma(2, 0.5)"}, count="y", exposure="t")
    y, t = inputs[1]["y"], inputs[1]["exposure"]
    apart = stats.nbinom.logpmf(y, 2, 0.5 / (0.5 + t))
    for j, ours in enumerate(density(inputs)):
        own = rows_of(inputs[1], j)
        exact, _ = quad(
            lambda r, own=own: stats.gamma.pdf(r, 2, scale=2) * stats.poisson.pmf(y[own], r * t[own]).prod(), 0, 80,
            epsabs=0, limit=500,
        )  # fmt: skip
        assert ours == pytest.approx(math.log(exact), abs=1e-7)
        assert (abs(apart[own].sum() - ours) > 0.1) == (len(own) > 1)


@pytest.mark.parametrize("prior", ["lognormal(0, 1)", "half_cauchy(2)", "uniform(0, 6)", "gamma(20, 10)"])
@pytest.mark.parametrize("name", ["grouped_normal", "linear_regression"])
def test_coefficients_and_scales_of_normal_groups_are_integrated_out(name: str, prior: str) -> None:
    table = frame(y=[3.0, 5.5, 4.0, 2.0, 9.0, 6.5, 4.2], x=[0.0, 1.0, 3.0, -1.0, 2.0, 2.5, 4.0])
    lines = name == "linear_regression"
    theta = {"theta[intercept]": "normal(4, 3)", "theta[x]": "normal(0, 2)"} if lines else {"theta": "normal(4, 3)"}
    predictors = {"predictors": ["x"]} if lines else {}
    inputs = data_of(name, table, chosen={**theta, "sigma_group": prior}, outcome="y", **predictors)
    data, y = inputs[1], np.asarray(inputs[1]["y"])
    x = data["X"] if lines else np.ones((len(y), 1))
    coefficients = np.asarray(data["prior_theta"]).reshape(-1, 2)
    sigma = inputs[2]["sigma_group"]

    def joint(own: np.ndarray, log_sd: np.ndarray) -> np.ndarray:
        noise = np.exp(2 * log_sd)[:, None, None] * np.eye(len(own))
        covariance = (x[own] * coefficients[:, 1] ** 2) @ x[own].T + noise
        r = y[own] - x[own] @ coefficients[:, 0]
        squares = np.linalg.solve(covariance, np.tile(r[:, None], (len(log_sd), 1, 1)))[..., 0] @ r
        return np.asarray(-0.5 * (squares + np.linalg.slogdet(covariance)[1] + len(own) * math.log(2 * math.pi)))

    log_sd = np.linspace(-8, math.log(6 * (1 - 1e-12)) if "uniform" in prior else 12, 2001)
    weight = sigma.log_density(np.exp(log_sd)) + log_sd
    for j, ours in enumerate(density(inputs)):
        values = np.exp(joint(rows_of(data, j), log_sd) + weight)
        assert ours == pytest.approx(math.log(simpson(values, x=log_sd)), abs=5e-4)
        if prior == "lognormal(0, 1)":  # a scale that is fixed at its median, not integrated out, is another answer
            assert abs(joint(rows_of(data, j), np.zeros(1))[0] - ours) > 2e-3


def test_both_scales_of_nested_groups_are_integrated_out() -> None:
    table = frame(y=[3.0, 5.5, 4.0, 2.0, 9.0, 6.5, 4.2], unit=["au", "bu", "bv", "cu", "cu", "cv", "cw"])
    chosen = {"tau_unit": "half_normal(2)", "sigma": "lognormal(0, 0.7)", "theta": "normal(4, 3)"}
    inputs = data_of("nested_normal", table, chosen=chosen, outcome="y", unit="unit")
    data, y, unit = inputs[1], np.asarray(inputs[1]["y"]) - 4, np.asarray(inputs[1]["unit_idx"])
    log_sd = np.linspace(-9, 4, 201)
    priors = [inputs[2][k].log_density(np.exp(log_sd)) + log_sd for k in ("tau_unit", "sigma")]
    for j, ours in enumerate(density(inputs)):
        own = rows_of(data, j)
        same, each = 1.0 * (unit[own][:, None] == unit[own]), np.exp(2 * log_sd)[:, None, None]
        covariance = 9 + (each * same)[:, None] + (each * np.eye(len(own)))[None]
        squares = np.linalg.solve(covariance, np.broadcast_to(y[own][:, None], (*covariance.shape[:3], 1)))[..., 0]
        normal = -0.5 * (squares @ y[own] + np.linalg.slogdet(covariance)[1] + len(own) * math.log(2 * math.pi))
        joint = np.exp(normal + priors[0][:, None] + priors[1])
        assert ours == pytest.approx(math.log(simpson(simpson(joint, x=log_sd), x=log_sd)), abs=1e-3)
        one = simpson(np.exp(normal + priors[1])[np.searchsorted(log_sd, 0)], x=log_sd)
        assert abs(math.log(one) - ours) > 2e-3  # tau_unit fixed at 1


def test_coefficients_of_logistic_groups_are_integrated_out() -> None:
    table = frame(y=[1, 0, 1, 3, 5, 2, 0], n=[1, 2, 4, 4, 5, 9, 6], x=[0.5, -1.0, 2.0, 0.0, 1.0, 0.0, -2.0])
    chosen = {"theta[intercept]": "normal(0.5, 3)", "theta[x]": "normal(0, 2)"}
    inputs = data_of("logistic_regression", table, chosen=chosen, successes="y", trials="n", predictors=["x"])
    data, grid = inputs[1], np.linspace(-9, 9, 901)
    a, b = 0.5 + 3 * grid[:, None], 2 * grid[None]
    normal = stats.norm.logpdf(grid)[:, None] + stats.norm.logpdf(grid)
    for j, ours in enumerate(density(inputs)):
        joint, at_mean = normal.copy(), 0.0
        for n in rows_of(data, j):
            y, trials, x = data["y"][n], data["trials"][n], data["X"][n, 1]
            joint += stats.binom.logpmf(y, trials, 1 / (1 + np.exp(-a - b * x)))
            at_mean += stats.binom.logpmf(y, trials, 1 / (1 + math.exp(-0.5)))
        exact = math.log(np.trapezoid(np.trapezoid(np.exp(joint), grid), grid))
        assert ours == pytest.approx(exact, abs=1e-4)
        assert abs(at_mean - ours) > 0.05


def test_wide_priors_in_more_directions_than_can_be_integrated_have_no_density() -> None:
    rng = np.random.default_rng(SEED)
    names = [f"x{k}" for k in range(5)]
    table = pd.DataFrame(rng.normal(size=(24, 5)), columns=names).assign(g=["a", "b"] * 12, y=[0, 1, 1, 0] * 6)
    model, data, _ = data_of("logistic_regression", table, outcome="y", predictors=names)
    assert model.need("prior_group_log_lik", "a test")(data, NO) is None
    # Groups of three or four rows have no more directions than that, whatever the number of terms.
    small = table[:14].assign(g=list("aaabbbccccdddd"))
    assert density(data_of("logistic_regression", small, outcome="y", predictors=names)).shape == (4,)


@pytest.mark.parametrize("variant", [NO, f"{NO}_truncated"])
@pytest.mark.parametrize("prior", ["gamma(3, 4)", "uniform(0, 2)"])
def test_temperatures_and_scales_of_spectra_are_integrated_out(variant: str, prior: str) -> None:
    table = frame(nu=[1.0, 2.0, 4.0, 1.0, 3.0, 5.0, 7.0], y=[0.9, 1.5, 2.4, 0.7, 3.1, 2.0, 1.3])
    chosen = {"T": "lognormal(0.5, 0.6)", "sigma_group": prior}
    inputs = data_of("planck", table, variant, chosen, frequency="nu", flux="y")
    model, data, priors = inputs
    u, v = np.linspace(0.5 - 5, 0.5 + 4, 6001), np.linspace(-9, math.log(2) if "uniform" in prior else 3, 161)
    weight = priors["T"].log_density(np.exp(u)) + u
    outer = priors["sigma_group"].log_density(np.exp(v) * (1 - 1e-12)) + v
    for j, ours in enumerate(density(inputs, variant)):
        own = rows_of(data, j)
        part = {**data, **{k: data[k][own] for k in ("nu", "y", "y_lower", "y_upper")}}
        part["group_idx"] = np.ones(len(own), int)
        inner = []
        for sigma in np.exp(v):
            draws = {"T": np.exp(u)[:, None], "sigma": np.full(len(u), sigma)}
            rows = model.need("pointwise", "a test")(draws, part).sum(axis=1)
            inner.append(simpson(np.exp(rows + weight), x=u))
        exact = math.log(simpson(np.array(inner) * np.exp(outer), x=v))
        assert ours == pytest.approx(exact, abs=1e-3)
        assert abs(math.log(inner[np.searchsorted(v, -0.5)]) - ours) > 1e-2  # sigma fixed, not integrated out


def test_the_polynomial_for_truncated_spectra_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    model, table = example("planck")
    data = model.stan_data(table, model.priors(table), f"{NO}_truncated")
    groups = (0, data["J"] - 1)
    exact = [planck._of_group(j, data) for j in groups]
    monkeypatch.setattr(planck_curve, "_MOST", 0)
    np.testing.assert_allclose([planck._of_group(j, data) for j in groups], exact, atol=1e-5)


# Identities


def one_row_each(name: str) -> Inputs:
    """The example of a family with one row of each group, the first, the second ... in turn."""
    model, table = example(name)
    dataset = table.dataset
    members = [np.flatnonzero(table.pooled.level == j) for j in range(table.n_groups)]
    rows = [int(own[j % len(own)]) for j, own in enumerate(members)]
    columns = {c: [dataset.table.column(c)[i] for i in rows] for c in dataset.table.names}
    beside = {"neighbours": dataset.reading.neighbours}
    prepared = prepare_table(model, Dataset.from_frame(pd.DataFrame(columns), dataset.columns, **beside))
    priors = model.priors(prepared)
    return model, model.stan_data(prepared, priors, NO), priors


# Curves of one point each are refused: nothing says how they turn.
# Rows of a formula share own parameters of their likelihood without pooling too: none of their groups stands alone.
WITH_OWN = {name for name, known in likelihoods().items() if known.own_rows}
# So do rows whose outcome may be missing: slopes and how rows come to be unseen are common.
WITH_OWN |= {name for name, model in families().items() if any(v.shared for v in model.programs.variants)}
# Nor do groups that share how they are measured.
WITH_OWN |= {name for name, model in families().items() if model.programs.shared}


@pytest.mark.parametrize("name", sorted(families().keys() - WITH_OWN - {"gp_integral"}))
def test_a_group_of_one_row_is_the_row_left_out_without_pooling(name: str) -> None:
    model, data, _ = inputs = one_row_each(name)
    rows = model.need("exact_loo", "a test")(data, NO)
    group = np.asarray(data["group_idx"]) - 1 if "group_idx" in data else np.arange(data["J"])
    np.testing.assert_allclose(density(inputs)[group], rows, atol=2e-4)


CHAINS: dict[str, dict[str, Any]] = {
    "beta_binomial": {"successes": "count", "trials": "size"}, "gamma_poisson": {"count": "count", "exposure": "size"},
    "grouped_normal": {"outcome": "y"}, "linear_regression": {"outcome": "y", "predictors": ["x"]},
    "nested_normal": {"outcome": "y", "unit": "unit"},
    "gp_integral": {"point": "x", "estimate": "y", "standard_error": "se"},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_a_group_is_its_rows_one_after_the_other(name: str) -> None:
    """log p(rows) is the sum of log p(row | the rows before it), each by the exact score of the last row."""
    rng = np.random.default_rng(SEED)
    table = pd.DataFrame({
        "g": ["a"] * 6 + ["b"] * 2, "y": rng.normal(3, 2, 8), "x": rng.normal(size=8), "unit": list("uuvvwwxy"),
        "count": rng.poisson(3, 8), "size": rng.integers(9, 30, 8), "se": rng.uniform(0.5, 2, 8),
    })  # fmt: skip
    model, whole, _ = inputs = data_of(name, table, **CHAINS[name])
    rows, total = np.flatnonzero(whole["group_idx"] == 1), 0.0
    for n in range(1, 7):
        included = np.append(rows[:n], np.flatnonzero(whole["group_idx"] == 2))
        part = {k: v[included] if np.shape(v)[:1] == (8,) else v for k, v in whole.items()} | {"N": len(included)}
        if "unit_idx" in part:
            units, part["unit_idx"] = np.unique(part["unit_idx"], return_inverse=True)
            part |= {"unit_idx": part["unit_idx"] + 1, "M": len(units), "unit_group": whole["unit_group"][units - 1]}
        total += model.need("exact_loo", "a test")(part, NO)[n - 1]
    assert density(inputs)[0] == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize("name", sorted(families()))
def test_variants_that_pool_have_no_density_of_a_group_alone(name: str) -> None:
    model, table = example(name)
    for variant in model.programs.variants:
        data = model.stan_data(table, model.priors(table), variant.name)
        if variant.pooling != "no":
            assert model.need("prior_group_log_lik", "a test")(data, variant.name) is None


# The error of integrals over groups

FINER = [
    ("city_prices", "partial_pooling", 1e-3), ("grouped_data", "partial_pooling_sigma_by_group", 1e-3),
    ("segments", "partial_pooling_sigma_by_group", 1e-3), ("planck", "partial_pooling", 1e-6),
]  # fmt: skip


def change(analysis: str, variant: str, size: int = 50) -> float:
    """The largest change of a log density by twice the nodes, with population parameters drawn from wide priors."""
    shipped = analyses()[analysis]
    model, table = shipped.family, prepare_table(shipped.family, shipped.dataset)
    priors = model.priors(table, dict(model.twin.calibration))
    data = model.stan_data(table, priors, variant)
    draws = model.need("prior_draws", "a test")(np.random.default_rng(SEED), priors, data, size)
    ours, finer = (model.need(f"{kind}group_log_lik", "a test")(draws, data) for kind in ("", "finer_"))
    assert finer.shape == ours.shape == (size, data["J"])
    return float(np.max(np.abs(ours - finer)))


@pytest.mark.parametrize(("analysis", "variant", "limit"), FINER)
def test_twice_the_nodes_change_nothing_that_is_shown(analysis: str, variant: str, limit: float) -> None:
    assert change(analysis, variant) < limit


def test_too_few_nodes_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(integrate.NODES, 2, 2)
    assert change("city_prices", "partial_pooling") > 1e-3
    monkeypatch.setattr(planck, "STEP", 1.0)
    assert change("planck", "partial_pooling") > 1e-3


def test_the_finer_integral_over_scales_sees_too_few_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    real = own_scale._legendre
    monkeypatch.setattr(own_scale, "_legendre", lambda nodes: real(nodes // 20))
    assert change("grouped_data", "partial_pooling_sigma_by_group") > 1e-3


def test_closed_forms_have_no_finer_integral() -> None:
    finer = {name: model for name, model in families().items() if model.groups.finer_group_log_lik is not None}
    sampled = {name for name, known in likelihoods().items() if known.precision is None}
    own = {
        "disease_mapping",
        "event_population",
        "grouped_normal",
        "joint_infection",
        "logistic_regression",
        "missing_outcomes",
        "planck",
    }
    assert set(finer) == own | sampled
    for name, model in finer.items():
        _, table = example(name)
        data = model.stan_data(table, model.priors(table), "complete_pooling")
        if model.terms:
            draws = {"beta": np.ones((3, data["P"])), **{n: np.ones((3, 99)) for n in ("sd", "rho_other", "effect")}}
        else:
            mu = np.ones((3, data["K"])) if "K" in data else np.ones(3)
            draws = {"mu": mu, "sigma": np.ones(3), "gamma": np.zeros((3, data.get("L", 0)))}
        assert model.need("finer_group_log_lik", "a test")(draws, data) is None


@pytest.mark.parametrize(("terms", "known"), [(4, True), (8, False)])
def test_laplaces_method_is_checked_by_three_nodes(terms: int, known: bool) -> None:
    rng = np.random.default_rng(SEED)
    names = [f"x{k}" for k in range(1, terms)]
    table = pd.DataFrame(rng.normal(size=(30, terms - 1)), columns=names).assign(g=["a", "b"] * 15, y=[0, 1, 1] * 10)
    model, data, _ = data_of("logistic_regression", table, "partial_pooling", outcome="y", predictors=names)
    draws = {"mu": rng.normal(size=(3, terms)), "tau": rng.gamma(4, 0.3, (3, terms))}
    ours, finer = (model.need(f"{kind}group_log_lik", "a test")(draws, data) for kind in ("", "finer_"))
    assert np.isfinite(finer).all() == known
    if known:
        assert 1e-3 < np.max(np.abs(ours - finer)) < 0.5
