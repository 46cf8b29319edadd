"""Rows and groups left out of fits of formulas: against exact values, without pooling too, and by refits."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from oracle_fits import ORACLE
from oracle_posteriors import POSTERIORS
from scipy.special import logsumexp
from scipy.stats import norm

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families import families
from hbm_stan.families.terms import integrals
from hbm_stan.families.terms.effects import groups_of, pooling_of, shared_columns
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.leave_one_out import logo, loo, mean_error
from hbm_stan.likelihoods import likelihood
from hbm_stan.repair.refits import refit_without, with_effects
from hbm_stan.sensitivity.influence import Without, influence
from hbm_stan.sensitivity.quantities import location_and_scale

SAMPLING = Sampling(draws=1000, seed=20261128)
PRIORS = {
    "beta[intercept]": "normal(20, 10)",
    "tau": "half_normal(3)",
    "sd": "half_normal(3)",
    "sigma": "half_normal(3)",
}
# Two elpds, each a sum over units, are so many of their Monte Carlo errors apart once in ten thousand tries.
MOST = 4.0


@cache
def rows() -> pd.DataFrame:
    return pd.read_csv(ORACLE / "penicillin.csv")


@cache
def penicillin(group: str, variant: str = "partial_pooling", without: str = "") -> Fit:
    frame = rows()[rows()["sample"] != without] if without else rows()
    dataset = Dataset.from_frame(frame, formula="diameter_mm ~ 1 + (1 | plate) + (1 | sample)", group=group)
    chosen = PRIORS if variant == "partial_pooling" else {}
    return fit(families()["normal"], dataset, variant, priors=chosen, sampling=SAMPLING, engine="stanli")


@pytest.mark.parametrize("group", ["plate", "sample"])
def test_a_group_of_a_crossed_factor_is_left_out(stanli: Engine, group: str) -> None:
    crossed_fit = penicillin(group)
    left_out = logo(crossed_fit)
    by_group = POSTERIORS["penicillin-crossed"]["logo"][group]["by_group"]
    exact = np.array([by_group[label] for label in crossed_fit.table.pooled.labels])
    assert left_out is not None
    good = ~left_out.high  # mcse is that of units whose Pareto k is low: one of six samples is far from the others
    assert good.sum() >= len(exact) - 1
    assert left_out.elpd_i[good].sum() == pytest.approx(exact[good].sum(), abs=MOST * left_out.mcse)


def test_rows_are_left_out_with_all_coefficients_integrated(stanli: Engine) -> None:
    left_out = loo(penicillin("plate"))
    exact = POSTERIORS["penicillin-crossed"]["loo"]["pointwise"]
    assert not left_out.high.any()
    assert left_out.elpd == pytest.approx(sum(exact), abs=MOST * left_out.mcse)
    # Nothing but the four population parameters is left to weigh: far less error than with effects given.
    assert left_out.mcse < 0.1


def test_without_pooling_a_group_has_its_prior_and_what_is_shared(stanli: Engine) -> None:
    crossed_fit = penicillin("plate", "no_pooling")
    assert pooling_of(crossed_fit.draws()) == "no"
    left_out = logo(crossed_fit)
    assert left_out is not None
    ours = integrals.group_log_lik(likelihood("normal"), crossed_fit.draws(), crossed_fit.data)
    assert ours.std(axis=0).max() > 0.01  # sigma and the samples are learnt, so that it is no constant
    assert left_out.elpd == pytest.approx(float(-np.log(np.exp(-ours).mean(axis=0)).sum()), abs=0.1)


def test_effects_of_a_refit_stand_where_the_whole_table_has_them(stanli: Engine) -> None:
    whole, refit = penicillin("plate"), penicillin("plate", without="B")
    draws = with_effects(whole, refit)
    assert draws["effect"].shape[1] == 6
    np.testing.assert_array_equal(np.delete(draws["effect"], 1, axis=1), refit.draws()["effect"])
    new = draws["effect"][:, 1] / refit.draws()["sd"][:, 0]
    assert abs(new.mean()) < 4 / np.sqrt(len(new))
    assert abs(new.std() - 1) < 4 / np.sqrt(2 * len(new))


def errors_of_a_refit(fit: Fit, refit: Fit, group: str, row: Without) -> list[float]:
    """How far means by weights are from those of a refit without the group, in Monte Carlo errors of both."""
    j = fit.table.pooled.labels.index(group)
    density = np.asarray(fit.family.groups.group_loo_log_lik(fit.draws(), fit.data))[:, j]  # type: ignore[misc]
    weights = np.exp(density.min() - density)
    weights /= weights.sum()
    draws, without = location_and_scale(fit), location_and_scale(refit)
    errors = []
    for name, now in row.intervals.items():
        deviations = fit.n_draws * weights * (draws[name] - now.mean)  # their mean is 0, its error that of the ratio
        error = np.hypot(mean_error(deviations, SAMPLING.chains), mean_error(without[name], SAMPLING.chains))
        errors.append(abs(now.mean - without[name].mean()) / error)
    return errors


@pytest.mark.parametrize(("group", "label"), [("sample", "D"), ("plate", "m")])
def test_influence_of_a_group_of_a_crossed_factor_equals_a_refit(stanli: Engine, group: str, label: str) -> None:
    crossed_fit = penicillin(group)
    influences = influence(crossed_fit)
    refit = refit_without(
        crossed_fit, np.flatnonzero(crossed_fit.table.pooled.level == crossed_fit.table.pooled.labels.index(label))
    )
    rows = {row.group: row for row in influences.rows}
    assert set(influences.base) == {"beta[intercept]", "tau[intercept]"}
    limit = norm.isf(1e-3 / (2 * 2))
    assert max(errors_of_a_refit(crossed_fit, refit, label, rows[label])) < limit
    # Planted faults: weights of another group, and of the density upside down.
    other = next(
        name
        for name in crossed_fit.table.pooled.labels
        if name != label and abs(rows[name].moved - rows[label].moved) > 0.1
    )
    assert max(errors_of_a_refit(crossed_fit, refit, label, rows[other])) > limit
    density = crossed_fit.family.groups.group_loo_log_lik
    assert density is not None
    turned = replace(
        crossed_fit, family=crossed_fit.family.with_fields(group_loo_log_lik=lambda d, data: -density(d, data))
    )
    wrong = next(row for row in influence(turned).rows if row.group == label)
    assert max(errors_of_a_refit(crossed_fit, refit, label, wrong)) > limit


def test_crossed_effects_integrated_out_leave_few_groups_unjudged(stanli: Engine) -> None:
    crossed_fit = penicillin("sample")
    given = replace(
        crossed_fit, family=crossed_fit.family.with_fields(group_loo_log_lik=None)
    )  # effects of plates as drawn
    unjudged, rough = ({row.group for row in influence(f).rows if not row.reliable} for f in (crossed_fit, given))
    assert unjudged <= {"F"}  # far from the other five
    assert len(rough) > len(unjudged)


def wards(slope: bool) -> pd.DataFrame:
    """Rows of wards of unequal size in no order, of which one has a single row; the arm is that of the ward."""
    rng = np.random.default_rng(20261129)
    ward = rng.permutation(np.repeat(np.arange(6), [1, 3, 4, 5, 6, 7]))
    arm, age = np.where(ward % 2 == 0, "a", "b"), rng.normal(50, 9, ward.size)
    y = 10 + 2 * (arm == "b") + rng.normal(0, 1, 6)[ward] + 0.1 * (age - 50) + rng.normal(0, 1, ward.size)
    return pd.DataFrame({"ward": [f"w{k}" for k in ward], "arm": arm, "age": age, "y": y + 0.02 * slope * ward * age})


def by_refits(data: dict[str, Any], prior: Any, log: bool) -> np.ndarray:
    """log p(y_n | the other rows) of normal rows without pooling, by dense normal densities over a grid of sigma."""
    n, own, columns = data["N"], data["KG"], np.asarray(data["X"], dtype=float).reshape(data["N"], -1)
    y = np.log(data["y"]) if log else np.asarray(data["y"], dtype=float)
    group, z = groups_of(data), np.asarray(data["Z"], dtype=float)[:, :own]
    theta, shared = np.asarray(data["prior_theta"], dtype=float), shared_columns(data)
    beta = np.asarray(data["prior_beta"], dtype=float).reshape(-1, 2)[shared]
    x = columns[:, shared]
    mean = z @ theta[:, 0] + x @ beta[:, 0]
    same = group[:, None] == group
    covariance = same * ((z * theta[:, 1] ** 2) @ z.T) + (x * beta[:, 1] ** 2) @ x.T
    grid = np.linspace(np.log(0.001), np.log(60), 4000)
    densities = np.empty((len(grid), n + 1))
    for k, v in enumerate(grid):
        inverse = np.linalg.inv(covariance + np.exp(2 * v) * np.eye(n))
        residual = inverse @ (y - mean)
        whole = -0.5 * ((y - mean) @ residual - np.linalg.slogdet(inverse)[1] + n * np.log(2 * np.pi))
        rows = -0.5 * (residual**2 / np.diag(inverse) - np.log(np.diag(inverse)) + np.log(2 * np.pi))
        weight = prior.log_density(np.exp(v)) + v
        densities[k] = np.append(whole - rows, whole) + weight
    evidence = logsumexp(densities, axis=0)
    return np.asarray(evidence[-1] - evidence[:-1] - (y if log else 0))


@pytest.mark.parametrize("name", ["normal", "lognormal"])
@pytest.mark.parametrize("formula", ["y ~ arm + age + (1 | ward)", "y ~ arm + age + (1 + age | ward)"])
def test_columns_that_are_constant_within_groups_leave_rows_out_as_exactly(name: str, formula: str) -> None:
    """Beside a tiny sigma, groups leave a direction of their coefficients open that rounding drowns."""
    model = families()[name]
    dataset = Dataset.from_frame(wards("+ age |" in formula), formula=formula, group="ward")
    table = prepare_table(model, dataset)
    for sigma in ("half_normal(3)", "uniform(0, 40)"):
        priors = model.priors(table, {"sigma": sigma})
        data = model.stan_data(table, priors, "no_pooling")
        log_lik = model.need("exact_loo", "a test")(data, "no_pooling")
        np.testing.assert_allclose(log_lik, by_refits(data, priors["sigma"], name == "lognormal"), atol=2e-6)


def test_rows_that_are_fitted_exactly_have_no_exact_score() -> None:
    frame = wards(False)
    frame["y"] = 3.0 * (frame["arm"] == "b") + frame["ward"].map({f"w{k}": k / 8 for k in range(6)})
    model = families()["normal"]
    table = prepare_table(model, Dataset.from_frame(frame, formula="y ~ arm + age + (1 | ward)", group="ward"))
    data = model.stan_data(table, model.priors(table, {"sigma": "half_normal(3)"}), "no_pooling")
    assert model.need("exact_loo", "a test")(data, "no_pooling") is None
