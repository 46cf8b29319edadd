"""Logistic regression: published and independent answers, integrals against dense grids, bad input, planted faults."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from scipy.stats import binom, norm

from hbm_stan import integrate
from hbm_stan.attempts import fit
from hbm_stan.data import Dataset, load
from hbm_stan.density import SPREAD, log_density_spread
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.examples import example
from hbm_stan.families import family
from hbm_stan.families.logistic_regression import density, estimates
from hbm_stan.families.logistic_regression.findings import findings
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.model import Evidence
from hbm_stan.prepare import Prepared

REFERENCE = Path(__file__).parent / "reference"
FAMILY = family("logistic_regression")
STATISTICS = ("mean", "q05", "q50", "q95")
SAMPLING = Sampling(draws=1000, adapt_delta=0.9, seed=20261121)
FAMILY_ERROR = 1e-3
WOMEN = ("age10", "age10_squared", "urban", "livch1", "livch2", "livch3plus")


def reference(name: str) -> dict[str, Any]:
    return json.loads((REFERENCE / f"{name}.json").read_text())  # type: ignore[no-any-return]


def contraception(predictors: tuple[str, ...]) -> Dataset:
    return load("contraception", {"group": "district", "outcome": "use", "predictors": predictors})


def stan_data(dataset: Dataset, variant: str = "partial_pooling") -> dict[str, Any]:
    table = prepare_table(FAMILY, dataset)
    return FAMILY.stan_data(table, FAMILY.priors(table), variant)


def moved(fit: Fit, truth: dict[str, dict[str, float]]) -> dict[str, float]:
    """The statistics that differ from the truth by more than the Monte Carlo errors of both allow.

    A truth that is itself made of draws says the error of its means; those of its quantiles are as much larger than
    those of its means as they are in our draws.
    """
    table = check(fit).summary
    limit = norm.isf(FAMILY_ERROR / (2 * len(truth) * len(STATISTICS)))
    z_scores = {}
    for name, row in truth.items():
        ours = table.loc[name]
        ratio = row.get("mcse_mean", 0.0) / ours["mcse_mean"]
        for statistic in STATISTICS:
            z = (ours[statistic] - row[statistic]) / (ours[f"mcse_{statistic}"] * np.hypot(1, ratio))
            if not abs(z) < limit:
                z_scores[f"{statistic} of {name}"] = round(float(z), 1)
    return z_scores


def test_contraception_equals_an_independent_gibbs_sampler(stanli: Engine) -> None:
    women_fit = fit(
        FAMILY, contraception(WOMEN), "partial_pooling_intercept", engine=stanli, sampling=replace(SAMPLING, draws=500),
        priors={"mu": "normal(0, 2.5)", "tau[intercept]": "half_normal(1)"},
    )  # fmt: skip
    truth = reference("contraception-varying_intercept")["posteriors"][0]["parameters"]
    assert len(truth) == 68
    assert moved(women_fit, truth) == {}
    # A planted fault: the variance in place of the sd.
    tau = truth["tau[intercept]"]
    assert moved(women_fit, {"tau[intercept]": {**tau, **{s: tau[s] ** 2 for s in STATISTICS}}})


def seeds() -> Dataset:
    source = reference("seeds-varying_intercept")["data"]
    return load(REFERENCE / source["file"], source["columns"])


def test_seeds_equal_quadrature(stanli: Engine) -> None:
    chosen = {"mu": "normal(0, 1)", "tau": "half_cauchy(1)"}
    seeds_fit = fit(FAMILY, seeds(), "partial_pooling_intercept", priors=chosen, sampling=SAMPLING, engine=stanli)
    assert moved(seeds_fit, reference("seeds-varying_intercept")["posteriors"][0]["parameters"]) == {}


def test_baseball_has_the_published_medians_and_intervals(stanli: Engine) -> None:
    # The vignette "pooling" of the R package rstanarm 2.21.3 prints three digits of medians and 80 % intervals, from
    # 4000 draws of its own: both Monte Carlo errors and the rounding are allowed for.
    published = {
        "Roberto Clemente": (0.248, 0.283, 0.347), "Frank Robinson": (0.246, 0.280, 0.340),
        "Thurman Munson": (0.205, 0.254, 0.287), "Max Alvis": (0.199, 0.250, 0.285),
    }  # fmt: skip
    from arviz_stats.base import array_stats as az

    columns = {"group": "player", "successes": "hits", "trials": "at_bats"}
    chosen = {"mu": "normal(-1, 1)", "tau": "exponential(1)"}
    baseball_fit = fit(
        FAMILY, load("baseball", columns), "partial_pooling", priors=chosen, sampling=SAMPLING, engine=stanli
    )
    theta = expit(baseball_fit.draws("theta")["theta"][:, :, 0])
    limit = norm.isf(FAMILY_ERROR / (2 * 12))
    for player, printed in published.items():
        own = theta[:, baseball_fit.table.pooled.labels.index(player)]
        for prob, value in zip((0.1, 0.5, 0.9), printed, strict=True):
            error = az.mcse(own.reshape(SAMPLING.chains, -1), method="quantile", prob=prob)
            theirs = error * np.sqrt(len(own) / 4000)
            assert abs(np.quantile(own, prob) - value) < limit * np.hypot(error, theirs) + 0.0005, (player, prob)


def test_integrated_likelihood_has_the_maximum_that_lme4_prints() -> None:
    # glmer of the R package lme4 with 25 nodes: intercept -0.5383, sd 0.4995 (printed digits).
    data = stan_data(contraception(()))

    def minus(q: np.ndarray) -> float:
        draws = {"mu": np.array([[q[0]]]), "tau": np.array([[np.exp(q[1])]])}
        return -float(density.group_log_lik(draws, data).sum())

    maximum = minimize(minus, np.zeros(2), method="BFGS").x
    assert round(maximum[0], 4) == -0.5383
    assert round(float(np.exp(maximum[1])), 4) == 0.4995


def test_one_node_is_laplace_s_method_as_lme4_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # glmer with one node prints these estimates (its age is in years, ours in tens of years) and log-likelihood.
    data = stan_data(contraception(WOMEN))
    mu = np.array([[-1.0350, 10 * 0.00354, -100 * 0.004562, 0.6973, 0.8150, 0.9165, 0.9150]])
    tau = np.array([[0.4752, 0, 0, 0, 0, 0, 0]])
    exact = density.group_log_lik({"mu": mu, "tau": tau}, data).sum()
    monkeypatch.setitem(integrate.NODES, 1, 1)
    laplace = density.group_log_lik({"mu": mu, "tau": tau}, data).sum()
    assert round(float(laplace), 2) == -1186.36
    assert abs(laplace - exact) > 0.1  # and the quadrature is not Laplace's method


def small(slopes: bool = True) -> Dataset:
    """Groups of rows without a success, with successes only, of one row, and an ordinary one; trials of many sizes."""
    frame = pd.DataFrame({
        "g": list("aaabbbcdddd"), "y": [0, 0, 0, 1, 4, 30, 1, 3, 0, 2, 11], "n": [1, 5, 9, 1, 4, 30, 2, 9, 3, 3, 40],
        "x": [0.1, -1, 2, 0.3, 1.5, -0.7, 0.9, -2, -0.5, 0.4, 1.1],
    })  # fmt: skip
    columns = {"group": "g", "successes": "y", "trials": "n"}
    return Dataset.from_frame(frame, {**columns, "predictors": "x"} if slopes else columns)


@pytest.mark.parametrize("sd", [0.05, 0.7, 4.0])
def test_group_log_lik_equals_a_dense_grid(sd: float) -> None:
    z = np.linspace(-12, 12, 4001)
    data = stan_data(small(slopes=False))
    ours = density.group_log_lik({"mu": np.array([[-0.4]]), "tau": np.array([[sd]])}, data)[0]
    for j in range(4):
        own = np.asarray(data["group_idx"]) == j + 1
        rows = binom.logpmf(data["y"][own], data["trials"][own], expit(-0.4 + sd * z)[:, None]).sum(axis=1)
        assert ours[j] == pytest.approx(logsumexp(rows + norm.logpdf(z)) + np.log(z[1] - z[0]), abs=1e-3)


def test_group_log_lik_of_two_terms_equals_a_dense_grid() -> None:
    z = np.linspace(-8, 8, 401)
    a, b = (v.ravel() for v in np.meshgrid(z, z))
    data = stan_data(small())
    mu, tau, rho = np.array([-0.4, 0.6]), np.array([0.9, 0.5]), -0.6
    ours = density.group_log_lik({"mu": mu[None], "tau": tau[None], "rho": np.array([[rho]])}, data)[0]
    theta = np.column_stack([mu[0] + tau[0] * a, mu[1] + tau[1] * (rho * a + np.sqrt(1 - rho**2) * b)])
    for j in range(4):
        own = np.asarray(data["group_idx"]) == j + 1
        p = expit(theta @ np.asarray(data["X"])[own].T)
        rows = binom.logpmf(data["y"][own], data["trials"][own], p).sum(axis=1)
        exact = logsumexp(rows + norm.logpdf(a) + norm.logpdf(b)) + 2 * np.log(z[1] - z[0])
        assert ours[j] == pytest.approx(exact, abs=2e-3)


def test_equal_rows_are_one_cell_and_the_posterior_does_not_see_it(stanli: Engine) -> None:
    one_by_one = load("city_prices", {"group": "city", "outcome": "bought", "predictors": "price_centered"})
    frame = pd.DataFrame({n: one_by_one.table.column(n) for n in ("city", "bought", "price_centered")}).astype(
        {"bought": float, "price_centered": float}
    )
    sums = frame.groupby(["city", "price_centered"], as_index=False, sort=False)["bought"].agg(["sum", "size"])
    added = Dataset.from_frame(sums, group="city", successes="sum", trials="size", predictors="price_centered")
    rows, cells = stan_data(one_by_one), stan_data(added)
    assert rows["N"] > rows["M"] == cells["N"] == cells["M"]
    models = [stanli.model(FAMILY.program("partial_pooling"), {**d, **priors_of(rows)}) for d in (rows, cells)]  # type: ignore[attr-defined]
    rng = np.random.default_rng(20261121)
    points = rng.normal(size=(5, 2 + 2 + 1 + 2 * rows["J"]))
    difference = [models[0].log_prob_grad(q)[0] - models[1].log_prob_grad(q)[0] for q in points]
    assert np.ptp(difference) < 1e-9


def priors_of(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name.startswith("prior_")}


@pytest.mark.parametrize("variant", [v.name for v in FAMILY.programs.variants])
def test_log_density_with_many_terms_and_with_group_predictors(variant: str) -> None:
    # Seven terms; two terms and two group predictors, next to the two terms alone of the contract's example.
    frame = pd.DataFrame({"g": list("aabbccdd"), "y": [0, 1, 1, 0, 1, 1, 0, 1], "x": [0.3, -1, 2, 1, 0.5, -2, 3, 1.5]})
    frame["u"], frame["v"] = np.repeat([0.5, 1.5, -1, 2], 2), np.repeat([1.0, 0, 0, 3], 2)
    both = Dataset.from_frame(frame, group="g", outcome="y", predictors="x", group_predictors=("u", "v"))
    for dataset in (contraception(WOMEN), both):
        assert log_density_spread(FAMILY.program(variant), FAMILY, variant, stan_data(dataset, variant)) < SPREAD


def test_parameterisations_by_term_are_one_model() -> None:
    # The log density of each setting agrees with NumPy's, which conditions by the covariance, not by a Cholesky factor.
    table = prepare_table(FAMILY, small())
    data = FAMILY.stan_data(table, FAMILY.priors(table), "partial_pooling_by_term")
    program = FAMILY.program("partial_pooling_by_term")
    for centered in ([0, 0], [0, 1], [1, 0], [1, 1]):
        chosen = data | {"centered": np.array(centered)}
        assert log_density_spread(program, FAMILY, "partial_pooling_by_term", chosen) < SPREAD, centered
    for part, fault in (
        (" + log_change_of_standardise(J, tau, L_Omega, centered)", ""),  # the Jacobian is left out
        ("tau[k] * (z[ : , 1 : (k - 1)]", "(z[ : , 1 : (k - 1)]"),  # the terms before are not scaled
        ("group_idx[cell_row]", "group_idx[1 : M]"),  # groups of other rows
    ):
        assert part in program.code
        broken = replace(program, code=program.code.replace(part, fault))
        chosen = data | {"centered": np.array([1, 1])}
        if "cell_row" in part:
            chosen["cell_row"] = np.asarray(chosen["cell_row"])[::-1]
            for name in ("cell_y", "cell_trials"):
                chosen[name] = np.asarray(chosen[name])[::-1]
            assert log_density_spread(program, FAMILY, "partial_pooling_by_term", chosen) < SPREAD
        assert log_density_spread(broken, FAMILY, "partial_pooling_by_term", chosen) > 1e-6, part


def test_draws_of_the_parameterisations_agree(stanli: Engine) -> None:
    columns = {"group": "city", "outcome": "bought", "predictors": "price_centered"}
    names = [f"{p}[{t}]" for p in ("mu", "tau") for t in ("intercept", "price_centered")]
    names.append("rho[intercept, price_centered]")
    tables = {}
    for variant in ("partial_pooling", "partial_pooling_by_term"):
        city_fit = fit(FAMILY, load("city_prices", columns), variant, sampling=SAMPLING, engine=stanli)
        tables[variant] = check(city_fit).summary.loc[names]
    a, b = tables.values()
    limit = norm.isf(FAMILY_ERROR / (2 * len(names) * len(STATISTICS)))
    for s in STATISTICS:
        z = (a[s] - b[s]) / np.hypot(a[f"mcse_{s}"], b[f"mcse_{s}"])
        assert (z.abs() < limit).all(), (s, z)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "name either outcome .* found neither"),
        ({"outcome": "y", "successes": "k", "trials": "n"}, "found outcome and successes and trials"),
        ({"successes": "k"}, "found successes"),
        ({"outcome": "y", "trials": "n"}, "found outcome and trials"),
        ({"successes": "n", "trials": "k"}, "above 'k'"),
        ({"successes": "zero", "trials": "k"}, "has 0 trials"),
        ({"outcome": "k"}, "must be 0 or 1"),
    ],
)
def test_the_outcome_must_have_one_of_two_forms(columns: dict[str, str], message: str) -> None:
    frame = pd.DataFrame({"g": list("aabb"), "y": [0, 1, 1, 0], "k": [0, 2, 3, 1], "n": [4, 4, 4, 4], "zero": 0})
    with pytest.raises(DataError, match=message):
        stan_data(Dataset.from_frame(frame, {"group": "g", **columns}))


def simulated(groups: int, rows: int, sd: tuple[float, float], seed: int = 20261121) -> Dataset:
    rng = np.random.default_rng(seed)
    group, x = np.repeat(np.arange(groups), rows), rng.normal(size=groups * rows)
    theta = rng.normal([0.2, 0.5], sd, size=(groups, 2))[group]
    frame = pd.DataFrame(
        {"g": [f"G{i}" for i in group], "x": x, "y": rng.binomial(1, expit(theta[:, 0] + theta[:, 1] * x))}
    )
    return Dataset.from_frame(frame, group="g", outcome="y", predictors="x")


@pytest.mark.parametrize(
    ("rows", "sd", "variant", "centered"),
    [
        (8, (0.5, 0.5), "partial_pooling", [0, 0]),
        (400, (1.0, 1.0), "partial_pooling_centered", [1, 1]),
        (400, (1.0, 0.0), "partial_pooling_by_term", [1, 0]),
    ],
)
def test_the_rule_follows_the_strength_of_the_data(rows: int, sd: Any, variant: str, centered: list[int]) -> None:
    data = stan_data(simulated(30, rows, sd), "partial_pooling_by_term")
    chosen, reason = FAMILY.need("rule", "a test")(data)
    assert chosen == variant
    assert data["centered"].tolist() == centered
    assert "sd between {groups}" in reason


def test_raw_estimates_are_the_empirical_log_odds_or_nothing() -> None:
    value, error = estimates.raw(stan_data(small(slopes=False)))
    assert value[:, 0] == pytest.approx(np.log([0.5 / 15.5, 35.5 / 0.5, 1.5 / 1.5, 16.5 / 39.5]))
    assert error[3, 0] == pytest.approx(np.sqrt(1 / 16.5 + 1 / 39.5))
    value, error = estimates.raw(stan_data(small()))
    assert np.isnan(value[:3]).all()  # no success, no failure, one row
    assert np.isfinite(value[3]).all()
    assert (error[3] > 0).all()


def evidence(dataset: Dataset, draws: dict[str, Any], **options: Any) -> tuple[Evidence, Prepared]:
    table = prepare_table(FAMILY, dataset)
    data = FAMILY.programs.prepare(table, FAMILY.priors(table))
    return Evidence(
        variant="partial_pooling",
        draws=draws,
        data=data,
        table=table,
        options=options,
        rng=np.random.default_rng(20261121),
    ), table


def test_an_average_group_is_not_the_average_over_groups() -> None:
    size = 40_000
    draws = {
        "mu": np.tile([1.0, 0.5], (size, 1)), "tau": np.tile([1.5, 0.5], (size, 1)), "rho": np.full((size, 1), 0.3),
        "theta": np.random.default_rng(1).normal(size=(size, 4, 2)),
    }  # fmt: skip
    given, table = evidence(small(), draws, predictors={"x": 2.0})
    first, curves = findings(given)
    assert first.table is not None
    rows = first.table.set_index("probability of")
    theta = np.random.default_rng(2).multivariate_normal([1, 0.5], [[2.25, 0.225], [0.225, 0.25]], size=400_000)
    p = expit(theta @ [1, 2])
    assert rows.loc["average group", "mean"] == pytest.approx(expit(2.0))
    assert abs(rows.loc["averaged over groups", "mean"] - p.mean()) < 5 * p.std() / np.sqrt(len(p))
    for column, prob in (("q05", 0.05), ("q95", 0.95)):
        below = np.mean(p < rows.loc["a new group", column])
        assert abs(below - prob) < 5 * np.sqrt(prob * (1 - prob) / size)
    assert curves.curves is not None
    assert curves.points is not None
    assert set(curves.curves["panel"]) == set(table.pooled.labels) == set(curves.points["panel"])
    assert (curves.curves[["q10", "q25", "q50", "q75", "q90"]].diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_prediction_names_unknown_predictors_and_wrong_trials() -> None:
    table = prepare_table(FAMILY, small())
    data = FAMILY.programs.prepare(table, FAMILY.priors(table))
    new_row = FAMILY.need("new_row", "a test")
    with pytest.raises(ModelError, match="predictors has no 'z'"):
        new_row(data, {"predictors": {"z": 1.0}, "coords": FAMILY.coordinates(table)})
    with pytest.raises(ModelError, match="whole number above zero"):
        new_row(data, {"trials": 1.5})
    design, words = new_row(data, {"predictors": {"x": 3.0}, "trials": 20, "coords": FAMILY.coordinates(table)})
    assert design["X"].tolist() == [[1.0, 3.0]]
    assert "20 trials" in words


def test_a_family_without_group_predictors_has_a_log_density_every_time() -> None:
    # A vector of length zero with an offset gave the embedded engine a nan in about one model of twenty.
    family, table = example("logistic_regression")
    data = family.stan_data(table, family.priors(table), "complete_pooling")
    program = family.program("complete_pooling")
    assert all(log_density_spread(program, family, "complete_pooling", data) < SPREAD for _ in range(60))


def test_the_density_of_a_group_where_nothing_varies_is_that_of_its_rows(stanli: Engine) -> None:
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"g": np.repeat(list("abcdef"), 12), "x": rng.normal(0, 1, 72), "y": rng.integers(0, 2, 72)})
    data = Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"])
    pooled_fit = fit(
        "logistic_regression", data, "complete_pooling", sampling=Sampling(warmup=150, draws=50), engine=stanli
    )
    mu = pooled_fit.draws("mu")["mu"]
    eta = mu[:, [0]] + mu[:, [1]] * frame["x"].to_numpy()
    rows = np.where(frame["y"] == 1, np.log(expit(eta)), np.log(expit(-eta)))
    by_group = rows.reshape(len(mu), 6, 12).sum(axis=2)
    assert density.group_log_lik(pooled_fit.draws(), pooled_fit.data) == pytest.approx(by_group, abs=1e-9)
