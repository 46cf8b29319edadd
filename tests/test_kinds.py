"""Sentences and routes carry a kind: what the words say decides nothing, so that other words change no decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from example_results import example_results
from fake_fits import fake_fit, loo_of, small_dataset
from records import filled
from row_fits import frame, random_fit

from hbm_stan import data, errors, parameterise, replicate, scores
from hbm_stan.attempts import fit_variants
from hbm_stan.cli import predict as cli_predict
from hbm_stan.cli.compare import show_scores
from hbm_stan.coefficients import coefficient_table
from hbm_stan.compare import compare, score
from hbm_stan.data import Dataset
from hbm_stan.design import make_factor, nested
from hbm_stan.engines import Engine, Sampling, cmdstan_find, install
from hbm_stan.engines.cmdstan_find import NoCmdStanError
from hbm_stan.errors import EngineError, ModelError, did_you_mean, near_name, nearest
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.formula.checks import relations
from hbm_stan.formula.words import structure_in_words
from hbm_stan.likelihoods import likelihoods
from hbm_stan.model import Finding
from hbm_stan.new_rows.predict import needs_of, predict
from hbm_stan.nouns import GROUPS, Noun
from hbm_stan.reading import make_reading
from hbm_stan.replicate import predictive_check
from hbm_stan.report.blocks import parameter
from hbm_stan.report.sections import diagnostics, front, sensitivity
from hbm_stan.results import brief, brief_effects, scales
from hbm_stan.results.coefficients import Coefficient, for_one_more
from hbm_stan.results.meanings import column_of
from hbm_stan.results.quantities import Quantiles, Quantity
from hbm_stan.rows import Statistic
from hbm_stan.scores import Route
from hbm_stan.sensitivity.conclusion import Conclusion, Decision, Interval, changes
from hbm_stan.sensitivity.influence import Without
from hbm_stan.sensitivity.influence import _sentences as influence_sentences
from hbm_stan.sensitivity.quantities import Side
from hbm_stan.sensitivity.way import Way
from hbm_stan.table import Table
from hbm_stan.verdicts import _FIGURES, CALIBRATION, CHECKS, LOO_PIT, OF_PARAMETERS


def other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence that names the nearest name, in other words."""

    def suggestion(name: str, allowed: object) -> str:
        near = near_name(name, allowed)  # type: ignore[arg-type]
        return "" if near is None else f"Perhaps {near}."

    for module in (errors, data, parameterise):
        monkeypatch.setattr(module, "did_you_mean", suggestion)


# ---- the nearest name -------------------------------------------------------------------------------------------


def test_the_nearest_name_is_a_value_and_its_sentence_another() -> None:
    assert (near_name("schol", ["school", "age"]), near_name("xyz", ["school"])) == ("school", None)
    assert (did_you_mean("schol", ["school"]), did_you_mean("xyz", ["school"])) == ("Did you mean 'school'?", "")
    assert near_name("school", ["school"]) is None  # what was refused is no advice
    assert (nearest("a", []), nearest("xyz", ["b"])) == ("There are none.", "Allowed: 'b'.")


def test_other_words_for_the_nearest_name_change_no_message_beside_them(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(where="a table", names=("school", "age"), cells=((), ()))
    other_words(monkeypatch)
    assert data.listed(table, "schol") == "Perhaps school."
    assert data.listed(table, "xyz").startswith("The columns are:")
    with pytest.raises(ModelError, match=r"'centred'\. Perhaps centered\. Allowed: 'auto', 'part"):
        parameterise.named_parameterisation(family("normal_means"), "centred")


# ---- routes of scores -------------------------------------------------------------------------------------------


def test_every_route_has_words_of_its_own_and_a_kind_that_is_none_of_them() -> None:
    words = [route.words for route in Route]
    assert len(set(words)) == len(words)
    assert not {route.value for route in Route} & (set(words) - {"refit"})
    assert scores._ROUTES.keys() == set(Route)


def test_other_words_for_routes_change_nothing_but_themselves(monkeypatch: pytest.MonkeyPatch, stanli: Engine) -> None:
    fits = fit_variants("normal_means", small_dataset(), engine=stanli, sampling=Sampling(draws=500, seed=20261205))
    before = compare(fits).as_dict()
    monkeypatch.setattr(scores, "_ROUTES", dict.fromkeys(Route, "it was found"))
    after = compare(fits)
    assert [s["route"] for s in after.as_dict()["scores"]] == ["it was found"] * 3
    assert [s | {"route": ""} for s in after.as_dict()["scores"]] == [s | {"route": ""} for s in before["scores"]]
    assert {s.route for s in after.scores} == {Route.EXACT, Route.INTEGRATED, Route.ROW_PRIOR}


def test_only_plain_psis_is_not_told_whatever_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "_ROUTES", dict.fromkeys(Route, "it was found"))
    plain = loo_of(np.linspace(-2, -1, 30))
    compared, lines = score({"a": plain, "b": replace(plain, route=Route.FOLDS)}), []
    show_scores(SimpleNamespace(show=lambda *shown: lines.extend(map(str, shown))), compared)  # type: ignore[arg-type]
    assert [line for line in lines if "it was found" in line] == ["b: it was found."]


