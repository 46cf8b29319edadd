"""The parts that a report is laid out from: headings, prose, tables, figures, as plain JSON.

A span is a string (always shown literally) or a small dict: mathematics of our own, strong or monospaced text, a
status word, a reference. Text of the user is only ever a string, so it cannot become markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from hbm_stan.plots.labels import cells
from hbm_stan.results.digits import DASH, MINUS

Span = str | dict[str, Any]
Spans = list[Span]
Block = dict[str, Any]

GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda", "mu", "nu", "xi", "rho",
    "sigma", "tau", "phi", "chi", "psi", "omega",
)  # fmt: skip
_LETTERS = {"μ": "mu", "τ": "tau", "θ": "theta", "σ": "sigma"}
# Names of parameters in a sentence. Beta and gamma are names of distributions too, but before an element or a number.
_NAMES = r"mu|tau|theta|sigma|alpha|kappa|rho|nu|phi"
_SHAPES = r"(?:beta|gamma)(?=\[| \d| \(prior)|(?<=[/+] )(?:beta|gamma)"
_WORDS = re.compile(
    rf"(?<![\w'\"])(?:({_NAMES})|({_SHAPES}))(?:_([a-z]+))?(?![\w'\"])|([μτθσ])(?!\w)",
)
_MINUS = re.compile(r"(?<![\w.,)\]'\"-])-(?=\d)")
_NAME = re.compile(r"([A-Za-z]+)(?:_([A-Za-z0-9_]+))?(\[.*\])?", re.DOTALL)

_LINE_CELLS = 100  # letters of 9 pt beside each other on the page
_NUMBER_CELLS = 8  # what a column of numbers needs of them
_MANY_NUMBERS = 4
MOST_ROWS = 20  # rows of groups that a page shows; of more those at both ends (ours)
_WHOLE_LINES = 8  # a table of up to so many lines is kept on one page

STATUS_WORDS = {"pass": "passed", "warn": "warning", "fail": "failed"}


def math(source: str) -> Span:
    """Mathematics in Typst's notation; only for strings of ours or of a family."""
    return {"math": source}


def mono(text: str) -> Span:
    """Monospaced text: names, hashes, commands."""
    return {"mono": text}


def ref(name: str) -> Span:
    """A reference to the figure of that name."""
    return {"ref": name}


def status(word: str, waived: bool = False, text: str = "") -> Span:
    """The word of a status, or another text, in its colour; a waived failure says both."""
    shown = text or STATUS_WORDS.get(word, word) + (", waived" if waived else "")
    return {"status": word, "text": shown}


def sentence(text: str) -> Spans:
    """A sentence of ours as spans: names of parameters become mathematics, a hyphen before a number a minus."""
    text = _MINUS.sub(MINUS, text)
    spans: Spans = []
    end = 0
    for match in _WORDS.finditer(text):
        below = f'_"{match[3]}"' if match[3] else ""
        spans += [text[end : match.start()], math((match[1] or match[2] or _LETTERS[match[4]]) + below)]
        end = match.end()
    return [s for s in [*spans, text[end:]] if s != ""]


def parameter(name: str) -> Spans:
    """A parameter's name: Greek or a single letter as mathematics, the group's label as it is."""
    match = _NAME.fullmatch(name)
    if match is None or not (match[1] in GREEK or len(match[1]) == 1):
        return [mono(name)]
    below = f'_"{match[2].replace("_", " ")}"' if match[2] else ""
    return [math(match[1] + below), *([match[3]] if match[3] else [])]


def heading(text: str, level: int = 1) -> Block:
    """A numbered heading."""
    return {"kind": "heading", "text": text, "level": level}


def prose(*spans: Span) -> Block:
    """A paragraph."""
    return {"kind": "prose", "spans": list(spans)}


def bullets(items: Iterable[Sequence[Span] | str]) -> list[Block]:
    """A list of sentences, or nothing where there is none."""
    rows = [sentence(i) if isinstance(i, str) else list(i) for i in items]
    return [{"kind": "bullets", "items": rows}] if rows else []


def equations(lines: Sequence[str]) -> Block:
    """Displayed mathematics, one line each."""
    return {"kind": "equations", "lines": list(lines)}


def figure(name: str, figures: Iterable[str], caption: Sequence[Span], alt: str) -> list[Block]:
    """A figure with its caption and its text for screen readers, or nothing where it was not drawn."""
    if name not in figures:
        return []
    return [{"kind": "figure", "name": name, "caption": list(caption), "alt": alt}]


def code(title: Sequence[Span], text: str) -> Block:
    """A whole program, monospaced."""
    return {"kind": "code", "title": list(title), "text": text}


