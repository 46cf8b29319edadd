"""Columns become the data of the programs: rows that were seen, rows that were not, and what is assumed of these."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hbm_stan.errors import DataError, nearest
from hbm_stan.later import ndtri
from hbm_stan.missingness import FORMS_IN_WORDS, Missingness
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, PriorRow, encode_scale, parse_prior, to_decimals, two_digits
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

_MOST_UNSEEN = 0.5  # from this share on more is assumed than seen (ours)
_SWEPT_SELECTION, _SWEPT_PATTERN = 5, 6  # steps on each side of 0 (ours)
_CARRIED = 3.0  # sds of a predictor from 0 that the prior of the intercept in eta is carried
_DELTA = PriorRow(
    name="delta", distributions=("normal",), meaning="what is believed of delta", source="the analyst", role="outcome"
)


def assumed(table: Prepared) -> Missingness:
    """What the analysis assumes of missing outcomes: where it says nothing, that they differ by nothing."""
    return table.dataset.reading.missing or Missingness()


def delta_prior(table: Prepared) -> Prior | None:
    """The prior over delta; None where there is none. Raises ModelError for a text that is no such prior."""
    text = assumed(table).prior
    return parse_prior(text, _DELTA) if text else None


def indicator(table: Prepared, column: str, level: str, key: str) -> FloatArray:
    """Coefficients c (K,) so that (1, x) c is 1 in rows where the column is at the level, else 0.

    The column must be a category among the predictors, or one of 0 and 1. Raises DataError naming the key.
    """
    predictors = table.predictors["predictors"]
    names, where = list(predictors.names), f"{table.dataset.table.where}: missing.{key}"
    coefficients = np.zeros(len(names) + 1)
    levels = predictors.levels.get(column)
    if levels is not None:
        if level not in levels:
            raise DataError(f"{where}: {column!r} has no level {level!r}. {nearest(level, levels)}")
        others = [1 + names.index(f"{column}={other}") for other in levels[1:]]
        if level == levels[0]:
            coefficients[0], coefficients[others] = 1.0, -1.0
        else:
            coefficients[others[levels.index(level) - 1]] = 1.0
        return coefficients
    if column not in names:
        known = [*predictors.levels, *(n for n in names if n not in predictors.indicators)]
        raise DataError(f"{where}: {column!r} is no predictor. {nearest(column, known or ['none'])}")
    k = 1 + names.index(column)
    if level not in {"0", "1"} or not np.isin(predictors.values[:, k - 1], (0.0, 1.0)).all():
        raise DataError(f"{where}: {column!r} must be a category, or be 0 and 1 in all rows; found {level!r}.")
    coefficients[0], coefficients[k] = (0.0, 1.0) if level == "1" else (1.0, -1.0)
    return coefficients


def at_level(x: FloatArray, table: Prepared, column: str, level: str) -> FloatArray:
    """The rows (n, K) with a column set to a level."""
    predictors, moved = table.predictors["predictors"], np.array(x)
    names = list(predictors.names)
    levels = predictors.levels.get(column)
    if levels is None:
        moved[:, 1 + names.index(column)] = float(level)
    for other in (levels or ())[1:]:
        moved[:, 1 + names.index(f"{column}={other}")] = float(other == level)
    return moved


def prepare(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Stan data: ``N`` rows that were seen, ``N_unseen`` that were not, and delta with the rows that it is of."""
    x, x_unseen = _matrices(table)
    assumption, unseen = assumed(table), table.unseen
    setting = assumption.setting
    reach = np.eye(x.shape[1])[0] if setting is None else indicator(table, *setting, "rows")
    data: StanData = {
        "N": table.n_rows, "N_unseen": len(x_unseen), "J": table.n_groups, "K": x.shape[1],
        "group_idx": table.group_idx,
        "group_idx_unseen": np.zeros(0, dtype=np.int64) if unseen is None else unseen.level + 1,
        "y": table["outcome"], "X": x, "X_unseen": x_unseen, "selection": int(assumption.selects),
        "delta": assumption.delta, "reach": reach, "y_centre": _centre(table), "given_seen": 1,
        "prior_mu": list(priors["mu"].arguments), "prior_theta": list(priors["theta"].arguments),
    }  # fmt: skip
    for name in ("beta", "eta"):
        rows = [prior.arguments for label, prior in priors.items() if label.partition("[")[0] == name]
        data[f"prior_{name}"] = np.array(rows, dtype=float).reshape(-1, 2)
    for name in ("tau", "sigma"):
        data[f"prior_{name}_family"], data[f"prior_{name}"] = encode_scale(priors[name])
    return data


def _matrices(table: Prepared) -> tuple[FloatArray, FloatArray]:
    """A column of ones and the predictors of rows that were seen, (N, K), and of those that were not, (M, K)."""
    seen = table.predictors["predictors"].values
    beside = np.empty((0, seen.shape[1])) if table.unseen is None else table.unseen.predictors["predictors"]
    return np.insert(seen, 0, 1.0, axis=1), np.insert(beside, 0, 1.0, axis=1)


