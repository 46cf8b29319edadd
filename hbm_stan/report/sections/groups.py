"""The section on the groups: raw, unpooled and pooled estimates, a figure and a table for each term that differs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import pandas as pd

from hbm_stan.elements import term_words
from hbm_stan.fit import Fit
from hbm_stan.nouns import Noun, capital, of_results
from hbm_stan.report.blocks import (
    MOST_ROWS,
    Block,
    Span,
    bullets,
    column,
    excerpt,
    figure,
    heading,
    mono,
    number,
    prose,
    ref,
    table,
)
from hbm_stan.report.section import Drawings, Section
from hbm_stan.report.words import MU, drawn_in_words, variant_title, with_unit
from hbm_stan.results.collect import Findings
from hbm_stan.results.digits import fixed, format_column, format_count, format_estimate
from hbm_stan.results.entry import read
from hbm_stan.results.shrunken import ShrinkageRow
from hbm_stan.results.tables import GROUPS
from hbm_stan.results.terms import shared_terms, short_unit, unit_of_term

MOST_TERMS = 3  # terms of a regression that a page has room for (ours)
_WHOLE, _ENDS = 12, 3  # groups of a table that shows all, and at either end of one that does not


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Pooled against raw estimates, group by group; a table and a figure for each term."""
    rows = results["shrinkage"]
    if not rows or all(r["partial_pooling"] is None for r in rows):
        return []
    raw = any(r["raw"] is not None for r in rows)
    shared = shared_terms([read(ShrinkageRow, row) for row in rows])
    noun = of_results(results)
    clause = (
        f"Each {noun.one}'s raw estimate is drawn towards the population" if raw else f"Estimates of each {noun.one}"
    )
    drawn = [name for name in ("answer", "shrinkage") if name in figures]
    places = [span for k, name in enumerate(drawn) for span in (", " if k else " (", ref(name))]
    intro: list[Span] = [clause, *places, ")" * bool(drawn), ". "]
    if any(r["factor"] is not None for r in rows):
        intro += [
            "The factor in the table is the posterior mean of the population's weight: 0 keeps the raw estimate, "
            "1 puts ",
            "the population's mean" if results["coefficients"] else MU, " in its place.",
        ]  # fmt: skip
    if shared:
        intro.append(f"{_shared(shared, variant_title(results, results['main_variant']), noun)}")
    blocks = [heading(f"Estimates of the {noun.many}"), prose(*intro)]
    unit, main = results["data"]["quantity_unit"], variant_title(results, results["main_variant"])
    shown = [t for t in dict.fromkeys(r["term"] for r in rows) if t not in shared]
    for k, term in enumerate(dict.fromkeys(r["term"] for r in rows)):
        own = [r for r in rows if r["term"] == term]
        if k < MOST_TERMS and term not in shared:
            blocks += _shrinkage_figure(shrinkage_name(k), figures, own, noun, results["data"])
            blocks += bullets(results["shrinkage_notes"]) if k == 0 else []
            few = len(shown) == 1 and len(own) <= _WHOLE
            blocks.append(
                _shrinkage_table(own, unit_of_term(term, unit), main, noun, 0 if few else results["data"]["n_groups"])
            )
    return blocks


def _shared(terms: list[str], main: str, noun: Noun) -> str:
    words = f"{', '.join(terms[:-1])} and {terms[-1]}" if len(terms) > 1 else terms[0]
    if len(terms) == 1:
        return f"In {main.lower()} the {term_words(words)} is the same in all {noun.many}: see the population."
    return f"In {main.lower()} the coefficients of {words} are the same in all {noun.many}: see the population."


def _rows_differ(data: dict[str, Any]) -> bool:
    """Whether some groups have more rows than others."""
    sizes = data.get("rows_per_group")
    return not sizes or bool(sizes["least"] < sizes["most"])


def _shrinkage_figure(
    name: str, figures: Iterable[str], rows: list[dict[str, Any]], noun: Noun, data: dict[str, Any]
) -> list[Block]:
    raw = any(r["raw"] is not None for r in rows)
    if len(rows) > MOST_ROWS:
        return _strips_figure(name, figures, data["n_groups"], noun, raw=raw, differ=_rows_differ(data))
    caption = f"{_of_term(rows[0]['term'])} of each {noun.one}, {'raw and ' * raw}pooled. "
    caption += "Thick bars hold 50 %, thin blue bars 90 % of the posterior"
    if any(r["raw_se"] is not None for r in rows):
        caption += "; grey bars are one standard error to each side of the raw estimate"
    parts = ["raw estimate with its standard error"] * raw
    parts += ["estimate without pooling"] * any(r["no_pooling"] is not None for r in rows)
    alt = f"For each {noun.one}: {', '.join([*parts, 'partially pooled estimate'])}."
    return figure(name, figures, [f"{caption}."], alt)