def column(head: Span | Sequence[Span], align: str = "left", width: str = "auto") -> dict[str, Any]:
    """A column of a table: its head, its alignment, and "auto", "label" or a share ("1fr") of the width."""
    return {"head": list(head) if isinstance(head, list) else [head], "align": align, "width": width}


def number(head: Span | Sequence[Span]) -> dict[str, Any]:
    """A column of numbers, aligned at the decimal point."""
    return column(head, "right") | {"number": True}


def dense(block: Block) -> Block:
    """A table in small type with narrow gaps, for many columns; as wide as the page."""
    return block | {"dense": True, "narrow": False}


def new_page() -> Block:
    """What follows begins a page."""
    return {"kind": "page"}


def table(caption: Sequence[Span], columns: Sequence[dict[str, Any]], rows: Sequence[Sequence[Any]]) -> Block:
    """A table with its caption above; a cell is a string or spans; a row of one cell is a subheading."""
    cells = [[c if isinstance(c, list) else [c] for c in row] for row in rows]
    for index, head in enumerate(columns):
        if head.get("number"):
            _pad(cells, index, len(columns))
    columns, narrow = _widths(list(columns), cells)
    return {
        "kind": "table", "caption": list(caption), "columns": columns, "rows": cells, "narrow": narrow,
        "whole": sum(map(_lines, cells)) <= _WHOLE_LINES,
    }  # fmt: skip


def abreast(block: Block, starts: Sequence[int], width: int) -> Block:
    """A table whose rows stand in parts of ``width`` columns beside each other, which begin at columns ``starts``.

    Where there is no page to fill they stand one below the other. A part is empty in a row where its first cell is.
    """
    return block | {"abreast": {"starts": list(starts), "width": width}}


def excerpt(rows: Sequence[Sequence[Any]], at_either_end: int = 4) -> list[Sequence[Any]]:
    """The rows at both ends of a table, with a row between them that says how many are left out."""
    left_out = len(rows) - 2 * at_either_end
    if left_out < 2:
        return list(rows)
    return [*rows[:at_either_end], [f"… {left_out} between them"], *rows[-at_either_end:]]


def _lines(row: list[Spans]) -> int:
    """About how many lines a row takes: the longest text of several columns has a third of the width."""
    return max((-(-length(cell) // (_LINE_CELLS // 3)) for cell in row), default=1) if len(row) > 2 else 1


def _widths(columns: list[dict[str, Any]], rows: list[list[Spans]]) -> tuple[list[dict[str, Any]], bool]:
    """Settle the columns of width "label": short labels stand close to their numbers, long ones take what is left.

    A table of few numbers and short labels is narrow: as wide as it needs.
    """
    labels = [i for i, c in enumerate(columns) if c["width"] == "label"]
    if not labels:
        return columns, False
    widest = sum(max((length(row[i]) for row in rows if len(row) > i), default=0) for i in labels)
    numbers = sum(1 for c in columns if c.get("number"))
    room = _LINE_CELLS - _NUMBER_CELLS * numbers
    few = numbers < _MANY_NUMBERS
    if widest > room:
        label, other = ("1fr", "auto") if not few or len(labels) > 1 else ("95mm", "auto")
    else:
        label, other = ("auto", "auto") if few else ("auto", "1fr")
    settled = {True: {"label": label, "auto": other}, False: {"label": label}}
    widths = [settled[bool(c.get("number"))].get(c["width"], c["width"]) for c in columns]
    return [c | {"width": w} for c, w in zip(columns, widths, strict=True)], few and label != "1fr"


def length(spans: Spans) -> int:
    """About how many letters wide some spans are."""
    return sum(cells(s if isinstance(s, str) else str(next(iter(s.values())))) for s in spans)


def _pad(rows: list[list[Spans]], index: int, width: int) -> None:
    """Add invisible decimals after the shorter numbers of a column, so that points stand under each other."""
    own = [row for row in rows if len(row) == width]
    tails = [_tail(row[index]) for row in own]
    longest = max(tails, key=len, default="")
    for row, tail in zip(own, tails, strict=True):
        missing = longest[len(tail) :] if tail else longest
        if missing and row[index] != [DASH]:
            row[index] = [*row[index], {"pad": "." * missing.count(".") + "0" * (len(missing) - missing.count("."))}]


def _tail(spans: Spans) -> str:
    """The decimal point and what follows it in a number's text."""
    text = spans[-1] if spans and isinstance(spans[-1], str) else ""
    return "." + "0" * len(text.partition(".")[2]) if "." in text else ""
