"""Sums of rows by group, worked out before the embedded engine meets the data: for it they take the square of the rows.

stanli runs a loop of ``transformed data`` by copying what it indexes at each step: 6 seconds for 100,000 rows, ten
minutes for a million. What a program sums up there by ``group_sum`` is handed to it as data instead. NumPy adds the
same numbers in the same order, so that the log density stays what it is to the last bit. So are sums of products of
columns (``group_products``, ``crossprod``), with the mean that is taken off the outcome before; there it stays the same
to rounding, for a product of matrices adds in an order of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.products import products_by
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
# Columns and outcome of each row, the mean that is taken off the outcome, and sums of products: by group, and of all.
_COLUMNS = re.compile(
    r"^ *matrix\[[^\]]+\] (?P<name>\w+) = use_likelihood \* append_col\("
    r"(?:(?P<alone>\w+)|append_col\((?P<own>\w+), (?P<above>\w+)\[(?P<index>\w+)\]\)), (?P<y>\w+) - (?P<mean>\w+)\);"
    r".*\n",
    re.MULTILINE,
)
_MEAN = re.compile(r"^ *real (?P<name>\w+) = mean\((?P<rows>\w+)\);.*\n", re.MULTILINE)
_PRODUCTS = re.compile(
    r"^ *(?P<type>(?:array\[[^\]]+\] )?matrix\[[^\]]+\]) (?P<name>\w+) = "
    r"(?:group_products\((?P<by_group>\w+), (?P<index>\w+), (?P<size>\w+), (?P<first>\w+)(?: \+ (?P<more>\d+))?\)"
    r"|crossprod\((?P<of_all>\w+)\));.*\n?",
    re.MULTILINE,
)


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
    transformed, products = _without_products(transformed, code[close:], given)
    declared += products
    return f"{code[:end]}{''.join(declared)}{code[end : end + 3]}{transformed}{code[close:]}", given


def _without_products(transformed: str, after: str, given: dict[str, Any]) -> tuple[str, list[str]]:
    """Transformed data without columns of rows and sums of their products, and declarations of what ``given`` then has.

    As they were, and none, where something else needs the columns, or where a sum is not finite.
    """
    columns, mean = _COLUMNS.search(transformed), _MEAN.search(transformed)
    if columns is None or mean is None or (columns["mean"], columns["y"]) != (mean["name"], mean["rows"]):
        return transformed, []
    statements = [m for m in _PRODUCTS.finditer(transformed) if columns["name"] in {m["by_group"], m["of_all"]}]
    rest = transformed
    for statement in (columns, mean, *statements):
        rest = rest.replace(statement[0], "")
    names = [columns["y"], "use_likelihood", *(columns[n] for n in ("alone", "own", "above", "index") if columns[n])]
    if re.search(rf"\b{columns['name']}\b", rest + after) or any(name not in given for name in names):
        return transformed, []
    centre = float(np.mean(given[columns["y"]]))
    sums: dict[str, Any] = {mean["name"]: centre}
    with np.errstate(over="ignore", invalid="ignore"):
        z = _columns(columns, centre, given)
        sums |= {m["name"]: z.T @ z if m["of_all"] else _by_group(m, z, given) for m in statements}
    if not all(np.isfinite(value).all() for value in sums.values()):
        return transformed, []
    given |= sums
    return rest, [f"\n  real {mean['name']};", *(f"\n  {m['type']} {m['name']};" for m in statements)]


def _columns(statement: re.Match[str], centre: float, data: Mapping[str, Any]) -> FloatArray:
    """The columns of rows as the program has them, the outcome less its mean the last, (N, columns)."""
    own = np.asarray(data[statement["alone"] or statement["own"]], dtype=float)
    above = [np.asarray(data[statement["above"]])[np.asarray(data[statement["index"]]) - 1]] if statement["own"] else []
    y = np.asarray(data[statement["y"]], dtype=float) - centre
    return np.asarray(data["use_likelihood"] * np.column_stack([own, *above, y]))


def _by_group(statement: re.Match[str], z: FloatArray, data: Mapping[str, Any]) -> FloatArray:
    """Sums by group of products of each of the first columns with all, (first, J, columns)."""
    index, size = np.asarray(data[statement["index"]]) - 1, int(data[statement["size"]])
    first = int(data[statement["first"]]) + int(statement["more"] or 0)
    return products_by(z, index, size)[:, :first].swapaxes(0, 1)


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
