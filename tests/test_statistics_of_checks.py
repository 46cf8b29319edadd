"""Statistics of calibrations, sensitivities and repairs against their definitions; each fails by a planted fault.

A fault is a change of one place in the code of a function, by which the test that belongs to it must fail.
"""

from __future__ import annotations
import __future__

import inspect
import math
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_fits import fake_fit, small_dataset
from scipy.special import logsumexp
from scipy.stats import norm

from hbm_stan import envelope as bands
from hbm_stan import leave_one_out
from hbm_stan.calibrate import posterior, replication, result
from hbm_stan.calibrate.result import Calibration
from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.errors import NotDirectError
from hbm_stan.fit import Fit
from hbm_stan.nouns import Noun
from hbm_stan.psis import smooth
from hbm_stan.repair import moments
from hbm_stan.results import digits, ratios
from hbm_stan.sensitivity import conclusion, influence

# Groups that are in no order, each unlike the others.
predict = import_module("hbm_stan.predict")  # hbm_stan.predict is the function
UNSORTED = small_dataset(labels=("C", "A", "B"))


def shares_of_chains(which: np.ndarray, draws: int, chains: int) -> list[int]:
    return np.bincount(which // draws, minlength=chains).tolist()


def test_draws_that_are_kept_of_a_chain_are_evenly_spaced_over_all_of_it() -> None:
    sampling, size = Sampling(chains=3, draws=700), 99
    place = np.arange(2100.0).reshape(3, 700)
    which = replication._thinned(EngineDraws({"mu": place, "none": np.empty((3, 700, 0))}, {}), sampling, size)
    assert list(which) == ["mu"]
    assert set(np.diff(which["mu"])) <= {2100 // size, 2100 // size + 1}
    assert shares_of_chains(which["mu"].astype(int), 700, 3) == [33, 33, 33]


def test_true_values_of_a_posterior_calibration_are_evenly_spaced_over_all_chains() -> None:
    fit = fake_fit()
    place = {float(v): i for i, v in enumerate(fit.draws("mu")["mu"])}
    which = np.array([place[float(v)] for v in posterior.spaced_draws(fit, 60)["mu"]])
    assert set(np.diff(which)) <= {66, 67}
    assert shares_of_chains(which, 1000, 4) == [15] * 4


def curve_of(ranks: list[int], draws: int, error: float) -> pd.DataFrame:
    calibration: Any = SimpleNamespace(
        of_quantity={"mu": np.array(ranks)}, completed=len(ranks), draws=draws, error=error
    )
    assert Calibration.curves.fget is not None
    curves: pd.DataFrame = Calibration.curves.fget(calibration)
    return curves


def test_the_curve_of_ranks_is_their_ecdf_and_leaves_its_band_where_the_p_value_says_so() -> None:
    curve = curve_of([0, 1, 1, 4, 4, 4, 4, 3], 4, 0.05)
    # Shares of ranks below 1, 2, 3 and 4 of 0 .. 4: 1/8, 3/8, 3/8, 4/8; less 1/5, 2/5, 3/5, 4/5.
    np.testing.assert_allclose(curve["x"], [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(curve["difference"], [0, 1 / 8 - 0.2, 3 / 8 - 0.4, 3 / 8 - 0.6, 0.5 - 0.8, 0])
    rng, seen = np.random.default_rng(1), set()
    for _ in range(60):
        ranks = np.minimum((rng.random(80) ** rng.choice([1, 1.4]) * 20).astype(int), 19).tolist()
        drawn = curve_of(ranks, 19, 0.05)
        outside = (drawn["difference"] < drawn["low"] - 1e-9) | (drawn["difference"] > drawn["high"] + 1e-9)
        assert outside.any() == (bands.p_value(ranks, 19) <= 0.05)
        seen.add(bool(outside.any()))
    assert seen == {True, False}


def weights_without(fit: Fit, j: int) -> np.ndarray:
    """The smoothed weights of the draws without a group."""
    assert fit.family.groups.group_log_lik is not None
    density = np.asarray(fit.family.groups.group_log_lik(fit.draws(), fit.data))[:, j]
    return np.asarray(np.exp(smooth(-density)[0]))


def test_influence_is_said_of_the_group_that_was_left_out_in_posterior_sds() -> None:
    fit = fake_fit(dataset=UNSORTED)
    influences = influence.influence(fit)
    assert influences.k_threshold == pytest.approx(min(1 - 1 / math.log10(4000), 0.7))
    rows = {r.group: r for r in influences.rows}
    for j, label in enumerate(fit.table.pooled.labels):
        w = weights_without(fit, j)
        for name in ("mu", "tau"):
            draws, now = fit.draws(name)[name], rows[label].intervals[name]
            assert now.mean == pytest.approx(w @ draws)
            assert rows[label].moves[name] == pytest.approx((w @ draws - draws.mean()) / draws.std(ddof=1))


def test_an_interval_of_weighted_draws_holds_nine_tenths_of_the_weight() -> None:
    rng = np.random.default_rng(3)
    x, w = rng.normal(5, 2, 4000), rng.exponential(size=4000)
    w *= np.exp(0.4 * x)
    w /= w.sum()
    (now,) = influence.weighted_intervals(x, w[:, None])
    assert now.mean == pytest.approx(w @ x)
    assert now.sd == pytest.approx(math.sqrt(w @ (x - w @ x) ** 2))
    for q, share in ((now.q05, 0.05), (now.q50, 0.5), (now.q95, 0.95)):
        assert w[x < q].sum() == pytest.approx(share, abs=2 * w.max())


def test_a_refit_is_named_after_the_group_that_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    unsorted_fit = fake_fit(dataset=UNSORTED)
    bare = replace(unsorted_fit, family=unsorted_fit.family.with_fields(group_log_lik=None))
    lacking: list[str] = []

    def without(fit: Fit, rows: Any) -> Fit:
        lacking.append(fit.table.pooled.labels[int(rows[0])])
        return fake_fit(mu=lambda x: x + len(lacking))

    def none(*_given: object, **_how: object) -> None:
        raise NotDirectError("its engine is made by hand")

    monkeypatch.setattr(influence, "job_without", lambda _fit, rows: rows)
    monkeypatch.setattr(influence, "fit_directly", none)
    monkeypatch.setattr(influence, "refit_without", without)
    moves = {r.group: r.moves["mu"] for r in influence.influence(bare, max_refits=3).rows}
    assert sorted(moves, key=lambda label: moves[label]) == lacking == ["C", "A", "B"]


def test_an_interval_of_a_conclusion_holds_nine_tenths_and_a_move_is_in_sds_of_the_first() -> None:
    x = norm.ppf((np.arange(2000) + 0.5) / 2000, 3, 2)
    interval = conclusion.interval(x)
    assert (interval.q05, interval.q50, interval.q95) == pytest.approx((3 - 2 * 1.645, 3, 3 + 2 * 1.645), abs=0.01)
    assert interval.sd == pytest.approx(np.std(x, ddof=1))
    wide = conclusion.interval(10 + 3 * x)
    one, other = (conclusion.Conclusion(intervals={"mu": i}, decision="", locations=("mu",)) for i in (interval, wide))
    assert conclusion.largest_move(one, other) == ("mu", pytest.approx((19 - 3) / interval.sd))


class Normal:
    """A program of one parameter, in the shape that densities are asked for in."""

    def __init__(self, mean: float, sd: float) -> None:
        self.mean, self.sd = mean, sd

    def log_prob_grad(self, q: np.ndarray) -> tuple[float, None]:
        z = (float(q[0]) - self.mean) / self.sd
        return -0.5 * z * z - math.log(self.sd), None


def split(rng: np.random.Generator, target: Normal, move: moments.Move, n: int = 400) -> moments.Exact:
    """The score of a unit that makes ``target`` into a standard normal posterior: log p(unit) is 2, in closed form."""
    q = rng.normal(size=(n, 1))
    model = Normal(0, 1)
    whole: Any = SimpleNamespace(
        points=q, model=model, log_density=moments.log_density(model, q),
        fit=SimpleNamespace(sampling=SimpleNamespace(chains=4)),
    )  # fmt: skip
    return moments._split(whole, target, move, constant=2.0)


def test_a_moment_matched_score_is_as_exact_as_it_says() -> None:
    target = Normal(0.8, 1.1)
    move = moments.Move(np.zeros(1), np.array([0.8]), np.array([[1.1]]))
    scores = [split(np.random.default_rng([5, i]), target, move) for i in range(200)]
    elpd, mcse = np.array([f.elpd for f in scores]), np.array([f.mcse for f in scores])
    assert abs(elpd.mean() - 2) < 4 * elpd.std(ddof=1) / math.sqrt(200)
    # An sd of 200 values has an error of 5 %, an MCSE of 400 draws its own.
    assert 0.8 < mcse.mean() / elpd.std(ddof=1) < 1.25


def test_a_moment_matched_score_has_the_k_of_its_weights_too() -> None:
    stay = moments.Move(np.zeros(1), np.zeros(1), np.eye(1))
    # Without a map the weights have a tail, k is 0.99; what they weigh is one number for all draws.
    assert min(split(np.random.default_rng(i), Normal(0, 10), stay, 4000).pareto_k for i in range(8)) > 0.7


def test_the_search_for_a_map_stops_at_the_limit_of_the_draws_that_it_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def search(*arguments: Any) -> Any:
        limits.append(arguments[-1])
        raise moments.ComparisonError("seen")

    monkeypatch.setattr(moments, "_search", search)
    monkeypatch.setattr(moments, "job_without", lambda *_: SimpleNamespace(program=None, data=None))
    monkeypatch.setattr(moments, "density_model", lambda *_: SimpleNamespace(n_unconstrained=1))
    monkeypatch.setattr(moments, "log_density", lambda _model, q: -np.ones(len(q)))
    whole: Any = SimpleNamespace(
        fit=None, model=SimpleNamespace(n_unconstrained=1), points=np.zeros((4000, 1)), log_density=np.zeros(4000)
    )
    with pytest.raises(moments.ComparisonError, match="seen"):
        moments.moment_matched(whole, [0], [np.zeros(4000)], 0.7)
    assert limits == [pytest.approx(1 - 1 / math.log10(1000))]


def test_the_limit_of_pareto_k_is_that_of_the_draws_of_all_chains() -> None:
    few = fake_fit(sampling=Sampling(seed=1, draws=100))
    for left_out in (leave_one_out.loo(few), leave_one_out.logo(few)):
        assert left_out is not None
        assert left_out.k_threshold == pytest.approx(1 - 1 / math.log10(400))


def test_the_error_of_a_score_is_without_the_units_that_are_to_be_repaired() -> None:
    far = small_dataset((3.0, -1.0, 200.0))
    fit = fake_fit(dataset=far, mu=lambda x: 3 + (x - 3) / 10, tau=lambda x: x / 10)
    left_out = leave_one_out.loo(fit)
    assert left_out.high.tolist() == [False, False, True]
    assert fit.family.groups.group_log_lik is not None
    density = np.asarray(fit.family.groups.group_log_lik(fit.draws(), fit.data))[:, :2]
    raw = np.exp(-density - logsumexp(-density, axis=0)) * fit.n_draws
    assert left_out.mcse == pytest.approx(raw.sum(axis=1).std(ddof=1) / math.sqrt(fit.n_draws), rel=0.15)


def ratio_fit(monkeypatch: pytest.MonkeyPatch) -> tuple[Fit, pd.DataFrame]:
    from hbm_stan.diagnose import check

    fit = fake_fit(mu=lambda x: x / 10, tau=lambda x: x / 3)
    monkeypatch.setattr(ratios, "is_ratio", lambda _fit: True)
    monkeypatch.setattr(ratios, "ratio_name", lambda _fit: "OR")
    return fit, check(fit).summary


def test_an_average_ratio_is_the_exponential_of_the_draws_with_their_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, summary = ratio_fit(monkeypatch)
    answer = ratios.average_ratio(fit, summary)
    assert answer is not None
    assert answer.average is not None
    average, draws = answer.average.as_dict(), np.exp(fit.draws("mu")["mu"])
    assert average["p_above_one"] == np.mean(draws > 1)
    for key, prob in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        assert average[key] == pytest.approx(np.quantile(draws, prob), rel=1e-3)
        # The error of a quantile of the ratio itself, by its density there: exp(mu) has that of mu over exp(mu).
        error = math.sqrt(prob * (1 - prob) / fit.n_draws) * 0.2 / norm.pdf(norm.ppf(prob)) * average[key]
        assert average[f"mcse_{key}"] == pytest.approx(error, rel=0.3)


def test_ratios_in_words_are_those_of_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    fit, summary = ratio_fit(monkeypatch)
    new = predict.new_group(fit, {"standard_error": 1.0})
    sentences = ratios.ratio_answer(fit, summary, new, "", Noun("study", "studies"))
    expected = (fit.draws("mu")["mu"], fit.draws("tau")["tau"], new.draws["theta_new"])
    for sentence, draws in zip(sentences, expected, strict=True):
        shown = re.search(
            r"(?:about|is) ([\d.]+) \((?:posterior median; )?90 % interval ([\d.]+) to ([\d.]+)", sentence
        )
        assert shown is not None, sentence
        told = [float(v) for v in shown.groups()]
        np.testing.assert_allclose(told, np.exp(np.quantile(draws, (0.5, 0.05, 0.95))), rtol=0.03, atol=0.05)


def test_ratios_of_groups_are_those_of_their_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "is_ratio", lambda _fit: True)
    fit = fake_fit()
    table = predict.shrinkage_table({"partial_pooling": fit}).set_index("group")
    for j, label in enumerate(fit.table.pooled.labels):
        draws = np.exp(fit.draws("theta")["theta"][:, j])
        for column, prob in (("ratio", 0.5), ("ratio_q05", 0.05), ("ratio_q95", 0.95)):
            assert table.loc[label, column] == pytest.approx(np.quantile(draws, prob), rel=1e-2)


def test_a_group_has_moved_where_it_is_more_than_one_sd_away() -> None:
    table = pd.DataFrame({
        "group": ["near", "far", "wide"], "raw": [1.0, 1.0, 5.0], "partial_pooling": [0.6, 0.4, 2.0],
        "sd": [0.5, 0.5, 3.5],
    })  # fmt: skip
    (note,) = predict.shrinkage_notes(table)
    assert note.startswith("Moved by more than one posterior sd from the raw estimate: far. ")


def test_the_spread_of_raw_estimates_is_their_sd() -> None:
    assert predict.raw_spread(fake_fit()) == {"": pytest.approx(np.std([3.0, -1.0, 8.0], ddof=1))}


def test_a_probability_has_the_digits_of_its_draws() -> None:
    # Errors of 0.06 and 0.02: twice them begin in the first and in the second decimal.
    assert (digits.format_probability(0.534, 60), digits.format_probability(0.534, 400)) == ("0.5", "0.53")


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A fault: the function ``name`` of a module or class, with other code in one place; and what must fail by it."""

    owner: Any
    name: str
    right: str
    wrong: str
    test: Callable[..., None]

    def plant(self, patch: pytest.MonkeyPatch) -> None:
        """Make the function anew from its source with the fault."""
        held = inspect.getattr_static(self.owner, self.name)
        function = inspect.unwrap(held.fget if isinstance(held, property) else held)
        source = textwrap.dedent(inspect.getsource(function))
        assert source.count(self.right) == 1, f"{self.name} has changed: {self.right}"
        changed = source.replace(self.right, self.wrong)
        namespace: dict[str, Any] = {}
        code = compile(changed, self.name, "exec", __future__.annotations.compiler_flag, dont_inherit=True)
        exec(code, vars(sys.modules[function.__module__]), namespace)
        patch.setattr(self.owner, self.name, namespace[self.name])


_EVEN, _SIXTY = "spaced_places(n_draws, total)", "spaced_places(number, fit.n_draws)"
_INFLUENCE = test_influence_is_said_of_the_group_that_was_left_out_in_posterior_sds
_WEIGHTED = test_an_interval_of_weighted_draws_holds_nine_tenths_of_the_weight
_CURVE = test_the_curve_of_ranks_is_their_ecdf_and_leaves_its_band_where_the_p_value_says_so
_CONCLUSION = test_an_interval_of_a_conclusion_holds_nine_tenths_and_a_move_is_in_sds_of_the_first
_AVERAGE = test_an_average_ratio_is_the_exponential_of_the_draws_with_their_error
_WORDS = test_ratios_in_words_are_those_of_the_draws
PLANTED = {
    "SBC keeps the first draws": Planted(
        owner=replication, name="_thinned", right=_EVEN, wrong="np.arange(n_draws)",
        test=test_draws_that_are_kept_of_a_chain_are_evenly_spaced_over_all_of_it),
    "true values are the first draws": Planted(
        owner=posterior, name="spaced_draws", right=_SIXTY, wrong="np.arange(number)",
        test=test_true_values_of_a_posterior_calibration_are_evenly_spaced_over_all_chains),
    "the ECDF of ranks counts those at its point": Planted(
        owner=Calibration, name="curves", right='"left"', wrong='"right"', test=_CURVE),
    "a band of half the width": Planted(
        owner=result, name="envelope", right="low=first / n, high=last / n",
        wrong="low=(first / n + points) / 2, high=(last / n + points) / 2", test=_CURVE),
    "a band for all quantities where one is drawn": Planted(
        owner=Calibration, name="curves", right="self.draws, self.error", wrong="self.draws, self.error / 5",
        test=_CURVE),
    "influence under sorted labels": Planted(
        owner=influence, name="_weighted", right="Counter[Way](), fit.table.pooled.labels",
        wrong="Counter[Way](), sorted(fit.table.pooled.labels)", test=_INFLUENCE),
    "influence in sds without the group": Planted(
        owner=influence, name="_without", right="base[n].sd", wrong="now[n].sd", test=_INFLUENCE),
    "influence with the limit of one chain": Planted(
        owner=influence, name="influence", right="good_k(fit.n_draws)", wrong="good_k(fit.sampling.draws)",
        test=_INFLUENCE),
    "a refit under sorted labels": Planted(
        owner=influence, name="refitted", right="fit.table.pooled.labels[j]",
        wrong="sorted(fit.table.pooled.labels)[j]", test=test_a_refit_is_named_after_the_group_that_it_lacks),
    "a weighted interval of 80 %": Planted(
        owner=influence, name="weighted_intervals", right="(0.05, 0.5, 0.95)", wrong="(0.1, 0.5, 0.9)", test=_WEIGHTED),
    "a weighted sd about the mean without weights": Planted(
        owner=influence, name="weighted_intervals", right="- mean**2", wrong="- draws.mean() ** 2", test=_WEIGHTED),
    "quantiles of sorted draws with weights that are not": Planted(
        owner=influence, name="weighted_intervals", right="np.cumsum(weights[order], axis=0)",
        wrong="np.cumsum(weights, axis=0)", test=_WEIGHTED),
    "a conclusion's interval of 95 %": Planted(
        owner=conclusion, name="interval", right="(0.05, 0.5, 0.95)", wrong="(0.025, 0.5, 0.975)", test=_CONCLUSION),
    "moves in sds of the other prior": Planted(
        owner=conclusion, name="largest_move", right="/ base.intervals[n].sd", wrong="/ now.intervals[n].sd",
        test=_CONCLUSION),
    "half the error of a moment-matched score": Planted(
        owner=moments, name="_split", right="whole.fit.sampling.chains)", wrong="whole.fit.sampling.chains) / 2",
        test=test_a_moment_matched_score_is_as_exact_as_it_says),
    "the error of a sum for that of a ratio": Planted(
        owner=moments, name="_split", right="(np.exp(log_p - elpd) - 1)", wrong="np.exp(log_p - elpd)",
        test=test_a_moment_matched_score_is_as_exact_as_it_says),
    "the k of the weights forgotten": Planted(
        owner=moments, name="_split", right="max(k, tail_of(log_w + log_p))", wrong="tail_of(log_w + log_p)",
        test=test_a_moment_matched_score_has_the_k_of_its_weights_too),
    "a search with the limit of all draws": Planted(
        owner=moments, name="moment_matched", right="good_k(len(taken))", wrong="good_k(len(whole.points))",
        test=test_the_search_for_a_map_stops_at_the_limit_of_the_draws_that_it_sees),
    "a score with the limit of one chain": Planted(
        owner=leave_one_out, name="_scored", right="good_k(log_lik.shape[0])", wrong="good_k(fit.sampling.draws)",
        test=test_the_limit_of_pareto_k_is_that_of_the_draws_of_all_chains),
    "units that are to be repaired in the error": Planted(
        owner=leave_one_out, name="_scored",
        right=" - log_lik.shape[0] * softmax(-log_lik[:, bad[some]], axis=0).sum(axis=1)", wrong="",
        test=test_the_error_of_a_score_is_without_the_units_that_are_to_be_repaired),
    "the error of a log for that of a ratio": Planted(
        owner=ratios, name="_as_ratio", right="ratio[key] * log", wrong="log", test=_AVERAGE),
    "the probability that a log is above 1": Planted(
        owner=ratios, name="average_ratio", right="> 0", wrong="> 1", test=_AVERAGE),
    "the factor of a variance": Planted(
        owner=ratios, name="ratio_answer", right="_as_ratio(tau)", wrong="_as_ratio(tau**2)", test=_WORDS),
    "the ratio of a new group in logs": Planted(
        owner=ratios, name="ratio_answer", right="**_as_ratio(row)",
        wrong="**{f.name: abs(row[f.name]) for f in fields(Interval)}", test=_WORDS),
    "quartiles for the ends of a ratio": Planted(
        owner=predict, name="shrinkage_table", right="np.exp(columns[quantile])",
        wrong='np.exp(columns[quantile.replace("q05", "q25")])', test=test_ratios_of_groups_are_those_of_their_draws),
    "moved by more than a variance": Planted(
        owner=predict, name="shrinkage_notes", right='> table["sd"]', wrong='> table["sd"] ** 2',
        test=test_a_group_has_moved_where_it_is_more_than_one_sd_away),
    "the spread of raw estimates over their number": Planted(
        owner=predict, name="raw_spread", right="ddof=1", wrong="ddof=0",
        test=test_the_spread_of_raw_estimates_is_their_sd),
    "digits of a probability by its variance": Planted(
        owner=digits, name="format_probability", right="math.sqrt(max(p * (1 - p), 1e-9) / draws)",
        wrong="max(p * (1 - p), 1e-9) / draws", test=test_a_probability_has_the_digits_of_its_draws),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_fails_the_test_that_belongs_to_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = PLANTED[name]
    fault.plant(monkeypatch)
    with pytest.raises(AssertionError), pytest.MonkeyPatch.context() as own:
        fault.test(own) if inspect.signature(fault.test).parameters else fault.test()
