"""Factors, the terms whose coefficients vary between their levels, and common columns: a model's structure as data.

Knows no likelihood and no formula. Columns are centred at their means, so that the intercept is the one in the middle
of the data whatever the origin of a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.encoding import OFFSET, Encode, IntArray, NewRows, Usual, side_by_side
from hbm_stan.errors import DataError, nearest
from hbm_stan.levels import index_levels
from hbm_stan.predictors import INTERCEPT
from hbm_stan.table import FloatArray

# Between the label of an outer level and that of an inner one.
_WITHIN = ": "


@dataclass(frozen=True)
class Factor:
    """A grouping of the rows: ``labels`` of its levels in order of appearance, 0-based ``level`` of each row (N,).

    ``columns`` are those of the table that it is made of, the inner ones last.
    """

    name: str
    labels: tuple[str, ...]
    level: IntArray
    columns: tuple[str, ...]

    @property
    def sizes(self) -> IntArray:
        """How many rows each level has, shape (levels,)."""
        return np.bincount(self.level, minlength=len(self.labels))

    @property
    def row_labels(self) -> list[str]:
        """The label of each row's level."""
        return [self.labels[j] for j in self.level]

    def of_rows(self, rows: IntArray) -> Factor:
        """The same factor of some rows: levels without a row go, the others keep their order."""
        present, level = np.unique(self.level[rows], return_inverse=True)
        return replace(self, labels=tuple(self.labels[j] for j in present), level=level)

    def twice(self) -> Factor:
        """The same factor with every row again, of the same levels."""
        return replace(self, level=np.tile(self.level, 2))


@dataclass(frozen=True)
class Term:
    """Coefficients that vary between the levels of a factor: those of ``columns`` (N, K), named ``names``.

    ``correlated`` says whether their deviations have correlations; of one column they never do.
    """

    factor: Factor
    names: tuple[str, ...]
    columns: FloatArray
    correlated: bool

    @property
    def size(self) -> int:
        """How many coefficients the term has, all levels together."""
        return len(self.names) * len(self.factor.labels)


@dataclass(frozen=True)
class Columns:
    """Columns ``X`` (N, Q) called ``names``, centred by ``means`` (Q,)."""

    names: tuple[str, ...]
    X: FloatArray
    means: FloatArray

    @classmethod
    def of(cls, columns: Mapping[str, npt.ArrayLike], n: int, centre: bool) -> Columns:
        """These columns of n rows by name; with ``centre`` and an intercept every other one loses its mean."""
        names = tuple(columns)
        raw = side_by_side(list(columns.values()), n)
        centred = centre and INTERCEPT in names
        means = raw.mean(axis=0) * (np.array(names) != INTERCEPT) if centred else np.zeros(len(names))
        return cls(names, raw - means, means)

    def of_rows(self, rows: IntArray) -> Columns:
        """The same of some rows, centred as before."""
        return replace(self, X=self.X[rows])


