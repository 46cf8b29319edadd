"""What is concluded at each delta, and the delta at which that changes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hbm_stan.model import Estimand

# On a side of the threshold with at least this probability, which a 90 % interval on that side says too (ours).
SURE = 0.95
Side = Literal["above", "below", "open", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is concluded at a delta: quantiles, the probability of lying above the threshold, and the side.

    ``gap`` is how far unseen outcomes lie from seen ones there, ``parts`` medians of what the difference is of. Where
    the fit failed its checks the side is unknown and the numbers are nan.
    """

    delta: float
    gap: float
    q05: float
    q50: float
    q95: float
    p_above: float
    n_draws: int
    side: Side
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tips:
    """The delta below 0 and above it at which the conclusion at 0 is first no longer drawn; nan where it always is.

    ``gap_below`` and ``gap_above`` are how far unseen outcomes lie from seen ones there; ``stopped`` says that a fit
    that failed stands in the way on one side, so that nothing is known beyond.
    """

    below: float
    above: float
    gap_below: float
    gap_above: float
    stopped: bool = False


def row_of(delta: float, estimand: Estimand | None, threshold: float) -> Row:
    """The row of a delta; unknown where there is nothing to be concluded from."""
    if estimand is None:
        return Row(
            delta=delta, gap=math.nan, q05=math.nan, q50=math.nan, q95=math.nan, p_above=math.nan, n_draws=0,
            side="unknown",
        )  # fmt: skip
    q05, q50, q95 = (float(q) for q in np.quantile(estimand.values, (0.05, 0.5, 0.95)))
    parts = {name: float(np.median(values)) for name, values in estimand.parts.items()}
    return Row(
        delta=delta, gap=float(np.median(estimand.gap)), q05=q05, q50=q50, q95=q95,
        p_above=float(np.mean(estimand.values > threshold)), n_draws=len(estimand.values),
        side=side_of(q05, q95, threshold), parts=parts,
    )  # fmt: skip


def side_of(q05: float, q95: float, threshold: float) -> Side:
    """The side of the threshold on which the interval lies."""
    return "above" if q05 > threshold else "below" if q95 < threshold else "open"


def tips_of(rows: Sequence[Row], threshold: float) -> Tips:
    """Where the side at delta = 0 is left, on the way down and on the way up, interpolated between deltas tried."""
    ordered = sorted(rows, key=lambda row: row.delta)
    at = next(i for i, row in enumerate(ordered) if row.delta == 0)
    down = _first_change(ordered[at::-1], threshold)
    up = _first_change(ordered[at:], threshold)
    return Tips(below=down[0], above=up[0], gap_below=down[1], gap_above=up[1], stopped=down[2] or up[2])


def _first_change(rows: Sequence[Row], threshold: float) -> tuple[float, float, bool]:
    """Delta and gap at the first change of the side of the first row, nan if there is none; whether a fit failed."""
    base = rows[0].side
    for one, other in itertools.pairwise(rows):
        if base == "unknown" or other.side == "unknown":
            return math.nan, math.nan, True
        if other.side != base:
            share = _crossing(base, one, other, threshold)
            return (
                one.delta + share * (other.delta - one.delta),
                one.gap + share * (other.gap - one.gap),
                False,
            )
    return math.nan, math.nan, base == "unknown"


def _crossing(base: Side, one: Row, other: Row, threshold: float) -> float:
    """Which share of the way from one row to the next the end of the interval that decides takes to the threshold."""
    end = base if base != "open" else other.side
    a, b = (row.q05 - threshold if end == "above" else row.q95 - threshold for row in (one, other))
    return float(a / (a - b)) if a != b else 0.5
