"""Columns named by role say a formula: the same analysis is written as the formula itself writes, and the same fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hbm_stan.analysis.new import New, new_analysis
from hbm_stan.attempts import family_and_data
from hbm_stan.cli.app import app
from hbm_stan.cli.roles import formula_among, table_and_roles
from hbm_stan.data import Dataset, load
from hbm_stan.errors import DataError, ModelError
from hbm_stan.fit import prepare_table
from hbm_stan.formula import with_formula
from hbm_stan.formula.roles import read_columns

# A table, the options that name its columns, the formula that says the same.
SAME = {
    "slopes": ("sleepstudy", "--group subject --outcome reaction_ms --predictors days --varying days",
               "reaction_ms ~ days + (1 + days | subject)"),
    "common slopes": ("radon", "--group county --outcome log_radon --predictors floor,log_uranium --varying=floor",
                      "log_radon ~ floor + log_uranium + (1 + floor | county)"),
    "columns of groups": ("radon",
                          "--group county --outcome log_radon --predictors floor --group-predictors log_uranium",
                          "log_radon ~ floor + log_uranium + (1 | county)"),
    "0 and 1": ("contraception", "--group district --outcome use --predictors urban,age10 --varying urban",
                "use ~ urban + age10 + (1 + urban | district)"),
    "trials": ("cbpp", "--group herd --successes incidence --trials size --predictors period",
               "incidence | trials(size) ~ period + (1 | herd)"),
    "trials of an outcome": ("baseball", "--group player --outcome hits --trials at_bats",
                             "hits | trials(at_bats) ~ 1 + (1 | player)"),
    "exposure": ("pumps", "--group pump --count failures --exposure time_1000h",
                 "failures | rate(time_1000h) ~ 1 + (1 | pump)"),
    "counts": ("salamanders", "--group site --count count --predictors mined,spp", "count ~ mined + spp + (1 | site)"),
    "estimates": ("bcg",
                  "--group trial --estimate log_risk_ratio --standard-error standard_error --predictors latitude",
                  "log_risk_ratio | se(standard_error) ~ latitude + (1 | trial)"),
    "variances": ("bcg", "--group trial --estimate log_risk_ratio --variance=standard_error",
                  "log_risk_ratio | se(sqrt(standard_error)) ~ 1 + (1 | trial)"),
    "amounts": ("repair_costs", "--group garage --outcome cost --predictors age", "cost ~ age + (1 | garage)"),
    "no predictors": ("dyestuff", "--group batch --outcome yield_g", "yield_g ~ 1 + (1 | batch)"),
}  # fmt: skip


def by_roles(words: str, to: Path, likelihood: str = "", **reading: Any) -> New:
    """What `hbm new` writes for these words."""
    formula, rest = formula_among(words.split(), "", likelihood)
    table, columns = table_and_roles(rest, "")
    return new_analysis(table, likelihood, columns, to, formula=formula, **reading)


@pytest.mark.parametrize("case", SAME)
def test_columns_say_what_a_formula_says(case: str, tmp_path: Path) -> None:
    data, words, formula = SAME[case]
    new = by_roles(f"{data} {words}", tmp_path / "roles")
    same = new_analysis(data, "", {}, tmp_path / "formula", formula=formula)
    assert new.path.read_text() == same.path.read_text()
    assert f'formula = "{formula}"\n' in new.path.read_text()
    assert new.notes[0] == f"These columns say the formula {formula}"
    assert new.notes[1].partition(" (")[0] == same.notes[0].partition(" (")[0]  # a count is said to be named as one
    assert new.notes[2:] == same.notes[1:]
    assert new.verdicts == same.verdicts


def test_the_command_says_and_writes_the_formula(tmp_path: Path) -> None:
    words = ["new", "sleepstudy", "--group=subject", "--outcome", "reaction_ms", "--predictors", "days"]
    to = ["--to", str(tmp_path / "a"), "--unit", "ms"]
    done = CliRunner().invoke(app, [*words, "--varying", "days", *to])
    assert done.exit_code == 0, done.output
    assert "These columns say the formula reaction_ms ~ days + (1 + days | subject)" in done.stdout
    assert 'formula = "reaction_ms ~ days + (1 + days | subject)"' in (tmp_path / "a" / "analysis.toml").read_text()
    refused = CliRunner().invoke(app, [*words, "--varying", "days", "--family", "linear_regression", *to, "--force"])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--varying is no option of the family linear_regression" in refused.stderr


def test_every_way_of_reading_goes_with_columns(tmp_path: Path) -> None:
    words = "owls --group nest --count calls --exposure brood --predictors food"
    reading: dict[str, Any] = {"zi": "~ food", "centre": False, "reference": {"food": "Satiated"}}
    new = by_roles(words, tmp_path / "roles", "zero_inflated_poisson", **reading)
    formula = "calls | rate(brood) ~ food + (1 | nest)"
    same = new_analysis(
        "owls", "zero_inflated_poisson", {}, tmp_path / "formula", formula=formula, **reading
    )  # fmt: skip
    assert new.path.read_text() == same.path.read_text()


def test_a_count_is_one_however_far_from_0(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"g": np.repeat([f"g{i}" for i in range(20)], 10), "n": rng.poisson(40, 200)})
    frame.to_csv(tmp_path / "n.csv", index=False)
    text = [
        by_roles(f"{tmp_path}/n.csv --group g --{role} n", tmp_path / role).path.read_text()
        for role in ("count", "outcome")
    ]
    assert 'likelihood = "poisson"' in text[0]
    assert 'likelihood = "normal"' in text[1]


def test_names_that_are_no_words_stand_in_backticks(tmp_path: Path) -> None:
    frame = pd.DataFrame({
        "class room": np.repeat(["a", "b", "c", "d", "e"], 6), "2nd mark": np.random.default_rng(3).normal(size=30),
        "hours, all": np.arange(30) % 7 + 0.5,
    })  # fmt: skip
    dataset = Dataset.from_frame(
        frame, group="class room", outcome="2nd mark", predictors="hours, all", varying=["hours, all"]
    )
    formula = "`2nd mark` ~ `hours, all` + (1 + `hours, all` | `class room`)"
    assert read_columns(dataset).reading.formula == formula
    assert with_formula(dataset).columns == {"group": "class room", "outcome": "2nd mark"}


def test_in_python_columns_go_with_a_likelihood() -> None:
    data = load("sleepstudy", group="subject", outcome="reaction_ms", predictors=["days"], varying="days")
    family, dataset = family_and_data("normal", data)
    prepared = prepare_table(family, dataset)
    assert prepared.design is not None
    assert [term.names for term in prepared.design.terms] == [("intercept", "days")]
    assert prepared.design.names == ("intercept", "days")
    assert prepared.dataset.reading.formula == "reaction_ms ~ days + (1 + days | subject)"


MISTAKES = {
    "no group": ("--outcome reaction_ms", "no column is named for the role 'group'.*--group, as in --group county"),
    "no outcome": ("--group subject", "no column is named for the role 'outcome'.*--outcome, as in --group"),
    "unknown": ("--group subject --outcome reaction_ms --predictors dayz", "'dayz' for the role 'predictors'. Did you"),
    "unknown slope": ("--group subject --outcome reaction_ms --varying dayz", "'dayz' for the role 'varying'. Did you"),
    "two groups": ("--group subject,days --outcome reaction_ms", "'group' takes one column, found subject, days.*a f"),
    "two outcomes": ("--group subject --outcome reaction_ms --count days", "outcome and count both name an outcome"),
    "no trials": ("--group subject --successes days", "successes needs its trials.*--trials;"),
    "no errors": ("--group subject --estimate days", "estimate needs its standard error.*--standard-error, or --vari"),
    "limits": ("--group subject --estimate days --lower days --upper days", "limits of estimates.*--family normal_me"),
    "limits beside a predictor": (
        "--group subject --estimate days --lower days --upper reaction_ms --predictors days",
        r"'days \| se\(\(reaction_ms - days\) / 3.92\) ~ days \+ \(1 \| subject\)'",
    ),
    "both beside": ("--group subject --outcome reaction_ms --trials days --exposure days", "no likelihood has them"),
    "itself": ("--group subject --outcome days --predictors days", "'days' is the outcome, and stands on the right"),
    "itself a group": ("--group subject --outcome subject", "'subject' is the outcome, and stands on the right"),
    "ratios": ("--group subject --estimate days --variance days", "log_scale is for estimates with limits"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_the_option(mistake: str, tmp_path: Path) -> None:
    words, message = MISTAKES[mistake]
    with pytest.raises(DataError, match=message):
        by_roles(f"sleepstudy {words}", tmp_path / "a", **({"log_scale": True} if mistake == "ratios" else {}))
    assert not (tmp_path / "a").exists()


def test_a_slope_that_varies_about_0_is_told(tmp_path: Path) -> None:
    new = by_roles("sleepstudy --group subject --outcome reaction_ms --varying days", tmp_path / "a")
    assert any("days varies by subject and has no common coefficient" in warning for warning in new.warnings)
    assert "reaction_ms ~ 1 + (1 + days | subject)" in new.path.read_text()


def test_a_family_with_fixed_slopes_refuses_the_option() -> None:
    words = ["sleepstudy", "--group", "subject", "--varying", "days"]
    with pytest.raises(ModelError, match=r"--varying is no option of the family linear_regression.*Leave --family out"):
        table_and_roles(words, "linear_regression")
    assert table_and_roles(words, "normal")[1] == {"group": "subject", "varying": "days"}
    with pytest.raises(ModelError, match=r"'--varyin' is no option of hbm new. Did you mean '--varying'"):
        table_and_roles(["sleepstudy", "--varyin", "days"], "")


def test_a_name_with_a_backtick_is_refused() -> None:
    frame = pd.DataFrame({"g`s": list("aabbcc"), "y": np.arange(6.0)})
    with pytest.raises(DataError, match=r"has a backtick, with which a formula quotes names. Rename it"):
        read_columns(Dataset.from_frame(frame, group="g`s", outcome="y"))


def test_limits_and_nothing_else_are_estimates_and_with_predictors_the_formula_is_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"study": list("abcdef"), "or": [0.8, 1.2, 0.9, 1.5, 0.7, 1.1], "year": range(1990, 1996)})
    frame.assign(lo=frame["or"] / 1.5, hi=frame["or"] * 1.5).to_csv(tmp_path / "meta.csv", index=False)
    run = CliRunner()
    words = f"new {tmp_path / 'meta.csv'} --group study --estimate or --lower lo --upper hi --log-scale".split()
    alone = run.invoke(app, [*words, "--to", str(tmp_path / "a")])
    assert alone.exit_code == 0, alone.output
    assert 'family = "normal_means"' in (tmp_path / "a" / "analysis.toml").read_text()
    with_year = run.invoke(app, [*words, "--predictors", "year", "--level", "0.9", "--to", str(tmp_path / "b")])
    assert with_year.exit_code == 2
    message = " ".join(with_year.output.split())
    formula = "log(or) | se((log(hi) - log(lo)) / 3.29) ~ year + (1 | study)"
    assert f"'{formula}'" in message
    assert not (tmp_path / "b").exists()
    written = run.invoke(app, ["new", str(tmp_path / "meta.csv"), formula, "--to", str(tmp_path / "b")])
    assert written.exit_code == 0, written.output


def test_a_count_divided_by_another_is_said_to_be_successes_of_trials(tmp_path: Path) -> None:
    rng = np.random.default_rng(20261129)
    patients = rng.integers(20, 60, 32)
    frame = pd.DataFrame(
        {"clinic": [f"c{k % 8}" for k in range(32)], "patients": patients, "dose": rng.normal(size=32)}
    )
    frame["cured"], frame["weight"] = rng.binomial(patients, 0.4), rng.uniform(20, 30, 32)
    frame.to_csv(tmp_path / "clinics.csv", index=False)
    notes = {
        left: " ".join(
            new_analysis(
                str(tmp_path / "clinics.csv"), "", {}, tmp_path / f"a{k}", formula=f"{left} ~ dose + (1 | clinic)"
            ).notes
        )
        for k, left in enumerate(["cured/patients", "weight/patients", "patients/cured", "cured*patients"])
    }
    assert "write cured | trials(patients) ~ ..." in notes.pop("cured/patients")
    assert not any("trials(" in text for text in notes.values())
