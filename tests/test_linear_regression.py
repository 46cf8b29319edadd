"""Linear regression by groups against exact posteriors, exact leave-one-out and lme4, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_truth import moved

from hbm_stan.agreement import compare_draws
from hbm_stan.attempts import fit
from hbm_stan.data import Dataset, load
from hbm_stan.density import log_density_spread
from hbm_stan.diagnose import parameters
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError, ModelError
from hbm_stan.examples import example
from hbm_stan.families import family
from hbm_stan.families.varying_terms import draw_lkj
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.leave_one_out import LeftOut, loo
from hbm_stan.model import Evidence
from hbm_stan.prepare import Prepared
from hbm_stan.program import Program
from hbm_stan.psis import psis_loo
from hbm_stan.verify.programs import with_prior

TESTS = Path(__file__).parent
MODEL = family("linear_regression")
SEED = 20261121
SAMPLING = Sampling(draws=1500, adapt_delta=0.95, seed=SEED)
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
SLEEP = {"group": "subject", "outcome": "reaction_ms", "predictors": ["days"]}
RADON = {"group": "county", "outcome": "log_radon", "predictors": ["floor"], "group_predictors": ["log_uranium"]}
SHIFTED = {"group": "county", "outcome": "log_radon_shifted", "predictors": ["floor"]}
SLEEP_PRIORS = {
    "mu[intercept]": "normal(250, 100)", "mu[days]": "normal(0, 50)", "tau[intercept]": "half_normal(50)",
    "tau[days]": "half_normal(20)", "sigma": "half_normal(50)", "rho": "lkj(2)",
}  # fmt: skip
RADON_PRIORS = {"mu": "normal(0, 10)", "tau": "half_normal(1)", "sigma": "half_normal(1)"}
# Reference -> variant and columns of posteriordb's model.
POSTERIORDB: dict[str, tuple[str, dict[str, Any]]] = {
    "radon-pooled": ("complete_pooling", SHIFTED),
    "radon-partially_pooled": ("partial_pooling", {k: v for k, v in SHIFTED.items() if k != "predictors"}),
    "radon-variable_intercept": ("partial_pooling_intercept", SHIFTED),
}


def reference(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((TESTS / "reference" / f"{name}.json").read_text())
    return record


def differences(names: list[str], draws: np.ndarray, truth: dict[str, dict[str, float]]) -> dict[str, float]:
    """(estimate - truth) / MCSE for every statistic of every parameter of a reference; draws (parameter, chain, draw).

    A quantile is compared by the share of the draws below the true one: the MCSE of a quantile itself rests on the
    density that the same draws show there, and one exceedance too few then counts twice.
    """
    from arviz_stats.base import array_stats as az

    draws = draws[[names.index(name) for name in truth]]
    table = pd.DataFrame(truth).T
    z = {
        "mean": (draws.mean(axis=(1, 2)) - table["mean"]) / az.mcse(draws, method="mean"),
        "sd": (draws.std(axis=(1, 2), ddof=1) - table["sd"]) / az.mcse(draws, method="sd"),
    }
    for name, prob in QUANTILES.items():
        below = (draws < table[name].to_numpy()[:, None, None]).astype(float)
        z[name] = (below.mean(axis=(1, 2)) - prob) / np.sqrt(prob * (1 - prob) / az.ess(below, method="mean"))
    return {f"{s} of {name}": float(v) for s, row in z.items() for name, v in zip(truth, row, strict=True)}


@cache
def radon_fit(name: str) -> Fit:
    variant, columns = POSTERIORDB[name]
    return fit(MODEL, load("radon", columns), variant, priors=RADON_PRIORS, sampling=SAMPLING, engine=StanliEngine())


@cache
def radon_loo(name: str) -> LeftOut:
    return loo(radon_fit(name))


@pytest.mark.parametrize(
    "variant",
    ["partial_pooling", "partial_pooling_noncentered", "partial_pooling_centered", "partial_pooling_by_term"],
)
def test_correlated_intercepts_and_slopes_equal_quadrature(variant: str, stanli: Engine) -> None:
    sleep_fit = fit(MODEL, load("sleepstudy", SLEEP), variant, priors=SLEEP_PRIORS, sampling=SAMPLING, engine=stanli)
    truth = reference("sleepstudy-correlated")["posteriors"][0]["parameters"]
    assert len(truth) == 42
    z = differences(*parameters(sleep_fit), truth)
    assert moved(z, 4 * len(z)) == {}


def test_the_comparison_catches_another_prior_of_the_correlation(stanli: Engine) -> None:
    # Planted fault: LKJ(2) claimed, LKJ(6) sampled.
    chosen = SLEEP_PRIORS | {"rho": "lkj(6)"}
    sleep_fit = fit(MODEL, load("sleepstudy", SLEEP), priors=chosen, sampling=SAMPLING, engine=stanli)
    z = differences(*parameters(sleep_fit), reference("sleepstudy-correlated")["posteriors"][0]["parameters"])
    assert "sd of rho[intercept, days]" in moved(z, 4 * len(z))


@pytest.mark.parametrize("name", POSTERIORDB)
def test_radon_equals_the_exact_posterior_and_leave_one_out(name: str) -> None:
    radon, exact = radon_fit(name), reference(name)
    z = differences(*parameters(radon), exact["posteriors"][0]["parameters"])
    assert moved(z, 4 * len(z)) == {}
    # PSIS: its error here is a few hundredths; half an elpd is far below what tells the variants apart.
    score = radon_loo(name)
    assert score.elpd == pytest.approx(exact["loo"]["elpd_loo"], abs=0.5)
    assert score.se == pytest.approx(exact["loo"]["se"], rel=0.01)
    assert score.p_loo == pytest.approx(exact["loo"]["p_loo"], abs=0.5)


@cache
def radon_county_intercept() -> tuple[Prepared, dict[str, np.ndarray]]:
    """The table and the draws of a program of the tests alone: intercepts without pooling, slope and sd shared."""
    table = prepare_table(MODEL, load("radon", SHIFTED))
    x = table.predictors["predictors"].values[:, 0]
    data = {"N": len(x), "J": table.n_groups, "group_idx": table.group_idx, "x": x, "y": table["outcome"]}
    program = Program.read(TESTS / "programs" / "radon_county_intercept.stan")
    return table, dict(StanliEngine().sample(program, data, SAMPLING).variables)


def test_radon_without_pooling_of_the_intercept_equals_the_exact_posterior() -> None:
    table, drawn = radon_county_intercept()
    names = ["sigma", "mu[floor]", *(f"theta[{county}, intercept]" for county in table.pooled.labels)]
    columns = [drawn["sigma"], drawn["beta"], *np.moveaxis(drawn["alpha"], 2, 0)]
    z = differences(names, np.array(columns), reference("radon-county_intercept")["posteriors"][0]["parameters"])
    assert moved(z, 4 * len(z)) == {}


def test_radon_variants_rank_on_leave_one_out_as_exactly() -> None:
    elpd = {name: radon_loo(name).elpd for name in POSTERIORDB}
    # Intercepts that are not pooled are a population of mean 0 and sd 10, known beforehand.
    table, drawn = radon_county_intercept()
    beta, sigma = drawn["beta"].ravel(), drawn["sigma"].ravel()
    zero = np.zeros_like(beta)
    draws = {"mu": np.stack([zero, beta], 1), "tau": np.stack([zero + 10, zero], 1), "sigma": sigma}
    data = MODEL.stan_data(table, MODEL.priors(table), "partial_pooling_intercept")
    integrated = psis_loo(MODEL.need("loo_log_lik", "a test")(draws, data, "partial_pooling_intercept"))
    assert integrated.pareto_k.max() < 0.7
    elpd["radon-county_intercept"] = float(integrated.elpd_i.sum())
    exact = {name: reference(name)["loo"]["elpd_loo"] for name in elpd}
    assert elpd["radon-county_intercept"] == pytest.approx(exact["radon-county_intercept"], abs=0.5)
    assert sorted(elpd, key=lambda name: elpd[name]) == sorted(exact, key=lambda name: exact[name])


@pytest.mark.parametrize(
    ("name", "variant", "data", "columns"),
    [
        ("sleepstudy", "partial_pooling", "sleepstudy", SLEEP),
        ("radon intercept", "partial_pooling_intercept", "radon", RADON),
        ("radon slope", "partial_pooling", "radon", {k: v for k, v in RADON.items() if k != "group_predictors"}),
    ],
)
def test_lme4_s_estimates_lie_in_the_middle_of_the_posterior(
    name: str, variant: str, data: str, columns: dict[str, Any], stanli: Engine
) -> None:
    posterior = fit(MODEL, load(data, columns), variant, sampling=SAMPLING, engine=stanli)
    draws = posterior.draws()
    terms = ("intercept", *columns["predictors"])
    off = {}
    for parameter, estimate in reference("other/lmer-reml")["fits"][name]["estimates"].items():
        base, _, label = parameter.removesuffix("]").partition("[")
        values = draws[base].reshape(posterior.n_draws, -1)
        x = values[:, terms.index(label) if label in terms else 0]
        low, high = np.quantile(x, [0.25, 0.75])
        if not (low <= estimate <= high or abs(estimate - x.mean()) < 0.3 * x.std()):
            off[parameter] = (estimate, float(x.mean()), float(x.std()))
    assert off == {}


@pytest.mark.long
def test_centered_terms_run_on_both_engines(stanli: Engine, cmdstan: Engine) -> None:
    # Stan 2.27 refuses an empty range of columns, which the embedded engine takes. This program has a second name,
    # partial_pooling_by_term: see DOUBLES in contract.py.
    variant = "partial_pooling_centered"
    model, table = example("linear_regression")
    data = model.stan_data(table, model.priors(table), variant)
    sampling = Sampling(draws=500, adapt_delta=0.99)
    drawn = [
        engine.sample(model.program(variant), data, replace(sampling, seed=seed)).variables["mu"]
        for engine, seed in ((stanli, 1), (cmdstan, 2))
    ]
    names = [f"mu[{k}]" for k in range(drawn[0].shape[-1])]
    assert compare_draws(names, *(np.moveaxis(mu, 2, 0) for mu in drawn)).agrees


def simulated_data(n_groups: int = 8, seed: int = 3) -> Dataset:
    """Three terms, two group predictors, and groups so small that some cannot fit a line of their own."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), rng.integers(1, 7, n_groups))
    x, u = rng.normal(5, 2, (len(group), 2)), rng.normal(size=(n_groups, 2))
    theta = rng.normal([20, 1, -1], [3, 0.5, 0.5], (n_groups, 3))
    theta[:, 0] += u @ [2, -1]
    y = theta[group, 0] + np.sum(theta[group, 1:] * x, axis=1) + rng.normal(0, 2, len(group))
    frame = pd.DataFrame({"g": [f"g{i}" for i in group], "y": y, "a": x[:, 0], "b": x[:, 1]})
    frame["u"], frame["v"] = u[group].T
    return Dataset.from_frame(frame, group="g", outcome="y", predictors=["a", "b"], group_predictors=["u", "v"])


