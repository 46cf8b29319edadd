"""`hbm new` writes down what only the analyst can tell, and says what is missing; the analysis reads it back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hbm_stan.analysis.new import new_analysis
from hbm_stan.analysis.read import read_analysis
from hbm_stan.analysis.told import Told, missing_unit
from hbm_stan.cli.app import app
from hbm_stan.errors import DataError

TABLE = "site,y,ward\na,3,a1\na,4,a2\nb,5,b1\nb,7,b2\nc,2,c1\nc,1,c2\nd,4,d1\nd,6,d2\na,2,a1\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "t.csv").write_text(TABLE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new(*words: str, family: str = "grouped_normal", outcome: str = "--outcome") -> Result:
    given = ["new", "t.csv", "--family", family, "--group", "site", outcome, "y", "--to", "a", "--force", *words]
    return CliRunner().invoke(app, given)


def test_what_was_told_is_written_and_read_back(place: Path) -> None:
    done = new("--group-name", "child, children", "--unit", "kg", "--question", 'How "heavy"?')
    assert done.exit_code == 0, done.output
    read = read_analysis(place / "a")
    assert (read.question, read.noun.one, read.noun.many) == ('How "heavy"?', "child", "children")
    assert read.dataset.unit("outcome") == "kg"
    for word in ("No unit", "No question", "calls a row"):
        assert word not in done.stdout


def test_what_was_not_told_is_said(place: Path) -> None:
    done = new("--json", "out.json")
    missing = json.loads((place / "out.json").read_text())["missing"]
    assert [m.split(":")[0] for m in missing] == ["No unit of 'y' is given", "No question is asked"]
    assert all(m in done.stdout for m in missing)
    read = read_analysis(place / "a")
    assert (read.noun.one, read.noun.many, read.question) == ("site", "sites", "")
    assert "# group_name = " in (place / "a" / "analysis.toml").read_text()


def test_a_column_whose_name_is_no_word_is_asked_about(place: Path) -> None:
    (place / "t.csv").write_text(TABLE.replace("site", "g1"))
    done = CliRunner().invoke(app, ["new", "t.csv", "--family", "grouped_normal", "--group", "g1", "--outcome", "y",
                                    "--to", "a"])  # fmt: skip
    assert "The report calls a row of 'g1' a group" in done.stdout
    assert read_analysis(place / "a").noun.many == "groups"


def test_unit_names_the_column_where_the_family_has_that_role(place: Path) -> None:
    done = new("--unit", "ward", "--outcome-unit", "kg", family="nested_normal")
    assert done.exit_code == 0, done.output
    read = read_analysis(place / "a")
    assert read.dataset.columns["unit"] == "ward"
    assert read.dataset.unit("outcome") == "kg"


def test_shares_and_counts_have_no_unit_to_ask_for(place: Path) -> None:
    (place / "t.csv").write_text(TABLE)
    assert "No unit" not in new(family="gamma_poisson", outcome="--count").stdout


def test_a_site_with_no_trials_is_refused_before_anything_is_written(place: Path) -> None:
    (place / "t.csv").write_text("site,events,n\nA,4,40\nB,5,55\nC,0,0\nD,12,120\n")
    done = CliRunner().invoke(app, ["new", "t.csv", "--family", "beta_binomial", "--group", "site", "--successes",
                                    "events", "--trials", "n", "--to", "a"])  # fmt: skip
    assert done.exit_code == 2
    assert "C has 0 trials" in done.output
    assert not (place / "a").exists()


def test_the_unit_of_an_analysis_is_a_text(place: Path) -> None:
    new()
    toml = place / "a" / "analysis.toml"
    toml.write_text("unit = 3\n" + toml.read_text())
    done = CliRunner().invoke(app, ["fit", "a"])
    assert done.exit_code == 2
    assert "unit must be a text" in done.output


def test_a_report_names_the_missing_unit(place: Path) -> None:
    from hbm_stan.fit import prepare_table

    new()
    read = read_analysis(place / "a")
    assert missing_unit(prepare_table(read.family, read.dataset), read.family) == [
        "No unit of 'y' is given: say it with --unit of hbm new, or unit in analysis.toml."
    ]


def test_a_unit_that_is_a_column_of_labels_is_refused(place: Path) -> None:
    # Else the nesting of classes in schools would be lost without a word.
    (place / "pupils.csv").write_text(
        "school,class,score,kg\n" + "".join(f"s{k % 4},c{k % 3},{k},{k}\n" for k in range(24))
    )
    columns = {"group": "school", "outcome": "score"}
    with pytest.raises(DataError, match=r"'class' is a column of labels.*\(1 \| school/class\).*--unit class"):
        new_analysis(str(place / "pupils.csv"), "", columns, place / "a", told=Told(unit="class"))
    assert not (place / "a").exists()
    # A column of numbers may well be called what it is measured in.
    new_analysis(str(place / "pupils.csv"), "", {**columns, "outcome": "kg"}, place / "b", told=Told(unit="kg"))
