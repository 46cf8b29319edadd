"""A CSV, a dataset folder or a DataFrame becomes a frozen Dataset. Knows no model."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hbm_stan.errors import DataError, nearest
from hbm_stan.resources import share
from hbm_stan.table import Table, read_csv

if TYPE_CHECKING:
    import pandas as pd

_SOURCE_KEYS = {"title", "citation", "licence", "sha256", "rows", "columns", "url", "note"}


@dataclass(frozen=True)
class ColumnInfo:
    """What one column means, and its unit (empty where it has none)."""

    meaning: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Dataset:
    """A table with its provenance.

    ``table`` holds the columns in file order, ``columns`` maps roles to column names, ``sha256`` is the
    hash of the bytes that were read, ``notes`` says what reading had to decide (encoding, delimiter).
    """

    name: str
    table: Table
    sha256: str
    columns: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    source: str = ""
    info: Mapping[str, ColumnInfo] = field(default_factory=dict)

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, columns: Mapping[str, str] | None = None, *, name: str = "data", **roles: str
    ) -> Dataset:
        """A Dataset from a DataFrame; roles as a mapping or as keywords (``group="school"``).

        Raises DataError for an empty frame, repeated column names, or a categorical level without rows.
        """
        table = Table.from_frame(frame)
        digest = hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()
        return cls(name, table, digest, MappingProxyType({**(columns or {}), **roles}))

    def with_columns(self, columns: Mapping[str, str]) -> Dataset:
        """The same data with roles mapped to these columns; a column that is not there is an error."""
        for role, column in columns.items():
            if column not in self.table.names:
                raise DataError(
                    f"{self.table.where}: there is no column {column!r} for the role {role!r}. "
                    + nearest(column, self.table.names)
                )
        return Dataset(
            self.name, self.table, self.sha256, MappingProxyType(dict(columns)), self.title, self.source, self.info
        )

    def unit(self, role: str) -> str:
        """The unit of the column that has this role, or an empty text."""
        return self.info.get(self.columns.get(role, ""), ColumnInfo()).unit

    def meaning(self, role: str) -> str:
        """What the column of this role means, or its name."""
        column = self.columns.get(role, "")
        return self.info.get(column, ColumnInfo()).meaning or column


def load(path: str | Path, columns: Mapping[str, str] | None = None, **roles: str) -> Dataset:
    """A Dataset from a CSV file, a dataset folder (data.csv and source.toml), or a shipped dataset's name."""
    place = Path(path)
    if not place.exists() and len(place.parts) == 1 and (share("data") / place).is_dir():
        place = share("data") / place
    if not place.exists():
        shipped = sorted(p.name for p in share("data").iterdir() if p.is_dir())
        raise DataError(f"{path}: no such file or folder. Data sets that come along: {', '.join(shipped)}.")
    dataset = _load_folder(place) if place.is_dir() else _load_csv(place, place.stem)
    mapping = {**(columns or {}), **roles}
    return dataset.with_columns(mapping) if mapping else dataset


def _load_csv(path: Path, name: str) -> Dataset:
    table, digest = read_csv(path)
    return Dataset(name, table, digest)


def _load_folder(folder: Path) -> Dataset:
    csv, source = folder / "data.csv", folder / "source.toml"
    if not csv.exists():
        raise DataError(f"{folder}: a dataset folder needs a data.csv; there is none.")
    dataset = _load_csv(csv, folder.name)
    if not source.exists():
        return dataset
    meta = _read_source(source)
    if meta.get("sha256", dataset.sha256) != dataset.sha256:
        raise DataError(
            f"{csv} is not the file that {source.name} describes: its sha256 is {dataset.sha256}, "
            f"{source.name} says {meta['sha256']}. Restore data.csv, or write the new hash if the change is meant."
        )
    info = {
        name: ColumnInfo(str(c.get("meaning", "")), str(c.get("unit", "")))
        for name, c in meta.get("columns", {}).items()
    }
    title, citation = str(meta.get("title", "")), str(meta.get("citation", ""))
    return Dataset(dataset.name, dataset.table, dataset.sha256, {}, title, citation, MappingProxyType(info))


def _read_source(path: Path) -> dict[str, Any]:
    try:
        meta = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid TOML: {error}.") from error
    for key in meta:
        if key not in _SOURCE_KEYS:
            raise DataError(f"{path}: unknown key {key!r}. {nearest(key, sorted(_SOURCE_KEYS))}")
    return meta
