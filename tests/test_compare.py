"""Leave-one-out against exact leave-one-out, the comparison's arithmetic, and every sentence of its verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import quadrature
from fake_fits import fake_fit, loo_of, small_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import logsumexp, softmax
from test_truth import dataset, priors

from hbm_stan.attempts import fit
from hbm_stan.compare import compare, score
from hbm_stan.comparison import Comparison
from hbm_stan.densities import log_lik_of
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import ComparisonError, DiagnosticError
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import check_pareto_k, good_k, loo, standard_error
from hbm_stan.psis import psis_loo
from hbm_stan.scores import Route, read_score
from hbm_stan.weights import stacking_weights

SAMPLING = Sampling(draws=2500, adapt_delta=0.95, seed=20261121)
CHOSEN = priors("half_cauchy", (5.0,), (0.0, 5.0)) | {"theta": "normal(0, 50)"}
MU, TAU = (0.0, 5.0), ("half_cauchy", (5.0,))


@pytest.mark.parametrize("variant", ["partial_pooling", "partial_pooling_noncentered"])
def test_partial_pooling_equals_exact_leave_one_out(engine: Engine, variant: str) -> None:
    left_out = loo(fit("normal_means", dataset(), variant, priors=CHOSEN, sampling=SAMPLING, engine=engine))
    truth = quadrature.exact_loo(*TAU, MU)
    assert truth.sum() == pytest.approx(-30.742, abs=5e-4)  # published: tests/reference/README.md
    assert left_out.elpd == pytest.approx(truth.sum(), abs=0.05)
    np.testing.assert_allclose(left_out.elpd_i, truth, atol=0.05)
    assert left_out.p_loo == pytest.approx(0.896, abs=0.05)
    assert not left_out.high.any()


def elpd_mcse(fit: Fit) -> float:
    """Monte Carlo error of elpd: of self-normalised importance sampling, for the draws' effective sample size."""
    log_lik = fit.family.groups.group_log_lik(fit.draws("mu", "tau"), fit.data)
    weights = softmax(-log_lik, axis=0)
    density = np.exp(log_lik)
    centred = density / (weights * density).sum(axis=0) - 1
    ess = check(fit).summary.loc[["mu", "tau"], ["ess_bulk", "ess_tail"]].to_numpy().min()
    return float(np.sqrt((weights**2 * centred**2).sum() * fit.n_draws / ess))


def test_all_parameterisations_have_the_same_leave_one_out(stanli: Engine) -> None:
    # Groups that the centered program samples well, without one that surprises the model: Pareto k stays good.
    y, se = 5 * stats.norm.ppf((np.arange(8) + 0.5) / 8), np.full(8, 3.0)
    mu, tau = (0.0, 12.0), ("half_normal", (5.0,))
    whole = quadrature.exact(*tau, mu, y, se).log_evidence
    truth = [whole - quadrature.exact(*tau, mu, np.delete(y, j), np.delete(se, j)).log_evidence for j in range(8)]
    for variant in ("partial_pooling", "partial_pooling_noncentered", "partial_pooling_centered"):
        variant_fit = fit(
            "normal_means", dataset(y, se), variant, priors=priors(*tau, mu),
            sampling=Sampling(draws=5000, adapt_delta=0.99, seed=20261121), engine=stanli,
        )  # fmt: skip
        left_out = loo(variant_fit)
        assert not left_out.high.any()
        assert abs(left_out.elpd - sum(truth)) < 4 * elpd_mcse(variant_fit), variant


def test_complete_pooling_equals_exact_leave_one_out(engine: Engine) -> None:
    pooled_fit = fit("normal_means", dataset(), "complete_pooling", priors=CHOSEN, sampling=SAMPLING, engine=engine)
    left_out = loo(pooled_fit)
    np.testing.assert_allclose(left_out.elpd_i, quadrature.exact_loo_complete(MU), rtol=1e-9)
    assert left_out.route is Route.EXACT
    assert not left_out.prior
    # PSIS from the draws says the same, within its error.
    np.testing.assert_allclose(psis_loo(log_lik_of(pooled_fit)).elpd_i, left_out.elpd_i, atol=0.05)


