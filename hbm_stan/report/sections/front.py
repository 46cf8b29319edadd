"""Page one: the question, the answer in words and in a figure, what the checks say, how sure the comparison is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import pandas as pd

from hbm_stan.fit import Fit
from hbm_stan.nouns import Noun, capital, of_results
from hbm_stan.plots.labels import cells
from hbm_stan.report.blocks import Block, Spans, bullets, figure, length, ref, sentence, status
from hbm_stan.report.section import Drawings
from hbm_stan.report.words import all_verdicts, group_count, in_titles, variant_title
from hbm_stan.results.collect import Findings
from hbm_stan.results.digits import counted, format_count
from hbm_stan.results.notices import About
from hbm_stan.results.scales import scale_of
from hbm_stan.results.terms import short_unit
from hbm_stan.verdicts import check_title

_WORDS = {"p_loo": "effective number of parameters", "p_loo, groups": "effective number of parameters, {groups}"}


def _line(about: str, verdict: dict[str, Any], noun: Noun) -> Spans:
    hint = sentence(verdict["hint"]) if verdict["hint"] else ["no details."]
    return [status(verdict["status"], verdict["waived"]), f"  {about}, {_in_words(verdict['name'], noun)}: ", *hint]


def checks(results: dict[str, Any]) -> list[Block]:
    """How many checks were made and passed; in words each that was waived, or warns of the main variant.

    Those that failed stand in the answer's place, with what to do.
    """
    pairs = all_verdicts(results)
    kinds = {word: [p for p in pairs if p[1]["status"] == word] for word in ("pass", "warn", "fail")}
    failed = [p for p in kinds["fail"] if not p[1]["waived"]]
    waived = [p for p in kinds["fail"] if p[1]["waived"]]
    passed = f"{len(kinds['pass'])} of {len(pairs)} checks of the data and the fits passed"
    parts = [(len(failed), "failed"), (len(waived), "failed and waived"), (len(kinds["warn"]), "with a warning")]
    rest = ", ".join(f"{count} {what}" for count, what in parts if count)
    worst = "fail" if failed else "warn" if waived or kinds["warn"] else "pass"
    own = {"Data", variant_title(results, results["main_variant"])}
    aside = [p for p in kinds["warn"] if p[0] not in own]
    head: Spans = [{"strong": "Checks. "}, status(worst), f"  {passed}" + (f"; {rest}." if rest else ".")]
    noun = of_results(results)
    told = [] if results["withheld"] else failed
    return [
        {"kind": "prose", "spans": [*head, *_beside(aside, noun)]},
        *bullets([_line(*p, noun) for p in [*told, *waived, *(p for p in kinds["warn"] if p not in aside)]]),
    ]


def _beside(pairs: list[tuple[str, dict[str, Any]]], noun: Noun) -> list[str]:
    """Warnings of variants that the answer does not rest on, by name: the diagnostics say what is to be done."""
    if not pairs:
        return []
    named = "; ".join(f"{about.lower()}, {_in_words(verdict['name'], noun)}" for about, verdict in pairs)
    return [f" Warnings that the answer does not rest on (see the diagnostics): {named}."]


def _in_words(name: str, noun: Noun) -> str:
    """A check as a reader of page one knows it: no symbol without its word."""
    return noun.fill(_WORDS[name]) if name in _WORDS else check_title(name, noun)


def _new_notices(results: dict[str, Any]) -> list[str]:
    """The notices that repeat neither the hint of a check nor what the section on the comparison says of its errors."""
    elsewhere = {About.CHECK, About.COMPARISON}
    told = zip(results["notices"], results["notices_about"], strict=True)
    return [text for text, about in told if about not in elsewhere]


def _meta(results: dict[str, Any]) -> list[str]:
    data, engine = results["data"], results["engine"]
    size = f"{counted(data['n_rows'], 'row')} in {group_count(results)}"
    size += f", {format_count(data['n_unseen'])} more without an outcome" if data.get("n_unseen") else ""
    return [f"{data['title'] or data['name']}: {size}. Drawn with {engine['name']} {engine['version']}."]


def _figure(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """The groups, their population and a new group in one figure."""
    noun, panels = of_results(results), results["page_one"]["panels"]
    if results["withheld"] or not panels:
        return []
    what = " and ".join(panel["words"] for panel in panels)
    caption = f"{capital(noun.many)}: {what}. Blue bars hold 50 % and 90 % of what is likely of each {noun.one}"
    parts = [f"the average {noun.one}"] * any(p["average"] for p in panels) + [f"a new {noun.one}"] * any(
        p["new"] for p in panels
    )
    caption += f", black ones of {' and of '.join(parts)}." if parts else "."
    if any(p["average"] for p in panels):
        caption += " Dashed: the average."
    alt = f"Each {noun.one} by itself and as estimated from all {noun.many}, with intervals; {', '.join(parts)}."
    return figure("answer", figures, [caption], alt)


# Millimetres of page one: what a page holds, heads and gaps, a line of 10 pt, a gap; letters of a line, of the title.
_PAGE_MM, _HEADS_MM, _LINE_MM, _GAP_MM, _LINE_CELLS, _TITLE_CELLS, _TITLE_MM = 255.0, 47.0, 4.1, 1.6, 96, 44, 8.5


def figure_room(results: dict[str, Any]) -> float:
    """About how many millimetres the figure may be high, so that page one holds everything beside it."""
    sentences = [results["question"], *results["page_one"]["said"], " ".join(results["page_one"]["comparison"])]
    shown = [length(b["spans"]) for b in checks(results) if b["kind"] == "prose"]
    shown += [
        length(item)
        for b in [*checks(results), *bullets(_new_notices(results))]
        if b["kind"] == "bullets"
        for item in b["items"]
    ]
    texts = [*(cells(text) for text in sentences), *shown]
    lines = sum(_LINE_MM * max(1, math.ceil(n / _LINE_CELLS)) + _GAP_MM for n in texts)
    title = _TITLE_MM * math.ceil(cells(results["title"]) / _TITLE_CELLS)
    return _PAGE_MM - _HEADS_MM - title - lines


def _answer(results: dict[str, Any], figures: Iterable[str]) -> list[Spans]:
    """The sentences of the answer; in their place what failed, and what to do about it."""
    if not results["withheld"]:
        sentences = [sentence(capital(s)) for s in results["page_one"]["said"]]
        if sentences and "answer" in figures and results["page_one"]["panels"]:
            sentences[-1] = [*sentences[-1], " ", ref("answer"), " shows them with their intervals."]
        return sentences
    failed = [p for p in all_verdicts(results) if p[1]["status"] == "fail" and not p[1]["waived"]]
    return [*(sentence(capital(s)) for s in results["answer"]), *(_line(*p, of_results(results)) for p in failed)]


def _comparison(results: dict[str, Any]) -> list[Block]:
    sentences = results["page_one"]["comparison"]
    return (
        [{"kind": "prose", "spans": [{"strong": "Comparison. "}, in_titles(results, " ".join(sentences))]}]
        if sentences
        else []
    )


def page(results: dict[str, Any], figures: Iterable[str] = ()) -> dict[str, Any]:
    """The parts of page one."""
    return {
        "headings": {
            "answer": "The conclusion is withheld" if results["withheld"] else "Answer",
            "notices": "Before reading the numbers",
        },
        "meta": _meta(results),
        "question": [" ".join(results["question"].split())] if results["question"].strip() else [],
        "answer": _answer(results, figures),
        "figure": _figure(results, figures),
        "checks": checks(results),
        "comparison": _comparison(results),
        "notices": bullets(_new_notices(results)),
    }


def drawings(findings: Findings, results: dict[str, Any]) -> Drawings:
    """The figure of page one, where the groups have a quantity of their own."""
    from hbm_stan import plots

    main, noun = findings.fits[results["main_variant"]], of_results(results)
    panels = []
    for panel in results["page_one"]["panels"]:
        table = on_readers_scale(main, findings.shrinkage, panel["term"])
        words = " ".join(filter(None, [panel["words"], panel["place"]]))
        short = short_unit(panel["term"], results["data"]["quantity_unit"])
        panels.append({**panel, "groups": table, "words": words, "short": short})
    return {"answer": partial(plots.plot_answer, panels, noun.one, noun.many, figure_room(results))} if panels else {}


def on_readers_scale(fit: Fit, shrinkage: pd.DataFrame, term: str) -> pd.DataFrame:
    """Columns group, raw, raw_low, raw_high (a standard error apart), q05, q25, q50, q75, q95 of a term."""
    back, own = scale_of(fit, term).back, shrinkage[shrinkage["term"] == term]
    ends = {"raw": own["raw"], "raw_low": own["raw"] - own["raw_se"], "raw_high": own["raw"] + own["raw_se"]}
    ends |= {key: own[key] for key in ("q05", "q25", "q50", "q75", "q95")}
    return pd.DataFrame({"group": own["group"]} | {key: back(values.to_numpy()) for key, values in ends.items()})