# ---- sensitivity ------------------------------------------------------------------------------------------------


def test_other_words_for_a_conclusion_change_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = Interval(mean=0, sd=1, q05=-1, q50=0, q95=1)
    better = Conclusion(
        intervals={"mu": wide}, decision=Decision.BETTER, elpd_diff=10, se_diff=2, other="no", signs={"mu": Side.ABOVE}
    )
    alike = replace(better, decision=Decision.NOT_TOLD_APART)
    than_another = replace(better, other="complete")
    on_both_sides = replace(better, signs={"mu": Side.BOTH})
    monkeypatch.setattr(Conclusion, "verdict", property(lambda _: "what it was"))
    monkeypatch.setattr(Side, "words", property(lambda _: "somewhere"))
    assert [len(changes(better, now)) for now in (better, alike, than_another, on_both_sides)] == [0, 1, 1, 1]
    withheld = replace(better, decision=Decision.WITHHELD)
    assert (changes(better, withheld), changes(withheld, better)) == ([], [])


def test_other_words_for_a_way_change_no_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Interval(mean=0, sd=1, q05=-1, q50=0, q95=1)
    rows = [
        Without(group=way.value, route=way, pareto_k=0.9, intervals={"mu": one}, moves={"mu": 0.1}, flips=())
        for way in Way
    ]
    before = influence_sentences(rows, dict.fromkeys(Way, 1), 0.7, GROUPS)
    monkeypatch.setattr(Way, "words", property(lambda _: "weights"))
    assert influence_sentences(rows, dict.fromkeys(Way, 1), 0.7, GROUPS) == before
    assert [(row.reliable, row.as_dict()["route_kind"]) for row in rows] == [
        (True, "weights"), (True, "refit"), (False, "unreliable"), (False, "unknown"),
    ]  # fmt: skip


def test_a_parameter_that_is_called_new_is_not_the_new_groups() -> None:
    new = sensitivity._New(frozenset({"theta_new"}), GROUPS)
    assert sensitivity._name("theta_new[floor]", new) == ["new group (floor)"]
    assert sensitivity._name("rate_new", new) == parameter("rate_new")
    assert "rate_new" in str(sensitivity._in_words("rate_new and theta_new move.", new))


# ---- errors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["Run it elsewhere.", ""])
def test_the_way_out_is_named_once_whatever_its_words(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cmdstan_find, "_WITHOUT", words)
    monkeypatch.setattr(install, "cmdstan_home", lambda: tmp_path)
    for raised, message in (
        (NoCmdStanError("The disk is full."), f"The disk is full. {words}"),
        (EngineError("make failed."), f"make failed.\n{words}"),
    ):
        with pytest.raises(NoCmdStanError) as error, install._explained():
            raise raised
        assert str(error.value) == message


# ---- rows -------------------------------------------------------------------------------------------------------


def test_columns_of_the_reader_are_not_taken_for_results() -> None:
    fit = random_fit("normal", "x + (1 | g)", size=50)
    rows = pd.DataFrame(
        {"x": [6.0], "g": [fit.table.pooled.labels[0]], "age_mean": [1.0], "age_q05": [0.5], "age_q95": [2.0]}
    )
    prediction = predict(fit, rows, draws=False)
    assert prediction.summarised == ("expected", "new")
    tables: list[object] = []
    cli_predict._show(
        SimpleNamespace(show=lambda *shown: tables.extend(shown)),  # type: ignore[arg-type]
        prediction,
        needs_of(fit.family, fit.table),
    )
    assert [str(column.header) for column in tables[1].columns] == ["x", "g", "expected", "new observation"]  # type: ignore[attr-defined]


# ---- notices and checks -----------------------------------------------------------------------------------------


