"""The PDF: what it says, what it withholds, that no text breaks out of its place, the same bytes twice."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from example_results import example_results, example_svgs
from pypdf import PdfReader

from hbm_stan.elements import in_term
from hbm_stan.errors import HbmError, TypesettingError
from hbm_stan.report import typeset, view, words
from hbm_stan.report.blocks import column, number, parameter, sentence, table
from hbm_stan.report.pages import write_pdf
from hbm_stan.report.section import Section, When
from hbm_stan.report.sections import comparison, new_group, own, sensitivity
from hbm_stan.report.sections.data import _cell, _folded
from hbm_stan.report.sections.fit import _rough, _statistic
from hbm_stan.report.typeset import TEMPLATE, compile_pdf, escape, escaped
from hbm_stan.report.view import short_title, view_of
from hbm_stan.report.words import in_titles
from hbm_stan.results import digits, intervals, terms
from hbm_stan.sensitivity.alternatives import Alternatives, Row
from hbm_stan.sensitivity.conclusion import Conclusion, Decision, Interval
from hbm_stan.sensitivity.influence import Influence, Without
from hbm_stan.sensitivity.power import Power
from hbm_stan.sensitivity.rivals import Rival
from hbm_stan.sensitivity.run import Sensitivity
from hbm_stan.sensitivity.way import Way
from hbm_stan.verdicts import for_json

HOSTILE = [
    "say \"hello\" and 'bye'",
    '#panic("out") #eval("1 + 1")',
    "$x^2$ *bold* _it_ `raw` <label> @ref",
    "[x] {y} // gone /* gone */ \\ \\n \\u{41}",
    "= heading - item + item / term: --- ~",
    "École Школа Ελλάς №57 ½ −3 €",
    "https://example.org/a_very_long/path-without-any-space/" + "x" * 90,
    "Regional Consolidated School District of the Northern Lakes and Upper Valleys (No. 17)",
]


@pytest.fixture(scope="module")
def figures() -> dict[str, bytes]:
    return example_svgs()


@pytest.fixture(scope="module")
def report(figures: dict[str, bytes]) -> bytes:
    return pdf_of(example_results(), figures)


def text_of(pdf: bytes) -> str:
    """All text of a PDF without white space: line breaks are the layout's."""
    return squeezed("".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages))


def squeezed(text: str) -> str:
    return "".join(text.split())


def pdf_of(results: dict[str, Any], figures: dict[str, bytes] | None = None, template: Path = TEMPLATE) -> bytes:
    """The PDF of results; without figures the programs are cut to their ends, which are read back sooner."""
    if not figures:
        results = results | {"programs": [p | {"code": p["code"][-300:]} for p in results["programs"]]}
    shown = view_of(results, figures or {}) | {"date": None}
    return compile_pdf(shown, {n: (figures or {})[n] for n in shown["figures"]}, template)


# --- what it says -------------------------------------------------------------------------------------------


def test_the_report_says_what_it_must(report: bytes) -> None:
    results = example_results()
    pages = [squeezed(page.extract_text()) for page in PdfReader(io.BytesIO(report)).pages]
    text = "".join(pages)
    for phrase in [
        results["question"], *results["answer"][2:], "35 of 35 checks", "Estimates of the groups",
        "The population and a new group", "Fit", "Comparison of the variants", "Diagnostics",
        "Stan programs", results["command"], results["data"]["sha256"], results["programs"][2]["sha256"], "Figure 4",
        "y ~ normal(mu, sqrt(square(se) + square(tau)));",
    ]:  # fmt: skip
        assert squeezed(phrase) in text, phrase
    assert squeezed("new group") in pages[0]
    assert squeezed(results["title"]) in pages[0]
    # The withholding tests look for these, so they must be found where nothing is withheld.
    assert all(squeezed(c) in text for c in CONCLUSIONS)


def test_metadata_pages_and_tags(report: bytes) -> None:
    reader = PdfReader(io.BytesIO(report))
    assert reader.metadata.title == example_results()["title"]
    assert reader.metadata.author.startswith("hbm_stan ")
    assert reader.metadata.creation_date is None
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert reader.trailer["/Root"]["/Lang"] == "en"
    width, height = (float(v) for v in reader.pages[0].mediabox[2:])
    assert (width, height) == pytest.approx((595.28, 841.89), abs=0.1)
    assert f"1/{len(reader.pages)}" in squeezed(reader.pages[0].extract_text())
    assert squeezed(short_title(example_results()["title"])) in squeezed(reader.pages[1].extract_text())
    assert not any(page.images for page in reader.pages)


