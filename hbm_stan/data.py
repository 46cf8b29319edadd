"""A CSV, a dataset folder or a DataFrame becomes a frozen Dataset. Knows no model."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hbm_stan.cells import label
from hbm_stan.errors import DataError, did_you_mean, nearest
from hbm_stan.frequencies import counted
from hbm_stan.neighbours import located
from hbm_stan.reading import KEYS, LISTS, Reading, make_reading
from hbm_stan.resources import find_data, refuse_no_file
from hbm_stan.table import Table, read_csv, refuse_repeated, shorten

if TYPE_CHECKING:
    import pandas as pd

_SOURCE_KINDS: dict[str, type] = {
    "title": str, "citation": str, "licence": str, "sha256": str, "rows": int, "columns": dict, "url": str, "note": str,
}  # fmt: skip
_LISTED = 20  # how many columns a message names
# Role -> its column, or its columns where the role takes a list.
Columns = Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class ColumnInfo:
    """What one column means, and its unit (empty where it has none)."""

    meaning: str = ""
    unit: str = ""


@dataclass(frozen=True, kw_only=True, repr=False)
class Dataset:
    """A table with its provenance.

    ``table`` holds the columns in file order, ``columns`` maps roles to column names, ``sha256`` is the
    hash of the bytes that were read, ``reading`` says what the table cannot (the order of levels, ratios).
    """

    name: str
    table: Table
    sha256: str
    columns: Columns = field(default_factory=dict)
    title: str = ""
    source: str = ""
    info: Mapping[str, ColumnInfo] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)

    def __repr__(self) -> str:
        return f"<Dataset {self.name}: {self.table.n_rows} rows of {', '.join(self.table.names[:_LISTED])}>"

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, columns: Mapping[str, Any] | None = None, *, name: str = "data", **roles: Any
    ) -> Dataset:
        """A Dataset from a DataFrame; roles as a mapping or as keywords (``group="school"``), the rest as ``load``.

        Raises DataError for an empty frame, repeated column names, or a MultiIndex as columns.
        """
        table = _table_of(frame)
        digest = hashlib.sha256(frame.to_csv(index=False).encode("utf-8", "surrogatepass")).hexdigest()
        reading, named = _split(roles)
        mapping = _mapping({**(columns or {}), **named})
        for role, column in ((r, c) for r in mapping for c in _as_tuple(mapping[r])):
            if column not in table.names and column in map(str, frame.index.names):
                raise DataError(
                    f"the DataFrame: {column!r}, the column for the role {role!r}, is the index. Make it a column "
                    "with .reset_index()."
                )
        return cls(name=name, table=table, sha256=digest, columns=MappingProxyType(mapping)).read_as(reading)

    def read_as(self, reading: Reading) -> Dataset:
        """The same data, to be read in this way; where it names weights, each row is repeated as often as it counts."""
        table = self.table
        if reading.weights and reading.weights != self.reading.weights:
            if self.reading.weights:
                raise DataError(f"{table.where}: rows are counted by {self.reading.weights!r} already.")
            if reading.weights not in table.names:
                hint = listed(table, reading.weights)
                raise DataError(f"{table.where}: there is no column {shorten(reading.weights)!r} of weights. {hint}")
            table = counted(table, reading.weights)
        return replace(self, table=table, reading=reading)

    def with_columns(self, columns: Columns) -> Dataset:
        """The same data with roles mapped to these columns; a column that is not there is an error.

        A text with commas that is no column itself names several: ``"floor, uranium"``.
        """
        columns = {role: self._split(named) for role, named in columns.items()}
        for role, column in ((r, c) for r in columns for c in _as_tuple(columns[r])):
            if not column or column not in self.table.names:
                raise DataError(
                    f"{self.table.where}: there is no column {shorten(column)!r} for the role {role!r}. "
                    f"{listed(self.table, column)}"
                )
        return replace(self, columns=MappingProxyType(dict(columns)))

    def take(self, rows: Sequence[int]) -> Dataset:
        """These rows (counted from 0) as data of their own, read in the same way; levels without a row go.

        But for those of an ordered outcome, whose order is a scale.
        """
        import pandas as pd

        frame = pd.DataFrame({name: [self.table.column(name)[i] for i in rows] for name in self.table.names})
        subset = Dataset.from_frame(frame, self.columns, name=self.name)
        beside = self.reading.neighbours
        if beside is not None and self.column("group"):  # a map of these areas alone
            beside = beside.among(subset.table.labels(self.column("group")))
        table = replace(
            subset.table, decimal_comma=self.table.decimal_comma, categories=self.table.categories,
            ordered=self.table.ordered,
        )  # fmt: skip
        present = {name: {label(cell) for cell in table.column(name)} for name in self.reading.levels}
        levels = {
            name: tuple(v for v in order if v in present[name] or name == self.column("outcome"))
            for name, order in self.reading.levels.items()
        }
        return replace(subset, table=table, reading=replace(self.reading, levels=levels, neighbours=beside))

    def _split(self, named: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(named, str) and named not in self.table.names and "," in named:
            return tuple(part.strip() for part in named.split(",") if part.strip())
        return named

    def listed(self, role: str) -> tuple[str, ...]:
        """The columns of a role; none where the role has none."""
        return _as_tuple(self.columns.get(role, ()))

    def column(self, role: str) -> str:
        """The column of a role that takes one, or an empty text."""
        return next(iter(self.listed(role)), "")

    def unit(self, role: str) -> str:
        """The unit of the column that has this role, or an empty text; ratios are analysed as their logs."""
        if self.reading.log_scale and role == "estimate":
            return f"log {self.column(role)}"
        return self.unit_of(self.column(role))

    def unit_of(self, column: str) -> str:
        """The unit of a column, or an empty text."""
        return self.info.get(column, ColumnInfo()).unit

    def meaning(self, column: str) -> str:
        """What a column means, or its name."""
        return self.info.get(column, ColumnInfo()).meaning or column


def _as_tuple(columns: str | tuple[str, ...]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else columns


def _split(keywords: Mapping[str, Any]) -> tuple[Reading, dict[str, Any]]:
    """How the table is to be read, and the roles."""
    reading = make_reading(**{key: value for key, value in keywords.items() if key in KEYS})
    return reading, {key: value for key, value in keywords.items() if key not in KEYS}


def _mapping(columns: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    """Role -> column, or columns where a list or tuple names several."""
    return {r: tuple(map(str, c)) if isinstance(c, list | tuple) else str(c) for r, c in columns.items()}


def _table_of(frame: Any) -> Table:
    """The table of a DataFrame; a categorical column brings the order of its levels."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"A pandas DataFrame is needed, found {type(frame).__name__}.")
    if frame.columns.nlevels > 1:
        raise DataError("The DataFrame has a MultiIndex as columns. Give each column one name.")
    names = tuple(str(n) for n in frame.columns)
    refuse_repeated(names, "the DataFrame")
    if not names or len(frame) == 0:
        raise DataError(f"The DataFrame has no {'rows' if names else 'columns'}.")
    cells = tuple(column.tolist() for _, column in frame.items())
    categories = {
        str(name): tuple(dict.fromkeys(label(level) for level in column.cat.categories))
        for name, column in frame.items()
        if isinstance(column.dtype, pd.CategoricalDtype)
    }
    ordered = frozenset(name for name in categories if frame[name].cat.ordered)
    return Table(
        where="the DataFrame", names=names, cells=cells, categories=MappingProxyType(categories), ordered=ordered
    )


