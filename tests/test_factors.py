"""Which grouping factor matters: the formula, the data and the scores of models that lack one of their factors."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hbm_stan.analysis.new import new_analysis
from hbm_stan.attempts import family_and_data
from hbm_stan.cli.app import app
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import ComparisonError
from hbm_stan.factors import WHOLE, FactorComparison, compare_factors, fit_models, judge_factors, reduced_models
from hbm_stan.fit import jobs_of
from hbm_stan.formula import without_factor
from hbm_stan.formula.parse import parse
from hbm_stan.judge import judge
from hbm_stan.model import Family
from hbm_stan.parameterise import Choice
from hbm_stan.store import FitStore

ROOT = Path(__file__).parent.parent
SAMPLING = Sampling(warmup=300, draws=500, seed=20261128)
FORMULA = "y ~ 1 + (1 | subject) + (1 | item)"


def crossed() -> pd.DataFrame:
    """24 subjects that do not differ, crossed with 8 items whose sd is twice the residual's."""
    rng = np.random.default_rng(20261128)
    subject, item = np.repeat(np.arange(24), 8), np.tile(np.arange(8), 24)
    y = 10 + 2 * rng.normal(size=8)[item] + rng.normal(size=len(item))
    return pd.DataFrame({"subject": [f"s{s}" for s in subject], "item": [f"i{i}" for i in item], "y": y.round(4)})


@pytest.fixture(scope="module")
def factor_comparison(tmp_path_factory: pytest.TempPathFactory) -> FactorComparison:
    """Both targets of the crossed table."""
    store = FitStore(tmp_path_factory.mktemp("fits"))
    return compare_factors(FORMULA, crossed(), sampling=SAMPLING, engine=StanliEngine(), store=store)


@pytest.mark.parametrize(
    ("formula", "factor", "left"),
    [
        ("y ~ x + (1 | a) + (1 | b)", "a", "y ~ x + (1 | b)"),
        ("y ~ x + (1 | a) + (1 | b)", "b", "y ~ x + (1 | a)"),
        ("y ~ (1 | a) + x + (1 | b)", "a", "y ~ x + (1 | b)"),
        ("y~(1|a)-1+x+(1|b)", "a", "y~ -1+x+(1|b)"),
        ("y ~ (1 | a/b)", "a", "y ~ (1 | a:b)"),
        ("y ~ (1 | a/b)", "a:b", "y ~ (1 | a)"),
        ("y ~ (1 + x || a/b/c)", "a:b", "y ~ (1 + x || a + a:b:c)"),
        ("y ~ x + ((1 + x | (a + `the b`)))", "a", "y ~ x + (1 + x | `the b`)"),
        ("y ~ (1 | a) + (0 + x | a) + (1 | b)", "a", "y ~ (1 | b)"),
        ("y ~ `a + b` + (1 | a) + (1 | b) + offset(log(e))", "b", "y ~ `a + b` + (1 | a) + offset(log(e))"),
    ],
)
def test_a_formula_without_a_factor(formula: str, factor: str, left: str) -> None:
    assert without_factor(formula, factor) == left
    whole, part = parse(formula), parse(left)
    assert part.factors == tuple(name for name in whole.factors if name != factor)
    assert (part.outcome, part.common, part.offsets) == (whole.outcome, whole.common, whole.offsets)


def test_a_factor_that_matters_is_told_from_one_that_does_not(factor_comparison: FactorComparison) -> None:
    item, subject = factor_comparison.pair("item"), factor_comparison.pair("subject")
    assert item is not None
    assert subject is not None
    assert (item.better, item.other, item.kind) == (WHOLE, "the model without item", "better_here")
    assert (item.reason, item.n_groups) == ("few", 8)  # the lead rests on items, not on subjects
    assert {label for label, _ in item.rests_on} <= {f"i{i}" for i in range(8)}
    assert (subject.kind, subject.n_groups) == ("alike", 24)
    assert any(
        s.startswith("The whole model predicts better than the model without item here")
        for s in factor_comparison.verdict
    )
    assert any("predict alike" in s and "the model without subject" in s.lower() for s in factor_comparison.verdict)
    # Of a new group only the group's own terms are judged; the sentence says how to ask for the other.
    assert factor_comparison.pair("item", "group") is None
    assert factor_comparison.pair("subject", "group") is not None
    assert "group = 'item'" in factor_comparison.verdict[-1]


