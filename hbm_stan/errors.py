"""The exception tree: every mistake that a user can make ends in one of these, never in a traceback."""

from __future__ import annotations

from collections.abc import Iterable

# The logger that names a program of the user's own (a family.py) before it is run.
PROGRAMS = "hbm_stan.programs"


class HbmError(Exception):
    """Anything that the workbench refuses, with a message that says what to do next."""

    exit_code = 2


class DataError(HbmError):
    """The table, a column, a row or a group is not what the model needs."""


class ModelError(HbmError):
    """The analysis, the family, a prior or a Stan program is not what it should be."""


class EngineError(HbmError):
    """What runs Stan is missing, or it failed."""

    exit_code = 3


class NotDirectError(EngineError):
    """Direct draws cannot be had of a posterior, or cannot be trusted."""


class StorageError(HbmError):
    """A result could not be written: the disk is full, or the folder may not be written to."""

    exit_code = 3


class TypesettingError(HbmError):
    """Typst, which sets the pages, failed."""

    exit_code = 3


class DiagnosticError(HbmError):
    """A conclusion was asked of draws that did not pass their checks."""

    exit_code = 1


class ComparisonError(HbmError):
    """Fits that cannot be compared: other data, other rows, other outcome scale."""


def is_panic(error: BaseException) -> bool:
    """Whether a library written in Rust broke down: its bindings raise what is no Exception."""
    return type(error).__name__ == "PanicException"


def near_name(name: str, allowed: Iterable[str]) -> str | None:
    """The nearest of the allowed names; None where none is near."""
    # What was asked and refused is no advice.
    folded = {other.casefold(): other for other in reversed(list(allowed)) if other != name}
    import difflib

    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def did_you_mean(name: str, allowed: Iterable[str]) -> str:
    """A sentence that names the nearest allowed name; empty where none is near."""
    near = near_name(name, allowed)
    return "" if near is None else f"Did you mean {near!r}?"


def nearest(name: str, allowed: Iterable[str]) -> str:
    """A sentence that names the nearest allowed name, or all of them where none is near."""
    names = [other for other in allowed if other != name]
    if not names:
        return "There are none."
    return did_you_mean(name, names) or "Allowed: " + ", ".join(repr(n) for n in names) + "."
