"""Estimates as papers give them become estimates with standard errors: variances, limits, ratios with limits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from hbm_stan.data import Dataset, listed
from hbm_stan.errors import DataError
from hbm_stan.later import statistics
from hbm_stan.reading import Reading
from hbm_stan.table import FloatArray
from hbm_stan.values import Role, refuse_rows
from hbm_stan.verdicts import Verdict

ESTIMATE, STANDARD_ERROR, VARIANCE, LOWER, UPPER = "estimate", "standard_error", "variance", "lower", "upper"
# What authors take for granted where they do not say the level of limits.
USUAL_LEVEL = 0.95
# Unevenness is ((upper - estimate) - (estimate - lower)) / (upper - lower). Limits of a ratio exp(x -+ 1.96 s) have
# tanh(0.98 s): 0.05 is that of s = 0.05. A single row beyond 0.25 is a slip or no normal interval (both ours).
_UNEVEN, _LOPSIDED = 0.05, 0.25
# The sd of that for numbers rounded to a unit, in units over the width: sqrt((1 + 4 + 1) / 12); so many sds are chance.
_ROUNDED, _CHANCE = 0.71, 4.0
_WORDS = {
    "a variance": {"variance", "variances", "var", "vi", "v", "varianz"},
    "a limit": {"lower", "upper", "ci", "low", "high", "lo", "hi", "lcl", "ucl", "lci", "uci", "cil", "ciu", "lb", "ub",
                "ll", "ul", "cilb", "ciub", "cilower", "ciupper", "limit", "untergrenze", "obergrenze"},
    "a standard deviation": {"sd", "sds", "std", "stdev", "stddev"},
}  # fmt: skip
_ERRORS = {"se", "ses", "sei", "sem", "stderr", "err", "error", "errors", "standardfehler"}
_ADVICE = {
    "a variance": "name it for the role variance; its square root is the standard error",
    "a limit": "name both limits, for the roles lower and upper",
    "a standard deviation": "divide it by the square root of the number of rows",
    "a standard error": "name it for the role standard_error",
}


def refuse_ways(dataset: Dataset, role: Role) -> None:
    """Raise DataError unless exactly one of the ways to give a role is there: itself, or other roles instead."""
    ways = [(role.name,), *role.instead]
    words = " or ".join(" and ".join(way) for way in ways)
    given = [way for way in ways if any(name in dataset.columns for name in way)]
    where = dataset.table.where
    if not given:
        raise DataError(
            f"{where}: no column is named for the role {role.name!r} ({role.meaning}). Name one of {words}. "
            f"{listed(dataset.table)}"
        )
    if len(given) > 1:
        names = " and ".join(name for way in given for name in way if name in dataset.columns)
        raise DataError(f"{where}: columns are named for {names}, which say the same. Name one of {words}.")
    for name in given[0]:
        if name not in dataset.columns:
            other = next(n for n in given[0] if n in dataset.columns)
            raise DataError(f"{where}: {other} needs {name} beside it, and no column is named for that.")


def standard_errors(
    dataset: Dataset, values: Mapping[str, FloatArray], roles: Mapping[str, Role]
) -> tuple[dict[str, FloatArray], list[str], list[Verdict]]:
    """The values with estimates on the scale that is analysed and their standard errors, notes, and warnings."""
    estimates = dict(values)
    columns = {name: dataset.column(name) for name in (ESTIMATE, STANDARD_ERROR, VARIANCE, LOWER, UPPER)}
    verdicts = _check_names(columns)
    if STANDARD_ERROR in values:
        return estimates, [], verdicts
    if VARIANCE in values:
        estimates[STANDARD_ERROR] = np.sqrt(values[VARIANCE])
        return estimates, [f"Standard errors are the square roots of {columns[VARIANCE]}."], verdicts
    _refuse_limits(dataset, values, roles)
    level, width = level_of(dataset.reading), width_of(dataset.reading)
    lower, upper = values[LOWER], values[UPPER]
    named = [columns[name] for name in (UPPER, LOWER)]
    if dataset.reading.log_scale:
        estimates[ESTIMATE], lower, upper = (np.log(values[name]) for name in (ESTIMATE, LOWER, UPPER))
        named = [f"log {name}" for name in named]
    estimates[STANDARD_ERROR] = (upper - lower) / width
    of = f"({named[0]} - {named[1]}) / {width:.4g}: limits of {100 * level:g} %"
    note = f"Standard errors are {of}."
    if dataset.reading.log_scale:
        note = (
            f"{columns[ESTIMATE]} is a ratio. Its logs are analysed, and answers are ratios; standard errors are {of}."
        )
    return estimates, [note], [*verdicts, *_check_evenness(dataset, values)]


def level_of(reading: Reading) -> float:
    """The level of limits, as the reading says or as is usual."""
    return reading.level or USUAL_LEVEL


def width_of(reading: Reading) -> float:
    """The distance of limits of that level in standard errors of a normal distribution: 3.92 for 95 %."""
    return 2 * float(statistics.NormalDist().inv_cdf(0.5 + level_of(reading) / 2))


def _refuse_limits(dataset: Dataset, values: Mapping[str, FloatArray], roles: Mapping[str, Role]) -> None:
    """Raise DataError for limits that are none of their estimate, naming rows."""
    estimate, lower, upper = (values[name] for name in (ESTIMATE, LOWER, UPPER))
    if dataset.reading.log_scale:
        for name in (ESTIMATE, LOWER, UPPER):
            advice = " Logs that are taken already need no log_scale."
            refuse_rows(dataset, roles[name], values[name] <= 0, "a ratio is above zero; found", advice)
    above = dataset.column(UPPER)
    refuse_rows(dataset, roles[LOWER], lower >= upper, f"not below {above!r} of the same row:", " Are they exchanged?")
    outside = (estimate < lower) | (estimate > upper)
    advice = " Limits and estimate must be of one row and on one scale."
    refuse_rows(dataset, roles[ESTIMATE], outside, "outside its own limits:", advice)


def _check_names(columns: Mapping[str, str]) -> list[Verdict]:
    """A warning where the name of the column says that it is another measure of spread than its role."""
    for role in (STANDARD_ERROR, VARIANCE):
        kinds = _called(columns[role]) if columns[role] else set()
        given = role.replace("_", " ")
        if not kinds or f"a {given}" in kinds:
            continue
        other = sorted(kinds)[0]
        hint = (
            f"{columns[role]!r} is taken as the {given} of the estimate, but is called like {other}. If it is {other}, "
            f"{_ADVICE[other]}."
        )
        return [
            Verdict(
                name="measure of spread", status="warn", value=None, threshold=None, hint=hint, subject=columns[role]
            )
        ]
    return []


def _called(name: str) -> set[str]:
    """What measures of spread a column's name says that it holds."""
    words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)} | {name.lower()}
    if words & _ERRORS:
        return {"a standard error"}
    return {kind for kind, known in _WORDS.items() if words & known}


