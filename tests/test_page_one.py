"""Page one: a few sentences in the words of the table, one figure, and numbers that the draws give a second time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_fits import loo_of
from pypdf import PdfReader

from hbm_stan.analysis.read import read_analysis
from hbm_stan.compare import score
from hbm_stan.engines import Engine
from hbm_stan.examples import analyses
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.nouns import Noun
from hbm_stan.report.build import Report, fit_analysis, report, settled
from hbm_stan.results import brief, quantities, together
from hbm_stan.results.brief import MOST_SENTENCES
from hbm_stan.results.entry import read
from hbm_stan.results.shrunken import ShrinkageRow
from hbm_stan.results.units import rate_unit

NUMBER = re.compile(r"(?<![\w.])[−-]?\d[\d,]*(?:\.\d+)?")
SYMBOLS = re.compile(r"\b(mu|tau|theta|sigma|beta|elpd|MCSE|R-hat)\b|[0-9a-f]{12,}")


def page(document: Report) -> str:
    """The text of page one, white space as one blank."""
    return " ".join(PdfReader(document.pdf).pages[0].extract_text().split())


def of_draws(fit: Fit, results: Mapping[str, Any], back: Any, spread: Any) -> dict[str, np.ndarray]:
    """The draws behind the average, the spread and the known groups, taken from the tree with NumPy alone."""
    tree = {name: np.asarray(v.values) for name, v in fit.tree["posterior"].data_vars.items()}
    theta = tree["theta"].reshape(-1, *tree["theta"].shape[2:])
    labels = [str(v) for v in fit.tree["posterior"]["theta"].coords[fit.tree["posterior"]["theta"].dims[2]].values]
    draws: dict[str, np.ndarray] = {}
    for row in results["page_one"]["numbers"]:
        name = row["name"]
        if name.startswith("group"):
            own = theta[:, labels.index(name.partition(": ")[2])]
            draws[name] = back(own if own.ndim == 1 else own[:, 0])
        elif name == "average":
            draws[name] = back(tree["mu"].ravel())
        elif name == "spread":
            draws[name] = spread(tree["tau"].ravel())
    return draws


def assert_recomputed(fit: Fit, results: Mapping[str, Any], draws: Mapping[str, np.ndarray], against: float) -> None:
    for row in results["page_one"]["numbers"]:
        if row["name"] in draws:
            values = draws[row["name"]]
            expected = [np.quantile(values, p) for p in (0.05, 0.25, 0.5, 0.75, 0.95)]
            assert [row[k] for k in ("q05", "q25", "q50", "q75", "q95")] == pytest.approx(expected), row["name"]
            assert row["p_above"] == pytest.approx(np.mean(values > against)), row["name"]


def values_in(value: object) -> list[float]:
    """All numbers of a JSON value."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return []
    if isinstance(value, int | float):
        return [float(value)]
    return [v for part in (value.values() if isinstance(value, dict) else value) for v in values_in(part)]


def unexplained(text: str, results: Mapping[str, Any]) -> list[str]:
    """The numbers of a text that no number of results.json rounds to."""
    known = np.array([*values_in(results), 90.0, 50.0, 1.0])
    lost = []
    for written in NUMBER.findall(text):
        plain = written.replace("−", "-").replace(",", "")
        decimals = len(plain.partition(".")[2])
        half = 0.5000001 * 10.0**-decimals
        if not (np.abs(known - float(plain)) <= half).any():
            lost.append(written)
    return lost


@pytest.fixture
def document(reported: Path, stanli: Engine) -> Report:
    return report(reported, engine=stanli)


def test_page_one_is_short_and_speaks_the_words_of_the_table(document: Report) -> None:
    sentences = document.results["page_one"]["said"]
    assert 3 <= len(sentences) <= MOST_SENTENCES
    assert sentences[0].startswith("The average effect over schools is about ")
    assert " (90 % interval " in sentences[0]
    assert "above zero with probability" in sentences[0]
    assert "they hardly differ" in sentences[1]  # P(tau < 0.1 sd(y)) is about 0.2 on eight schools
    assert sentences[2].startswith("For a new school of the same kind, the effect is expected to be about ")
    assert sentences[3].startswith("The estimates of the schools run from ")
    shown = page(document)
    for sentence in sentences:
        assert sentence.split(" (")[0] in shown
    assert "Figure 1" in shown
    assert "Figure 2" not in shown


def test_page_one_has_no_hash_and_no_symbol_without_its_word(document: Report) -> None:
    text = page(document)
    before, _, after = text.partition("Comparison.")
    assert not SYMBOLS.search(before)
    assert after.count("elpd") == 1
    assert "log predictive density, elpd" in after


