"""The pages are measured: how many, how full, nothing cut, small or on top of something, figures in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_results import example_figures, example_results, example_svgs
from page_measures import (
    Page,
    far_figures,
    figures,
    fullness,
    ink_outside,
    outside,
    overlapping,
    pages_of,
    place_of,
    small,
    touches_edge,
)
from test_page_one import unexplained

from hbm_stan import plots
from hbm_stan.engines import Engine
from hbm_stan.plots.save import save_svg
from hbm_stan.report.build import report
from hbm_stan.report.typeset import TEMPLATE, compile_pdf
from hbm_stan.report.view import view_of

ROOT = Path(__file__).parent.parent
APPENDIX = "How to make this report again"
LONGEST_APPENDIX, FULL = 4.0, 0.6
# Pages before the appendix: of up to 30 groups and 2 predictors, of radon, of any other shipped analysis.
FEW, RADON, ANY = 5.05, 8.0, 10.0
LONG_TITLE = "How much does a title that nobody shortened say of what was measured " * 3


def shipped(name: str, folder: Path, more: str = "") -> Path:
    """A copy of a shipped analysis whose report may be made."""
    folder.mkdir()
    text = (ROOT / "reports" / name / "analysis.toml").read_text(encoding="utf-8")
    (folder / "analysis.toml").write_text(text.replace("../../data/", f"{ROOT}/data/") + more, encoding="utf-8")
    return folder


def problems(pages: list[Page], longest: float = ANY) -> dict[str, Any]:
    """What is wrong with pages, by kind; empty where nothing is."""
    appendix = place_of(pages, APPENDIX)
    end = len(pages) - 1 + fullness(pages[-1])
    last = {1, int(appendix) + (0 if appendix % 1 < 0.02 else 1), len(pages)}  # of page one, the body, the appendix
    measures = {
        "long": appendix if appendix > longest else 0,
        "long appendix": end - appendix if end - appendix > LONGEST_APPENDIX else 0,
        "half empty": [p.number for p in pages if p.number not in last and fullness(p) < FULL],
        "outside": [a.text for p in pages for a in outside(p)] + [p.number for p in pages if ink_outside(p)],
        "on top": [pair for p in pages for pair in overlapping(p)],
        "small": sorted({(a.size, a.font) for p in pages for a in small(p)}),
        "far": far_figures(pages),
        "page one is too long": "Data" in pages[0].text.split("Comparison")[0] or not on_page_one(pages),
    }
    return {kind: what for kind, what in measures.items() if what}


def on_page_one(pages: list[Page]) -> bool:
    """Whether all of page one stands on page one: the second page begins with the section on the data."""
    words = " ".join(pages[1].text.split())
    return "1 Data" in words[:400]


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shipped("eight_schools", tmp_path_factory.mktemp("shipped") / "eight_schools")


def test_the_pages_of_eight_schools_are_as_they_must_be(eight: Path, stanli: Engine) -> None:
    document = report(eight, engine=stanli)
    assert problems(pages_of(document.pdf), FEW) == {}


def with_fewer_draws(folder: Path) -> Path:
    """The comparison takes the longest, and pages are as long with fewer draws."""
    text = (folder / "analysis.toml").read_text(encoding="utf-8")
    (folder / "analysis.toml").write_text(text.replace("[sampling]", "[sampling]\ndraws = 500"), encoding="utf-8")
    return folder


def test_the_pages_of_a_regression_are_as_they_must_be(tmp_path: Path, stanli: Engine) -> None:
    pages = pages_of(report(with_fewer_draws(shipped("sleepstudy", tmp_path / "sleepstudy")), engine=stanli).pdf)
    assert problems(pages, FEW) == {}
    assert len(figures(pages)) == 5


def test_the_pages_of_ratings_are_as_they_must_be(tmp_path: Path, stanli: Engine) -> None:
    """Two predictors and every section: the longest of the small analyses. With fewer draws a check fails."""
    pages = pages_of(report(shipped("wine", tmp_path / "wine"), engine=stanli).pdf)
    assert problems(pages, FEW) == {}
    assert len(figures(pages)) == 5


NAMES = sorted(p.parent.name for p in (ROOT / "reports").glob("*/analysis.toml"))


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_the_pages_of_every_shipped_analysis_are_as_they_must_be(name: str, tmp_path: Path, stanli: Engine) -> None:
    document = report(shipped(name, tmp_path / name), engine=stanli)
    slopes = [q for q in document.results["page_one"]["numbers"] if q["name"].startswith("effect[")]
    few = document.results["data"]["n_groups"] <= 30 and len(slopes) <= 2
    longest = RADON if name == "radon" else FEW if few else ANY
    assert problems(pages_of(document.pdf), longest) == {}


# --- made-up results of every kind -----------------------------------------------------------------------------------


def compiled(results: dict[str, Any], svgs: dict[str, bytes], template: Path = TEMPLATE) -> list[Page]:
    results["programs"] = [p | {"code": p["code"][-900:]} for p in results["programs"]]
    view = view_of(results, svgs) | {"date": None}
    return pages_of(compile_pdf(view, {name: svgs[name] for name in view["figures"]}, template))


def drawn(n_groups: int, labels: list[str] | None = None) -> dict[str, bytes]:
    figures = example_figures(n_groups, labels)
    return {name: save_svg(figures[name]) for name in ("answer", "population", "ppc")}


LABELS = ["Regional Consolidated School District of the Northern Lakes and Upper Valleys (No. 17)", "北京市第四中学",
          "Школа № 57", "مدرسة", "x" * 120]  # fmt: skip


@pytest.mark.parametrize(("n_groups", "labels"), [(1, None), (8, LABELS), (400, LABELS)])
def test_any_number_of_groups_with_any_labels_keeps_the_pages(n_groups: int, labels: list[str] | None) -> None:
    results = example_results(n_groups, (labels or [])[:n_groups])
    svgs = drawn(n_groups, (labels or [])[:n_groups])
    results["title"] = LONG_TITLE[:200]
    faults = problems(compiled(results, svgs), FEW)
    assert faults == {}
    assert [name for name, svg in svgs.items() if touches_edge(svg)] == []


# --- planted faults: each must be seen -------------------------------------------------------------------------------


def broken(tmp_path: Path, right: str, wrong: str) -> Path:
    source = TEMPLATE.read_text(encoding="utf-8")
    assert source.count(right) == 1, right
    path = tmp_path / "broken.typ"
    path.write_text(source.replace(right, wrong), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("small", "set text(size: 8pt, hyphenate", "set text(size: 6pt, hyphenate"),
        ("outside", "margin: if compact { (x: 15mm, y: 18mm) } else { (x: 25mm, y: 21mm) }",
         "margin: (x: 18mm, y: 21mm)"),
        ("on top", "leading: 0.57em, spacing: 0.75em", "leading: 0.05em, spacing: 0.75em"),
        ("half empty", "#let picture(block) = [", "#let picture(block) = [\n  #pagebreak()"),
        ("long", "#pagebreak(weak: true)\n#for", "#for k in range(4) [#pagebreak() page]\n#pagebreak()\n#for"),
    ],
)  # fmt: skip
def test_faults_of_the_layout_are_seen(kind: str, right: str, wrong: str, tmp_path: Path) -> None:
    results = example_results()
    faults = problems(compiled(results, example_svgs(), broken(tmp_path, right, wrong)), FEW)
    assert kind in faults


def test_a_page_one_that_is_too_long_and_a_figure_far_away_are_seen() -> None:
    results = example_results()
    results["page_one"]["said"] = ["A sentence that says a little more than it has to of what was found. " * 9] * 6
    assert "page one is too long" in problems(compiled(results, example_svgs()), FEW)
    pages = compiled(example_results(), example_svgs())
    assert far_figures(pages) == []
    moved = [
        Page(p.number, p.letters, p.ink, p.text.replace("Figure\u00a03", "").replace("Figure 3", "")) for p in pages
    ]
    first = Page(1, pages[0].letters, pages[0].ink, pages[0].text + " as Figure 3 shows")
    assert far_figures([first, *moved[1:-1], Page(9, (), moved[-1].ink, " Figure 3. A caption")]) == [3]


def test_a_label_that_is_cut_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from hbm_stan.plots import answer

    monkeypatch.setattr(answer, "_CELL_MM", 0.6)
    assert touches_edge(save_svg(example_figures(8, LABELS[:1])["answer"]))


def test_every_figure_has_words_for_its_axes() -> None:
    figures = example_figures(8)
    assert figures["answer"].draw().axes[0].get_xlabel() == "effect (points)"
    ppc = figures["ppc"].draw().axes[0]
    assert ppc.get_title("left") == "outcome (points)"
    assert ppc.get_xlabel() == "groups in the order of what was observed"
    population = figures["population"].draw().axes
    assert [a.get_title("left") for a in population] == ["μ", "τ"]
    assert population[0].get_xlabel() == "points"
    tables = example_results(85)["shrinkage"]
    panel = {"groups": pd.DataFrame(tables).assign(rows=np.arange(1, 86)), "words": "effect", "unit": "points"}
    left, right = plots.plot_strips([panel], "school", "schools").draw().axes
    assert (left.get_title("left"), left.get_xlabel()) == ("effect (points)", "schools in rising order")
    assert right.get_xlabel() == "rows of the school"
    assert (left.get_position().x1 < right.get_position().x0, right.figure.legends != []) == (True, True)


def test_the_numbers_of_page_one_are_those_of_results_json(eight: Path, stanli: Engine) -> None:
    document = report(eight, engine=stanli)
    results = json.loads(document.json.read_text())
    counted = len([v for fit in results["fits"].values() for v in fit["verdicts"]]) + len(results["data"]["verdicts"])
    text = " ".join(pages_of(document.pdf)[0].text.split())
    body = text[text.index("Answer") :].replace("Figure 1", "").replace(f"{counted} of {counted}", "")
    body = body.partition("hbm_stan")[0]
    assert unexplained(body, results) == []
