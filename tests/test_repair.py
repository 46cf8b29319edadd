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
from hbm_stan.diagnose import Diagnosis
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
from hbm_stan.repair.refits import exact_score
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


def columns(made: Fit) -> list[np.ndarray]:
    return ladder.Ladder(made, Budget(), FitStore(Path("unused")), silent)._columns("observation")


def matched(made: Fit, i: int) -> Exact:
    return moment_matched(Unconstrained(made), [i], [c[:, i] for c in columns(made)], 0.7)


@cache
def near(folder: Path = PROGRAMS / "means") -> Fit:
    """A fit to a group that surprises; by a program whose coordinates do not depend on the data, unless told."""
    y = np.array([*Y[:LAST], NEAR])
    model = family("normal_means").with_fields(folder=folder)
    return fit(model, means_dataset(y), "partial_pooling", priors=MEANS, sampling=NEARLY, engine="stanli")


@cache
def row_truth(outlier: float) -> float:
    frame = grouped_table(outlier)
    return float(grouped_truth(frame["y"].to_numpy(), frame["g"].to_numpy(), [np.array([ROW])])[0])


# ---- moment matching --------------------------------------------------------------------------------------------


def agrees(found: Exact, truth: float) -> bool:
    return abs(found.elpd - truth) < min(0.1, 4 * found.mcse)


def test_moment_matching_repairs_a_group_that_surprises() -> None:
    before, truth = loo(near()), means_truth((*Y[:LAST], NEAR))[LAST]
    assert before.pareto_k is not None
    assert before.pareto_k[LAST] > 0.7
    found = matched(near(), LAST)
    assert agrees(found, truth)
    assert found.pareto_k < 0.7
    assert abs(before.elpd_i[LAST] - truth) > 2 * abs(found.elpd - truth)


@pytest.mark.parametrize("outlier", [6.0, 9.0])
def test_moment_matching_repairs_a_row_whose_group_is_integrated_out(outlier: float) -> None:
    made = grouped(outlier=outlier)
    before, truth, found = loo(made), row_truth(outlier), matched(made, ROW)
    assert before.pareto_k is not None
    assert before.pareto_k[ROW] > 0.7
    assert agrees(found, truth)
    assert abs(before.elpd_i[ROW] - truth) > 1


def test_a_density_that_is_not_the_programs_is_refused() -> None:
    # Planted fault: off by a tenth of itself, so by no constant.
    wrong = [1.1 * c[:, LAST] for c in columns(near())]
    with pytest.raises(ComparisonError, match="without the unit the program has other coordinates"):
        moment_matched(Unconstrained(near()), [LAST], wrong, 0.7)
    # A constant is no fault: it is what the program leaves out.
    shifted = [c[:, LAST] + 3 for c in columns(near())]
    found = moment_matched(Unconstrained(near()), [LAST], shifted, 0.7)
    assert found.elpd == pytest.approx(matched(near(), LAST).elpd + 3)


def test_coordinates_that_change_with_the_data_leave_it_to_a_refit(store: FitStore) -> None:
    made = near(family("normal_means").programs.folder)
    with pytest.raises(ComparisonError, match="without the unit the program has other coordinates"):
        matched(made, LAST)
    repair = repaired(made, loo(made), Budget(), store, silent).repairs[LAST]
    assert repair.route is Route.REFIT
    assert abs(repair.elpd - means_truth((*Y[:LAST], NEAR))[LAST]) < 4 * repair.mcse


def split_by(made: Fit, move: Move) -> Exact:
    whole = Unconstrained(made)
    model = density_model(*program_without(made, [LAST]))
    reduced = moments.log_density(model, whole.points)
    constant = moments._constant(whole.log_density - reduced, [columns(made)[-2][:, LAST]])
    return moments._split(whole, model, move, constant)


def program_without(made: Fit, rows: list[int]) -> tuple[Any, Any]:
    job = moments.job_without(made, rows)
    return job.program, job.data


def test_a_move_without_its_volume_is_caught_by_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    made, truth = near(), means_truth((*Y[:LAST], NEAR))[LAST]
    centre = Unconstrained(made).points.mean(axis=0)
    wider = Move(centre, centre - np.array([0.0, 0.5]), np.diag([1.0, 2.0]))
    assert agrees(split_by(made, wider), truth)
    monkeypatch.setattr(Move, "log_volume", 0.0)
    assert not agrees(split_by(made, wider), truth)


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


