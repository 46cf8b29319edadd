"""Leaving one group out: against exact answers, what is refused or said where there is none, and the arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_fits import loo_of
from hypothesis import given, settings
from hypothesis import strategies as st
from left_out_truth import GROUPED, SEED, grouped_dataset, grouped_truth
from scipy import stats

from hbm_stan.attempts import fit
from hbm_stan.budget import Budget
from hbm_stan.comparable import notes_beside
from hbm_stan.compare import NEW_GROUP, both_targets, compare, score, unit_of
from hbm_stan.densities import log_lik_of
from hbm_stan.engines import Sampling
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import LeftOut, logo, loo
from hbm_stan.nouns import GROUPS
from hbm_stan.psis import psis_loo
from hbm_stan.repair import repaired
from hbm_stan.scores import Route
from hbm_stan.store import FitStore

ROOT = Path(__file__).parents[1]
VARIANTS = ("complete_pooling", "no_pooling", "partial_pooling")


@pytest.fixture
def store(tmp_path: Path) -> FitStore:
    return FitStore(tmp_path / "notes")


def silent(_text: str) -> None:
    """Nothing is said."""


@cache
def batches() -> pd.DataFrame:
    """Dyestuff: five yields of each of six batches, in tens of grams above 1500."""
    frame = pd.read_csv(ROOT / "data" / "dyestuff" / "data.csv")
    return pd.DataFrame({"g": frame["batch"], "y": (frame["yield_g"] - 1500) / 10})


@cache
def dyestuff(variant: str = "partial_pooling") -> Fit:
    sampling = Sampling(adapt_delta=0.95, seed=SEED)
    return fit(
        "grouped_normal", grouped_dataset(batches()), variant, priors=GROUPED, sampling=sampling, engine="stanli"
    )


def fits(*variants: str) -> dict[str, Fit]:
    return {name: dyestuff(name) for name in variants or VARIANTS}


def members() -> list[np.ndarray]:
    group = batches()["g"].to_numpy()
    return [np.flatnonzero(group == label) for label in dict.fromkeys(group)]


@cache
def truth(pooled: bool = False) -> np.ndarray:
    y, group = batches()["y"].to_numpy(), batches()["g"].to_numpy()
    return grouped_truth(y, group, members(), pooled=pooled)


def with_family(fit: Fit, **changes: Any) -> Fit:
    """The same draws of a family that lacks something or has something else."""
    return replace(fit, family=fit.family.with_fields(**changes))


def group_out(fit: Fit) -> LeftOut:
    left_out = logo(fit)
    assert left_out is not None
    return left_out


# ---- against the exact answer ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["partial_pooling", "complete_pooling"])
def test_group_out_equals_the_exact_answer(variant: str, store: FitStore) -> None:
    exact = truth(variant == "complete_pooling")
    left_out = repaired(dyestuff(variant), group_out(dyestuff(variant)), Budget(), store, silent)
    assert (left_out.unit, len(left_out.elpd_i)) == ("group", 6)
    assert not left_out.high.any()
    assert abs(left_out.elpd - exact.sum()) < 4 * left_out.mcse
    # One group has a k near 0.7: nearly all of the error is its own (0.14 over six seeds, where the MCSE is 0.09).
    np.testing.assert_allclose(left_out.elpd_i, exact, atol=2 * left_out.mcse)
    assert left_out.mcse < 0.2


def test_the_sum_of_the_conditional_log_lik_is_wrong() -> None:
    # Why it is never used: the group's own value has seen the group. Its k is high, and its score too high.
    rows = log_lik_of(dyestuff())
    left_out = psis_loo(np.stack([rows[:, own].sum(axis=1) for own in members()], axis=1))
    assert np.sum(left_out.pareto_k > 0.7) >= 3
    assert left_out.elpd_i.sum() > truth().sum() + 1
    assert abs(group_out(dyestuff()).elpd - truth().sum()) < 0.3


def test_no_pooling_has_the_number_of_its_prior_and_is_not_ranked() -> None:
    fit = dyestuff("no_pooling")
    left_out = group_out(fit)
    assert (left_out.route, left_out.pareto_k, left_out.mcse) == (Route.GROUP_PRIOR, None, 0.0)
    y, sd = batches()["y"].to_numpy(), np.linspace(0.005, 40, 8001)
    for j, own in enumerate(members()):  # theta ~ normal(0, 10), sd ~ half_normal(5)
        eye, ones = np.eye(len(own)), np.ones((len(own), len(own)))
        given_sd = [stats.multivariate_normal.logpdf(y[own], cov=s**2 * eye + 100 * ones) for s in sd[::20]]
        dense = np.interp(sd, sd[::20], given_sd)
        exact = math.log(np.sum(np.exp(dense) * stats.halfnorm.pdf(sd, scale=5)) * (sd[1] - sd[0]))
        assert left_out.elpd_i[j] == pytest.approx(exact, abs=0.02)
    compared = compare(fits(), target="group")
    row = next(s for s in compared.scores if s.variant == "no_pooling")
    assert row is compared.scores[-1]
    assert (row.ranked, row.weight, row.elpd) == (False, None, left_out.elpd)
    assert "theta normal" in row.prior or "normal(0, 10)" in row.prior
    verdict = " ".join(compared.verdict)
    assert "No pooling is not ranked: it says nothing of a new group but its prior" in verdict
    assert "better than no pooling" not in verdict


# ---- invariance -----------------------------------------------------------------------------------------------------


def test_other_labels_change_nothing() -> None:
    names = dict(zip("ABCDEF", ("f", "e", "d", "c", "b", "a"), strict=True))
    frame = batches().assign(g=batches()["g"].map(names))
    sampling = Sampling(adapt_delta=0.95, seed=SEED)
    other = fit("grouped_normal", grouped_dataset(frame), priors=GROUPED, sampling=sampling, engine="stanli")
    np.testing.assert_array_equal(group_out(other).elpd_i, group_out(dyestuff()).elpd_i)
    assert other.table.pooled.labels == tuple("fedcba")


def test_the_order_of_rows_changes_nothing() -> None:
    fit = dyestuff()
    order = np.random.default_rng(SEED).permutation(30)
    frame = batches().iloc[order].reset_index(drop=True)
    pooled = replace(fit.table.pooled, level=fit.table.pooled.level[order])
    table = fit.table.__class__(
        dataset=grouped_dataset(frame), pooled=pooled, values={"outcome": frame["y"].to_numpy()}, verdicts=()
    )
    data = fit.family.stan_data(table, fit.priors, fit.variant)
    permuted = replace(fit, table=table, data=data)
    np.testing.assert_allclose(group_out(permuted).elpd_i, group_out(fit).elpd_i, rtol=1e-9)
    np.testing.assert_allclose(group_out(permuted).pareto_k, group_out(fit).pareto_k, rtol=1e-6)  # type: ignore[arg-type]


# ---- a family that lacks something ----------------------------------------------------------------------------------


def bare(variant: str = "partial_pooling") -> Fit:
    """As a user's own family without a group_log_lik."""
    return with_family(dyestuff(variant), group_log_lik=None, loo_log_lik=None, finer_group_log_lik=None)


