"""Records of results.json for tests of what reads them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def filled[T](kind: type[T], **values: Any) -> T:
    """A record with these values; elsewhere numbers are 0, texts and lists empty, flags false."""
    empty: dict[str, Any] = {"str": "", "float": 0.0, "int": 0, "bool": False}
    named = {f.name: str(f.type) for f in fields(kind)}  # type: ignore[arg-type]
    given = {name: empty.get(hint, [] if hint.startswith("list") else None) for name, hint in named.items()}
    return kind(**{**given, **values})
