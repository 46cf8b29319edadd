"""Sentences call the groups what the analyst calls them; "group" is left to roles, methods and technical terms."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_fits import loo_of
from typer.testing import CliRunner

from hbm_stan.cli.app import app
from hbm_stan.compare import KNOWN_GROUP, LEFT_OUT_GROUP, NEW_GROUP, score
from hbm_stan.data import Dataset
from hbm_stan.elements import in_term
from hbm_stan.errors import DataError
from hbm_stan.examples import analyses
from hbm_stan.families import families, family
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family
from hbm_stan.nouns import Noun
from hbm_stan.report.sections.diagnostics import verdict_table
from hbm_stan.sensitivity.influence import Without, _sentences
from hbm_stan.sensitivity.way import Way

CHILD = Noun("child", "children")
# What keeps its name: the method, effects that are integrated out, the role of a predictor.
TERMS = re.compile(r"leave-one-group-out|group effects?|group predictors?|group_\w+|\w+_group", re.IGNORECASE)


def spoken(text: str) -> list[str]:
    """The words for groups in a text that are no technical terms."""
    return re.findall(r"\bgroups?\b", TERMS.sub("", text), re.IGNORECASE)


def texts_of(family: Family) -> list[str]:
    of_variants = [text for v in family.programs.variants for text in (v.assumption, v.parameterisation, v.better)]
    return [*of_variants, *(in_term(row.meaning) for row in family.programs.prior_rows)]


@pytest.mark.parametrize("name", families())
def test_texts_of_families_leave_a_place_for_the_noun(name: str) -> None:
    for text in texts_of(family(name)):
        filled = CHILD.fill(text)
        assert not spoken(filled), text
        assert "{" not in filled, text


def test_reasons_of_default_priors_name_the_groups() -> None:
    seen = ""
    for read in analyses().values():
        named = replace(read.dataset, reading=replace(read.dataset.reading, group_name="child, children"))
        table = prepare_table(read.family, named)
        for prior in read.family.priors(table).values():
            assert not spoken(prior.reason), prior.reason
            assert "{" not in prior.reason
            seen += prior.reason
    assert "children may differ" in seen


def compared(unit: str, size: int, target: str) -> list[str]:
    lead = np.linspace(-1, 6, size)
    scores = {"partial_pooling": loo_of(lead), "complete_pooling": loo_of(np.zeros(size))}
    scores["no_pooling"] = replace(loo_of(np.zeros(size)), prior="normal(0, 1)")
    comparison = score(scores, target, unit=unit, noun=CHILD)  # type: ignore[arg-type]
    return [comparison.target, *comparison.verdict, repr(comparison)]


@pytest.mark.parametrize("target", [KNOWN_GROUP, NEW_GROUP, LEFT_OUT_GROUP])
@pytest.mark.parametrize("unit", ["group", "observation"])
@pytest.mark.parametrize("size", [4, 12, 40])
def test_a_comparison_names_the_groups(unit: str, size: int, target: str) -> None:
    texts = compared(unit, size, target)
    assert [s for s in texts if spoken(s)] == []
    assert "bootstrap over children" in " ".join(texts)


def test_what_is_said_of_single_groups_reaches_page_one_whatever_they_are_called() -> None:
    still = Without(group="Ann", route=Way.WEIGHTS, pareto_k=0.1, intervals={}, moves={"mu": 0.2}, flips=())
    sentences, first = _sentences([still], {Way.WEIGHTS: 1}, 0.7, CHILD)
    assert sentences[0].startswith("No child alone moves the population")
    assert first == []


def test_data_are_judged_in_the_words_of_the_analyst() -> None:
    frame = pd.DataFrame({"g": ["a", "b", "c", "total"], "y": [1.0, 2, 3, 6]})
    data = Dataset.from_frame(frame, group="g", outcome="y", group_name="child, children")
    verdicts = prepare_table(family("grouped_normal"), data).verdicts
    hints = [v.hint for v in verdicts if v.hint]
    assert len(hints) >= 3
    assert [h for h in hints if spoken(h)] == []
    rows = verdict_table("Checks.", [v.as_dict() for v in verdicts], CHILD)["rows"]
    assert ["number of children"] in [row[0] for row in rows]


def test_the_name_of_a_group_is_a_text() -> None:
    frame = pd.DataFrame({"g": ["a", "b"], "y": [1.0, 2]})
    with pytest.raises(DataError, match="group_name must be a text"):
        Dataset.from_frame(frame, group="g", outcome="y", group_name=3)


@pytest.mark.usefixtures("stanli", "undrawn")
def test_a_whole_analysis_says_group_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    rows = [f"c{j},{x},{rng.normal(j % 3 + x, 1):.3f}" for j in range(6) for x in (0, 1, 2, 3)]
    Path("t.csv").write_text("g,x,y\n" + "\n".join(rows))
    new = ["new", "t.csv", "--family", "linear_regression", "--group", "g", "--outcome", "y", "--predictors", "x",
           "--group-name", "child, children", "--to", "a"]  # fmt: skip
    assert CliRunner().invoke(app, new).exit_code == 0
    done = CliRunner().invoke(app, ["report", "a", "--engine", "stanli"])
    assert done.exit_code in {0, 1}, done.output
    results = json.loads(Path("a/results.json").read_text())
    assert results["data"]["noun"] == CHILD.as_dict()
    sections = {k: results[k] for k in ("answer", "notices", "priors", "comparison", "group_comparison", "sensitivity",
                                    "new_group", "shrinkage_notes", "findings")}  # fmt: skip
    texts = [text for text in strings(sections) if " " in text and spoken(text)]
    assert texts == []
    assert [line for line in done.stdout.splitlines() if spoken(line)] == []


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for part in inner for text in strings(part)]