def test_without_a_group_density_refits_are_offered_with_their_cost() -> None:
    fit = bare()
    left_out = logo(fit)
    assert left_out is not None
    assert left_out.route is Route.NEEDS_REFITS
    assert left_out.high.all()
    [note] = notes_beside({"partial_pooling": fit}, {"partial_pooling": left_out}, "group")
    assert "one of the groups can only be left out by fitting again without it" in note
    assert f"6 fits of about {fit.seconds:.1f} s" in note
    assert note.endswith("Ask for them with --target group --max-refits 6.")
    unable = with_family(fit, new_group=None, pointwise=None)
    [note] = notes_beside({"partial_pooling": unable}, {"partial_pooling": left_out}, "group")
    assert note.endswith("nor can it score a fit that has not seen the group, having no new_group and no pointwise.")
    assert (
        repaired(unable, left_out, Budget(), FitStore(Path("unused")), silent)
        .reasons[0]
        .startswith("grouped_normal has no pointwise()")
    )  # and nothing was sampled for it
    compared = compare({"partial_pooling": fit, "complete_pooling": dyestuff("complete_pooling")}, target="group",
                       budget=Budget(max_refits=5))  # fmt: skip
    assert compared.withheld
    assert compared.verdict[0] == (
        "The ranking is withheld: without refits there is no score of groups left out for partial pooling."
    )
    assert any("--max-refits 6" in s for s in compared.notes)
    # Where it was not asked for by name, it does not take the other target with it.
    both = both_targets({"partial_pooling": fit, "complete_pooling": dyestuff("complete_pooling")},
                        budget=Budget(max_refits=5))  # fmt: skip
    assert list(both) == ["observation"]
    assert any("--max-refits 6" in s for s in both["observation"].notes)
    assert all(row["elpd_diff"] is None for row in compared.as_dict()["scores"])


