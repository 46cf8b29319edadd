"""Conditional effects: what is predicted over each column, the others where they usually stand, and the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.fit import Fit
from hbm_stan.likelihoods.likelihood import RATE
from hbm_stan.new_rows.asked import of_grid
from hbm_stan.new_rows.needs import Needs
from hbm_stan.new_rows.predict import categories_of, needs_of, slices, summarise
from hbm_stan.new_rows.read import read_rows
from hbm_stan.new_rows.settings import AVERAGED
from hbm_stan.new_rows.whole import mean_of_rows
from hbm_stan.results.entry import Entry
from hbm_stan.results.scales import outcome_words
from hbm_stan.results.summary import Quartiles
from hbm_stan.results.units import observed_unit, of_rates, rate_unit
from hbm_stan.table import FloatArray

# Columns that a figure has room for, values of a column, and points of the data beside them (ours).
MOST_COLUMNS, _VALUES, _POINTS = 4, 25, 400
# What successes and counts are out of, or beside: a share or a rate is by these.
_OUT_OF = ("trials", "exposure", "expected", "tested")
_KEYS = ("q05", "q25", "q50", "q75", "q95")


@dataclass(frozen=True, kw_only=True)
class _At(Entry):
    x: str | float


@dataclass(frozen=True, kw_only=True)
class EffectRow(Quartiles, _At):
    """Where the column is ``x`` (a level, or a number in the column's unit), the expected outcome in its unit.

    ``new_q05`` and ``new_q95`` are of a new observation; rows of trials or exposure are shares and rates.
    """

    new_q05: float
    new_q95: float


@dataclass(frozen=True, kw_only=True)
class Effect(Entry):
    """An entry of ``conditional_effects``: what is predicted over a column; ``levels`` is empty for numbers."""

    column: str
    levels: list[str]
    rows: list[EffectRow]


def conditional_effects(fit: Fit, prediction: Mapping[str, Any]) -> list[Effect]:
    """Of each column its values, and there the expected value and a new observation on the outcome's scale.

    Factors are averaged over their populations. None where there are no columns, or no population, or rows are of
    several kinds, which have no axis in common.
    """
    if fit.pooling == "no" or fit.family.groups.parts is not None or not (fit.family.terms or mean_of_rows(fit.family)):
        return []
    needs = needs_of(fit.family, fit.table, _of_columns(prediction))
    columns = [c for c in (*needs.levels, *needs.numbers) if c not in needs.factor_columns]
    return [_effect(fit, needs, column) for column in columns[:MOST_COLUMNS]]


def _of_columns(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """The options of [prediction] that say where columns stand."""
    return {name: value for name, value in prediction.items() if isinstance(value, Mapping)}


def _effect(fit: Fit, needs: Needs, column: str) -> Effect:
    levels = needs.levels.get(column)
    values = list(levels) if levels else [f"{v:.9g}" for v in _grid(fit, needs, column)]
    asked = of_grid(needs, {column: " ".join(f'"{v}"' for v in values) if levels else " ".join(values)}, rest=AVERAGED)
    rows = read_rows(needs, asked)
    size = np.prod([rows.sizes[name] for name in _OUT_OF if name in rows.sizes] or [np.ones(rows.n)], axis=0)
    parts = [(_mean(fit, some.expected), some.new) for some in slices(fit, rows)]
    expected, new = (np.concatenate(part, axis=1) / size for part in zip(*parts, strict=True))
    summary = summarise("expected", expected) | summarise("new", new)
    places: list[str | float] = [v if levels else float(v) for v in values]
    effect_rows = [
        EffectRow(
            x=x, **{k: summary[f"expected_{k}"][i] for k in _KEYS},
            new_q05=summary["new_q05"][i], new_q95=summary["new_q95"][i],
        )
        for i, x in enumerate(places)
    ]  # fmt: skip
    return Effect(column=column, levels=list(levels or ()), rows=effect_rows)


def _mean(fit: Fit, expected: FloatArray) -> FloatArray:
    """The expected value, (S, N); of ordered categories the mean of their numbers."""
    return expected @ np.arange(1, expected.shape[2] + 1) if categories_of(fit) else expected


def _grid(fit: Fit, needs: Needs, column: str) -> FloatArray:
    """The values of a column where it has few, else a grid over its range."""
    own = np.unique(fit.table.dataset.table.numbers(column))
    return own if len(own) <= _VALUES else np.linspace(*needs.ranges[column], _VALUES)


def observed_rows(fit: Fit, column: str, levels: Iterable[str]) -> pd.DataFrame:
    """The data beside an effect: x (a level's place from 0) and y, the outcome of a row by its trials or exposure."""
    table, named = fit.table.dataset.table, {level: float(k) for k, level in enumerate(levels)}
    x = np.array([named[v] for v in table.labels(column)]) if named else table.numbers(column)
    x = x if fit.table.rows is None else x[fit.table.rows]
    size = np.asarray(fit.data[fit.family.size], dtype=float) if fit.family.size else np.ones(len(fit.y))
    chosen = np.unique(np.linspace(0, len(x) - 1, min(len(x), _POINTS)).round().astype(int))
    return pd.DataFrame({"x": np.asarray(x)[chosen], "y": (np.asarray(fit.y, dtype=float) / size)[chosen]})


def axis_words(fit: Fit) -> tuple[str, str]:
    """What the vertical axis of the figure shows, and its unit."""
    outcome = outcome_words(fit)
    if not of_rates(fit):
        return outcome, observed_unit(fit)
    if fit.family.words.scale is not None:  # rate ratios where cases were expected
        return fit.family.words.scale(fit.data)[0], ""
    return (f"share of {outcome}", "") if fit.family.discrete else (RATE.of_outcome(outcome), rate_unit(fit))
