"""Shrinkage factors, raw estimates and shares of variance against definitions that share no code with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hbm_stan.data import Dataset
from hbm_stan.families import families
from hbm_stan.families.nested_normal.findings import findings as nested_findings
from hbm_stan.fit import prepare_table
from hbm_stan.model import Evidence, StanData

RNG = np.random.default_rng(20261128)
# Rows of each group, unequal, in an order that is not that of the groups.
GROUP = np.array([2, 0, 1, 0, 2, 2, 1, 0, 2, 0, 0, 1])
LABELS = [f"g{j}" for j in GROUP]


def stan_data(name: str, frame: pd.DataFrame, **roles: Any) -> StanData:
    family = families()[name]
    table = prepare_table(family, Dataset.from_frame(frame.assign(g=LABELS), group="g", **roles))
    return family.stan_data(table, family.priors(table), "partial_pooling")


def need(name: str, function: str) -> Any:
    return families()[name].need(function, "a test")


def mean_on_grid(log_density: np.ndarray, grid: np.ndarray) -> float:
    weight = np.exp(log_density - log_density.max())
    return float(np.sum(weight * grid) / np.sum(weight))


def rows_of(data: StanData) -> list[np.ndarray]:
    return [np.flatnonzero(np.asarray(data["group_idx"]) == j + 1) for j in range(data["J"])]


def test_the_factor_of_rates_is_the_weight_of_the_mean_in_a_posterior_mean() -> None:
    exposure = np.round(RNG.uniform(1, 20, len(GROUP)), 1)
    frame = pd.DataFrame({"y": RNG.poisson(0.7 * exposure), "e": exposure})
    data = stan_data("gamma_poisson", frame, count="y", exposure="e")
    alpha, beta = 2.5, 3.0
    draws = {"alpha": np.array([alpha]), "beta": np.array([beta]), "mu": np.array([alpha / beta])}
    factor = need("gamma_poisson", "shrinkage_factor")(draws, data)[0]
    raw, se = need("gamma_poisson", "raw")(data)
    grid = np.linspace(1e-4, 8, 40_001)
    for j, own in enumerate(rows_of(data)):
        y, e = np.asarray(data["y"])[own], np.asarray(data["exposure"])[own]
        log_p = stats.gamma.logpdf(grid, alpha, scale=1 / beta)
        log_p = log_p + sum(stats.poisson.logpmf(k, grid * x) for k, x in zip(y, e, strict=True))
        assert mean_on_grid(log_p, grid) == pytest.approx(raw[j] + factor[j] * (alpha / beta - raw[j]), rel=1e-4)
        assert (raw[j], se[j]) == pytest.approx((y.sum() / e.sum(), np.sqrt(y.sum()) / e.sum()))


def test_the_factor_of_proportions_is_the_weight_of_the_mean_in_a_posterior_mean() -> None:
    n = RNG.integers(3, 30, len(GROUP))
    data = stan_data("beta_binomial", pd.DataFrame({"y": RNG.binomial(n, 0.3), "n": n}), successes="y", trials="n")
    mu, kappa = 0.4, 9.0
    factor = need("beta_binomial", "shrinkage_factor")({"mu": np.array([mu]), "kappa": np.array([kappa])}, data)[0]
    raw, se = need("beta_binomial", "raw")(data)
    grid = np.linspace(1e-5, 1 - 1e-5, 40_001)
    for j, own in enumerate(rows_of(data)):
        y, m = np.asarray(data["y"])[own], np.asarray(data["trials"])[own]
        log_p = stats.beta.logpdf(grid, mu * kappa, (1 - mu) * kappa)
        log_p = log_p + sum(stats.binom.logpmf(k, x, grid) for k, x in zip(y, m, strict=True))
        assert mean_on_grid(log_p, grid) == pytest.approx(raw[j] + factor[j] * (mu - raw[j]), rel=1e-4)
        share = y.sum() / m.sum()
        assert (raw[j], se[j]) == pytest.approx((share, np.sqrt(share * (1 - share) / m.sum())))


def test_the_factor_of_means_is_the_weight_of_the_mean_in_a_posterior_mean() -> None:
    data = stan_data("grouped_normal", pd.DataFrame({"y": RNG.normal(5, 2, len(GROUP))}), outcome="y")
    mu, tau, sigma = 4.0, 1.5, 2.0
    draws = {"mu": np.array([mu]), "tau": np.array([tau]), "sigma": np.array([sigma])}
    factor = need("grouped_normal", "shrinkage_factor")(draws, data)[0]
    raw, se = need("grouped_normal", "raw")(data)
    grid = np.linspace(-10, 20, 40_001)
    for j, own in enumerate(rows_of(data)):
        y = np.asarray(data["y"])[own]
        log_p = stats.norm.logpdf(grid, mu, tau) + stats.norm.logpdf(y[:, None], grid, sigma).sum(axis=0)
        assert mean_on_grid(log_p, grid) == pytest.approx(raw[j] + factor[j] * (mu - raw[j]), rel=1e-5)
        assert (raw[j], se[j]) == pytest.approx((y.mean(), stats.sem(y)))


def test_the_factor_of_estimates_is_the_weight_of_the_mean_in_a_posterior_mean() -> None:
    family = families()["normal_means"]
    frame = pd.DataFrame({"g": list("bca"), "y": [1.0, 4.0, -2.0], "se": [0.5, 2.0, 1.0]})
    table = prepare_table(family, Dataset.from_frame(frame, group="g", estimate="y", standard_error="se"))
    data = family.stan_data(table, family.priors(table), "partial_pooling")
    mu, tau = 0.5, 1.2
    factor = need("normal_means", "shrinkage_factor")({"mu": np.array([mu]), "tau": np.array([tau])}, data)[0]
    grid = np.linspace(-15, 15, 40_001)
    for j, (y, se) in enumerate(zip(frame["y"], frame["se"], strict=True)):
        log_p = stats.norm.logpdf(grid, mu, tau) + stats.norm.logpdf(y, grid, se)
        assert mean_on_grid(log_p, grid) == pytest.approx(y + factor[j] * (mu - y), rel=1e-5)


def test_the_factor_of_nested_means_is_how_far_a_group_follows_the_population() -> None:
    units = ["a", "b", "a", "b", "a", "a", "a", "c", "b", "a", "b", "b"]
    frame = pd.DataFrame({"u": units, "y": RNG.normal(5, 2, len(GROUP))})
    data = stan_data("nested_normal", frame, outcome="y", unit="u", unit_labels="repeat")
    tau, tau_unit, sigma = 1.5, 0.8, 0.6
    draws = {"mu": 0.0, "tau": tau, "tau_unit": tau_unit, "sigma": sigma}
    factor = need("nested_normal", "shrinkage_factor")({k: np.array([v]) for k, v in draws.items()}, data)[0]
    unit = np.asarray(data["unit_idx"])
    for j, own in enumerate(rows_of(data)):
        same = (unit[own][:, None] == unit[own]).astype(float)
        covariance = sigma**2 * np.eye(len(own)) + tau_unit**2 * same + tau**2
        # E(theta | y) = mu + tau^2 1' V^-1 (y - mu): what is left of one unit of mu.
        assert factor[j] == pytest.approx(1 - tau**2 * np.linalg.inv(covariance).sum())


def lines_data(x: np.ndarray) -> StanData:
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": RNG.normal(5, 2, len(GROUP))})
    return stan_data("linear_regression", frame, outcome="y", predictors=["a", "b"])


def test_the_factors_of_coefficients_are_how_far_each_follows_its_own_mean() -> None:
    """Terms that groups know unequally well: an exchange of two of them shows."""
    data = lines_data(RNG.normal(0, [3.0, 0.3], (len(GROUP), 2)))
    tau, rho, sigma = np.array([1.5, 0.4, 0.9]), np.array([0.5, -0.3, 0.2]), 1.1
    correlation = np.array([[1, 0.5, -0.3], [0.5, 1, 0.2], [-0.3, 0.2, 1]])
    prior = tau[:, None] * correlation * tau
    draws = {"mu": np.zeros((1, 3)), "tau": tau[None], "rho": rho[None], "sigma": np.array([sigma])}
    draws["gamma"] = np.zeros((1, 0))
    factor = need("linear_regression", "shrinkage_factor")(draws, data)[0]
    assert np.ptp(factor, axis=1).min() > 0.05
    for j, own in enumerate(rows_of(data)):
        x = np.asarray(data["X"])[own]
        gain = prior @ x.T @ np.linalg.inv(x @ prior @ x.T + sigma**2 * np.eye(len(own)))
        # E(theta | y) = mean + gain (y - X mean): its derivative by the mean.
        assert factor[j] == pytest.approx(1 - np.diagonal(gain @ x))


def evidence(name: str, **draws: float) -> Evidence:
    """Draws that are all alike."""
    family = families()[name]
    units = {"unit": "u", "unit_labels": "repeat"} if name == "nested_normal" else {}
    frame = pd.DataFrame({"g": LABELS, "u": list("abababababab"), "y": RNG.normal(5, 2, len(GROUP))})
    table = prepare_table(family, Dataset.from_frame(frame, group="g", outcome="y", **units))
    data = family.stan_data(table, family.priors(table), "partial_pooling")
    many = {k: np.full(100, v) for k, v in draws.items()}
    return Evidence(
        variant="partial_pooling", draws=many, data=data, table=table, options={}, rng=np.random.default_rng(1)
    )


def test_a_share_of_variance_is_one_of_squares() -> None:
    (finding,) = need("grouped_normal", "findings")(evidence("grouped_normal", tau=3.0, sigma=4.0))
    assert "36 % of the variance of a row (90 % interval 36 to 36 %)" in finding.sentences[0]
    split = nested_findings(evidence("nested_normal", tau=1.0, tau_unit=2.0, sigma=4.0))[0]
    assert split.table is not None
    assert split.table["share"].tolist() == pytest.approx([100 / 21, 400 / 21, 1600 / 21])
    assert split.table["sd"].tolist() == [1.0, 2.0, 4.0]


def test_what_group_predictors_explain_is_a_share_of_variances() -> None:
    from hbm_stan.families.varying_terms import explained

    family = families()["linear_regression"]
    frame = pd.DataFrame({"g": LABELS, "y": RNG.normal(5, 2, len(GROUP)), "u": np.array([-1.0, 0.5, 3.0])[GROUP]})
    table = prepare_table(family, Dataset.from_frame(frame, group="g", outcome="y", group_predictors=["u"]))
    data = family.stan_data(table, family.priors(table), "partial_pooling")
    draws = {"gamma": np.full((100, 1), 2.0), "tau": np.full((100, 1), 3.0)}
    (finding,) = explained(
        Evidence(
            variant="partial_pooling", draws=draws, data=data, table=table, options={}, rng=np.random.default_rng(1)
        )
    )
    by_predictor = 4 * np.var([-1.0, 0.5, 3.0])
    assert f"u explains {100 * by_predictor / (by_predictor + 9):.0f} % (90 % interval" in finding.sentences[0]
    assert finding.sentences[0].startswith("Of the variance of the intercept between ")
