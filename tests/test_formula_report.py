"""What the report of a formula's model says: coefficients and ratios, shares of variance, words."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader
from records import filled

from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import fit
from hbm_stan.coefficients import AT_MEANS, AT_ZERO
from hbm_stan.data import ColumnInfo
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import ModelError
from hbm_stan.families import families
from hbm_stan.families.choose import of_formula
from hbm_stan.families.terms.variants import math_of
from hbm_stan.formula import read_structure
from hbm_stan.nouns import Noun
from hbm_stan.report.build import Report, fit_analysis, report, settled
from hbm_stan.results.coefficients import Coefficient, coefficients_of, forest_table, per_sd
from hbm_stan.results.formula_answer import coefficient_sentences
from hbm_stan.results.meanings import _unit, meanings

FORMULA = "won | trials(played) ~ age * sex + (1 + age | pupil) + (1 | item)"
PARTIAL = "partial_pooling_noncentered"
CATERPILLARS = '[report]\ncaterpillars = ["item"]\n'
SLOPES = ["age", "sex=m", "age:sex=m"]


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(11)
    pupil, item = (a.ravel() for a in np.meshgrid(np.arange(15), np.arange(8)))
    age, male = rng.uniform(6, 12, 120).round(1), pupil % 2 == 1
    eta = -2 + 0.3 * age - 0.5 * male + rng.normal(0, 0.7, 15)[pupil] + rng.normal(0, 0.5, 8)[item]
    return pd.DataFrame({
        "pupil": [f"p{k:02d}" for k in pupil], "item": [f"i{k}" for k in item], "age": age,
        "sex": np.where(male, "m", "f"), "played": 12, "won": rng.binomial(12, 1 / (1 + np.exp(-eta))),
    })  # fmt: skip


def write(folder: Path, table: pd.DataFrame, formula: str, variant: str = PARTIAL, more: str = "") -> Path:
    folder.mkdir()
    table.to_csv(folder / "data.csv", index=False)
    (folder / "analysis.toml").write_text(
        f'formula = "{formula}"\ndata = "data.csv"\nvariants = ["{variant}"]\n{more}[sampling]\nseed = 7\n'
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("formula") / "won", frame(), FORMULA, more=CATERPILLARS)


@pytest.fixture
def document(folder: Path, stanli: Engine) -> Report:
    return report(folder, engine=stanli)  # made once: the second time nothing has changed


@pytest.fixture
def draws(folder: Path, stanli: Engine) -> dict[str, np.ndarray]:
    return fit_analysis(settled(read_analysis(folder)), engine=stanli)[PARTIAL].draws()


def text_of(pdf: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(pdf).pages).split())


def test_each_coefficient_has_a_row_and_its_odds_ratio(document: Report, draws: dict[str, np.ndarray]) -> None:
    coefficients = document.results["coefficients"]
    assert [row["name"] for row in coefficients["rows"]] == ["intercept", "intercept", *SLOPES]
    assert [row["place"] for row in coefficients["rows"]] == [AT_MEANS, AT_ZERO, "", "", ""]
    assert coefficients["ratio"] == "odds ratio"
    assert coefficients["references"] == {"sex": "f"}
    for k, row in enumerate(coefficients["rows"][2:], start=1):
        beta = draws["beta"][:, k]
        for key, prob in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
            assert row[key] == pytest.approx(np.quantile(beta, prob))
            assert row[f"ratio_{key}"] == pytest.approx(np.quantile(np.exp(beta), prob))
        assert row["p_positive"] == pytest.approx(float(np.mean(beta > 0)))
    assert all(row["ratio_q50"] is None for row in coefficients["rows"][:2])


def test_the_intercept_where_columns_are_0_is_of_columns_as_they_stand_in_the_file(
    document: Report, draws: dict[str, np.ndarray]
) -> None:
    table = frame()
    male = (table["sex"] == "m").to_numpy(dtype=float)
    columns = np.column_stack([table["age"], male, table["age"] * male])
    at_zero = draws["beta"][:, 0] - draws["beta"][:, 1:] @ columns.mean(axis=0)
    row = document.results["coefficients"]["rows"][1]
    assert row["q50"] == pytest.approx(np.median(at_zero))
    assert row["sd"] == pytest.approx(at_zero.std(ddof=1))
    there = document.results["coefficients"]["sds"][1]
    mean, (u, v), rho = table["age"].mean(), draws["tau"].T, draws["rho"][:, 0]
    assert there["q50"] == pytest.approx(np.median(np.sqrt(u**2 - 2 * mean * rho * u * v + (mean * v) ** 2)))
    assert there["place"] == AT_ZERO


def test_shares_of_variance_are_those_of_the_draws(document: Report, draws: dict[str, np.ndarray]) -> None:
    age = (frame()["age"] - frame()["age"].mean()).to_numpy()
    (u, v), rho = draws["tau"].T, draws["rho"][:, 0]
    pupil = u**2 + 2 * rho * u * v * age.mean() + v**2 * np.mean(age**2)
    item, trial = draws["sd"][:, 0] ** 2, np.pi**2 / 3
    rows = document.results["variance_shares"]["rows"]
    assert [row["name"] for row in rows] == ["pupil", "item", "a single trial"]
    assert [row["levels"] for row in rows] == [15, 8, 0]
    for row, variance in zip(rows, (pupil, item, trial), strict=True):
        assert row["q95"] == pytest.approx(np.quantile(variance / (pupil + item + trial), 0.95))
        assert row["sd_q50"] == pytest.approx(float(np.median(np.sqrt(variance))))
    assert sum(row["mean"] for row in rows) == pytest.approx(1)


def test_a_factor_that_is_asked_for_has_a_caterpillar(document: Report, draws: dict[str, np.ndarray]) -> None:
    (entry,) = document.results["caterpillars"]
    assert (entry["factor"], entry["column"], entry["many"]) == ("item", "intercept", "items")
    assert [row["group"] for row in entry["rows"]] == [f"i{k}" for k in range(8)]
    for level, row in enumerate(entry["rows"]):
        assert row["q25"] == pytest.approx(np.quantile(draws["effect"][:, level], 0.25))
    assert "Intercept: deviations of the 8 items" in text_of(document.pdf)


@pytest.mark.parametrize(
    ("names", "words"),
    [('["itme"]', "no factor beside the group. Did you mean 'item'"), ('["pupil"]', "no factor beside the group"),
     ('"item"', "must be a list of texts")],
)  # fmt: skip
def test_a_caterpillar_of_no_factor_is_refused(tmp_path: Path, names: str, words: str) -> None:
    more = f"[report]\ncaterpillars = {names}\n"
    with pytest.raises(ModelError, match=words):
        read_analysis(write(tmp_path / "a", frame(), FORMULA, more=more))


def test_page_one_speaks_of_ratios_and_of_where_the_variance_lies(document: Report) -> None:
    sentences = document.results["answer"]
    assert sentences[0].startswith("The odds ratio for one unit more of age is about ")
    assert sentences[1].startswith("The odds ratio of sex=m is about ")
    assert "The common intercept, at the means of the columns, is about " in sentences[3]
    assert "which is a probability of 0." in sentences[3]
    assert any(s.startswith("The intercept (at the means of the columns) varies between pupils") for s in sentences)
    assert any(s.startswith("The sd of the intercept between items is about ") for s in sentences)
    assert any("lies between pupils, " in s and "is left to a single trial" in s for s in sentences)
    assert not any("beta[" in s or "tau[" in s.lower() or "centred column" in s for s in sentences)


def test_the_pages_show_the_formula_its_columns_and_the_sections(document: Report) -> None:
    text = text_of(document.pdf)
    for words in (
        "Common coefficients", "Where the variance lies", "Common odds ratios", "intercept, where all columns are 0",
        "between pupils, at the means of the columns", "Levels of sex are compared with f", "a single trial",
        "Common coefficient of age", "The formula is won | trials(played)", "Varies by item (8 levels): intercept",
    ):  # fmt: skip
        assert words in text, words


def test_without_other_columns_there_is_no_forest_and_no_place(tmp_path: Path, stanli: Engine) -> None:
    table = frame().assign(score=lambda f: f["won"] + np.sin(np.arange(120)))
    document = report(write(tmp_path / "plain", table, "score ~ 1 + (1 | pupil)", "partial_pooling"), engine=stanli)
    (row,) = document.results["coefficients"]["rows"]
    assert row["place"] == ""
    assert document.results["coefficients"]["ratio"] == ""
    assert document.results["coefficients"]["sds"] == []
    text = text_of(document.pdf)
    assert "The formula has no column but the intercept." in text
    assert "A forest" not in text
    assert "Of the variance, " in " ".join(document.results["answer"])


def design_of_words(formula: str, **reading: Any) -> Any:
    _, dataset = of_formula(formula, frame(), "normal", "", **reading)
    return read_structure(dataset, known_residual=False).design


def test_each_parameter_has_a_meaning() -> None:
    by_name = meanings(design_of_words("won ~ age + (1 + age | pupil) + (1 + age | item)"), Noun("child", "children"))
    assert by_name["beta[intercept]"] == "common intercept, at the mean of age"
    assert by_name["beta[age]"] == "common coefficient of age"
    assert by_name["tau[intercept]"] == "sd of the intercept between children, at the mean of age"
    assert by_name["tau[age]"] == "sd of the coefficient of age between children"
    assert by_name["sd[item: age]"] == "sd of the coefficient of age between items"
    assert by_name["theta[age]"] == "coefficient of age of each child without pooling"
    assert by_name["rho[intercept, age]"] == "correlation of the intercept with the coefficient of age between children"
    assert by_name["rho_other[item: intercept, age]"].endswith("between items")
    as_written = meanings(design_of_words("won ~ age + (1 | pupil)", centre=False), Noun())
    assert as_written["beta[intercept]"] == "common intercept, where all columns are 0"
    assert as_written["tau[intercept]"] == "sd of the intercept between groups"


@pytest.mark.parametrize(
    ("formula", "others", "correlations"),
    [("won ~ age + (1 | pupil)", False, False), ("won ~ age + (1 + age || pupil)", False, False),
     ("won ~ age + (1 + age | pupil)", False, True), ("won ~ age + (1 | pupil) + (1 | item)", True, False),
     ("won ~ age + (1 | pupil) + (1 + age | item)", True, True)],
)  # fmt: skip
def test_the_mathematics_is_that_of_the_formula(formula: str, others: bool, correlations: bool) -> None:
    design = design_of_words(formula)
    for variant in families()["normal"].programs.variants:
        lines = math_of(variant, design)
        assert any("others" in line for line in lines) is others, variant.name
        assert any("Omega" in line for line in lines) is (correlations and variant.pooling == "partial"), variant.name
        whole = [line for line in variant.math if not ("others" in line or "Omega" in line)]
        assert [line for line in lines if line in whole] == whole  # nothing else is left out


def test_a_forest_of_coefficients_of_unlike_size_is_for_one_sd_of_each_column() -> None:
    def row(name: str, width: float, sd: float) -> Coefficient:
        ends = {"q05": -width, "q25": -width / 2, "q50": 0.0, "q75": width / 2, "q95": width}
        return filled(Coefficient, name=name, column_sd=sd, **ends)

    far, near = [row("a", 1, 2), row("b", 0.01, 150)], [row("a", 1, 2), row("b", 0.5, 3)]
    assert per_sd(far)
    assert not per_sd(near)
    assert list(forest_table(far)["q95"]) == [2.0, 1.5]
    assert list(forest_table(near)["q95"]) == [1.0, 0.5]


def test_without_common_columns_no_coefficient_is_spoken_of(tmp_path: Path, stanli: Engine) -> None:
    table = frame().assign(score=lambda f: f["won"] - 6 + np.sin(np.arange(120)))
    document = report(write(tmp_path / "none", table, "score ~ 0 + (1 | pupil)", "partial_pooling"), engine=stanli)
    assert document.results["coefficients"] is None
    assert document.results["answer"][0].startswith("The intercept varies between pupils")


@pytest.mark.parametrize(
    ("formula", "likelihood", "unit"),
    [("cost ~ 1 + (1 | pupil)", "gamma", "EUR ("), ("won ~ 1 + (1 | pupil)", "poisson", " (")],
)
def test_the_mean_of_amounts_has_their_unit(stanli: Engine, formula: str, likelihood: str, unit: str) -> None:
    table = frame().assign(cost=lambda f: np.exp(5 + np.sin(np.arange(len(f)))))
    name, dataset = of_formula(formula, table, likelihood)
    info = {column: ColumnInfo(unit="EUR") for column in ("cost", "won")}
    sampling = Sampling(chains=1, warmup=50, draws=50)
    fitted = fit(name, replace(dataset, info=info), sampling=sampling, engine=stanli)
    coefficients = coefficients_of(fitted)
    assert coefficients is not None
    (sentence,) = coefficient_sentences(fitted, coefficients, "")
    assert re.search(rf"which is a \w+ of [\d.]+ ?{re.escape(unit)}", sentence)


@pytest.mark.parametrize(
    ("name", "own", "unit"),
    [("beta_binomial_rows", "overdispersion", ""), ("gamma", "variation", ""), ("lognormal", "sigma", ""),
     ("zero_inflated_poisson", "zi[intercept]", ""), ("normal", "sigma", "EUR")],
)  # fmt: skip
def test_what_a_likelihood_has_of_its_own_has_no_unit_of_the_predictor(name: str, own: str, unit: str) -> None:
    family = families()[name]
    formula = "won | trials(played) ~ 1 + (1 | pupil)" if "binomial" in name else "won ~ 1 + (1 | pupil)"
    _, dataset = of_formula(formula, frame().assign(won=lambda f: np.maximum(f["won"], 1)), name)
    told = replace(dataset, info={"won": ColumnInfo(unit="EUR")})
    given = SimpleNamespace(family=family, table=SimpleNamespace(dataset=told, design=None))
    rows = {row.name: row for row in family.programs.prior_rows}
    assert _unit(given, rows[own.partition("[")[0]], own) == unit  # type: ignore[arg-type]
    assert _unit(given, rows["beta"], "beta[intercept]") == (family.words.quantity_unit or "EUR")  # type: ignore[arg-type]