@pytest.mark.parametrize("variant", [v.name for v in MODEL.programs.variants])
@pytest.mark.parametrize("use_likelihood", [0, 1])
def test_three_terms_and_group_predictors_have_the_density_of_numpy(variant: str, use_likelihood: int) -> None:
    table = prepare_table(MODEL, simulated_data())
    data = MODEL.stan_data(table, MODEL.priors(table), variant) | {"use_likelihood": use_likelihood}
    assert log_density_spread(MODEL.program(variant), MODEL, variant, data) < 1e-9


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("diag_pre_multiply(tau, L_Omega)", "diag_matrix(tau)"),  # no correlation
        ("diag_pre_multiply(tau, L_Omega)", "diag_pre_multiply(square(tau), L_Omega)"),  # variance for sd
        ("residual_weights(mu, gamma, y_mean)", "residual_weights(mu, gamma, 0)"),  # the mean not put back
    ],
)
def test_the_density_catches_planted_faults(right: str, wrong: str) -> None:
    table = prepare_table(MODEL, simulated_data())
    program = MODEL.program("partial_pooling")
    broken = replace(program, code=program.code.replace(right, wrong))
    assert broken.code != program.code
    data = MODEL.stan_data(table, MODEL.priors(table), "partial_pooling")
    assert log_density_spread(broken, MODEL, "partial_pooling", data) > 1e-4


