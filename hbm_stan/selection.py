"""Which events are seen at all: a detection probability as a function of the quantity, from a CSV of two columns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.later import PchipInterpolator
from hbm_stan.table import FloatArray, read_csv, shorten

_NAMES = ("value", "detection_probability")


@dataclass(frozen=True)
class Selection:
    """Detection probabilities ``chance`` (n,) at increasing values of the quantity ``at`` (n,), both in 0 .. 1.

    ``where`` names the list in messages, ``path`` is its file (empty for one of Python).
    """

    where: str
    at: tuple[float, ...]
    chance: tuple[float, ...]
    path: str = ""

    def of(self, x: FloatArray) -> FloatArray:
        """The detection probability at x, same shape: between the values listed by a monotone cubic curve.

        Fritsch & Carlson (1980), SIAM Journal on Numerical Analysis 17:238: it passes through all of them, has no
        kinks, and leaves their range nowhere. Beyond the first and the last value it is what it is there.
        """
        curve = PchipInterpolator(self.at, self.chance)
        return np.asarray(np.clip(curve(np.clip(x, self.at[0], self.at[-1])), 0.0, 1.0))


def make_selection(given: Any) -> Selection | None:
    """The detection probabilities in a CSV (its path), a DataFrame of two columns, or pairs; None where none are given.

    Raises DataError for a file that cannot be read, another number of columns, and values that are no probabilities.
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    if isinstance(given, Selection):
        return given
    if isinstance(given, str | os.PathLike):
        table, _ = read_csv(Path(given))
        if len(table.names) != 2:
            raise DataError(
                f"{table.where}: detection probabilities stand in two columns, a value of the quantity and the "
                f"probability that an event with that value is seen; found {len(table.names)}: "
                f"{', '.join(map(repr, table.names[:5]))}."
            )
        at, chance = (table.numbers(name) for name in table.names)
        rows = [table.row(i) for i in range(table.n_rows)]
        return _checked(table.where, at, chance, rows, table.names, os.fspath(given))
    pairs = given.to_numpy().tolist() if hasattr(given, "to_numpy") else given
    try:
        columns = np.array([(float(a), float(b)) for a, b in pairs], dtype=float).reshape(-1, 2)
    except (TypeError, ValueError):
        raise DataError(
            "selection must be the path of a CSV of two columns, a DataFrame of two columns, or pairs of a value and a "
            f"detection probability such as [(0, 0.2), (1, 0.9)]; found {shorten(repr(given))}."
        ) from None
    rows = [f"pair {i + 1}" for i in range(len(columns))]
    return _checked("selection", columns[:, 0], columns[:, 1], rows, _NAMES, "")


def _checked(
    where: str, at: FloatArray, chance: FloatArray, rows: Sequence[str], names: Sequence[str], path: str
) -> Selection:
    """A Selection of numbers that may be one; raises DataError naming column and row."""
    if len(at) < 2:
        raise DataError(f"{where}: detection probabilities need two values at least, found {len(at)}.")
    for name, numbers, what in ((names[0], at, "a value"), (names[1], chance, "a detection probability")):
        bad = np.flatnonzero(~((numbers >= 0) & (numbers <= 1)))
        if bad.size:
            i = int(bad[0])
            percent = " Percent are probabilities times 100: divide by 100." if numbers[i] > 2 else ""
            raise DataError(
                f"{where}, column {name!r}, {rows[i]}: {what} lies between 0 and 1, found {numbers[i]:g}.{percent}"
            )
    order = np.argsort(at, kind="stable")
    at, chance = at[order], chance[order]
    twice = np.flatnonzero(np.diff(at) == 0)
    if twice.size:
        raise DataError(
            f"{where}, column {names[0]!r}: the value {at[twice[0]]:g} is listed more than once. Where the probability "
            "jumps, put the two values a little apart."
        )
    if not chance.any():
        raise DataError(f"{where}, column {names[1]!r}: all probabilities are 0: no event could be seen.")
    return Selection(where, tuple(at.tolist()), tuple(chance.tolist()), path)


def notes_on(given: Selection | None) -> list[str]:
    """What is taken for granted where a list does not reach from 0 to 1."""
    if given is None or (given.at[0] == 0 and given.at[-1] == 1):
        return []
    return [
        f"{given.where}: detection probabilities are listed from {given.at[0]:g} to {given.at[-1]:g}; below and above "
        f"they are taken as {given.chance[0]:g} and {given.chance[-1]:g}, as at the ends."
    ]


def refuse_selection(where: str, given: Selection | None, may: bool) -> None:
    """Raise DataError where a family that knows no selection is given one."""
    if given is not None and not may:
        raise DataError(
            f"{where}: a selection is for populations of events (the family event_population). Leave it out here."
        )
