"""The value of a section of results.json: a frozen dataclass, whose fields are the keys of the section.

A number that could not be computed is nan in a class and null in the file.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Union, cast, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    import pandas as pd

# The metadata of a field whose key is left out where its value is None.
OPTIONAL = {"optional": True}
# In the metadata of a field: its key, where that is not its name.
KEY = "key"
# Values that are the same in a record and in the file.
_PLAIN = {str, float, int, bool}


@dataclass(frozen=True)
class Entry:
    """A section of results.json, or a record in one."""

    def as_dict(self) -> dict[str, Any]:
        """The section by its keys, in their order, records in it by theirs; without optional ones that it lacks."""
        return cast(dict[str, Any], _by_key(self))


def rows_of[T](kind: type[T], table: pd.DataFrame) -> list[T]:
    """A record for each row of a table; raises TypeError where its columns are not the fields of the record."""
    return [kind(**row) for row in table.to_dict("records")]


def read[T](kind: type[T], values: Mapping[str, Any]) -> T:
    """The record that these values of results.json are; raises TypeError where the keys are not its fields."""
    known = _fields(cast(type, kind))
    if unknown := values.keys() - known.keys():
        raise TypeError(f"{kind.__name__} has no {', '.join(sorted(unknown))}.")
    named = [(*known[key], value) for key, value in values.items()]
    return kind(**{name: value if type(value) in _PLAIN else _value(hint, value) for name, hint, value in named})


def _by_key(value: Any) -> Any:
    """Records by their keys, at any depth."""
    if type(value) in _PLAIN:
        return value
    if is_dataclass(value):
        entries = [(key, getattr(value, name), left_out) for key, name, left_out in _layout(cast(type, type(value)))]
        return {key: _by_key(v) for key, v, left_out in entries if v is not None or not left_out}
    if isinstance(value, Mapping):
        return {key: _by_key(v) for key, v in value.items()}
    return [_by_key(v) for v in value] if isinstance(value, list | tuple) else value


@cache
def _layout(kind: type) -> list[tuple[str, str, bool]]:
    """The key and the name of each field, and whether its key is left out where it is None."""
    return [(f.metadata.get(KEY, f.name), f.name, "optional" in f.metadata) for f in fields(kind)]


@cache
def _fields(kind: type) -> dict[str, tuple[str, Any]]:
    """The name and the type of each field by its key; of an optional number the number, for null is nan then."""
    hints, known = get_type_hints(kind), {}
    for key, name, left_out in _layout(kind):
        number = left_out and float in get_args(hints[name])
        known[key] = (name, float if number else hints[name])
    return known


def _value(hint: Any, value: Any) -> Any:
    """A value of results.json as its field has it."""
    if get_origin(hint) in {Union, types.UnionType}:
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        return None if value is None else _value(_of_union(choices, value), value)
    if value is None:
        return math.nan if hint is float else None
    if is_dataclass(hint):
        return read(cast(type, hint), value)
    if get_origin(hint) is dict:
        return {key: _value(get_args(hint)[1], v) for key, v in value.items()}
    if get_origin(hint) in {list, tuple}:
        items = [_value(get_args(hint)[0], v) for v in value]
        return items if get_origin(hint) is list else tuple(items)
    return value


def _of_union(choices: list[Any], value: Any) -> Any:
    """The one of several types that a value is of: of records the one that has all its keys."""
    records = [c for c in choices if is_dataclass(c)]
    if not records or not isinstance(value, Mapping):
        return next((c for c in choices if not is_dataclass(c)), Any)
    return next((c for c in records if value.keys() <= _fields(cast(type, c)).keys()), records[0])