def test_correlations_of_the_prior_have_their_marginal_distribution() -> None:
    # One correlation of LKJ(shape) in K dimensions, mapped to (0, 1), is beta(b, b) with b = shape - 1 + K / 2.
    rho = draw_lkj(np.random.default_rng(SEED), 2.0, 20_000, 4)
    assert rho.shape == (20_000, 6)
    for column in rho.T:
        assert stats.kstest((column + 1) / 2, stats.beta(3, 3).cdf).pvalue > 1e-4


def test_terms_are_centered_where_groups_say_much() -> None:
    table = prepare_table(MODEL, load("radon", RADON))
    assert list(MODEL.stan_data(table, MODEL.priors(table), "partial_pooling_by_term")["centered"]) == [0, 0]
    table = prepare_table(MODEL, load("sleepstudy", SLEEP))
    data = MODEL.stan_data(table, MODEL.priors(table), "partial_pooling_by_term")
    raw, se = MODEL.need("raw", "a test")(data)
    assert data["centered"][1] == 1
    assert np.var(raw[:, 1]) > 2 * np.mean(se[:, 1] ** 2)
    for variant, value in (("partial_pooling_centered", 1), ("partial_pooling_noncentered", 0)):
        assert list(MODEL.stan_data(table, MODEL.priors(table), variant)["centered"]) == [value, value]


