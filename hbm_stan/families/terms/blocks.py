"""Which coefficients a normal model integrates out block by block, and which ones afterwards, all together.

The levels of one factor are blocks. The coefficients of a block and of the levels inside it are local: rows of another
block do not know them. Those of all other terms are crossed. log densities then cost what ``_cost`` says.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.design import Design, Factor, is_inside
from hbm_stan.encoding import IntArray
from hbm_stan.errors import DataError

# Crossed coefficients that a program takes: their covariance is factorised at each gradient, 300^3 / 3 products (ours).
MOST_CROSSED = 300
# A block of more than two local coefficients is worked out by itself, which costs so many times as much for each
# product as all blocks at once (ours).
_ALONE = 20.0
_AT_ONCE = 2  # local coefficients of a block up to which all blocks are worked out at once
# Numbers that a program may hold of sums of products: 0.8 GB for each chain (ours).
_MOST_PRODUCTS = 10**8


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """The blocks of a design: ``block`` (N,) of each row, 0-based; ``crossed`` (T,) by term; ``place`` (T, N), where
    a row's coefficients of a term begin among the local ones of its block or among the crossed ones; ``local_term``
    (B, V), the term of each local coefficient, -1 from the first that is none; ``n_crossed`` coefficients."""

    factor: Factor
    block: IntArray
    crossed: IntArray
    place: IntArray
    local_term: IntArray
    n_crossed: int


def blocks_of(design: Design, where: str) -> Blocks:
    """The blocks with the quickest density; raises DataError where every factor leaves too many coefficients."""
    possible = [factor for factor in design.factors if n_crossed(design, factor) <= MOST_CROSSED]
    if not possible:
        raise DataError(
            f"{where}: {too_many(design)}. Leave a factor out, combine levels that have few rows, or take the "
            "likelihood whose name ends in _sampled."
        )
    blocks = min((_blocks(design, factor) for factor in possible), key=_cost)
    _refuse_too_much(design, blocks, where)
    return blocks


def too_many(design: Design) -> str:
    """That too many coefficients are left to be integrated out all together, in words; empty where they are not."""
    least = min((n_crossed(design, factor) for factor in design.factors), default=0)
    if least <= MOST_CROSSED:
        return ""
    levels = ", ".join(f"{factor.name} ({len(factor.labels):,} levels)" for factor in design.factors)
    return (
        f"{levels} are crossed, so that with one of them integrated out {least:,} coefficients of the others are left, "
        f"and {MOST_CROSSED} can be integrated out together at most"
    )


def n_crossed(design: Design, blocks: Factor) -> int:
    """How many coefficients are crossed where the levels of this factor are the blocks."""
    return sum(term.size for term in design.terms if not is_inside(term.factor, blocks))


def _blocks(design: Design, factor: Factor) -> Blocks:
    crossed = np.array([not is_inside(term.factor, factor) for term in design.terms])
    place = np.zeros((len(crossed), len(factor.level)), dtype=np.int64)
    local: list[list[int]] = [[] for _ in factor.labels]
    taken = 0
    for t, term in enumerate(design.terms):
        width, level = len(term.names), term.factor.level
        if crossed[t]:
            place[t] = taken + width * level
            taken += term.size
            continue
        first = np.zeros(len(term.factor.labels), dtype=np.int64)
        for inner, block in sorted(set(zip(level.tolist(), factor.level.tolist(), strict=True))):
            first[inner] = len(local[block])
            local[block] += [t] * width
        place[t] = first[level]
    most = max(map(len, local))
    local_term = np.array([own + [-1] * (most - len(own)) for own in local])
    return Blocks(
        factor=factor, block=factor.level, crossed=crossed.astype(np.int64), place=place, local_term=local_term,
        n_crossed=taken,
    )  # fmt: skip


def _cost(blocks: Blocks) -> float:
    """Products of numbers in a log density, nearly, those that are slower counted accordingly."""
    local = (blocks.local_term >= 0).sum(axis=1).astype(float)
    alone = _ALONE * float(np.sum(local**3)) if local.max() > _AT_ONCE else 0.0
    return alone + float(local.sum()) * (1 + blocks.n_crossed) ** 2 + blocks.n_crossed**3


def _refuse_too_much(design: Design, blocks: Blocks, where: str) -> None:
    n_blocks, most = blocks.local_term.shape
    width = most + blocks.n_crossed + design.X.shape[1] + 1
    if n_blocks * most * width > _MOST_PRODUCTS:
        raise DataError(
            f"{where}: {n_blocks:,} levels of {blocks.factor.name}, each with up to {most:,} coefficients of its own, "
            f"and {blocks.n_crossed:,} crossed ones need {8 * n_blocks * most * width / 2**30:.1f} GiB for each chain; "
            f"the limit is {8 * _MOST_PRODUCTS / 2**30:.1f} GiB. Leave a factor out, or combine levels that have few "
            "rows."
        )
