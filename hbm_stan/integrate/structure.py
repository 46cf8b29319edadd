"""Factors whose levels have coefficients of their own, and the sums over rows that eliminating these needs.

Nothing of the size rows x levels is ever made.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    from scipy import sparse
else:
    from hbm_stan.later import sparse

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """Coefficients of ``columns`` (N, K) that differ between ``size`` levels of a factor, ``level`` of rows (N,)."""

    columns: FloatArray
    level: IntArray
    size: int

    @property
    def width(self) -> int:
        """The number of columns, K."""
        return int(self.columns.shape[1])

    def of_rows(self, rows: IntArray) -> Level:
        """The same for some rows, levels counted as before."""
        return Level(self.columns[rows], self.level[rows], self.size)

    def rows(self, coefficients: FloatArray) -> FloatArray:
        """Their part of each row's linear predictor, (S, N), from coefficients (S, size, K)."""
        level = self.level
        if len(level) < self.size:  # of few rows: NumPy would copy the coefficients of all levels, and for each column
            taken, level = np.unique(level, return_inverse=True)
            coefficients = coefficients[:, taken]
        total = np.zeros((len(coefficients), len(level)))
        for k in range(self.width):
            total += np.take(coefficients[:, :, k], level, axis=1) * self.columns[:, k]
        return total


@dataclass(frozen=True, kw_only=True)
class Structure:
    """Factors of which each lies in the next (``chain``), and ``crossed`` ones; what sums of rows each of them needs.

    ``root`` (N,) is what results are given by: a part of the rows that shares no coefficient with others.
    ``parents[f][g]`` is the level of chain[g] that a level of chain[f] lies in, ``roots[f]`` its root.
    """

    chain: tuple[Level, ...]
    crossed: tuple[Level, ...]
    root: IntArray
    n_roots: int
    parents: tuple[dict[int, IntArray], ...]
    roots: tuple[IntArray, ...]
    products: tuple[Any, ...]  # sparse: weights of rows -> Z_f' W (Z_f, those after f, crossed)
    columns: tuple[Any, ...]  # sparse: values of rows -> Z_f' values
    crossed_products: Any
    crossed_columns: Any

    @property
    def n_crossed(self) -> int:
        """The number of crossed coefficients, all levels together."""
        return sum(level.size * level.width for level in self.crossed)

    @property
    def cost(self) -> int:
        """Numbers that one draw needs at a time."""
        by_factor = (level.size * level.width * (m.shape[0] // (level.size * level.width) + 1)
                     for level, m in zip(self.chain, self.products, strict=True))  # fmt: skip
        return int(len(self.root) + sum(by_factor) + 2 * self.n_crossed**2)


def _home(level: Level, index: IntArray) -> IntArray:
    home = np.zeros(level.size, dtype=np.int64)
    home[level.level] = index
    return home


def _positions(levels: Sequence[Level]) -> tuple[IntArray, FloatArray]:
    """The place of each row's coefficients, all levels of all factors side by side, and its columns, (N, sum K)."""
    places, start = [], 0
    for level in levels:
        places.append(start + level.level[:, None] * level.width + np.arange(level.width))
        start += level.size * level.width
    n = len(levels[0].level)
    return np.hstack([np.empty((n, 0), dtype=np.int64), *places]), np.hstack([level.columns for level in levels])


def _sums(places: IntArray, values: FloatArray, size: int) -> Any:
    """A matrix that adds up values of rows times ``values`` (N, C) at their ``places``, (size, N)."""
    rows = np.repeat(np.arange(len(places)), places.shape[1])
    return sparse.csr_matrix((values.ravel(), (places.ravel(), rows)), shape=(size, len(places)))


def _product_sums(own: Level, after: Sequence[Level], crossed: Sequence[Level]) -> Any:
    """Weights of rows -> products of own columns with own ones, those of the chain after it, and crossed ones."""
    n, inner = len(own.level), [own, *after]
    own_places, _ = _positions([own])
    offsets = np.cumsum([0, *(level.width for level in inner)])
    spread = [np.tile(np.arange(a, b), (n, 1)) for a, b in itertools.pairwise(offsets)]
    values = [level.columns for level in inner]
    if crossed:
        places, columns = _positions(crossed)
        spread.append(offsets[-1] + places)
        values.append(columns)
    other, columns = np.hstack(spread), np.hstack(values)
    width = int(offsets[-1]) + sum(level.size * level.width for level in crossed)
    places = own_places[:, :, None] * width + other[:, None, :]
    products = own.columns[:, :, None] * columns[:, None, :]
    return _sums(places.reshape(n, -1), products.reshape(n, -1), own.size * own.width * width)


def structure(chain: Sequence[Level], crossed: Sequence[Level], root: IntArray, n_roots: int) -> Structure:
    """The structure of these factors: each of the chain lies in the next; with crossed ones there is one root."""
    parents = tuple({g: _home(a, chain[g].level) for g in range(f + 1, len(chain))} for f, a in enumerate(chain))
    total = sum(level.size * level.width for level in crossed)
    places, columns = _positions(crossed) if crossed else (np.empty((len(root), 0), np.int64), np.empty((len(root), 0)))
    width = columns.shape[1] ** 2
    pairs = (places[:, :, None] * total + places[:, None, :]).reshape(len(root), width)
    products = (columns[:, :, None] * columns[:, None, :]).reshape(len(root), width)
    return Structure(
        chain=tuple(chain), crossed=tuple(crossed), root=root, n_roots=n_roots, parents=parents,
        roots=tuple(_home(level, root) for level in chain),
        products=tuple(_product_sums(level, chain[f + 1 :], crossed) for f, level in enumerate(chain)),
        columns=tuple(_sums(*_positions([level]), level.size * level.width) for level in chain),
        crossed_products=_sums(pairs, products, total * total),
        crossed_columns=_sums(places, columns, total),
    )  # fmt: skip


def sum_by(values: FloatArray, index: IntArray, size: int) -> FloatArray:
    """Sums of values (S, L, ...) over the second dimension by ``index`` (L,), (S, size, ...)."""
    if size == 1:
        return np.asarray(values.sum(axis=1, keepdims=True))
    total = np.zeros((len(values), size, *values.shape[2:]))
    if len(index):
        order, present, starts = in_groups(index)
        total[:, present] = np.add.reduceat(values if order is None else values[:, order], starts, axis=1)
    return total


def in_groups(index: IntArray) -> tuple[IntArray | None, IntArray, IntArray]:
    """The order that brings equal values of ``index`` together (None: they are), which there are, where each starts."""
    order = None if (index[1:] >= index[:-1]).all() else np.argsort(index, kind="stable")
    ordered = index if order is None else index[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    return order, ordered[starts], starts