def test_each_reduced_model_is_the_fit_of_its_own_formula(factor_comparison: FactorComparison) -> None:
    without = {model.factor: model for model in factor_comparison.models}
    assert (without["item"].formula, without["subject"].formula) == (
        "y ~ 1 + (1 | subject)",
        "y ~ 1 + (1 | item)",
    )
    own = jobs_of(*family_and_data(without["item"].formula, crossed()), ("partial_pooling",), None, SAMPLING,
                  StanliEngine())[0]  # fmt: skip
    assert factor_comparison.fits["the model without item"].key == own.key
    complete = jobs_of(*family_and_data(FORMULA, crossed()), ("complete_pooling",), None, SAMPLING, StanliEngine())[0]
    assert factor_comparison.fits["the model without subject"].key == complete.key


def test_a_lead_is_the_difference_of_the_two_scores(factor_comparison: FactorComparison) -> None:
    for unit, comparison in factor_comparison.comparisons.items():
        elpd = {score.variant: score.elpd for score in comparison.scores}
        for model in factor_comparison.models:
            pair = factor_comparison.pair(model.factor, unit)
            if pair is not None:
                assert pair.elpd_diff == pytest.approx(elpd[pair.better] - elpd[pair.other])
                assert {pair.better, pair.other} == {WHOLE, model.name}


def test_without_a_factor_is_a_limit_of_the_whole_model(
    factor_comparison: FactorComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A lead of 10 over 24 subjects, one of whom speaks against it: enough against complete pooling of that factor.
    models = reduced_models(*family_and_data(FORMULA, crossed()), "partial_pooling")
    table, together = factor_comparison.fits[WHOLE].table, factor_comparison.comparisons["observation"]
    lead = np.full(24, 11.5 / 23)
    lead[3] = -1.5
    worse = together.pointwise[WHOLE].elpd_i - lead[table.pooled.level] / 8
    name = "the model without subject"
    pointwise = {**together.pointwise, name: replace(together.pointwise[WHOLE], elpd_i=worse)}
    monkeypatch.setattr("hbm_stan.factors.compare", lambda *_a, **_k: replace(together, pointwise=pointwise))
    pair = judge_factors(models, factor_comparison.fits, "observation").pair("subject")
    assert pair is not None
    assert (pair.better, pair.kind, round(pair.elpd_diff, 6)) == (WHOLE, "better_here", 10.0)
    plain = judge(WHOLE, name, together.pointwise[WHOLE].elpd_i - worse, se=1, group=table.pooled.level, limit=False)
    assert plain.kind == "not_told_apart"


def test_inner_levels_stay_where_their_outer_factor_goes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.repeat(["p", "q", "r"], 8), "b": np.tile(np.repeat(["1", "2", "3", "4"], 2), 3),
                          "arm": np.tile(["x", "z"], 12), "y": np.sin(np.arange(24.0))})  # fmt: skip
    formula = "y ~ 1 + (1 | a/b) + (0 + arm | a)"
    family, data = family_and_data(formula, frame, reference={"arm": "z"})
    models = reduced_models(family, data, "partial_pooling")
    outer, inner = models.reduced
    assert (outer.factor, outer.stays, inner.factor, inner.stays) == ("a", ("a:b",), "a:b", ())
    assert "levels of a:b stay" in outer.note
    assert inner.note == ""
    chosen = {"sd": "half_normal(2)", "sd[a:b: intercept]": "half_normal(3)", "tau[intercept]": "half_normal(4)"}
    fits = fit_models(models, priors=chosen, sampling=Sampling(chains=1, warmup=5, draws=10), engine=StanliEngine(),
                      store=FitStore(tmp_path))  # fmt: skip
    complete, reduced = (fits[model.name] for model in models.reduced)
    assert complete.variant == "complete_pooling"
    assert complete.data["T"] > complete.data["G"]  # a:b is still there
    assert (reduced.data["T"], reduced.data["J"]) == (reduced.data["G"], 3)
    assert reduced.priors["tau[intercept]"].text == "half_normal(4)"
    assert not any(name.startswith("sd") for name in reduced.priors)


