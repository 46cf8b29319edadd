"""Which fonts draw a figure's text: matplotlib's own first, so that figures are alike on every machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import groupby
from typing import Any

BASE_FAMILIES = ("DejaVu Sans",)
_SKIPPED = frozenset({"Last Resort", "LastResort", "Last Resort High-Efficiency"})  # fonts of boxes


@lru_cache(maxsize=256)
def _font(path: str) -> Any:
    """The font in a file, or None where it cannot be opened or has no outlines (bitmap emoji)."""
    from matplotlib.font_manager import get_font

    try:
        font = get_font(path)
    except (OSError, RuntimeError, ValueError):
        return None
    return font if font.scalable else None


@lru_cache(maxsize=4096)
def family_of(character: str) -> str | None:
    """The family that draws a character: one of ours, else the first installed one, else None."""
    from matplotlib.font_manager import findfont, fontManager

    for family in BASE_FAMILIES:
        if _font(findfont(family)).get_char_index(ord(character)):
            return family
    installed = sorted({(entry.name, entry.fname) for entry in fontManager.ttflist if entry.style == "normal"})
    for name, path in installed:
        font = None if name in _SKIPPED or name.startswith(".") else _font(path)
        if font is not None and font.get_char_index(ord(character)):
            return str(name)
    return None


def families_for(texts: Iterable[str]) -> list[str]:
    """Our families, then those that the other characters of the texts need."""
    wanted = dict.fromkeys(BASE_FAMILIES)
    for character in sorted({c for text in texts for c in text}):
        family = family_of(character)
        if family is not None:
            wanted[family] = None
    return list(wanted)


def by_code_point(text: str, known: Callable[[str], bool]) -> str:
    """The text with each run of unknown characters written as code points: ``[U+5317 U+4EAC]``."""
    parts = []
    for drawn, run in groupby(text, known):
        characters = list(run)
        parts.append("".join(characters) if drawn else "[" + " ".join(f"U+{ord(c):04X}" for c in characters) + "]")
    return "".join(parts)


def drawable(text: str) -> str:
    """The text on one line, with code points in the place of characters that no font here draws."""
    return by_code_point(" ".join(text.split()), lambda c: family_of(c) is not None)
