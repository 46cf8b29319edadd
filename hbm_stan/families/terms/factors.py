"""Which factors of a formula's model lie in each other, and in which order their coefficients are integrated out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.families.terms.effects import Term, factor_of
from hbm_stan.integrate.structure import IntArray, Level
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray


@dataclass(frozen=True)
class Grouping:
    """All terms of one factor together: their columns side by side."""

    terms: tuple[Term, ...]
    level: Level

    @property
    def pooled(self) -> bool:
        """Whether the factor is the group."""
        return self.terms[0].pooled

    @property
    def coefficients(self) -> int:
        """The number of coefficients, all levels together."""
        return self.level.size * self.level.width

    def of_rows(self, rows: IntArray) -> Grouping:
        """The same for some rows, with the levels that these have, counted anew."""
        present, level = np.unique(self.level.level[rows], return_inverse=True)
        return replace(self, level=Level(self.level.columns[rows], level, len(present)))

    def factor(self, draws: Draws, data: StanData) -> FloatArray:
        """A matrix A of all its columns, A A' their covariance, (S, K, K): terms are independent of each other."""
        parts = [factor_of(term, draws, data) for term in self.terms]
        matrix, start = np.zeros((len(parts[0]), self.level.width, self.level.width)), 0
        for part in parts:
            stop = start + part.shape[1]
            matrix[:, start:stop, start:stop] = part
            start = stop
        return matrix


def groupings(terms: Sequence[Term]) -> list[Grouping]:
    """The terms by factor: two terms are of one factor where every row has the same level in both."""
    by_factor: list[list[Term]] = []
    for term in terms:
        same = (own for own in by_factor if own[0].pooled == term.pooled and _equal(own[0].level, term.level))
        own = next(same, None)
        if own is None:
            by_factor.append([term])
        else:
            own.append(term)
    columns = (np.hstack([term.level.columns for term in own]) for own in by_factor)
    return [
        Grouping(tuple(own), Level(x, own[0].level.level, own[0].level.size))
        for own, x in zip(by_factor, columns, strict=True)
    ]


def _equal(a: Level, b: Level) -> bool:
    return a.size == b.size and np.array_equal(a.level, b.level)


def is_inside(a: IntArray, b: IntArray) -> bool:
    """Whether every level of a (N,) occurs in one level of b only."""
    return len(np.unique(np.column_stack([a, b]), axis=0)) == len(np.unique(a))


def inside_group(factors: Sequence[Grouping], group: IntArray) -> tuple[list[Grouping], list[Grouping]]:
    """The factors whose levels lie inside a group, the group included, and the others."""
    split: tuple[list[Grouping], list[Grouping]] = ([], [])
    for grouping in factors:
        split[0 if grouping.pooled or is_inside(grouping.level.level, group) else 1].append(grouping)
    return split


def in_order(factors: Sequence[Grouping]) -> tuple[list[Grouping], list[Grouping]]:
    """Factors of which each lies in the next, from that with the most coefficients on, and those crossed with them.

    The group stands last among equals: it may lie in a factor that has the same levels.
    """
    chain: list[Grouping] = []
    crossed: list[Grouping] = []
    for grouping in sorted(factors, key=lambda g: (-g.level.size, g.pooled, -g.coefficients)):
        fits = not chain or is_inside(chain[-1].level.level, grouping.level.level)
        (chain if fits else crossed).append(grouping)
    return chain, crossed
