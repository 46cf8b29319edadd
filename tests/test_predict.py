"""Shrinkage, a new group and the predictive check, against quadrature and against what they must never do."""

from __future__ import annotations

import numpy as np
import pytest
import quadrature
from fake_fits import fake_fit
from scipy.stats import norm
from test_truth import dataset, priors

from hbm_stan.attempts import fit, fit_variants
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import ModelError
from hbm_stan.fit import Fit
from hbm_stan.predict import new_group, shrinkage_notes, shrinkage_table
from hbm_stan.replicate import predictive_check

SAMPLING = Sampling(draws=5000, adapt_delta=0.95, seed=20261121)
CHOSEN = priors("half_cauchy", (5.0,), (0.0, 5.0)) | {"theta": "normal(0, 50)"}
MCSES = norm.isf(1e-3 / (2 * 25))  # 25 comparisons with quadrature in this file, at a family error of 1e-3


@pytest.fixture
def fits(stanli: Engine) -> dict[str, Fit]:
    return fit_variants("normal_means", dataset(), priors=CHOSEN, sampling=SAMPLING, engine=stanli)


def test_a_new_group_equals_quadrature(fits: dict[str, Fit]) -> None:
    table = new_group(fits["partial_pooling"], standard_error=12.0).quantities
    truth = quadrature.exact().new()
    for statistic in ("mean", "sd", "q05", "q50", "q95"):
        error = abs(table.loc["theta_new", statistic] - truth[statistic])
        assert error < MCSES * table.loc["theta_new", f"mcse_{statistic}"], statistic
    variance = truth["sd"] ** 2 + 12.0**2
    assert abs(table.loc["y_new", "sd"] - np.sqrt(variance)) < MCSES * table.loc["y_new", "mcse_sd"]


def test_a_new_group_has_one_draw_for_each_posterior_draw(fits: dict[str, Fit]) -> None:
    new = new_group(fits["partial_pooling"])
    mu, tau = (fits["partial_pooling"].draws(n)[n] for n in ("mu", "tau"))
    z = (new.draws["theta_new"] - mu) / tau
    # Planted fault it must exclude: one effect draw shared by all, or mu used in place of each draw's own mu.
    assert abs(np.mean(z)) < 5 / np.sqrt(z.size)
    assert np.std(z) == pytest.approx(1, abs=5 / np.sqrt(2 * z.size))
    assert len(np.unique(new.draws["theta_new"])) == z.size


def test_new_groups_without_partial_pooling_say_what_they_are(fits: dict[str, Fit]) -> None:
    complete, no = new_group(fits["complete_pooling"]), new_group(fits["no_pooling"])
    np.testing.assert_array_equal(complete.draws["theta_new"], fits["complete_pooling"].draws("mu")["mu"])
    assert "denies that schools differ" in complete.note
    assert no.quantities.loc["theta_new", "sd"] == pytest.approx(50, rel=0.03)
    assert "this is the prior" in no.note


def test_the_same_report_twice(fits: dict[str, Fit]) -> None:
    one, two = new_group(fits["partial_pooling"]), new_group(fits["partial_pooling"])
    np.testing.assert_array_equal(one.draws["y_new"], two.draws["y_new"])


def test_a_standard_error_that_is_not_positive_is_refused() -> None:
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(ModelError, match="above zero"):
            new_group(fake_fit(), standard_error=bad)


def test_shrinkage_equals_quadrature(fits: dict[str, Fit]) -> None:
    table = shrinkage_table(fits, "partial_pooling").set_index("group")
    exact = quadrature.exact()
    truth = exact.summaries()
    for j, label in enumerate(quadrature.LABELS):
        error = abs(table.loc[label, "partial_pooling"] - truth[f"theta[{label}]"]["mean"])
        assert error < MCSES * table.loc[label, "mcse_mean"], label
        assert table.loc[label, "factor"] == pytest.approx(exact.factor(j), abs=0.01)
        assert table.loc[label, "raw"] == quadrature.Y[j]
    assert table["complete_pooling"].nunique() == 1
    assert np.allclose(table["no_pooling"], table["raw"], atol=6)


def test_shrinkage_lies_between_raw_and_pooled_and_names_what_moved(fits: dict[str, Fit]) -> None:
    table = shrinkage_table(fits, "partial_pooling")
    mu = float(fits["partial_pooling"].draws("mu")["mu"].mean())
    low, high = np.minimum(table["raw"], mu), np.maximum(table["raw"], mu)
    assert ((table["partial_pooling"] >= low - 0.5) & (table["partial_pooling"] <= high + 0.5)).all()
    (note,) = shrinkage_notes(table)
    assert "A" in note
    assert "not on its size alone" in note


