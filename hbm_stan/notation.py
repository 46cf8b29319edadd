"""Mathematics in Typst's notation, as families write it: mathematics only, never code that Typst would run."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from hbm_stan.errors import ModelError
from hbm_stan.table import shorten

# Typst's own depth is 256, less what stands around the line; ours.
_DEEPEST = 50
# In mathematics # begins code and $ ends the mathematics; behind // and /* nothing is read, quotes and marks included.
_MARKS = ("#", "$", "`", "//", "/*", "*/")
# An escape, a text in quotes, or the one name through which mathematics reaches functions that read files.
_PARTS = re.compile(r'\\.|"(?:\\.|[^"\\])*"|std', re.DOTALL)


def refuse_code(lines: Iterable[str], where: str) -> None:
    """Raise ModelError, beginning with ``where`` (file and key), for a line that is more than mathematics."""
    for line in lines:
        if fault := _fault(line):
            raise ModelError(
                f"{where}: {shorten(line)!r}: {fault} It must be mathematics alone, in Typst's notation: "
                'y_i tilde.op "Normal"(mu, sigma^2).'
            )


def _fault(line: str) -> str:
    """Why a line is not mathematics alone, or nothing."""
    for mark in _MARKS:
        if mark in line:
            return f"{mark} is not allowed here."
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs"} and c not in "\n\t" for c in line):
        return "it holds a character that cannot be seen."
    if any(part == "std" for part in _PARTS.findall(line)):
        return "the name std is not allowed here; a word stands in quotes."
    depth = deepest = 0
    for character in line:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    return f"brackets stand more than {_DEEPEST} deep." if deepest > _DEEPEST else ""