@dataclass(frozen=True, kw_only=True)
class Design:
    """Common columns ``X`` (N, P) called ``names``, varying ``terms`` (those of the factor that is pooled first), and
    ``offset`` (N,), a known part of the linear predictor.

    ``means`` (P,) and ``term_means`` (sum K,) are what was taken off the columns of X and of the terms side by side.
    ``encode`` gives the columns of a new row, not centred, by name. ``beside`` has the columns of a likelihood's own
    parameters, by parameter.
    """

    names: tuple[str, ...]
    X: FloatArray
    means: FloatArray
    terms: tuple[Term, ...]
    term_means: FloatArray
    offset: FloatArray
    encode: Encode = field(repr=False)
    beside: Mapping[str, Columns] = field(default_factory=dict)

    @property
    def pooled(self) -> Factor:
        """The factor whose pooling is asked."""
        return self.terms[0].factor

    @property
    def n_group_terms(self) -> int:
        """How many of the terms, the first ones, are of the factor that is pooled."""
        return sum(term.factor.name == self.pooled.name for term in self.terms)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Each factor once, the one that is pooled first."""
        return tuple({term.factor.name: term.factor for term in self.terms}.values())

    @property
    def Z(self) -> FloatArray:  # noqa: N802 (the field's letter, as X)
        """The columns of all terms side by side, (N, sum K)."""
        return np.hstack([term.columns for term in self.terms])

    @property
    def own(self) -> IntArray:
        """Of each column of the terms, side by side, the 0-based column of X that it is; -1 where it is none."""
        return np.array([self.names.index(n) if n in self.names else -1 for t in self.terms for n in t.names])

    def without_intercept(self) -> Design:
        """The same columns, centred as they are, without a common intercept: something else stands in its place."""
        columns = [k for k, name in enumerate(self.names) if name != INTERCEPT]
        names = tuple(self.names[k] for k in columns)
        return replace(self, names=names, X=self.X[:, columns], means=self.means[columns])

    def row(self, values: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
        """X (P,) and Z (sum K,) of a new row; what is not named is at its mean or its reference level."""
        columns = self.encode(values)
        x = np.array([columns[name] for name in self.names]) - self.means
        z = np.array([columns[name] for term in self.terms for name in term.names]) - self.term_means
        return x, z

    def rows(self, values: Mapping[str, npt.NDArray[Any]], n: int) -> NewRows:
        """What n new rows are, centred as the rows of the design; ``values`` as ``encode.rows`` takes them."""
        columns = self.encode.rows(values, n)
        z = [columns[name] for term in self.terms for name in term.names]
        return NewRows(
            X=side_by_side([columns[name] for name in self.names], n) - self.means,
            Z=side_by_side(z, n) - self.term_means,
            offset=np.asarray(columns.get(OFFSET, np.zeros(n)), dtype=float),
            beside={p: side_by_side([columns[c] for c in own.names], n) - own.means for p, own in self.beside.items()},
        )

    def beside_row(self, values: Mapping[str, Any]) -> dict[str, FloatArray]:
        """The columns of own parameters of a new row, (Q,) each, by parameter."""
        columns = self.encode(values)
        return {name: np.array([columns[n] for n in own.names]) - own.means for name, own in self.beside.items()}

    def new_offset(self, values: Mapping[str, Any]) -> float:
        """The offset of a new row, 0 where there is none."""
        return self.encode(values).get(OFFSET, 0.0)

    def without(self, rows: npt.ArrayLike) -> Design:
        """The same design without some rows (counted from 0): centred as before, levels without a row go."""
        rest = np.delete(np.arange(len(self.X)), np.asarray(rows, dtype=np.int64))
        factors = {factor.name: factor.of_rows(rest) for factor in self.factors}
        terms = tuple(replace(t, factor=factors[t.factor.name], columns=t.columns[rest]) for t in self.terms)
        return replace(self, X=self.X[rest], offset=self.offset[rest], terms=terms, beside=self._beside_of(rest))

    def twice(self) -> Design:
        """The same design with every row again, of the same levels: centred as before."""
        again = {factor.name: factor.twice() for factor in self.factors}
        terms = tuple(replace(t, factor=again[t.factor.name], columns=np.tile(t.columns, (2, 1))) for t in self.terms)
        beside = self._beside_of(np.tile(np.arange(len(self.X)), 2))
        return replace(self, X=np.tile(self.X, (2, 1)), offset=np.tile(self.offset, 2), terms=terms, beside=beside)

    def _beside_of(self, rows: IntArray) -> dict[str, Columns]:
        return {name: own.of_rows(rows) for name, own in self.beside.items()}

    def inside(self, a: Factor | str, b: Factor | str) -> bool:
        """Whether every level of factor a occurs in one level of factor b only."""
        by_name = {factor.name: factor for factor in self.factors}
        first, second = (by_name[f] if isinstance(f, str) else f for f in (a, b))
        return is_inside(first, second)


def make_factor(name: str, labels_of_rows: Sequence[str]) -> Factor:
    """The factor with these labels, one for each row."""
    return Factor(name, *index_levels(labels_of_rows), (name,))


def nested(outer: Factor, inner: Factor) -> Factor:
    """The levels of the inner factor within those of the outer one, called ``outer:inner`` and labelled ``a: b``.

    Equal labels of the inner factor in two levels of the outer one are two levels.
    """
    width = len(inner.labels)
    pairs, first, level = np.unique(outer.level * width + inner.level, return_index=True, return_inverse=True)
    order = np.argsort(first)
    named = [(outer.labels[pair // width], inner.labels[pair % width]) for pair in pairs[order]]
    labels = tuple(_WITHIN.join(pair) for pair in named)
    if len(set(labels)) < len(labels):  # "a: b" with "c" and "a" with "b: c"
        labels = tuple(_WITHIN.join(map(repr, pair)) for pair in named)
    columns = (*outer.columns, *inner.columns)
    return Factor(f"{outer.name}:{inner.name}", labels, np.argsort(order)[level], columns)


def is_inside(a: Factor, b: Factor) -> bool:
    """Whether every level of factor a occurs in one level of factor b only."""
    home = np.zeros(len(a.labels), dtype=np.int64)
    home[a.level] = b.level
    return bool(np.all(home[a.level] == b.level))


def make_design(
    common: Mapping[str, npt.ArrayLike],
    terms: Sequence[Term],
    *,
    group: str = "",
    offset: npt.ArrayLike | None = None,
    centre: bool = True,
    encode: Encode | None = None,
) -> Design:
    """The design of these common columns, by name, and terms, whose columns are as they were read.

    ``group`` names the factor that is pooled (the first term's by default): its terms are put first. A column of ones
    called intercept is the intercept. With ``centre`` and an intercept every other column of X loses its mean; a column
    of a term loses the same where it is one of X, else its own where its factor has a varying intercept.
    """
    if not terms:
        raise DataError("A design needs a term: one factor at least, between whose levels a coefficient varies.")
    n = len(terms[0].factor.level)
    columns = Columns.of(common, n, centre)
    ordered = _group_first(terms, group)
    _refuse_twice(ordered)
    taken = dict(zip(columns.names, columns.means, strict=True))
    off = [_term_means(term, taken, _varying_intercepts(ordered), centre) for term in ordered]
    centred_terms = tuple(
        Term(t.factor, t.names, np.asarray(t.columns, dtype=float) - m, t.correlated and len(t.names) > 1)
        for t, m in zip(ordered, off, strict=True)
    )
    known = np.zeros(n) if offset is None else np.array(offset, dtype=float)
    return Design(
        names=columns.names, X=columns.X, means=columns.means, terms=centred_terms, term_means=np.concatenate(off),
        offset=known, encode=encode or Usual(_column_means(common, ordered)),
    )  # fmt: skip


def _group_first(terms: Sequence[Term], group: str) -> list[Term]:
    """The terms of the pooled factor, then the others, each in their order, those of one factor together."""
    factors = list(dict.fromkeys(term.factor.name for term in terms))
    pooled = group or factors[0]
    if pooled not in factors:
        raise DataError(f"There is no grouping factor {pooled!r}. {nearest(pooled, factors)}")
    place = {name: i for i, name in enumerate([pooled, *(f for f in factors if f != pooled)])}
    return sorted(terms, key=lambda term: place[term.factor.name])


def _refuse_twice(terms: Sequence[Term]) -> None:
    """Raise DataError where a coefficient varies twice between the levels of one factor."""
    seen: set[tuple[str, str]] = set()
    for term in terms:
        for name in term.names:
            if (term.factor.name, name) in seen:
                raise DataError(f"{name!r} varies by {term.factor.name!r} in two terms. Name it in one of them.")
            seen.add((term.factor.name, name))


def _varying_intercepts(terms: Sequence[Term]) -> set[str]:
    """The factors with a varying intercept."""
    return {term.factor.name for term in terms if INTERCEPT in term.names}


def _term_means(term: Term, taken: Mapping[str, float], with_intercept: set[str], centre: bool) -> FloatArray:
    """What is taken off each column of a term, (K,)."""
    own = np.asarray(term.columns, dtype=float).mean(axis=0)
    alone = centre and term.factor.name in with_intercept
    means = [
        0.0 if name == INTERCEPT else taken[name] if name in taken else float(mean) if alone else 0.0
        for name, mean in zip(term.names, own, strict=True)
    ]
    return np.array(means)


def _column_means(common: Mapping[str, npt.ArrayLike], terms: Sequence[Term]) -> dict[str, float]:
    means = {name: float(np.mean(column)) for t in terms for name, column in zip(t.names, t.columns.T, strict=True)}
    return means | {name: float(np.mean(np.asarray(column))) for name, column in common.items()}