def listed(table: Table, wanted: str = "") -> str:
    """A sentence on the columns that there are: the nearest to the wanted one, or all; many are cut off."""
    names = [name for name in table.names if name]
    if near := did_you_mean(wanted, names):
        return near
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    sentence = f"The columns are: {', '.join(repr(shorten(name)) for name in names[:_LISTED])}{more}."
    if len(names) == 1:
        sentence += " There is one column only: commas, semicolons, tabs or bars must separate columns."
    return sentence


def load(path: str | Path, columns: Mapping[str, Any] | None = None, **roles: Any) -> Dataset:
    """A Dataset from a CSV file, a dataset folder (data.csv and source.toml), or a shipped dataset's name.

    ``roles`` are columns by role, and how to read them: ``reference={"arm": "placebo"}`` names the level to compare
    with, ``levels={"arm": ["placebo", "drug"]}`` an order; levels that are not named follow. Of estimates with limits,
    ``level=0.9`` is that of the limits (0.95), and ``log_scale=True`` says that they are ratios.
    ``unit_labels="repeat"`` says that equal labels of units in two groups are two units;
    ``group_name="child, children"`` what messages call a group; ``weights="n"`` that a row counts as often as the
    column n says; ``neighbours="neighbours.csv"`` which areas lie beside which (a path, seen from here or from the
    data, or pairs); ``selection="detection.csv"`` the probability that an event of a value is seen (likewise);
    ``integral={"lower": 0, "upper": 1}`` what curves are integrated over, and by which kernel and mean.
    """
    place = find_data(path)
    for key in roles.keys() & LISTS:
        roles[key] = located(roles[key], Path(), place if os.path.isdir(place) else place.parent)
    dataset = _load_folder(place) if os.path.isdir(place) else _load_csv(place, place.stem)
    reading, named = _split(roles)
    dataset = dataset.read_as(reading)
    mapping = _mapping({**(columns or {}), **named})
    return dataset.with_columns(mapping) if mapping else dataset