def _centre(table: Prepared) -> float:
    """The mean of all outcomes that were seen, rounded: of the whole table, so that a row left out does not move it."""
    dataset = table.dataset
    y = dataset.table.numbers(dataset.column("outcome"), missing=True)
    return to_decimals(float(np.nanmean(y)), 1 - math.floor(math.log10(_scale(y[np.isfinite(y)]))))


def _scale(y: FloatArray) -> float:
    return two_digits(float(np.std(y, ddof=1)) if len(y) > 1 and np.ptp(y) > 0 else float(np.abs(y).max()) or 1.0)


def coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """Labels of the predictors, and of what the probit of being unseen is made of."""
    names = table.predictors["predictors"].names
    return {"predictor": names, "unseen_term": ("intercept", *names)}


def default_priors(table: Prepared) -> dict[str, Prior]:
    """Weakly informative on the scale of what was seen: sd(outcome), and sd(outcome) / sd(predictor) for each slope."""
    x, x_unseen = _matrices(table)
    y, every, names = table["outcome"], np.vstack([x, x_unseen])[:, 1:], table.predictors["predictors"].names
    s, sd = _scale(y), np.std(every, axis=0, ddof=1)
    offsets = every.mean(axis=0) / sd
    reach = math.sqrt(1 + float(np.sum(offsets**2)))
    far = math.sqrt(1 + float(np.sum(np.minimum(np.abs(offsets), _CARRIED) ** 2)))
    centre = to_decimals(float(np.mean(y)), 2 - math.floor(math.log10(s)))
    share = (len(x_unseen) + 0.5) / (len(every) + 1)
    carried = "" if reach < 1.1 else ", carried to where predictors are 0"
    priors: dict[str, Prior] = {}

    def add(name: str, distribution: str, arguments: tuple[float, ...], reason: str) -> None:
        priors[name] = Prior(name=name, distribution=distribution, arguments=arguments, reason=reason, default=True)

    text = f"the sd of the outcomes that were seen, {s:g}"
    add("mu", "normal", (centre, two_digits(2.5 * s * reach)), f"centred on the mean seen, 2.5 times {text}{carried}")
    add("tau", "half_normal", (s,), f"{text}: {{groups}} may differ as much as rows do")
    for name, spread in zip(names, sd, strict=True):
        what = f"centred on no effect, 2.5 times sd(outcome) / sd({name})"
        add(f"beta[{name}]", "normal", (0.0, two_digits(2.5 * s / float(spread))), what)
    add("sigma", "half_normal", (s,), f"{text}: predictors and {{groups}} may explain nothing")
    add("eta[intercept]", "normal", (to_decimals(float(ndtri(share)), 2), two_digits(1.5 * far)),
        f"centred on the share that is missing, {100 * share:.0f} %, wide{carried}")  # fmt: skip
    for name, spread in zip(names, sd, strict=True):
        what = f"one probit for one sd of {name}: a share of 20 % then becomes 56 % or 3 %"
        add(f"eta[{name}]", "normal", (0.0, two_digits(1 / float(spread))), what)
    add("theta", "normal", (centre, two_digits(5 * s * reach)), f"no pooling: fixed and wide, 5 times {text}{carried}")
    return priors


def check(table: Prepared) -> list[Verdict]:
    """Warnings on what is missing; raises DataError where nothing is, or where the assumptions name what is not there.

    What is assumed is read in full, so that a mistake is said before anything is sampled.
    """
    dataset, unseen, assumption = table.dataset, table.unseen, assumed(table)
    where = f"{dataset.table.where}, column {dataset.column('outcome')!r}"
    if unseen is None or unseen.n_rows == 0:
        raise DataError(
            f"{where}: no outcome is missing, so that there is nothing to assume of any. Use linear_regression or a "
            "formula; or were the rows without an outcome taken out of the file? They must be in it, with empty cells."
        )
    delta_prior(table)
    for setting, key in ((assumption.setting, "rows"), *((side, "contrast") for side in assumption.sides or ())):
        if setting is not None:
            indicator(table, *setting, key)
    share = unseen.n_rows / (unseen.n_rows + table.n_rows)
    if share < _MOST_UNSEEN:
        return []
    hint = (
        f"{100 * share:.0f} % of the outcomes are missing: what is said of all rows rests on what is assumed of these, "
        f"that {FORMS_IN_WORDS[assumption.form]}, more than on what was seen."
    )
    return [Verdict(name="missing outcomes", status="warn", value=share, threshold=_MOST_UNSEEN, hint=hint)]


def default_sweep(table: Prepared) -> tuple[float, ...]:
    """Deltas on both sides of 0, up to about one and a half sds of the outcomes that were seen, or probits for one."""
    s = _scale(table["outcome"])
    if assumed(table).selects:
        return _steps(0.3 / s, _SWEPT_SELECTION)
    return _steps(0.25 * s, _SWEPT_PATTERN)


def _steps(step: float, count: int) -> tuple[float, ...]:
    """Multiples of a step that is rounded to one digit."""
    rounded = float(f"{step:.1g}")
    return tuple(float(f"{k * rounded:.6g}") for k in range(-count, count + 1))
