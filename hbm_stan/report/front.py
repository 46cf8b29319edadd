"""Page one: the question, the answer in words, what the checks say, and the numbers that carry the answer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from hbm_stan.elements import base_of, term_of
from hbm_stan.nouns import Noun, of_results
from hbm_stan.plots.labels import cells
from hbm_stan.predict import Y_NEW
from hbm_stan.predictors import INTERCEPT
from hbm_stan.report.blocks import (
    Block,
    Spans,
    bullets,
    capital,
    column,
    figure,
    length,
    number,
    parameter,
    ref,
    sentence,
    status,
)
from hbm_stan.report.blocks import (
    math as mathematics,
)
from hbm_stan.report.digits import counted, format_count, format_mcse, format_summary
from hbm_stan.report.notices import About
from hbm_stan.report.terms import unit_of_terms
from hbm_stan.verdicts import check_title

MU = mathematics("mu")
_WORDS = {"p_loo": "effective number of parameters", "p_loo, groups": "effective number of parameters, {groups}"}


def variant_title(results: dict[str, Any], name: str) -> str:
    """The title of a variant, or its name as words."""
    titles = {v["name"]: v["title"] for v in results["model"]["variants"]}
    return str(titles.get(name, name.replace("_", " ")))


def all_verdicts(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every verdict with what it is about: the data, or the title of a variant."""
    pairs = [("Data", v) for v in results["data"]["verdicts"]]
    for name, fit in results["fits"].items():
        pairs += [(variant_title(results, name), v) for v in fit["verdicts"]]
    return pairs


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


def meaning_of(results: dict[str, Any], name: str) -> str:
    """What a population parameter means: in words of its own, of its prior, or of the prior of all its elements."""
    own = results["model"].get("meanings", {})
    given = {p["name"]: p["meaning"] for p in results["priors"]}
    base, term = base_of(name), term_of(name)
    general = str(given.get(base, own.get(base, "")))
    return str(own.get(name) or given.get(name) or (f"{general}: {term}" if general and term else general))


def caption_unit(results: dict[str, Any], names: Iterable[str]) -> str:
    """The units that a table of these population parameters or new quantities names in its caption."""
    shown, data = list(names), results["data"]
    unit = unit_of_terms(data["quantity_unit"], any(term_of(n) not in {"", INTERCEPT} for n in shown))
    if not unit.strip():
        return unit
    if any(base_of(n) == "rho" for n in shown):
        unit += (
            "; correlations have no unit" if any(term_of(n) for n in shown if base_of(n) == "rho") else "; rho has none"
        )
    unit += "".join(f"; {note}" for note in _of_its_own(results, shown))
    if Y_NEW in shown and data["unit"] != data["quantity_unit"]:
        unit += f"; the new observation in {data['unit']}" if data["unit"] else "; the new observation as it is counted"
    return unit


def _of_its_own(results: dict[str, Any], shown: list[str]) -> list[str]:
    """What a likelihood of a formula has beside the linear predictor, and on which scale that is."""
    coefficients = results["coefficients"]
    if not coefficients:
        return []
    names, units = {base_of(n) for n in shown}, {p["name"]: p["unit"] for p in results["priors"]}
    shares = [f"{s['name']} in log odds of {s['what']}" for s in coefficients["shares"] if s["name"] in names]
    return [*shares, *(f"{name} has no unit" for name in shown if units.get(name) == "" and not term_of(name))]


def summary_row(name: str, meaning: str, values: dict[str, Any]) -> list[Any]:
    """Symbol, meaning, mean, sd, 5 %, 50 %, 95 % and Monte Carlo error of a quantity, with honest digits."""
    return [
        parameter(name),
        meaning,
        *format_summary(values),
        format_mcse(values.get("mcse_mean")),
    ]


SUMMARY_COLUMNS = [
    column(""), column("Meaning", width="label"), number("Mean"), number("SD"), number("5 %"), number("50 %"),
    number("95 %"), number("MCSE"),
]  # fmt: skip


def with_unit(text: str, unit: str) -> str:
    """A caption with its unit."""
    return f"{text}, in {unit}" if unit.strip() else text


def _meta(results: dict[str, Any]) -> list[str]:
    data, engine = results["data"], results["engine"]
    size = f"{counted(data['n_rows'], 'row')} in {group_count(results)}"
    size += f", {format_count(data['n_unseen'])} more without an outcome" if data.get("n_unseen") else ""
    return [f"{data['title'] or data['name']}: {size}. Drawn with {engine['name']} {engine['version']}."]


def group_count(results: dict[str, Any]) -> str:
    """How many groups there are, by their noun."""
    noun, count = of_results(results), results["data"]["n_groups"]
    return f"{format_count(count)} {noun.one if count == 1 else noun.many}"


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
    return [{"kind": "prose", "spans": [{"strong": "Comparison. "}, " ".join(sentences)]}] if sentences else []


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
