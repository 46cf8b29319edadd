"""What one cell of a table says: a number, a label, a truth, a date, or that the value is missing."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np

Kind = Literal["number", "missing", "infinite", "grouped", "percent", "truth", "date", "text"]

# What programs and people write where a value is missing; "none" is not among them: it may be a level (no drug).
MISSING = frozenset({
    "", "na", "n/a", "n.a.", "n.a", "#n/a", "#na", "nan", "-nan", "null", "#null!", "<na>", "nat", "k.a.", "k. a.",
    ".", "..", "...", "-", "--", "---", "\u2013", "\u2014", "?",
    "#div/0!", "#value!", "#ref!", "#name?", "#num!", "not available",
})  # fmt: skip
# In a column of numbers these can mean nothing else either.
_MISSING_NUMBERS = MISSING | {"none", "missing"}
# The words of one who says no and yes, first no: the first is what the other is compared with.
TRUTHS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"))
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([.,' \u00a0\u202f]\d{3})+([.,]\d+)?", re.ASCII)
_PERCENT = re.compile(r"[+-]?\d+([.,]\d+)?\s*%", re.ASCII)
_MONTHS = "jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
# 2015-03-01, 2015/3/1, 01.03.2015, 3/1/15, 1 Mar 2015, March 1, 2015; with or without a time of day.
_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})"
    rf"|\d{{1,2}}\.?[- ]?({_MONTHS})[a-zä]*\.?[- ]?,?\s*(\d{{4}}|\d{{2}})|({_MONTHS})[a-zä]*\.?\s\d{{1,2}},?\s\d{{4}})"
    r"([T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2}|[ap]m)?)?",
    re.ASCII | re.IGNORECASE,
)


def label(cell: Any) -> str:
    """The cell as a text label; empty where there is none."""
    if isinstance(cell, str):
        return cell.strip()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", errors="replace").strip()
    if kind(cell) == "missing":
        return ""
    # A column of whole numbers with a gap comes from pandas as 1.0, 2.0: the label is still "1".
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def is_text(text: str) -> bool:
    """Whether a text file can hold it."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def number(cell: Any, decimal_comma: bool = False) -> float:
    """The number in a cell, or NaN where there is none."""
    if not isinstance(cell, str):
        try:
            return math.nan if isinstance(cell, bool | np.bool_) else float(cell)
        except (TypeError, ValueError, OverflowError):
            return math.nan
    text = _plain(cell)
    if decimal_comma:
        return float(text.replace(",", ".")) if DECIMAL_COMMA.fullmatch(text) else math.nan
    return float(text) if _PLAIN_NUMBER.fullmatch(text) else math.nan


def is_plain_number(text: str) -> bool:
    """Whether a text is a number as computers write it."""
    return _PLAIN_NUMBER.fullmatch(text) is not None


def kind(cell: Any, decimal_comma: bool = False) -> Kind:
    """What a cell is: a finite number, or what stands there instead (grouped: 1,234 or a comma that is not meant)."""
    if math.isfinite(number(cell, decimal_comma)):
        return "number"
    text = _plain(str(cell))
    if text.lower() in _MISSING_NUMBERS:
        return "missing"
    if isinstance(cell, bool | np.bool_):
        return "truth"
    if isinstance(cell, datetime.date | datetime.timedelta) or _DATE.fullmatch(text):
        return "date"
    return _kind_of_text(text)


def kinds(cells: Iterable[Any], decimal_comma: bool = False) -> Iterator[Kind]:
    """The kind of each cell; a text that recurs, as the levels of a category do, is looked at once."""
    known: dict[str, Kind] = {}
    for cell in cells:
        if not isinstance(cell, str):
            yield kind(cell, decimal_comma)
            continue
        if cell not in known:
            known[cell] = kind(cell, decimal_comma)
        yield known[cell]


def _kind_of_text(text: str) -> Kind:
    if text.lstrip("+-").lower() in {"inf", "infinity"}:
        return "infinite"
    if _PLAIN_NUMBER.fullmatch(text):
        return "infinite" if math.isinf(float(text)) else "grouped"
    if _PERCENT.fullmatch(text):
        return "percent"
    return "grouped" if _THOUSANDS.fullmatch(text) or DECIMAL_COMMA.fullmatch(text) else "text"


def distinct(cells: Iterable[Any]) -> list[Any]:
    """The cells without those that are the same once more, of one type; all of them where some cannot be compared."""
    every = list(cells)
    try:
        return [cell for _, cell in {(type(cell), cell) for cell in every}]  # True is no 1 here
    except TypeError:
        return every


def truth(cell: Any) -> tuple[str, str] | None:
    """The pair of words that the cell is one of (TRUE and FALSE, yes and no), first no; None where it is none."""
    word = label(cell).casefold()
    return next((pair for pair in TRUTHS if word in pair), None)


def _plain(text: str) -> str:
    return text.strip().replace("\N{MINUS SIGN}", "-")
