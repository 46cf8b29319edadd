"""Outlines of areas from a GeoJSON file (RFC 7946): who touches whom, and what a map draws.

Areas are neighbours where their outlines have a point in common, in a border or a corner (queen contiguity, the default
of spdep's poly2nb and of libpysal). Files of areas share the points of their borders, so that no geometry is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.cells import label
from hbm_stan.errors import DataError, nearest
from hbm_stan.table import FloatArray, shorten

ENDINGS = (".geojson", ".json")
# What a property that names areas is called where a file does not say which does.
_NAME = "name"
_SHOWN = 5  # properties that a message names
# Points of a drawn outline stand on a grid of so many steps over the map's extent: finer is not seen, and borders that
# are shared stay so.
_STEPS = 1500


@dataclass(frozen=True)
class Outlines:
    """Closed rings of each area, (points, 2) each: longitude and latitude, or other units to the east and north."""

    where: str
    rings: Mapping[str, tuple[FloatArray, ...]]

    def touching(self) -> list[tuple[str, str]]:
        """Pairs of areas that have a point of their outlines in common, each once."""
        at: dict[tuple[float, float], dict[str, None]] = {}
        for name, rings in self.rings.items():
            for ring in rings:
                for east, north in ring.tolist():
                    at.setdefault((east, north), {})[name] = None
        pairs = {frozenset(pair): pair for there in at.values() for pair in combinations(there, 2)}
        order = {name: i for i, name in enumerate(self.rings)}
        return sorted(pairs.values(), key=lambda pair: (order[pair[0]], order[pair[1]]))

    def drawn(self, labels: Sequence[str]) -> dict[str, list[FloatArray]]:
        """The rings of these areas as they are drawn: flat, and with no more points than can be seen."""
        points = np.concatenate([ring for name in labels for ring in self.rings[name]])
        flat = np.array([_shrinking(points), 1.0])
        low, extent = (points * flat).min(axis=0), float(np.ptp(points * flat, axis=0).max()) or 1.0
        step = extent / _STEPS
        return {name: [_on_grid(ring * flat, low, step) for ring in self.rings[name]] for name in labels}


def _shrinking(points: FloatArray) -> float:
    """How much shorter a degree to the east is than one to the north; 1 where coordinates are no degrees."""
    degrees = bool(np.all(np.abs(points) <= [180, 90]))
    return float(np.cos(np.deg2rad(points[:, 1].mean()))) if degrees else 1.0


def _on_grid(ring: FloatArray, low: FloatArray, step: float) -> FloatArray:
    at = np.round((ring - low) / step)
    moved = np.append(True, np.any(np.diff(at, axis=0) != 0, axis=1))
    return np.asarray(low + at[moved] * step)


def split_place(given: str) -> tuple[str, str]:
    """The path and the property that names areas, of ``areas.geojson#district``; other paths have no property."""
    path, sign, named = given.rpartition("#")
    return (path, named) if sign and path.lower().endswith(ENDINGS) else (given, "")


def is_outlines(given: str) -> bool:
    """Whether this is the path of a GeoJSON file, by its ending."""
    return split_place(given)[0].lower().endswith(ENDINGS)


def read_outlines(given: str) -> Outlines:
    """The outlines in a GeoJSON file, a feature for each area or several.

    ``areas.geojson#district`` says which property names areas; else it is ``name``, the ``id`` of the features, or the
    only property that differs between them. Raises DataError, naming file and feature, for what is no such file.
    """
    path, named = split_place(given)
    features = _features(Path(path))
    names = _names(path, features, named)
    rings: dict[str, list[FloatArray]] = {}
    for i, (name, feature) in enumerate(zip(names, features, strict=True)):
        rings.setdefault(name, []).extend(_rings(path, i, name, feature.get("geometry")))
    return Outlines(path, {name: tuple(own) for name, own in rings.items()})


def _features(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}: no GeoJSON: {error}.") from None
    features = content.get("features") if isinstance(content, dict) else None
    if not isinstance(features, list) or not features or not all(isinstance(f, dict) for f in features):
        kind = content.get("type") if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{path}: a GeoJSON FeatureCollection with a feature for each area is needed; found {shorten(repr(kind))}."
        )
    return features


def _names(path: str, features: Sequence[dict[str, Any]], named: str) -> list[str]:
    """The name of each feature's area."""
    every = [f.get("properties") or {} for f in features]
    listed = list(dict.fromkeys(key for properties in every for key in properties))
    own = {key: [properties.get(key) for properties in every] for key in listed}
    if all(f.get("id") is not None for f in features):
        own.setdefault("id", [f["id"] for f in features])
    if named and named not in own:
        raise DataError(f"{path}: no feature has a property {named!r}. {nearest(named, list(own) or ['none'])}")
    differing = [k for k, v in own.items() if len(set(map(str, v))) == len(v)]
    called = next((k for k in own if k.lower() == _NAME), "id" if "id" in own else "")
    chosen = named or called or (differing[0] if len(differing) == 1 else "")
    if not chosen:
        raise DataError(
            f"{path}: which property names the areas? Write it behind the file, {path}#PROPERTY. The properties: "
            f"{', '.join(listed[:_SHOWN]) or 'none'}{' ...' * (len(listed) > _SHOWN)}."
        )
    for i, value in enumerate(own[chosen]):
        if not isinstance(value, str | int | float) or isinstance(value, bool) or value == "":
            raise DataError(f"{path}, feature {i + 1}: its {chosen!r} is {value!r}, no name. Every area needs one.")
    return [label(value) for value in own[chosen]]


def _rings(path: str, i: int, name: str, geometry: Any) -> list[FloatArray]:
    """The rings of a feature's polygons, holes among them."""
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise DataError(
            f"{path}, feature {i + 1} ({shorten(name)}): an outline is a Polygon or a MultiPolygon; found "
            f"{shorten(repr(kind))}."
        )
    polygons = [geometry.get("coordinates")] if kind == "Polygon" else geometry.get("coordinates")
    try:
        rings = [np.array([point[:2] for point in ring], dtype=float) for polygon in polygons for ring in polygon]
    except (TypeError, ValueError, IndexError):
        rings = []
    if not rings or not all(r.ndim == 2 and r.shape[1] == 2 and len(r) >= 4 and np.isfinite(r).all() for r in rings):
        raise DataError(
            f"{path}, feature {i + 1} ({shorten(name)}): its coordinates are no rings of at least four points."
        )
    return rings