def test_no_pooling_reports_the_exact_prior_predictive_where_psis_is_biased(engine: Engine) -> None:
    unpooled_fit = fit("normal_means", dataset(), "no_pooling", priors=CHOSEN, sampling=SAMPLING, engine=engine)
    left_out = loo(unpooled_fit)
    truth = stats.norm.logpdf(quadrature.Y, 0, np.hypot(50, quadrature.SE))
    assert left_out.route is Route.ROW_PRIOR
    assert left_out.prior == "normal(0, 50)"
    np.testing.assert_allclose(left_out.elpd_i, truth, rtol=1e-12)
    assert left_out.elpd == pytest.approx(-39.2, abs=0.05)
    # What PSIS says here, and why it is not believed: several nats too high, most k too high.
    biased = psis_loo(log_lik_of(unpooled_fit))
    assert biased.elpd_i.sum() > truth.sum() + 1
    assert np.sum(biased.pareto_k > 0.7) >= 4


def test_psis_takes_the_likelihood_and_not_its_inverse() -> None:
    # Planted once by mistake: psislw negates its argument; with the sign wrong, elpd is too high and p_loo negative.
    left_out = loo(fake_fit())
    assert left_out.p_loo > 0
    assert np.all(left_out.elpd_i < left_out.lppd_i)


@pytest.mark.parametrize(("draws", "k"), [(100, 0.5), (320, 0.6), (1000, 2 / 3), (2200, 0.7), (100_000, 0.7)])
def test_k_threshold_depends_on_the_number_of_draws(draws: int, k: float) -> None:
    assert good_k(draws) == pytest.approx(k, abs=2e-3)


def test_standard_error_of_a_difference_has_ddof_one() -> None:
    a, b = np.array([-1.0, -2, -4]), np.array([-2.0, -2, -9])
    row = score({"a": loo_of(a), "b": loo_of(b)}).scores[1]
    assert row.elpd_diff == pytest.approx(-6)
    assert row.se_diff == pytest.approx(math.sqrt(3) * np.std(b - a, ddof=1))
    assert row.se_diff_used == pytest.approx(2 * row.se_diff)  # three observations
    assert standard_error(a) == pytest.approx(math.sqrt(3) * np.std(a, ddof=1))