def test_page_one_leaves_out_notices_by_what_they_are_about() -> None:
    results = example_results()
    hint = "Energy mixes poorly in chain 3."
    results["fits"]["partial_pooling"]["verdicts"][8] |= {"status": "warn", "hint": hint}
    results["notices"] = ["Said in other words than the hint.", f"A group moves it. {hint}", "Few groups."]
    results["notices_about"] = ["check", "groups", "comparison"]
    assert front._new_notices(results) == [f"A group moves it. {hint}"]


def test_what_a_comparison_tells_of_p_loo_is_not_told_again_in_other_words() -> None:
    results = example_results()
    (score_,) = (s for s in results["comparison"]["scores"] if s["variant"] == "partial_pooling")
    score_["reading"] = "the model is badly misspecified."
    verdict = {**results["fits"]["partial_pooling"]["verdicts"][0], "status": "warn", "hint": "p_loo is far too large."}
    verdicts = [verdict | {"name": name} for name in ("p_loo", "p_loo, groups", "Pareto k")]
    results["fits"] = {"partial_pooling": {"verdicts": verdicts}}
    told = [block["items"] for block in diagnostics._told(results, {})]
    assert [item[0]["strong"].partition(", ")[2] for items in told for item in items] == [
        "p_loo, groups. ", "Pareto k. ",
    ]  # fmt: skip


def test_a_group_that_is_called_like_a_parameter_is_none() -> None:
    verdict = {"subject": "tau[1]", "name": "R-hat"}
    assert diagnostics._where(verdict) == parameter("tau[1]")
    assert diagnostics._where(verdict | {"name": "Pareto k"}) == ["tau[1]"]


def test_how_a_value_is_written_follows_from_its_check() -> None:
    written = {name: diagnostics._number(name, 0.0312) for name in ("R-hat", "MCSE", "Pareto k, groups", "bulk ESS")}
    assert written == {"R-hat": "0.031", "MCSE": "0.03", "Pareto k, groups": "0.03", "bulk ESS": "0"}
    known = {
        *CHECKS,
        "intraclass correlation",
        "Pareto k",
        "Pareto k, groups",
        "prior of a scale",
        LOO_PIT,
        CALIBRATION,
    }
    assert known >= {*_FIGURES, *OF_PARAMETERS}
    assert front._in_words("p_loo, groups", Noun("school", "schools")) == "effective number of parameters, schools"


# ---- what a coefficient multiplies ------------------------------------------------------------------------------


def test_what_a_coefficient_multiplies_is_not_read_from_the_words_for_its_ratio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    multiplied = {name: given.factor.word for name, given in likelihoods().items() if given.factor is not None}
    assert multiplied.keys() == {name for name, given in likelihoods().items() if given.ratio_words}
    assert (multiplied["poisson"], multiplied["lognormal"], multiplied["binomial"]) == ("rate", "median", "odds")
    fit = random_fit("poisson", "x + (1 | g)", size=50)
    other = replace(likelihoods()["poisson"], ratio_words="quotient of counts")
    monkeypatch.setattr(scales, "likelihood", lambda _: other)
    (sentence,) = brief_effects.effect_sentences(fit, None).sentences
    assert sentence.startswith("The rate is multiplied by about ")


def test_measures_stand_before_an_outcome_as_english_has_it() -> None:
    outcomes = {name: given.measure.of_outcome("cost") for name, given in likelihoods().items()}
    assert (outcomes["gamma"], outcomes["poisson"], outcomes["beta"], outcomes["estimates"]) == (
        "mean cost", "rate of cost", "mean share of cost", "true value cost",
    )  # fmt: skip
    zeros = likelihoods()["zero_inflated_poisson"].measure
    assert (zeros.words, scales._measured(zeros, "calls")) == (
        "rate, extra zeros apart,", "rate of calls (extra zeros apart)",
    )  # fmt: skip


# ---- columns and factors ----------------------------------------------------------------------------------------