def test_without_partial_pooling_there_is_no_factor(stanli: Engine) -> None:
    fits = fit_variants("normal_means", dataset(), ["complete_pooling"], sampling=SAMPLING, engine=stanli)
    table = shrinkage_table(fits, "complete_pooling")
    assert table["factor"].isna().all()
    assert table["partial_pooling"].isna().all()
    assert shrinkage_notes(table) == []


def test_predictive_check_sees_a_group_that_does_not_belong(stanli: Engine) -> None:
    fine = predictive_check(fit("normal_means", dataset(), priors=CHOSEN, sampling=SAMPLING, engine=stanli))
    assert fine.verdict.status == "pass"
    assert fine.statistics["p_value"].between(0.01, 0.99).all()
    # Planted fault: estimates that agree far better than their standard errors allow.
    y = np.full(8, 3.3)
    off = predictive_check(fit("normal_means", dataset(y, np.full(8, 5.0)), sampling=SAMPLING, engine=stanli))
    assert off.verdict.status == "warn"
    assert "standard deviation" in off.verdict.hint


def test_an_outlier_lies_outside_what_new_groups_would_do(stanli: Engine) -> None:
    # With a group's own theta replicated, an outlier repeats itself and nothing shows; with new thetas it does.
    y = np.array([1.0, 1.2, 0.8, 1.1, 0.9, 1.0, 1.05, 60.0])
    outlier_fit = fit("normal_means", dataset(y, np.ones(8)), sampling=SAMPLING, engine=stanli)
    groups = predictive_check(outlier_fit).groups.set_index("group")
    assert groups.loc["H", "observed"] > groups.loc["H", "q95"]
    own = outlier_fit.tree["posterior_predictive"]["y"].values[..., 7]
    assert np.quantile(own, 0.05) < 60 < np.quantile(own, 0.95)


def test_complete_pooling_replicates_from_the_shared_value(stanli: Engine) -> None:
    pooled_fit = fit(
        "normal_means", dataset(np.array([1.0, 30, 1, 1, 1, 1, 1, 1]), np.ones(8)), "complete_pooling", engine=stanli
    )
    assert predictive_check(pooled_fit).verdict.status == "warn"


def test_invariance_to_the_order_of_rows(stanli: Engine) -> None:
    import pandas as pd

    from hbm_stan.data import Dataset

    frame = pd.DataFrame({"school": list(quadrature.LABELS), "effect": quadrature.Y, "se": quadrature.SE})
    roles = {"group": "school", "estimate": "effect", "standard_error": "se"}
    tables = [
        shrinkage_table(
            fit_variants(
                "normal_means", Dataset.from_frame(f, roles), ["partial_pooling"], sampling=SAMPLING, engine=stanli
            ),
            "partial_pooling",
        ).set_index("group")
        for f in (frame, frame.iloc[::-1])
    ]
    error = (tables[0]["partial_pooling"] - tables[1].loc[tables[0].index, "partial_pooling"]).abs()
    assert (error < MCSES * np.hypot(tables[0]["mcse_mean"], tables[1].loc[tables[0].index, "mcse_mean"])).all()


def test_prior_only_draws_are_the_prior(stanli: Engine) -> None:
    # The same program with use_likelihood = 0: mu and tau from their priors, theta from the population.
    from hbm_stan.families import family
    from hbm_stan.fit import prepare_table

    model = family("normal_means")
    table = prepare_table(model, dataset())
    chosen = model.priors(table, {"mu": "normal(1, 5)", "tau": "half_normal(7)"})
    for variant in ("partial_pooling", "partial_pooling_noncentered"):
        data = model.stan_data(table, chosen, variant) | {"use_likelihood": 0}
        drawn = stanli.sample(model.program(variant), data, SAMPLING).variables
        assert np.mean(drawn["mu"]) == pytest.approx(1, abs=0.3)
        assert np.std(drawn["mu"]) == pytest.approx(5, rel=0.05)
        assert np.mean(drawn["tau"]) == pytest.approx(7 * np.sqrt(2 / np.pi), rel=0.05)
        assert np.var(drawn["theta"][..., 0]) == pytest.approx(25 + 49, rel=0.1)
    posterior_fit = fit("normal_means", dataset(), sampling=Sampling(seed=1), engine=stanli)
    assert posterior_fit.data["use_likelihood"] == 1


def test_options_that_the_family_lacks_are_refused() -> None:
    with pytest.raises(ModelError, match=r"no option 'exposure'\. Its options: standard_error"):
        new_group(fake_fit(), exposure=3.0)
