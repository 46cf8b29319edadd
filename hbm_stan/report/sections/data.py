"""The section on the data: source, columns, rows, and the verdicts on the table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from hbm_stan.nouns import Noun, capital, of_results
from hbm_stan.plots.labels import cells
from hbm_stan.report.blocks import MOST_ROWS, Block, abreast, bullets, column, heading, mono, number, prose, table
from hbm_stan.report.section import Section, When
from hbm_stan.report.sections.diagnostics import hints, verdict_table
from hbm_stan.report.words import group_count, with_unit
from hbm_stan.results.digits import DASH, counted, format_column, format_count, format_data

_SHOWN_ROWS, _FEW_GROUPS = MOST_ROWS, 6
_FOLD_ROWS = 5  # longer tables of narrow columns stand two beside each other
_FOLD_CELLS, _FOLD_COLUMNS = 22, 4
_FOLD_HEADS = 38  # letters of heads beside each other in half a page, marks and spaces being where they may break
_SHOWN_DIGITS = 6  # significant digits of a number of the table


def section(results: dict[str, Any], _figures: Iterable[str]) -> list[Block]:
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
    return value if isinstance(value, str) else format_data(value, _SHOWN_DIGITS)


def _folded(caption: str, heads: list[dict[str, Any]], rows: list[list[str]]) -> Block:
    """Long tables of short labels in two halves beside each other."""
    widest = max(cells(row[0]) for row in rows)
    named = [str(span) for head in heads for span in head["head"]]
    room = _FOLD_HEADS // len(heads)  # columns of numbers are equally wide
    wide = any(cells(part) > room for text in named for part in re.split(r"(?<=[_ /.-])", text))
    if len(rows) <= _FOLD_ROWS or widest > _FOLD_CELLS or len(heads) > _FOLD_COLUMNS or wide:
        return table([caption], heads, rows)
    half = -(-len(rows) // 2)
    right = [*rows[half:], *([[""] * len(heads)] * (2 * half - len(rows)))]
    gap = column("", width="18pt")
    both = table([caption], [*heads, gap, *heads], [[*a, "", *b] for a, b in zip(rows[:half], right, strict=True)])
    return abreast(both, (0, len(heads) + 1), len(heads))


def _verdicts(d: dict[str, Any], noun: Noun) -> list[Block]:
    if all(v["status"] == "pass" for v in d["verdicts"]):
        return []  # page one counts them, tables/checks.csv has them
    return [verdict_table("Checks of the data.", d["verdicts"], noun), *hints(d["verdicts"], noun)]


SECTION = Section(section, when=When.ALWAYS)