def _check_evenness(dataset: Dataset, values: Mapping[str, FloatArray]) -> list[Verdict]:
    """Warnings: limits that are even on the log scale only (of ratios), and rows whose limits lie unevenly."""
    numbers = [values[name] for name in (ESTIMATE, LOWER, UPPER)]
    rounding = _ROUNDED * _unit(numbers) / (numbers[2] - numbers[1])
    uneven = _unevenness(*numbers)
    if min(float(x.min()) for x in numbers) > 0:
        in_logs = _unevenness(*(np.log(x) for x in numbers))
        if dataset.reading.log_scale:
            uneven = in_logs
        else:
            mean, chance = float(uneven.mean()), _CHANCE * float(np.sqrt(np.sum(rounding**2))) / len(uneven)
            if mean > max(_UNEVEN, chance) and abs(float(in_logs.mean())) < mean / 2:
                return [_like_ratios(dataset, mean)]
    far = np.flatnonzero(np.abs(uneven) > _LOPSIDED + _CHANCE * rounding)
    if not far.size:
        return []
    estimate = dataset.column(ESTIMATE)
    hint = (
        f"The limits {_limits(dataset)} lie unevenly about the estimate in "
        f"{dataset.table.rows([int(i) for i in far], estimate)}: is one of them a slip? A standard error taken from "
        "such limits is rough."
    )
    return [
        Verdict(
            name="uneven limits",
            status="warn",
            value=float(np.abs(uneven).max()),
            threshold=_LOPSIDED,
            hint=hint,
            subject=estimate,
        )
    ]


def _like_ratios(dataset: Dataset, mean: float) -> Verdict:
    estimate = dataset.column(ESTIMATE)
    hint = (
        f"The limits {_limits(dataset)} lie unevenly about {estimate!r}, but evenly on the log scale, as those of "
        "ratios do (odds ratio, risk ratio, hazard ratio). If they are ratios, say log_scale = true."
    )
    return Verdict(name="limits of ratios", status="warn", value=mean, threshold=_UNEVEN, hint=hint, subject=estimate)


def _limits(dataset: Dataset) -> str:
    return " and ".join(repr(dataset.column(name)) for name in (LOWER, UPPER))


def _unevenness(estimate: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    return np.asarray((upper + lower - 2 * estimate) / (upper - lower))


def _unit(numbers: Sequence[FloatArray]) -> float:
    """The last decimal that the numbers are written with."""
    return 10.0 ** -max(len(f"{x:.10g}".partition(".")[2]) for column in numbers for x in column)