def test_with_refits_enough_new_groups_are_drawn(store: FitStore) -> None:
    fit = bare()
    left_out = repaired(fit, group_out(fit), Budget(max_refits=6), store, silent)
    assert {r.route for r in left_out.repairs.values()} == {Route.REFIT}
    assert len(left_out.repairs) == 6
    assert abs(left_out.elpd - truth().sum()) < 4 * left_out.mcse
    np.testing.assert_allclose(left_out.elpd_i, truth(), atol=0.3)
    # What was scored by draws of new groups is not taken for what a density gives.
    whole = dyestuff()
    high = replace(group_out(whole), pareto_k=np.full(6, 0.9))
    again = repaired(whole, high, Budget(max_refits=6), store, silent)
    assert not set(again.elpd_i) & set(left_out.elpd_i)


def test_without_the_density_of_the_prior_no_pooling_has_no_score() -> None:
    fit = with_family(dyestuff("no_pooling"), prior_group_log_lik=None)
    assert logo(fit) is None
    compared = compare({**fits(), "no_pooling": fit}, target="group")
    assert {s.variant for s in compared.scores} == {"complete_pooling", "partial_pooling"}
    assert any(s.startswith("No pooling has no score for a new group") for s in compared.notes)
    with pytest.raises(ComparisonError, match=r"No variant has a score for this target\. No pooling has no score"):
        compare({"no_pooling": fit, "again": fit}, target="group")


# ---- targets --------------------------------------------------------------------------------------------------------


def test_a_target_that_there_is_not_says_what_to_do() -> None:
    for word in ("waic", "WAIC"):
        with pytest.raises(ComparisonError, match=r"WAIC is not offered.*The targets are observation .* and group"):
            compare(fits("complete_pooling", "partial_pooling"), target=word)
    with pytest.raises(ComparisonError, match=r"There is no target 'grupo'.*group"):
        compare(fits("complete_pooling", "partial_pooling"), target="grupo")
    assert (unit_of("group"), unit_of("observation")) == ("group", "observation")


def test_the_comparison_names_its_target_and_its_units() -> None:
    groups, words = compare(fits(), target="group").as_dict(), GROUPS.fill(NEW_GROUP)
    assert (groups["unit"], groups["target"], groups["n_units"], groups["n_observations"]) == ("group", words, 6, 30)
    rows = compare(fits()).as_dict()
    assert (rows["unit"], rows["n_units"], rows["n_observations"]) == ("observation", 30, 30)
    assert rows["target"] != groups["target"]
    # The two questions have other answers: no pooling scores rows of known groups.
    assert {s["variant"]: s["ranked"] for s in rows["scores"]} == dict.fromkeys(VARIANTS, True)


# ---- errors of the numbers ------------------------------------------------------------------------------------------


def test_monte_carlo_errors_add_up_in_the_difference() -> None:
    a, b = replace(loo_of(-2 * np.ones(8)), mcse=0.3), replace(loo_of(-3 * np.ones(8)), mcse=0.4)
    best, other = score({"a": a, "b": b}, unit="group").scores
    assert (best.mcse, best.mcse_diff) == (0.3, 0.0)
    assert (other.mcse, other.mcse_diff) == (0.4, pytest.approx(0.5))
    unrepaired = replace(a, mcse=math.nan)
    assert math.isnan(score({"a": unrepaired, "b": b}, unit="group").scores[1].mcse_diff)


def test_a_difference_within_its_monte_carlo_error_decides_nothing() -> None:
    wave = 0.01 * np.tile([1.0, -1.0], 100)
    a = replace(loo_of(-2 * np.ones(200)), mcse=0.0)
    for mcse, words in ((0.1, "A predicts better than b"), (5.0, "but the difference has a Monte Carlo error of 5.0")):
        comparison = score({"a": a, "b": replace(loo_of(-2.05 * np.ones(200) + wave), mcse=mcse)}, unit="group")
        assert words in comparison.verdict[0]


