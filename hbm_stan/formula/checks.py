"""What does not fit a table is refused before anything is sampled, and what may be meant otherwise is said."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hbm_stan.design import Design, Factor, Term, is_inside
from hbm_stan.errors import DataError
from hbm_stan.formula.coding import Coded, Levels, Numbers, Values
from hbm_stan.formula.expression import Column
from hbm_stan.formula.tokens import written
from hbm_stan.predictors import INTERCEPT
from hbm_stan.table import FloatArray, shorten
from hbm_stan.verdicts import Verdict

# A column's part that the columns before it do not explain, as a share of it: below this it is rounding error.
_COLLINEAR = 1e-8
# A coefficient of another column smaller than this, in sds, takes no part in a sum.
_NO_PART = 1e-6
# A number with so few values, all whole, may be a code of categories (ours).
_FEW_VALUES = (3, 5)
_SHOWN = 3


def refuse_levels(where: str, factor: Factor, known_residual: bool) -> None:
    """Raise DataError for a factor with one level, or with one row a level beside a residual sd."""
    if len(factor.labels) == 1:
        raise DataError(
            f"{where}: the grouping factor {factor.name!r} has one level ({shorten(factor.labels[0])!r}). Pooling "
            "needs at least two, and says little with fewer than five."
        )
    if len(factor.labels) == len(factor.level) and not known_residual:
        raise DataError(
            f"{where}: the grouping factor {factor.name!r} has as many levels as there are rows "
            f"({len(factor.labels):,}): its effects cannot be told from the residuals. Leave it out, or name a factor "
            "whose levels have several rows."
        )


def refuse_beside(
    where: str, beside: Mapping[str, str], own: Sequence[str], this: str = "this one", takers: Mapping[str, str] = {}
) -> None:
    """Raise DataError for the formula of a parameter that the likelihood ``this`` does not have; ``takers`` have it."""
    for name, text in beside.items():
        if name not in own:
            those = f"the likelihood {takers[name]}" if name in takers else f"a likelihood that has {name}"
            raise DataError(
                f"{where}: {name} = {text!r} goes with {those}, not {this}. Name such a likelihood, or leave {name} "
                "out."
            )


def refuse_same_factors(where: str, factors: Sequence[Factor]) -> None:
    """Raise DataError for two factors that group the rows alike."""
    for a, b in itertools.combinations(factors, 2):
        if is_inside(a, b) and is_inside(b, a):
            raise DataError(
                f"{where}: the factors {a.name!r} and {b.name!r} group the rows alike: their effects cannot be told "
                "apart. Keep one of them."
            )


def refuse_empty_cells(where: str, atoms: Sequence[Coded], scopes: Sequence[Sequence[tuple[int, bool]]], values: Values) -> None:  # fmt: skip  # noqa: E501
    """Raise DataError for an interaction of categories some of whose combinations have no row, naming them."""
    for scope in scopes:
        crossed = [atom for i, _ in scope if isinstance(atom := atoms[i], Levels)]
        if len(crossed) < 2:
            continue
        present = set(zip(*(values[c.column].tolist() for c in crossed), strict=True))
        empty = [cell for cell in itertools.product(*(range(len(c.levels)) for c in crossed)) if cell not in present]
        if empty:
            shown = "; ".join(_cell(crossed, cell) for cell in empty[:_SHOWN])
            more = f" and {len(empty) - _SHOWN} more" if len(empty) > _SHOWN else ""
            raise DataError(
                f"{where}: the interaction {':'.join(c.column for c in crossed)} has cells without a row: {shown}{more}"
                ". Their coefficients cannot be learnt. Leave the interaction out, or join levels."
            )


def _cell(crossed: Sequence[Levels], cell: Sequence[int]) -> str:
    return " and ".join(f"{c.column}={c.levels[i]}" for c, i in zip(crossed, cell, strict=True))


def refuse_columns(where: str, columns: Mapping[str, FloatArray], n: int) -> None:
    """Raise DataError for common columns that are constant, that others add up to, or as many as there are rows."""
    names = list(columns)
    if len(names) >= n:
        raise DataError(
            f"{where}: {len(names)} common coefficients and {n} rows. There must be fewer coefficients than rows."
        )
    centred = INTERCEPT in names
    for name in (name for name in names if name != INTERCEPT):
        if np.ptp(columns[name]) == 0 and (centred or columns[name][0] == 0):
            raise DataError(
                f"{where}: {name!r} has the same value ({columns[name][0]:g}) in every row: its coefficient cannot be "
                "told from the intercept. Leave it out."
            )
    rest = [name for name in names if not (centred and name == INTERCEPT)]
    if len(rest) < 2:
        return
    x = np.column_stack([columns[name] - centred * columns[name].mean() for name in rest])
    x /= np.sqrt(np.mean(x**2, axis=0))
    left = np.abs(np.diag(np.linalg.qr(x, mode="r"))) / np.sqrt(n)
    for k in np.flatnonzero(left < _COLLINEAR):
        coefficients = np.linalg.lstsq(x[:, :k], x[:, k], rcond=None)[0]
        parts = [name for name, part in zip(rest, coefficients, strict=False) if abs(part) > _NO_PART]
        raise DataError(
            f"{where}: {rest[k]!r} is collinear: {', '.join(parts)} before it{' and the intercept' * centred} add up "
            "to it. Leave one of them out."
        )


def check_few_values(atoms: Sequence[Coded], values: Values, factors: Sequence[str]) -> list[Verdict]:
    """Warnings: a number with few whole values that may be a category, and a grouping factor read as a number."""
    verdicts = []
    for column in dict.fromkeys(a.node.name for a in atoms if isinstance(a, Numbers) and isinstance(a.node, Column)):
        distinct = np.unique(values[column])
        if column in factors:
            hint = (
                f"{column} is a grouping factor and, among the columns, a number. For its levels write "
                f"C({written(column)})."
            )
        elif _FEW_VALUES[0] <= len(distinct) <= _FEW_VALUES[1] and np.all(distinct == np.floor(distinct)):
            shown = ", ".join(f"{value:g}" for value in distinct)
            hint = (
                f"{column} has the values {shown} only and is read as a number: one slope from each to the next. If "
                f"they are codes of categories, write C({written(column)})."
            )
        else:
            continue
        verdicts.append(
            Verdict(
                name="number or category",
                status="warn",
                value=len(distinct),
                threshold=_FEW_VALUES[1],
                hint=hint,
                subject=column,
            )
        )
    return verdicts


def check_slopes(design: Design) -> list[Verdict]:
    """A warning for each column that varies and has no common coefficient: its mean over levels is held at 0."""
    verdicts = []
    own = iter(design.own)
    for term in design.terms:
        for name in term.names:
            parts = design.encode.parts_of(name)
            if next(own) < 0 and parts and not parts[0].whole:
                hint = (
                    f"{name} varies by {term.factor.name} and has no common coefficient: its mean over the levels is "
                    f"held at 0. To learn it, add {':'.join(part.written for part in parts)} to the formula outside "
                    "the brackets, or to the predictors."
                )
                verdicts.append(
                    Verdict(
                        name="slope without a mean", status="warn", value=None, threshold=None, hint=hint, subject=name
                    )
                )
    return verdicts


def check_common_groups(common: Sequence[Coded], design: Design) -> list[Verdict]:
    """A warning for each factor whose intercept varies and whose levels have common coefficients too."""
    categories = {atom.column for atom in common if isinstance(atom, Levels)}
    varying = dict.fromkeys(term.factor.name for term in design.terms if INTERCEPT in term.names)
    return [
        Verdict(
            name="group among the columns", status="warn", value=None, threshold=None,
            hint=f"{name} is a category among the columns, and its intercept varies: the data cannot tell the common "
            f"coefficients of its levels from what varies between them; priors decide. Leave one of the two out.",
            subject=name,
        )
        for name in varying
        if name in categories
    ]  # fmt: skip


def check_single_trials(design: Design, outcome: FloatArray | None, trials: FloatArray | None) -> list[Verdict]:
    """A warning where outcomes are 0 and 1 and a factor has one row a level: only the prior holds its sd."""
    if outcome is None or trials is None or np.max(trials) > 1:
        return []
    return [
        Verdict(
            name="one row a level", status="warn", value=len(factor.labels),
            hint=f"{factor.name} has one row of 0 or 1 a level: nothing in the data tells how much its levels differ; "
            "the prior of its sd decides.",
            subject=factor.name,
        )
        for factor in design.factors
        if len(factor.labels) == len(factor.level)
    ]  # fmt: skip


def relations(factors: Sequence[Factor]) -> list[str]:
    """Sentences on how each two factors lie, but for a and a:b: one inside the other, or crossed; labels that recur."""
    pairs = itertools.combinations(factors, 2)
    return [_relation(a, b) for a, b in pairs if a.columns != b.columns[: len(a.columns)]]


def _relation(a: Factor, b: Factor) -> str:
    for inner, outer in ((a, b), (b, a)):
        if is_inside(inner, outer):
            return (
                f"{inner.name} lies inside {outer.name}: each of its {len(inner.labels):,} levels occurs in one level "
                f"of {outer.name} (nested)."
            )
    fewer, more = sorted((a, b), key=lambda factor: len(factor.labels))
    homes, guests = _homes(fewer, more), _homes(more, fewer)
    if homes.min() == len(more.labels):
        all_of = f"{len(fewer.labels):,} levels of {fewer.name} occur in all {len(more.labels):,} levels of {more.name}"
        return f"{all_of}: crossed. {_if_reused(fewer, more)}"
    recurring, of = (homes, fewer) if np.mean(homes > 1) >= np.mean(guests > 1) else (guests, more)
    other = more if of is fewer else fewer
    return (
        f"{int(np.sum(recurring > 1)):,} of {len(of.labels):,} levels of {of.name} occur in several levels of "
        f"{other.name}: crossed. {_if_reused(of, other)}"
    )


def _if_reused(inner: Factor, outer: Factor) -> str:
    return (
        f"If {inner.name} {shorten(inner.labels[0])!r} of one level of {outer.name} is another than that of the next, "
        f"write (1 | {outer.name}/{inner.name})."
    )


def _homes(a: Factor, b: Factor) -> npt.NDArray[np.int64]:
    """In how many levels of b each level of a occurs."""
    pairs = np.unique(a.level * len(b.labels) + b.level)
    return np.bincount(pairs // len(b.labels), minlength=len(a.labels))


def refuse_empty_columns(where: str, term: Term) -> None:
    """Raise DataError for a column that varies and is 0 in every row."""
    for name, column in zip(term.names, term.columns.T, strict=True):
        if name != INTERCEPT and not np.any(column):
            raise DataError(
                f"{where}: {name!r}, which varies by {term.factor.name!r}, is 0 in every row. Leave it out."
            )
