"""The row that is predicted unless told otherwise: categories at their reference level, numbers at their means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hbm_stan.errors import ModelError, nearest
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray

_NEAR = 1e-3  # of its sd: a mean below it is shown as 0 (ours)


def new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """The design of one row in a new group, and what it is in words.

    ``options`` has the tables of ``[prediction]`` and, so that names are understood, the labels under ``coords`` and
    the levels of categories under ``levels``, by column, the reference first.
    """
    design, places = row_of(data, options)
    unnamed = "predictors at their means, those of 0 and 1 at 0" if design["X"].size + design["U"].size > 1 else ""
    rest = ", ".join(places) or unnamed
    return design, f"a new row in a new {{group}}{': ' if rest else ''}{rest}"


def row_of(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, list[str]]:
    """The design of ``new_row``, and where each of its predictors stands."""
    x, of_rows = predictors_of(data["X"][:, 1:], options, "predictors", options.get("coords", {}).get("term", ())[1:])
    u, of_groups = group_predictors_of(data, options)
    places = [*of_rows, *of_groups]
    one = {"N": 1, "J": 1, "group_idx": np.ones(1, dtype=int), "y": np.mean(data["y"], keepdims=True)}
    return {**data, **one, "X": np.concatenate([np.ones(1), x])[None], "U": u[None]}, places


def group_predictors_of(data: StanData, options: Mapping[str, Any]) -> tuple[FloatArray, list[str]]:
    """The predictors of a new group, (L,), and where each stands, in words."""
    names = options.get("coords", {}).get("group_predictor", ())
    return predictors_of(data["U"], options, "group_predictors", names)


def predictors_of(
    values: FloatArray, options: Mapping[str, Any], role: str, names: Sequence[str]
) -> tuple[FloatArray, list[str]]:
    """The predictors of one row where the options put them, else where they usually stand, and each in words."""
    one, asked = usual(values), options.get(role, {})
    _put(one, names, asked, role)
    return one, in_words(one, names, values, options.get("levels", {}), asked)


def usual(values: FloatArray) -> FloatArray:
    """The values of the columns, (rows, K), that a row has unless told otherwise: 0 where they are 0 and 1, else means.

    An indicator at its mean is a third of a machine: at 0 it is the level that the others are compared with.
    """
    return np.where(_indicators(values), 0.0, np.mean(values, axis=0))


def _indicators(values: FloatArray) -> Any:
    """Which columns hold 0 and 1 alone, a constant (the intercept) aside."""
    two = np.isin(values, (0.0, 1.0)).all(axis=0)
    return two & (np.ptp(values, axis=0) > 0) if len(values) else two


def _put(values: FloatArray, names: Sequence[str], chosen: Mapping[str, float], role: str) -> None:
    """Write the chosen values in their places."""
    for name, value in chosen.items():
        if name not in names:
            raise ModelError(f"Prediction: {role} has no {name!r}. {nearest(name, list(names) or ['none'])}")
        values[list(names).index(name)] = float(value)


def in_words(
    row: FloatArray,
    names: Sequence[str],
    values: FloatArray,
    levels: Mapping[str, Sequence[str]],
    asked: Mapping[str, float],
) -> list[str]:
    """What the predictors of a row are: ``arm = placebo (the reference)``, ``days = 4.5 (the mean)``, ``floor = 0``."""
    category = {f"{column}={level}": column for column, own in levels.items() for level in own[1:]}
    at = dict(zip(names, row, strict=False))
    of_numbers = _indicators(values)
    places: dict[str, str] = {}
    for k, name in enumerate(at):
        column = category.get(name, name)
        if column != name:
            own = {n: at[n] for n in at if category.get(n) == column}
            places[column] = _level(column, levels[column], own, any(n in asked for n in own))
        else:
            how = "" if name in asked or of_numbers[k] else " (the mean)"
            # The mean of a centred column is 0 but for rounding.
            near = bool(how) and abs(at[name]) < _NEAR * float(np.std(np.asarray(values)[:, k]))
            places[name] = f"{name} = {0.0 if near else at[name]:.3g}{how}"
    return list(places.values())


def _level(column: str, levels: Sequence[str], own: Mapping[str, float], asked: bool) -> str:
    """The level at which a category stands; its indicators, where they were asked to be no level."""
    on = [(level, own[f"{column}={level}"]) for level in levels[1:] if own.get(f"{column}={level}")]
    if not on:
        return f"{column} = {levels[0]}" + ("" if asked else " (the reference)")
    if len(on) == 1 and on[0][1] == 1:
        return f"{column} = {on[0][0]}"
    return ", ".join(f"{name} = {value:.3g}" for name, value in own.items())
