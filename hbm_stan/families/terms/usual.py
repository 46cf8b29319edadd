"""The row that is predicted in a new group unless told otherwise: columns at their means, categories at reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.design import Design
from hbm_stan.errors import ModelError
from hbm_stan.likelihoods.likelihood import OWN_COLUMNS, Likelihood
from hbm_stan.model import Option, StanData
from hbm_stan.predictors import INTERCEPT

_PREDICTORS = Option(
    "values of the formula's columns in the new row; others: categories at their reference, numbers at their means",
    "table",
)
# What a row may have beside its linear predictor, by role: the datum, and its meaning.
_SIZES: Mapping[str, tuple[str, Option]] = {
    "trials": ("trials", Option("of the row in a new group, a whole number; by default 1")),
    "exposure": ("exposure", Option("of the observation in a new group; by default the median")),
    "standard_error": ("se", Option("of the estimate in a new group; by default the median of the data")),
}
_OFFSET = "offset()"  # what the formula's offsets add up to, in what encodes a row


def prediction_of(likelihood: Likelihood) -> dict[str, Option]:
    """The keys of ``[prediction]``."""
    return {"predictors": _PREDICTORS} | {name: _SIZES[name][1] for name in _sizes(likelihood)}


def _sizes(likelihood: Likelihood) -> list[str]:
    """The role of what a row has beside its linear predictor, if it has one."""
    return [role.name for role in likelihood.roles if role.name in _SIZES]


def new_row(likelihood: Likelihood, data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """The data of one row in a new group, and what it is in words; ``options["design"]`` is the table's design.

    Its levels of other factors are new too (0): a row is one of a population, not of a level that happens to be known.
    """
    design: Design = options["design"]
    asked = dict(options.get("predictors", {}))
    x, z = design.row(asked)
    level = np.zeros((data["T"], 1), dtype=np.int64)
    level[: data["G"]] = 1
    sizes = np.where(np.arange(data["T"]) < data["G"], 1, np.asarray(data["L"]))
    row_data = {
        **data, "N": 1, "J": 1, "X": x[None], "Z": z[None], "offset_": np.array([_offset(design, asked)]),
        "level": level, "L": sizes, "y": np.mean(data["y"], keepdims=True),
    }  # fmt: skip
    size, words = _size(likelihood, data, options)
    stands = ", ".join(_in_words(design, asked))
    where = f"a new row in a new {{group}}{': ' if stands else ''}{stands}"
    row_data |= {f"{OWN_COLUMNS}{name}": row[None] for name, row in design.beside_row(asked).items()}
    return {**row_data, **size}, f"{words} of {where}" if words else where


def _offset(design: Design, asked: Mapping[str, Any]) -> float:
    """That of the row where the formula has one to work out, else the mean of those known."""
    return float(design.encode(asked).get(_OFFSET, design.offset.mean()))


def _size(likelihood: Likelihood, data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """Trials, exposure or standard error of the new row, and what its outcome is."""
    if not _sizes(likelihood):
        return {}, ""
    (name,) = _sizes(likelihood)
    datum, _ = _SIZES[name]
    usual = 1.0 if datum == "trials" else float(np.median(data[datum]))
    value = float(options.get(name, usual))
    if datum == "trials":
        if not 1 <= value < 2**31 or value != int(value):
            raise ModelError(f"prediction.trials must be a whole number above zero, found {value:g}.")
        what = "outcome, 0 or 1," if value == 1 else f"successes out of {int(value):,} trials"
        return {datum: np.array([int(value)])}, what
    what = f"count with exposure {value:g}" if datum == "exposure" else f"estimate with standard error {value:.3g}"
    return {datum: np.array([value])}, what


def _in_words(design: Design, asked: Mapping[str, Any]) -> list[str]:
    """Where each column of the formula stands: ``arm = placebo (the reference)``, ``days = 4.5 (the mean)``."""
    levels: Mapping[str, tuple[str, ...]] = getattr(design.encode, "levels", {})
    numbers: Mapping[str, float] = getattr(design.encode, "means", getattr(design.encode, "values", {}))
    places = [
        f"{column} = {asked[column]}" if column in asked else f"{column} = {own[0]} (the reference)"
        for column, own in levels.items()
    ]
    return places + [
        f"{column} = {float(asked[column]):.3g}" if column in asked else f"{column} = {mean:.3g} (the mean)"
        for column, mean in numbers.items() if column != INTERCEPT
    ]  # fmt: skip
