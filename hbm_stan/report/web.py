"""The view of a report as one HTML file that needs nothing beside it: figures, styles and mathematics are in it.

Jinja2 fills the template and escapes every text; nothing of the user's is read as markup. Typst turns its own
mathematics into MathML, as it sets them on the pages of the PDF: two renderings of one source.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hbm_stan.notation import refuse_code
from hbm_stan.report.blocks import length
from hbm_stan.report.typeset import compiled, escaped, mathematics

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE = Path(__file__).with_name("page.html")
# Each formula in a section of its own, in the order that they are given in.
_FORMULAS = b"""#for source in json(bytes(sys.inputs.sources)) {
  html.elem("section", math.equation(eval(source, mode: "math"), block: true))
}"""
_PER_CENT = re.compile(r"(?<=\d) %")
_SECTION = re.compile(r"<section>(.*?)</section>", re.DOTALL)
# Letters of its longest cell up to which a column is not broken, above which it keeps room on narrow screens (ours).
_SHORT, _LONG = 14, 34
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def compile_html(view: dict[str, Any], figures: dict[str, bytes]) -> bytes:
    """The HTML of a view: the same bytes for the same view and figures.

    Raises TypesettingError where Typst cannot set a formula.
    """
    import jinja2

    clean = escaped(view)
    formulas = sorted(set(mathematics(clean)))
    refuse_code(formulas, "The report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["unbroken"] = _unbroken
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(
        view=_numbered(clean), formulas=_mathml(formulas),
        images={name: base64.b64encode(svg).decode("ascii") for name, svg in figures.items()},
    )  # fmt: skip
    return text.encode("utf-8")


def _mathml(sources: list[str]) -> dict[str, dict[str, Markup]]:
    """Every formula as MathML, by its source: on a line of its own (``block``) and in a line of text (``inline``)."""
    import typst
    from markupsafe import Markup

    inputs = {"sources": json.dumps(sources)}
    page = compiled(_FORMULAS, TEMPLATE.parent, inputs, typst.Fonts(include_system_fonts=False), "html")
    sections = _SECTION.findall(page.decode("utf-8"))
    blocks = dict(zip(sources, sections, strict=True))
    return {
        source: {"block": Markup(text), "inline": Markup(text.replace(' display="block"', "", 1))}
        for source, text in blocks.items()
    }


def _numbered(view: dict[str, Any]) -> dict[str, Any]:
    """The view with numbers of sections, figures and tables, which Typst counts by itself, and a list of contents."""
    counts = {"figure": 0, "table": 0}
    front = view["front"]
    parts = ("figure", "checks", "comparison", "notices")
    front_blocks = {name: [_captioned(b, counts) for b in front.get(name, [])] for name in parts}
    body = [_captioned(b, counts) for b in _headed(view["body"], (str(i) for i in range(1, 100)), "")]
    appendix = [_captioned(b, counts) for b in _headed(view["appendix"], iter(_LETTERS), "Appendix ")]
    every = [b for blocks in (*front_blocks.values(), body, appendix) for b in blocks]
    places = {b["name"]: b["number"] for b in every if b["kind"] == "figure"}
    contents = [b for b in every if b["kind"] == "heading" and b["level"] == 1]
    return view | {
        "front": front | front_blocks,
        "body": body,
        "appendix": appendix,
        "places": places,
        "contents": contents,
    }


def _unbroken(text: str) -> str:
    """The text with each number held to its per cent."""
    return _PER_CENT.sub("\N{NO-BREAK SPACE}%", text)


def _below_each_other(block: dict[str, Any]) -> dict[str, Any]:
    """The table with parts that stand beside each other on a page one below the other, so that it can be sorted."""
    if "abreast" not in block:
        return block
    starts, width = block["abreast"]["starts"], block["abreast"]["width"]
    parts = [row[start : start + width] for start in starts for row in block["rows"]]
    return block | {"columns": block["columns"][:width], "rows": [part for part in parts if length(part[0])]}


def _room(column: list[Any]) -> str:
    """Whether the cells of a column are ``short`` labels or ``long`` texts, or neither."""
    longest = max(map(length, column), default=0)
    return "short" if longest <= _SHORT else "long" if longest > _LONG else ""


def _headed(blocks: list[dict[str, Any]], numbers: Iterator[str], word: str) -> Iterator[dict[str, Any]]:
    for block in blocks:
        if block["kind"] == "heading" and block["level"] == 1:
            number = next(numbers)
            yield block | {"number": number, "name": f"section-{number}", "word": word}
        else:
            yield block


def _captioned(block: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    if block["kind"] not in counts:
        return block
    counts[block["kind"]] += 1
    numbered = block | {"number": counts[block["kind"]]}
    if block["kind"] == "table":
        numbered = _below_each_other(numbered)
        numbered["columns"] = [
            head | {"room": _room([row[k] for row in numbered["rows"] if len(row) == len(numbered["columns"])])}
            for k, head in enumerate(numbered["columns"])
        ]
        # A row of one cell is the head of a part, which its rows must not leave.
        numbered["sortable"] = all(len(row) == len(numbered["columns"]) for row in numbered["rows"])
    return numbered
