"""How the population without a group was worked out, and whether anything may be concluded from it."""

from __future__ import annotations

from enum import StrEnum


class Way(StrEnum):
    """How the population without a group was found, or why it was not."""

    WEIGHTS = "weights"
    REFIT = "refit"
    UNRELIABLE = "unreliable"
    UNKNOWN = "unknown"

    @property
    def words(self) -> str:
        """The way as readers know it."""
        return {
            Way.WEIGHTS: "weights", Way.REFIT: "refit", Way.UNRELIABLE: "weights, not reliable",
            Way.UNKNOWN: "no refit that can be used",
        }[self]  # fmt: skip


# The ways that anything may be concluded from.
RELIABLE = frozenset({Way.WEIGHTS, Way.REFIT})
