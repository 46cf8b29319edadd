"""The ladder for high Pareto k against exact answers: moment matching, refits, folds, budgets, and what is kept."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from left_out_truth import (
    GROUPED,
    MEANS,
    SEED,
    Y,
    grouped,
    grouped_dataset,
    grouped_table,
    grouped_truth,
    means_dataset,
    means_truth,
    surprised,
)  # fmt: skip
from scipy import stats

from hbm_stan import comparable, leave_one_out
from hbm_stan.attempts import fit, fit_variants
from hbm_stan.budget import Budget
from hbm_stan.compare import compare
from hbm_stan.data import Dataset
from hbm_stan.densities import density_of, rows_of
from hbm_stan.density import density_model
from hbm_stan.design import Factor
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import ComparisonError, StorageError
from hbm_stan.families import family
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.leave_one_out import LeftOut, loo
from hbm_stan.prepare import Prepared
from hbm_stan.psis import psis_loo
from hbm_stan.repair import ladder, moments, refit_without, refits, repaired
from hbm_stan.repair.bridge import Exact, bridged, score_of
from hbm_stan.repair.folds import by_folds, folds_of
from hbm_stan.repair.moments import Move, Unconstrained, moment_matched
from hbm_stan.repair.refits import exact_scores
from hbm_stan.scores import Route
from hbm_stan.store import FitStore
from hbm_stan.verdicts import Verdict

ROW, LAST = 9, 7  # the row of grouped(), the group of surprised(), that lies far from the others
NEAR = 4.5  # an outlier whose removal does not take tau to zero
PROGRAMS = Path(__file__).parent / "programs"
NEARLY = Sampling(adapt_delta=0.95, seed=SEED)


@pytest.fixture
def store(tmp_path: Path) -> FitStore:
    return FitStore(tmp_path / "notes")


def silent(_text: str) -> None:
    """Nothing is said."""


def columns(fit: Fit) -> list[np.ndarray]:
    return ladder.Ladder(fit=fit, budget=Budget(), store=FitStore(Path("unused")), say=silent)._columns("observation")


def matched(fit: Fit, i: int) -> Exact:
    return moment_matched(Unconstrained(fit), [i], [c[:, i] for c in columns(fit)], 0.7)


@cache
def near(folder: Path = PROGRAMS / "means", seed: int = SEED) -> Fit:
    """A fit to a group that surprises; by a program whose coordinates do not depend on the data, unless told."""
    y = np.array([*Y[:LAST], NEAR])
    model = family("normal_means").with_fields(folder=folder)
    sampling = replace(NEARLY, seed=seed)
    return fit(model, means_dataset(y), "partial_pooling", priors=MEANS, sampling=sampling, engine="stanli")


@cache
def row_truth(outlier: float) -> float:
    frame = grouped_table(outlier)
    return float(grouped_truth(frame["y"].to_numpy(), frame["g"].to_numpy(), [np.array([ROW])])[0])


# ---- moment matching --------------------------------------------------------------------------------------------


def agrees(score: Exact, truth: float) -> bool:
    return abs(score.elpd - truth) < min(0.1, 4 * score.mcse)


def matched_or_why_not(near_fit: Fit) -> Exact | str:
    try:
        return matched(near_fit, LAST)
    except ComparisonError as reason:
        return str(reason)


def test_moment_matching_repairs_a_group_that_surprises() -> None:
    """Whatever the seed: where k falls below 0.7 the score is right, and where it does not, that is said."""
    truth = means_truth((*Y[:LAST], NEAR))[LAST]
    before, after = [], []
    for seed in range(SEED, SEED + 10):
        near_fit = near(seed=seed)
        left_out = loo(near_fit)
        assert left_out.pareto_k is not None
        if left_out.pareto_k[LAST] < 0.7:  # nothing is to be repaired
            continue
        score = matched_or_why_not(near_fit)
        if isinstance(score, str):
            assert "Pareto k stays at" in score
            continue
        assert abs(score.elpd - truth) < 4 * score.mcse
        assert score.pareto_k < 0.7
        before.append(abs(float(left_out.elpd_i[LAST]) - truth))
        after.append(abs(score.elpd - truth))
    assert len(after) >= 3
    assert np.median(after) < min(0.1, np.median(before) / 2)


@pytest.mark.parametrize("outlier", [6.0, 9.0])
def test_moment_matching_repairs_a_row_whose_group_is_integrated_out(outlier: float) -> None:
    grouped_fit = grouped(outlier=outlier)
    before, truth, score = loo(grouped_fit), row_truth(outlier), matched(grouped_fit, ROW)
    assert before.pareto_k is not None
    assert before.pareto_k[ROW] > 0.7
    assert agrees(score, truth)
    assert abs(before.elpd_i[ROW] - truth) > 1


def test_a_density_that_is_not_the_programs_is_refused() -> None:
    # Planted fault: off by a tenth of itself, so by no constant.
    wrong = [1.1 * c[:, LAST] for c in columns(near())]
    with pytest.raises(ComparisonError, match="without the unit the program has other coordinates"):
        moment_matched(Unconstrained(near()), [LAST], wrong, 0.7)
    # A constant is no fault: it is what the program leaves out.
    shifted = [c[:, LAST] + 3 for c in columns(near())]
    score = moment_matched(Unconstrained(near()), [LAST], shifted, 0.7)
    assert score.elpd == pytest.approx(matched(near(), LAST).elpd + 3)


def test_coordinates_that_change_with_the_data_leave_it_to_a_refit(store: FitStore) -> None:
    near_fit = near(family("normal_means").programs.folder)
    with pytest.raises(ComparisonError, match="without the unit the program has other coordinates"):
        matched(near_fit, LAST)
    repair = repaired(near_fit, loo(near_fit), Budget(), store, silent).repairs[LAST]
    assert repair.route is Route.REFIT
    assert abs(repair.elpd - means_truth((*Y[:LAST], NEAR))[LAST]) < 4 * repair.mcse


def split_by(fit: Fit, move: Move) -> Exact:
    whole = Unconstrained(fit)
    model = density_model(*program_without(fit, [LAST]))
    reduced = moments.log_density(model, whole.points)
    constant = moments._constant(whole.log_density - reduced, [columns(fit)[-2][:, LAST]])
    return moments._split(whole, model, move, constant)


def program_without(fit: Fit, rows: list[int]) -> tuple[Any, Any]:
    job = moments.job_without(fit, rows)
    return job.program, job.data


def test_a_move_without_its_volume_is_caught_by_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    near_fit, truth = near(), means_truth((*Y[:LAST], NEAR))[LAST]
    centre = Unconstrained(near_fit).points.mean(axis=0)
    wider = Move(centre, centre - np.array([0.0, 0.5]), np.diag([1.0, 2.0]))
    assert agrees(split_by(near_fit, wider), truth)
    monkeypatch.setattr(Move, "log_volume", 0.0)
    assert not agrees(split_by(near_fit, wider), truth)


def test_a_move_and_its_inverse() -> None:
    rng = np.random.default_rng(SEED)
    for size in (1, 2, 5):
        one, two = (Move(*rng.normal(size=(2, size)), rng.normal(size=(size, size))) for _ in range(2))
        q = rng.normal(size=(7, size))
        np.testing.assert_allclose(one.backward(one.forward(q)), q, atol=1e-8)
        np.testing.assert_allclose(one.forward(one.backward(q)), q, atol=1e-8)
        both = one.then(two)
        np.testing.assert_allclose(both.forward(q), two.forward(one.forward(q)), atol=1e-8)
        assert both.log_volume == pytest.approx(one.log_volume + two.log_volume)
        assert one.log_volume == pytest.approx(math.log(abs(np.linalg.det(one.matrix))))


def test_each_step_matches_its_moments() -> None:
    rng = np.random.default_rng(SEED)
    q, w = rng.normal(size=(4000, 3)) @ rng.normal(size=(3, 3)), rng.dirichlet(np.ones(4000))
    to, (shift, scale, full) = w @ q, moments._steps(q, w)
    for step in (shift, scale, full):
        np.testing.assert_allclose(step.forward(q).mean(axis=0), to, atol=1e-9)
    spread = w @ (q - to) ** 2
    np.testing.assert_allclose(scale.forward(q).var(axis=0), spread)
    np.testing.assert_allclose(np.cov(full.forward(q).T, ddof=0), (q - to).T @ ((q - to) * w[:, None]))


def test_few_draws_of_weight_match_no_covariance() -> None:
    rng = np.random.default_rng(SEED)
    q, w = rng.normal(size=(50, 3)), np.zeros(50)
    w[:3] = 1 / 3
    assert len(moments._steps(q, w)) == 2


def exact_score(fit: Fit, unit: Any, index: int, store: FitStore, say: Any) -> Exact:
    return next(exact_scores(fit, unit, [index], store, say))()


def always(score: Exact, reached: list[int] | None = None) -> Any:
    """In the place of ``exact_scores``: one score for all units, and which they are."""

    def scores(_fit: Fit, _unit: Any, indices: list[int], *_: Any) -> Any:
        for i in indices:
            if reached is not None:
                reached.append(i)
            yield lambda: score

    return scores


# ---- refits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["normal means", "grouped rows"])
def test_a_refit_equals_the_truth(which: str, store: FitStore) -> None:
    fit, i, truth = (
        (surprised(), LAST, means_truth()[LAST]) if which == "normal means" else (grouped(outlier=6), ROW, row_truth(6))
    )
    score = exact_score(fit, "observation", i, store, silent)
    assert abs(score.elpd - truth) < 4 * score.mcse
    assert score.mcse < 0.08
    assert score.pareto_k < 0.7
    assert abs(loo(fit).elpd_i[i] - truth) > 1


def test_the_bridge_needs_fewer_draws_than_a_mean_and_tells_when_it_has_too_few() -> None:
    # Log densities that are normal: N(m, v) at the draws without the unit makes its density exp(m + v / 2), and the
    # draws with it, whose weight is the density, have N(m + v, v).
    rng = np.random.default_rng(SEED)
    for v, good in ((0.0, True), (4.0, True), (9.0, True), (100.0, False)):
        without, whole = rng.normal(-3, math.sqrt(v), 4000), rng.normal(-3 + v, math.sqrt(v), 4000)
        score, alone = bridged(without, whole, 4), score_of(without, 4)
        assert (score.pareto_k < 0.7) == good, v
        if good:
            assert abs(score.elpd - (-3 + v / 2)) <= 4 * score.mcse + 1e-12
            assert score.mcse < alone.mcse or v == 0
    assert score_of(rng.normal(-3, 3, 4000), 4).pareto_k > 0.7


def test_a_refit_that_is_not_precise_is_made_again_with_more_draws(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    once = refits._bridged

    def noted(one: Any, job: Any) -> Exact:
        drawn.append(job.sampling.draws)
        return once(one, job)

    monkeypatch.setattr(refits, "_bridged", noted)
    exact_score(surprised(), "observation", 2, store, silent)
    assert drawn == [1000]
    score = exact_score(surprised(), "observation", LAST, store, silent)
    assert drawn == [1000, 1000, 4000]
    assert abs(score.elpd - means_truth()[LAST]) < 0.1


def test_a_refit_that_keeps_the_unit_in_is_caught_by_the_truth(
    monkeypatch: pytest.MonkeyPatch, store: FitStore
) -> None:
    right = refits.job_without
    monkeypatch.setattr(refits, "job_without", lambda fit, _rows: right(fit, []))
    score = exact_score(surprised(), "observation", LAST, store, silent)
    assert abs(score.elpd - means_truth()[LAST]) > 4 * score.mcse


def test_a_refit_has_the_priors_and_settings_of_the_fit() -> None:
    # Default priors are made of the data: a refit that made them anew would have others.
    grouped_fit = fit(
        "grouped_normal", grouped_dataset(grouped_table()), sampling=Sampling(draws=200, seed=SEED), engine="stanli"
    )
    other = refit_without(grouped_fit, [ROW])
    assert other.priors is grouped_fit.priors
    assert (other.variant, other.engine, other.sampling) == (
        grouped_fit.variant,
        grouped_fit.engine,
        grouped_fit.sampling,
    )
    assert other.table.n_rows == grouped_fit.table.n_rows - 1


# ---- the ladder -------------------------------------------------------------------------------------------------


def with_k(fit: Fit, **k: float) -> LeftOut:
    """The score of a fit with a Pareto k planted: ``i3=0.9`` for unit 3; all others are good."""
    scores = loo(fit)
    planted = np.full(len(scores.elpd_i), 0.1)
    for name, value in k.items():
        planted[int(name[1:])] = value
    return replace(scores, pareto_k=planted)


def no_matching(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Exact:
        raise ComparisonError("moment matching: off")

    monkeypatch.setattr(ladder, "moment_matched", refuse)


def count_samples(monkeypatch: pytest.MonkeyPatch, fail_at: int = 0) -> list[Any]:
    """The data of every sampling from here on; fits that tests share are to be made before, whichever comes first."""
    calls: list[Any] = []
    sample = StanliEngine.sample

    def counted(self: Any, program: Any, data: Any, settings: Any, *rest: Any) -> Any:
        calls.append(data)
        if len(calls) == fail_at:
            raise KeyboardInterrupt
        return sample(self, program, data, settings, *rest)

    monkeypatch.setattr(StanliEngine, "sample", counted)
    return calls


def test_what_moment_matching_cannot_do_a_refit_does(store: FitStore) -> None:
    messages: list[str] = []
    scores = repaired(surprised(), loo(surprised()), Budget(), store, messages.append)
    assert [line.partition(":")[2].strip() for line in messages] == ["moment matching for H", "fitting without H"]
    repair = scores.repairs[LAST]
    assert (repair.route, list(scores.repairs)) == (Route.REFIT, [LAST])
    assert abs(repair.elpd - means_truth()[LAST]) < 4 * repair.mcse
    assert scores.elpd_i[LAST] == repair.elpd
    assert repair.elpd_before == loo(surprised()).elpd_i[LAST]
    assert repair.pareto_k > 0.7 > repair.pareto_k_after
    assert scores.reasons == {}
    assert not scores.high.any()
    assert abs(scores.elpd - means_truth().sum()) < 4 * scores.mcse
    assert math.isnan(replace(scores, mcse=math.nan).mcse)


def test_a_sure_score_of_moment_matching_needs_no_refit(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped_fit = grouped(outlier=6)
    samples = count_samples(monkeypatch)
    scores = repaired(grouped_fit, loo(grouped_fit), Budget(), store, silent)
    assert scores.repairs[ROW].route is Route.MOMENT_MATCHING
    assert samples == []


@pytest.mark.parametrize(("max_refits", "route", "elpd"), [(1, Route.REFIT, -2.0), (0, None, None)])
def test_an_unsure_score_of_moment_matching_gives_way_to_a_refit(
    max_refits: int, route: Route | None, elpd: float | None, store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "moment_matched", lambda *_: Exact(-1.0, 0.1, 0.6))
    monkeypatch.setattr(ladder, "exact_scores", always(Exact(-2.0, 0.1, 0.2)))
    scores = repaired(surprised(), with_k(surprised(), i2=0.9), Budget(max_refits), store, silent)
    assert ({i: (r.route, r.elpd) for i, r in scores.repairs.items()}) == ({2: (route, elpd)} if route else {})


def test_an_unsure_score_stands_where_no_refit_is_better(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "moment_matched", lambda *_: Exact(-1.0, 0.1, 0.6))
    monkeypatch.setattr(ladder, "exact_scores", always(Exact(-2.0, 0.1, 3.0)))
    for planted, refits_allowed in (({"i2": 0.9}, 1), ({"i2": 0.9, "i3": 0.9}, 1)):
        scores = repaired(surprised(), with_k(surprised(), **planted), Budget(refits_allowed), store, silent)
        assert {r.route for r in scores.repairs.values()} == {Route.MOMENT_MATCHING}
        assert not scores.high.any()


def test_a_refit_of_a_far_outlier_stands_with_its_error_and_its_k(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_matching(monkeypatch)
    grouped_fit = grouped(outlier=14)
    before = loo(grouped_fit)
    scores = repaired(grouped_fit, before, Budget(), store, silent)
    [truth] = grouped_truth(grouped_table(14)["y"].to_numpy(), grouped_table(14)["g"].to_numpy(), [np.array([ROW])])
    repair = scores.repairs[ROW]
    assert abs(repair.elpd - truth) < 4 * repair.mcse < abs(before.elpd_i[ROW] - truth)
    assert scores.mcse >= repair.mcse
    # It is told where a few draws carry the refit's score too.
    notes = comparable.notes_beside({"partial_pooling": grouped_fit}, {"partial_pooling": scores}, "observation")
    assert (repair.pareto_k_after >= 0.7) == any("the refit's own Pareto k is high" in s for s in notes)


def test_a_score_without_precision_is_no_repair(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)
    monkeypatch.setattr(ladder, "exact_scores", always(Exact(-5.0, 2.5, 3.0)))
    scores = repaired(surprised(), with_k(surprised(), i2=0.9), Budget(), store, silent)
    assert scores.reasons == {2: "refit: its score has a Monte Carlo error of 2.5; draw more"}
    assert scores.high[2]
    assert math.isnan(scores.mcse)


def test_nothing_is_repaired_without_refits_or_reasons(store: FitStore) -> None:
    before = loo(surprised())
    left = repaired(surprised(), before, Budget(max_refits=0), store, silent)
    assert set(left.reasons.values()) == {"nothing was to be repaired (--max-refits 0)"}
    assert left.elpd_i is before.elpd_i
    assert not left.repairs
    good = with_k(surprised())
    assert repaired(surprised(), good, Budget(), store, silent) is good
    prior = replace(before, prior="normal(0, 1)")
    assert repaired(surprised(), prior, Budget(), store, silent) is prior


def test_more_than_the_refits_allowed_are_named_with_the_reason(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_matching(monkeypatch)
    before = with_k(surprised(), i2=0.9, i5=1.2)
    samples = count_samples(monkeypatch)
    scores = repaired(surprised(), before, Budget(max_refits=1), store, silent)
    words = "2 are left, more than the 1 refit allowed (--max-refits)"
    assert scores.reasons == {2: words, 5: words}
    assert list(np.flatnonzero(scores.high)) == [2, 5]
    assert samples == []
    verdict = leave_one_out.check_pareto_k(scores, surprised().table.row_names)
    assert "(C, F)" in verdict.hint
    assert f"They are not repaired: {words}." in verdict.hint


def test_without_minutes_left_nothing_starts(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = with_k(surprised(), i2=0.9)
    samples = count_samples(monkeypatch)
    scores = repaired(surprised(), before, Budget(minutes=0), store, silent)
    assert scores.reasons == {2: "0 minutes are over (--minutes)"}
    assert samples == []


def test_a_refit_that_fails_its_checks_is_no_repair(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)

    def failed(fit: Fit, waive: Any = ()) -> Diagnosis:
        verdict = Verdict(name="R-hat", status="fail", value=1.5, threshold=1.01, waived="R-hat" in waive)
        return Diagnosis(fit.variant, (verdict,), pd.DataFrame())

    monkeypatch.setattr(refits, "check", failed)
    scores = repaired(surprised(), with_k(surprised(), i2=0.9), Budget(), store, silent)
    assert scores.reasons == {2: "a refit failed its checks (R-hat)"}
    assert scores.high[2]
    assert not list(store.folder.glob("*.json"))
    # A check that was waived of the whole fit is waived of its refits.
    assert repaired(surprised(), with_k(surprised(), i2=0.9), Budget(), store, silent, ["R-hat"]).repairs[2]


def test_more_draws_that_fail_their_checks_are_not_taken(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)
    short_fit = fit(
        "normal_means", means_dataset(), priors=MEANS, sampling=Sampling(draws=100, seed=SEED), engine="stanli"
    )
    stats_of = short_fit.named["sample_stats"]
    diverging = (stats_of["diverging"].dims, np.full(stats_of["diverging"].shape, True))
    all_diverged = replace(stats_of, arrays={**stats_of.arrays, "diverging": diverging})
    wrong = replace(short_fit, named=short_fit.named.changed(sample_stats=all_diverged))
    monkeypatch.setattr(ladder, "with_more_draws", lambda *_: wrong)
    climbing = ladder.Ladder(fit=short_fit, budget=Budget(), store=store, say=silent)
    before = with_k(short_fit, i2=0.65)
    assert climbing._more_draws(before) is before
    assert climbing.fit is short_fit
    assert climbing.reasons[2].startswith("more draws: a refit failed its checks (")
    assert "divergences" in climbing.reasons[2]


def test_a_result_that_cannot_be_kept_stands(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)

    def full(*_: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(FitStore, "write_note", full)
    messages: list[str] = []
    scores = repaired(surprised(), with_k(surprised(), i2=0.9), Budget(), store, messages.append)
    assert scores.repairs[2].route is Route.REFIT
    assert messages[-1] == "the disk is full"


def test_more_draws_help_a_k_between_the_threshold_and_seven_tenths(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_fit = fit(
        "normal_means", means_dataset(), priors=MEANS, sampling=Sampling(draws=100, seed=SEED), engine="stanli"
    )
    before = with_k(short_fit, i2=0.65)
    assert before.k_threshold == pytest.approx(1 - 1 / math.log10(400))
    samples = count_samples(monkeypatch)
    messages: list[str] = []
    scores = repaired(short_fit, before, Budget(), store, messages.append)
    assert messages[0] == "partial_pooling: sampling again with 2,200 draws, for Pareto k"
    assert len(samples) >= 1
    assert (scores.repairs[2].route, scores.repairs[2].pareto_k) == (Route.MORE_DRAWS, 0.65)
    assert scores.repairs[2].pareto_k_after < 0.7
    assert scores.repairs[2].elpd_before == before.elpd_i[2]
    assert scores.k_threshold == pytest.approx(0.7, abs=1e-3)
    assert scores.elpd_i[2] == pytest.approx(means_truth()[2], abs=0.05)
    # One above 0.7 is not helped by draws.
    messages.clear()
    repaired(short_fit, with_k(short_fit, i2=0.75), Budget(), store, messages.append)
    assert not any("sampling again" in line for line in messages)


def toy_logistic() -> Dataset:
    rng = np.random.default_rng(SEED)
    group, x = np.repeat(np.arange(6), 8), rng.normal(size=48)
    bought = rng.random(48) < 1 / (1 + np.exp(-(rng.normal(size=6)[group] + x)))
    frame = pd.DataFrame({"city": [f"c{g}" for g in group], "x": x, "bought": bought.astype(int)})
    return Dataset.from_frame(frame, group="city", outcome="bought", predictors=["x"])


def test_parameters_that_leave_with_their_group_go_on_to_a_refit(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = Sampling(draws=250, warmup=500, adapt_delta=0.95, seed=SEED)
    toy_fit = fit("logistic_regression", toy_logistic(), sampling=sampling, engine="stanli")
    before = leave_one_out.logo(toy_fit)
    assert before is not None
    planted = np.full(6, 0.1)
    planted[3] = 0.9
    reached: list[int] = []
    monkeypatch.setattr(ladder, "exact_scores", always(Exact(-3.0, 0.1, 0.2), reached))
    log_lik = density_of(toy_fit, "group").of(toy_fit.draws(), toy_fit.data)  # type: ignore[misc]
    with pytest.raises(ComparisonError, match="moment matching: the group's own parameters leave with it"):
        moment_matched(Unconstrained(toy_fit), rows_of(toy_fit, "group", 3), [log_lik[:, 3]], 0.7)
    scores = repaired(toy_fit, replace(before, pareto_k=planted), Budget(), store, silent)
    assert reached == [3]
    assert scores.repairs[3].route is Route.REFIT


# ---- what is kept -----------------------------------------------------------------------------------------------


def test_a_refit_is_made_once_and_again_for_other_data_or_priors(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    surprised_fit = surprised()
    samples = count_samples(monkeypatch)
    first = exact_score(surprised_fit, "observation", 2, store, silent)
    assert exact_score(surprised_fit, "observation", 2, store, silent) == first
    assert len(samples) == 1
    exact_score(surprised_fit, "observation", 3, store, silent)
    assert len(samples) == 2
    others = family("normal_means").priors(surprised_fit.table, {**MEANS, "tau": "half_normal(6)"})
    exact_score(replace(surprised_fit, priors=others), "observation", 2, store, silent)
    assert len(samples) == 3
    values = {**surprised_fit.table.values, "estimate": surprised_fit.table["estimate"] + np.eye(8)[0]}
    exact_score(
        replace(surprised_fit, table=replace(surprised_fit.table, values=values)), "observation", 2, store, silent
    )
    assert len(samples) == 4


@pytest.mark.parametrize("damage", ["{", "", '{"key": "of another"}', "[1, 2]"])
def test_a_damaged_note_is_made_again(damage: str, store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = exact_score(surprised(), "observation", 2, store, silent)
    (note,) = store.folder.glob("*.json")
    note.write_text(damage)
    samples = count_samples(monkeypatch)
    assert exact_score(surprised(), "observation", 2, store, silent) == first
    assert len(samples) == 1


def test_an_interrupted_ladder_goes_on_where_it_was(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)
    before = with_k(surprised(), i2=0.9, i5=1.2)
    with monkeypatch.context() as inner:
        count_samples(inner, fail_at=2)
        with pytest.raises(KeyboardInterrupt):
            repaired(surprised(), before, Budget(), store, silent)
    samples = count_samples(monkeypatch)
    scores = repaired(surprised(), before, Budget(), store, silent)
    assert [len(data["y"]) for data in samples] == [7]
    assert set(scores.repairs) == {2, 5}
    np.testing.assert_allclose(scores.elpd_i[[2, 5]], means_truth()[[2, 5]], atol=0.1)


# ---- folds ------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 45), min_size=2, max_size=6), st.integers(0, 100))
def test_every_fold_holds_a_tenth_of_each_group(sizes: list[int], seed: int) -> None:
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    stub: Any = SimpleNamespace(table=SimpleNamespace(pooled=Factor("g", (), group, ("g",)), n_rows=len(group)))
    fold = folds_of(stub)
    for j in range(len(sizes)):
        of_group = np.bincount(fold[group == j], minlength=10)
        assert np.ptp(of_group) <= 1
    assert np.ptp(np.bincount(fold, minlength=10)) <= 1
    assert np.array_equal(fold, folds_of(stub))


@cache
def counts() -> tuple[Fit, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    trials = rng.integers(5, 20, 12)
    successes = rng.binomial(trials, 0.3)
    frame = pd.DataFrame({"g": [f"g{j}" for j in range(6)] * 2, "s": successes, "n": trials})
    dataset = Dataset.from_frame(frame, group="g", successes="s", trials="n")
    sampling = Sampling(seed=SEED)
    counts_fit = fit(
        "beta_binomial", dataset, "complete_pooling", priors={"mu": "beta(2, 3)"}, sampling=sampling, engine="stanli"
    )
    return counts_fit, successes, trials


def test_folds_equal_the_closed_form(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    counts_fit, s, n = counts()
    fold = folds_of(counts_fit)
    shapes = [(2 + s[fold != fold[i]].sum(), 3 + (n - s)[fold != fold[i]].sum()) for i in range(12)]
    truth = np.array([stats.betabinom.logpmf(s[i], n[i], *ab) for i, ab in enumerate(shapes)])
    samples = count_samples(monkeypatch)
    scores = by_folds({"a": counts_fit}, {"a": loo(counts_fit)}, Budget(), store, silent)["a"]
    assert len(samples) == 10
    assert (scores.route, dict(scores.repairs), scores.high.any()) == (Route.FOLDS, {}, False)
    assert abs(scores.elpd - truth.sum()) < 4 * scores.mcse
    np.testing.assert_allclose(scores.elpd_i, truth, atol=0.05)
    # Leave-one-out is something else here, or the test would not know the two apart.
    assert abs(loo(counts_fit).elpd - truth.sum()) > 4 * scores.mcse
    again = by_folds({"a": counts_fit}, {"a": loo(counts_fit)}, Budget(), store, silent)["a"]
    assert len(samples) == 10
    np.testing.assert_array_equal(again.elpd_i, scores.elpd_i)


def test_folds_of_another_outcome_are_made_again(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # The row of a fold is scored by a fit that has not seen it: its value is in no refit's key.
    counts_fit, _, _ = counts()
    scores = by_folds({"a": counts_fit}, {"a": loo(counts_fit)}, Budget(), store, silent)["a"]
    data = {**counts_fit.data, "y": np.asarray(counts_fit.data["y"]).copy()}
    data["y"][0] += 1 if data["y"][0] < counts_fit.data["trials"][0] else -1
    values = {**counts_fit.table.values, "successes": data["y"].astype(float)}
    other = replace(counts_fit, data=data, table=replace(counts_fit.table, values=values), key="another")
    assert by_folds({"a": other}, {"a": loo(other)}, Budget(), store, silent)["a"].elpd_i[0] != scores.elpd_i[0]


def test_folds_that_cannot_be_made_leave_a_comparison(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hbm_stan.repair.ladder.Ladder._match_moments", lambda *_: None)
    fits = {name: grouped(name) for name in ("complete_pooling", "partial_pooling")}
    bare = {n: replace(f, family=f.family.with_fields(pointwise=None)) for n, f in fits.items()}
    monkeypatch.setattr(leave_one_out, "psis_loo", lambda x: replace(psis_loo(x), pareto_k=np.full(x.shape[1], 0.9)))
    comparison = compare(bare, budget=Budget(max_refits=1), store=store)
    assert comparison.withheld
    assert any("could not be repaired stay: grouped_normal has no pointwise()" in s for s in comparison.notes)
    # What may not be ranked stands in the order in which it was given, and its error is not known.
    assert [s.variant for s in comparison.scores] == list(bare)
    assert comparison.as_dict()["scores"][1]["mcse"] is None


def test_folds_take_no_more_than_the_budget(store: FitStore) -> None:
    slow_fit = replace(counts()[0], seconds=100.0)
    with pytest.raises(
        ComparisonError, match="without each fold in turn would take some 17 minutes, more than are left"
    ):
        by_folds({"a": slow_fit}, {"a": loo(slow_fit)}, Budget(), store, silent)


def fold_truth(fit: Fit) -> np.ndarray:
    """log p(row | the rows of the other folds) of grouped(0.0), partial pooling."""
    frame, fold, truth = grouped_table(0.0), folds_of(fit), np.empty(20)
    y, group = frame["y"].to_numpy(), frame["g"].to_numpy()
    for n in range(20):
        members = np.flatnonzero((fold != fold[n]) | (np.arange(20) == n))
        [truth[n]] = grouped_truth(y[members], group[members], [np.flatnonzero(members == n)])
    return truth


def test_more_bad_scores_than_refits_turn_to_ten_folds(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)
    variants = ("complete_pooling", "partial_pooling")
    fits = fit_variants(
        "grouped_normal", grouped_dataset(grouped_table(0.0)), variants, priors=GROUPED,
        sampling=Sampling(seed=SEED, adapt_delta=0.95), engine="stanli", store=store,
    )  # fmt: skip

    def bad(log_lik: np.ndarray) -> Any:
        return replace(psis_loo(log_lik), pareto_k=np.full(log_lik.shape[1], 0.9))

    exact = compare(fits, budget=Budget(max_refits=1), store=store)
    assert not exact.withheld
    monkeypatch.setattr(leave_one_out, "psis_loo", bad)
    comparison = compare(fits, budget=Budget(max_refits=1), store=store)
    assert "10-fold, stratified by group" in comparison.target
    assert all(s.route is Route.FOLDS for s in comparison.scores)
    assert not comparison.withheld
    for one, other in zip(exact.scores, comparison.scores, strict=True):
        assert one.variant == other.variant
        assert one.elpd == pytest.approx(other.elpd, abs=1)  # two rows fewer to learn from, of 20
        assert one.elpd != other.elpd
    ours, truth = comparison.pointwise["partial_pooling"], fold_truth(fits["partial_pooling"])
    assert abs(ours.elpd - truth.sum()) < 4 * ours.mcse
    np.testing.assert_allclose(ours.elpd_i, truth, atol=0.1)
    # Without refits there are no folds either, and the ranking is withheld.
    none = compare(fits, budget=Budget(max_refits=0), store=store)
    assert none.withheld
    assert "leave-one-out" in none.target


# ---- tables without rows, and budgets -------------------------------------------------------------------------------


def nested() -> Prepared:
    frame = pd.DataFrame({
        "batch": ["a", "a", "b", "b", "b", "c"], "cask": ["1", "2", "1", "1", "2", "1"],
        "x": [0.0, 1, 2, 3, 4, 5], "y": [1.0, 2, 4, 8, 16, 32],
    })  # fmt: skip
    return prepare_table(
        family("nested_normal"),
        Dataset.from_frame(frame, group="batch", unit="cask", outcome="y", unit_labels="repeat"),
    )


def test_a_table_without_nothing_is_the_same() -> None:
    whole = nested()
    same = whole.without([])
    assert same.pooled.labels == whole.pooled.labels
    assert (same.units and same.units.labels) == (whole.units and whole.units.labels)
    np.testing.assert_array_equal(same.pooled.level, whole.pooled.level)
    np.testing.assert_array_equal(same["outcome"], whole["outcome"])


def test_a_table_without_rows_keeps_what_is_left_in_place() -> None:
    whole = nested()
    remaining = whole.without([2, 3])
    assert remaining.units is not None
    assert remaining.pooled.labels == ("a", "b", "c")
    assert remaining.pooled.level.tolist() == [0, 0, 1, 2]
    assert remaining["outcome"].tolist() == [1, 2, 16, 32]
    assert remaining.units.labels == ("a: 1", "a: 2", "b: 2", "c: 1")
    assert remaining.units.unit.tolist() == [0, 1, 2, 3]
    assert remaining.units.group.tolist() == [0, 0, 1, 2]


def test_a_table_without_a_group_has_its_label_no_more() -> None:
    remaining = nested().without([0, 1])
    assert remaining.units is not None
    assert (remaining.pooled.labels, remaining.units.labels) == (("b", "c"), ("b: 1", "b: 2", "c: 1"))
    assert remaining.pooled.level.tolist() == [0, 0, 0, 1]
    assert remaining.units.unit.tolist() == [0, 0, 1, 2]
    assert remaining.units.group.tolist() == [0, 0, 1]
    assert nested().pooled.labels == ("a", "b", "c")


def test_predictors_of_rows_and_groups_leave_with_their_rows() -> None:
    frame = pd.DataFrame({
        "g": ["a", "b", "a", "c", "b"], "x": [0.0, 1, 2, 3, 5], "u": [1.0, 2, 1, 4, 2], "y": [1.0, 3, 2, 8, 5]
    })  # fmt: skip
    dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"], group_predictors=["u"])
    model = family("linear_regression")
    whole = prepare_table(model, dataset)
    remaining = whole.without([1, 4])
    assert remaining.pooled.labels == ("a", "c")
    for role, own in whole.predictors.items():
        np.testing.assert_array_equal(remaining.predictors[role].values, own.values[[0, 2, 3]])
    data = model.stan_data(remaining, model.priors(whole), "partial_pooling")
    assert (data["J"], data["N"]) == (2, 3)
    np.testing.assert_array_equal(np.ravel(data["U"]), [1, 4])
    np.testing.assert_array_equal(data["group_idx"], [1, 1, 2])


@pytest.mark.parametrize("bad", [-1, 1.5, "3", True, None, math.nan])
def test_a_number_of_refits_is_a_whole_number(bad: Any) -> None:
    with pytest.raises(ComparisonError, match="max_refits must be a whole number, 0 or more; got"):
        Budget(max_refits=bad)


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "3", None])
def test_minutes_are_a_number(bad: Any) -> None:
    with pytest.raises(ComparisonError, match="minutes must be a number, 0 or more; got"):
        Budget(minutes=bad)


def test_minutes_count_from_when_the_budget_was_made() -> None:
    assert Budget(minutes=0).spent
    assert not Budget(minutes=1).spent
    budget = Budget(minutes=1)
    assert replace(budget, started=budget.started - 61).spent
