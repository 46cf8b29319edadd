"""How a table is to be read where it cannot say so itself: the order of levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from hbm_stan.errors import DataError

# What `load`, `Dataset.from_frame` and analysis.toml take beside the columns; ``reference`` is short for levels.
KEYS = ("levels", "reference")


@dataclass(frozen=True)
class Reading:
    """``levels``: of categories, by column; the first is what the others are compared with, those not named follow."""

    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def make_reading(levels: Mapping[str, Any] | None = None, reference: Mapping[str, str] | None = None) -> Reading:
    """A Reading, its values checked; raises DataError naming the key."""
    named = {**_mapping("levels", levels), **_mapping("reference", reference)}
    return Reading(MappingProxyType({str(column): _order(str(column), order) for column, order in named.items()}))


def _mapping(key: str, value: Any) -> Mapping[Any, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise DataError(f"{key} must name levels by column, such as {{arm = placebo}}, found {value!r}.")
    return value or {}


def _order(column: str, order: Any) -> tuple[str, ...]:
    """The order of a category's levels; a single one is the reference."""
    named = tuple(str(level).strip() for level in order) if isinstance(order, list | tuple) else (str(order).strip(),)
    repeated = [level for level in named if named.count(level) > 1]
    if not named or "" in named or repeated:
        found = f"{repeated[0]!r} twice" if repeated else repr(order)
        raise DataError(f"levels of {column!r}: found {found}. Name each level once, the one to compare with first.")
    return named
