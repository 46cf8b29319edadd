"""The value of a section of results.json: a frozen dataclass, whose fields are the keys of the section."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A section of results.json."""

    def as_dict(self) -> dict[str, Any]:
        """The section by its keys, in their order."""
        return {field.name: getattr(self, field.name) for field in fields(self)}
