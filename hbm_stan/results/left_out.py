"""Rows beside what all others predict of them, as ``hbm_stan.loo_pit`` and ``hbm_stan.reliability`` give it."""

from __future__ import annotations

from dataclasses import dataclass

from hbm_stan.results.entry import Entry


@dataclass(frozen=True, kw_only=True)
class PitPoint(Entry):
    """A point of the ECDF of the transforms less ``x``, from 0 to 1, and its band."""

    x: float
    low: float
    high: float
    band_low: float
    band_high: float


@dataclass(frozen=True, kw_only=True)
class Transforms(Entry):
    """The section ``loo_pit``: ``n_rows`` of the ``of`` rows were looked at, ``unreliable`` ones may lie anywhere.

    ``scores`` are Neyman's components of location, spread, skewness and tails, about standard normal; ``departure`` is
    empty where rows lie as they should.
    """

    variant: str
    n_rows: int
    of: int
    discrete: bool
    unreliable: list[str]
    blind: bool
    band: float
    curve: list[PitPoint]
    scores: list[float]
    p_value: float
    departure: str
    sentences: list[str]


@dataclass(frozen=True, kw_only=True)
class CalibrationPoint(Entry):
    """The share that happened where ``p`` was predicted, and the band: probabilities all."""

    p: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class CalibrationBin(Entry):
    """How many rows were predicted a share from ``low`` to ``high``."""

    low: float
    high: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class Calibration(Entry):
    """The section ``calibration``: ``brier`` is miscalibration, less discrimination, plus uncertainty."""

    variant: str
    n_rows: int
    of: int
    left_out: int
    blind: bool
    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    p_value: float
    band: float
    curve: list[CalibrationPoint]
    bins: list[CalibrationBin]
    departure: str
    sentences: list[str]
