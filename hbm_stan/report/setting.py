"""The sections that hold whatever the checks say: the data, the model, the priors."""

from __future__ import annotations

import re
from typing import Any

from hbm_stan.nouns import Noun, of_results
from hbm_stan.plots.labels import cells
from hbm_stan.report.blocks import (
    Block,
    Span,
    bullets,
    capital,
    column,
    equations,
    heading,
    mono,
    number,
    parameter,
    prose,
    sentence,
    table,
)  # fmt: skip
from hbm_stan.report.diagnostics import hints, verdict_table
from hbm_stan.report.digits import DASH, counted, format_column, format_count, format_data, significant
from hbm_stan.report.front import group_count, variant_title, with_unit

_SHOWN_ROWS = 60
# All arguments of these but the degrees of freedom are in the unit of the parameter.
_IN_UNITS = {"normal", "half_normal", "half_cauchy", "half_student_t", "uniform"}
_FOLD_ROWS = 15  # longer tables of narrow columns stand two beside each other
_FOLD_CELLS, _FOLD_COLUMNS = 22, 4


def data(results: dict[str, Any]) -> list[Block]:
    """Source, columns, rows, and the verdicts on the table."""
    d = results["data"]
    size = f"{counted(d['n_rows'], 'row')}, {group_count(results)}; SHA-256 of the file "
    source: list[Span] = (
        [f"{d['title'] or d['name']}. {d['source']} "] if d["source"] else [f"{d['title'] or d['name']}. "]
    )
    return [
        heading("Data"),
        prose(*source, size, mono(d["sha256"]), "."),
        _columns(d),
        *_rows(d, of_results(results).many),
        *bullets(d["notes"]),
        *_verdicts(d, of_results(results)),
    ]


def _columns(d: dict[str, Any]) -> Block:
    rows = [[c["role"].replace("_", " "), mono(c["column"]), c["meaning"], c["unit"] or DASH] for c in d["columns"]]
    heads = [column("Role"), column("Column"), column("Meaning", width="label"), column("Unit")]
    return table(["Columns of the table."], heads, rows)


def _rows(d: dict[str, Any], many: str) -> list[Block]:
    rows = d["rows"][:_SHOWN_ROWS]
    if not rows:
        return _groups(d, many)
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


def _groups(d: dict[str, Any], many: str) -> list[Block]:
    """Where groups have several rows: how many each has, and their mean and standard deviation."""
    rows = d["groups"]
    if not rows:
        return []
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
    more = f": first {len(rows)} of {format_count(d['n_groups'])} {many}" if d["n_groups"] > len(rows) else ""
    return [_folded(f"{with_unit(f'The data{more}', d['observed_unit'])}.", heads, shown)]


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
    if not d["verdicts"]:
        return []
    return [verdict_table("Checks of the data.", d["verdicts"], noun), *hints(d["verdicts"], noun)]


def model(results: dict[str, Any]) -> list[Block]:
    """Likelihood, pooling variants and what each assumes, priors with their reasons."""
    m = results["model"]
    rows = [
        [
            [{"strong": v["title"]}],
            [{"lines": v["math"]}] if v["math"] else DASH,
            sentence(f"{v['assumption']} Parameterisation: {v['parameterisation']}."),
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
        *_priors(results),
        *_prior_check(results),
    ]


def _likelihood(m: dict[str, Any]) -> list[Block]:
    """The family, where it comes from, and the likelihood that its variants share."""
    said = [f"{m['title']}.", _sentence(m["citation"])]
    if not m["likelihood"]:
        return [prose(" ".join(filter(None, said)))]
    said.append("The likelihood, where the table below has no other:")
    return [prose(" ".join(filter(None, said))), equations(m["likelihood"])]


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
    title = variant_title(results, choice["variant"])
    return [prose({"strong": "Parameterisation. "}, f"{title}: ", *sentence(choice["reason"]))]


def _prior_check(results: dict[str, Any]) -> list[Block]:
    """What the priors alone expect of such data, beside what was observed."""
    rows = results["prior_check"]
    if not rows:
        return []
    said = (
        "Data drawn from the priors alone should hold what was observed, and little that is absurd: the observed "
        "statistic is set beside its 5 % and 95 % quantiles in data sets drawn from the priors."
    )
    shown = [
        [r["name"], *(DASH if r[k] is None else significant(r[k]) for k in ("observed", "q05", "q95"))] for r in rows
    ]
    heads = [column("Statistic", width="label"), number("Observed"), number("5 %"), number("95 %")]
    return [heading("Prior predictive check", 2), prose(said), table(["What the priors expect."], heads, shown)]


def _priors(results: dict[str, Any]) -> list[Block]:
    titles = {v["name"]: v["title"] for v in results["model"]["variants"]}
    rows = []
    for p in results["priors"]:
        text = p["text"] + (f" {p['unit']}" if p["unit"] and p["distribution"] in _IN_UNITS else "")
        used = ", ".join(titles.get(v, v).lower() for v in p["variants"])
        reason = sentence(f"{_sentence(p['meaning'])} {_sentence(p['reason'])}")
        rows.append([parameter(p["name"]), text, [*reason, " Default." if p["default"] else ""], used])
    if not rows:
        return [prose("The priors are those that the Stan programs in the appendix hold.")]
    heads = [column(""), column("Prior"), column("Meaning and reason", width="3fr"), column("Used by", width="2fr")]
    return [table(["Priors."], heads, rows)]


def _sentence(text: str) -> str:
    text = re.sub(r"^sd\b", "SD", text.strip().rstrip("."))
    return text[:1].upper() + text[1:] + "." if text else ""