def test_levels_of_a_category_go_with_the_only_bar_that_reads_it() -> None:
    frame = crossed().assign(arm=np.tile(["x", "z"], 96))
    family, data = family_and_data("y ~ 1 + (1 | subject) + (1 + arm | item)", frame, reference={"arm": "z"})
    assert [m.factor for m in reduced_models(family, data, "partial_pooling").reduced] == ["subject", "item"]
    fits = fit_models(reduced_models(family, data, "partial_pooling"), engine=StanliEngine(),
                      sampling=Sampling(chains=1, warmup=5, draws=10))  # fmt: skip
    assert fits["the model without item"].data["T"] == 1


def test_the_form_of_each_reduced_model_may_be_chosen_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def choice(_family: Family, dataset: Dataset, **_: object) -> Choice:
        read.append(dataset.reading.formula)
        return Choice("partial_pooling_centered", "")

    monkeypatch.setattr("hbm_stan.factors.choose_parameterisation", choice)
    frame = crossed().assign(y=np.arange(192) % 5)
    models = reduced_models(*family_and_data(FORMULA, frame, likelihood="poisson"), "partial_pooling")
    fits = fit_models(models, engine=StanliEngine(), sampling=Sampling(chains=1, warmup=5, draws=10), forms=True)
    assert [fit.variant for fit in fits.values()] == ["partial_pooling", "complete_pooling", "partial_pooling_centered"]
    assert read == ["y ~ 1 + (1 | subject)"]


def analysis_of(folder: Path, formula: str, frame: pd.DataFrame, more: str = "") -> Path:
    folder.mkdir()
    frame.to_csv(folder / "rows.csv", index=False)
    new = new_analysis(str(folder / "rows.csv"), "", {}, folder / "a", formula=formula)
    text = new.path.read_text()
    assert "[sampling]" in text
    new.path.write_text(text.partition("[sampling]")[0] + f"[sampling]\n{more}")
    return new.path.parent


def test_the_command_says_what_python_says(factor_comparison: FactorComparison, tmp_path: Path, stanli: Engine) -> None:
    settings = f"warmup = {SAMPLING.warmup}\ndraws = {SAMPLING.draws}\nseed = {SAMPLING.seed}\n"
    folder, out = analysis_of(tmp_path / "c", FORMULA, crossed(), settings), tmp_path / "out.json"
    done = CliRunner().invoke(app, ["compare", str(folder), "--factors", "--engine", "stanli", "--json", str(out)])
    assert done.exit_code == 0, done.output
    written = json.loads(out.read_text())
    assert [f["factor"] for f in written["factors"]] == ["subject", "item"]
    assert list(written)[-2:] == ["observation", "group"]
    sentences = [*written["observation"]["verdict"], *written["group"]["verdict"]]
    assert sentences == [s for c in factor_comparison.comparisons.values() for s in c.verdict]
    flat = " ".join(done.output.split())
    assert all(sentence in flat for sentence in sentences)
    # The draws are those of the analysis and of its complete pooling: nothing is sampled twice.
    again = CliRunner().invoke(app, ["compare", str(folder), "--factors", "--engine", "stanli"])
    assert again.output.count("are used again") == 3


def test_nothing_is_concluded_from_chains_that_did_not_converge(tmp_path: Path, stanli: Engine) -> None:
    folder = analysis_of(tmp_path / "c", FORMULA, crossed(), "warmup = 1\ndraws = 30\n")
    out = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["compare", str(folder), "--factors", "--engine", "stanli", "--json", str(out)])
    assert done.exit_code == 1
    assert json.loads(out.read_text())["withheld"]
    assert "the whole model did not pass its checks" in done.output
    assert "predicts better" not in done.output


def test_a_model_with_one_factor_or_no_formula_is_refused(analysis: Path, tmp_path: Path) -> None:
    one = analysis_of(tmp_path / "o", "y ~ 1 + (1 | item)", crossed())
    for folder, words in ((analysis, "the family normal_means takes none"), (one, "one grouping factor only (item)")):
        done = CliRunner().invoke(app, ["compare", str(folder), "--factors", "--engine", "stanli"])
        assert done.exit_code == 2
        assert words in done.output
        assert "hbm compare without --factors" in done.output
        assert not (folder / "fits").exists()
    with pytest.raises(ComparisonError, match="no_pooling is another variant"):
        compare_factors(FORMULA, crossed(), "no_pooling")
    with pytest.raises(ComparisonError, match="no target 'groups'"):
        compare_factors(FORMULA, crossed(), target="groups")