def _strips_figure(name: str, figures: Iterable[str], n: int, noun: Noun, *, raw: bool, differ: bool) -> list[Block]:
    """All groups, too many to be named; their rows say nothing where all have equally many."""
    caption, alt = f"All {noun.many} in order", f"All {noun.many} with their intervals, in order"
    bars, lines = "Bars hold 50 % and 90 % of the posterior", ""
    if differ:
        caption, lines = f"{caption}, and each by its number of rows", ", circles are raw estimates" * raw
    elif raw:
        caption, alt = f"{caption}, and each against its raw estimate", f"{alt}, and against their raw estimates"
        lines = "; dashed: equal to the raw estimate, dotted: mean of the estimates"
    return figure(name, figures, [f"{caption}. {bars}{lines}.{drawn_in_words(n, noun.many)}"], f"{alt}.")


def _of_term(term: str) -> str:
    return capital(term_words(term)) if term else "Estimates"


def _shrinkage_table(rows: list[dict[str, Any]], unit: str, main: str, noun: Noun, of: int) -> Block:
    """The rows of all groups or, where it is said ``of`` how many, of those at the ends."""
    known = [k for k in ("complete_pooling", "no_pooling", "partial_pooling") if any(r[k] is not None for r in rows)]
    names = {"complete_pooling": "Complete", "no_pooling": "No", "partial_pooling": "Partial"}
    given = [k for k in ("raw", "raw_se") if any(r[k] is not None for r in rows)]
    factor = any(r["factor"] is not None for r in rows)
    heads = [column(capital(noun.one), width="label"), *(number({"raw": "Raw", "raw_se": "SE"}[k]) for k in given)]
    heads += [*(number(names[k]) for k in known), number("SD"), number("5 %"), number("95 %")]
    heads += [number("Factor")] if factor else []
    rows = sorted(rows, key=_place) if of else rows
    cut: list[Span] = []
    if of:
        cut = [f" The lowest and the highest; all {format_count(of)} {noun.many} are in ", mono(GROUPS), "."]
    about = f"{_of_term(rows[0]['term'])} by pooling, posterior means; SD and quantiles are those of {main.lower()}"
    raw = [r["raw"] for r in rows]
    columns = {k: format_column([r[k] for r in rows], raw) for k in given}
    cells = [
        [
            str(r["group"]),
            *(columns[k][i] for k in given),
            *_pooled(r, known),
            *([fixed(r["factor"], 2)] if factor else []),
        ]
        for i, r in enumerate(rows)
    ]
    return table([f"{with_unit(about, unit)}.", *cut], heads, excerpt(cells, at_either_end=_ENDS) if of else cells)


def _place(row: dict[str, Any]) -> float:
    """Where a group stands in the order of the figure: by its median."""
    return float("inf") if row["q50"] is None else float(row["q50"])


def _pooled(row: dict[str, Any], known: list[str]) -> list[Any]:
    mcse = row["mcse_mean"]
    tail = None if mcse is None else 2 * mcse  # quantiles at 5 % and 95 % have about twice the error of the mean
    return [
        *(format_estimate(row[k], mcse) for k in known),
        format_estimate(row["sd"], mcse),
        format_estimate(row["q05"], tail),
        format_estimate(row["q95"], tail),
    ]


def drawings(findings: Findings, results: dict[str, Any]) -> Drawings:
    """The terms that differ between groups: of many groups all of them in one figure, else those not on page one."""
    from hbm_stan import plots

    main, noun, unit = findings.fits[results["main_variant"]], of_results(results), results["data"]["quantity_unit"]
    shared = shared_terms([read(ShrinkageRow, row) for row in results["shrinkage"]])
    on_page_one = {p["term"] for p in results["page_one"]["panels"]}
    parts = {str(term): part for term, part in findings.shrinkage.groupby("term", sort=False)}
    shown = [
        t
        for k, t in enumerate(parts)
        if k < MOST_TERMS and t not in shared and parts[t]["partial_pooling"].notna().any()
    ]
    if main.table.pooled.sizes.size > MOST_ROWS:
        panels = [
            {"groups": with_sizes(main, parts[t]), "words": term_words(t) if t else quantity_words(main),
             "unit": unit_of_term(t, unit), "short": short_unit(t, unit)}
            for t in shown
        ]  # fmt: skip
        return {"shrinkage": partial(plots.plot_strips, panels, noun.one, noun.many)} if panels else {}
    return {
        shrinkage_name(list(parts).index(t)): partial(
            plots.plot_shrinkage,
            parts[t],
            unit_of_term(t, unit),
            term_words(t) if t else quantity_words(main),
            noun.many,
        )
        for t in shown
        if t not in on_page_one
    }


def with_sizes(fit: Fit, groups: pd.DataFrame) -> pd.DataFrame:
    """The table of groups with the number of rows of each."""
    rows = pd.Series(fit.table.pooled.sizes, index=list(fit.table.pooled.labels))
    return groups.assign(rows=rows.loc[list(groups["group"])].to_numpy())


def shrinkage_name(k: int) -> str:
    """The name of the figure of the k-th term."""
    return f"shrinkage_{k}" if k else "shrinkage"


def quantity_words(fit: Fit) -> str:
    """What an axis calls the group quantity."""
    return "estimate" if fit.family.words.group_meaning == "value" else fit.family.words.group_meaning


SECTION = Section(section, drawings)
