"""Where rows are to stand, as it is written: ``days = 0:9, subject = known``. Knows no model."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence

from hbm_stan.cells import number
from hbm_stan.errors import ModelError
from hbm_stan.table import shorten

KNOWN, NEW, POPULATION, AVERAGED = "known", "new", "population", "averaged"
# What the level of a factor is in a row, beside the labels of known ones.
STATES = (KNOWN, NEW, POPULATION, AVERAGED)
ALL = "all"  # every level of a category
# A grid of more rows is a mistake in a step rather (ours).
MOST_ROWS = 100_000
_PIECE = re.compile(r'(?:`[^`]*`|"[^"]*"|[^,"`])+')
_WORD = re.compile(r'"([^"]*)"|(\S+)')
_DIGITS = 12  # of a step's multiples, so that 3 x 0.1 is 0.3


def read_settings(text: str, option: str) -> dict[str, str]:
    """Column -> what is written of it, of ``name = values`` joined by commas; raises ModelError naming the option."""
    if text.count('"') % 2 or text.count("`") % 2:
        raise ModelError(f"{option} {shorten(text)!r}: a quote is opened and not closed.")
    settings: dict[str, str] = {}
    for piece in _PIECE.findall(text):
        name, sign, values = _halves(piece)
        if not (sign and name and values):
            raise ModelError(
                f"{option} {shorten(text)!r}: {shorten(piece)!r} is not column = value. Several columns are joined by "
                "commas; labels that hold a comma stand in double quotes."
            )
        if name in settings:
            raise ModelError(f"{option} {shorten(text)!r}: {name!r} stands there twice.")
        settings[name] = values
    if not settings:
        raise ModelError(f"{option} is empty. Write column = value, such as age = 40.")
    return settings


def _halves(piece: str) -> tuple[str, str, str]:
    """Name, equals sign and values; a name that is no word stands in backticks."""
    match = re.match(r"\s*(?:`([^`]*)`|([^=`]*?))\s*(=)(.*)$", piece, re.DOTALL)
    return ("", "", "") if match is None else (match[1] or match[2] or "", match[3], match[4].strip())


def words_of(values: str) -> list[tuple[str, bool]]:
    """The words, each with whether it stood in quotes: then it is a label, whatever it says."""
    return [(quoted or plain, not plain) for quoted, plain in _WORD.findall(values)]


def numbers_in(column: str, values: str, option: str) -> list[float]:
    """The numbers of ``1 2 5``, ``0:9`` or ``0:9:0.5``."""
    numbers: list[float] = []
    for word, _ in words_of(values):
        ends = [number(part) for part in word.split(":")]
        if not all(map(math.isfinite, ends)) or len(ends) > 3:
            raise ModelError(
                f"{option}, {column!r}: {shorten(word)!r} is no number and no range. Write numbers with blanks between "
                "them (1 2 5), or from:to or from:to:step (0:9:0.5)."
            )
        numbers += ends if len(ends) == 1 else _range(column, word, ends, option)
    return [int(value) if value == int(value) else value for value in numbers]


def new_label(taken: Collection[str]) -> str:
    """A label of a level never seen that none of these is."""
    label = NEW
    while label in taken:
        label += " (not seen)"
    return label


def _range(column: str, word: str, ends: Sequence[float], option: str) -> list[float]:
    start, stop, step = (*ends, 1.0)[:3]
    if step <= 0 or stop < start:
        raise ModelError(
            f"{option}, {column!r}: {word!r} must run upwards, from:to:step with from at most to and a step above 0."
        )
    steps = (stop - start) / step
    if steps >= MOST_ROWS:
        raise ModelError(
            f"{option}, {column!r}: {word!r} has {steps:,.0f} values; a grid has {MOST_ROWS:,} rows at most."
        )
    return [float(f"{start + i * step:.{_DIGITS}g}") for i in range(int(steps + 1e-9) + 1)]
