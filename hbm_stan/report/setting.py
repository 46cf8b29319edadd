"""The sections that hold whatever the checks say: the data, the model, the priors."""

from __future__ import annotations

from typing import Any

from hbm_stan.plots.labels import cells
from hbm_stan.report.blocks import (
    Block,
    Span,
    bullets,
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
from hbm_stan.report.digits import DASH, counted, format_count, format_data

_SHOWN_ROWS = 60
_FOLD_ROWS = 15  # longer tables of narrow columns stand two beside each other
_FOLD_CELLS = 22


def data(results: dict[str, Any]) -> list[Block]:
    """Source, columns, rows, and the verdicts on the table."""
    d = results["data"]
    size = f"{counted(d['n_rows'], 'row')}, {counted(d['n_groups'], 'group')}; SHA-256 of the file "
    source: list[Span] = (
        [f"{d['title'] or d['name']}. {d['source']} "] if d["source"] else [f"{d['title'] or d['name']}. "]
    )
    return [
        heading("Data"),
        prose(*source, size, mono(d["sha256"]), "."),
        _columns(d),
        *_rows(d),
        *bullets(d["notes"]),
        *_verdicts(d),
    ]


def _columns(d: dict[str, Any]) -> Block:
    rows = [[c["role"].replace("_", " "), mono(c["column"]), c["meaning"], c["unit"] or DASH] for c in d["columns"]]
    heads = [column("Role"), column("Column"), column("Meaning", width="label"), column("Unit")]
    return table(["Columns of the table."], heads, rows)


def _rows(d: dict[str, Any]) -> list[Block]:
    rows = d["rows"][:_SHOWN_ROWS]
    if not rows:
        return []
    roles = list(rows[0])
    shown = [[_cell(row.get(role)) for role in roles] for row in rows]
    numeric = [not isinstance(rows[0][role], str) for role in roles]
    heads = [_head(d, role, isnumber, i == 0) for i, (role, isnumber) in enumerate(zip(roles, numeric, strict=True))]
    caption = "The data."
    if d["n_groups"] > len(rows):
        caption = f"The data: first {len(rows)} of {format_count(d['n_groups'])} groups."
    return [_folded(caption, heads, shown)]


def _head(d: dict[str, Any], role: str, isnumber: bool, first: bool) -> dict[str, Any]:
    named = next((c for c in d["columns"] if c["role"] == role), {"column": role, "unit": ""})
    text = f"{named['column']} ({named['unit']})" if named["unit"] else str(named["column"])
    return number(text) if isnumber else column(text, width="label" if first else "auto")


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else format_data(value)


def _folded(caption: str, heads: list[dict[str, Any]], rows: list[list[str]]) -> Block:
    """Long tables of short labels in two halves beside each other."""
    widest = max(cells(row[0]) for row in rows)
    if len(rows) <= _FOLD_ROWS or widest > _FOLD_CELLS or len(heads) > 3:
        return table([caption], heads, rows)
    half = -(-len(rows) // 2)
    right = [*rows[half:], *([[""] * len(heads)] * (2 * half - len(rows)))]
    gap = column("", width="18pt")
    return table([caption], [*heads, gap, *heads], [[*a, "", *b] for a, b in zip(rows[:half], right, strict=True)])


def _verdicts(d: dict[str, Any]) -> list[Block]:
    if not d["verdicts"]:
        return []
    return [verdict_table("Checks of the data.", d["verdicts"]), *hints(d["verdicts"])]


def model(results: dict[str, Any]) -> list[Block]:
    """Likelihood, pooling variants and what each assumes, priors with their reasons."""
    m = results["model"]
    rows = [
        [
            [{"strong": v["title"]}],
            [{"lines": v["math"]}],
            sentence(f"{v['assumption']} Parameterisation: {v['parameterisation']}."),
        ]
        for v in m["variants"]
    ]
    heads = [column("Variant", width="2fr"), column("Groups", width="3fr"), column("What it assumes", width="4fr")]
    return [
        heading("Model"),
        prose(f"{m['title']}. {m['citation']} All variants share the likelihood"),
        equations(m["likelihood"]),
        table(
            [
                "The pooling variants. They differ in what ties the groups together, and in the prior of "
                "what is not tied."
            ],
            heads,
            rows,
        ),
        *_priors(results),
    ]


def _priors(results: dict[str, Any]) -> list[Block]:
    titles = {v["name"]: v["title"] for v in results["model"]["variants"]}
    rows = []
    for p in results["priors"]:
        text = p["text"] + (f" {p['unit']}" if p["unit"] else "")
        used = ", ".join(titles.get(v, v).lower() for v in p["variants"])
        reason = sentence(f"{_sentence(p['meaning'])} {_sentence(p['reason'])}")
        rows.append([parameter(p["name"]), text, [*reason, " Default." if p["default"] else ""], used])
    if not rows:
        return []
    heads = [column(""), column("Prior"), column("Meaning and reason", width="3fr"), column("Used by", width="2fr")]
    return [table(["Priors."], heads, rows)]


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".")
    return text[:1].upper() + text[1:] + "." if text else ""
