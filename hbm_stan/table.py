"""Reads a table of text from a CSV file as people really save them, and numbers out of its columns."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.cells import DECIMAL_COMMA, is_plain_number, is_text, kind, label, number
from hbm_stan.errors import DataError
from hbm_stan.resources import refuse_no_file

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

# A table beyond this is none of groups and estimates; reading it could fill the memory.
MAX_BYTES = 512 * 2**20
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_SEP_LINE = re.compile(r'"?sep=([^\w\s".+-]|\t)"?[ \t]*(\r\n|\r|\n|\Z)', re.IGNORECASE)
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"), (codecs.BOM_UTF8, "UTF-8-sig"),
)  # fmt: skip
_UNMARKED = ("UTF-8", "cp1252")
_SHOWN = 5  # how many bad rows a message names
_WIDTH = 40  # how much of a cell it shows
_HELD_ONCE = 200_000  # different texts of cells that are known again
NOT_DROPPED = "Rows with missing values are not dropped silently: fill them in or take them out of the file."


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns of equal length, in file order; cells are text (from a file) or Python values (from a frame).

    ``where`` names the source in messages; ``lines`` holds the line in the file of each row, or None. ``categories``
    holds the levels, in their order, of the columns that a frame says are categories, ``ordered`` those of them whose
    order it says means something. ``origin`` holds, where rows are repeated because they count several times, the
    number of the row that each was.
    """

    where: str
    names: tuple[str, ...]
    cells: tuple[Sequence[Any], ...]
    lines: Sequence[int] | None = None
    notes: tuple[str, ...] = ()
    decimal_comma: bool = False
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ordered: frozenset[str] = frozenset()
    origin: Sequence[int] | None = None

    @property
    def n_rows(self) -> int:
        """How many rows the table has."""
        return len(self.cells[0]) if self.cells else 0

    def column(self, name: str) -> Sequence[Any]:
        """The cells of one column."""
        return self.cells[self.names.index(name)]

    def row(self, i: int) -> str:
        """How a message names row ``i`` (counted from 0): by its line in the file, or by its number."""
        if self.lines is not None:
            return f"line {self.lines[i]}"
        return f"row {(i if self.origin is None else self.origin[i]) + 1}"

    def rows(self, rows: Sequence[int], name: str = "") -> str:
        """How a message names several rows, with their cells in the column ``name`` if there is one."""
        named = {self.row(i): i for i in rows}  # one that counts several times is named once
        cells = self.column(name) if name else ()
        shown = [row + (f": {shorten(cells[i])!r}" if name else "") for row, i in islice(named.items(), _SHOWN)]
        return ", ".join(shown) + (f" and {len(named) - _SHOWN:,} more" if len(named) > _SHOWN else "")

    def labels(self, name: str) -> list[str]:
        """The cells of a column as text labels; an empty or missing one is an error."""
        labels = [label(cell) for cell in self.column(name)]
        place = f"{self.where}, column {name!r}"
        missing = [i for i, text in enumerate(labels) if text == ""]
        if missing:
            raise DataError(f"{place}: no label in {self.rows(missing)}. Every row needs one.")
        odd = [i for i, text in enumerate(labels) if "\0" in text or not is_text(text)]
        if odd:
            raise DataError(f"{place}: a character that no text file can hold, in {self.rows(odd, name)}.")
        return labels

    def numbers(self, name: str, *, missing: bool = False) -> FloatArray:
        """The cells of a column as finite numbers, shape (rows,); what is none is an error naming its rows.

        Where cells may be ``missing``, those are nan.
        """
        cells, values = self.column(name), self.numbers_or_nan(name).copy()
        bad = np.flatnonzero(~np.isfinite(values))
        if missing:
            bad = bad[[kind(cells[int(i)], self.decimal_comma) != "missing" for i in bad]]
        if bad.size:
            raise DataError(self._bad_numbers(name, [int(i) for i in bad]))
        return values

    def numbers_or_nan(self, name: str) -> FloatArray:
        """The number in each cell of a column, nan where there is none, shape (rows,); read once, not to be changed."""
        if name not in self._numbers:
            cells = self.column(name)
            values = np.fromiter((number(cell, self.decimal_comma) for cell in cells), dtype=float, count=len(cells))
            values.flags.writeable = False
            self._numbers[name] = values
        return self._numbers[name]

    @cached_property
    def _numbers(self) -> dict[str, FloatArray]:
        return {}

    def _bad_numbers(self, name: str, bad: list[int]) -> str:
        """The message on the first bad cell and those of its kind."""
        cells = self.column(name)
        place = f"{self.where}, column {name!r}"
        kinds = {i: kind(cells[i], self.decimal_comma) for i in bad}
        first = kinds[bad[0]]
        alike = [i for i in bad if kinds[i] == first]
        if first == "missing":
            return f"{place}: no value in {self.rows(alike)}. {NOT_DROPPED}"
        if first == "infinite":
            return f"{place}: not finite: {self.rows(alike, name)}. A finite number is needed."
        advice = {
            "grouped": "Write all numbers with a decimal point and without thousands separators.",
            "truth": "Write 1 and 0 if numbers are meant.",
            "percent": "A number is needed: write 0.28 for 28 %, or 28 with the unit in the name of the column.",
            "date": "A number is needed: turn dates into one, such as the days since the first of them.",
            "text": "A number is needed, such as 12, -3.5 or 1e-3, in digits 0 to 9.",
        }[first]
        if self.decimal_comma and first == "grouped":
            advice = f"Other cells of the table have decimal commas. {advice}"
        return f"{place}: not a number: {self.rows(alike, name)}. {advice}"


