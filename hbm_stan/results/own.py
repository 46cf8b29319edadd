"""A section that only one family has: its words, its tables, and what its figure draws."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any

import pandas as pd

from hbm_stan.errors import ModelError
from hbm_stan.model import Finding
from hbm_stan.results.data_shown import Cell
from hbm_stan.results.entry import OPTIONAL, Entry, rows_of


@dataclass(frozen=True, kw_only=True)
class CurvePoint(Entry):
    """A point of a curve in its panel: quantiles at ``x``, in the units of the axes."""

    panel: str
    x: float
    q10: float
    q25: float
    q50: float
    q75: float
    q90: float


@dataclass(frozen=True, kw_only=True)
class Point(Entry):
    """A point beside curves, of a kind such as observed, truth."""

    panel: str
    x: float
    y: float
    kind: str


@dataclass(frozen=True, kw_only=True)
class Area(Entry):
    """An area of a map: where it lies, its raw and smoothed value, and the probability of an excess.

    ``east`` and ``north`` are in the unit of the places; ``size`` is the expected number of cases, or the tested.
    Its name is what outlines are found by.
    """

    area: str | None = field(default=None, metadata=OPTIONAL)
    east: float
    north: float
    raw: float
    smoothed: float
    excess: float
    size: float


@dataclass(frozen=True, kw_only=True)
class Border(Entry):
    """A line of a map between two neighbours, in the unit of the places."""

    east: float
    north: float
    to_east: float
    to_north: float


@dataclass(frozen=True, kw_only=True)
class SweepRow(Entry):
    """A conclusion under an assumption ``delta``: its interval, and its threshold.

    ``main`` is the delta of the main fit, ``tips`` are those where the conclusion changes: the same in every row.
    """

    delta: float
    q05: float
    q50: float
    q95: float
    threshold: float
    main: float
    tips: list[float]


@dataclass(frozen=True, kw_only=True)
class SourceInterval(Entry):
    """The interval of what has this label from one source of data."""

    label: str
    source: str
    low: float
    middle: float
    high: float


@dataclass(frozen=True, kw_only=True)
class OwnSection(Entry):
    """An entry of ``findings``; tables that it has not are None. ``digits`` are the decimals of a column's numbers."""

    title: str
    caption: str
    x_label: str
    y_label: str
    table: list[dict[str, Cell]] | None
    curves: list[CurvePoint] | None
    points: list[Point] | None
    areas: list[Area] | None
    borders: list[Border] | None
    sweep: list[SweepRow] | None
    intervals: list[SourceInterval] | None
    sentences: list[str]
    digits: dict[str, int]


def own_of(finding: Finding) -> OwnSection:
    """The words, tables and sentences of a section."""
    table: list[dict[str, Any]] | None = None if finding.table is None else finding.table.to_dict("records")
    return OwnSection(
        title=finding.title,
        caption=finding.caption,
        x_label=finding.x_label,
        y_label=finding.y_label,
        table=table,
        curves=_records(CurvePoint, finding, "curves"),
        points=_records(Point, finding, "points"),
        areas=_records(Area, finding, "areas"),
        borders=_records(Border, finding, "borders"),
        sweep=_records(SweepRow, finding, "sweep"),
        intervals=_records(SourceInterval, finding, "intervals"),
        sentences=list(finding.sentences),
        digits=dict(finding.digits),
    )


def _records[T: Entry](kind: type[T], finding: Finding, name: str) -> list[T] | None:
    """The rows of a table that a family made, without columns beside those that its figure draws; None without one.

    Raises ModelError where the figure needs a column that the table has not.
    """
    table: pd.DataFrame | None = getattr(finding, name)
    if table is None or table.empty:
        return None if table is None else []
    lacking = [f.name for f in fields(kind) if f.default is MISSING and f.name not in table]
    if lacking:
        raise ModelError(
            f"Section {finding.title!r}: its {name} have no column {', '.join(lacking)}; they have "
            f"{', '.join(map(str, table.columns))}. Let the family's findings give what the figure draws."
        )
    return rows_of(kind, table[[f.name for f in fields(kind) if f.name in table]])