def test_a_number_whose_name_has_an_equals_sign_is_no_level() -> None:
    data = frame().rename(columns={"x": "dose=mg"})
    fit = random_fit("poisson", "`dose=mg` + arm + arm:w + (1 | g)", data, size=50)
    phrases = {name: brief_effects._where(fit, name, {"arm": "both"}) for name in fit.table.design.names[1:]}
    assert phrases["dose=mg"] == "for one unit more of dose=mg"
    assert phrases["arm=drug"] == "with arm = drug instead of both"
    assert phrases["arm=drug:w"] == "for one unit more of arm=drug:w"
    rows = coefficient_table(fit).set_index("name")["indicator"]
    assert (rows["dose=mg"], rows["arm=drug"], rows["arm=drug:w"], rows["intercept"].any()) == (
        False,
        True,
        True,
        False,
    )
    assert for_one_more(filled(Coefficient, name="dose=mg")) == "for one unit more of dose=mg"
    assert scales.per(fit, "dose=mg") == "log rate per unit of dose=mg"
    assert scales.per(fit, "arm=drug") == "log rate"
    mean = fit.table.design.means[fit.table.design.names.index("dose=mg")]
    assert f"dose=mg {mean:.4g}" in " ".join(structure_in_words(fit.table.dataset, fit.table.design))


@pytest.mark.parametrize(
    ("bars", "added"),
    [
        ("(log(x) | g)", ["log(x)"]),
        ("(poly(x, 2) | g)", ["poly(x, 2)"] * 2),
        ("(0 + arm | g)", []),
        ("(w:x | g)", ["w:x"]),
    ],
)
def test_a_slope_without_a_mean_is_told_of_functions_too(bars: str, added: list[str]) -> None:
    dataset = Dataset.from_frame(frame()).read_as(make_reading(formula=f"y ~ 1 + {bars}"))
    told = [v for v in prepare_table(family("normal"), dataset).verdicts if v.name == "slope without a mean"]
    assert [v.hint.partition("add ")[2].partition(" to the formula")[0] for v in told] == added


def test_a_factor_knows_its_columns_whatever_they_are_called() -> None:
    outer, inner = make_factor("a:b", ["1", "2"]), make_factor("c", ["x", "x"])
    both = nested(outer, inner)
    assert (both.name, both.columns) == ("a:b:c", ("a:b", "c"))
    assert make_factor("a", ["1", "2"]).columns != both.columns[:1]
    assert len(relations([make_factor("a", ["1", "2"]), both])) == 1  # not a factor of a's levels
    assert relations([outer, both]) == []


# ---- page one ---------------------------------------------------------------------------------------------------


def test_page_one_has_the_first_sentence_whole_whatever_stops_are_in_it() -> None:
    fit = fake_fit()
    for finding in (
        Finding(title="t", sentences=("St. Louis is first. It may be chance.",), first="St. Louis is first."),
        Finding(title="t", sentences=("St. Louis is first.",)),
    ):
        findings = SimpleNamespace(own=[finding], fits={"partial_pooling": fit})
        assert brief._of_family(findings) == ["St. Louis is first."]  # type: ignore[arg-type]


def test_the_extremes_are_named_by_their_groups_whatever_their_labels() -> None:
    scale, ends = scales.Scale(words="mean", unit=""), {"q05": 0.0, "q50": 1.0, "q95": 2.0}
    row = filled(Quantiles, **ends, **{f"mcse_{key}": 0.1 for key in ends})
    groups = [
        Quantity(name=f"group[a: b]: {label}", term="a: b", scale=scale, row=row, group=label)
        for label in ("x: y", "z")
    ]
    (sentence,) = brief._lowest_and_highest(GROUPS, groups)
    assert "(x: y)" in sentence
    assert "(z)" in sentence


def test_the_column_of_a_spread_is_known_and_not_cut_out_of_its_name() -> None:
    fit = random_fit("normal", "`a: b` + (1 | g) + (`a: b` | h)", frame().rename(columns={"x": "a: b"}), size=20)
    assert column_of(fit.table.design, "sd[h: a: b]") == "a: b"
    assert column_of(fit.table.design, "tau[intercept]") == "intercept"


# ---- statistics of replicated data ------------------------------------------------------------------------------


def test_groups_that_are_called_rows_keep_their_own_statistics(monkeypatch: pytest.MonkeyPatch, stanli: Engine) -> None:
    rows = Dataset.from_frame(frame(), group="g", count="count").read_as(make_reading(group_name="row, rows"))
    fit = fit_variants("gamma_poisson", rows, ["partial_pooling"], engine=stanli)["partial_pooling"]
    shown = predictive_check(fit).statistics.set_index("kind")["name"]
    assert (shown[Statistic.SD], shown[Statistic.SD_OF_ROWS]) == ("standard deviation of the rows",) * 2
    monkeypatch.setattr(replicate, "in_words", lambda _fit, _statistic: "what it was")
    other = predictive_check(fit)
    assert list(other.statistics["kind"]) == list(shown.index)
    assert other.verdict.status == predictive_check(fit).verdict.status