def test_few_groups_have_a_doubled_error_and_a_bootstrap_in_words() -> None:
    rng = np.random.default_rng(SEED)
    a, b = loo_of(-2 * np.ones(12)), loo_of(-6 + 0.3 * rng.normal(size=12))
    comparison = score({"a": a, "b": b}, unit="group")
    row = comparison.scores[1]
    assert row.se_diff_used == 2 * row.se_diff
    assert row.bootstrap is not None
    low, high, _worse = row.bootstrap
    assert low < row.elpd_diff < high < 0
    assert f"90 % of a bootstrap over groups {-high:.1f} to {-low:.1f}" in comparison.verdict[0]
    assert "doubled standard error" in comparison.verdict[0]
    assert "With 12 groups the standard error of an elpd difference is too small" in comparison.verdict[1]
    many = score({"a": loo_of(-2 * np.ones(100)), "b": loo_of(-6 + 0.3 * rng.normal(size=100))}, unit="group")
    assert many.scores[1].se_diff_used == many.scores[1].se_diff
    assert many.pairs[0].kind == "better"


def test_an_integral_that_is_not_done_well_withholds_the_ranking() -> None:
    fit = dyestuff()
    of = fit.family.need("group_log_lik", "a test")
    for shift, withheld in ((0.001, False), (1.0, True)):
        rough = with_family(fit, finer_group_log_lik=lambda draws, data, s=shift: of(draws, data) + s)
        left_out = group_out(rough)
        assert left_out.quadrature == pytest.approx(6 * shift)
        compared = compare({"partial_pooling": rough, "complete_pooling": dyestuff("complete_pooling")}, target="group")
        assert compared.withheld == withheld
        verdict = " ".join(compared.verdict)
        assert ("The ranking is withheld: an integral over groups is not accurate enough." in verdict) == withheld
        words = "Partial pooling: twice the nodes of the integrals over groups move elpd by 6.00"
        assert any(words in note for note in compared.notes) == withheld
        assert ("predicts better" not in verdict and "alike" not in verdict) or not withheld
    assert group_out(fit).quadrature is None  # a closed form


@pytest.mark.parametrize("bad", [math.nan, -math.inf, math.inf])
def test_a_group_density_that_is_not_finite_names_group_and_draw(bad: float) -> None:
    of = dyestuff().family.need("group_log_lik", "a test")

    def spoilt(draws: Any, data: Any) -> np.ndarray:
        values = np.array(of(draws, data))
        values[3, 1] = bad
        return values

    with pytest.raises(ComparisonError, match=rf"partial_pooling: group_log_lik of 'B' is {bad} in draw 4\."):
        logo(with_family(dyestuff(), group_log_lik=spoilt))


# ---- arithmetic -----------------------------------------------------------------------------------------------------

Numbers = st.lists(st.floats(-60, -0.5), min_size=3, max_size=40)


@settings(max_examples=60, deadline=None)
@given(Numbers, st.floats(-5, 5), st.randoms(use_true_random=False))
def test_comparison_of_groups_is_invariant(values: list[float], shift: float, random: Any) -> None:
    a = np.array(values)
    b = a + np.array([random.uniform(-3, 3) for _ in values])
    order = list(range(len(a)))
    random.shuffle(order)
    one, permuted = (
        score({"a": loo_of(x), "b": loo_of(y)}, NEW_GROUP, unit="group") for x, y in ((a, b), (a[order], b[order]))
    )
    near: Callable[[float], Any] = lambda x: pytest.approx(x, abs=1e-8)  # noqa: E731
    for x, y in zip(one.scores, permuted.scores, strict=True):
        assert (x.elpd, x.elpd_diff, x.se_diff, x.p_loo) == tuple(map(near, (y.elpd, y.elpd_diff, y.se_diff, y.p_loo)))
    same = score({"a": loo_of(a), "again": loo_of(a.copy())}, unit="group").scores[1]
    assert (same.elpd_diff, same.se_diff) == (0, 0)
    moved = score({"a": loo_of(a), "b": loo_of(a + shift)}, unit="group").scores[1]
    assert abs(moved.elpd_diff) == pytest.approx(abs(shift) * len(a), abs=1e-8)
    assert moved.se_diff == pytest.approx(0, abs=1e-8)


def test_both_targets_leave_out_the_same_where_each_group_has_one_row() -> None:
    from left_out_truth import surprised

    fit = surprised()
    rows, whole = loo(fit), compare({"a": fit, "b": fit}, target="group", budget=Budget(max_refits=0))
    np.testing.assert_array_equal(whole.pointwise["a"].elpd_i, rows.elpd_i)
    assert whole.unit == "group"
