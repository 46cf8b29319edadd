"""The keys of analysis.toml: which there are, and values of the right kind, or an error that names file and key."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from hbm_stan.engines import Sampling
from hbm_stan.errors import HbmError, ModelError, nearest
from hbm_stan.prepare import LARGEST
from hbm_stan.table import shorten

_TEXT, _TEXTS, _TABLE, _FLAG, _NUMBER = "a text", "a list of texts", "a table", "true or false", "a number"
_KEYS = {
    "title": _TEXT, "question": _TEXT, "group_name": _TEXT, "unit": _TEXT, "family": _TEXT, "data": _TEXT,
    "variants": _TEXTS, "columns": _TABLE, "parameterisation": _TEXT, "priors": _TABLE, "reasons": _TABLE,
    "sampling": _TABLE, "comparison": _TABLE, "prediction": _TABLE, "checks": _TABLE, "levels": _TABLE,
    "log_scale": _FLAG, "level": _NUMBER, "unit_labels": _TEXT, "formula": _TEXT, "likelihood": _TEXT, "group": _TEXT,
    "centre": _FLAG, "zi": _TEXT, "report": _TABLE, "weights": _TEXT, "neighbours": _TEXT, "missing": _TABLE,
    "selection": _TEXT,
    "integral": _TABLE,
}  # fmt: skip
# How much of the Stan programs a report prints (report.appendix); the second where nothing is said.
APPENDICES = ("full", "short", "none")
_REQUIRED, _REQUIRED_WITH_FORMULA = ("family", "data", "columns"), ("data",)
_WITH_FORMULA = ("group", "centre", "zi")
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "sampling": (*(f.name for f in fields(Sampling)), "engine"),
    "comparison": ("variants", "max_refits", "minutes"), "checks": ("waive",),
    "report": ("caterpillars", "appendix"),
}  # fmt: skip


@contextlib.contextmanager
def within(where: str) -> Iterator[None]:
    """Put the place in analysis.toml before the message of an error."""
    try:
        yield
    except HbmError as error:
        raise type(error)(f"{where}: {error}") from error


def check_keys(file: Path, entries: Mapping[str, Any]) -> None:
    """Raise ModelError for a key that there is not, a value of the wrong kind, or a key that is missing."""
    kinds: dict[str, type | tuple[type, ...]] = {
        _TEXT: str, _TEXTS: list, _TABLE: dict, _FLAG: bool, _NUMBER: (int, float),
    }  # fmt: skip
    for key, value in entries.items():
        if key not in _KEYS:
            raise ModelError(f"{file}: unknown key {shorten(key)!r}. {_home(key) or nearest(key, _KEYS)}")
        if not isinstance(value, kinds[_KEYS[key]]):
            raise ModelError(f"{file}: {key} must be {_KEYS[key]}, found {shorten(repr(value))}.")
    for key in _REQUIRED_WITH_FORMULA if "formula" in entries else _REQUIRED:
        if key not in entries:
            raise ModelError(f"{file}: the key {key!r} is missing. A commented example is written by `hbm new`.")
    for key in () if "formula" in entries else _WITH_FORMULA:
        if key in entries:
            raise ModelError(f"{file}: {key} goes with a formula, and there is none.")
    if "formula" in entries and "family" in entries:
        raise ModelError(f"{file}: with a formula leave family out; likelihood names the distribution of the outcome.")


def _home(key: str) -> str:
    """Where a key belongs that stands in a wrong place."""
    if key in _KEYS:
        return "It belongs above the first [section]."
    return next((f"It belongs in [{name}]." for name, keys in SECTIONS.items() if key in keys), "")


def section_of(file: Path, entries: Mapping[str, Any], name: str, allowed: Sequence[str]) -> Mapping[str, Any]:
    """A section, empty if it is not there; raises ModelError for a key that it does not have."""
    section = entries.get(name, {})
    for key in section:
        if key not in allowed:
            raise ModelError(f"{file}: unknown key {key!r} in [{name}]. {_home(key) or nearest(key, allowed)}")
    return dict(section)


def texts(file: Path, name: str, section: Mapping[str, Any], allowed: Sequence[str]) -> dict[str, str]:
    """A section whose values are texts; raises ModelError for another key or kind."""
    section_of(file, {name: section}, name, allowed)
    for key, value in section.items():
        if not isinstance(value, str):
            raise ModelError(f"{file}: [{name}] {key} must be a text, found {value!r}.")
    return dict(section)


def list_of_texts(file: Path, name: str, value: Any) -> list[str]:
    """A list of texts; raises ModelError for anything else."""
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise ModelError(f"{file}: {name} must be a list of texts, found {shorten(repr(value))}.")
    return value


def number_of(file: Path, name: str, value: Any, least: float = -LARGEST) -> float:
    """A finite number, ``least`` or more; raises ModelError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= LARGEST:
        kind = "a finite number above zero" if least > 0 else "a finite number"
        raise ModelError(f"{file}: {name} must be {kind}, found {shorten(repr(value))}.")
    return float(value)
