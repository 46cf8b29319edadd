"""The sections of the report that only one family has: sentences, small multiples, a table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

from hbm_stan.nouns import capital, of_results
from hbm_stan.report.blocks import Block, column, figure, heading, number, prose, ref, sentence, table
from hbm_stan.report.section import Drawings, Section
from hbm_stan.results.collect import Findings
from hbm_stan.results.digits import DASH, fixed, format_data


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """The sections that only this family has."""
    blocks: list[Block] = []
    one = of_results(results).one
    for k, finding in enumerate(results["findings"]):
        sentences = [sentence(s) for s in _beside_the_answer(finding["sentences"], results["page_one"]["said"])]
        if f"own_{k}" in figures and sentences:
            sentences[0] = [*sentences[0], " See ", ref(f"own_{k}"), "."]
        blocks += [heading(finding["title"]), *(prose(*s) for s in sentences)]
        if f"own_{k}" in figures:
            caption = f"{finding['title']}. Lines: posterior median with its 50 % and 80 % bands; points: the data."
            if finding["intervals"]:
                caption = f"{finding['title']}: medians with 90 % intervals."
            elif finding["areas"]:
                caption = f"{finding['title']}; on the right the {finding['y_label']}."
            if finding.get("sweep"):
                caption = f"{finding['title']}: posterior median and 90 % interval; the diamond is the main fit."
            if any(p["kind"] == "truth" for p in finding["points"] or []):
                caption += " Dashed: the true curves."
            blocks += figure(f"own_{k}", figures, [caption], f"{finding['title']}: by {one}.")
        if finding["table"]:
            blocks.append(_own_table(finding))
    return blocks


def _beside_the_answer(sentences: list[str], answer: list[str]) -> list[str]:
    """The sentences that the answer on page one does not hold, word by word; all where it holds every one."""
    more = [s for s in sentences if not any(s in part for part in answer)]
    return more or sentences


def _own_table(finding: dict[str, Any]) -> Block:
    rows, digits = finding["table"], finding["digits"]
    names = list(rows[0])
    numeric = {n: any(isinstance(r[n], int | float) for r in rows) for n in names}
    heads = [number(_head(n)) if numeric[n] else column(_head(n), width="label") for n in names]
    cells = [[_own_cell(row[n], digits.get(n)) for n in names] for row in rows]
    return table([finding["caption"] or finding["title"] + "."], heads, cells)


def _head(name: str) -> str:
    """The head of a column: a quantile in per cent, else its name with a capital."""
    quantile = re.fullmatch(r"q(\d\d)", name)
    return f"{int(quantile[1])} %" if quantile else re.sub(r"^S[de]\b", lambda m: m[0].upper(), capital(name))


def _own_cell(value: Any, digits: int | None) -> str:
    if value is None or isinstance(value, str):
        return value or DASH
    return format_data(value) if digits is None else fixed(value, digits)


def drawings(findings: Findings, _results: dict[str, Any]) -> Drawings:
    """Of each of these sections a map, a sweep, intervals or curves."""
    from hbm_stan import plots

    drawn: Drawings = {}
    for k, own in enumerate(findings.own):
        name = f"own_{k}"
        if own.areas is not None and own.borders is not None:
            drawn[name] = partial(plots.plot_map, own.areas, own.borders, own.x_label, own.y_label, own.outlines)
        elif own.sweep is not None:
            drawn[name] = partial(plots.plot_tipping, own.sweep, own.x_label, own.y_label)
        elif own.intervals is not None:
            drawn[name] = partial(plots.plot_sources, own.intervals, own.x_label)
        elif own.curves is not None:
            drawn[name] = partial(plots.plot_curves, own.curves, own.points, own.x_label, own.y_label)
    return drawn


SECTION = Section(section, drawings)
