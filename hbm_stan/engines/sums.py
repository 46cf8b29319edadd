"""Sums of rows by group, worked out before the embedded engine meets the data: for it they take the square of the rows.

stanli runs a loop of ``transformed data`` by copying what it indexes at each step: 6 seconds for 100,000 rows, ten
minutes for a million. What a program sums up there by ``group_sum`` is handed to it as data instead. NumPy adds the
same numbers in the same order, so that the log density stays what it is to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.table import FloatArray

# From so many rows on (ours): below, the loop takes a hundredth of a second.
MANY_ROWS = 5000
_SUM = re.compile(
    r"^ *vector\[(?P<size>\w+)\] (?P<name>\w+) = group_sum\((?P<rows>.+), (?P<index>\w+), (?P=size)\)"
    r"(?: \./ (?P<over>\w+))?;.*\n",
    re.MULTILINE,
)
_ONES = re.compile(r"rep_vector\(1, (\w+)\)")
_PLAIN = re.compile(r"(?:to_vector\()?(\w+)\)?")
_SQUARES = re.compile(r"square\((\w+) - (\w+)\[(\w+)\]\)")


def with_sums(code: str, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The program and its data with the sums of rows among the data; as they are where rows are few.

    A sum of a form that is not known here, or that is not finite, stays in the program.
    """
    end, given = code.find("\n}\ntransformed data {"), dict(data)
    if end < 0 or data.get("N", 0) < MANY_ROWS:
        return code, given
    close = code.index("\n}", end + 3)
    declared: list[str] = []

    def moved(statement: re.Match[str]) -> str:
        value = _summed(statement, given)
        if value is None:
            return statement[0]
        given[statement["name"]] = value
        declared.append(f"\n  vector[{statement['size']}] {statement['name']};")
        return ""

    transformed = _SUM.sub(moved, code[end + 3 : close])
    return f"{code[:end]}{''.join(declared)}{code[end : end + 3]}{transformed}{code[close:]}", given


def _summed(statement: re.Match[str], data: Mapping[str, Any]) -> FloatArray | None:
    """The sums of one statement, (J,), or None where it cannot be read here."""
    names = (statement["index"], statement["size"], *([statement["over"]] if statement["over"] else []))
    rows = _rows(statement["rows"], data)
    if rows is None or any(name not in data for name in names):
        return None
    index, size = np.asarray(data[statement["index"]]) - 1, int(data[statement["size"]])
    if rows.shape != index.shape or index.ndim != 1:
        return None
    sums = np.bincount(index, weights=rows, minlength=size)
    if statement["over"]:
        with np.errstate(invalid="ignore", divide="ignore"):
            sums = sums / np.asarray(data[statement["over"]], dtype=float)
    return sums if np.isfinite(sums).all() else None


def _rows(expression: str, data: Mapping[str, Any]) -> FloatArray | None:
    """What is summed, of each row: ones, a datum, or its squares about the value of each group."""
    if (ones := _ONES.fullmatch(expression)) and ones[1] in data:
        return np.ones(int(data[ones[1]]))
    if (plain := _PLAIN.fullmatch(expression)) and plain[1] in data:
        return np.asarray(data[plain[1]], dtype=float)
    if (squares := _SQUARES.fullmatch(expression)) and all(name in data for name in squares.groups()):
        y, centre, index = (np.asarray(data[name]) for name in squares.groups())
        return np.asarray((y - centre[index - 1]) ** 2, dtype=float)
    return None