def test_the_pdf_passes_the_accessibility_standard(
    figures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import typst

    compiled, standards = typst.compile, {"pdf_standards": ["ua-1"]}
    monkeypatch.setattr(typst, "compile", lambda *a, **k: compiled(*a, **k, **standards))
    pdf_of(example_results(), figures)
    without_alt = tmp_path / "broken.typ"
    without_alt.write_text(TEMPLATE.read_text(encoding="utf-8").replace("alt: source,", ""), encoding="utf-8")
    with pytest.raises(HbmError, match="alt"):
        pdf_of(example_results(), figures, without_alt)


def test_sections_without_numbers_are_left_out() -> None:
    results = example_results(variants=["complete_pooling"])
    headings = [b["text"] for b in view_of(results, [])["body"] if b["kind"] == "heading"]
    assert headings == ["Data", "Model", "The population", "Fit", "Diagnostics"]
    assert "Diagnostics" in text_of(pdf_of(results))


def test_long_lists_are_cut_and_say_so() -> None:
    text = text_of(pdf_of(example_results(200)))
    assert squeezed("The data: first 20 of 200 groups") in text
    assert squeezed("… 194 between them") in text
    assert squeezed("all 200 groups are in tables/groups.csv") in text
    assert squeezed("all parameters and all checks are in tables/parameters.csv") in text


def test_waived_and_warned_checks_are_named_on_page_one() -> None:
    results = example_results()
    hint = "79 divergent transitions of 4000; most of them where tau is small."
    verdicts = results["fits"]["partial_pooling"]["verdicts"]
    verdicts[6] |= {"status": "fail", "value": 79, "hint": hint, "waived": True}
    verdicts[8] |= {"status": "warn", "value": 0.2, "hint": "Energy mixes poorly in chain 3."}
    results["notices"] = [f"Partial pooling: the failed check was waived by the analyst. {hint}", "Another notice."]
    results["notices_about"] = ["check", "groups"]
    page = squeezed(PdfReader(io.BytesIO(pdf_of(results))).pages[0].extract_text())
    assert squeezed("failed, waived Partial pooling, divergences: 79 divergent transitions") in page
    assert squeezed("Energy mixes poorly in chain 3.") in page
    assert squeezed("33 of 35 checks of the data and the fits passed; 1 failed and waived, 1 with a warning.") in page
    assert page.count(squeezed("79 divergent transitions")) == 1
    assert squeezed("Another notice.") in page


# --- what it withholds --------------------------------------------------------------------------------------

CONCLUSIONS = ["−9.1", "Leave-one-out scores", "Complete pooling and partial pooling predict alike"]


def assert_withheld(results: dict[str, Any], figures: dict[str, bytes]) -> None:
    shown = view_of(results, figures)
    assert set(shown["figures"]) <= {"ranks", "energy", "ess"}
    text = text_of(pdf_of(results))
    for conclusion in [*CONCLUSIONS, "true value of a new group", "Estimates by pooling"]:
        assert squeezed(conclusion) not in text, conclusion
    mean = results["fits"]["partial_pooling"]["parameters"]["mu"]
    assert f" {digits.format_estimate(mean['mean'], mean['mcse_mean'])}" not in json.dumps(shown["body"])
    assert squeezed("The conclusion is withheld") in text
    assert squeezed(results["answer"][1].replace("tau", "𝜏")) in text
    assert squeezed("79 divergences; 71 of them") in text


def test_a_failed_check_withholds_the_conclusions(figures: dict[str, bytes]) -> None:
    assert_withheld(example_results(withheld=True), figures)


def test_what_is_not_withheld_would_be_seen(figures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    shown_though_withheld = Section(comparison.section, when=When.WITHHELD)
    monkeypatch.setattr(view, "SECTIONS", (*view.SECTIONS, shown_though_withheld))
    with pytest.raises(AssertionError):
        assert_withheld(example_results(withheld=True), figures)


def test_high_pareto_k_withholds_the_ranking(figures: dict[str, bytes]) -> None:
    results = example_results()
    why = "The ranking is withheld: k is too high."
    results["comparison"] |= {"withheld": True, "verdict": [why, "a beats b."], "withheld_because": [why]}
    results["answer"].append(why)
    results["comparison"]["scores"][0] |= {"pareto_k_high": 3, "pareto_k_max": 0.91}
    shown = view_of(results, figures)
    text = text_of(pdf_of(results))
    assert "comparison" not in shown["figures"]
    assert squeezed("The ranking is withheld: k is too high.") in text
    assert "abeatsb" not in text
    assert "−30.1" not in text
    assert "0.91" in text


# --- text that must not break out ---------------------------------------------------------------------------


def assert_literal(template: Path = TEMPLATE) -> None:
    results = example_results(8, HOSTILE)
    results["title"] = '#strike[x] $1$ "t"'
    results["question"] = "Is *this* _text_? #lorem(3)"
    results["answer"] = results["page_one"]["said"] = ["The answer for #emph[a] is [b]."]
    results["data"]["unit"] = results["data"]["columns"][1]["unit"] = "µg/m³ #[x]"
    results["priors"][0]["reason"] = "because $x$ @nobody"
    results["programs"][-1]["code"] += "\n// ``` #panic() $ \\\n"  # the main one, with its comments
    text = text_of(pdf_of(results, template=template))
    literals = [
        *HOSTILE,
        results["title"],
        results["question"],
        results["answer"][0],
        "µg/m³ #[x]",
        "$x$ @nobody",
        "// ``` #panic() $ \\",
    ]
    for literal in literals:
        assert squeezed(literal) in text, literal


def test_labels_and_titles_are_shown_literally() -> None:
    assert_literal()


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("  text(string)\n", '  eval(string, mode: "markup")\n'),
        ("raw(block.text, block: true)", 'eval(block.text, mode: "markup")'),
    ],
)
def test_text_read_as_markup_would_be_seen(right: str, wrong: str, tmp_path: Path) -> None:
    source = TEMPLATE.read_text(encoding="utf-8")
    assert source.count(right) == 1
    broken = tmp_path / "broken.typ"
    broken.write_text(source.replace(right, wrong), encoding="utf-8")
    with pytest.raises((AssertionError, HbmError)):
        assert_literal(broken)