def shorten(text: Any) -> str:
    """The text as a message shows it: cut where it is long."""
    plain = str(text).strip()
    return plain if len(plain) <= _WIDTH else plain[:_WIDTH] + "…"


def read_csv(path: Path) -> tuple[Table, str]:
    """The table in a CSV file and the sha256 of its bytes.

    Understands UTF-8 with and without a byte-order mark, UTF-16, UTF-32, Windows-1252; comma, semicolon, tab or bar,
    or what a first line ``sep=`` names; quoted labels with delimiters and line breaks; decimal commas where the
    delimiter is not a comma. Raises DataError, naming file and line, for everything else.
    """
    raw = _bytes(path)
    text, notes = _decode(raw, path)
    if not text.strip():
        raise DataError(f"{path}: the file is empty. A CSV with a header line and rows is needed.")
    sep = _SEP_LINE.match(text)
    text = text[sep.end() :] if sep else text
    delimiter = sep[1] if sep else max(_DELIMITERS, key=lambda d: len(_first_record(text, d)))
    header, rows, lines = _records(_numbered(text, delimiter, 2 if sep else 1, path), path)
    refuse_repeated(header, str(path))
    if not lines:
        raise DataError(f"{path}: the file has a header but no rows.")
    if delimiter != ",":
        notes.append(f"{_DELIMITERS.get(delimiter, repr(delimiter))} separate the columns")
    cells = tuple(map(tuple, rows))
    comma = delimiter != "," and any(_has_decimal_commas(column) for column in cells)
    return Table(
        where=str(path), names=header, cells=cells, lines=lines, notes=tuple(notes), decimal_comma=comma
    ), hashlib.sha256(raw).hexdigest()


def _bytes(path: Path) -> bytes:
    refuse_no_file(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if len(raw) > MAX_BYTES:
        raise DataError(f"{path}: the file is larger than {MAX_BYTES // 2**20} MiB. Give a table with a row a group.")
    return raw


def _decode(raw: bytes, path: Path) -> tuple[str, list[str]]:
    marked = next((codec for mark, codec in _MARKS if raw.startswith(mark)), "")
    text, codec = ("\0", "") if b"\0" in raw and not marked else _text(raw, (marked,) if marked else _UNMARKED, path)
    if "\0" in text:
        raise DataError(f"{path}: this is not a text file (it holds zero bytes). Save the table as CSV in UTF-8.")
    notes = {"UTF-8": "", "UTF-8-sig": "", "cp1252": "not UTF-8: read as Windows-1252 (Latin-1)"}
    note = notes.get(codec, f"read as {codec}")
    return text, [note] if note else []


def _text(raw: bytes, codecs: Sequence[str], path: Path) -> tuple[str, str]:
    """The text in the first of the codecs that it is, and which that was."""
    at, seen = 0, raw
    for codec in codecs:
        try:
            return raw.decode(codec), codec
        except UnicodeDecodeError as error:
            at, seen = error.start, error.object
    raise DataError(
        f"{path}, line {seen.count(b'\n', 0, at) + 1}: the byte 0x{seen[at]:02x} does not belong to "
        f"{' or '.join(codecs)}. Save the table as CSV in UTF-8."
    )


def _reader(text: str, delimiter: str, strict: bool) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=strict)


