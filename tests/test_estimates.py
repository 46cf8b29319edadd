"""Estimates as papers give them: variances, limits and ratios become the standard errors that are meant.

``ODDS`` is the table of Cross Validated question 532817 (odds ratios with 95 % limits); log odds ratios and their
standard errors beside it were computed without this package.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import halfnorm, norm
from typer.testing import CliRunner

from hbm_stan.analysis.read import read_analysis
from hbm_stan.cli.app import app
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.prepare import Prepared
from hbm_stan.report.build import fit_analysis
from hbm_stan.report.view import view_of
from hbm_stan.results.collect import find
from hbm_stan.results.document import results

ODDS = """study,OR,lower,upper,log_or,se
Cohort A,0.75,0.6242,0.9012,-0.28768,0.09369
Cohort B,0.85,0.6948,1.0399,-0.16252,0.10287
Cohort C,1.42,0.88,2.29,0.35066,0.24398
Cohort D,0.61,0.33,1.12,-0.49430,0.31174
"""
ROLES = {"group": "study", "estimate": "OR", "lower": "lower", "upper": "upper"}


def odds(**changes: Any) -> pd.DataFrame:
    lines = [line.split(",") for line in ODDS.splitlines()]
    frame = pd.DataFrame(lines[1:], columns=lines[0])
    return frame.astype({c: float for c in frame if c != "study"}).assign(**changes)


def read(frame: pd.DataFrame, roles: dict[str, str] | None = None, **reading: Any) -> Prepared:
    return prepare_table(family("normal_means"), Dataset.from_frame(frame, roles or ROLES, **reading))


def warned(prepared: Prepared, name: str) -> list[str]:
    return [v.hint for v in prepared.verdicts if v.name == name and v.status == "warn"]


def test_a_variance_is_the_square_of_a_standard_error() -> None:
    """Effects with a column of variances: jasp-desktop issue 2277, MAJOR issue 5."""
    frame = odds(variance=odds()["se"] ** 2)
    prepared = read(frame, {"group": "study", "estimate": "log_or", "variance": "variance"})
    assert np.allclose(prepared["standard_error"], odds()["se"], rtol=1e-12)
    assert prepared["estimate"].tolist() == odds()["log_or"].tolist()
    assert prepared.notes == ("Standard errors are the square roots of variance.",)
    assert not warned(prepared, "measure of spread")


def test_limits_of_ratios_give_the_standard_errors_of_their_logs() -> None:
    prepared = read(odds(), log_scale=True)
    assert np.allclose(prepared["estimate"], odds()["log_or"], atol=5e-6)
    # The third and fourth limits have two decimals, and so their standard errors.
    assert np.allclose(prepared["standard_error"], odds()["se"], atol=1e-4)
    assert "limits of 95 %" in prepared.notes[0]
    assert [v.status for v in prepared.verdicts if v.name in {"limits of ratios", "uneven limits"}] == []


@pytest.mark.parametrize(
    ("level", "z"), [(None, 1.959964), (0.95, 1.959964), (95, 1.959964), (0.9, 1.644854), (99, 2.575829)]
)
def test_limits_hold_the_share_that_is_said(level: float | None, z: float) -> None:
    """Two-sided: 90 % limits are 1.645 standard errors away, not 1.282."""
    y, se = odds()["log_or"], odds()["se"]
    frame = odds(low=y - z * se, high=y + z * se)
    roles = {"group": "study", "estimate": "log_or", "lower": "low", "upper": "high"}
    prepared = read(frame, roles, **({} if level is None else {"level": level}))
    assert np.allclose(prepared["standard_error"], se, rtol=1e-6)
    assert prepared["estimate"].tolist() == y.tolist()
    ratios = odds(OR=np.exp(y), lower=np.exp(y - z * se), upper=np.exp(y + z * se))
    prepared = read(ratios, log_scale=True, **({} if level is None else {"level": level}))
    assert np.allclose(prepared["standard_error"], se, rtol=1e-6)


def test_other_orders_of_rows_and_exchanged_columns_change_nothing_else() -> None:
    order = [2, 0, 3, 1]
    prepared, moved = read(odds(), log_scale=True), read(odds().iloc[order], log_scale=True)
    for name in ("estimate", "standard_error"):
        assert moved[name].tolist() == prepared[name][order].tolist()


@pytest.mark.parametrize(
    ("changes", "reading", "words"),
    [
        ({"lower": [0.62, 1.1, 0.88, 0.33]}, {}, ("'lower'", "'upper' of the same row", "row 2: '1.1'")),
        ({"upper": odds()["lower"], "lower": odds()["upper"]}, {}, ("row 1", "exchanged")),
        ({"lower": odds()["upper"]}, {}, ("row 1", "not below 'upper'")),
        ({"OR": [0.75, 0.85, 2.5, 0.61]}, {}, ("'OR'", "outside its own limits", "row 3: '2.5'")),
        ({"OR": odds()["log_or"]}, {}, ("outside its own limits",)),
        ({"OR": odds()["log_or"]}, {"log_scale": True}, ("'OR'", "above zero", "row 1", "no log_scale")),
        ({"lower": [0.62, 0.0, 0.88, 0.33]}, {"log_scale": True}, ("'lower'", "above zero", "row 2: '0.0'")),
        ({"lower": [0.62, np.nan, 0.88, 0.33]}, {}, ("'lower'", "no value in row 2")),
    ],
)  # fmt: skip
def test_limits_that_cannot_be_are_refused_in_words(
    changes: dict[str, Any], reading: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(DataError) as caught:
        read(odds(**changes), **reading)
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("roles", "reading", "words"),
    [
        ({}, {}, ("'standard_error'", "standard_error or variance or lower and upper", "'study'")),
        ({"lower": "lower"}, {}, ("lower needs upper",)),
        ({"upper": "upper"}, {}, ("upper needs lower",)),
        ({"standard_error": "se", "lower": "lower", "upper": "upper"}, {}, ("standard_error and lower and upper",)),
        ({"standard_error": "se", "variance": "upper"}, {}, ("standard_error and variance", "the same")),
        ({"standard_error": "se"}, {"log_scale": True}, ("log_scale is for", "standard error of the log")),
        ({"standard_error": "se"}, {"level": 0.9}, ("level is for",)),
        ({"lower": "lower", "upper": "upper"}, {"level": 0.05}, ("level is 0.05",)),
        ({"lower": "lower", "upper": "upper"}, {"level": 100}, ("level is 100",)),
        ({"lower": "lower", "upper": "upper"}, {"level": "95 %"}, ("level is '95 %'",)),
        ({"lower": "lower", "upper": "upper"}, {"log_scale": "yes"}, ("log_scale must be true or false",)),
    ],
)
def test_exactly_one_way_must_be_given(roles: dict[str, str], reading: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        read(odds(), {"group": "study", "estimate": "OR", **roles}, **reading)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_families_without_estimates_have_no_log_scale() -> None:
    frame = pd.DataFrame({"g": list("AABB"), "y": [1.0, 2.0, 3.0, 4.0]})
    with pytest.raises(DataError, match="log_scale is for"):
        prepare_table(family("grouped_normal"), Dataset.from_frame(frame, group="g", outcome="y", log_scale=True))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("variance", "a variance"), ("var", "a variance"), ("vi", "a variance"), ("Var_logOR", "a variance"),
        ("lower", "a limit"), ("upper95", "a limit"), ("CI", "a limit"), ("ci_low", "a limit"), ("CI.upper", "a limit"),
        ("upperCI", "a limit"), ("sd", "a standard deviation"), ("SD", "a standard deviation"),
        ("se", ""), ("std_error", ""), ("standard error", ""), ("SE_lower", ""), ("stdErr", ""), ("sem", ""),
        ("sigma", ""), ("uncertainty", ""), ("variant_se", ""), ("sdr", ""), ("recipe", ""),
    ],
)  # fmt: skip
def test_a_column_called_like_another_measure_is_asked_about(name: str, kind: str) -> None:
    frame = odds().drop(columns=["lower", "upper"]).rename(columns={"se": name})
    prepared = read(frame, {"group": "study", "estimate": "log_or", "standard_error": name})
    hints = warned(prepared, "measure of spread")
    assert bool(hints) == bool(kind)
    assert all(repr(name) in hint and kind in hint for hint in hints)
    assert [v.subject for v in prepared.verdicts if v.name == "measure of spread"] == [name] * bool(kind)


@pytest.mark.parametrize(("name", "asked"), [("se", True), ("sd", True), ("variance", False), ("vi", False)])
def test_so_is_one_given_as_a_variance(name: str, asked: bool) -> None:
    prepared = read(odds().rename(columns={"se": name}), {"group": "study", "estimate": "log_or", "variance": name})
    assert bool(warned(prepared, "measure of spread")) == asked


def limits(rng: np.random.Generator, ratios: bool, decimals: int) -> pd.DataFrame:
    """A dozen studies with positive estimates; limits of ratios, or even ones."""
    true, se = rng.normal(0.1, 0.2, 12), rng.uniform(0.1, 0.4, 12)
    y = true + rng.normal(0, se)
    ends = [np.exp(y + k * 1.96 * se) if ratios else 3 + y + k * 1.96 * se for k in (0, -1, 1)]
    columns = {name: np.round(end, decimals) for name, end in zip(("OR", "lower", "upper"), ends, strict=True)}
    return pd.DataFrame({"study": [f"S{i}" for i in range(12)], **columns})


@pytest.mark.parametrize("decimals", [1, 2, 3])
def test_ratios_without_log_scale_are_asked_about_and_even_limits_are_not(decimals: int) -> None:
    """Of 200 tables each. Rounded to one decimal, limits of ratios are too rough to always tell."""
    rng = np.random.default_rng(20)
    false = sum(bool(warned(read(limits(rng, False, decimals)), "limits of ratios")) for _ in range(200))
    assert false <= 2
    if decimals > 1:
        assert all(warned(read(limits(rng, True, decimals)), "limits of ratios") for _ in range(200))


def test_a_slip_in_a_limit_is_asked_about() -> None:
    hints = warned(read(odds(upper=[0.9012, 1.0399, 22.9, 1.12]), log_scale=True), "uneven limits")
    assert len(hints) == 1
    assert "row 3: '1.42'" in hints[0]
    assert "row 1" not in hints[0]


@pytest.mark.parametrize(
    ("label", "asked"),
    [
        ("Total", True), ("all", True), ("Overall", True), ("SUM", True), ("Pooled estimate", True), ("Gesamt", True),
        ("Total (95% CI)", True), ("Random-effects model", True), ("Insgesamt:", True), ("Grand total", True),
        ("All Saints", False), ("Summerville", False), ("Allen 1999", False), ("Poole 2004", False), ("Z", False),
        ("99", False),
    ],
)  # fmt: skip
def test_a_last_row_that_sums_up_the_others_is_asked_about(label: str, asked: bool) -> None:
    names = ["Cohort A", "Cohort B", "Cohort C"]
    hints = warned(read(odds(study=[*names, label]), log_scale=True), "total row")
    assert bool(hints) == asked
    assert all(repr(label) in hint for hint in hints)
    assert not warned(read(odds(study=[label, *names]), log_scale=True), "total row")


# From the command line to the report


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odds")
    (folder / "odds.csv").write_text(ODDS)
    return folder


def new(place: Path, to: str, *words: str) -> Any:
    call = ["new", str(place / "odds.csv"), "--family", "normal_means", "--group", "study", "--to", str(place / to)]
    return CliRunner().invoke(app, [*call, "--force", "--json", str(place / "new.json"), *words])


def test_new_asks_about_a_limit_given_as_a_standard_error(place: Path) -> None:
    done = new(place, "a", "--estimate", "OR", "--standard-error", "upper")
    assert done.exit_code == 0, done.output
    assert "Warning: 'upper' is taken as the standard error" in done.stdout
    verdicts = json.loads((place / "new.json").read_text())["verdicts"]
    assert ("measure of spread", "warn") in {(v["name"], v["status"]) for v in verdicts}


def test_new_writes_how_the_estimates_are_read(place: Path) -> None:
    done = new(place, "b", "--estimate", "OR", "--lower", "lower", "--upper", "upper", "--log-scale", "--level", "90")
    assert done.exit_code == 0, done.output
    read_back = read_analysis(place / "b").dataset.reading
    assert (read_back.log_scale, read_back.level) == (True, 0.9)
    assert "limits of 90 %" in done.stdout
    done = new(place, "c", "--estimate", "OR", "--lower", "lower")
    assert done.exit_code == 2
    assert "lower needs upper" in done.output


def quantile(x: np.ndarray[Any, Any], density: np.ndarray[Any, Any], p: float) -> float:
    total = np.cumsum(density)
    return float(np.interp(p, total / total[-1], x))


def test_the_report_answers_in_ratios(place: Path, stanli: Any) -> None:
    """Against a grid over mu and tau with the independent logs; the draws' own Monte Carlo error decides."""
    new(place, "d", "--estimate", "OR", "--lower", "lower", "--upper", "upper", "--log-scale")
    analysis = read_analysis(place / "d")
    fits = fit_analysis(analysis, engine=stanli)
    contents = results(analysis, find(analysis, fits)).for_json()
    main = fits["partial_pooling"]
    mu, tau = np.linspace(-4, 4, 4001), np.linspace(1e-4, 6, 1500)
    log = norm.logpdf(mu, *main.priors["mu"].arguments)[:, None] + halfnorm.logpdf(
        tau, scale=main.priors["tau"].arguments[0]
    )
    for y, se in zip(main.table["estimate"], main.table["standard_error"], strict=True):
        log = log + norm.logpdf(y, mu[:, None], np.hypot(se, tau))
    margin = np.exp(log - log.max()).sum(axis=1)
    average = contents["ratios"]["average"]
    assert contents["ratios"]["name"] == "OR"
    for p, key in ((0.05, "q05"), (0.5, "q50"), (0.95, "q95")):
        assert abs(average[key] - np.exp(quantile(mu, margin, p))) < 5 * average[f"mcse_{key}"]
    assert contents["data"]["quantity_unit"] == contents["data"]["unit"] == "log OR"
    sentences = contents["answer"]
    assert sentences[0].startswith("The average OR over the population of studies (their geometric mean) is about 0.")
    assert "above 1" in sentences[0]
    assert "factor of about 1." in sentences[1]
    assert "predictive median of the OR" in sentences[2]
    theta = main.draws("theta")["theta"]
    for j, row in enumerate(contents["shrinkage"]):
        assert row["ratio"] == pytest.approx(np.exp(np.median(theta[:, j])), rel=1e-9)
        assert row["ratio_q05"] < row["ratio"] < row["ratio_q95"]
    new_row = contents["new_group"]["quantities"][0]
    assert new_row["ratio"] == pytest.approx(np.exp(new_row["q50"]), rel=1e-9)
    rows = contents["data"]["rows"]
    assert rows[0]["OR"] == 0.75
    assert rows[0]["log OR"] == pytest.approx(-0.28768, abs=5e-6)
    assert rows[0]["standard error"] == pytest.approx(0.09369, abs=1e-4)
    pages = json.dumps(view_of(contents, []), default=str)
    assert "As ratios: OR" in pages
    assert "average (geometric mean)" in pages
