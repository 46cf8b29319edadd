"""The normal means family on real data: the BCG trials against foreign answers, and simulated truth."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, halfnorm, norm
from test_truth import STATISTICS, differences, moved

from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families import family
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.predict import new_group, shrinkage_table
from hbm_stan.priors import two_digits

ROOT = Path(__file__).parents[1]
BCG = json.loads((ROOT / "tests" / "reference" / "bcg.json").read_text())
SAMPLING = Sampling(draws=5000, adapt_delta=0.95, seed=20261121)


def analysis(name: str) -> Analysis:
    return read_analysis(ROOT / "reports" / name)


def partial(name: str, engine: Engine, variant: str = "partial_pooling", **priors: str) -> Fit:
    a = analysis(name)
    return fit(a.family, a.dataset, variant, priors={**a.priors, **priors}, sampling=SAMPLING, engine=engine)


@pytest.mark.parametrize("variant", ["partial_pooling", "partial_pooling_noncentered"])
def test_the_bcg_trials_equal_the_exact_posterior(stanli: Engine, variant: str) -> None:
    exact = BCG["posteriors"][0]["parameters"]
    z = differences(partial("bcg", stanli, variant), exact)
    assert moved(z, 2 * len(exact) * len(STATISTICS)) == {}


def test_the_bcg_trials_reproduce_restricted_maximum_likelihood(stanli: Engine) -> None:
    table = check(partial("bcg", stanli)).summary
    assert table.loc["mu", "q50"] == pytest.approx(BCG["reml"]["mu"], abs=0.05)
    assert table.loc["tau", "q05"] < np.sqrt(BCG["reml"]["tau2"]) < table.loc["tau", "q95"]


def truth(name: str) -> tuple[dict[str, float], dict[str, float]]:
    """The population and the groups that a simulated data set was drawn from."""
    with (ROOT / "data" / name / "truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    population = {r["name"]: float(r["value"]) for r in rows if not r["group"]}
    return population, {r["group"]: float(r["value"]) for r in rows if r["group"]}


@pytest.mark.parametrize("name", ["store_satisfaction", "treatment_sites"])
def test_intervals_hold_the_truth_of_simulated_groups(stanli: Engine, name: str) -> None:
    groups_fit = partial(name, stanli)
    population, groups = truth(name)
    table = shrinkage_table({"partial_pooling": groups_fit}, "partial_pooling").set_index("group")
    inside = sum(table.loc[g, "q05"] < value < table.loc[g, "q95"] for g, value in groups.items())
    assert len(groups) == len(table)
    assert inside >= binom.ppf(1e-3, len(groups), 0.9)
    # Shrunken estimates are nearer to the truth than raw ones: what partial pooling is for.
    values = np.array([groups[g] for g in table.index])
    assert np.mean((table["partial_pooling"] - values) ** 2) < np.mean((table["raw"] - values) ** 2)
    summary = check(groups_fit).summary
    for parameter in ("mu", "tau"):
        z = abs(summary.loc[parameter, "mean"] - population[parameter]) / summary.loc[parameter, "sd"]
        assert z < 4  # two quantities of two data sets


def test_a_treatment_helps_at_a_new_hospital_with_a_probability(stanli: Engine) -> None:
    sites_fit = partial("treatment_sites", stanli)
    row = new_group(sites_fit).quantities.loc["theta_new"]
    draws = sites_fit.draws("mu", "tau")
    expected = norm.cdf(draws["mu"] / draws["tau"]).mean()
    assert row["p_positive"] == pytest.approx(expected, abs=5 / np.sqrt(4 * sites_fit.n_draws))


# Three good studies and a pilot of 30 +- 40 (jamovi#1211, gemtc#81); standard errors of 1e-9 and 1e6 in one table
# (metafor, jamovi#1211).
PILOT = ((0.20, 0.35, 0.10, 30.0), (0.12, 0.15, 0.10, 40.0))
WILD = ((1.20, 0.80, 1.55, 0.95, 300.0, 1.10), (1e-9, 0.3, 0.4, 0.25, 1e6, 0.2))
SCHOOLS = ((28.0, 8, -3, 7, -1, 1, 18, 12), (15.0, 10, 16, 11, 9, 11, 10, 18))


def dataset(y: object, se: object) -> Dataset:
    frame = pd.DataFrame({"y": np.asarray(y, dtype=float), "se": np.asarray(se, dtype=float)})
    frame["g"] = [f"g{i + 1}" for i in range(len(frame))]
    return Dataset.from_frame(frame, group="g", estimate="y", standard_error="se")


def defaults(y: object, se: object) -> dict[str, str]:
    model = family("normal_means")
    return {name: prior.text for name, prior in model.priors(prepare_table(model, dataset(y, se))).items()}


@pytest.mark.parametrize(
    ("y", "se", "scale"),
    [
        (*PILOT, 0.13),
        (*WILD, 0.28),
        (*SCHOOLS, 11),  # as ever: none of them says nothing
        ((1.0, 2, 3), (1.0, 1, 1), 1),
        ((2.0, 2, 2, 2), (0.5, 0.5, 0.5, 0.5), 0.5),  # all estimates equal
        ((1.0, 3), (1.0, 1), 1.4),
        ((0.2, 0.3, 30), (0.1, 0.1, 40), 0.1),
        ((0.2, 0.35, 0.1, 0.5), (1e-4, 0.15, 0.1, 0.12), 0.17),  # a huge group is an estimate like others
        ((0.2, 0.3, 30, -20, 10), (0.1, 0.12, 40, 35, 38), 0.11),  # more pilots than studies
        ((0.2, 0.35, 0.1, 3), (0.12, 0.15, 0.1, 1.0), 0.13),  # a pilot that is not quite as bad
    ],
)
def test_default_priors_are_on_the_scale_of_the_estimates_that_say_something(
    y: tuple[float, ...], se: tuple[float, ...], scale: float
) -> None:
    given = defaults(y, se)
    assert given["tau"] == f"half_normal({scale:g})"
    assert given["mu"].endswith(f", {two_digits(2.5 * scale):g})")
    assert given["theta"].endswith(f", {two_digits(5 * scale):g})")


@pytest.mark.parametrize(("y", "se", "left_out"), [(*PILOT, True), (*SCHOOLS, False)])
def test_the_reason_says_which_estimates_a_scale_is_not_taken_from(
    y: tuple[float, ...], se: tuple[float, ...], left_out: bool
) -> None:
    model = family("normal_means")
    priors = model.priors(prepare_table(model, dataset(y, se)))
    for name in ("mu", "tau", "theta"):
        assert ("without 1 of 4 estimates that says nothing of it" in priors[name].reason) == left_out
        assert ("without" in priors[name].reason) == left_out


def test_default_priors_do_not_depend_on_the_order_of_rows_or_the_unit() -> None:
    y, se = (np.array(values) for values in PILOT)
    order = [3, 1, 0, 2]
    assert defaults(y[order], se[order]) == defaults(y, se)
    assert defaults(1000 * y, 1000 * se)["tau"] == "half_normal(130)"


def test_the_centre_is_the_precision_weighted_mean() -> None:
    # Weights of 1 / se in place of 1 / se^2 would give 0.97.
    assert defaults((0.0, 1.0), (1.0, 0.1))["mu"].startswith("normal(0.99,")


@pytest.mark.parametrize(("y", "se", "warned"), [(*WILD, True), (*PILOT, False), (*SCHOOLS, False)])
def test_standard_errors_of_many_orders_are_said(y: tuple[float, ...], se: tuple[float, ...], warned: bool) -> None:
    verdicts = {v.name: v for v in prepare_table(family("normal_means"), dataset(y, se)).verdicts}
    assert ("span of standard errors" in verdicts) == warned
    if warned:
        hint = verdicts["span of standard errors"].hint
        assert "15 orders of magnitude: 1e-09 of 'g1', 1e+06 of 'g5'" in hint


def exact(y: object, se: object, mu: tuple[float, float], tau: float) -> dict[str, float]:
    """Quantiles of tau and mean of mu by quadrature over tau: Gelman et al. (2013), eq. 5.20 and 5.21."""
    y, se = np.asarray(y), np.asarray(se)
    grid = np.geomspace(1e-8, 40 * tau, 40_001)
    variance = se[:, None] ** 2 + grid**2
    precision = 1 / mu[1] ** 2 + np.sum(1 / variance, axis=0)
    centre = (mu[0] / mu[1] ** 2 + np.sum(y[:, None] / variance, axis=0)) / precision
    log_p = norm.logpdf(y[:, None], centre, np.sqrt(variance)).sum(axis=0) + norm.logpdf(centre, *mu)
    log_p += halfnorm.logpdf(grid, 0, tau) - norm.logpdf(0, 0, precision**-0.5)
    weight = np.exp(log_p - log_p.max()) * np.gradient(grid)
    cumulative = np.cumsum(weight) / weight.sum()
    quantiles = {f"q{int(100 * q):02d}": float(np.interp(q, cumulative, grid)) for q in (0.05, 0.5, 0.95)}
    return {**quantiles, "mu": float(np.average(centre, weights=weight))}


def test_the_quadrature_of_these_tests_knows_its_answer() -> None:
    # metafor's table with a flat prior, to the digits that its source has.
    quantiles = exact(*WILD, (1.2, 300.0), 120.0)
    assert [round(quantiles[q], 3) for q in ("q05", "q50", "q95")] == [0.014, 0.156, 0.661]


@pytest.mark.parametrize("scale", [0.28, 120.0])
def test_wild_standard_errors_are_no_trouble(engine: Engine, scale: float) -> None:
    """Exact to 1e-9 beside 1e6: the sampler meets a standard normal, given tau, in every pooling."""
    y, se = WILD
    priors = {"mu": f"normal(1.2, {2.5 * scale})", "tau": f"half_normal({scale})", "theta": "normal(1.2, 1.4)"}
    fits = {
        v: fit("normal_means", dataset(y, se), v, priors=priors, sampling=Sampling(seed=20261121), engine=engine)
        for v in ("complete_pooling", "no_pooling", "partial_pooling")
    }
    diagnoses = {name: check(posterior) for name, posterior in fits.items()}
    assert {name: d.status for name, d in diagnoses.items()} == dict.fromkeys(fits, "pass")
    theta = fits["no_pooling"].draws("theta")["theta"]
    weight = 1.4**2 / (1.4**2 + np.square(se))
    mean, sd = weight * y + (1 - weight) * 1.2, np.sqrt(weight) * se
    assert np.all(abs(theta.mean(axis=0) - mean) < 5 * sd / np.sqrt(len(theta) / 2))
    np.testing.assert_allclose(theta.std(axis=0), sd, rtol=0.1)
    truth, tau = exact(y, se, (1.2, 2.5 * scale), scale), diagnoses["partial_pooling"].summary.loc["tau"]
    for q in ("q05", "q50", "q95"):
        assert abs(tau[q] - truth[q]) < 5 * tau[f"mcse_{q}"]
    mu = diagnoses["partial_pooling"].summary.loc["mu"]
    assert abs(mu["mean"] - truth["mu"]) < 5 * mu["mcse_mean"]


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling", "partial_pooling"])
def test_the_prior_alone_is_sampled_as_it_is(stanli: Engine, variant: str) -> None:
    """With the likelihood off the coordinates are those of the prior."""
    model = family("normal_means")
    priors = {"mu": "normal(3, 2)", "tau": "half_normal(1)", "theta": "normal(3, 2)"}
    table = prepare_table(model, dataset(*WILD))
    data = model.stan_data(table, model.priors(table, priors), variant) | {"use_likelihood": 0}
    drawn = stanli.sample(model.program(variant), data, Sampling(seed=20261121)).variables
    values = drawn["theta" if variant == "no_pooling" else "mu"].ravel()
    assert abs(values.mean() - 3) < 5 * 2 / np.sqrt(len(values) / 2)
    assert values.std() == pytest.approx(2, rel=0.1)
