"""The report as HTML: the same words and numbers as the PDF, nothing read as markup, nothing fetched from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from example_results import example_results, example_svgs
from pypdf import PdfReader
from typer.testing import CliRunner

from hbm_stan.cli.app import app
from hbm_stan.errors import HbmError, ModelError
from hbm_stan.nouns import capital
from hbm_stan.report import view as view_module
from hbm_stan.report.blocks import abreast, column, heading, number, table
from hbm_stan.report.build import report
from hbm_stan.report.contents import SECTIONS
from hbm_stan.report.section import Section, When
from hbm_stan.report.typeset import TEMPLATE as PAGES
from hbm_stan.report.typeset import compile_pdf
from hbm_stan.report.view import view_of
from hbm_stan.report.web import TEMPLATE, _captioned, _unbroken, compile_html

# Text of one does not go on in the next.
APART = {"p", "li", "td", "th", "tr", "div", "h1", "h2", "h3", "h4", "figcaption", "summary", "pre", "br"}
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Tags that are open, ids, links, and the text that a reader sees."""

    def __init__(self, html: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text, self.tags = "", set[str]()
        self.feed(html.decode("utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.text += " " * (tag in APART)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.text += data if "math" not in self.open else ""


@pytest.fixture(scope="module")
def figures() -> dict[str, bytes]:
    return example_svgs()


def html_of(results: dict[str, Any], figures: dict[str, bytes]) -> bytes:
    view = view_of(results, figures)
    return compile_html(view, {name: figures[name] for name in view["figures"]})


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[.,]\d+)*", text))


def test_it_says_what_the_pdf_says(figures: dict[str, bytes]) -> None:
    results = example_results()
    page = Page(html_of(results, figures))
    view = view_of(results, figures) | {"date": None}
    pdf = compile_pdf(view, {name: figures[name] for name in view["figures"]})
    printed = "".join(p.extract_text() for p in PdfReader(io.BytesIO(pdf)).pages)
    squeezed = "".join(printed.split())
    # Figures are pictures in the HTML, so the PDF has the numbers of their axes too.
    missing = {n for n in numbers(page.text) if n not in squeezed}
    assert not missing
    assert len(numbers(page.text)) > 100
    for shown in re.findall(r"\d+\.\d+", "".join(str(block) for block in view["front"]["answer"])):
        assert shown in page.text
    for block in [*view["body"], *view["appendix"]]:
        if block["kind"] == "heading":
            assert block["text"] in page.text


def test_figures_are_inside_and_nothing_is_fetched(figures: dict[str, bytes]) -> None:
    html = html_of(example_results(), figures)
    page = Page(html)
    assert page.open == []
    assert len(set(page.ids)) == len(page.ids)
    sources = [value for tag, name, value in page.attributes if name in {"src", "href", "srcset"}]
    assert all(value.startswith(("#", "data:image/svg+xml;base64,")) for value in sources)
    assert {value[1:] for value in sources if value.startswith("#")} <= set(page.ids)
    drawn = [base64.b64decode(value.partition(",")[2]) for value in sources if value.startswith("data:")]
    assert drawn
    assert set(drawn) <= set(figures.values())
    assert all(value for tag, name, value in page.attributes if (tag, name) == ("img", "alt"))
    assert b"default-src 'none'" in html
    assert html == html_of(example_results(), figures)


HOSTILE = [
    "<script>alert(1)</script>", "{{ 7 * 7 }}", "{% include '/etc/passwd' %}", '" onmouseover="x', "&lt;b&gt; #eval(1)",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_the_user_is_never_markup(text: str, figures: dict[str, bytes]) -> None:
    plain = Page(html_of(example_results(), figures))
    results = example_results() | {"title": text, "question": text}
    results["data"] = results["data"] | {"title": text, "notes": [text]}
    page = Page(html_of(results, figures))
    assert page.tags == plain.tags
    assert len([a for a in page.attributes if a[1].startswith("on")]) == 0
    assert text in page.text


def test_every_kind_of_block_and_span_that_pages_have_is_laid_out() -> None:
    web = TEMPLATE.read_text(encoding="utf-8")
    typst = PAGES.read_text(encoding="utf-8")
    kinds = set(re.findall(r'block\.kind == "(\w+)"', typst))
    spans = set(re.findall(r'"(\w+)" in span', typst))
    assert len(kinds) >= 8
    assert kinds <= set(re.findall(r'block\.kind == "(\w+)"', web))
    assert spans <= set(re.findall(r'"(\w+)" in span', web))


def test_a_number_and_its_per_cent_stay_on_one_line() -> None:
    assert _unbroken("about 19 % (90 % interval)") == "about 19\N{NO-BREAK SPACE}% (90\N{NO-BREAK SPACE}% interval)"


def test_tables_with_parts_are_not_sorted(figures: dict[str, bytes]) -> None:
    view = view_of(example_results(), figures)
    tables = [b for b in [*view["body"], *view["appendix"]] if b["kind"] == "table"]
    with_parts = sum(any(len(row) == 1 for row in b["rows"]) and len(b["columns"]) > 1 for b in tables)
    html = html_of(example_results(), figures).decode("utf-8")
    assert html.count('class="sortable"') == len(tables) - with_parts


@pytest.mark.parametrize("withheld", [False, True])
def test_a_section_in_the_list_stands_in_both_formats(
    withheld: bool, figures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = [heading("A section on trial")]
    added = tuple(Section(lambda _results, _figures: trial, when=when) for when in When)
    results = example_results(withheld=withheld)
    for when, section in zip(When, added, strict=True):
        monkeypatch.setattr(view_module, "SECTIONS", (*SECTIONS, section))
        view = view_of(results, figures)
        stands = when is When.ALWAYS or (when is When.WITHHELD) is withheld
        assert (trial[0] in view["body"]) is stands
        assert ("A section on trial" in html_of(results, figures).decode("utf-8")) is stands


def test_a_table_folded_for_a_page_has_a_row_for_each_here() -> None:
    heads, rows = [column("school"), number("effect")], [[name, f"{k}.5"] for k, name in enumerate("ABCDEFG")]
    half = [[*a, "", *b] for a, b in zip(rows[:4], [*rows[4:], ["", ""]], strict=True)]
    folded = abreast(table(["The data."], [*heads, column(""), *heads], half), (0, 3), 2)
    (shown,) = [_captioned(folded, {"table": 0})]
    assert [row[0] for row in shown["rows"]] == [[name] for name in "ABCDEFG"]
    assert [c["head"] for c in shown["columns"]] == [["school"], ["effect"]]
    assert shown["sortable"]
    assert [c["room"] for c in shown["columns"]] == ["short", "short"]
    unmarked = _captioned({k: v for k, v in folded.items() if k != "abreast"}, {"table": 0})
    assert len(unmarked["rows"]) == 4


def test_columns_of_long_texts_keep_room_on_a_narrow_screen(figures: dict[str, bytes]) -> None:
    html = html_of(example_results(), figures).decode("utf-8")
    meanings = [p["meaning"] for p in example_results()["priors"] if len(p["meaning"]) > 30]
    assert meanings
    assert all(f'<td class="long">{escape(capital(text))[:20]}' in html for text in meanings)
    assert "td.long { min-width" in html


def test_code_in_mathematics_is_refused_here_too(figures: dict[str, bytes]) -> None:
    view = view_of(example_results(), figures)
    view["body"].append({"kind": "equations", "lines": ['#read("/etc/passwd")']})
    with pytest.raises(HbmError):
        compile_html(view, {name: figures[name] for name in view["figures"]})


def test_the_command_writes_it_beside_the_pdf_and_keeps_it_in_step(reported: Path) -> None:
    run, html = CliRunner(), reported / "report.html"
    asked = ["report", str(reported), "--engine", "stanli"]
    assert not html.exists()
    done = run.invoke(app, [*asked, "--format", "pdf,html"])
    assert done.exit_code == 0, done.output
    assert "report.html" in done.output
    results = json.loads((reported / "results.json").read_text())
    assert results["report"]["html_sha256"] == hashlib.sha256(html.read_bytes()).hexdigest()
    before = html.stat().st_mtime_ns
    assert run.invoke(app, [*asked, "--format", "pdf,html"]).exit_code == 0
    assert html.stat().st_mtime_ns == before
    # An HTML file that is there is made with the PDF, asked for or not: it never tells an older story.
    html.write_text("old")
    assert run.invoke(app, asked).exit_code == 0
    assert html.read_text() != "old"
    wrong = run.invoke(app, [*asked, "--format", "docx"])
    assert wrong.exit_code == 2
    assert "There is no format 'docx' of a report" in " ".join(wrong.output.split())
    with pytest.raises(ModelError, match="html"):
        report(reported, formats=("htm",))
