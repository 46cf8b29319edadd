"""The words of a family: what a report says of it, and the sections that only it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.model.programs import Draws, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Evidence:
    """What a family's ``findings`` are made from: the posterior draws of one variant, chains joined."""

    variant: str
    draws: Draws
    data: StanData
    table: Prepared
    options: Mapping[str, Any]
    rng: np.random.Generator


@dataclass(frozen=True)
class Estimand:
    """What a conclusion is about, where it rests on what no row can tell, draws (S,) each.

    ``parts`` are what it is the difference of, ``gap`` is how far outcomes that nobody saw lie from those that were.
    """

    name: str
    values: FloatArray
    parts: Mapping[str, FloatArray]
    gap: FloatArray


@dataclass(frozen=True)
class Finding:
    """A section of the report that only this family has: sentences, and a table or curves if there are any.

    Small multiples: ``curves`` has columns panel, x, q10, q25, q50, q75, q90, ``points`` panel, x, y, kind.
    """

    title: str
    sentences: tuple[str, ...]
    table: pd.DataFrame | None = None  # shown as it stands
    caption: str = ""
    digits: Mapping[str, int] = field(default_factory=dict)  # column of the table -> decimals of its numbers
    curves: pd.DataFrame | None = None
    points: pd.DataFrame | None = None  # of a kind such as observed, truth
    x_label: str = ""
    y_label: str = ""
    areas: pd.DataFrame | None = (
        None  # of a map: east, north, raw, smoothed, excess (a probability), size; area, where there are outlines
    )
    borders: pd.DataFrame | None = None  # of a map, between neighbours: east, north, to_east, to_north
    outlines: Mapping[str, Sequence[FloatArray]] | None = None  # of a map: rings by area, (points, 2) each, as drawn
    sweep: pd.DataFrame | None = None  # of a conclusion by what is assumed: delta, q05, q50, q95, threshold, main, tips
    intervals: pd.DataFrame | None = None  # of labels by source, the first in front: label, source, low, middle, high
    first: str = ""  # what page one says, where the first text of ``sentences`` is more than one sentence
    opens: bool = False  # whether page one begins with it: it answers the question before what moves groups


@dataclass(frozen=True, kw_only=True)
class Words:
    """What the report says: titles, mathematics, what theta is and in which unit; findings(evidence) are its sections.

    ``group_meaning`` and ``quantity_unit`` are of theta. What is observed of a group (a share, a rate, a mean of rows)
    has the unit of the outcome or none, which follows from the family's ``discrete`` and ``size``. ``scale(data)`` says
    on which scale a reader thinks of theta: its name, the function that takes theta there, and what a difference of
    theta is a factor of. ``replicated`` says where groups of replicated data come from, if not from the population.
    ``estimand(evidence, delta)`` is what the conclusion is about where it rests on a delta that is assumed; ``delta``
    (S,) takes its place where draws do not depend on it.
    """

    title: str
    citation: str
    likelihood: tuple[str, ...]  # Typst mathematics
    group_meaning: str = "value"  # what theta is of a group, in words: value, rate, log odds, coefficient
    quantity_unit: str = ""  # of theta, where it has one of its own: log odds
    same_unit: bool = True  # whether theta has the unit of the outcome; a log or a logit of it has none
    apart: bool = False  # whether theta is nothing "of" the outcome, as the temperature of what sends out a flux
    signed: bool = True  # whether theta may lie on both sides of zero, so that P(> 0) says something
    scale: Callable[[StanData], tuple[str, Callable[[FloatArray], FloatArray], str]] | None = None
    replicated: str = ""
    estimand: Callable[[Evidence, FloatArray | None], Estimand] | None = None
    derived: Mapping[str, str] = field(default_factory=dict)  # meanings of what programs derive beside mu and tau
    findings: Callable[[Evidence], Sequence[Finding]] | None = None
