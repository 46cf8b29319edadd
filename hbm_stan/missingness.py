"""How outcomes came to be missing, where that depends on what nobody saw: what only the analyst can assume.

Two forms (Little & Rubin 2019, Statistical Analysis with Missing Data, 3rd ed., chapter 15). In a selection model the
probability of being unseen depends on the outcome itself, by delta; in a pattern-mixture model the outcomes that were
not seen are those of rows like them that were, shifted by delta. No row tells delta: it is assumed, and varied.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import DataError, nearest
from hbm_stan.table import FloatArray, shorten

PATTERN, SELECTION = "pattern_mixture", "selection"
FORMS = (PATTERN, SELECTION)
# What the forms say of rows, and the unit of delta.
FORMS_IN_WORDS: Mapping[str, str] = {
    PATTERN: "unseen outcomes are those of rows like them that were seen, shifted by delta",
    SELECTION: "the probit of being unseen changes by delta for each unit of the outcome",
}
# Where delta ends: beyond, squares of it are no numbers.
_LARGEST = 1e100
_PAIR = re.compile(r"^\s*(?P<column>[^=]+?)\s*=\s*(?P<level>.+?)\s*$")
_MINUS = re.compile(r"\s-\s+(?=[^=]+=)")


@dataclass(frozen=True, kw_only=True)
class Missingness:
    """What is assumed of missing outcomes, and what is asked of it.

    ``delta`` is in the unit of the outcome (pattern_mixture) or in probits for each unit of it (selection): below 0,
    lower outcomes are the ones that are missing. ``rows`` names those whose missing outcomes differ, ``arm = drug``;
    empty, all. ``contrast`` is what the conclusion is about, ``arm = drug - arm = placebo``; empty, the mean over all
    rows. The conclusion is on which side of ``threshold`` it lies. ``sweep`` are the deltas that are tried; empty, some
    on the scale of the data. ``prior`` is a distribution of delta, ``normal(-5, 3)``; empty, none.
    """

    form: str = PATTERN
    delta: float = 0.0
    rows: str = ""
    contrast: str = ""
    threshold: float = 0.0
    sweep: tuple[float, ...] = ()
    prior: str = ""

    @property
    def selects(self) -> bool:
        """Whether it is the selection form."""
        return self.form == SELECTION

    @property
    def setting(self) -> tuple[str, str] | None:
        """Column and level of the rows whose missing outcomes differ; None: all rows."""
        return _setting(self.rows, "missing.rows") if self.rows else None

    @property
    def sides(self) -> tuple[tuple[str, str], tuple[str, str]] | None:
        """Column and level of both sides of the contrast; None where the mean over all rows is asked for."""
        if not self.contrast:
            return None
        parts = _MINUS.split(self.contrast)
        if len(parts) != 2:
            raise DataError(
                f"missing.contrast is {shorten(self.contrast)!r}. Write column = level - column = level, with blanks "
                "around the minus, such as arm = drug - arm = placebo."
            )
        first, second = (_setting(part, "missing.contrast") for part in parts)
        if first[0] != second[0] or first == second:
            raise DataError(
                f"missing.contrast is {shorten(self.contrast)!r}: both sides name one column, at two of its levels."
            )
        return first, second


@dataclass(frozen=True)
class Unseen:
    """The rows of a table whose outcome is missing: the group of each, counted from 0, (M,), and their predictors.

    ``predictors`` are by role, (M, K) each.
    """

    level: npt.NDArray[np.int64]
    predictors: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """How many rows have no outcome."""
        return len(self.level)

    def among(self, groups: npt.NDArray[np.int64]) -> Unseen:
        """Those of some groups, ascending, which are counted anew in that order."""
        own = np.isin(self.level, groups)
        values = {role: x[own] for role, x in self.predictors.items()}
        return Unseen(np.searchsorted(groups, self.level[own]), values)


def make_missingness(given: Any) -> Missingness | None:
    """The assumptions in a mapping, or in the name of a form; None where nothing is given. Raises DataError."""
    if given is None or isinstance(given, Missingness):
        return given
    entries = {"form": given} if isinstance(given, str) else given
    if not isinstance(entries, Mapping):
        raise DataError(f'missing must be a table such as {{form = "selection", delta = -0.1}}, found {given!r}.')
    known = [f.name for f in fields(Missingness)]
    for key in entries:
        if key not in known:
            raise DataError(f"missing: there is no key {shorten(key)!r}. {nearest(str(key), known)}")
    for key in ("form", "rows", "contrast", "prior"):
        if not isinstance(entries.get(key, ""), str):
            raise DataError(f"missing.{key} must be a text, found {shorten(repr(entries[key]))}.")
    form = entries.get("form", PATTERN)
    if form not in FORMS:
        raise DataError(f"missing.form is {shorten(form)!r}. {nearest(form, FORMS)}")
    values: dict[str, Any] = {key: _number(key, entries[key]) for key in ("delta", "threshold") if key in entries}
    values |= {key: entries[key].strip() for key in ("rows", "contrast", "prior") if key in entries}
    assumed = Missingness(form=form, sweep=_sweep(entries.get("sweep", ())), **values)
    _ = assumed.sides, assumed.setting  # read here, so that what is wrong in them is said at once
    return assumed


def refuse_missingness(where: str, given: Missingness | None, wanted: bool) -> None:
    """Raise DataError where a family that takes no missing outcomes is told how they came to be missing."""
    if given is not None and not wanted:
        raise DataError(f"{where}: missing is for outcomes that are missing (the family missing_outcomes).")


def refuse_unseen_groups(
    where: str, column: str, labels: Sequence[str], level: npt.NDArray[np.int64], unseen: npt.NDArray[np.bool_]
) -> None:
    """Raise DataError where no outcome was seen, at all or in a group."""
    if unseen.all():
        raise DataError(
            f"{where}, column {column!r}: the outcome is missing in every row. Nothing can be learnt of outcomes that "
            "nobody saw."
        )
    without = np.flatnonzero(np.bincount(level[~unseen], minlength=len(labels)) == 0)
    if without.size:
        first = shorten(labels[int(without[0])])
        rows = int(np.sum(level == without[0]))
        more = f" So are those of {len(without) - 1} more groups." if len(without) > 1 else ""
        raise DataError(
            f"{where}, column {column!r}: all {rows} outcomes of the group {first!r} are missing.{more} No row says "
            "where its outcomes lie: without pooling they would be the prior, with pooling those of other groups, and "
            "the answer would rest on that. Give it a group that it belongs to (a region of sites), or take its rows "
            "out and say that the answer is about the others."
        )


def _setting(text: str, key: str) -> tuple[str, str]:
    matched = _PAIR.match(text)
    if matched is None:
        raise DataError(f"{key} is {shorten(text)!r}. Write column = level, such as arm = drug.")
    return matched["column"].strip("`"), matched["level"]


def _number(key: str, value: Any) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not math.isfinite(value) or abs(value) > _LARGEST:
        advice = "A delta without end says that no outcome is known: name the largest that you could believe." * (
            key in {"delta", "sweep"} and known
        )
        raise DataError(f"missing.{key} must be a finite number, found {shorten(repr(value))}. {advice}".strip())
    return float(value)


def _sweep(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list | tuple):
        raise DataError(f"missing.sweep must be a list of numbers such as [-2.0, -1.0, 0.0], found {value!r}.")
    return tuple(sorted({_number("sweep", v) for v in value}))
