"""Columns named by role say a formula: its outcome, predictors as common slopes, those that vary between groups."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from hbm_stan.data import Dataset, listed
from hbm_stan.errors import DataError
from hbm_stan.estimates import width_of
from hbm_stan.formula.parse import ADDITIONS
from hbm_stan.formula.tokens import written
from hbm_stan.reading import Reading

GROUP, COUNT = "group", "count"
# The roles that an outcome may be named by, and what has to stand beside it.
_OUTCOMES = {"outcome": "", "successes": "trials", COUNT: "", "estimate": "standard_error"}
# The roles beside it -> the word of the left side, and what the column is to it.
_BESIDE = {**{role: (word, "{}") for word, role in ADDITIONS.items()}, "variance": ("se", "sqrt({})")}
_COMMON = ("predictors", "group_predictors")
_VARYING = "varying"
_LIMITS = ("lower", "upper")
ROLES = (GROUP, *_OUTCOMES, *_BESIDE, *_COMMON, _VARYING, *_LIMITS)
_HOW = "--group county --outcome radon --predictors floor,uranium --varying floor"


def option_of(role: str) -> str:
    """The option of the command line that names the column of a role."""
    return f"--{role.replace('_', '-')}"


def read_columns(dataset: Dataset) -> Dataset:
    """The dataset with the formula that its columns by role say in their place; raises DataError where they say none.

    ``varying`` are slopes that vary between groups, correlated with the intercept, which always does.
    """
    dataset = dataset.with_columns(dataset.columns)
    left, group = _left_side(dataset), _one(dataset, GROUP, "what groups the rows")
    common = _names(dataset, *_COMMON)
    bar = " + ".join(["1", *_names(dataset, _VARYING)])
    formula = f"{left} ~ {' + '.join(common) or '1'} + ({bar} | {group})"
    others = {role: named for role, named in dataset.columns.items() if role == GROUP or role not in ROLES}
    return replace(
        dataset, columns=MappingProxyType(others), reading=replace(dataset.reading, formula=formula)
    )  # fmt: skip


def _left_side(dataset: Dataset) -> str:
    """The outcome and what stands beside it."""
    where, columns = dataset.table.where, dataset.columns
    named = [role for role in _OUTCOMES if role in columns]
    if len(named) > 1:
        raise DataError(f"{where}: {' and '.join(named)} both name an outcome. Name one of them.")
    role = next(iter(named), "outcome")
    outcome = _one(dataset, role, "what is modelled")
    _refuse_limits(dataset)
    beside = [other for other in _BESIDE if other in columns]
    needed = _OUTCOMES[role]
    if needed and not {_BESIDE[other][0] for other in beside} & {_BESIDE[needed][0]}:
        raise DataError(f"{where}: {role} needs its {needed.replace('_', ' ')}. {_missing_beside(role, needed)}")
    if len(beside) > 1:
        raise DataError(
            f"{where}: {' and '.join(beside)} are named beside {role}, and no likelihood has them together. "
            "Name one of them."
        )
    words = [f"{word}({form.format(_one(dataset, r, ''))})" for r in beside for word, form in [_BESIDE[r]]]
    return " | ".join([outcome, *words])


def _missing_beside(role: str, needed: str) -> str:
    if role == "successes":
        return "Name their column with --trials; rows that are 0 or 1 themselves are an --outcome."
    return f"Name its column with {option_of(needed)}, or --variance; a measurement in each row is an --outcome."


def _refuse_limits(dataset: Dataset) -> None:
    limits = [role for role in _LIMITS if role in dataset.columns]
    if not limits:
        return
    problem = f"{dataset.table.where}: limits of estimates ({', '.join(limits)}) are read by the family normal_means"
    if len(limits) == len(_LIMITS) and (common := _names(dataset, *_COMMON)):
        estimate, low, high = (_one(dataset, role, "") for role in ("estimate", *_LIMITS))
        left = _with_limits(estimate, low, high, dataset.reading)
        group = _one(dataset, GROUP, "what groups the rows")
        raise DataError(
            f"{problem}, which has no predictors. A formula has them; its standard errors are made of the limits: "
            f"'{left} ~ {' + '.join(common)} + (1 | {group})'."
        )
    raise DataError(f"{problem}: add --family normal_means. A formula needs a column of standard errors.")


def _with_limits(estimate: str, low: str, high: str, reading: Reading) -> str:
    """The left side of estimates with limits: half their distance in standard errors of a normal distribution."""
    apart = f"{width_of(reading):.4g}"
    if reading.log_scale:
        return f"log({estimate}) | se((log({high}) - log({low})) / {apart})"
    return f"{estimate} | se(({high} - {low}) / {apart})"


def _one(dataset: Dataset, role: str, meaning: str) -> str:
    """The column of a role that needs one, as a formula writes it."""
    columns = _names(dataset, role)
    if not columns:
        raise DataError(
            f"{dataset.table.where}: no column is named for the role {role!r} ({meaning}). Name it with "
            f"{option_of(role)}, as in {_HOW}. {listed(dataset.table)}"
        )
    if len(columns) > 1:
        raise DataError(
            f"{dataset.table.where}: the role {role!r} takes one column, found {', '.join(columns)}. "
            "For several grouping factors write a formula: y ~ x + (1 | a) + (1 | b)."
        )
    return columns[0]


def _names(dataset: Dataset, *roles: str) -> list[str]:
    """The columns of these roles, each once, as a formula writes them."""
    columns = dict.fromkeys(column for role in roles for column in dataset.listed(role))
    for column in columns:
        if "`" in column:
            raise DataError(
                f"{dataset.table.where}: the name of the column {column!r} has a backtick, with which a formula quotes "
                "names. Rename it."
            )
    return [written(column) for column in columns]