def _load_csv(path: Path, name: str) -> Dataset:
    table, digest = read_csv(path)
    return Dataset(name=name, table=table, sha256=digest)


def _load_folder(folder: Path) -> Dataset:
    csv, source = folder / "data.csv", folder / "source.toml"
    if not csv.exists():
        others = sorted(p.name for p in folder.glob("*.csv"))
        hint = f"Name {others[0]} itself, or rename it." if others else "There is none, and no other CSV."
        raise DataError(f"{folder}: a dataset folder needs a data.csv. {hint}")
    dataset = _load_csv(csv, folder.name)
    if not source.exists():
        return dataset
    meta = _read_source(source)
    stated = meta.get("sha256", dataset.sha256)
    if stated.lower() != dataset.sha256:
        raise DataError(
            f"{csv} is not the file that {source} describes: its sha256 is {dataset.sha256}, {source.name} says "
            f"{shorten(stated) if len(stated) != 64 else stated}. Restore data.csv (a version control system may have "
            "changed its line ends), or write the new hash if the change is meant."
        )
    if meta.get("rows", dataset.table.n_rows) != dataset.table.n_rows:
        raise DataError(f"{source}: rows is {meta['rows']}, but {csv.name} has {dataset.table.n_rows} rows.")
    info = _column_info(source, meta.get("columns", {}), dataset.table)
    title, citation = meta.get("title", ""), meta.get("citation", "")
    return replace(dataset, title=title, source=citation, info=MappingProxyType(info))


def _read_source(path: Path) -> dict[str, Any]:
    refuse_no_file(path)
    try:
        meta = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid TOML: {error}.") from error
    _check_kinds(path, "", meta, _SOURCE_KINDS)
    return meta


def _column_info(path: Path, columns: Mapping[str, Any], table: Table) -> dict[str, ColumnInfo]:
    for name, column in columns.items():
        if name not in table.names:
            raise DataError(f"{path}: columns.{name}: data.csv has no column {name!r}. {listed(table, name)}")
        if not isinstance(column, dict):
            raise DataError(f"{path}: columns.{name} must be a table, found {column!r}.")
        _check_kinds(path, f"columns.{name}.", column, {"meaning": str, "unit": str})
    return {name: ColumnInfo(c.get("meaning", ""), c.get("unit", "")) for name, c in columns.items()}


def _check_kinds(path: Path, above: str, entries: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    words = {str: "a text", int: "a whole number", dict: "a table"}
    for key, value in entries.items():
        if key not in kinds:
            where = f" in {above.removesuffix('.')}" if above else ""
            raise DataError(f"{path}: unknown key {key!r}{where}. {nearest(key, sorted(kinds))}")
        if not isinstance(value, kinds[key]) or isinstance(value, bool):
            raise DataError(f"{path}: {above}{key} must be {words[kinds[key]]}, found {value!r}.")
