"""Predictors of words and outcomes of two words: levels, their order, and what is no level at all.

Tables are those of public threads, made small: readr issues 268, 455 and 521, rio issue 159, data.table issue 6604.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hbm_stan.analysis.read import read_analysis
from hbm_stan.cells import distinct, truth
from hbm_stan.cli.app import app
from hbm_stan.data import Dataset, load
from hbm_stan.errors import DataError, HbmError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.prepare import Prepared

ARMS = ["none", "low", "high"] * 6


def table(family_name: str = "linear_regression", role: str = "predictors", y: Any = None, **columns: Any) -> Prepared:
    """A table of 18 rows in three groups; one column beside group and outcome, read in ``role``."""
    reading = {k: columns.pop(k) for k in ("levels", "reference") if k in columns}
    frame = pd.DataFrame({"g": list("AABBCC") * 3, "y": np.arange(18.0) if y is None else y} | columns)
    roles = {role: list(columns)} if columns else {}
    return prepare_table(family(family_name), Dataset.from_frame(frame, group="g", outcome="y", **roles, **reading))


def terms(prepared: Prepared, role: str = "predictors") -> tuple[str, ...]:
    return prepared.predictors[role].names


def column(prepared: Prepared, name: str) -> list[float]:
    read = prepared.predictors["predictors"]
    return [float(v) for v in read.values[:, read.names.index(name)]]


def repeated(*cells: Any) -> list[Any]:
    return [cells[i % len(cells)] for i in range(18)]


@pytest.mark.parametrize(
    "word", ["NA", "n/a", "N.A.", "#N/A", ".", "NaN", "null", "-", "?", "", " ", "<NA>", "#DIV/0!", "k.A.", "--"]
)
@pytest.mark.parametrize("role", ["predictors", "group_predictors"])
def test_what_stands_for_a_missing_value_is_no_level(word: str, role: str) -> None:
    """A smoking status with NA (readr issue 455) became a third level."""
    with pytest.raises(DataError) as caught:
        table(role=role, smoke=repeated("yes", "no", word))
    message = str(caught.value)
    assert "'smoke': no value in row 3" in message
    assert "fill them in or take them out" in message
    assert ("under [levels]" in message) == bool(word.strip())


@pytest.mark.parametrize("cell", [None, np.nan, pd.NA, pd.NaT])
def test_a_missing_cell_of_any_type_is_no_level(cell: Any) -> None:
    with pytest.raises(DataError, match="'smoke': no value in row 3, row 6"):
        table(smoke=repeated("yes", "no", cell))
    with pytest.raises(DataError, match="'smoke': no value in row 3, row 6"):
        table(smoke=pd.Categorical(repeated("yes", "no", None)))
    with pytest.raises(DataError, match="'on': no value in row 3, row 6"):
        table(on=pd.array(repeated(True, False, pd.NA), dtype="boolean"))


@pytest.mark.parametrize("word", ["none", "NA", "unknown", "nil"])
def test_a_word_that_was_named_as_a_level_is_one(word: str) -> None:
    cells = repeated(word, "KE", "UG")
    assert set(terms(table(land=cells, levels={"land": [word, "KE"]}))) == {"land=KE", "land=UG"}
    assert set(terms(table(land=pd.Categorical(cells)))) >= {"land=UG"}


@pytest.mark.parametrize(("cells", "names"), [(ARMS, ("arm=low", "arm=high")), (["-", "+"] * 9, ("arm=+",))])
def test_words_that_are_levels_stay_levels(cells: list[str], names: tuple[str, ...]) -> None:
    """``none`` is an arm without a drug, and - beside + a result."""
    prepared = table(arm=cells)
    assert terms(prepared) == names
    assert not [v for v in prepared.verdicts if v.name == "missing labels"]


def test_a_level_called_missing_is_asked_about() -> None:
    warned = [v for v in table(smoke=repeated("yes", "no", "missing")).verdicts if v.name == "missing labels"]
    assert [(v.status, v.subject) for v in warned] == [("warn", "smoke")]
    assert "name of one of the levels" in warned[0].hint


@pytest.mark.parametrize("pair", [("Yes", "yes"), ("low dose", "low  dose"), ("Straße", "STRASSE"), ("seven", "7x")])
@pytest.mark.parametrize("role", ["predictors", "group_predictors"])
def test_levels_that_look_alike_are_warned_of_as_groups_are(pair: tuple[str, str], role: str) -> None:
    cells = [{"A": pair[0], "B": pair[1], "C": "other"}[g] for g in list("AABBCC") * 3]
    warned = [v for v in table(role=role, arm=cells).verdicts if v.name == "similar labels"]
    assert bool(warned) == (pair[1] != "7x")
    for v in warned:
        assert v.subject == "arm"
        assert "two levels" in v.hint
        assert repr(pair[0]) in v.hint


@pytest.mark.parametrize(
    ("labels", "alike"),
    [
        (("00501", "501", "x"), True),
        (("7.0", "7", "x"), True),
        (("0", "00", "x"), True),
        (("10", "1", "100"), False),
        (("1.0", "10", "0.1"), False),
        (("12345678901234567", "12345678901234568", "x"), False),
        (("a0", "a", "0a"), False),
    ],
)
def test_numbers_that_are_names_may_have_lost_their_zeros(labels: tuple[str, ...], alike: bool) -> None:
    frame = pd.DataFrame({"g": [*labels] * 2, "y": np.arange(6.0)})
    prepared = prepare_table(family("grouped_normal"), Dataset.from_frame(frame, group="g", outcome="y"))
    assert any(v.name == "similar labels" for v in prepared.verdicts) == alike
    assert prepared.pooled.labels == labels


# Order and reference


def test_levels_keep_the_order_of_the_table_where_nothing_else_is_said() -> None:
    prepared = table(dose=repeated("Medium", "High", "Low"))
    assert terms(prepared) == ("dose=High", "dose=Low")
    assert prepared.notes == ("dose: levels are compared with 'Medium', the first in the table.",)
    assert prepared.predictors["predictors"].levels == {"dose": ("Medium", "High", "Low")}


def test_a_category_of_a_frame_has_its_own_order_and_reference() -> None:
    order = ["Low", "Medium", "High"]
    prepared = table(dose=pd.Categorical(repeated("Medium", "High", "Low"), categories=order, ordered=True))
    assert terms(prepared) == ("dose=Medium", "dose=High")
    assert column(prepared, "dose=High") == repeated(0.0, 1.0, 0.0)
    assert "'Low', the first of the category" in prepared.notes[0]


def test_levels_without_rows_do_no_harm() -> None:
    cells = repeated("b", "c")
    unused = table(dose=pd.Categorical(cells, categories=["z", "a", "c", "b"]))
    assert terms(unused) == ("dose=b",)
    assert column(unused, "dose=b") == repeated(1.0, 0.0)
    group = pd.DataFrame({"g": pd.Categorical(list("AB") * 3, categories=list("CBA")), "y": np.arange(6.0)})
    assert prepare_table(family("grouped_normal"), Dataset.from_frame(group, group="g", outcome="y")).pooled.labels == (
        "A",
        "B",
    )


@pytest.mark.parametrize("cells", [repeated(1, 2, 3), repeated(1.0, 2.0, 3.0)])
def test_numbers_that_are_a_category_are_one(cells: list[float]) -> None:
    assert terms(table(arm=cells)) == ("arm",)
    assert terms(table(arm=pd.Categorical(cells))) == ("arm=2", "arm=3")
    assert terms(table(arm=cells, reference={"arm": 2})) == ("arm=1", "arm=3")


@pytest.mark.parametrize(
    ("cells", "term", "first"),
    [
        (repeated(True, False), "on=True", 1.0),
        (repeated("TRUE", "FALSE"), "on=TRUE", 1.0),
        (repeated("no", "yes"), "on=yes", 0.0),
        (repeated("Yes", "No"), "on=Yes", 1.0),
    ],
)
def test_yes_is_compared_with_no_whatever_comes_first(cells: list[Any], term: str, first: float) -> None:
    prepared = table(on=cells)
    assert terms(prepared) == (term,)
    assert column(prepared, term)[0] == first


@pytest.mark.parametrize(
    "reading",
    [{"reference": {"arm": "low"}}, {"levels": {"arm": "low"}}, {"levels": {"arm": ["low", "none", "high"]}}],
)
@pytest.mark.parametrize("cells", [ARMS, pd.Categorical(ARMS, categories=["high", "none", "low"])])
def test_the_level_to_compare_with_is_the_one_that_was_named(reading: dict[str, Any], cells: Any) -> None:
    prepared = table(arm=cells, **reading)
    assert set(terms(prepared)) == {"arm=none", "arm=high"}
    assert column(prepared, "arm=none") == repeated(1.0, 0.0, 0.0)
    assert column(prepared, "arm=high") == repeated(0.0, 0.0, 1.0)
    assert "'low', as asked" in prepared.notes[0]


def test_an_order_is_kept_as_it_was_named() -> None:
    assert terms(table(arm=ARMS, levels={"arm": ["high", "low", "none"]})) == ("arm=low", "arm=none")
    assert terms(table(arm=ARMS, levels={"arm": ["high"]})) == ("arm=none", "arm=low")


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        ({"reference": {"arm": "plow"}}, ("'arm'", "no level 'plow'", "Did you mean 'low'?")),
        ({"reference": {"arn": "low"}}, ("'arn'", "no predictor", "Did you mean 'arm'?")),
        ({"levels": {"arm": ["low", "low"]}}, ("'arm'", "'low' twice")),
        ({"levels": {"arm": []}}, ("'arm'", "Name each level once")),
        ({"levels": ["low"]}, ("levels", "by column")),
    ],
)
def test_a_wrong_level_is_refused_in_words(reading: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        table(arm=ARMS, **reading)
    assert all(word in str(caught.value) for word in words)


def test_another_reference_is_another_design_and_another_order_of_rows_is_not() -> None:
    frame = pd.DataFrame({"g": list("AABBCC") * 3, "y": np.arange(18.0), "arm": ARMS})
    roles = {"group": "g", "outcome": "y", "predictors": ["arm"]}
    as_it_is = prepare_table(family("linear_regression"), Dataset.from_frame(frame, roles, reference={"arm": "low"}))
    order = np.random.default_rng(4).permutation(18)
    moved = prepare_table(
        family("linear_regression"),
        Dataset.from_frame(frame.iloc[order], roles, levels={"arm": ["low", "none", "high"]}),
    )
    x, shuffled = (t.predictors["predictors"] for t in (as_it_is, moved))
    assert x.names == shuffled.names
    assert np.array_equal(x.values[order], shuffled.values)


# Columns that are no categories


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (repeated("2015-03-01", "2015-03-02"), "days since the first"),
        (repeated("01.03.2015", "2.3.2015"), "days since the first"),
        (repeated("3/1/15", "03/01/2015"), "days since the first"),
        (repeated("1 Mar 2015", "March 2, 2015", "2015-03-03 12:30"), "days since the first"),
        (repeated("2015-03-01", "", "02.03.2015", "2015/3/4"), "days since the first"),
        (list(pd.date_range("2015-03-01", periods=18)), "days since the first"),
        (repeated("5%", "10 %"), "write 0.28 for 28 %"),
        (repeated("3,1", "2,9"), "decimal point"),
        (repeated("1,200", "800"), "thousands separators"),
        (repeated("0", "1", "3+"), "name its levels"),
        (repeated("n.a.", "NA", "#N/A", "-999", "4"), "no value in row 1, row 2, row 3"),
    ],
)
def test_dates_and_numbers_in_other_clothes_are_refused_in_words(cells: list[Any], words: str) -> None:
    """Dates: rio issue 159; percent signs, decimal commas and -999: readr issues 268 and 521."""
    with pytest.raises(DataError, match="'x'") as caught:
        table(x=cells)
    assert words in str(caught.value)


def test_days_as_one_number_are_a_number_and_dates_may_be_levels() -> None:
    assert terms(table(day=repeated(*range(20240101, 20240119)))) == ("day",)
    few = repeated("2015-03-01", "2015-06-01")
    assert terms(table(wave=few, reference={"wave": "2015-06-01"})) == ("wave=2015-03-01",)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("city,yield,rain,rain\nA,8.5,0,0\nA,9.5,1,1\nB,10.5,2,2\nB,11.5,0,3\n")
    with pytest.raises(DataError, match="'rain' appears more than once"):
        load(path)


def test_a_category_has_no_unit_and_is_named_as_its_column() -> None:
    """An indicator beside an outcome in milliseconds is no predictor on a wrong scale."""
    cells = repeated("b", "a", "c", "a")
    prepared = table(y=np.arange(18) * 1e4, arm=cells)
    assert not [
        v for v in prepared.verdicts if v.name in {"unscaled predictor", "uncentred predictor", "collinear predictor"}
    ]
    constant = table(arm=list("aabbcc") * 3)
    assert [v.subject for v in constant.verdicts if v.name == "collinear predictor"] == ["arm"]


# An outcome of two words


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        (repeated(True, False, False), "y: True is taken as 1, False as 0."),
        (pd.array(repeated(True, False, False), dtype="boolean"), "y: True is taken as 1, False as 0."),
        (repeated("TRUE", "FALSE", "false "), "y: TRUE is taken as 1, FALSE as 0."),
        (repeated("yes", "no", "no"), "y: yes is taken as 1, no as 0."),
        (pd.Categorical(repeated("yes", "no", "no"), categories=["yes", "no"]), "y: yes is taken as 1, no as 0."),
        (repeated("Y", "n", "N"), "y: Y is taken as 1, n as 0."),
    ],
)
def test_an_outcome_of_two_words_is_0_and_1_and_said(cells: Any, note: str) -> None:
    prepared = table("logistic_regression", y=cells)
    assert prepared["outcome"].tolist() == repeated(1.0, 0.0, 0.0)
    assert prepared.notes == (note,)
    assert table("logistic_regression", y=repeated(1, 0, 0)).notes == ()


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (repeated("yes", "no", "maybe"), ("yes", "row 3: 'maybe', row 6", "one pair of words")),
        (repeated(True, False, None), ("no value in row 3, row 6",)),
        (pd.array(repeated(True, False, pd.NA), dtype="boolean"), ("no value in row 3",)),
        (repeated("yes", "no", "NA"), ("no value in row 3",)),
        (repeated("yes", "no", "1"), ("row 3: '1'",)),
        (repeated("yes", "no", "TRUE"), ("row 3: 'TRUE'",)),
        (repeated("0%", "3%"), ("row 1: '0%'",)),
        (repeated(0.083, 0.5), ("must be 0 or 1", "row 1: '0.083'")),
        (repeated("dead", "alive"), ("row 1: 'dead'", "Write 1 for yes and 0 for no")),
    ],
)
def test_an_outcome_of_other_words_is_refused_in_words(cells: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="'y'") as caught:
        table("logistic_regression", y=cells)
    assert all(word in str(caught.value) for word in words)


def test_truth_is_no_measurement() -> None:
    with pytest.raises(DataError, match="Write 1 and 0 if numbers are meant"):
        table("linear_regression", y=repeated(True, False))


def test_cells_are_the_same_only_with_their_type() -> None:
    assert sorted(map(repr, distinct([1, True, 1, 1.0, "1", True, "1"]))) == ["'1'", "1", "1.0", "True"]
    assert distinct([[1], [1], 2]) == [[1], [1], 2]  # lists cannot be compared by their hash
    assert any(map(truth, distinct((1, 0, 1, True))))


# hbm new and analysis.toml


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [f"{'ABC'[i % 3]},{i},{arm},{'TRUE' if i % 4 else 'FALSE'}" for i, arm in enumerate([*ARMS, "High"])]
    (tmp_path / "t.csv").write_text("\n".join(["g,y,arm,cured", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*words: str, family_name: str = "linear_regression", outcome: str = "y") -> Any:
    call = ["new", "t.csv", "--family", family_name, "--group", "g", "--outcome", outcome, "--predictors", "arm"]
    return CliRunner().invoke(app, [*call, "--to", "a", "--json", "new.json", *words])


def test_new_writes_the_levels_and_says_what_to_look_at(trial: Path) -> None:
    done = new(family_name="logistic_regression", outcome="cured")
    assert done.exit_code == 0, done.output
    settings = tomllib.loads((trial / "a" / "analysis.toml").read_text())
    assert settings["levels"] == {"arm": ["none", "low", "high", "High"]}
    assert "cured: TRUE is taken as 1, FALSE as 0." in done.stdout
    assert "Warning: The labels 'high' and 'High'" in done.stdout
    written = json.loads((trial / "new.json").read_text())
    assert "cured: TRUE is taken as 1, FALSE as 0." in written["notes"]
    assert [v["subject"] for v in written["verdicts"] if v["name"] == "similar labels"] == ["arm"]


def test_the_reference_of_new_is_that_of_the_analysis(trial: Path) -> None:
    done = new("--reference", "arm=low")
    assert done.exit_code == 0, done.output
    read = read_analysis(trial / "a")
    assert terms(prepare_table(read.family, read.dataset)) == ("arm=none", "arm=high", "arm=High")
    assert {name for name in read.priors if name.startswith("mu")} == {
        "mu[intercept]", "mu[arm=none]", "mu[arm=high]", "mu[arm=High]",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--reference", "arm=lo"], "Did you mean 'low'?"),
        (["--reference", "arm"], "--reference arm=placebo"),
        (["--reference", "arm=low", "--reference", "arm=high"], "two levels of arm"),
        (["--reference", "am=low"], "Did you mean 'arm'?"),
    ],
)
def test_a_wrong_reference_is_exit_code_2(trial: Path, words: list[str], message: str) -> None:
    done = new(*words)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.output.split())
    assert not (trial / "a").exists()


def test_levels_of_an_analysis_are_those_of_its_section(trial: Path) -> None:
    new()
    file = trial / "a" / "analysis.toml"
    text = file.read_text()
    head = text.index("[levels]")
    end = text.index("\n\n", head)
    for line, first in (('arm = "high"', "arm=none"), ('arm = ["high", "low"]', "arm=low")):
        file.write_text(f"{text[:head]}[levels]\n{line}{text[end:]}")
        read = read_analysis(file)
        assert terms(prepare_table(read.family, read.dataset))[0] == first
    file.write_text(f"{text[:head]}[levels]\narm = 3{text[end:]}")
    with pytest.raises(HbmError, match="no level '3'"):
        prepare_table(read.family, read_analysis(file).dataset)
