"""Population parameters of formula models: LKJ of partial correlations, priors, coefficients that are sampled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from formula_cases import CASES
from formula_data import dense_covariance, eta_row_by_row, population, with_coefficients
from scipy.stats import halfnorm, multivariate_normal, norm

from hbm_stan.families.terms import density, effects
from hbm_stan.families.terms import population as terms_population
from hbm_stan.families.varying_terms import correlation_matrix, log_lkj
from hbm_stan.likelihoods import likelihood, likelihoods

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
    raw |= {"sigma_raw": drawn["sigma"]} if name == "normal" else {}
    params = {key: value for key, value in drawn.items() if key.startswith("beta")} | raw
    for key, terms in (("partial", slice(0, data["G"])), ("partial_other", slice(data["G"], None))):
        pairs = sum(k * (k - 1) // 2 * c for k, c in zip(data["K"][terms], data["correlated"][terms], strict=True))
        if pairs and (key != "partial" or pooling == "partial"):
            params[key] = rng.uniform(-0.7, 0.7, pairs)
    if name in {"binomial", "poisson"}:
        taken = slice(data["G"] if pooling == "complete" else 0, None)
        params["raw"] = rng.normal(size=int(np.sum(data["K"][taken] * data["L"][taken])))
    return params | terms_population.transformed(likelihood(name), params, data)


@pytest.mark.parametrize("centered", [0, 1])
@pytest.mark.parametrize("pooling", ["complete", "no", "partial"])
@pytest.mark.parametrize("case", ["nested and crossed", "correlated slopes", "a slope that is no common one"])
def test_sampled_coefficients_have_the_density_of_their_population(case: str, pooling: str, centered: int) -> None:
    data = {**CASES[case](), "centered": np.full(4, centered)[: CASES[case]()["T"]]}
    params = point(np.random.default_rng(8), data, "poisson", pooling)
    one = {name: np.asarray(value)[None] for name, value in params.items()}
    found, log_volume = 0.0, 0.0
    mean = effects.theta_mean(one, data)[0]
    for term in effects.terms_of(data):
        if term.pooled and pooling == "complete":
            continue
        factor = effects.factor_of(term, one, data)[0]
        values = params["theta"][:, term.at] - mean[term.at] if term.pooled else effects.effects_of(term, one)[0]
        found += float(np.sum(multivariate_normal.logpdf(values, None, factor @ factor.T)))
        log_volume += term.level.size * float(np.linalg.slogdet(factor)[1])
    found += 0.0 if centered else log_volume
    assert terms_population.log_raw(params, data) == pytest.approx(found, rel=1e-10)
    if pooling == "complete":
        np.testing.assert_array_equal(params["theta"], np.tile(mean, (data["J"], 1)))


@pytest.mark.parametrize("pooling", ["complete", "no", "partial"])
@pytest.mark.parametrize("name", likelihoods())
def test_the_log_joint_is_prior_and_rows(name: str, pooling: str) -> None:
    data = CASES["nested and crossed"]()
    data["y"] = (
        data["y"] if name in {"normal", "estimates"} else np.minimum(np.abs(np.round(data["y"])), data["trials"])
    )
    params = point(np.random.default_rng(9), data, name, pooling)
    used, unused = (density.log_joint(likelihood(name), params, {**data, "use_likelihood": u}, "") for u in (1, 0))
    beta = params.get("beta", params.get("beta_shared"))
    exact = norm.logpdf(beta, 0, 10).sum() + halfnorm.logpdf(params["sd"]).sum()
    exact += halfnorm.logpdf(params["tau"]).sum() if pooling == "partial" else 0.0
    exact += halfnorm.logpdf(params["sigma"]) if name == "normal" else 0.0
    # LKJ(2) of a 2 x 2 matrix: 3 (1 - rho^2) / 4.
    for key in ("partial", "partial_other"):
        exact += float(np.sum(np.log(0.75 * (1 - params[key] ** 2)))) if key in params else 0.0
    exact += norm.logpdf(params["raw"]).sum() if "raw" in params else 0.0
    assert unused == pytest.approx(exact, rel=1e-11)
    one = {key: np.asarray(value)[None] for key, value in params.items()}
    if "raw" in params:
        eta = eta_row_by_row(data, one, 0)
        rows = likelihood(name).log_p(eta, data, {})
        assert used - unused == pytest.approx(float(rows.sum()), rel=1e-10)
    else:
        variance = data["se"] ** 2 if name == "estimates" else np.full(data["N"], params["sigma"] ** 2)
        mean = effects.middle(one, data)[0]
        rows = multivariate_normal.logpdf(data["y"], mean, dense_covariance(data, one, 0) + np.diag(variance))
        assert used - unused == pytest.approx(float(rows), rel=1e-10)


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
