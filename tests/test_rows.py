"""Single rows of counts and successes: what the predictive check sees, what it must let pass, and planted faults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from contract import short_run
from row_tables import answers, colombia, eight_groups, fish, many_zeros, poisson, spread_trials

from hbm_stan import replicate, rows
from hbm_stan.attempts import fit, fit_variants
from hbm_stan.checks import check, check_fits
from hbm_stan.compare import compare
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DiagnosticError
from hbm_stan.families import families, family
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import LeftOut, check_p_loo
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Family
from hbm_stan.replicate import compared, predictive_check
from hbm_stan.rows import (
    OF_ROWS,
    Rows,
    Statistic,
    pearson_dispersion,
    row_statistics,
    unlike_spreads,
)
from hbm_stan.scores import Route
from hbm_stan.verdicts import CHECKS, PREDICTIVE_CHECK

ZEROS, FULL, LARGEST = Statistic.ZEROS, Statistic.FULL, Statistic.LARGEST_ROW
SD, DISPERSION = Statistic.SD_OF_ROWS, Statistic.DISPERSION
SAMPLING = Sampling(draws=1000, seed=20261128)
POISSON, BINOMIAL = likelihood("poisson"), likelihood("binomial")
# Rows of several kinds have no one spread.
DISCRETE = [n for n, f in families().items() if f.twin.row_moments is not None and f.unfold is None]
Misfit = Callable[..., Dataset]


def fit_of(name: str, data: Dataset, engine: Engine, sampling: Sampling = SAMPLING) -> Fit:
    return fit(name, data, sampling=sampling, engine=engine)


# What each statistic is, worked out by hand.


def assert_statistics_of_rows() -> None:
    y = np.array([[0.0, 7, 2, 0, 5], [5, 2, 7, 0, 0]])
    trials = np.array([4.0, 7, 4, 4, 5])
    counts = row_statistics(Rows(None, False, POISSON, False), y)
    assert {name: list(v) for name, v in counts.items()} == {
        ZEROS: [2, 2], LARGEST: [7, 7], SD: pytest.approx([np.sqrt(38.8 / 4)] * 2),
    }  # fmt: skip
    shares = row_statistics(Rows(trials, False, BINOMIAL, False), y[:1])
    assert (shares[ZEROS][0], shares[FULL][0]) == (2, 2)
    assert shares[SD][0] == pytest.approx(np.std([0, 1, 0.5, 0, 1], ddof=1))
    assert set(row_statistics(Rows(trials, True, BINOMIAL, False), y)) == {ZEROS, FULL}


def assert_dispersion() -> None:
    """Each row about its own mean, with its own variance: 1/1, 4/2, 0/4, 9/3 in two draws of the same mean."""
    y, mean = np.array([[3.0, 0, 4, 9]]), np.array([[2.0, 2, 4, 6], [3, 1, 0, 6]])
    variance = np.array([[1.0, 2, 4, 3], [2, 1, 0, 9]])
    assert pearson_dispersion(y, mean, variance)[0] == pytest.approx((1 + 2 + 0 + 3) / 4)
    assert np.isinf(pearson_dispersion(y, mean, variance)[1])  # 4, where only 0 is possible
    y[0, 2] = 0
    assert pearson_dispersion(y, mean, variance)[1] == pytest.approx((0 + 1 + 0 + 1) / 4)


def assert_tail_probabilities() -> None:
    """Of 9 replications 1 is larger, 1 equal, 7 smaller; p of none larger is 0, of none smaller 1; two-sided not 0."""
    table = compared({
        "high": (np.array([8.0]), np.array([9.0, 8, 1, 2, 3, 4, 5, 6, 7])),
        "beyond": (np.array([10.0]), np.arange(9.0)),
        "below": (np.array([-1.0]), np.arange(9.0)),
        "of draws": (np.array([2.0] * 9), np.array([1.0] * 8 + [3])),
        "same": (np.array([0.0]), np.zeros(9)),
    }).set_index("name")  # fmt: skip
    assert list(table.index) == ["high", "beyond", "below", "of draws"]
    assert list(table["p_value"]) == pytest.approx([1.5 / 9, 0, 1, 1 / 9])
    assert list(table["p_two_sided"]) == pytest.approx([2 * 3 / 10, 2 / 10, 2 / 10, 2 * 2 / 10])
    assert table.loc["high", "observed"] == 8
    assert table.loc["beyond", ["q05", "q95"]].tolist() == pytest.approx([0.4, 7.6])


def assert_moments(model: Family) -> None:
    """Mean and variance of rows are those of the rows that ``simulate`` draws, at one point of the posterior."""
    variant = model.default_variants[-1]
    data, drawn = short_run(model.name, variant)
    draws = {name: np.repeat(values[:1], 4000, axis=0) for name, values in drawn.items()}
    if "trials" in data:  # rows of one trial cannot tell n p (1 - p) from p (1 - p)
        data = {**data, "trials": np.asarray(data["trials"]) + 6}
    if "exposure" in data:  # nor those of one unit of exposure
        data = {**data, "exposure": 3 * np.asarray(data["exposure"])}
    y = model.need("simulate", "a test")(np.random.default_rng(5), draws, data)
    mean, variance = (m[0] for m in model.need("row_moments", "a test")({k: v[:1] for k, v in drawn.items()}, data))
    limit = 5  # standard errors, of some thousands of rows
    assert np.all(np.abs(y.mean(axis=0) - mean) < limit * np.sqrt(variance / len(y)) + 1e-3)
    ratio = ((y - mean) ** 2 / variance).mean()
    error = ((y - mean) ** 2 / variance).std() / np.sqrt(y.size)
    assert abs(ratio - 1) < limit * error


def test_statistics_of_rows() -> None:
    assert_statistics_of_rows()


def test_dispersion() -> None:
    assert_dispersion()


def test_tail_probabilities() -> None:
    assert_tail_probabilities()


@pytest.mark.parametrize("name", DISCRETE)
def test_moments_of_rows_are_those_of_simulated_ones(name: str) -> None:
    assert_moments(family(name))


def test_every_family_of_counts_says_how_its_rows_spread() -> None:
    assert set(DISCRETE) == {
        name
        for name, f in families().items()
        if {r.kind for r in f.roles if r.name in f.outcomes} & {"count"} and f.unfold is None
    }


# Planted faults: each must be caught by one of the above.


def _swapped(pairs: Any) -> Any:
    return replicate.compared({name: (r, o) for name, (o, r) in pairs.items()})


def _reversed(pairs: Any) -> Any:
    table = replicate.compared(pairs)
    return table.assign(p_value=1 - table["p_value"])


def _ties_left_out(pairs: Any) -> Any:
    return replicate.compared({name: (o + 1e-9, r) for name, (o, r) in pairs.items()})


def _sorted_rows(y: Any, mean: Any, variance: Any) -> Any:
    return rows.pearson_dispersion(np.sort(y, axis=1), mean, variance)


def _sd_for_variance(y: Any, mean: Any, variance: Any) -> Any:
    return rows.pearson_dispersion(y, mean, np.sqrt(variance))


def _without_trials(kind: Rows, y: Any) -> Any:
    statistics = rows.row_statistics(kind, y)
    return statistics if kind.trials is None else statistics | rows.row_statistics(Rows(None, False, POISSON, False), y)


@pytest.mark.parametrize(
    ("name", "wrong", "caught_by"),
    [
        ("compared", _swapped, assert_tail_probabilities),
        ("compared", _reversed, assert_tail_probabilities),
        ("compared", _ties_left_out, assert_tail_probabilities),
        ("pearson_dispersion", _sorted_rows, assert_dispersion),
        ("pearson_dispersion", _sd_for_variance, assert_dispersion),
        ("row_statistics", _without_trials, assert_statistics_of_rows),
    ],
)
def test_planted_faults_are_caught(
    name: str, wrong: Any, caught_by: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), name, wrong)
    with pytest.raises((AssertionError, ValueError)):
        caught_by()


@pytest.mark.parametrize("name", DISCRETE)
def test_a_variance_without_trials_or_exposure_is_caught(name: str) -> None:
    right = family(name)
    moments = right.need("row_moments", "a test")

    def wrong(draws: Any, data: Any) -> Any:
        mean, variance = moments(draws, data)
        return mean, variance / np.asarray(data[right.size])

    with pytest.raises(AssertionError):
        assert_moments(right.with_fields(row_moments=wrong))


# The check on fits.


@pytest.mark.parametrize(
    ("name", "data", "first"),
    [
        ("gamma_poisson", fish, ZEROS), ("gamma_poisson", colombia, DISPERSION), ("gamma_poisson", many_zeros, ZEROS),
        ("beta_binomial", spread_trials, SD), ("logistic_regression", spread_trials, SD),
    ],
)  # fmt: skip
def test_rows_that_the_likelihood_does_not_make_fail(name: str, data: Misfit, first: str, stanli: Engine) -> None:
    verdict = predictive_check(fit_of(name, data(), stanli)).verdict
    assert (verdict.name, verdict.status) == (PREDICTIVE_CHECK, "fail"), verdict
    assert verdict.value == pytest.approx(2 / 4001)  # none of 4,000
    words = "negative binomial counts" if name == "gamma_poisson" else "beta-binomial successes"
    assert all(
        phrase in verdict.hint
        for phrase in (words, OF_ROWS[DISPERSION], "two-sided p below 0.001", "4,000 replications")
    )
    likelihood = "negative_binomial" if name == "gamma_poisson" else "beta_binomial_rows"
    assert f"hbm new FILE 'y ~ 1 + (1 | group)' --likelihood {likelihood}" in verdict.hint or data is fish
    if data is fish:
        assert "rows of 0 141 (" in verdict.hint
        assert "zero-inflated" in verdict.hint
    if data is colombia:
        assert "about 2.3 times too narrow" in verdict.hint  # sqrt(77/14) is 2.35


def test_the_made_table_is_what_it_says(stanli: Engine) -> None:
    statistics = predictive_check(fit_of("gamma_poisson", many_zeros(), stanli)).statistics.set_index("kind")
    assert statistics.loc[ZEROS, "observed"] == 156
    assert 8 < statistics.loc[ZEROS, "replicated_mean"] < 13
    assert 5 < statistics.loc[DISPERSION, "observed"] < 6


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("gamma_poisson", poisson()), ("beta_binomial", spread_trials(times=1)),
        ("logistic_regression", spread_trials(times=1)),
    ],
)  # fmt: skip
def test_rows_of_the_right_model_pass_in_any_order(name: str, data: Dataset, stanli: Engine) -> None:
    ppc = predictive_check(fit_of(name, data, stanli))
    assert ppc.verdict.status == "pass", ppc.verdict
    assert DISPERSION in set(ppc.statistics["kind"])


def test_shuffled_rows_have_the_same_observed_statistics(stanli: Engine) -> None:
    data = fish()
    frame = {c: np.array(data.table.column(c), dtype=object) for c in data.table.names}
    order = np.random.default_rng(3).permutation(200)
    import pandas as pd

    mixed = pd.DataFrame({c: v[order] for c, v in frame.items()}).astype({"y": int})
    one = predictive_check(fit_of("gamma_poisson", data, stanli)).statistics.set_index("name")
    two = predictive_check(
        fit_of("gamma_poisson", Dataset.from_frame(mixed, group="camp", count="y"), stanli)
    ).statistics.set_index("name")  # fmt: skip
    assert list(one.index) == list(two.index)
    np.testing.assert_allclose(one["observed"].to_numpy(), two["observed"].to_numpy(), rtol=0.02)
    np.testing.assert_allclose(one["replicated_mean"].to_numpy(), two["replicated_mean"].to_numpy(), rtol=0.05)


def test_few_draws_are_replicated_again_and_blocks_do_not_matter(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = fit_of("gamma_poisson", fish(), stanli, Sampling(draws=150, seed=1))
    ppc = predictive_check(few)
    assert ppc.verdict.status == "fail"
    assert ppc.verdict.value == pytest.approx(2 / 4201)
    whole = fit_of("gamma_poisson", fish(), stanli)
    one = predictive_check(whole).statistics
    monkeypatch.setattr("hbm_stan.portions.AT_ONCE", 200 * 333)
    two = predictive_check(whole).statistics
    np.testing.assert_allclose(one.iloc[:, 2:].to_numpy(float), two.iloc[:, 2:].to_numpy(float))


def test_rows_of_0_and_1_and_groups_of_one_row_are_not_asked_how_they_spread(stanli: Engine) -> None:
    rng = np.random.default_rng(2)
    binary = eight_groups(12, y=rng.integers(0, 2, 96), n=1)
    one = fit_of("logistic_regression", Dataset.from_frame(binary, group="g", outcome="y"), stanli)
    two = fit_of("beta_binomial", Dataset.from_frame(binary, group="g", successes="y", trials="n"), stanli)
    assert rows.rows_of(one) is None
    assert rows.rows_of(two) is None
    single = eight_groups(1, y=rng.poisson(2, 8))
    three = predictive_check(fit_of("gamma_poisson", Dataset.from_frame(single, group="g", count="y"), stanli))
    assert {DISPERSION, SD, LARGEST}.isdisjoint(three.statistics["kind"])


def test_how_unlike_the_spreads_of_groups_are_by_hand() -> None:
    # Groups of 3, 4 and 2 rows in no order: sds 1, sqrt(4/3), and one that is too small to be looked at.
    y = np.array([[1.0, 5, 2, 3, 3, 1, 5, 1, 3]])
    group = np.array([0, 2, 0, 1, 0, 1, 2, 1, 1])
    assert unlike_spreads(y, group) == pytest.approx([np.std([1, np.sqrt(4 / 3)], ddof=1)])


def answered(scales: tuple[float, float], engine: Engine, k: int = 0) -> replicate.PredictiveCheck:
    frame = answers(np.random.default_rng([20261128, k]), scales)
    ratings_fit = fit(
        "y ~ 1 + (1 | rater)", frame, likelihood="cumulative", engine=engine, sampling=Sampling(draws=500)
    )
    return predictive_check(ratings_fit)


def test_raters_who_use_the_categories_unlike_each_other_are_seen(stanli: Engine) -> None:
    right = answered((1, 1), stanli)
    assert "how unlike the spreads within raters are" in set(right.statistics["name"])
    assert right.verdict.status != "fail"
    wrong = answered((0.4, 2.5), stanli).verdict
    assert (wrong.status, wrong.subject) == ("fail", "how unlike the spreads within raters are")
    assert "Some raters use the middle categories and others the ends" in wrong.hint


def test_a_misfit_gates_the_comparison_and_is_waived_by_name(stanli: Engine) -> None:
    fits = fit_variants("gamma_poisson", fish(), sampling=SAMPLING, engine=stanli)
    assert PREDICTIVE_CHECK in CHECKS
    assert {n: d.status for n, d in check_fits(fits).items()} == {
        "complete_pooling": "pass", "no_pooling": "pass", "partial_pooling": "fail",
    }  # fmt: skip
    with pytest.raises(DiagnosticError, match="predictive check"):
        compare(fits)
    waived = check_fits(fits, [PREDICTIVE_CHECK])
    assert waived["partial_pooling"].verdicts[-1].waived
    assert compare(fits, waived).scores
    # Complete pooling is what partial pooling is compared with: that it fits badly is no news.
    assert check(fits["complete_pooling"]).ppc is None
    assert check(fits["no_pooling"]).status == "fail"
    assert check_fits({"no_pooling": fits["no_pooling"]})["no_pooling"].status == "fail"


def test_nothing_is_replicated_from_draws_that_failed(stanli: Engine) -> None:
    stuck = fit_of("gamma_poisson", fish(), stanli, Sampling(draws=20, warmup=20, seed=1))
    diagnosis = check(stuck)
    assert diagnosis.status == "fail"
    assert diagnosis.ppc is None


def test_a_badly_misspecified_model_is_a_warning_of_its_own() -> None:
    scores = -np.ones(20)
    far = LeftOut(
        elpd_i=scores, lppd_i=scores + 3, pareto_k=np.full(20, 0.9), k_threshold=0.7, route=Route.PSIS, n_parameters=5
    )
    (verdict,) = check_p_loo(far)
    assert (verdict.name, verdict.status, verdict.value) == ("p_loo", "warn", 60)
    assert "badly misspecified" in verdict.hint
    assert check_p_loo(replace(far, pareto_k=np.full(20, 0.1))) == []
    assert check_p_loo(replace(far, lppd_i=scores + 0.1))[0].status == "pass"
    assert check_p_loo(replace(far, pareto_k=None)) == []
