"""Which areas lie beside which: pairs of names from a CSV of two columns, from outlines, a frame or from Python.

Neighbours are mutual: a pair counts once, whether a list has it in one direction or in both.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hbm_stan.cells import label
from hbm_stan.errors import DataError, nearest
from hbm_stan.outlines import Outlines, is_outlines, read_outlines, split_place
from hbm_stan.table import read_csv, shorten

_SHOWN = 3  # pairs that a note names


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Pairs of areas side by side, each once, in the order of the list.

    ``where`` names the list in messages, ``path`` is its file (empty for one of Python), and ``notes`` say what was
    decided: pairs in one direction only among others in both, pairs that stand twice. ``outlines`` of the areas are
    there where a GeoJSON file was given: their pairs are those that touch.
    """

    where: str
    pairs: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    path: str = ""
    outlines: Outlines | None = field(default=None, compare=False, repr=False)

    def among(self, labels: Collection[str]) -> Neighbours:
        """The pairs of which both areas are among these."""
        there = set(labels)
        return replace(self, pairs=tuple((a, b) for a, b in self.pairs if a in there and b in there))


def make_neighbours(given: Any) -> Neighbours | None:
    """The neighbours in a CSV or GeoJSON file (its path), a DataFrame of two columns, or pairs; None for nothing.

    Raises DataError for a file that cannot be read, another number of columns, and an area beside itself.
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    if isinstance(given, Neighbours):
        return given
    if isinstance(given, str | os.PathLike) and is_outlines(os.fspath(given)):
        outlines = read_outlines(os.fspath(given))
        touching = tuple(outlines.touching())
        return Neighbours(where=outlines.where, pairs=touching, path=os.fspath(given), outlines=outlines)
    if isinstance(given, str | os.PathLike):
        table, _ = read_csv(Path(given))
        if len(table.names) != 2:
            raise DataError(
                f"{table.where}: a list of neighbours has two columns, the names of two areas that lie beside each "
                f"other; found {len(table.names)}: {', '.join(map(repr, table.names[:5]))}."
            )
        pairs = list(zip(*(table.labels(name) for name in table.names), strict=True))
        return _mutual(table.where, pairs, [table.row(i) for i in range(len(pairs))], os.fspath(given))
    rows = given.to_numpy().tolist() if hasattr(given, "to_numpy") else given
    try:
        pairs = [(label(a), label(b)) for a, b in rows]
    except (TypeError, ValueError):
        raise DataError(
            "neighbours must be the path of a CSV of two columns, a DataFrame of two columns, or pairs of areas such "
            f"as [('A', 'B'), ('B', 'C')]; found {shorten(repr(given))}."
        ) from None
    return _mutual("neighbours", pairs, [f"pair {i + 1}" for i in range(len(pairs))], "")


def located(given: Any, *folders: Path) -> Any:
    """The path of a list of neighbours, seen from the first of these folders that has it; what is no path stays."""
    if not isinstance(given, str | os.PathLike) or not os.fspath(given).strip():
        return given
    path, named = split_place(os.path.expanduser(given))
    places = [folder / path for folder in folders]
    place = next((place for place in places if os.path.isfile(place)), places[0])
    return f"{place}#{named}" if named else place


def refuse_neighbours(where: str, given: Neighbours | None, wanted: bool) -> None:
    """Raise DataError where a family of maps has no list of neighbours, or another family has one."""
    if wanted and given is None:
        raise DataError(
            f"{where}: which areas are neighbours? Name a CSV with the names of two areas that lie beside each other "
            'in each row, or a GeoJSON file of outlines: --neighbours FILE, neighbours = "FILE" in analysis.toml, '
            "neighbours=... in Python."
        )
    if given is not None and not wanted:
        raise DataError(f"{where}: neighbours are for maps (the family disease_mapping). Leave them out here.")


def check_neighbours(given: Neighbours | None, where: str, labels: Sequence[str]) -> list[str]:
    """What was decided on the list, in sentences; raises DataError for areas that the table lacks, or no pair."""
    if given is None:
        return []
    if given.outlines is not None:
        given = _with_rows(given, given.outlines, labels)
    there = set(labels)
    unknown = list(dict.fromkeys(area for pair in given.pairs for area in pair if area not in there))
    if unknown:
        more = f" {len(unknown) - 1} more of its areas are not there either." if len(unknown) > 1 else ""
        raise DataError(
            f"{given.where}: the area {shorten(unknown[0])!r} has no row in {where}. {nearest(unknown[0], labels)}"
            f"{more} Correct the name, give the area a row, or take it off the list."
        )
    if not given.pairs:
        raise DataError(f"{given.where}: no two areas of {where} are neighbours, so that there is no map to learn.")
    return list(given.notes)


def _with_rows(given: Neighbours, outlines: Outlines, labels: Sequence[str]) -> Neighbours:
    """The neighbours among the areas of a table, for a file of outlines may well have more, which is noted.

    Raises DataError for an area of the table that the file lacks: a misspelt one would be an island.
    """
    lacking = [area for area in labels if area not in outlines.rings]
    if lacking:
        more = f" {len(lacking) - 1} more areas have none either." if len(lacking) > 1 else ""
        raise DataError(
            f"{outlines.where}: the area {shorten(lacking[0])!r} has no outline. "
            f"{nearest(lacking[0], list(outlines.rings))}{more} Correct the name, add the outline, or name another "
            f"property of the file, {outlines.where}#PROPERTY."
        )
    there = set(labels)
    others = [area for area in outlines.rings if area not in there]
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    note = (
        f"{outlines.where}: without a row, and so not on the map: "
        f"{', '.join(shorten(area) for area in others[:_SHOWN])}{more}."
    )
    return replace(given.among(labels), notes=(*given.notes, *([note] if others else [])))


def _mutual(where: str, pairs: Sequence[tuple[str, str]], rows: Sequence[str], path: str) -> Neighbours:
    """Each pair once, with notes on what is not as a whole list has it."""
    for (a, b), row in zip(pairs, rows, strict=True):
        if a == b:
            raise DataError(f"{where}, {row}: {shorten(a)!r} is listed as its own neighbour. Take the row out.")
        if not a or not b:
            raise DataError(f"{where}, {row}: an area has no name. Every row needs two.")
    counts = Counter(pairs)
    twice = [pair for pair, n in counts.items() if n > 1]
    one_way = [pair for pair in counts if pair[::-1] not in counts]
    notes = []
    if twice:
        notes.append(f"{where}: listed more than once, and counted once: {_named(twice)}.")
    if one_way and len(one_way) < len(counts):
        notes.append(
            f"{where}: {len(one_way)} of {len(counts)} entries are in one direction only ({_named(one_way)}). "
            "Neighbours are mutual: these pairs count as the others do."
        )
    once = {frozenset(pair): pair for pair in reversed(pairs)}  # the first of each
    each = tuple(dict.fromkeys(once[frozenset(pair)] for pair in pairs))
    return Neighbours(where=where, pairs=each, notes=tuple(notes), path=path)


def _named(pairs: Sequence[tuple[str, str]]) -> str:
    more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    return ", ".join(f"{shorten(a)} and {shorten(b)}" for a, b in pairs[:_SHOWN]) + more