def test_raw_estimates_are_left_out_where_a_group_does_not_determine_them() -> None:
    dataset = load("radon", RADON)
    table = prepare_table(MODEL, dataset)
    raw, se = MODEL.need("raw", "a test")(MODEL.programs.prepare(table, MODEL.priors(table)))
    floor = table.predictors["predictors"].values[:, 0]
    for j in range(table.n_groups):
        own = floor[table.pooled.level == j]
        assert np.isnan(raw[j, 1]) == (np.ptp(own) == 0)
        assert np.isnan(raw[j, 0]) == bool(np.all(own == 1))
    assert np.array_equal(np.isnan(raw), np.isnan(se))
    j = list(table.pooled.labels).index("HENNEPIN")
    rows = table.pooled.level == j
    slope, intercept = np.polyfit(floor[rows], table["outcome"][rows], 1)
    assert raw[j] == pytest.approx([intercept, slope])


def test_shrinkage_is_the_weight_of_the_population_with_one_term() -> None:
    columns = {k: v for k, v in SHIFTED.items() if k != "predictors"}
    table = prepare_table(MODEL, load("radon", columns))
    data = MODEL.programs.prepare(table, MODEL.priors(table))
    draws = {"mu": np.array([[1.3]]), "tau": np.array([[0.3]]), "sigma": np.array([0.8])}
    factor = MODEL.need("shrinkage_factor", "a test")(draws, data)
    assert factor[0, :, 0] == pytest.approx((0.8**2 / table.pooled.sizes) / (0.8**2 / table.pooled.sizes + 0.3**2))


def test_a_row_alone_in_its_group_has_its_prior_predictive_density() -> None:
    frame = pd.DataFrame({"g": ["a", "b", "c"], "y": [1.0, 4.0, 2.0]})
    table = prepare_table(MODEL, Dataset.from_frame(frame, group="g", outcome="y"))
    for prior in ("uniform(0, 3)", "lognormal(0.2, 1)", "half_cauchy(2)"):
        data = MODEL.programs.prepare(table, MODEL.priors(table, {"sigma_group": prior, "theta": "normal(1, 2)"}))
        exact = MODEL.need("exact_loo", "a test")(data, "no_pooling")
        sigma = MODEL.priors(table, {"sigma_group": prior})["sigma_group"].draw(np.random.default_rng(1), 200_000)
        density = stats.norm.pdf(table["outcome"][:, None], 1, np.hypot(2, sigma))
        error = density.std(axis=1) / density.mean(axis=1) / np.sqrt(len(sigma))
        assert np.all(np.abs(exact - np.log(density.mean(axis=1))) < 5 * error)
    assert MODEL.need("exact_loo", "a test")(data, "partial_pooling") is None