def test_every_number_of_the_sentences_is_in_the_results_and_comes_from_the_draws(
    document: Report, reported: Path
) -> None:
    results = json.loads(document.json.read_text())
    text = " ".join([*results["page_one"]["said"], *results["page_one"]["comparison"]])
    assert unexplained(text, results) == []
    fit = fit_analysis(settled(read_analysis(reported)), engine="stanli")["partial_pooling"]
    draws = of_draws(fit, results, np.asarray, np.asarray)
    assert set(draws) >= {"average", "spread"}
    assert len(draws) == 4
    assert_recomputed(fit, results, draws, 0.0)
    near = next(row for row in results["page_one"]["numbers"] if row["name"] == "near zero tau")
    raw = pd.read_csv(reported / "data.csv")["effect"].std(ddof=1)
    assert near["limit"] == pytest.approx(0.1 * raw)
    assert near["probability"] == pytest.approx(np.mean(fit.draws("tau")["tau"] < 0.1 * raw))


def test_a_number_that_is_made_up_would_be_seen(document: Report) -> None:
    assert unexplained("about 4.87654 points", document.results) == ["4.87654"]


@pytest.mark.parametrize("fault", ["tail", "other group", "sd for variance"])
def test_planted_faults_in_the_numbers_are_seen(
    document: Report, reported: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    analysis = settled(read_analysis(reported))
    fits = fit_analysis(analysis, engine="stanli")
    if fault == "tail":
        right = quantities.summary_of
        monkeypatch.setattr(brief, "summary_of", lambda fit, draws, *a: right(fit, -draws, *a))
    elif fault == "other group":
        right_group = brief.of_group
        monkeypatch.setattr(
            brief, "of_group", lambda fit, label, term: (
                quantities.Quantity(name=f"group: {label}", term=term, scale=(q := right_group(fit, "B", term)).scale,
                                    row=q.row)
            )
        )  # fmt: skip
    else:
        right = quantities.summary_of
        monkeypatch.setattr(brief, "summary_of", lambda fit, draws, *a: right(fit, draws**2, *a))
    from hbm_stan.results.collect import find

    shrinkage = [read(ShrinkageRow, row) for row in document.results["shrinkage"]]
    beside = brief.Beside(shrinkage=shrinkage, coefficients=None, shares=None)
    wrong = {"page_one": brief.page_one(analysis, find(analysis, fits), beside).as_dict()}
    fit = fits["partial_pooling"]
    with pytest.raises(AssertionError):
        assert_recomputed(fit, wrong, of_draws(fit, wrong, np.asarray, np.asarray), 0.0)


def test_the_figure_has_a_row_for_each_group_their_average_and_a_new_one() -> None:
    from example_results import example_figures

    axes = example_figures()["answer"].draw().axes[0]
    texts = [t.get_text() for t in axes.get_yticklabels()]
    assert sorted(texts[:8]) == list("ABCDEFGH")
    assert texts[8:] == ["average group", "new group"]
    assert axes.get_xlabel() == "effect (points)"
    low, high = axes.get_ylim()
    assert low > high  # the first row stands at the top: the group with the highest median
    many = example_figures(85)["answer"].draw().axes[0]
    texts = [t.get_text() for t in many.get_yticklabels()]
    assert len(texts) == 6 + 1 + 6 + 2
    assert "all 85 groups" in texts


def test_a_failed_check_takes_the_place_of_the_answer_with_what_to_do(analysis: Path, stanli: Engine) -> None:
    text = (analysis / "analysis.toml").read_text()
    (analysis / "analysis.toml").write_text(text.replace('"partial_pooling"]', '"partial_pooling_centered"]'))
    document = report(analysis, engine=stanli)
    assert document.results["page_one"] == brief.NOTHING.as_dict()
    shown = page(document)
    assert "The conclusion is withheld" in shown
    answer, _, rest = shown.partition("Checks.")
    assert "partial_pooling_noncentered" in answer
    assert "failed" in rest
    assert "partial_pooling_noncentered" not in rest  # it is said once
    assert "Figure 1" not in shown


# --- other scales ---------------------------------------------------------------------------------------------------


def written(folder: Path, table: pd.DataFrame, lines: str) -> Path:
    folder.mkdir()
    table.to_csv(folder / "data.csv", index=False)
    (folder / "analysis.toml").write_text(f'{lines}data = "data.csv"\n[sampling]\nseed = 7\ndraws = 300\n')
    return folder


@pytest.mark.usefixtures("undrawn")
def test_ratios_are_spoken_of_as_ratios(tmp_path: Path, stanli: Engine) -> None:
    rng = np.random.default_rng(2)
    logs = rng.normal(0.4, 0.3, 9)
    table = pd.DataFrame({"study": list("abcdefghi"), "odds_ratio": np.exp(logs)})
    table["low"], table["high"] = np.exp(logs - 0.4), np.exp(logs + 0.4)
    folder = written(
        tmp_path / "a", table,
        'family = "normal_means"\nlog_scale = true\nvariants = ["partial_pooling"]\ncolumns.group = "study"\n'
        'columns.estimate = "odds_ratio"\ncolumns.lower = "low"\ncolumns.upper = "high"\n',
    )  # fmt: skip
    text = (folder / "analysis.toml").read_text()
    (folder / "analysis.toml").write_text(text.replace("draws = 300", "draws = 1000"))  # fewer fail their checks
    document = report(folder, engine=stanli)
    sentences = document.results["page_one"]["said"]
    assert sentences[0].startswith("The average odds_ratio over studies is about 1.")
    assert "it is above 1 with probability" in sentences[0]
    assert "Studies differ by a factor of about 1." in sentences[1]
    fit = fit_analysis(settled(read_analysis(folder)), engine=stanli)["partial_pooling"]
    assert_recomputed(fit, document.results, of_draws(fit, document.results, np.exp, np.exp), 1.0)


@pytest.mark.usefixtures("undrawn")
def test_log_odds_are_spoken_of_as_probabilities_and_factors(tmp_path: Path, stanli: Engine) -> None:
    rng = np.random.default_rng(3)
    herd = np.repeat(np.arange(8), 3)
    dose = np.tile([0.0, 1.0, 2.0], 8)
    p = 1 / (1 + np.exp(-(-1 + 0.8 * dose + rng.normal(0, 0.5, 8)[herd])))
    table = pd.DataFrame({"herd": [f"h{k}" for k in herd], "dose": dose, "tested": 40, "ill": rng.binomial(40, p)})
    formula = 'formula = "ill | trials(tested) ~ dose + (1 | herd)"\nvariants = ["partial_pooling"]\n'
    folder = written(tmp_path / "b", table, formula)
    document = report(folder, engine=stanli)
    sentences = document.results["page_one"]["said"]
    assert sentences[0].startswith("The odds of ill are multiplied by about 2.")
    assert "for one unit more of dose; the probability that this is above 1 is" in sentences[0]
    assert sentences[1].startswith("In an average herd, the probability of ill at the mean of dose is about 0.")
    assert "in their odds by a factor of about" in sentences[2]
    assert "log odds" not in " ".join(sentences)
    fit = fit_analysis(settled(read_analysis(folder)), engine=stanli)[document.results["main_variant"]]
    beta, tau = fit.draws("beta")["beta"], fit.draws("tau")["tau"].ravel()
    logistic = 1 / (1 + np.exp(-beta[:, 0]))
    rows = {row["name"]: row for row in document.results["page_one"]["numbers"]}
    for name, values in (
        ("effect[dose]", np.exp(beta[:, 1])), ("average[intercept]", logistic), ("spread[intercept]", np.exp(tau))
    ):  # fmt: skip
        assert rows[name]["q95"] == pytest.approx(np.quantile(values, 0.95)), name
    assert unexplained(" ".join(sentences), document.results) == []


# --- the comparison in a line ----------------------------------------------------------------------------------------

SCHOOLS = Noun("school", "schools")
POOLING = {"partial_pooling": "partial", "complete_pooling": "complete"}


def compared(lead: float, unit: str = "observation", k: float = 0.0) -> Any:
    scores = {"partial_pooling": loo_of(np.full(40, lead / 40), np.full(40, k))}
    scores["complete_pooling"] = loo_of(np.zeros(40), np.full(40, k))
    return score(scores, unit=unit, pooling=POOLING, noun=SCHOOLS)  # type: ignore[arg-type]


def test_targets_of_which_the_same_is_said_share_a_sentence() -> None:
    (line,) = together.compared([compared(40.0), compared(20.0, "group")], "partial_pooling", SCHOOLS)
    assert line.startswith("To predict a known school and a new school: partial pooling predicts better than complete")
    assert "elpd: 40.0, doubled standard error 0.0 and 20.0" in line
    two = together.compared([compared(40.0), compared(0.5, "group")], "partial_pooling", SCHOOLS)
    assert len(two) == 2
    assert "these data do not decide between them" in two[1]


def test_a_ranking_that_is_withheld_says_why_and_one_target_is_not_named() -> None:
    (line,) = together.compared([compared(40.0, k=0.9)], "partial_pooling", SCHOOLS)
    assert line.startswith("The ranking is withheld")
    (line,) = together.compared([compared(-40.0), None], "partial_pooling", SCHOOLS)
    assert line.startswith("Complete pooling predicts better than partial pooling (")


def test_what_only_a_family_answers_is_said_on_page_one(tmp_path: Path, stanli: Engine) -> None:
    table = pd.DataFrame({"page": list("abcdefgh"), "sold": [13, 29, 14, 15, 12, 16, 10, 15], "seen": 100})
    folder = written(
        tmp_path / "c", table,
        'family = "beta_binomial"\nvariants = ["partial_pooling"]\ncolumns.group = "page"\ncolumns.successes = "sold"\n'
        'columns.trials = "seen"\n',
    )  # fmt: skip
    text = (folder / "analysis.toml").read_text()
    (folder / "analysis.toml").write_text(text.replace("draws = 300", "draws = 1000"))
    document = report(folder, engine=stanli)
    sentences = document.results["page_one"]["said"]
    assert sentences[0].startswith("Where a high rate is good, b is the one to choose: on average its rate lies 0.0")
    assert sentences[0].count(". ") == 0
    assert sentences[1].startswith("The average rate of sold over pages is about 0.1")
    assert unexplained(sentences[0], document.results) == []


@pytest.mark.usefixtures("undrawn")
def test_of_many_effects_those_are_listed_that_are_surest_and_rates_have_a_unit(tmp_path: Path, stanli: Engine) -> None:
    rng = np.random.default_rng(8)
    kind, hours = np.repeat(list("abcdefg"), 20), rng.uniform(1, 3, 140).round(1)
    mined, site = np.tile([0, 1], 70), np.tile(np.arange(10), 14)
    count = rng.poisson(hours * np.exp(1.0 + 0.05 * np.repeat(np.arange(7), 20) - 1.5 * mined))
    table = pd.DataFrame(
        {"kind": kind, "mined": mined, "hours": hours, "count": count, "site": [f"s{s}" for s in site]}
    )
    formula = 'formula = "count | rate(hours) ~ kind + mined + (1 | site)"\nlikelihood = "poisson"\n'
    folder = written(tmp_path / "m", table, f'{formula}variants = ["partial_pooling"]\n')
    text = (folder / "analysis.toml").read_text()
    (folder / "analysis.toml").write_text(text.replace("draws = 300", "draws = 1000"))
    sentences = report(folder, engine=stanli).results["page_one"]["said"]
    assert "for one unit more of mined" in sentences[0]
    assert sentences[0].startswith("The rate is multiplied by about ")
    assert sentences[0].endswith("and there are 2 effects more.")
    assert sentences[1].startswith("In an average site, the rate at the means of the columns is about ")


@pytest.mark.usefixtures("undrawn")
def test_a_curve_is_spoken_of_as_one_and_not_by_units_of_its_columns(tmp_path: Path, stanli: Engine) -> None:
    rng = np.random.default_rng(2)
    dose, shop = rng.uniform(0, 4, 90), np.tile(np.arange(9), 10)
    sold = dose - dose**2 / 3 + rng.normal(0, 0.4, 9)[shop] + rng.normal(0, 0.3, 90)
    table = pd.DataFrame({"dose": dose.round(3), "sold": sold.round(3), "shop": [f"s{k}" for k in shop]})
    formula = 'formula = "sold ~ poly(dose, 2) + (1 | shop)"\nlikelihood = "normal"\n'
    folder = written(tmp_path / "p", table, f'{formula}variants = ["partial_pooling"]\n')
    text = (folder / "analysis.toml").read_text()
    (folder / "analysis.toml").write_text(text.replace("draws = 300", "draws = 1000"))
    sentences = report(folder, engine=stanli).results["page_one"]["said"]
    assert sentences[0] == "The sold follows a curve, poly(dose, 2): see the effects on the outcome."
    assert not any("one unit more" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("name", "unit"), [("pumps", "per 1000 h"), ("site_counts", "per hour"), ("eight_schools", "")]
)
def test_a_rate_is_per_one_unit_of_its_exposure(name: str, unit: str) -> None:
    shipped = analyses()[name]
    fit = SimpleNamespace(table=prepare_table(shipped.family, shipped.dataset))
    assert rate_unit(fit) == unit  # type: ignore[arg-type]
