"""The integral of any likelihood over the coefficients of nested factors: adaptive Gauss-Hermite, or Laplace's method.

One integral for all: it needs the score and the weight of a row. Levels and draws are taken side by side.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hbm_stan.integrate.elimination import backward, scaled
from hbm_stan.integrate.mode import Integrand, Mode, find_mode, find_modes, log_share
from hbm_stan.integrate.structure import IntArray, Level, Structure, structure, sum_by
from hbm_stan.table import FloatArray

__all__ = ["Integrand", "Mode", "find_mode"]

# Nodes in each direction of a level's integral, by its dimension; one node, in more dimensions, is Laplace's method.
NODES = {1: 21, 2: 9, 3: 5}
MOST_FINER = 7  # directions that three nodes each are taken in: 2,187 in all
_CHUNK = 60_000  # values at a time


def usual_nodes(size: int) -> int:
    """The nodes in each direction where a level has so many."""
    return NODES.get(size, 1)


def finer_nodes(size: int) -> int:
    """Twice as many, three for Laplace's one."""
    return 2 * NODES[size] if size in NODES else 3


def log_laplace(s: Structure, factors: Sequence[FloatArray], given: Integrand) -> FloatArray:
    """log of the integral over all coefficients by Laplace's method, by root, (S, roots); without rows' constants."""
    mode = find_mode(s, factors, given)
    total = (
        sum_by(given.at(mode.eta, np.arange(len(mode.eta))).log_p(), s.root, s.n_roots) - mode.eliminated.log_det / 2
    )
    for i, e in enumerate(mode.coefficients):
        home = s.roots[i] if i < len(s.chain) else np.zeros(e.shape[1], dtype=np.int64)
        total -= sum_by((e**2).sum(axis=2), home, s.n_roots) / 2
    return total


@dataclass(frozen=True)
class Nested:
    """Factors of which each lies in the next, with the structures of the integrals over them, innermost first."""

    chain: tuple[Level, ...]
    structures: tuple[Structure, ...]

    @classmethod
    def of(cls, chain: Sequence[Level]) -> Nested:
        """With the structures of the chain up to each of its factors."""
        structures = (structure(chain[: f + 1], (), level.level, level.size) for f, level in enumerate(chain))
        return cls(tuple(chain), tuple(structures))


def log_integral(
    nested: Nested, factors: Sequence[FloatArray], given: Integrand, nodes: Callable[[int], int]
) -> FloatArray:
    """log of the integral over the coefficients of all factors, by level of the last one, (S, levels).

    Without rows' constants. Nodes are placed about the maximum by the curvature there (Pinheiro & Bates 1995, Journal
    of Computational and Graphical Statistics 4:12, section 2.4); those of the factors inside anew for each of them.
    Where there may be several maxima, about each of them for its share.
    ``nodes`` is their number in each direction, by the number of directions. No factor at all gives rows.
    """
    pieces = []
    for part in parts(len(given.eta), given.eta.shape[1]):
        own = [f[part] for f in factors]
        pieces.append(_by_level(nested, len(nested.chain), own, given.at(given.eta[part], part), nodes))
    return np.concatenate(pieces)


def parts(draws: int, cost: int) -> Iterator[IntArray]:
    """Draws, or nodes, so many at a time that what each costs fits."""
    yield from np.array_split(np.arange(draws), max(1, min(draws, math.ceil(draws * cost / _CHUNK))))


def _by_level(
    nested: Nested, depth: int, factors: Sequence[FloatArray], given: Integrand, nodes: Callable[[int], int]
) -> FloatArray:
    if not depth:
        return given.log_p()
    modes = find_modes(nested.structures[depth - 1], factors[:depth], given, finer=nodes(1) > usual_nodes(1))
    about = [_about(nested, depth, factors, given, nodes, modes, m) for m in range(len(modes))]
    top = np.max(about, axis=0)
    return np.asarray(top + np.log(np.exp(np.array(about) - top).sum(axis=0)))


def _about(
    nested: Nested, depth: int, factors: Sequence[FloatArray], given: Integrand, nodes: Callable[[int], int],
    modes: Sequence[Mode], m: int,
) -> FloatArray:  # fmt: skip
    """log of the share of a level's integral that one of its modes has, by nodes about that, (S, levels)."""
    s, outer, factor = nested.structures[depth - 1], nested.chain[depth - 1], factors[depth - 1]
    root, centre = modes[m].eliminated.steps[-1].root, modes[m].coefficients[-1]
    inner = s.parents[depth - 2][depth - 1] if depth > 1 else outer.level
    points, log_weights = grid(nodes(factor.shape[2]), factor.shape[2])
    draws, blocks = len(given.eta), []
    for part in parts(len(points), given.eta.size):
        at = centre[None] + backward(root[None], points[part][:, None, None, :, None])[..., 0]
        # Not -1: where nothing varies, as with complete pooling, coefficients have no elements to count by.
        flat = at.reshape(len(part) * draws, *centre.shape[1:])
        draw = np.tile(np.arange(draws), len(part))
        eta = given.eta[draw] + outer.rows(scaled(factor[draw], flat))
        values = _by_level(nested, depth - 1, [f[draw] for f in factors], given.at(eta, draw), nodes)
        values = sum_by(values, inner, outer.size) - (flat**2).sum(axis=2) / 2
        values = values.reshape(len(part), draws, outer.size) + log_share(modes, m, at)
        blocks.append(values + log_weights[part, None, None])
    terms = np.concatenate(blocks)
    top = terms.max(axis=0)
    log_root = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    return np.asarray(top + np.log(np.exp(terms - top).sum(axis=0)) - log_root)


def grid(count: int, size: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Hermite nodes in every direction (P, V), and the logarithms of weights over standard normal densities."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    log_weights = np.log(weights) - math.log(2 * math.pi) / 2 + nodes**2 / 2
    each = [np.array(list(itertools.product(a, repeat=size))).reshape(count**size, size) for a in (nodes, log_weights)]
    return each[0], each[1].sum(axis=1)