# ---- refits -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["normal means", "grouped rows"])
def test_a_refit_equals_the_truth(which: str, store: FitStore) -> None:
    made, i, truth = (
        (surprised(), LAST, means_truth()[LAST]) if which == "normal means" else (grouped(outlier=6), ROW, row_truth(6))
    )
    found = exact_score(made, "observation", i, store, silent)
    assert abs(found.elpd - truth) < 4 * found.mcse
    assert found.mcse < 0.08
    assert found.pareto_k < 0.7
    assert abs(loo(made).elpd_i[i] - truth) > 1


def test_the_bridge_needs_fewer_draws_than_a_mean_and_tells_when_it_has_too_few() -> None:
    # Log densities that are normal: N(m, v) at the draws without the unit makes its density exp(m + v / 2), and the
    # draws with it, whose weight is the density, have N(m + v, v).
    rng = np.random.default_rng(SEED)
    for v, good in ((0.0, True), (4.0, True), (9.0, True), (100.0, False)):
        without, whole = rng.normal(-3, math.sqrt(v), 4000), rng.normal(-3 + v, math.sqrt(v), 4000)
        found, alone = bridged(without, whole, 4), score_of(without, 4)
        assert (found.pareto_k < 0.7) == good, v
        if good:
            assert abs(found.elpd - (-3 + v / 2)) <= 4 * found.mcse + 1e-12
            assert found.mcse < alone.mcse or v == 0
    assert score_of(rng.normal(-3, 3, 4000), 4).pareto_k > 0.7


