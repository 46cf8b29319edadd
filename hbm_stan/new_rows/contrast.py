"""Contrasts: how far the expected values of two settings lie apart, all else being equal."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hbm_stan.budget import Budget
from hbm_stan.errors import ModelError, nearest
from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Family
from hbm_stan.new_rows.asked import of_grid, settings_of
from hbm_stan.new_rows.condition import Conditioned, condition_on
from hbm_stan.new_rows.expected import expected
from hbm_stan.new_rows.needs import Needs
from hbm_stan.new_rows.new_groups import read_condition
from hbm_stan.new_rows.predict import (
    averages_differ,
    categories_of,
    needs_given,
    predictors,
    read_draws,
    refuse_without_population,
    scale_notes,
    slices,
    summarise,
)  # fmt: skip
from hbm_stan.new_rows.read import Rows, read_rows
from hbm_stan.new_rows.refit import Means
from hbm_stan.new_rows.settings import AVERAGED, POPULATION
from hbm_stan.new_rows.whole import link_of
from hbm_stan.notebook import card
from hbm_stan.store import FitStore
from hbm_stan.table import FloatArray, shorten

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
else:
    from hbm_stan.later import pd, xr

Scale = Literal["difference", "ratio", "link"]
# What no difference is on each scale.
SCALES: Mapping[str, float] = {"difference": 0.0, "ratio": 1.0, "link": 0.0}
_SAME = 1e-9  # averaged over the population or in its middle: closer is the same number


@dataclass(frozen=True)
class Pair:
    """The rows of both settings; lines may differ in ``shared`` columns, all stand alike in the ``usual`` ones."""

    first: Rows
    second: Rows
    shared: Mapping[str, Sequence[Any]]
    usual: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, repr=False)
class Contrast:
    """A line for each contrast in ``table``: where both settings stand, mean, sd and quantiles, the probability of the
    direction and, where a region was named, of lying in it. ``draws`` has ``contrast`` (chain, draw, line);
    ``conditioned`` are the new groups whose rows it was conditioned on."""

    title: str
    scale: str
    table: pd.DataFrame
    draws: xr.Dataset
    notes: tuple[str, ...]
    conditioned: Conditioned | None = None

    def __repr__(self) -> str:
        return f"<Contrast {self.title} ({self.scale}): {len(self.table):,} lines; .table, .draws, .notes>"

    def _repr_html_(self) -> str:
        return card(f"{self.title} ({self.scale})", self.notes, self.table)


def contrast(
    fit: Fit,
    settings: str | tuple[Mapping[str, Any], Mapping[str, Any]],
    *,
    at: str | Mapping[str, Any] | None = None,
    scale: Scale = "difference",
    region: tuple[float, float] | None = None,
    prediction: Mapping[str, Any] | None = None,
    condition: Any = None,
    budget: Budget | None = None,
    store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
) -> Contrast:
    """The difference of the expected values of two settings, ``"arm = drug - arm = placebo"``, or their ratio.

    ``at`` says where else both stand, several values for several lines; other columns stand at the usual row. Factors
    of which nothing is said have no deviation and, where the link is not linear, are averaged over too: a line each.
    ``scale`` is "difference", "ratio" or "link" (a difference of linear predictors), ``region`` a pair of limits.
    ``condition`` are rows of new groups with their outcomes, which the contrast is given too: these groups are known
    then; ``budget``, ``store`` and ``say`` are those of ``hbm.condition``.
    """
    if not isinstance(fit, Fit):
        raise ModelError(f"contrast takes one Fit, got {type(fit).__name__}: name one, as in fits['partial_pooling'].")
    refuse_region(region)
    new = None if condition is None else read_condition(fit.family, fit.variant, fit.table, condition)
    needs = needs_given(fit.family, fit.table, new, prediction)
    pairs = read_pairs(needs, settings, at, averaged=has_average(fit.family, scale))
    if new is None:
        return contrast_pairs(fit, pairs, title_of(settings), scale, region)
    given = condition_on(fit, new, Means.of(budget, store, say))
    return replace(contrast_pairs(given.fit, pairs, title_of(settings), scale, region), conditioned=given)


def has_average(family: Family, scale: str) -> bool:
    """Whether an average over levels is another number than the level in the middle."""
    if scale not in SCALES:
        raise ModelError(f"There is no scale {scale!r}. {nearest(scale, SCALES)}")
    if scale == "link" and family.groups.parts is not None:
        raise ModelError(
            f"{family.name}: rows are of several kinds, with a link each, so that scale link has no one meaning. Take "
            "a ratio or a difference of expected values."
        )
    return scale != "link" and averages_differ(family)


def title_of(settings: str | tuple[Mapping[str, Any], Mapping[str, Any]]) -> str:
    """The contrast in words."""
    if isinstance(settings, str):
        return settings.strip()
    return " - ".join(", ".join(f"{k} = {v}" for k, v in side.items()) for side in settings)


def split_contrast(text: str, columns: Collection[str]) -> tuple[str, str]:
    """Both settings of ``arm = drug - arm = placebo``; the minus has blanks around it, and a column follows it."""
    named = [re.escape(name) for name in sorted(columns, key=len, reverse=True)]
    minuses = [m.span() for m in re.finditer(rf"\s-\s+(?=`?(?:{'|'.join(named)})`?\s*=)", text)] if named else []
    if len(minuses) != 1:
        raise ModelError(
            f"{shorten(text)!r} is not one setting less another. Write column = value - column = value, with blanks "
            f"around the minus. The columns: {', '.join(columns)}."
        )
    ((start, stop),) = minuses
    return text[:start], text[stop:]


def read_pairs(
    needs: Needs, settings: str | tuple[Mapping[str, Any], Mapping[str, Any]], at: str | Mapping[str, Any] | None,
    *, averaged: bool,
) -> list[Pair]:  # fmt: skip
    """The rows of both settings, for the middle of the population and, where asked, averaged over it.

    Raises DataError or ModelError where they cannot be compared.
    """
    columns = dict.fromkeys((*needs.columns, *needs.groupings))
    both = split_contrast(settings, columns) if isinstance(settings, str) else settings
    first, second = (settings_of(side, "the contrast") for side in both)
    shared = settings_of(at, "--at")
    for name in (*first, *second):
        if name not in columns:
            raise ModelError(
                f"The contrast names {name!r}, and there is no such column. {nearest(name, list(columns))}"
            )
    if set(first) != set(second):
        name = min(set(first) ^ set(second))
        raise ModelError(f"The contrast names {name!r} on one side only. Name it on both, or for both with --at.")
    for name in first:
        if name in shared:
            raise ModelError(f"{name!r} stands in the contrast and in --at. Leave one out.")
    for side in (first, second):
        if (n := of_grid(needs, side, "the contrast").n) != 1:
            raise ModelError(f"The contrast names {n:,} settings on one side. Name one value of each column.")
    pairs = [_pair(needs, first, second, shared, POPULATION)]
    if averaged and pairs[0].first.unsaid:
        pairs.append(_pair(needs, first, second, shared, AVERAGED))
    return pairs


def _pair(
    needs: Needs, first: Mapping[str, str], second: Mapping[str, str], shared: Mapping[str, str], rest: str
) -> Pair:  # fmt: skip
    asked = [of_grid(needs, {**shared, **side}, "the contrast", rest) for side in (first, second)]
    one, two = (read_rows(needs, side) for side in asked)
    free = [name for name in needs.factor_columns if name not in first]
    table, listed = asked[0].table, dict.fromkeys((*shared, *free))
    usual = {name: table.column(name)[0] for name in table.names if name not in {*listed, *first}}
    return Pair(one, two, {name: table.column(name) for name in listed if name in table.names}, usual)


def refuse_region(region: tuple[float, float] | None) -> None:
    """Raise ModelError for a region that has no inside."""
    if region is not None and not region[0] < region[1]:
        raise ModelError(
            f"The region runs from {region[0]:g} to {region[1]:g}: the lower limit must be below the upper."
        )


def contrast_pairs(
    fit: Fit, pairs: Sequence[Pair], title: str, scale: str, region: tuple[float, float] | None
) -> Contrast:  # fmt: skip
    """The contrast of these rows, a line for each of them and, of ordered categories, for each category."""
    refuse_region(region)
    parts = []
    for pair in pairs:
        refuse_without_population(fit, pair.first)
        parts.append(_compared(fit, pair, scale))
    # A ratio of means of a log link, where no slope varies: one line says both.
    same = len(parts) > 1 and np.allclose(parts[1], parts[0], rtol=_SAME, atol=0)
    if same:
        pairs, parts = pairs[:1], parts[:1]
    categories = categories_of(fit) if parts[0].ndim == 3 else ()
    lines = pd.concat([pd.DataFrame(pair.shared, index=range(pair.first.n)) for pair in pairs], ignore_index=True)
    draws = np.concatenate(parts, axis=1)
    if categories:
        lines = lines.loc[lines.index.repeat(len(categories))].reset_index(drop=True)
        lines["category"] = list(categories) * sum(pair.first.n for pair in pairs)
        draws = draws.reshape(len(draws), -1)
    table = pd.concat([lines, pd.DataFrame(_statistics(draws, SCALES[scale], region))], axis=1)
    notes = ["Averaged over levels drawn from the population it is the same number."] * same
    return Contrast(
        title=title, scale=scale, table=table, draws=_as_xarray(fit, draws), notes=(*_notes(fit, pairs, scale), *notes)
    )


def _compared(fit: Fit, pair: Pair, scale: str) -> FloatArray:
    """The draws of the first setting against the second, (S, n[, K])."""
    one, two = (_values(fit, rows, scale) for rows in (pair.first, pair.second))
    if scale != "ratio":
        return one - two
    if not (one.min() > 0 and two.min() > 0):
        raise ModelError("A ratio needs expected values above 0 in every draw; here they are not. Take the difference.")
    return one / two


def _values(fit: Fit, rows: Rows, scale: str) -> FloatArray:
    """The expected value of the rows, or their linear predictor, (S, n[, K])."""
    draws = read_draws(fit)
    if not fit.family.terms:
        mean = np.concatenate([some.expected for some in slices(fit, rows)], axis=1)
        return link_of(fit, rows, mean) if scale == "link" else mean
    given = likelihood(fit.family.name)
    linear_predictors = predictors(fit, draws, rows)
    return np.concatenate([f.eta if scale == "link" else expected(given, draws, f) for f in linear_predictors], axis=1)


def _statistics(draws: FloatArray, none: float, region: tuple[float, float] | None) -> dict[str, Any]:
    """Of each column of draws: mean, sd, quantiles, direction and its probability, and that of the region."""
    above, below = (draws > none).mean(axis=0), (draws < none).mean(axis=0)
    statistics: dict[str, Any] = {k.removeprefix("_"): v for k, v in summarise("", draws).items()}
    statistics["direction"] = np.where(above >= below, "above", "below")
    statistics["p_direction"] = np.maximum(above, below)
    if region is not None:
        statistics["p_region"] = ((draws >= region[0]) & (draws <= region[1])).mean(axis=0)
    return statistics


def _as_xarray(fit: Fit, draws: FloatArray) -> xr.Dataset:
    shape = fit.shape
    dims = ("chain", "draw", "line")
    coords = {dim: np.arange(n) for dim, n in zip(dims, (*shape, draws.shape[1]), strict=True)}
    return xr.Dataset({"contrast": (dims, draws.reshape(*shape, draws.shape[1]))}, coords)


def _notes(fit: Fit, pairs: Sequence[Pair], scale: str) -> list[str]:
    """What has to be said: numbers outside the data, factors without deviation, what a link's difference is."""
    sides = (pairs[0].first, pairs[0].second)
    # With a line averaged over levels too, what is said of both lines says where unnamed factors stand.
    both = [note for rows in sides for note in (rows.notes if len(pairs) == 1 else rows.beyond)]
    notes = list(dict.fromkeys(both))
    if len(pairs) > 1:
        notes.append(
            "population compares expected values where no coefficient deviates; averaged compares their means over "
            "levels drawn from the population. They differ, as the link is not linear."
        )
    usual = [f"{name} = {v:.4g}" if isinstance(v, float) else f"{name} = {v}" for name, v in pairs[0].usual.items()]
    if usual:
        notes.append(f"Both settings stand at {', '.join(usual)}.")
    notes += scale_notes(fit)
    if scale == "link" and averages_differ(fit.family) and fit.family.words.quantity_unit:
        own = fit.family.words.scale
        whole = "odds ratio" if own is None else f"{own(fit.data)[2]} ratio"
        words = likelihood(fit.family.name).ratio_words if fit.family.terms else whole
        article = "an" if words[:1] in set("aeiou") else "a"
        notes.append(f"The difference is one of {fit.family.words.quantity_unit}; exp of it is {article} {words}.")
    return notes