def verdict_of(n: int, gap: float, noise: float, k: np.ndarray | None = None) -> Comparison:
    wave = noise * np.tile([1.0, -1.0], n // 2)
    return score(
        {"partial_pooling": loo_of(-2 * np.ones(n)), "no_pooling": loo_of(-2 * np.ones(n) - gap / n + wave, k)}
    )


@pytest.mark.parametrize(
    ("n", "gap", "noise", "words", "weighted"),
    [
        (200, 3.9, 0.01, "Partial pooling and no pooling predict alike", False),
        (200, 40.0, 0.1, "Partial pooling predicts better than no pooling", True),
        (200, 6.0, 2.0, "but groups speak for either: not told apart on these data", False),
        (20, 40.0, 0.1, "With 20 observations", True),
        (8, 40.0, 0.1, "here, but by how much is uncertain", False),
    ],
)
def test_each_case_has_its_sentence(n: int, gap: float, noise: float, words: str, weighted: bool) -> None:
    comparison = verdict_of(n, gap, noise)
    assert any(words in s for s in comparison.verdict), comparison.verdict
    assert all((s.weight is not None) == weighted for s in comparison.scores)
    if weighted:
        assert sum(s.weight or 0 for s in comparison.scores) == pytest.approx(1)


def test_a_difference_over_rows_that_groups_do_not_bear_out_is_not_told_apart() -> None:
    # Rows of a group err together: 2.2 standard errors over 200 rows are one over 40 groups of five.
    group = np.repeat(np.arange(40), 5)
    gap = -0.1 + 0.643 * np.where(group % 2 == 0, 1.0, -1.0)
    pointwise = {"a": loo_of(-2 * np.ones(200)), "b": loo_of(-2 + gap)}
    assert score(pointwise).verdict[0].startswith("A predicts better than b")
    comparison = score(pointwise, group=group)
    assert "but groups speak for either: not told apart on these data" in comparison.verdict[0]
    assert comparison.scores[1].weight is None


@pytest.mark.parametrize("bad", [0.71, float("nan"), float("inf")])
def test_a_high_pareto_k_withholds_the_ranking(bad: float) -> None:
    k = np.zeros(200)
    k[7] = bad
    comparison = verdict_of(200, 40.0, 0.1, k)
    assert comparison.withheld
    assert comparison.verdict[0].startswith("The ranking is withheld")
    assert not any("predicts better" in s for s in comparison.verdict)
    assert "no pooling (1)" in comparison.verdict[0]
    assert all(s.weight is None for s in comparison.scores)


def test_a_score_made_of_its_prior_alone_is_not_ranked() -> None:
    # Planted fault: a prior that fits by chance would come out best.
    prior_only = replace(loo_of(-1 * np.ones(200)), prior="normal(0, 50)")
    wave = 0.1 * np.tile([1.0, -1.0], 100)
    comparison = score(
        {"no_pooling": prior_only, "a": loo_of(-2 * np.ones(200)), "b": loo_of(-3 * np.ones(200) + wave)}
    )
    assert [s.variant for s in comparison.scores] == ["a", "b", "no_pooling"]
    assert [s.ranked for s in comparison.scores] == [True, True, False]
    assert comparison.scores[2].weight is None
    assert sum(s.weight or 0 for s in comparison.scores) == pytest.approx(1)
    assert "No pooling is not ranked" in comparison.verdict[-1]
    assert "normal(0, 50)" in comparison.verdict[-1]
    assert not any("better than no pooling" in s for s in comparison.verdict)


def test_a_withheld_ranking_leaves_no_differences_in_json() -> None:
    k = np.zeros(200)
    k[7] = 0.9
    rows = verdict_of(200, 40.0, 0.1, k).as_dict()["scores"]
    assert all(row["elpd_diff"] is None and row["se_diff_used"] is None for row in rows)


def test_pareto_k_is_a_verdict_that_names_its_groups() -> None:
    k = np.array([0.1, 0.9, np.inf])
    verdict = check_pareto_k(loo_of(-np.ones(3), k), ["A", "B", "C"])
    assert (verdict.status, verdict.subject) == ("warn", "B")
    assert "2 of 3 observations (B, C)" in verdict.hint
    assert check_pareto_k(loo_of(-np.ones(3)), ["A", "B", "C"]).status == "pass"


@pytest.mark.parametrize(
    ("p_loo", "parameters", "words"),
    [(162.0, 1, "badly misspecified"), (5.0, 10, "a flexible model"), (0.2, 3, "may be misspecified")],
)
def test_p_loo_is_read_against_the_number_of_parameters(p_loo: float, parameters: int, words: str) -> None:
    assert words in read_score(p_loo, parameters, 20, high=2)
    assert read_score(p_loo, parameters, 20, high=0) == ""
    # A p_loo that chance puts above the number of parameters is no word on the model.
    assert read_score(parameters + 1.5 * np.sqrt(2 * parameters), parameters, 200, high=2) == ""


def test_few_observations_widen_the_standard_error_up_to_the_limit() -> None:
    assert verdict_of(98, 40.0, 1).scores[1].se_diff_used == pytest.approx(
        2 * verdict_of(98, 40.0, 1).scores[1].se_diff
    )
    assert verdict_of(100, 40.0, 1).scores[1].se_diff_used == verdict_of(100, 40.0, 1).scores[1].se_diff


arrays = st.lists(st.floats(-30, -0.1), min_size=3, max_size=12)


@settings(max_examples=60, deadline=None)
@given(arrays, st.randoms(use_true_random=False), st.floats(-5, 5))
def test_comparison_is_invariant(values: list[float], random, shift: float) -> None:  # type: ignore[no-untyped-def]
    a = np.array(values)
    b = a + np.array([random.uniform(-2, 2) for _ in values])
    order = list(range(len(a)))
    random.shuffle(order)
    one, permuted = (
        score({"a": loo_of(a), "b": loo_of(b)}),
        score({"a": loo_of(a[order]), "b": loo_of(b[order])}),
    )
    for x, y in zip(one.scores, permuted.scores, strict=True):
        assert (x.variant, x.elpd_diff, x.se_diff) == (
            y.variant,
            pytest.approx(y.elpd_diff),
            pytest.approx(y.se_diff, abs=1e-9),
        )
    same = score({"a": loo_of(a), "again": loo_of(a.copy())}).scores[1]
    assert (same.elpd_diff, same.se_diff) == (0, 0)
    moved = score({"a": loo_of(a), "b": loo_of(a + shift)})
    assert abs(moved.scores[1].elpd_diff) == pytest.approx(abs(shift) * len(a), abs=1e-9)


def test_stacking_weights_maximise_the_log_score_and_do_not_underflow() -> None:
    rng = np.random.default_rng(2)
    elpd = rng.normal(-2, 1, (2, 60))
    w = stacking_weights(elpd)[0]
    grid = np.linspace(0, 1, 100_001)[1:-1]
    value = logsumexp(elpd[:, None, :], axis=0, b=np.array([grid, 1 - grid])[:, :, None]).sum(axis=1)
    assert w == pytest.approx(grid[value.argmax()], abs=1e-3)
    # exp(-800) is 0 in double precision: the weights must not change when every density is that small.
    np.testing.assert_allclose(stacking_weights(elpd - 800), stacking_weights(elpd), atol=1e-6)
    assert np.all(np.isfinite(stacking_weights(elpd * 400)))
    np.testing.assert_allclose(stacking_weights(np.array([[-1.0] * 5, [-801.0] * 5])), [1, 0], atol=1e-6)


def test_fits_of_other_data_row_order_or_outcome_are_refused() -> None:
    one = fake_fit()
    for other, words in (
        (small_dataset((3.0, -1.0, 9.0)), "estimate of group 'C' is 8 in one and 9 in the other"),
        (small_dataset((-1.0, 3.0, 8.0), ("B", "A", "C")), "row order"),
        (small_dataset((3.0, -1.0), ("A", "B")), "3 and 2 groups"),
        (small_dataset((3.0, -1.0, 8.0), ("A", "B", "D")), "not the same ones"),
        (small_dataset((1.1, 0.5, 2.1), outcome="log_effect"), "log Jacobian"),
    ):
        with pytest.raises(ComparisonError, match=words):
            compare({"a": one, "b": fake_fit(dataset=other)})


def test_other_standard_errors_are_other_data() -> None:
    fit = fake_fit()
    table = fit.table
    doubled = replace(table, values={**table.values, "standard_error": 2 * table["standard_error"]})
    with pytest.raises(ComparisonError, match="standard error of group 'A' is 2 in one and 4 in the other"):
        compare({"a": fit, "b": replace(fit, table=doubled)})


def test_one_fit_is_no_comparison() -> None:
    with pytest.raises(ComparisonError, match="two fits at least"):
        compare({"a": fake_fit()})


def test_a_fit_that_failed_its_checks_is_not_compared() -> None:
    bad = fake_fit(diverging=lambda x: x + 1)
    with pytest.raises(DiagnosticError, match="divergences"):
        compare({"a": fake_fit(), "b": bad})


def test_a_log_lik_that_is_not_finite_names_its_group() -> None:
    def spoil(x: np.ndarray) -> np.ndarray:
        x = x.copy()
        x[0, 3, 1] = -np.inf
        return x

    with pytest.raises(ComparisonError, match="'B' is -inf in draw 4"):
        loo(fake_fit(log_lik=spoil))
