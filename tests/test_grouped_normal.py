"""Grouped normal data: dyestuff against quadrature and published results, and what belongs to this family alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from grouped_quadrature import exact, restricted, rows_of
from scipy import stats
from scipy.integrate import simpson
from scipy.optimize import minimize
from scipy.special import logsumexp
from test_truth import differences, moved

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table

ROOT = Path(__file__).parents[1]
REFERENCE = Path(__file__).parent / "reference" / "other"
FAMILY = family("grouped_normal")
STATISTICS = ("mean", "sd", "q05", "q50", "q95")
FRAME = pd.read_csv(ROOT / "data" / "dyestuff" / "data.csv")
ROWS = rows_of(FRAME["yield_g"].to_numpy(dtype=float), FRAME["batch"].to_numpy())
PRIORS = {"mu": "normal(1500, 200)", "tau": "half_normal(80)", "sigma": "half_normal(80)"}
SAMPLING = Sampling(draws=5000, adapt_delta=0.95, seed=20261121)


def dataset(frame: pd.DataFrame = FRAME, group: str = "batch", outcome: str = "yield_g") -> Dataset:
    return Dataset.from_frame(frame, group=group, outcome=outcome)


def data_of(source: Dataset, variant: str = "partial_pooling", chosen: dict[str, str] | None = None) -> dict[str, Any]:
    table = prepare_table(FAMILY, source)
    return FAMILY.stan_data(table, FAMILY.priors(table, chosen), variant)


def half_normal(scale: float) -> Any:
    return stats.halfnorm(scale=scale).logpdf


def test_partial_pooling_equals_quadrature(stanli: Engine) -> None:
    # The centered form is left out: dyestuff informs six groups poorly, and it diverges (see the next test).
    truth = exact(ROWS, half_normal(80), half_normal(80), (1500, 200), (1e-5, 600), (20, 200), "ABCDEF")
    for variant in ("partial_pooling", "partial_pooling_noncentered"):
        variant_fit = fit(FAMILY, dataset(), variant, priors=PRIORS, sampling=SAMPLING, engine=stanli)
        z = differences(variant_fit, truth)
        assert moved(z, 2 * len(z)) == {}, variant


def test_all_three_parameterisations_agree_where_the_centered_one_samples_well(stanli: Engine) -> None:
    # Deviations from the batch means divided by five: the same batches, measured well.
    y, means = FRAME["yield_g"], FRAME.groupby("batch")["yield_g"].transform("mean")
    near = FRAME.assign(yield_g=means + (y - means) / 5)
    rows = rows_of(near["yield_g"].to_numpy(), near["batch"].to_numpy())
    truth = exact(rows, half_normal(80), half_normal(80), (1500, 200), (1e-3, 600), (4, 40), "ABCDEF")
    for variant in ("partial_pooling", "partial_pooling_centered", "partial_pooling_noncentered"):
        variant_fit = fit(FAMILY, dataset(near), variant, priors=PRIORS, sampling=SAMPLING, engine=stanli)
        z = differences(variant_fit, truth)
        assert moved(z, 3 * len(z)) == {}, variant


def test_the_comparison_catches_a_wrong_prior_scale(stanli: Engine) -> None:
    # Planted fault: half-normal(0, 80) sampled, half-normal(0, 100) claimed.
    wrong = exact(ROWS, half_normal(100), half_normal(80), (1500, 200), (1e-5, 600), (20, 200), "ABCDEF")
    partial_fit = fit(FAMILY, dataset(), "partial_pooling", priors=PRIORS, sampling=SAMPLING, engine=stanli)
    assert "mean of tau" in moved(differences(partial_fit, wrong), 45)


def test_quadrature_equals_the_published_answer_under_inverse_gamma_priors() -> None:
    # Those priors are not offered; the likelihood that this integrates is the family's, by the next test.
    theirs = json.loads((REFERENCE / "dyestuff-bugs.json").read_text())["parameters"]

    def log_prior(sd: np.ndarray) -> np.ndarray:
        return np.asarray(-2 * 0.001 * np.log(sd) - 0.001 / sd**2 - np.log(sd))  # gamma(0.001, 0.001) of 1 / sd^2

    ours = exact(ROWS, log_prior, log_prior, (0, 1e5), (1e-3, 1e6), (15, 400), "ABCDEF", (3000, 120))
    for parameter, row in theirs.items():
        for statistic in STATISTICS:
            assert ours[parameter][statistic] == pytest.approx(row[statistic], abs=1e-3 * row["sd"]), parameter


def test_group_log_lik_is_the_likelihood_that_the_quadrature_integrates() -> None:
    tau, sigma = np.array([5.0, 42.0, 90.0]), np.array([60.0, 49.0, 30.0])
    grid = np.linspace(1000, 2000, 4001)
    data = data_of(dataset())
    for s in range(3):
        draws = {"mu": grid, "tau": np.full(4001, tau[s]), "sigma": np.full(4001, sigma[s])}
        joint = FAMILY.need("group_log_lik", "a test")(draws, data).sum(axis=1) + stats.norm.logpdf(grid, 1500, 200)
        assert logsumexp(joint) + np.log(0.25) == pytest.approx(
            restricted(ROWS, tau[s], sigma[s], (1500, 200))[0], abs=1e-9
        )


def test_the_mode_under_flat_priors_is_the_restricted_maximum_likelihood_of_lme4() -> None:
    theirs = json.loads((REFERENCE / "dyestuff-lme4.json").read_text())
    data = data_of(dataset(), chosen={"tau": "uniform(0, 500)", "sigma": "uniform(0, 500)", "mu": "normal(1500, 1e7)"})
    log_joint, flat = FAMILY.need("log_joint", "a test"), 2 * np.log(500) + 0.5 * np.log(2 * np.pi * 1e14)

    def of_mu(tau: float, sigma: float) -> tuple[float, float, float]:
        """log of the integral over mu, which is normal given the rest, with its mean and sd."""
        below, at, above = (
            log_joint({"mu": 1500.0 + h, "tau": tau, "sigma": sigma}, data, "partial_pooling") for h in (-100, 0, 100)
        )
        curvature = (2 * at - below - above) / 100**2
        slope = (above - below) / 200
        sd = 1 / np.sqrt(curvature)
        return at + slope**2 * sd**2 / 2 + np.log(sd * np.sqrt(2 * np.pi)) + flat, 1500 + slope * sd**2, sd

    best = minimize(lambda x: -2 * of_mu(*np.exp(x))[0], np.log([30.0, 60.0]), method="Nelder-Mead", tol=1e-9)
    _, mean, sd = of_mu(*np.exp(best.x))
    ours = [*np.exp(best.x), mean, sd, best.fun]
    lme4 = theirs["parameters"]
    expected = [lme4["tau"], lme4["sigma"], lme4["mu"]["estimate"], lme4["mu"]["se"], theirs["criterion"]]
    # To half a unit of the last digit printed.
    assert np.abs(np.subtract(ours, expected)) == pytest.approx(0, abs=5.1e-3)
    assert np.abs(np.subtract(ours, expected)[[0, 1, 4]]) == pytest.approx(0, abs=5.1e-4)


def test_group_log_lik_integrates_each_group_s_own_sd() -> None:
    # Over z of log sd, by a plain grid; the rows of a group are multivariate normal with covariance tau^2 + sd^2 I.
    data = data_of(dataset(pd.read_csv(ROOT / "data" / "segments" / "data.csv"), "segment", "basket_value"))
    y, group = data["y"], data["group_idx"] - 1
    for mu, tau, sigma, spread in ((40.0, 7.0, 13.0, 0.3), (30.0, 2.0, 20.0, 0.9), (45.0, 15.0, 10.0, 0.05)):
        draws = {"mu": mu, "tau": tau, "sigma": sigma, "sigma_spread": spread}
        ours = FAMILY.need("group_log_lik", "a test")({k: np.array([v]) for k, v in draws.items()}, data)[0]
        z = np.linspace(-9, 9, 3001)
        for j in np.flatnonzero(data_sizes(group) < 100):
            own = y[group == j]
            density = np.array([rows_density(own, mu, tau, sigma * np.exp(spread * a)) for a in z]) + stats.norm.logpdf(
                z
            )
            assert ours[j] == pytest.approx(logsumexp(density) + np.log(z[1] - z[0]), abs=1e-7)


def data_sizes(group: np.ndarray) -> np.ndarray:
    return np.bincount(group)


def rows_density(y: np.ndarray, mu: float, tau: float, sd: float) -> float:
    """Multivariate normal with covariance tau^2 + sd^2 I: variance sd^2 + n tau^2 along the mean, else sd^2."""
    n, about = len(y), np.sum((y - y.mean()) ** 2)
    along = sd**2 + n * tau**2
    quadratic = about / sd**2 + n * (y.mean() - mu) ** 2 / along
    return float(-0.5 * (quadratic + n * np.log(2 * np.pi) + 2 * (n - 1) * np.log(sd) + np.log(along)))


@pytest.mark.parametrize("prior", ["lognormal(4, 1)", "half_cauchy(50)", "uniform(0, 300)", "gamma(2, 0.1)"])
def test_exact_leave_one_out_is_a_ratio_of_evidences(prior: str) -> None:
    uneven = FRAME.iloc[[0, 5, 6, *range(10, 30)]]  # a group of one row and one of two
    for variant in ("complete_pooling", "no_pooling"):
        name = "sigma" if variant == "complete_pooling" else "sigma_group"
        data = data_of(dataset(uneven), variant, {name: prior})
        y, group = data["y"], data["group_idx"] * (variant == "no_pooling")
        location, scale = data["prior_mu" if variant == "complete_pooling" else "prior_theta"]
        density = FAMILY.priors(prepare_table(FAMILY, dataset(uneven)), {name: prior})[name].log_density
        log_sd = np.linspace(-18, np.log(299.999999) if "uniform" in prior else 20, 16_001)

        def evidence(own: np.ndarray, location=location, scale=scale, density=density, log_sd=log_sd) -> float:
            if not own.size:
                return 0.0
            joint = np.array([rows_density(own, location, scale, sd) for sd in np.exp(log_sd)]) + log_sd
            joint += density(np.exp(log_sd))
            return float(np.log(simpson(np.exp(joint - joint.max()), x=log_sd)) + joint.max())

        ours = FAMILY.need("exact_loo", "a test")(data, variant)
        for i in (0, 1, 20):
            others = y[(group == group[i]) & (np.arange(len(y)) != i)]
            assert ours[i] == pytest.approx(evidence(np.append(others, y[i])) - evidence(others), abs=1e-4)
    assert FAMILY.need("exact_loo", "a test")(data, "partial_pooling") is None


def test_sds_of_unequal_segments_are_found_and_small_ones_are_pulled(stanli: Engine) -> None:
    frame = pd.read_csv(ROOT / "data" / "segments" / "data.csv")
    truth = pd.read_csv(ROOT / "data" / "segments" / "truth.csv")
    pooled = fit(FAMILY, dataset(frame, "segment", "basket_value"), "partial_pooling_sigma_by_group",
                 sampling=Sampling(seed=20261121), engine=stanli)  # fmt: skip
    assert not pooled.tree["sample_stats"]["diverging"].any()
    for name in ("theta", "sigma"):
        draws = pooled.draws(f"{name}_group" if name == "sigma" else name)[f"{name}_group" if name == "sigma" else name]
        of_name = truth[truth["name"] == name].set_index("group")["value"]
        planted = of_name.loc[list(pooled.table.pooled.labels)].to_numpy()
        low, high = np.quantile(draws, [0.05, 0.95], axis=0)
        inside = int(np.sum((low < planted) & (planted < high)))
        # Twelve intervals of 90 %: fewer than eight inside would happen once in 400 times.
        assert inside >= 8, name


def test_groups_of_one_row_make_no_funnel_without_pooling(stanli: Engine) -> None:
    frame = pd.DataFrame({"batch": list("abcdefgh"), "yield_g": [28.0, 8, -3, 7, -1, 1, 18, 12]})
    for variant in ("no_pooling", "partial_pooling", "partial_pooling_sigma_by_group"):
        variant_fit = fit(FAMILY, dataset(frame), variant, sampling=Sampling(seed=20261121), engine=stanli)
        assert int(variant_fit.tree["sample_stats"]["diverging"].sum()) == 0, variant


def test_a_value_written_into_every_row_of_its_group_is_refused() -> None:
    frame = pd.DataFrame({"batch": list("aabbc"), "yield_g": [0.1, 0.1, 0.3, 0.3, 0.5]})
    with pytest.raises(DataError, match="rows of each group are all equal"):
        data_of(dataset(frame))


@pytest.mark.parametrize("y", [[0.1, 0.1, 0.1, 0.1 + 1e-9], [1e99, 2e99, 1e99, 3e99], [1e-9, 2e-9, 1e-9, 5e-9]])
def test_default_priors_are_finite_and_positive_for_any_data(y: list[float]) -> None:
    table = prepare_table(FAMILY, dataset(pd.DataFrame({"batch": list("aabb"), "yield_g": y})))
    for name, prior in FAMILY.priors(table).items():
        assert np.isfinite(prior.arguments).all(), name
        assert prior.distribution == "lognormal" or prior.arguments[-1] > 0, name
