"""The sections that hold whatever the checks say: the data, the model, the priors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from hbm_stan.elements import base_of
from hbm_stan.nouns import Noun, of_results
from hbm_stan.plots.labels import cells
from hbm_stan.report.blocks import (
    MOST_ROWS,
    Block,
    bullets,
    capital,
    column,
    equations,
    figure,
    heading,
    mono,
    number,
    parameter,
    prose,
    ref,
    sentence,
    table,
)  # fmt: skip
from hbm_stan.report.diagnostics import hints, verdict_table
from hbm_stan.report.digits import DASH, counted, format_column, format_count, format_data
from hbm_stan.report.front import group_count, with_unit

_SHOWN_ROWS, _FEW_GROUPS = MOST_ROWS, 6
# All arguments of these but the degrees of freedom are in the unit of the parameter.
_IN_UNITS = {"normal", "half_normal", "half_cauchy", "half_student_t", "uniform"}
_LIKE = 4  # priors of one parameter that the table shows: intercept, coefficients
_FOLD_ROWS = 5  # longer tables of narrow columns stand two beside each other
_FOLD_CELLS, _FOLD_COLUMNS = 22, 4


def data(results: dict[str, Any]) -> list[Block]:
    """Source, columns, rows, and the verdicts on the table."""
    d = results["data"]
    size = f"{counted(d['n_rows'], 'row')}, {group_count(results)}{_sizes(results)}."
    source = f"{d['title'] or d['name']}. {d['source']} " if d["source"] else f"{d['title'] or d['name']}. "
    return [
        heading("Data"),
        prose(source, size),
        _columns(d),
        *_rows(d, of_results(results).many),
        *bullets(d["notes"]),
        *_verdicts(d, of_results(results)),
    ]


def _sizes(results: dict[str, Any]) -> str:
    """How many rows groups have, where they have several."""
    sizes = results["data"].get("rows_per_group")
    if not sizes or sizes["most"] == 1:
        return ""
    if sizes["least"] == sizes["most"]:
        return f" of {format_count(sizes['least'])} rows each"
    least, median, most = (format_count(sizes[k]) for k in ("least", "median", "most"))
    return f" of {least} to {most} rows, {median} in the middle"


def _columns(d: dict[str, Any]) -> Block:
    rows = [[c["role"].replace("_", " "), mono(c["column"]), c["meaning"], c["unit"] or DASH] for c in d["columns"]]
    heads = [column("Role"), column("Column"), column("Meaning", width="label"), column("Unit")]
    return table(["Columns of the table."], heads, rows)


def _rows(d: dict[str, Any], many: str) -> list[Block]:
    rows = d["rows"][:_SHOWN_ROWS]
    if not rows:
        return _groups(d)
    names = list(rows[0])
    shown = [[_cell(row.get(name)) for name in names] for row in rows]
    numeric = [not isinstance(rows[0][name], str) for name in names]
    heads = [_head(d, name, isnumber, i == 0) for i, (name, isnumber) in enumerate(zip(names, numeric, strict=True))]
    caption = "The data."
    if d["n_groups"] > len(rows):
        caption = f"The data: first {len(rows)} of {format_count(d['n_groups'])} {many}."
    return [_folded(caption, heads, shown)]


def _head(d: dict[str, Any], name: str, isnumber: bool, first: bool) -> dict[str, Any]:
    unit = next((c["unit"] for c in d["columns"] if c["column"] == name), "")
    text = f"{name} ({unit})" if unit and unit.lower() != name.lower() else name
    return number(text) if isnumber else column(text, width="label" if first else "auto")


def _groups(d: dict[str, Any]) -> list[Block]:
    """Where groups have several rows: how many each has, and their mean and standard deviation."""
    rows = d["groups"]
    if not rows or d["n_groups"] > _FEW_GROUPS:
        return []  # tables/groups.csv has them
    spread = any(row["sd"] is not None for row in rows)
    heads = [
        column(capital(d.get("noun", {}).get("one", "group")), width="label"),
        number("Rows"),
        number(capital(d.get("observed", "mean"))),
    ]
    heads += [number("SD")] if spread else []
    means = [row["mean"] for row in rows]
    columns = [[format_count(row["rows"]) for row in rows], format_column(means)]
    columns += [format_column([row["sd"] for row in rows], means)] if spread else []
    shown = [[str(row["group"]), *cells] for row, *cells in zip(rows, *columns, strict=True)]
    return [_folded(f"{with_unit('The data', d['observed_unit'])}.", heads, shown)]


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else format_data(value)


def _folded(caption: str, heads: list[dict[str, Any]], rows: list[list[str]]) -> Block:
    """Long tables of short labels in two halves beside each other."""
    widest = max(cells(row[0]) for row in rows)
    if len(rows) <= _FOLD_ROWS or widest > _FOLD_CELLS or len(heads) > _FOLD_COLUMNS:
        return table([caption], heads, rows)
    half = -(-len(rows) // 2)
    right = [*rows[half:], *([[""] * len(heads)] * (2 * half - len(rows)))]
    gap = column("", width="18pt")
    return table([caption], [*heads, gap, *heads], [[*a, "", *b] for a, b in zip(rows[:half], right, strict=True)])


def _verdicts(d: dict[str, Any], noun: Noun) -> list[Block]:
    if all(v["status"] == "pass" for v in d["verdicts"]):
        return []  # page one counts them, tables/checks.csv has them
    return [verdict_table("Checks of the data.", d["verdicts"], noun), *hints(d["verdicts"], noun)]


def model(results: dict[str, Any], figures: Iterable[str] = ()) -> list[Block]:
    """Likelihood, pooling variants and what each assumes, priors with their reasons."""
    m = results["model"]
    rows = [
        [
            [{"strong": v["title"]}],
            [{"lines": v["math"]}] if v["math"] else DASH,
            sentence(v["assumption"]),
        ]
        for v in m["variants"]
    ]
    heads = [
        column("Variant", width="2fr"),
        column(capital(of_results(results).many), width="3fr"),
        column("What it assumes", width="4fr"),
    ]
    return [
        heading("Model"),
        *_likelihood(m),
        *_formula(m),
        table(
            [
                "The pooling variants. They differ in what ties the "
                f"{of_results(results).many} together, and in the prior of "
                "what is not tied."
            ],
            heads,
            rows,
        ),
        *_parameterisation(results),
        *_priors(results, figures),
    ]


def _likelihood(m: dict[str, Any]) -> list[Block]:
    """The family, where it comes from, and the likelihood that its variants share."""
    sentences = [f"{m['title']}.", _sentence(m["citation"])]
    if not m["likelihood"]:
        return [prose(" ".join(filter(None, sentences)))]
    sentences.append("The likelihood, where the table below has no other:")
    return [prose(" ".join(filter(None, sentences))), equations(m["likelihood"])]


def _formula(m: dict[str, Any]) -> list[Block]:
    """The formula, and what it says in words."""
    if not m["formula"]:
        return []
    return [prose("The formula is ", mono(m["formula"]), ", which says:"), *bullets(m["words"])]


def _parameterisation(results: dict[str, Any]) -> list[Block]:
    """Which form of partial pooling was used, and why."""
    choice = results["parameterisation"]
    if choice is None:
        return []
    own = next((v for v in results["model"]["variants"] if v["name"] == choice["variant"]), None)
    form = f"{own['title']} is sampled in this form: {own['parameterisation']}. " if own else ""
    return [prose({"strong": "Parameterisation. "}, form, *sentence(choice["reason"]))]


def _priors(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    kinds = {v["name"]: v["pooling"] for v in results["model"]["variants"]}
    rows, of_base = [], Counter[str]()
    for p in results["priors"]:
        base = base_of(p["name"])
        of_base[base] += 1
        if of_base[base] > _LIKE:
            continue
        text = p["text"] + (f" {p['unit']}" if p["unit"] and p["distribution"] in _IN_UNITS else "")
        every = len(p["variants"]) == len(kinds) > 1
        used = "all" if every else ", ".join(dict.fromkeys(kinds.get(v, v) for v in p["variants"]))
        reason = sentence(f"{_sentence(p['meaning'])} {_sentence(p['reason'])}")
        rows.append([parameter(p["name"]), text, [*reason, " Default." if p["default"] else ""], used])
    if not rows:
        return [prose("The priors are those that the Stan programs in the appendix hold.")]
    more = [f"{n - _LIKE} more of {base}" for base, n in of_base.items() if n > _LIKE]
    title = f"Priors; {', '.join(more)}, made as the last of it, are in results.json." if more else "Priors."
    heads = [column(""), column("Prior"), column("Meaning and reason", width="1fr"), column("Pooling")]
    if "population" not in figures:
        return [table([title], heads, rows)]
    clause = "Where a posterior looks like its prior, the data have said little about it"
    caption = "Posterior draws of the main variant and prior densities, without the outermost 0.1 % at each end."
    alt = "Posterior histograms of the population parameters with their priors."
    return [
        prose(clause, " (", ref("population"), ")."),
        # The table after it fills what is left of a page that the figure has no room on.
        *(block | {"floating": True} for block in figure("population", figures, [caption], alt)),
        table([title], heads, rows),
    ]


def _sentence(text: str) -> str:
    text = re.sub(r"^sd\b", "SD", text.strip().rstrip("."))
    return text[:1].upper() + text[1:] + "." if text else ""
