"""The value of a section of results.json: a frozen dataclass, whose fields are the keys of the section.

A number that could not be computed is nan in a class and null in the file.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Union, cast, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    import pandas as pd

# The metadata of a field whose key is left out where its value is None.
OPTIONAL = {"optional": True}
# In the metadata of a field: its key, where that is not its name.
KEY = "key"


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
    by_name = {known[key][0]: _value(known[key][1], value) for key, value in values.items()}
    return kind(**by_name)


def _by_key(value: Any) -> Any:
    """Records by their keys, at any depth."""
    if is_dataclass(value):
        named = [(f, getattr(value, f.name)) for f in fields(value)]
        return {_key(f): _by_key(v) for f, v in named if v is not None or f.metadata != OPTIONAL}
    if isinstance(value, Mapping):
        return {key: _by_key(v) for key, v in value.items()}
    return [_by_key(v) for v in value] if isinstance(value, list | tuple) else value


def _key(named: Field[Any]) -> str:
    return str(named.metadata.get(KEY, named.name))


@cache
def _fields(kind: type) -> dict[str, tuple[str, Any]]:
    """The name and the type of each field by its key; of an optional number the number, for null is nan then."""
    hints, known = get_type_hints(kind), {}
    for named in fields(kind):
        hint = hints[named.name]
        number = named.metadata == OPTIONAL and float in get_args(hint)
        known[_key(named)] = (named.name, float if number else hint)
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
