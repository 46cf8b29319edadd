"""Population parameters of formula models: LKJ of partial correlations, priors, coefficients that are sampled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from formula_cases import CASES
from formula_data import dense_covariance, eta_row_by_row, population, with_coefficients
from scipy.stats import dirichlet, gamma, halfnorm, multivariate_normal, norm

from hbm_stan.families.terms import density, effects, sampled
from hbm_stan.families.terms import population as terms_population
from hbm_stan.families.terms.variants import variants_of
from hbm_stan.families.varying_terms import correlation_matrix, log_lkj
from hbm_stan.likelihoods import likelihood, likelihoods
from hbm_stan.likelihoods.likelihood import OwnVector
from hbm_stan.priors import PriorRow

LOWER = {2: [(1, 0)], 3: [(1, 0), (2, 0), (2, 1)], 4: [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]}


def cholesky(partial: np.ndarray, size: int) -> np.ndarray:
    rho = terms_population.correlations(partial, size)
    return np.linalg.cholesky(correlation_matrix(rho[None], size)[0])


@pytest.mark.parametrize("shape", [0.7, 1.0, 3.0])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_lkj_of_partial_correlations_is_that_of_cholesky_factors_with_its_jacobian(size: int, shape: float) -> None:
    places = tuple(np.array(LOWER[size]).T)
    partial = np.random.default_rng(size).uniform(-0.8, 0.8, len(LOWER[size]))
    h = 1e-6
    jacobian = [
        (cholesky(partial + step, size)[places] - cholesky(partial - step, size)[places]) / (2 * h)
        for step in h * np.eye(len(partial))
    ]
    exact = log_lkj(cholesky(partial, size), shape) + np.linalg.slogdet(np.array(jacobian))[1]
    assert terms_population.log_lkj_partial(partial, size, shape) == pytest.approx(exact, abs=1e-7)


def point(rng: np.random.Generator, data: dict[str, Any], name: str, pooling: str) -> dict[str, Any]:
    """Declared and derived parameters at one point."""
    drawn = {key: value[0] for key, value in population(rng, data, 1, pooling).items() if "rho" not in key}
    raw = {f"{key}_raw": value for key, value in drawn.items() if key in {"tau", "sd"}}
    raw |= {f"{row.name}_raw": drawn[row.name] for row in likelihood(name).own}
    raw |= {f"{v.row.name}{'_raw' * (v.from_raw is not None)}": drawn[v.row.name] for v in likelihood(name).vectors}
    params = {key: value for key, value in drawn.items() if key.startswith("beta")} | raw
    for key, terms in (("partial", slice(0, data["G"])), ("partial_other", slice(data["G"], None))):
        pairs = sum(k * (k - 1) // 2 * c for k, c in zip(data["K"][terms], data["correlated"][terms], strict=True))
        if pairs and (key != "partial" or pooling == "partial"):
            params[key] = rng.uniform(-0.7, 0.7, pairs)
    if not likelihood(name).integrated:
        others = pooling == "complete" or likelihood(name).precision is not None
        taken = slice(data["G"] if others else 0, None)
        params["sampled"] = rng.normal(size=int(np.sum(data["K"][taken] * data["L"][taken])))
    return params | terms_population.transformed(likelihood(name), params, data)


def log_coefficients(params: dict[str, Any], data: dict[str, Any], pooling: str) -> tuple[float, float]:
    """Log density of theta and effect given the population, and log volume of a unit of their deviations."""
    one = {name: np.asarray(value)[None] for name, value in params.items()}
    log_density, log_volume = 0.0, 0.0
    mean = effects.theta_mean(one, data)[0]
    for each in effects.terms_of(data):
        if each.pooled and len(np.ravel(params["sampled"])) == data["M"]:  # left out, or integrated out
            continue
        factor = effects.factor_of(each, one, data)[0]
        values = params["theta"][:, each.at] - mean[each.at] if each.pooled else effects.effects_of(each, one)[0]
        log_density += float(np.sum(multivariate_normal.logpdf(values, None, factor @ factor.T)))
        log_volume += each.level.size * float(np.linalg.slogdet(factor)[1])
    return log_density, log_volume


@pytest.mark.parametrize("centered", [0, 1])
@pytest.mark.parametrize("pooling", ["complete", "no", "partial"])
@pytest.mark.parametrize("case", ["nested and crossed", "correlated slopes", "a slope that is no common one"])
def test_sampled_coefficients_have_the_density_of_their_population(case: str, pooling: str, centered: int) -> None:
    data = {**CASES[case](), "centered": np.full(4, centered)[: CASES[case]()["T"]]}
    params = point(np.random.default_rng(8), data, "poisson", pooling)
    log_density, log_volume = log_coefficients(params, data, pooling)
    log_density += 0.0 if centered else log_volume
    assert sampled.log_sampled(params, data) == pytest.approx(log_density, rel=1e-10)
    if pooling == "complete":
        one = {name: np.asarray(value)[None] for name, value in params.items()}
        np.testing.assert_array_equal(params["theta"], np.tile(effects.theta_mean(one, data)[0], (data["J"], 1)))


@pytest.mark.parametrize("centered", [0, 1])
@pytest.mark.parametrize("pooling", ["complete", "no", "partial"])
@pytest.mark.parametrize("case", ["nested and crossed", "crossed slopes", "three crossed"])
def test_what_is_sampled_fills_the_space_of_the_coefficients_evenly(case: str, pooling: str, centered: int) -> None:
    # The change to sums, reflected levels and means has no Jacobian but that of the scales, by differences.
    data = {**CASES[case](), "centered": np.full(4, centered)[: CASES[case]()["T"]]}
    data["prior_theta"] = np.column_stack([np.zeros(data["KG"]), np.linspace(1.5, 2.5, data["KG"])])
    params = point(np.random.default_rng(8), data, "poisson", pooling)
    name = "beta_shared" if pooling == "no" else "beta"
    fixed = {key: value for key, value in params.items() if key not in {"theta", "effect", "shift", name}}
    wide = len(params[name])

    def coefficients(x: np.ndarray) -> np.ndarray:
        transformed = terms_population.transformed(
            likelihood("poisson"), {**fixed, f"{name}_raw": x[:wide], "sampled": x[wide:]}, data
        )
        theta = [] if pooling == "complete" else transformed["theta"].ravel()
        return np.concatenate([transformed[name], theta, transformed["effect"]])

    start = np.concatenate([np.linspace(-1, 1, wide), params["sampled"]])
    jacobian = np.array([coefficients(start + step) - coefficients(start - step) for step in np.eye(len(start))]) / 2
    columns = effects.shared_columns(data) if pooling == "no" else slice(None)
    volume = float(np.log(data["prior_beta"][columns, 1]).sum())
    volume += 0.0 if centered else log_coefficients(params, data, pooling)[1]
    assert np.linalg.slogdet(jacobian)[1] == pytest.approx(volume, rel=1e-9)


@pytest.mark.parametrize("pooling", ["complete", "no", "partial"])
def test_the_sum_of_a_common_coefficient_and_of_means_over_levels_is_sampled(pooling: str) -> None:
    data = CASES["nested and crossed"]()
    params = point(np.random.default_rng(8), data, "poisson", pooling)
    means = np.zeros(data["P"])
    start = 0
    for k, size, columns in ((1, data["L"][1], ["intercept"]), (2, data["L"][2], ["intercept", "x"])):
        mean = params["effect"][start : start + k * size].reshape(size, k).mean(axis=0)
        means[[["intercept", "x"].index(c) for c in columns]] += mean
        start += k * size
    np.testing.assert_allclose(params["shift"], means, atol=1e-12)


def test_centred_coefficients_of_groups_begin_at_their_prior_means() -> None:
    # Chains begin near 0: a log rate per head of -8 would be far, and warm-up long.
    data = {**CASES["correlated slopes"](), "centered": np.ones(1, dtype=int)}
    data["prior_beta"] = np.array([[-8.0, 2.5], [3.0, 1.0], [0.5, 1.0]])
    params = point(np.random.default_rng(8), data, "poisson", "partial")
    params["sampled"] = np.zeros_like(params["sampled"])
    transformed = terms_population.transformed(likelihood("poisson"), params, data)
    np.testing.assert_array_equal(transformed["theta"], np.tile([-8.0, 3.0, 0.5], (data["J"], 1)))


@pytest.mark.parametrize("size", [1, 2, 7])
def test_reflected_levels_are_an_orthonormal_basis_with_the_mean_last(size: int) -> None:
    basis = sampled.reflected(np.eye(size))
    np.testing.assert_allclose(basis @ basis.T, np.eye(size), atol=1e-14)
    np.testing.assert_allclose(basis[:, -1], 1 / np.sqrt(size))
    np.testing.assert_allclose(basis[:, :-1].sum(axis=0), 0, atol=1e-14)


@pytest.mark.parametrize("pooling", ["complete", "no", "partial"])
@pytest.mark.parametrize("name", likelihoods())
def test_the_log_joint_is_prior_and_rows(name: str, pooling: str) -> None:
    data = CASES["nested and crossed"]()
    data["y"] = {
        "number": lambda y: y,
        "count": lambda y: np.minimum(np.abs(np.round(y)), data["trials"]),
        "positive": np.exp,
        "share": lambda y: 1 / (1 + np.exp(-y)),
        "ordered": lambda y: 1 + np.digitize(y, [-1, 0, 1]),
    }[likelihood(name).roles[0].kind](data["y"])
    params = point(np.random.default_rng(9), data, name, pooling)
    used, unused = (density.log_joint(likelihood(name), params, {**data, "use_likelihood": u}, "") for u in (1, 0))
    beta = params.get("beta", params.get("beta_shared"))
    exact = norm.logpdf(beta, 0, 10).sum() + halfnorm.logpdf(params["sd"]).sum()
    exact += halfnorm.logpdf(params["tau"]).sum() if pooling == "partial" else 0.0
    exact += sum(float(halfnorm.logpdf(params[row.name])) for row in likelihood(name).own if not row.lower)
    if name == "cumulative":  # dirichlet(2, 2, 2, 2) of the shares where eta is 0, and the slopes of these
        below = 1 / (1 + np.exp(-params["threshold"]))
        exact += dirichlet([2] * 4).logpdf(np.diff(below, prepend=0, append=1)) + np.log(below * (1 - below)).sum()
    if name == "student_t":  # gamma(2, 0.1) above 2, of which it has (1 + 0.2) exp(-0.2)
        exact += float(gamma(2, scale=10).logpdf(params["nu"])) - np.log1p(0.2) + 0.2
    if likelihood(name).own_formulas:
        exact += float(norm.logpdf(params["zi"], [-1, 0], [1.5, 2]).sum())
    # LKJ(2) of a 2 x 2 matrix: 3 (1 - rho^2) / 4.
    for key in ("partial", "partial_other"):
        exact += float(np.sum(np.log(0.75 * (1 - params[key] ** 2)))) if key in params else 0.0
    exact += sum(log_coefficients(params, data, pooling)) if "sampled" in params else 0.0
    assert unused == pytest.approx(exact, rel=1e-11)
    one = {key: np.asarray(value)[None] for key, value in params.items()}
    if likelihood(name).precision is None:
        eta = eta_row_by_row(data, one, 0)
        rows = likelihood(name).log_p(eta, data, density.own_of(likelihood(name), one)).ravel()
        assert used - unused == pytest.approx(float(rows.sum()), rel=1e-10)
        return
    variance = data["se"] ** 2 if name.startswith("estimates") else np.full(data["N"], params["sigma"] ** 2)
    integrated = None if likelihood(name).integrated else range(data["G"])
    theta = np.tile(effects.theta_mean(one, data)[0], (1, data["J"], 1))
    mean = effects.middle(one, data)[0] if integrated is None else eta_row_by_row(data, {**one, "theta": theta}, 0)
    logs = name.startswith("lognormal")
    y, jacobian = (np.log(data["y"]), np.log(data["y"]).sum()) if logs else (data["y"], 0.0)
    covariance = dense_covariance(data, one, 0, integrated) + np.diag(variance)
    assert used - unused == pytest.approx(float(multivariate_normal.logpdf(y, mean, covariance)) - jacobian, rel=1e-10)


def test_what_is_fixed_is_neither_sampled_nor_has_a_density() -> None:
    density, data = (
        likelihood("student_t"),
        {**CASES["one factor"](), "prior_nu_family": 8, "prior_nu": [4.0, 1.0], "nu_free": 0},
    )
    params = {
        "beta_raw": np.zeros(3),
        "tau_raw": np.ones(1),
        "sigma_raw": 1.0,
        "nu_raw": np.empty(0),
        "sampled": np.ones(6),
    }
    transformed = params | terms_population.transformed(density, params, data)
    assert transformed["nu"] == 4.0
    free = {**data, "prior_nu_family": 6, "prior_nu": [20.0, 2.0], "nu_free": 1}
    gone = terms_population.log_prior(density, transformed, free) - terms_population.log_prior(
        density, transformed, data
    )
    assert gone == pytest.approx(float(gamma(2, scale=10).logpdf(4)) - np.log1p(0.2) + 0.2, rel=1e-10)
    drawn = terms_population.prior_draws(density, np.random.default_rng(1), {}, data, 5)
    assert drawn["nu"].tolist() == [4.0] * 5
    assert terms_population.prior_draws(density, np.random.default_rng(1), {}, free, 500)["nu"].min() >= 2
    assert terms_population.support(density, free)["nu_raw"] == (0.1, np.inf)
    assert terms_population.fixed_own(density, data)["nu"] == [4.0]
    assert terms_population.fixed_own(density, free) == {}


def test_an_own_parameter_may_be_a_vector() -> None:
    vector = OwnVector(
        row=PriorRow(name="share", distributions=("normal",), meaning="of two parts", source="none"),
        dim="part", start=lambda data: np.zeros((1, 2)),
        log_prior=lambda value, data: float(norm.logpdf(value, data["prior_share"]).sum()),
        draw=lambda rng, data, size: rng.normal(data["prior_share"], size=(size, 2)),
        from_raw=lambda raw, data: data["prior_share"] + raw,
    )  # fmt: skip
    poisson, data = likelihood("poisson"), {**CASES["one factor"](), "prior_share": [1.0, 5.0]}
    wide = replace(poisson, vectors=(vector,))
    params = {"beta_raw": np.zeros(3), "tau_raw": np.ones(1), "share_raw": np.array([0.5, -1.0])}
    transformed = params | terms_population.transformed(wide, params, data)
    assert transformed["share"].tolist() == [1.5, 4.0]
    added = terms_population.log_prior(wide, transformed, data) - terms_population.log_prior(poisson, transformed, data)
    assert added == pytest.approx(norm.logpdf([0.5, -1.0]).sum(), rel=1e-10)
    drawn = terms_population.prior_draws(wide, np.random.default_rng(1), {}, data, 400)
    assert np.abs(drawn["share"].mean(axis=0) - [1, 5]).max() < 4 / np.sqrt(400)
    assert density.own_of(wide, drawn)["share"].shape == (400, 1, 2)
    assert "share" in {row.name for row in wide.own_rows} & set(variants_of(wide)[0].priors)


@pytest.mark.parametrize("pooling", ["complete", "no", "partial"])
@pytest.mark.parametrize("case", CASES)
def test_the_linear_predictor_is_that_of_loops(case: str, pooling: str) -> None:
    data, rng = CASES[case](), np.random.default_rng(10)
    draws = with_coefficients(rng, data, population(rng, data, 2, pooling))
    exact = [eta_row_by_row(data, draws, s) for s in range(2)]
    np.testing.assert_allclose(effects.linear_predictor(draws, data), exact, rtol=1e-11, atol=1e-12)


def test_levels_never_seen_have_effects_of_their_own_from_the_population() -> None:
    data = CASES["nested and crossed"]()
    size, rng = 4_000, np.random.default_rng(12)
    draws = {name: np.repeat(values, size, axis=0) for name, values in population(rng, data, 1).items()}
    draws = with_coefficients(rng, data, draws)
    draws["effect"] = np.repeat(draws["effect"][:1], size, axis=0)
    new = {**data, "level": data["level"].copy()}
    new["level"][2, :2] = 0
    eta, known = effects.simulated_predictor(rng, draws, new), effects.linear_predictor(draws, data)
    np.testing.assert_allclose(eta[:, 2:], known[:, 2:])
    spread = dense_covariance(data, draws, 0, [2])
    for n in range(2):
        term = effects.terms_of(data)[2]
        off = (
            eta[:, n] - known[:, n] + (effects.effects_of(term, draws)[:, data["level"][2, n] - 1] @ data["Z"][n, -2:])
        )
        # Of four moments the largest |z| is above 4 once in four thousand tries.
        assert abs(off.mean()) < 4 * np.sqrt(spread[n, n] / size)
        assert abs(off.var() - spread[n, n]) < 4 * spread[n, n] * np.sqrt(2 / size)


def test_prior_draws_have_the_names_and_the_spread_of_their_priors() -> None:
    data = CASES["nested and crossed"]()
    draws = terms_population.prior_draws(likelihood("normal"), np.random.default_rng(13), {}, data, 4_000)
    assert {name: values.shape[1:] for name, values in draws.items()} == {
        "beta": (3,), "tau": (2,), "sd": (3,), "rho": (1,), "rho_other": (1,), "sigma": ()
    }  # fmt: skip
    assert np.abs(draws["beta"].std(axis=0) / 10 - 1).max() < 4 / np.sqrt(2 * 4_000)
    assert np.abs(draws["tau"].mean(axis=0) - np.sqrt(2 / np.pi)).max() < 4 * 0.61 / np.sqrt(4_000)
    theta = effects.new_group(np.random.default_rng(1), draws, data, "partial_pooling")
    assert theta.shape == (4_000, data["J"], 2)
    assert (
        effects.latent(np.random.default_rng(1), draws, data)["effect"].shape[1]
        == effects.terms_of(data)[-1].effects.stop
    )
