"""What leaving rows out adds to the section on the fit: LOO-PIT, and calibration of 0 and 1 and of successes.

Where there is one of both, it is a panel of the figure of replicated data; both have a figure of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from hbm_stan.report.blocks import Block, Span, figure, ref, sentence
from hbm_stan.report.section import Drawings

NAME = "left_out"
_READ_PIT = (
    "rows below each probability in what all others predict of them, less what is expected, in the 95 % band of right "
    "models (above, then below zero: predictions too narrow; the reverse: too wide; all above: too high; all below: "
    "too low)."
)
_SPREAD = " Whole numbers are spread over their own probability."
_READ_CALIBRATION = (
    "what came true of what all other rows predict, in the range of 90 of 100 tables as predicted (flatter than the "
    "line: too extreme; steeper: too timid); grey: rows with that prediction."
)


def tables_of(results: Mapping[str, Any]) -> tuple[pd.DataFrame | None, pd.DataFrame | None, pd.DataFrame | None]:
    """What is drawn: transforms, calibration and its bins; None for what there is not, or says nothing."""
    transforms, calibration = _telling(results)
    return (
        pd.DataFrame(transforms["curve"]) if transforms else None,
        pd.DataFrame(calibration["curve"]) if calibration else None,
        pd.DataFrame(calibration["bins"]) if calibration else None,
    )


def _telling(results: Mapping[str, Any]) -> list[Mapping[str, Any] | None]:
    entries = (results["loo_pit"], results["calibration"])
    return [None if entry is None or entry["blind"] else entry for entry in entries]


def panel_of(results: Mapping[str, Any]) -> Callable[[Any], None] | None:
    """What paints the panel beside replicated data; None where there is nothing to paint, or a figure for both."""
    from hbm_stan.plots.left_out import paint_calibration, paint_transforms

    transforms, calibration, bins = tables_of(results)
    if (transforms is None) == (calibration is None):
        return None
    if transforms is not None:
        return partial(paint_transforms, curve=transforms)
    return partial(paint_calibration, curve=calibration, bins=bins)


def panel_words(results: Mapping[str, Any]) -> str:
    """What the panel shows, for the caption; empty where there is none."""
    transforms, calibration = _telling(results)
    if (transforms is None) == (calibration is None):
        return ""
    return _of_transforms(transforms) if transforms is not None else _READ_CALIBRATION


def _of_transforms(transforms: Mapping[str, Any]) -> str:
    return _READ_PIT + (_SPREAD if transforms["discrete"] else "")


def sentences(results: Mapping[str, Any], figures: Iterable[str]) -> list[Span]:
    """In words where rows lie in what all others predict of them, and whether shares come true."""
    entries = [entry for entry in (results["loo_pit"], results["calibration"]) if entry is not None]
    if not entries:
        return []
    where: list[Span] = [" (", ref(NAME), ")"] if NAME in figures else []
    told = " ".join(text for entry in entries for text in entry["sentences"])
    return [" Then each row is left out and held against what all others predict of it", *where, ". ", *sentence(told)]


def both(results: Mapping[str, Any], figures: Iterable[str]) -> list[Block]:
    """The figure of both, where there are both."""
    transforms, _ = _telling(results)
    if NAME not in figures or transforms is None:
        return []
    caption = f"Left (LOO-PIT): {_of_transforms(transforms)} Right (calibration): {_READ_CALIBRATION}"
    alt = "The ECDF of leave-one-out transforms and a calibration curve, each in its band."
    return figure(NAME, figures, [caption], alt)


def drawings(results: dict[str, Any]) -> Drawings:
    """The figure of rows that are left out, where there are both transforms and calibration."""
    from hbm_stan import plots

    transforms, calibration, bins = tables_of(results)
    if transforms is None or calibration is None or bins is None:
        return {}
    return {NAME: partial(plots.plot_left_out, transforms, calibration, bins)}