def test_findings_show_lines_of_groups_and_what_group_predictors_explain(stanli: Engine) -> None:
    radon = fit(MODEL, load("radon", RADON), sampling=Sampling(draws=500, seed=SEED), engine=stanli)
    evidence = Evidence(
        variant=radon.variant,
        draws=radon.draws(),
        data=radon.data,
        table=radon.table,
        options={},
        rng=np.random.default_rng(1),
    )
    explained, lines = MODEL.need("findings", "a test")(evidence)
    assert "log_uranium explains" in explained.sentences[0]
    assert lines.curves["panel"].nunique() == 8
    assert list(lines.curves.columns) == ["panel", "x", "q10", "q25", "q50", "q75", "q90"]
    assert set(lines.points["panel"]) == set(lines.curves["panel"])
    assert sorted(lines.curves["x"].unique()) == [0, 1]


def test_a_new_row_stands_where_it_is_told_or_at_the_means() -> None:
    table = prepare_table(MODEL, load("radon", RADON))
    data, coords = MODEL.programs.prepare(table, MODEL.priors(table)), {"coords": MODEL.programs.coords(table)}
    new_row = MODEL.need("new_row", "a test")
    design, words = new_row(data, {"predictors": {"floor": 1}, "group_predictors": {"log_uranium": 0.2}, **coords})
    assert design["X"].tolist() == [[1, 1]]
    assert design["U"].tolist() == [[0.2]]
    assert "floor = 1, log_uranium = 0.2" in words
    design, _ = new_row(data, coords)
    assert design["X"][0, 1] == 0  # a column of 0 and 1 has no mean that a row could have
    assert design["U"][0, 0] == pytest.approx(np.mean(data["U"]))
    with pytest.raises(ModelError, match=r"predictors has no 'flor'.*floor"):
        new_row(data, {"predictors": {"flor": 1}, **coords})


def test_columns_that_cannot_be_used_are_named() -> None:
    frame = pd.DataFrame({"g": list("aabbcc"), "y": range(6), "x": [1, 2, 3, 4, 5, 7], "u": [1, 2, 3, 3, 4, 4]})
    with pytest.raises(DataError, match="'u' varies within the group 'a'"):
        prepare_table(MODEL, Dataset.from_frame(frame, group="g", outcome="y", group_predictors=["u"]))
    table = prepare_table(MODEL, Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"]))
    with pytest.raises(ModelError, match=r"no prior named 'mu\[z\]'"):
        MODEL.priors(table, {"mu[z]": "normal(0, 1)"})


def test_default_priors_stay_proper_where_outcomes_hardly_differ() -> None:
    frame = pd.DataFrame({"g": list("aabb"), "y": [0.0, 0.0, 0.0, 1e-9], "x": [1.0, 2, 3, 5]})
    table = prepare_table(MODEL, Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"]))
    assert all(np.isfinite(p.arguments).all() and p.arguments[-1] > 0 for p in MODEL.priors(table).values())


def test_the_unit_of_the_outcome_changes_nothing_but_the_unit() -> None:
    _, table = example("linear_regression")
    frame = pd.DataFrame({"g": table.pooled.row_labels, "y": 1000 * table["outcome"]})
    frame["days"] = table.predictors["predictors"].values[:, 0]
    scaled = prepare_table(MODEL, Dataset.from_frame(frame, group="g", outcome="y", predictors=["days"]))
    for name, prior in with_prior(MODEL, table).items():
        if prior.distribution in {"normal", "half_normal"}:
            assert MODEL.priors(scaled)[name].arguments == pytest.approx([1000 * a for a in prior.arguments], rel=0.02)