def _first_record(text: str, delimiter: str) -> list[str]:
    try:
        return next((record for record in _reader(text, delimiter, False) if any(map(str.strip, record))), [])
    except csv.Error:
        return []


def _numbered(text: str, delimiter: str, first: int, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the line that it begins on."""
    reader = _reader(text, delimiter, True)
    start = first
    try:
        for record in reader:
            if any(map(str.strip, record)):
                yield start, record
            start = reader.line_num + first
    except csv.Error as error:
        if "field limit" in str(error):
            raise DataError(
                f"{path}, line {start}: a cell of more than {csv.field_size_limit():,} characters. Shorten it; or is a "
                "quote opened before it that is not closed?"
            ) from error
        raise DataError(
            f"{path}, line {start}: a quote is opened and not closed, or stands inside a cell ({error}). "
            "A quote inside quotes is written twice."
        ) from error


def _records(
    numbered: Iterable[tuple[int, list[str]]], path: Path
) -> tuple[tuple[str, ...], list[list[str]], Sequence[int]]:
    """The header, the columns and the lines of their rows; empty cells to the right of the last named column are cut
    off. A text that recurs is held once, and lines that follow each other are a range: each object takes memory.
    """
    header: tuple[str, ...] = ()
    columns: list[list[str]] = []
    lines = array("q")
    known: dict[str, str] = {}
    for line, record in numbered:
        if not header:
            named = max(i for i, cell in enumerate(record) if cell.strip()) + 1
            header = tuple(cell.strip() for cell in record[:named])
            columns = [[] for _ in header]
            continue
        if len(record) > len(header) and not any(map(str.strip, record[len(header) :])):
            del record[len(header) :]
        if len(record) != len(header):
            raise DataError(_ragged(record, header, line, path))
        for column, cell in zip(columns, record, strict=True):
            column.append(known.setdefault(cell, cell) if len(known) < _HELD_ONCE else known.get(cell, cell))
        lines.append(line)
    in_a_row = range(lines[0], lines[0] + len(lines)) if lines else range(0)
    return header, columns, in_a_row if lines == array("q", in_a_row) else lines


def _ragged(record: Sequence[str], header: Sequence[str], line: int, path: Path) -> str:
    problem = f"{path}, line {line}: {len(record)} cells where the header has {len(header)} column"
    if len(header) == 1:
        return f"{problem} ({shorten(header[0])!r}). The first line must name the columns."
    if len(record) < len(header):
        return f"{problem}s. Every row needs a cell for each column, if only an empty one."
    return f"{problem}s. A label that holds the delimiter must stand in double quotes; row names need a header too."


def _has_decimal_commas(cells: Sequence[str]) -> bool:
    """Whether a column, mostly of numbers, holds a comma that cannot separate thousands."""
    commas = [cell.strip().replace("\N{MINUS SIGN}", "-") for cell in cells if "," in cell]
    certain = any(DECIMAL_COMMA.fullmatch(c) and not re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", c) for c in commas)
    return certain and 2 * sum(kind(cell, True) in {"number", "grouped", "missing"} for cell in cells) > len(cells)


def refuse_repeated(names: Sequence[str], where: str) -> None:
    """Raise DataError where two columns have one name; columns without a name cannot be asked for."""
    repeated = [name for name, n in Counter(names).items() if name and n > 1]
    if repeated:
        hint = " The first line must name the columns." if is_plain_number(repeated[0]) else ""
        raise DataError(
            f"{where}: the column {shorten(repeated[0])!r} appears more than once. Column names must be unique.{hint}"
        )