def test_a_refit_that_is_not_precise_is_made_again_with_more_draws(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []
    once = refits._bridged

    def noted(made: Fit, job: Any, *rest: Any) -> Exact:
        drawn.append(job.sampling.draws)
        return once(made, job, *rest)

    monkeypatch.setattr(refits, "_bridged", noted)
    exact_score(surprised(), "observation", 2, store, silent)
    assert drawn == [1000]
    found = exact_score(surprised(), "observation", LAST, store, silent)
    assert drawn == [1000, 1000, 4000]
    assert abs(found.elpd - means_truth()[LAST]) < 0.1


def test_a_refit_that_keeps_the_unit_in_is_caught_by_the_truth(
    monkeypatch: pytest.MonkeyPatch, store: FitStore
) -> None:
    right = refits.job_without
    monkeypatch.setattr(refits, "job_without", lambda fit, _rows: right(fit, []))
    found = exact_score(surprised(), "observation", LAST, store, silent)
    assert abs(found.elpd - means_truth()[LAST]) > 4 * found.mcse


def test_a_refit_has_the_priors_and_settings_of_the_fit() -> None:
    # Default priors are made of the data: a refit that made them anew would have others.
    made = fit(
        "grouped_normal", grouped_dataset(grouped_table()), sampling=Sampling(draws=200, seed=SEED), engine="stanli"
    )
    other = refit_without(made, [ROW])
    assert other.priors is made.priors
    assert (other.variant, other.engine, other.sampling) == (made.variant, made.engine, made.sampling)
    assert other.table.n_rows == made.table.n_rows - 1


# ---- the ladder -------------------------------------------------------------------------------------------------


def with_k(made: Fit, **k: float) -> LeftOut:
    """The score of a fit with a Pareto k planted: ``i3=0.9`` for unit 3; all others are good."""
    found = loo(made)
    planted = np.full(len(found.elpd_i), 0.1)
    for name, value in k.items():
        planted[int(name[1:])] = value
    return replace(found, pareto_k=planted)


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
    said: list[str] = []
    found = repaired(surprised(), loo(surprised()), Budget(), store, said.append)
    assert [line.partition(":")[2].strip() for line in said] == ["moment matching for H", "fitting without H"]
    repair = found.repairs[LAST]
    assert (repair.route, list(found.repairs)) == (Route.REFIT, [LAST])
    assert abs(repair.elpd - means_truth()[LAST]) < 4 * repair.mcse
    assert found.elpd_i[LAST] == repair.elpd
    assert repair.elpd_before == loo(surprised()).elpd_i[LAST]
    assert repair.pareto_k > 0.7 > repair.pareto_k_after
    assert found.reasons == {}
    assert not found.high.any()
    assert abs(found.elpd - means_truth().sum()) < 4 * found.mcse
    assert math.isnan(replace(found, mcse=math.nan).mcse)


def test_a_sure_score_of_moment_matching_needs_no_refit(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = grouped(outlier=6)
    samples = count_samples(monkeypatch)
    found = repaired(made, loo(made), Budget(), store, silent)
    assert found.repairs[ROW].route is Route.MOMENT_MATCHING
    assert samples == []


@pytest.mark.parametrize(("max_refits", "route", "elpd"), [(1, Route.REFIT, -2.0), (0, None, None)])
def test_an_unsure_score_of_moment_matching_gives_way_to_a_refit(
    max_refits: int, route: Route | None, elpd: float | None, store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "moment_matched", lambda *_: Exact(-1.0, 0.1, 0.6))
    monkeypatch.setattr(ladder, "exact_score", lambda *_: Exact(-2.0, 0.1, 0.2))
    found = repaired(surprised(), with_k(surprised(), i2=0.9), Budget(max_refits), store, silent)
    assert ({i: (r.route, r.elpd) for i, r in found.repairs.items()}) == ({2: (route, elpd)} if route else {})


def test_an_unsure_score_stands_where_no_refit_is_better(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "moment_matched", lambda *_: Exact(-1.0, 0.1, 0.6))
    monkeypatch.setattr(ladder, "exact_score", lambda *_: Exact(-2.0, 0.1, 3.0))
    for planted, refits_allowed in (({"i2": 0.9}, 1), ({"i2": 0.9, "i3": 0.9}, 1)):
        found = repaired(surprised(), with_k(surprised(), **planted), Budget(refits_allowed), store, silent)
        assert {r.route for r in found.repairs.values()} == {Route.MOMENT_MATCHING}
        assert not found.high.any()


def test_a_refit_of_a_far_outlier_stands_with_its_error_and_its_k(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_matching(monkeypatch)
    made = grouped(outlier=14)
    before = loo(made)
    found = repaired(made, before, Budget(), store, silent)
    [truth] = grouped_truth(grouped_table(14)["y"].to_numpy(), grouped_table(14)["g"].to_numpy(), [np.array([ROW])])
    repair = found.repairs[ROW]
    assert abs(repair.elpd - truth) < 4 * repair.mcse < abs(before.elpd_i[ROW] - truth)
    assert found.mcse >= repair.mcse
    # It is told where a few draws carry the refit's score too.
    said = comparable.notes_beside({"partial_pooling": made}, {"partial_pooling": found}, "observation")
    assert (repair.pareto_k_after >= 0.7) == any("the refit's own Pareto k is high" in s for s in said)


def test_a_score_without_precision_is_no_repair(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)
    monkeypatch.setattr(ladder, "exact_score", lambda *_: Exact(-5.0, 2.5, 3.0))
    found = repaired(surprised(), with_k(surprised(), i2=0.9), Budget(), store, silent)
    assert found.reasons == {2: "refit: its score has a Monte Carlo error of 2.5; draw more"}
    assert found.high[2]
    assert math.isnan(found.mcse)


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
    found = repaired(surprised(), before, Budget(max_refits=1), store, silent)
    words = "2 are left, more than the 1 refit allowed (--max-refits)"
    assert found.reasons == {2: words, 5: words}
    assert list(np.flatnonzero(found.high)) == [2, 5]
    assert samples == []
    verdict = leave_one_out.check_pareto_k(found, surprised().table.row_names)
    assert "(C, F)" in verdict.hint
    assert f"They are not repaired: {words}." in verdict.hint


def test_without_minutes_left_nothing_starts(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = with_k(surprised(), i2=0.9)
    samples = count_samples(monkeypatch)
    found = repaired(surprised(), before, Budget(minutes=0), store, silent)
    assert found.reasons == {2: "0 minutes are over (--minutes)"}
    assert samples == []


def test_a_refit_that_fails_its_checks_is_no_repair(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)

    def failed(made: Fit, waive: Any = ()) -> Diagnosis:
        verdict = Verdict("R-hat", "fail", 1.5, 1.01, waived="R-hat" in waive)
        return Diagnosis(made.variant, (verdict,), pd.DataFrame())

    monkeypatch.setattr(refits, "check", failed)
    found = repaired(surprised(), with_k(surprised(), i2=0.9), Budget(), store, silent)
    assert found.reasons == {2: "a refit failed its checks (R-hat)"}
    assert found.high[2]
    assert not list(store.folder.glob("*.json"))
    # A check that was waived of the whole fit is waived of its refits.
    assert repaired(surprised(), with_k(surprised(), i2=0.9), Budget(), store, silent, ["R-hat"]).repairs[2]


def test_more_draws_that_fail_their_checks_are_not_taken(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)
    made = fit("normal_means", means_dataset(), priors=MEANS, sampling=Sampling(draws=100, seed=SEED), engine="stanli")
    wrong = replace(made, tree=made.tree.copy())
    stats_of = wrong.tree["sample_stats"].to_dataset()
    wrong.tree["sample_stats"] = stats_of.assign(diverging=stats_of["diverging"] | True)
    monkeypatch.setattr(ladder, "with_more_draws", lambda *_: wrong)
    climbing = ladder.Ladder(made, Budget(), store, silent)
    before = with_k(made, i2=0.65)
    assert climbing._more_draws(before) is before
    assert climbing.fit is made
    assert climbing.reasons[2].startswith("more draws: a refit failed its checks (")
    assert "divergences" in climbing.reasons[2]


def test_a_result_that_cannot_be_kept_stands(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    no_matching(monkeypatch)

    def full(*_: Any) -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(FitStore, "write_note", full)
    said: list[str] = []
    found = repaired(surprised(), with_k(surprised(), i2=0.9), Budget(), store, said.append)
    assert found.repairs[2].route is Route.REFIT
    assert said[-1] == "the disk is full"


def test_more_draws_help_a_k_between_the_threshold_and_seven_tenths(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fit("normal_means", means_dataset(), priors=MEANS, sampling=Sampling(draws=100, seed=SEED), engine="stanli")
    before = with_k(made, i2=0.65)
    assert before.k_threshold == pytest.approx(1 - 1 / math.log10(400))
    samples = count_samples(monkeypatch)
    said: list[str] = []
    found = repaired(made, before, Budget(), store, said.append)
    assert said[0] == "partial_pooling: sampling again with 2,200 draws, for Pareto k"
    assert len(samples) >= 1
    assert (found.repairs[2].route, found.repairs[2].pareto_k) == (Route.MORE_DRAWS, 0.65)
    assert found.repairs[2].pareto_k_after < 0.7
    assert found.repairs[2].elpd_before == before.elpd_i[2]
    assert found.k_threshold == pytest.approx(0.7, abs=1e-3)
    assert found.elpd_i[2] == pytest.approx(means_truth()[2], abs=0.05)
    # One above 0.7 is not helped by draws.
    said.clear()
    repaired(made, with_k(made, i2=0.75), Budget(), store, said.append)
    assert not any("sampling again" in line for line in said)


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
    made = fit("logistic_regression", toy_logistic(), sampling=sampling, engine="stanli")
    before = leave_one_out.logo(made)
    assert before is not None
    planted = np.full(6, 0.1)
    planted[3] = 0.9
    reached: list[int] = []
    monkeypatch.setattr(ladder, "exact_score", lambda _fit, _unit, i, *_: reached.append(i) or Exact(-3.0, 0.1, 0.2))
    log_lik = density_of(made, "group").of(made.draws(), made.data)  # type: ignore[misc]
    with pytest.raises(ComparisonError, match="moment matching: the group's own parameters leave with it"):
        moment_matched(Unconstrained(made), rows_of(made, "group", 3), [log_lik[:, 3]], 0.7)
    found = repaired(made, replace(before, pareto_k=planted), Budget(), store, silent)
    assert reached == [3]
    assert found.repairs[3].route is Route.REFIT


# ---- what is kept -----------------------------------------------------------------------------------------------


def test_a_refit_is_made_once_and_again_for_other_data_or_priors(
    store: FitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = surprised()
    samples = count_samples(monkeypatch)
    first = exact_score(made, "observation", 2, store, silent)
    assert exact_score(made, "observation", 2, store, silent) == first
    assert len(samples) == 1
    exact_score(made, "observation", 3, store, silent)
    assert len(samples) == 2
    others = family("normal_means").priors(made.table, {**MEANS, "tau": "half_normal(6)"})
    exact_score(replace(made, priors=others), "observation", 2, store, silent)
    assert len(samples) == 3
    values = {**made.table.values, "estimate": made.table["estimate"] + np.eye(8)[0]}
    exact_score(replace(made, table=replace(made.table, values=values)), "observation", 2, store, silent)
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
    found = repaired(surprised(), before, Budget(), store, silent)
    assert [len(data["y"]) for data in samples] == [7]
    assert set(found.repairs) == {2, 5}
    np.testing.assert_allclose(found.elpd_i[[2, 5]], means_truth()[[2, 5]], atol=0.1)


# ---- folds ------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 45), min_size=2, max_size=6), st.integers(0, 100))
def test_every_fold_holds_a_tenth_of_each_group(sizes: list[int], seed: int) -> None:
    group = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    made: Any = SimpleNamespace(table=SimpleNamespace(pooled=Factor("g", (), group, ("g",)), n_rows=len(group)))
    fold = folds_of(made)
    for j in range(len(sizes)):
        of_group = np.bincount(fold[group == j], minlength=10)
        assert np.ptp(of_group) <= 1
    assert np.ptp(np.bincount(fold, minlength=10)) <= 1
    assert np.array_equal(fold, folds_of(made))


@cache
def counts() -> tuple[Fit, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED)
    trials = rng.integers(5, 20, 12)
    successes = rng.binomial(trials, 0.3)
    frame = pd.DataFrame({"g": [f"g{j}" for j in range(6)] * 2, "s": successes, "n": trials})
    dataset = Dataset.from_frame(frame, group="g", successes="s", trials="n")
    sampling = Sampling(seed=SEED)
    made = fit(
        "beta_binomial", dataset, "complete_pooling", priors={"mu": "beta(2, 3)"}, sampling=sampling, engine="stanli"
    )
    return made, successes, trials


def test_folds_equal_the_closed_form(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made, s, n = counts()
    fold = folds_of(made)
    shapes = [(2 + s[fold != fold[i]].sum(), 3 + (n - s)[fold != fold[i]].sum()) for i in range(12)]
    truth = np.array([stats.betabinom.logpmf(s[i], n[i], *ab) for i, ab in enumerate(shapes)])
    samples = count_samples(monkeypatch)
    found = by_folds({"a": made}, {"a": loo(made)}, Budget(), store, silent)["a"]
    assert len(samples) == 10
    assert (found.route, dict(found.repairs), found.high.any()) == (Route.FOLDS, {}, False)
    assert abs(found.elpd - truth.sum()) < 4 * found.mcse
    np.testing.assert_allclose(found.elpd_i, truth, atol=0.05)
    # Leave-one-out is something else here, or the test would not know the two apart.
    assert abs(loo(made).elpd - truth.sum()) > 4 * found.mcse
    again = by_folds({"a": made}, {"a": loo(made)}, Budget(), store, silent)["a"]
    assert len(samples) == 10
    np.testing.assert_array_equal(again.elpd_i, found.elpd_i)


def test_folds_of_another_outcome_are_made_again(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    # The row of a fold is scored by a fit that has not seen it: its value is in no refit's key.
    made, _, _ = counts()
    found = by_folds({"a": made}, {"a": loo(made)}, Budget(), store, silent)["a"]
    data = {**made.data, "y": np.asarray(made.data["y"]).copy()}
    data["y"][0] += 1 if data["y"][0] < made.data["trials"][0] else -1
    values = {**made.table.values, "successes": data["y"].astype(float)}
    other = replace(made, data=data, table=replace(made.table, values=values), key="another")
    assert by_folds({"a": other}, {"a": loo(other)}, Budget(), store, silent)["a"].elpd_i[0] != found.elpd_i[0]


def test_folds_that_cannot_be_made_leave_a_comparison(store: FitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hbm_stan.repair.ladder.Ladder._match_moments", lambda *_: None)
    fits = {name: grouped(name) for name in ("complete_pooling", "partial_pooling")}
    made = {n: replace(f, family=f.family.with_fields(pointwise=None)) for n, f in fits.items()}
    monkeypatch.setattr(leave_one_out, "psis_loo", lambda x: replace(psis_loo(x), pareto_k=np.full(x.shape[1], 0.9)))
    found = compare(made, budget=Budget(max_refits=1), store=store)
    assert found.withheld
    assert any("could not be repaired stay: grouped_normal has no pointwise()" in s for s in found.notes)
    # What may not be ranked stands in the order in which it was given, and its error is not known.
    assert [s.variant for s in found.scores] == list(made)
    assert found.as_dict()["scores"][1]["mcse"] is None


def test_folds_take_no_more_than_the_budget(store: FitStore) -> None:
    made = replace(counts()[0], seconds=100.0)
    with pytest.raises(ComparisonError, match="ten folds would take some 17 minutes, more than are left"):
        by_folds({"a": made}, {"a": loo(made)}, Budget(), store, silent)


def fold_truth(made: Fit) -> np.ndarray:
    """log p(row | the rows of the other folds) of grouped(0.0), partial pooling."""
    frame, fold, found = grouped_table(0.0), folds_of(made), np.empty(20)
    y, group = frame["y"].to_numpy(), frame["g"].to_numpy()
    for n in range(20):
        kept = np.flatnonzero((fold != fold[n]) | (np.arange(20) == n))
        [found[n]] = grouped_truth(y[kept], group[kept], [np.flatnonzero(kept == n)])
    return found


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
    found = compare(fits, budget=Budget(max_refits=1), store=store)
    assert "10-fold, stratified by group" in found.target
    assert all(s.route is Route.FOLDS for s in found.scores)
    assert not found.withheld
    for one, other in zip(exact.scores, found.scores, strict=True):
        assert one.variant == other.variant
        assert one.elpd == pytest.approx(other.elpd, abs=1)  # two rows fewer to learn from, of 20
        assert one.elpd != other.elpd
    ours, truth = found.pointwise["partial_pooling"], fold_truth(fits["partial_pooling"])
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
    found = whole.without([2, 3])
    assert found.units is not None
    assert found.pooled.labels == ("a", "b", "c")
    assert found.pooled.level.tolist() == [0, 0, 1, 2]
    assert found["outcome"].tolist() == [1, 2, 16, 32]
    assert found.units.labels == ("a: 1", "a: 2", "b: 2", "c: 1")
    assert found.units.unit.tolist() == [0, 1, 2, 3]
    assert found.units.group.tolist() == [0, 0, 1, 2]


def test_a_table_without_a_group_has_its_label_no_more() -> None:
    found = nested().without([0, 1])
    assert found.units is not None
    assert (found.pooled.labels, found.units.labels) == (("b", "c"), ("b: 1", "b: 2", "c: 1"))
    assert found.pooled.level.tolist() == [0, 0, 0, 1]
    assert found.units.unit.tolist() == [0, 0, 1, 2]
    assert found.units.group.tolist() == [0, 0, 1]
    assert nested().pooled.labels == ("a", "b", "c")


def test_predictors_of_rows_and_groups_leave_with_their_rows() -> None:
    frame = pd.DataFrame({
        "g": ["a", "b", "a", "c", "b"], "x": [0.0, 1, 2, 3, 5], "u": [1.0, 2, 1, 4, 2], "y": [1.0, 3, 2, 8, 5]
    })  # fmt: skip
    dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors=["x"], group_predictors=["u"])
    model = family("linear_regression")
    whole = prepare_table(model, dataset)
    found = whole.without([1, 4])
    assert found.pooled.labels == ("a", "c")
    for role, own in whole.predictors.items():
        np.testing.assert_array_equal(found.predictors[role].values, own.values[[0, 2, 3]])
    data = model.stan_data(found, model.priors(whole), "partial_pooling")
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
    made = Budget(minutes=1)
    assert replace(made, started=made.started - 61).spent