CONTROLS = ["nul\x00 bell\x07 esc\x1b[31m", "lone \ud800 surrogate", "right\u202eto left", "tab\tand\r\nlines\u2028end"]


def test_controls_cannot_reach_the_pages() -> None:
    text = text_of(pdf_of(example_results(8, CONTROLS)))
    for shown in ["nul bell esc[31m", "lone \ufffd surrogate", "rightto left", "tab and lines end"]:
        assert squeezed(shown) in text


def test_controls_would_be_seen_without_the_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeset, "escape", lambda text: text)
    with pytest.raises((AssertionError, HbmError, UnicodeError)):
        test_controls_cannot_reach_the_pages()


def test_unusual_scripts_are_shown_or_named(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ["北京市第四中学", "😀 emoji", "عربي", "हिन्दी"]
    pdf_of(example_results(8, labels))
    monkeypatch.setattr("hbm_stan.plots.fonts.family_of", lambda c: None)
    assert escape("北京 A") == "[U+5317 U+4EAC] A"
    assert squeezed("[U+5317 U+4EAC U+5E02") in text_of(pdf_of(example_results(8, labels)))


def test_empty_and_huge_texts_can_be_set() -> None:
    results = example_results(4, ["", "word " * 900, "y" * 3000, "y" * 1500 + "z" + "y" * 1499])
    results |= {"title": " ", "question": "", "answer": [], "notices": [], "notices_about": []}
    results["page_one"]["said"] = []
    results["data"] |= {"title": "", "source": "", "notes": []}
    text = text_of(pdf_of(results))
    assert "eight_schools" in text
    assert "y" * 60 + "…[3,000letters," in text
    assert "y" * 200 not in text
    assert len(set(re.findall(r"3,000letters,([0-9a-f]{6})", text))) == 2, "two labels, alike at both ends"
    assert short_title("long word " * 30).endswith("…")
    assert len(short_title("x" * 500)) <= 101


def test_missing_numbers_become_dashes() -> None:
    results = example_results()
    for key in results["shrinkage"][0]:
        if key != "group":
            results["shrinkage"][0][key] = None
    for fit in results["fits"].values():
        for row in fit["parameters"].values():
            row |= {"rhat": None, "ess_bulk": None, "mcse_mean": None, "q05": None}
        for verdict in fit["verdicts"]:
            verdict |= {"value": None, "threshold": None}
    for quantity in results["new_group"]["quantities"]:
        quantity |= {"mean": None, "p_positive": None}
    for statistic in results["ppc"]["statistics"]:
        statistic |= {"q05": None, "p_value": None}
    text = json.dumps(view_of(results, []))
    assert not re.search(r"\b(None|NaN|nan|inf)\b", text)
    pdf_of(results)


# --- what is not a single normal mean for each group ----------------------------------------------------------


def with_terms() -> dict[str, Any]:
    """The example as a regression with partial pooling of the intercept: the coefficient of floor is shared."""
    results = example_results()
    results["population"] = ["mu[intercept]", "mu[floor]", "tau[intercept]"]
    parameters = results["fits"]["partial_pooling"]["parameters"]
    mu, tau = parameters.pop("mu"), parameters.pop("tau")
    slope = mu | {"mean": -0.667, "sd": 0.07, "q05": -0.78, "q50": -0.667, "q95": -0.55}
    parameters |= {"mu[intercept]": mu, "mu[floor]": slope, "tau[intercept]": tau}
    results["model"]["meanings"] = {"mu": "mean in the population", "tau": "sd between groups"}
    new, y_new = results["new_group"]["quantities"]
    floor = new | {k: slope[k] for k in ("mean", "sd", "q05", "q50", "q95")}
    own = new | {"name": "theta_new[intercept]", "meaning": "intercept of a new group"}
    floor |= {"name": "theta_new[floor]", "meaning": "coefficient of floor of a new group"}
    results["new_group"]["quantities"] = [own, floor, y_new]
    rows = results["shrinkage"]
    same = {"term": "floor", "partial_pooling": -0.667, "sd": 0.07, "raw": 1 / 3, "raw_se": 2 / 3}
    results["shrinkage"] = [r | {"term": "intercept", "raw": r["raw"] / 7} for r in rows] + [r | same for r in rows]
    return results


def test_a_coefficient_that_all_groups_share_has_no_table_of_groups() -> None:
    body = view_of(with_terms(), ["shrinkage", "shrinkage_1"])["body"]
    text = json.dumps(body)
    assert "the coefficient of floor is the same in all groups" in text
    assert "Coefficient of floor by pooling" not in text
    assert "Intercept by pooling" in text
    assert "coefficient of floor of a new group" not in text
    assert "intercept of a new group" in text
    changed = with_terms()
    changed["shrinkage"][-1]["partial_pooling"] = -0.5
    assert "Coefficient of floor by pooling" in json.dumps(view_of(changed, [])["body"])


def test_the_population_of_a_regression_has_its_terms_and_their_units() -> None:
    results = with_terms()
    text = text_of(pdf_of(results))
    for phrase in ("[floor]", "inpoints;coefficientsperunitoftheirpredictor", "sampledinthisform:marginal"):
        assert phrase in text, phrase
    meaning = next(p["meaning"] for p in results["priors"] if p["name"] == "mu")
    assert squeezed(f"{meaning}: floor") in text
    assert "coefficients" not in words.caption_unit(results, ["theta_new[intercept]", "y_new"])


def test_computed_numbers_are_rounded_and_given_ones_are_not() -> None:
    assert digits.format_column([28.0, -3.0, 24.25, None]) == ["28", "−3", "24.25", "–"]
    assert digits.format_column([0.6604062500, 2.598696]) == ["0.660", "2.599"]
    assert digits.format_column([0.03983703, 0.0693]) == ["0.03984", "0.06930"]
    assert digits.format_column([15.04168723], [203.48, 290.1]) == ["15.04"]
    assert digits.format_column([1 / 3, 1 / 3]) == ["0.3333", "0.3333"]
    text = json.dumps(view_of(with_terms(), [])["body"])
    assert not re.search(r"\d\.\d{7,}", text)


def test_columns_without_a_number_are_left_out() -> None:
    results = example_results()
    for row in results["shrinkage"]:
        row |= {"raw": None, "raw_se": None, "factor": None}
    tables = [b for b in view_of(results, ["shrinkage"])["body"] if b["kind"] == "table"]
    heads = next([c["head"][0] for c in t["columns"]] for t in tables if "by pooling" in t["caption"][0])
    assert heads == ["Group", "Complete", "No", "Partial", "SD", "5 %", "95 %"]
    (caption,) = [b["caption"] for b in view_of(results, ["shrinkage"])["body"] if b["kind"] == "figure"]
    assert "raw" not in caption[0]


@pytest.mark.parametrize(
    ("most", "raw", "caption", "alt"),
    [(1, True, "All schools in order, and each against its raw estimate. Bars hold 50 % and 90 % of the posterior; "
      "dashed: equal to the raw estimate, dotted: mean of the estimates.", "and against their raw estimates."),
     (1, False, "All schools in order. Bars hold 50 % and 90 % of the posterior.", "intervals, in order."),
     (5, True, "All schools in order, and each by its number of rows. Bars hold 50 % and 90 % of the posterior, "
      "circles are raw estimates.", "intervals, in order.")],
)  # fmt: skip
def test_the_caption_of_many_groups_says_what_is_drawn(most: int, raw: bool, caption: str, alt: str) -> None:
    results = example_results(85)
    results["data"] |= {"rows_per_group": {"least": 1, "median": 1.0, "most": most}}
    results["data"]["noun"] = {"one": "school", "many": "schools"}
    for row in [] if raw else results["shrinkage"]:
        row |= {"raw": None, "raw_se": None}
    (block,) = [b for b in view_of(results, ["shrinkage"])["body"] if b["kind"] == "figure"]
    assert block["caption"] == [caption]
    assert block["alt"].endswith(alt)


FINDING = {
    "title": "Where it tips", "intervals": None, "areas": None, "sweep": None, "points": None, "digits": {},
    "caption": "", "table": [{"delta": 1.0}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("sentences", "shown"),
    [(["It tips at 3.", "Nothing tells it."], ["Nothing tells it."]), (["It tips at 3."], ["It tips at 3."])],
)
def test_a_section_of_the_family_repeats_no_sentence_of_the_answer(sentences: list[str], shown: list[str]) -> None:
    results = example_results()
    results["page_one"]["said"] = ["If all is well, it is 2. It tips at 3. All else is at 1.", "Nothing else."]
    results["findings"] = [FINDING | {"sentences": sentences}]
    blocks = own.section(results, ["own_0"])
    assert [b["spans"][0] for b in blocks if b["kind"] == "prose"] == shown
    assert [b["spans"][2] for b in blocks if b["kind"] == "prose"] == [{"ref": "own_0"}]


@pytest.mark.parametrize(("title", "width"), [("Partial pooling", "auto"), ("Partial pooling " * 3, "2fr")])
def test_titles_of_variants_take_what_they_need_unless_they_are_long(title: str, width: str) -> None:
    results = example_results()
    results["model"]["variants"][0]["title"] = title
    tables = [b for b in view_of(results, [])["body"] if b["kind"] == "table"]
    columns = next(t["columns"] for t in tables if t["caption"][0].startswith("The pooling variants"))
    assert [c["width"] for c in columns] == [width, "5fr", "4fr"]


def test_priors_that_are_all_defaults_are_called_so_once() -> None:
    results = example_results()
    for prior in results["priors"]:
        prior["default"] = True
    text = text_of(pdf_of(results))
    assert squeezed("Priors, all of them defaults.") in text
    assert "Default." not in text
    results["priors"][0]["default"] = False
    text = text_of(pdf_of(results))
    assert squeezed("all of them defaults") not in text
    assert text.count("Default.") == len(results["priors"]) - 1


def test_how_partial_pooling_is_sampled_stands_in_the_appendix() -> None:
    shown = view_of(with_terms(), [])
    assert "is sampled in this form" in json.dumps(shown["appendix"])
    assert "is sampled in this form" not in json.dumps(shown["body"])


def test_a_new_group_is_drawn_where_a_figure_has_one() -> None:
    results = example_results()
    words = "It is drawn in "
    assert words in json.dumps(new_group.section(results, ["answer"]))
    assert words in json.dumps(new_group.section(results, ["new_group"]))
    for panel in results["page_one"]["panels"]:
        panel["new"] = None
    assert words not in json.dumps(new_group.section(results, ["answer"]))
    results["new_group"]["quantities"][-1] |= {"meaning": "a new row in a new group", "sign": True}
    shown = json.dumps(new_group.section(results, []))
    assert "(a new row in a new group)" in shown


def test_sensitivities_have_a_table_only_where_a_reading_is_to_think_about() -> None:
    results = example_results() | {"sensitivity": sensitivity_of(["A"])}
    readings = results["sensitivity"]["power"]["readings"]
    caption = "Power-scaling sensitivity of quantities"
    for reading, shown in (("conflict", True), ("strong prior", True), ("both", False), ("none", False)):
        for row in readings:
            row["reading"] = reading
        assert (caption in json.dumps(sensitivity.section(results, []))) is shown, reading
    readings[0]["reading"] = "conflict"
    assert caption in json.dumps(sensitivity.section(results, []))


def test_only_sections_are_numbered() -> None:
    text = text_of(pdf_of(example_results()))
    assert "2Model" in text
    assert "2.1" not in text.partition("AHowtomake")[0].partition("3Estimates")[0][-12:]
    assert "1Answer" not in text


def test_a_tall_table_may_break_and_a_low_one_may_not() -> None:
    from hbm_stan.report.blocks import column

    heads = [column("a"), column("b"), column("c")]
    assert table(["t"], heads, [["x", "y", "z"]] * 5)["whole"]
    assert not table(["t"], heads, [["x", "y", "word " * 40]] * 5)["whole"]
    assert not table(["t"], heads, [["x", "y", "z"]] * 30)["whole"]


def test_derived_parameters_have_a_meaning_and_stand_with_the_population() -> None:
    results = example_results()
    results["priors"] = [p for p in results["priors"] if p["name"] != "tau"]
    results["model"]["meanings"] = {"tau": "sd of the rate between groups"}
    parameters = results["fits"]["partial_pooling"]["parameters"]
    parameters["tau"] = parameters.pop("tau")
    assert words.meaning_of(results, "tau") == "sd of the rate between groups"
    results["fits"]["partial_pooling"]["verdicts"][6] |= {"status": "warn"}  # then all parameters are shown
    body = view_of(results, [])["body"]
    shown = next(b for b in body if b["kind"] == "table" and str(b["caption"][0]).startswith("Parameters of"))
    assert [row[0] for row in shown["rows"][:2]] == [[{"math": "mu"}], [{"math": "tau"}]]
    results["priors"] += [{**results["priors"][0], "name": "rho", "meaning": "correlations of the coefficients"}]
    assert words.meaning_of(results, "rho[intercept, floor]") == "correlations of the coefficients: intercept, floor"


def test_a_finding_names_its_figure_and_its_quantiles() -> None:
    results = example_results()
    results["findings"] = [{
        "title": "Chances", "sentences": ["One in two."], "caption": "Chances of each.", "digits": {"mean": 2},
        "table": [{"probability of": "a group", "mean": 0.501, "q05": 0.25, "sd 5 %": 1.0}], "points": None,
        "curves": [], "areas": None, "borders": None, "intervals": None, "x_label": "", "y_label": "",
    }]  # fmt: skip
    blocks = own.section(results, ["own_0"])
    assert {"ref": "own_0"} in blocks[1]["spans"]
    assert blocks[2]["caption"][0].startswith("Chances. Lines: posterior median")
    assert [c["head"][0] for c in blocks[3]["columns"]] == ["Probability of", "Mean", "5 %", "SD 5 %"]


def test_terms_in_words() -> None:
    mean, sd, effect = "mean of the {term} in", "sd of the {term|term's coefficient}", "effect of {predictor} on it"
    assert in_term(mean, "days") == "mean of the coefficient of days in"
    assert (in_term(sd, "intercept"), in_term(effect, "u")) == ("sd of the intercept", "effect of u on it")
    assert in_term("scale", "days") == "scale: days"
    assert in_term("coefficient of variation", "days") == "coefficient of variation: days"
    assert [in_term(meaning) for meaning in (mean, sd, effect, "scale")] == [
        "mean of the coefficient in", "sd of the term's coefficient", "effect of the group predictor on it", "scale",
    ]  # fmt: skip
    assert (terms.unit_of_term("", "ms"), terms.unit_of_term("intercept", "ms")) == ("ms", "ms")
    assert (terms.unit_of_term("days", "ms"), terms.unit_of_term("days", "")) == ("ms per unit of days", "")


def test_the_answer_gives_a_median_and_its_ends_alike_and_no_zero() -> None:
    row = pd.Series({"q50": 1.468, "q05": 1.191, "q95": 1.763, "mcse_q50": 0.003, "mcse_q05": 0.01, "mcse_q95": 0.008})
    assert intervals.numbers(row) == ("1.47", "1.19", "1.76")
    rate = dict(row) | {"q50": 0.46, "q05": 0.0053, "q95": 3.6, "mcse_q95": 0.12, "mcse_q05": 0.001}
    assert intervals.numbers(pd.Series(rate)) == ("0.460", "0.005", "3.6")
    many = intervals.listed("Coefficients", {f"x{i}": row for i in range(10)})
    assert many.startswith("Coefficients (median and 90 % interval): x0 1.47 (1.19 to 1.76); x1 ")
    assert many.endswith("; and 2 more.")


# --- the file -----------------------------------------------------------------------------------------------


def test_same_bytes_twice(tmp_path: Path, figures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    one, two = tmp_path / "one.pdf", tmp_path / "two.pdf"
    write_pdf(example_results(), figures, one)
    write_pdf(example_results(), figures, two)
    assert one.read_bytes() == two.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.pdf", "two.pdf"]


def test_the_date_is_the_one_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.pdf"

    def year() -> int:
        return int(PdfReader(path).metadata.creation_date.year)

    results = example_results(variants=["complete_pooling"])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    write_pdf(results, {}, path)
    assert year() == 1970
    write_pdf(results, {}, path, timestamp=1_700_000_000)
    assert year() == 2023
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "tomorrow")
    with pytest.raises(HbmError, match="SOURCE_DATE_EPOCH"):
        write_pdf(results, {}, path)


def test_a_template_error_is_a_message_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(b"before")
    results = example_results(variants=["complete_pooling"])
    results["model"]["likelihood"] = ["unheard(x"]
    with pytest.raises(TypesettingError, match="could not be typeset"):
        write_pdf(results, {}, path)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["report.pdf"]


def test_a_figure_that_was_not_drawn_is_not_mentioned(figures: dict[str, bytes]) -> None:
    some = {n: figures[n] for n in ("ppc",)}
    shown = view_of(example_results(), some)
    assert shown["figures"] == ["ppc"]
    assert "ref" not in json.dumps([b for b in shown["body"] if b["kind"] == "prose" and "Figure" in str(b)])
    compile_pdf(shown | {"date": None}, some)


# --- numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "mcse", "shown"),
    [
        (4.4444, 0.07, "4.4"), (4.4444, 0.03, "4.44"), (4.4444, 0.6, "4"), (-0.04, 0.06, "0.0"), (123.4, 7.0, "120"),
        (-1.25, 0.2, "−1.2"), (3.0, None, "3.00"), (3.0, 0.0, "3.00"), (None, 0.1, "–"), (float("nan"), 0.1, "–"),
        (1.5e9, None, "1.50e9"), (-2.5e-8, None, "−2.50e−8"), (0.0, None, "0"),
    ],
)  # fmt: skip
def test_digits_follow_the_monte_carlo_error(value: float | None, mcse: float | None, shown: str) -> None:
    assert digits.format_estimate(value, mcse) == shown


def test_the_last_digit_is_not_finer_than_twice_the_error() -> None:
    for mcse in [10.0**-k * f for k in range(-3, 5) for f in (0.11, 0.3, 0.49, 0.51, 0.99)]:
        unit = 10.0 ** -digits.decimals_for(mcse)
        assert unit <= 2 * mcse < 10 * unit * (1 + 1e-12)


def test_the_digits_of_arviz() -> None:
    from arviz_stats.base.stats_utils import get_decimal_places_from_se

    for mcse in (0.003, 0.04, 0.07, 0.2, 0.6, 3.0, 7.0, 80.0):
        assert digits.decimals_for(mcse) == get_decimal_places_from_se(mcse)


@pytest.mark.parametrize(
    ("show", "value", "shown"),
    [
        (digits.format_rhat, 1.0149, "1.015"), (digits.format_count, 3712.9, "3\N{NARROW NO-BREAK SPACE}712"),
        (digits.format_data, -3.0, "−3"), (digits.format_data, 24.25, "24.25"), (digits.format_mcse, 0.0721, "0.072"),
        (digits.format_probability, 0.0001, "<\N{HAIR SPACE}0.01"), (digits.format_probability, 0.83, "0.83"),
        (digits.format_probability, 1.0, ">\N{HAIR SPACE}0.99"), (digits.format_rhat, None, "–"),
    ],
)  # fmt: skip
def test_formats(show: Callable[[float | None], str], value: float | None, shown: str) -> None:
    assert show(value) == shown


def test_a_probability_of_few_draws_has_fewer_digits() -> None:
    assert digits.format_probability(0.5, 50) == "0.5"
    assert digits.format_probability(0.5, 4000) == "0.50"


def test_decimal_points_stand_under_each_other() -> None:
    from hbm_stan.report.blocks import number

    rows = table(["t"], [number("x")], [["1.5"], ["−12"], ["0.25"], ["–"]])["rows"]
    assert [row[0][1:] for row in rows] == [[{"pad": "0"}], [{"pad": ".00"}], [], []]


def test_symbols() -> None:
    assert sentence("log tau of 'mu' is -3, not mu-like") == [
        "log ",
        {"math": "tau"},
        " of 'mu' is −3, not ",
        {"math": "mu"},
        "-like",
    ]
    text = "alpha (prior of beta 0.17), tau_unit, beta[x] and kappa; beta-binomial, beta(1, 1), a gamma mean"
    assert sentence("alpha / beta is") == [{"math": "alpha"}, " / ", {"math": "beta"}, " is"]
    assert sentence(text) == [
        {"math": "alpha"}, " (prior of ", {"math": "beta"}, " 0.17), ", {"math": 'tau_"unit"'}, ", ", {"math": "beta"},
        "[x] and ", {"math": "kappa"}, "; beta-binomial, beta(1, 1), a gamma mean",
    ]  # fmt: skip
    assert parameter("theta[#x$]") == [{"math": "theta"}, "[#x$]"]
    assert parameter("theta_new") == [{"math": 'theta_"new"'}]
    assert parameter("tau_unit_group[L3]") == [{"math": 'tau_"unit group"'}, "[L3]"]
    assert parameter("slope_x[a]") == [{"mono": "slope_x[a]"}]
    assert parameter("theta] $ #x") == [{"mono": "theta] $ #x"}]


def test_sentences_on_variants_name_them_as_the_tables_do() -> None:
    titles = {"partial_pooling": "Partial pooling with space", "partial_pooling_iid": "Partial pooling without space",
              "partial_pooling_sigma_by_group": "Partial pooling, a scale for each group"}  # fmt: skip
    results = {"model": {"variants": [{"name": n, "title": t} for n, t in titles.items()]},
               "data": {"noun": {"one": "shop", "many": "shops"}}}  # fmt: skip
    shown = in_titles(results, "Partial pooling iid and partial pooling predict alike.")
    assert shown == "Partial pooling without space and partial pooling with space predict alike."
    assert in_titles(results, "partial pooling sigma by group") == "partial pooling (a scale for each shop)"


@pytest.mark.parametrize(
    ("value", "observed", "shown"),
    [(1e-100, 0.03, "0"), (7936553.0, 0.05, "7.94e6"), (3.58e-19, 5.8, "0"), (0.0346, 0.1, "0.0346"),
     (-1.2e6, 1.0, "−1.20e6"), (0.0, 0.0, "0"), (22694.0, 1.7, "22694"), (None, 1.0, "–")],
)  # fmt: skip
def test_what_priors_expect_has_digits_that_mean_something(value: float | None, observed: float, shown: str) -> None:
    assert _rough(value, observed) == shown


def test_a_statistic_that_all_replications_share_has_no_digits_beyond_the_third() -> None:
    row = {"name": "smallest", "observed": 0.0, "replicated_mean": 3.81e-5, "q05": 0.0, "q95": 0.0, "p_value": 0.5}
    assert _statistic(row)[:5] == ["smallest", "0.000", "0.000", "0.000", "0.000"]


def test_a_table_whose_heads_have_no_room_beside_each_other_is_not_folded() -> None:
    rows = [[f"e{k}", "1.0", "2.0", "3.0"] for k in range(12)]

    def folded(name: str) -> bool:
        heads = [column("event", width="label"), number(name), number("error"), number("mass")]
        return "abreast" in _folded("The data.", heads, rows)

    assert folded("standard_error (sd)")
    assert not folded("log10_deformability (log10)")


def test_a_number_of_the_data_has_no_more_digits_than_a_reader_needs() -> None:
    assert (_cell(0.3435112807), _cell(0.6), _cell(126.0), _cell("a")) == ("0.343511", "0.6", "126", "a")


def test_programs_keep_their_lines() -> None:
    assert escaped({"kind": "code", "text": "a\n\tb\x00"})["text"] == "a\n  b"
    assert escaped({"text": "a\nb"})["text"] == "a b"


def test_the_view_is_plain_json() -> None:
    shown = view.view_of(example_results(3), ["shrinkage"])
    assert json.loads(json.dumps(shown, allow_nan=False)) == shown


# --- what would have changed the answer ---------------------------------------------------------------------


def sensitivity_of(labels: list[str], changed: tuple[str, ...] = (), tried: bool = True) -> dict[str, Any]:
    """A made-up sensitivity of the example analysis, as plain values."""
    wide = Interval(mean=4.43, sd=3.31, q05=-1.02, q50=4.47, q95=9.88)
    base = Conclusion(
        intervals={
            "mu": wide, "tau": Interval(mean=3.62, sd=3.2, q05=0.26, q50=2.7, q95=9.9),
            "theta_new": Interval(mean=4.4, sd=6.1, q05=-5.2, q50=4.5, q95=13.9),
        },
        decision=Decision.NOT_TOLD_APART, elpd_diff=-0.2, se_diff=0.3, other="complete_pooling",
        locations=("mu",), scales=("tau",), columns=("mu", "tau", "theta_new"),
    )  # fmt: skip
    rows = [
        Row(
            rival=Rival(f"tau: {i}", {"tau": f"half_normal({i})"}, ("partial_pooling",)),
            conclusion=base,
            changes=(),
            largest="tau",
            moved=0.1 * i,
        )
        for i in range(1, 11)
    ]
    rows[0] = replace(rows[0], changes=changed, moved=-1.5)
    rows[1] = replace(rows[1], conclusion=None, failed="partial_pooling did not pass its checks (R-hat)", moved=None)
    readings = [
        {"quantity": n, "prior": "tau", "prior_value": v, "all_priors": v, "likelihood": 0.2, "reading": r}
        for n, v, r in (("mu", 0.01, "none"), ("tau", 0.1, "conflict"), ("theta_new", 0.06, "conflict"))
    ]  # fmt: skip
    sentence = "Potential prior-data conflict: tau (prior of tau 0.10, likelihood 0.20), theta_new (prior of tau 0.06)."
    groups = [
        Without(
            group=g,
            route=way,
            pareto_k=0.8 - 0.1 * i,
            intervals={"mu": wide, "tau": wide},
            moves={"mu": -0.4, "tau": 0.1},
            flips=(),
        )
        for i, (g, way) in enumerate(zip(labels, [Way.UNRELIABLE, *[Way.WEIGHTS] * len(labels)], strict=False))
    ]
    sensitivity = Sensitivity(
        variant="partial_pooling",
        power=Power((), readings, "of the rows", (sentence,)),
        alternatives=Alternatives(base, tuple(rows), ("A conclusion changes under 1 of 9 other priors.",))
        if tried
        else None,
        influence=Influence(
            base={"mu": wide, "tau": wide},
            rows=tuple(groups),
            n_groups=len(groups),
            k_threshold=0.7,
            sentences=(f"{labels[-1]} moves it.",),
            columns=("mu", "tau"),
        ),
    )
    return for_json(sensitivity.as_dict())  # type: ignore[no-any-return]


def test_what_would_have_changed_the_answer_is_half_a_page(figures: dict[str, bytes]) -> None:
    results = example_results() | {"sensitivity": sensitivity_of(list("ABCDEFGH"), ("the comparison: other",))}
    pages = [squeezed(p.extract_text()) for p in PdfReader(io.BytesIO(pdf_of(results, figures))).pages]
    text = "".join(pages)
    assert squeezed("What would have changed the answer") in text
    assert squeezed("a new group's value (prior of ") in text
    # The prior that changes the conclusion and the one whose refits failed come before those that move it little.
    assert squeezed("half_normal(1) 4.5 (−1.0 to 9.9) 2.7 (0.3 to 9.9)") in text
    assert squeezed("half_normal(2)") in text
    assert squeezed("none: checks failed") in text
    assert squeezed("8 of 10 priors, those that move it most.") in text
    assert squeezed("half_normal(3)") not in text
    assert squeezed("weights, not reliable") in text
    assert squeezed("theta_new") not in text


def test_a_report_without_other_priors_says_how_to_try_them() -> None:
    results = example_results() | {"sensitivity": sensitivity_of(["A"], tried=False)}
    assert squeezed("Other priors were not tried") in text_of(pdf_of(results))
    assert squeezed("changed the answer") not in text_of(pdf_of(example_results() | {"sensitivity": None}))
    held = example_results(withheld=True) | {"sensitivity": sensitivity_of(["A"])}
    assert squeezed("changed the answer") not in text_of(pdf_of(held))


@pytest.mark.parametrize("labels", [HOSTILE[:3], HOSTILE[3:6], [*HOSTILE[6:], "my_new"]])
def test_labels_of_any_kind_stay_what_they_are_among_groups_left_out(labels: list[str]) -> None:
    text = text_of(pdf_of(example_results() | {"sensitivity": sensitivity_of(labels)})).replace("-", "")
    for label in labels:
        assert squeezed(label).replace("-", "").replace("−", "")[:40] in text.replace("−", ""), label
    assert squeezed(f"{labels[-1]} moves it").replace("-", "")[-50:] in text
