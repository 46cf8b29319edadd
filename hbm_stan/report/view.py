"""results dict -> display dict: every number as the text that is printed, every section as blocks.

What a failed check withholds is taken out here, so the template cannot show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hbm_stan import __version__
from hbm_stan.plots.style import PALETTE
from hbm_stan.report.blocks import Block
from hbm_stan.report.contents import SECTIONS
from hbm_stan.report.sections import appendix, front

_SHORT_TITLE = 100  # letters of 8.5 pt on a line


def short_title(title: str) -> str:
    """The title for the head of a page: cut at a word, with an ellipsis."""
    flat = " ".join(title.split())
    if len(flat) <= _SHORT_TITLE:
        return flat
    return flat[:_SHORT_TITLE].rsplit(" ", 1)[0][:_SHORT_TITLE] + "…"


def _body(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    standing = (section for section in SECTIONS if section.stands(results["withheld"]))
    return [block for section in standing for block in section.blocks(results, figures)]


def view_of(results: dict[str, Any], figures: Iterable[str]) -> dict[str, Any]:
    """What the template lays out. ``figures`` are the names of the figures that were drawn."""
    names = sorted(figures)
    first, blocks = front.page(results, names), _body(results, names)
    title = results["title"].strip() or results["analysis"]
    return {
        "title": title,
        "short_title": short_title(title),
        "author": f"hbm_stan {__version__}",
        "withheld": results["withheld"],
        "colours": PALETTE,
        "front": first,
        "body": blocks,
        "appendix": appendix.section(results),
        "figures": [b["name"] for b in [*first["figure"], *blocks] if b["kind"] == "figure"],
    }
