"""Columns of predictors become a matrix with names: numbers as they are, words as indicators of their levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hbm_stan.categories import is_category, read_category
from hbm_stan.cells import kind
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, nearest
from hbm_stan.levels import check_levels
from hbm_stan.nouns import Noun
from hbm_stan.table import FloatArray, shorten
from hbm_stan.verdicts import Verdict

# sd(x)/sd(y) beyond which priors on slopes live on a scale that nobody meant (decision-rules 4, item 7).
UNSCALED = 100.0
# |mean(x)|/sd(x) beyond which the intercept, that of x = 0, is far from all data: a convention of ours.
UNCENTRED = 3.0
INTERCEPT = "intercept"  # the name of a term that every regression has
# Columns whose part that the others do not explain is smaller than this share are collinear: rounding error.
_COLLINEAR = 1e-8


@dataclass(frozen=True)
class Predictors:
    """Names and values of predictors, one column each, shape (rows, K); K may be 0.

    ``levels`` holds those of each category by column, first the one that the others are compared with, and ``notes``
    say which that is.
    """

    names: tuple[str, ...]
    values: FloatArray
    notes: tuple[str, ...] = ()
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def indicators(self) -> set[str]:
        """The names of the columns that stand for levels of categories."""
        return {f"{column}={level}" for column, levels in self.levels.items() for level in levels[1:]}

    def step(self, name: str) -> str:
        """What a coefficient is of, to begin a sentence: one unit more of a column, or a level instead of another."""
        for column, levels in self.levels.items():
            level = next((own for own in levels[1:] if f"{column}={own}" == name), None)
            if level is not None:
                return f"{column} = {level} instead of {levels[0]}"
        return f"One unit more of {name}"

    def by_group(self, group: npt.NDArray[np.int64], n_groups: int) -> FloatArray:
        """The values of each group, shape (J, K), for predictors that are constant within groups."""
        first = np.full(n_groups, -1)
        first[group[::-1]] = np.arange(len(group))[::-1]
        return np.asarray(self.values[first])


def read_predictors(dataset: Dataset, columns: Sequence[str]) -> Predictors:
    """The predictors in these columns: numbers as they are, categories as indicators of their levels but the first.

    A category of L levels becomes L - 1 indicators, named ``column=level``; its first level is the reference.
    """
    names: list[str] = []
    values: list[FloatArray] = []
    notes: list[str] = []
    levels: dict[str, tuple[str, ...]] = {}
    for column in columns:
        if not is_category(dataset, column):
            names.append(column)
            values.append(_numbers(dataset, column))
            continue
        labels, level, why = read_category(dataset, column)
        levels[column] = labels
        notes.append(f"{column}: levels are compared with {labels[0]!r}, {why}.")
        names += [f"{column}={label}" for label in labels[1:]]
        values += [np.asarray(level == i, dtype=float) for i in range(1, len(labels))]
        if len(labels) == 1:
            names.append(column)
            values.append(np.zeros(len(level)))
    matrix = np.column_stack(values) if values else np.empty((dataset.table.n_rows, 0))
    return Predictors(tuple(names), matrix, tuple(notes), levels)


def _numbers(dataset: Dataset, column: str) -> FloatArray:
    try:
        return dataset.table.numbers(column)
    except DataError as error:
        if any(kind(cell) in {"text", "percent"} for cell in dataset.table.column(column)):
            raise DataError(f"{error} If the column is a category, name its levels under [levels].") from error
        raise


def refuse_predictors(where: str, predictors: Sequence[Predictors]) -> None:
    """Raise DataError for predictors that are constant, that others add up to, or more than there are rows."""
    names = [name for p in predictors for name in p.names]
    if not names:
        return
    if INTERCEPT in names:
        raise DataError(f"{where}: a predictor may not be called {INTERCEPT!r}, the name of a term. Rename the column.")
    x = np.hstack([p.values for p in predictors])
    for name, column in zip(names, x.T, strict=True):
        if np.ptp(column) == 0:
            raise DataError(
                f"{where}: the predictor {name!r} has the same value ({column[0]:g}) in every row: its coefficient "
                "cannot be told from the intercept. Leave it out."
            )
    if x.shape[1] >= x.shape[0]:
        raise DataError(
            f"{where}: {x.shape[1]} predictors and {x.shape[0]} rows. There must be fewer predictors than rows."
        )
    scaled = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / x.std(axis=0)])
    for k in range(1, scaled.shape[1]):
        left = scaled[:, k] - scaled[:, :k] @ np.linalg.lstsq(scaled[:, :k], scaled[:, k], rcond=None)[0]
        if np.sqrt(np.mean(left**2)) < _COLLINEAR:
            raise DataError(
                f"{where}: the predictor {names[k - 1]!r} is collinear: the ones before it "
                f"({', '.join(names[: k - 1])}) add up to it. Leave one of them out."
            )


def refuse_varying(where: str, predictors: Predictors, group: npt.NDArray[np.int64], labels: Sequence[str]) -> None:
    """Raise DataError for a group predictor that varies within a group."""
    means = predictors.by_group(group, len(labels))
    for k, name in enumerate(predictors.names):
        off = np.flatnonzero(predictors.values[:, k] != means[group, k])
        if off.size:
            row, j = int(off[0]), int(group[off[0]])
            raise DataError(
                f"{where}: the group predictor {name!r} varies within the group {shorten(labels[j])!r}: "
                f"{means[j, k]:g} and {predictors.values[row, k]:g}. A group predictor has one value in a group; "
                "name it under predictors if it belongs to the rows."
            )


def check_predictors(
    predictors: Predictors, outcome: FloatArray | None, group: npt.NDArray[np.int64], noun: Noun
) -> list[Verdict]:
    """Warnings: a predictor that does not vary within any group, and one on another scale than the outcome."""
    verdicts: list[Verdict] = []
    spread = float(np.std(outcome, ddof=1)) if outcome is not None else 0.0
    verdicts += _constant_categories(predictors, group, noun)
    categories = predictors.indicators
    for name, x in zip(predictors.names, predictors.values.T, strict=True):
        if name in categories:  # an indicator has no unit that could be changed
            continue
        if _constant_in_groups(x, group):
            hint = (
                f"{name} does not vary within any {noun.one}: it is collinear with the group effects. "
                "Name it as a group predictor."
            )
            verdicts.append(
                Verdict(name="collinear predictor", status="warn", value=None, threshold=None, hint=hint, subject=name)
            )
        ratio = float(np.std(x, ddof=1)) / spread if spread > 0 else 1.0
        if not 1 / UNSCALED <= ratio <= UNSCALED:
            hint = f"sd({name})/sd(outcome) = {ratio:.3g}: priors of slopes are on the raw scale. Change the unit."
            verdicts.append(
                Verdict(
                    name="unscaled predictor", status="warn", value=ratio, threshold=UNSCALED, hint=hint, subject=name
                )
            )
    return verdicts + check_zero(predictors, noun)


def _constant_categories(predictors: Predictors, group: npt.NDArray[np.int64], noun: Noun) -> list[Verdict]:
    """A warning for each category whose levels do not vary within any group."""
    values = dict(zip(predictors.names, predictors.values.T, strict=True))
    return [
        Verdict(
            name="collinear predictor", status="warn", value=None, threshold=None,
            hint=f"{column} does not vary within any {noun.one}: it is collinear with the group effects. "
            "Name it as a group predictor.",
            subject=column,
        )
        for column, levels in predictors.levels.items()
        if all(_constant_in_groups(values[f"{column}={level}"], group) for level in levels[1:])
    ]  # fmt: skip


def check_zero(predictors: Predictors, noun: Noun) -> list[Verdict]:
    """Warnings: a predictor whose values lie far from 0, all on one side of it, where the intercept is."""
    verdicts = []
    for name, x in zip(predictors.names, predictors.values.T, strict=True):
        off = sds_from_zero(x)
        if off > UNCENTRED:
            near = round_number_near_mean(x)
            hint = (
                f"{name} lies {off:.0f} of its sds from 0: the intercept, and how much {noun.many} differ in it, are "
                f"those at {name} = 0, where no data are, and the sampler may fail. Make a column of {name} "
                f"{'-' if near > 0 else '+'} {abs(near):g} and name that: the intercept is then the one at "
                f"{name} = {near:g}."
            )
            verdicts.append(
                Verdict(
                    name="uncentred predictor", status="warn", value=off, threshold=UNCENTRED, hint=hint, subject=name
                )
            )
    return verdicts


def sds_from_zero(x: FloatArray) -> float:
    """How many of its sds the mean of a predictor lies from 0; 0 where 0 lies among its values."""
    spread = float(np.std(x, ddof=1))
    return abs(float(np.mean(x))) / spread if spread > 0 and np.min(x) * np.max(x) > 0 else 0.0


def round_number_near_mean(x: FloatArray) -> float:
    """The mean of a predictor to the digit that its sd begins with."""
    return round(float(np.mean(x)), -math.floor(math.log10(float(np.std(x, ddof=1)))))


def _constant_in_groups(x: FloatArray, group: npt.NDArray[np.int64]) -> bool:
    sizes = np.bincount(group)
    means = np.bincount(group, weights=x) / sizes
    return bool(np.any(sizes > 1) and np.allclose(x, means[group]))


def refuse_named_levels(dataset: Dataset, columns: Sequence[str], what: str = "predictor here") -> None:
    """Raise DataError where levels are named of a column that is not among ``columns``, each of them a ``what``."""
    for column in dataset.reading.levels:
        if column not in columns:
            raise DataError(
                f"{dataset.table.where}: levels are named of {shorten(column)!r}, which is no {what}. "
                f"{nearest(column, columns)}"
            )


def check_columns(
    dataset: Dataset, kinds: Mapping[str, str], predictors: Mapping[str, Predictors], values: Mapping[str, FloatArray],
    labels: Sequence[str], group: npt.NDArray[np.int64], noun: Noun,
) -> list[Verdict]:  # fmt: skip
    """Warnings on the predictors of all roles, whose kinds are by name; raises DataError for what cannot be one."""
    if predictors or not dataset.reading.formula:
        refuse_named_levels(dataset, [column for role in predictors for column in dataset.listed(role)])
    refuse_predictors(dataset.table.where, list(predictors.values()))
    verdicts = []
    for role, role_predictors in predictors.items():
        verdicts += [v for column, levels in role_predictors.levels.items() for v in check_levels(column, levels)]
        if kinds[role] == "group_predictors":
            refuse_varying(dataset.table.where, role_predictors, group, labels)
            verdicts += check_zero(role_predictors, noun)
        else:
            verdicts += check_predictors(role_predictors, values.get("outcome"), group, noun)
    return verdicts
