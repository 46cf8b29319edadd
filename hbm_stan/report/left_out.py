"""The part of the section on the fit that leaves rows out: LOO-PIT, and calibration of 0 and 1 and of successes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hbm_stan.report.blocks import Block, Span, figure, prose, ref, sentence
from hbm_stan.report.digits import significant

NAME = "left_out"
_READ_PIT = (
    "the share of rows that lie below each probability in their predictions, less what it should be, in the band of "
    "95 of 100 right models. First above and then below zero, predictions are too narrow; first below and then above, "
    "too wide; above throughout, rows lie lower than predicted; below throughout, higher."
)
_SPREAD = " A row is spread evenly over the probability of its own value, as outcomes take few values."
_READ_CALIBRATION = (
    "the share that happened by the share predicted, in the range of 90 of 100 tables that are as predicted, point by "
    "point. Flatter than the line, predictions are too extreme; steeper, too timid. Grey: how many rows have such a "
    "prediction."
)


def tables_of(results: Mapping[str, Any]) -> tuple[pd.DataFrame | None, pd.DataFrame | None, pd.DataFrame | None]:
    """What the figure draws: transforms, calibration and its bins; None for what there is not, or says nothing."""
    transforms, calibration = (_telling(results[key]) for key in ("loo_pit", "calibration"))
    return (
        pd.DataFrame(transforms["curve"]) if transforms else None,
        pd.DataFrame(calibration["curve"]) if calibration else None,
        pd.DataFrame(calibration["bins"]) if calibration else None,
    )


def _telling(entry: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    return None if entry is None or entry["blind"] else entry


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """In words where rows lie in what all others predict of them, and the figure of that."""
    transforms, calibration = results["loo_pit"], results["calibration"]
    if transforms is None and calibration is None:
        return []
    where: list[Span] = [" (", ref(NAME), ")"] if NAME in figures else []
    spans: list[Span] = []
    if transforms is not None:
        spans += ["Rows should lie in what all other rows predict of them as if drawn from it", *where, ". "]
        spans += _sentences(transforms["sentences"])
    if calibration is not None:
        of = "What all other rows predict should come true as often as predicted"
        spans += [" " * bool(spans), of, *(where if transforms is None else []), ". "]
        spans += _sentences(calibration["sentences"])
        spans += [] if calibration["blind"] else [" ", _scores(calibration)]
    return [prose(*spans), *figure(NAME, figures, [_caption(results)], _alt(results))]


def _sentences(texts: Iterable[str]) -> list[Span]:
    return [*sentence(" ".join(texts))]


def _scores(calibration: Mapping[str, Any]) -> str:
    """The Brier score in its parts, which says how much the probabilities tell."""
    keys = ("brier", "miscalibration", "uncertainty", "discrimination")
    brier, off, uncertainty, tells = (significant(round(calibration[key], 5), 2) for key in keys)
    return (
        f"The mean squared error of the predicted shares is {brier} (Brier score): {uncertainty} of one share for all, "
        f"less {tells} that rows are told apart by, plus {off} by which they are off."
    )


def _caption(results: Mapping[str, Any]) -> str:
    transforms, calibration = (_telling(results[key]) for key in ("loo_pit", "calibration"))
    both = transforms is not None and calibration is not None
    parts = []
    if transforms is not None:
        words = _READ_PIT + (_SPREAD if transforms["discrete"] else "")
        parts.append(f"{'Left' if both else 'Leave-one-out transforms (LOO-PIT)'}: {words}")
    if calibration is not None:
        parts.append(f"{'Right' if both else 'Calibration'}: {_READ_CALIBRATION}")
    return " ".join(parts)


def _alt(results: Mapping[str, Any]) -> str:
    transforms, calibration = (_telling(results[key]) for key in ("loo_pit", "calibration"))
    what = ["the ECDF of leave-one-out transforms in its band"] * (transforms is not None)
    what += ["a calibration curve in its band"] * (calibration is not None)
    return f"{' and '.join(what).capitalize()}."
