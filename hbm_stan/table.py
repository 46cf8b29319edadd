"""Reads a table of text from a CSV file as people really save them, and numbers out of its columns."""

from __future__ import annotations

import csv
import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
_DELIMITERS = (",", ";", "\t", "|")
_MISSING = {"", "na", "n/a", "nan", "null", "none", ".", "-", "?"}
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_SHOWN = 5  # how many bad rows a message names


@dataclass(frozen=True)
class Table:
    """Columns of equal length, in file order; cells are text (from a file) or Python values (from a frame).

    ``where`` names the source in messages; ``lines`` holds the line in the file of each row, or None.
    """

    where: str
    names: tuple[str, ...]
    cells: tuple[Sequence[Any], ...]
    lines: Sequence[int] | None = None
    notes: tuple[str, ...] = ()
    decimal_comma: bool = False

    @property
    def n_rows(self) -> int:
        """How many rows the table has."""
        return len(self.cells[0]) if self.cells else 0

    def column(self, name: str) -> Sequence[Any]:
        """The cells of one column."""
        return self.cells[self.names.index(name)]

    def row(self, i: int) -> str:
        """How a message names row ``i`` (counted from 0): by its line in the file, or by its number."""
        return f"line {self.lines[i]}" if self.lines is not None else f"row {i + 1}"

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Table:
        """The table of a DataFrame; a categorical level without rows is an error."""
        names = tuple(str(n) for n in frame.columns)
        _refuse_repeated(names, "the DataFrame")
        if len(frame) == 0:
            raise DataError("The DataFrame has no rows.")
        for name in frame.columns:
            if str(frame[name].dtype) == "category":
                used = set(frame[name].dropna().unique())
                empty = [str(level) for level in frame[name].cat.categories if level not in used]
                if empty:
                    raise DataError(
                        f"The DataFrame: column {str(name)!r} has {len(frame[name].cat.categories)} levels but "
                        f"rows for only {len(used)}; level {empty[0]!r} has no rows. "
                        "Drop it with .cat.remove_unused_categories()."
                    )
        return cls("the DataFrame", names, tuple(frame[n].tolist() for n in frame.columns))

    def labels(self, name: str) -> list[str]:
        """The cells of a column as text labels; an empty or missing one is an error."""
        labels = [_label(cell) for cell in self.column(name)]
        missing = [i for i, label in enumerate(labels) if label == ""]
        if missing:
            raise DataError(f"{self.where}, column {name!r}: no label in {self._rows(missing)}. Every row needs one.")
        return labels

    def numbers(self, name: str) -> FloatArray:
        """The cells of a column as finite numbers, shape (rows,); what is none is an error naming its rows."""
        cells = self.column(name)
        values = np.array([_number(cell, self.decimal_comma) for cell in cells], dtype=float)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise DataError(self._bad_numbers(name, [int(i) for i in bad], cells))
        return values

    def _bad_numbers(self, name: str, bad: list[int], cells: Sequence[Any]) -> str:
        first = str(cells[bad[0]]).strip()
        place = f"{self.where}, column {name!r}"
        if first.lower() in _MISSING:
            return (
                f"{place}: no value in {self._rows(bad)}. Rows with missing values are not dropped silently: "
                "fill them in or take them out of the file."
            )
        if _is_infinite(first):
            return f"{place}: {first!r} in {self._rows(bad)} is infinite. A finite number is needed."
        advice = "A number is needed, such as 12, -3.5 or 1e-3."
        if _DECIMAL_COMMA.fullmatch(first) or re.fullmatch(r"[+-]?\d{1,3}([.,' ]\d{3})+([.,]\d+)?", first):
            advice = "Write it with a decimal point and without thousands separators."
        return f"{place}: {first!r} in {self._rows(bad)} is not a number. {advice}"

    def _rows(self, rows: list[int]) -> str:
        shown = ", ".join(self.row(i) for i in rows[:_SHOWN])
        return shown + (f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else "")


def _label(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    # A column of whole numbers with a gap comes from pandas as 1.0, 2.0: the label is still "1".
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = str(cell).strip()
    return "" if text in {"<NA>", "NaT"} else text


def _number(cell: Any, decimal_comma: bool) -> float:
    """The number in a cell, or NaN where there is none."""
    if not isinstance(cell, str):
        try:
            return float(cell)
        except (TypeError, ValueError):
            return math.nan
    text = cell.strip().replace("\u2212", "-")
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return float(text) if _PLAIN_NUMBER.fullmatch(text) else math.nan


def _is_infinite(text: str) -> bool:
    try:
        return math.isinf(float(text))
    except ValueError:
        return False


def read_csv(path: Path) -> tuple[Table, str]:
    """The table in a CSV file and the sha256 of its bytes.

    Understands UTF-8 with and without a byte-order mark, UTF-16, Windows-1252; comma, semicolon, tab or bar;
    quoted labels with delimiters and line breaks; decimal commas where the delimiter is not a comma.
    Raises DataError, naming file and line, for everything else.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not raw.strip():
        raise DataError(f"{path}: the file is empty. A CSV with a header line and rows is needed.")
    text, notes = _decode(raw, path)
    delimiter, text = _delimiter(text)
    header, rows, lines = _records(text, delimiter, path)
    _refuse_repeated(header, str(path))
    if not rows:
        raise DataError(f"{path}: the file has a header but no rows.")
    if delimiter != ",":
        notes.append({";": "semicolons", "\t": "tabs", "|": "bars"}[delimiter] + " separate the columns")
    table = Table(str(path), header, tuple(zip(*rows, strict=True)), lines, tuple(notes), delimiter != ",")
    return table, hashlib.sha256(raw).hexdigest()


def _decode(raw: bytes, path: Path) -> tuple[str, list[str]]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16"), ["read as UTF-16"]
    try:
        text = raw.decode("utf-8-sig")
        notes: list[str] = []
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
        notes = ["not UTF-8: read as Windows-1252 (Latin-1)"]
    if "\0" in text:
        raise DataError(f"{path}: this is not a text file (it holds zero bytes). Save the table as CSV.")
    return text, notes


def _delimiter(text: str) -> tuple[str, str]:
    """The delimiter that splits the header into most columns, and the text without a ``sep=`` line."""
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"sep=.\s*", first):
        return first[4], rest
    counts = {d: len(next(csv.reader(io.StringIO(text), delimiter=d), [])) for d in _DELIMITERS}
    return max(_DELIMITERS, key=counts.__getitem__), text


def _records(text: str, delimiter: str, path: Path) -> tuple[tuple[str, ...], list[list[str]], list[int]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: tuple[str, ...] = ()
    rows: list[list[str]] = []
    lines: list[int] = []
    start = 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                if not header:
                    header = tuple(cell.strip() for cell in record)
                elif len(record) != len(header):
                    raise DataError(
                        f"{path}, line {start}: {len(record)} cells where the header has {len(header)} columns. "
                        "A label that holds the delimiter must stand in double quotes."
                    )
                else:
                    rows.append(record)
                    lines.append(start)
            start = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}, line {start}: a quote is opened and not closed, or stands inside a cell ({error})."
        ) from error
    return header, rows, lines


def _refuse_repeated(names: Sequence[str], where: str) -> None:
    repeated = sorted({n for n in names if n and list(names).count(n) > 1})
    if repeated:
        raise DataError(f"{where}: the column {repeated[0]!r} appears more than once. Column names must be unique.")
