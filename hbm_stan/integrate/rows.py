"""The density of a row given the other rows of its level, by quadrature over the level's coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.integrate import Nested, grid, log_integral, parts
from hbm_stan.integrate.elimination import backward, scaled
from hbm_stan.integrate.leverage import predict_rows
from hbm_stan.integrate.mode import Integrand, Mode, find_modes, log_share
from hbm_stan.integrate.structure import IntArray, Level, Structure, structure, sum_by
from hbm_stan.likelihoods.likelihood import Rows, some_rows
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray

# Leverage up to which nodes about the maximum with the row serve for the integral without it: with leverage h the error
# of n nodes is about (h / (1 - h))^n. Up to this error they do, and up to this leverage whatever the nodes (ours; on
# sleepstudy's Student-t lines the mean over draws of a row moves by 0.007 at most). Other rows, few in any level as
# leverages add up to its number of coefficients, have an integral of their own.
_CLOSE, _NEVER_DECISIVE = 5e-3, 0.2
_ROWS = 20_000  # rows of whole levels that are worked on together (ours)


def log_rows_given_others(
    level: Level, factor: FloatArray, given: Integrand, nodes: Callable[[int], int]
) -> FloatArray:
    """log p(y_n | the other rows of its level), (S, N), without rows' constants; ``factor`` (S, K, V).

    Levels are worked on some at a time, side by side.
    """
    order = np.argsort(level.level, kind="stable")
    blocks = [_block(level, rows, given) for rows in _whole_levels(level, order, given)]
    log_densities = np.empty(given.eta.shape)
    pieces = [(part, block) for part in parts(*given.eta.shape) for block in blocks]

    def work(piece: tuple[IntArray, _Block]) -> None:
        part, block = piece
        with np.errstate(all="ignore"):
            log_densities[np.ix_(part, block.rows)] = _of_levels(block, factor[part], given, part, nodes)

    if len(pieces) == 1:
        work(pieces[0])
        return log_densities
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, pieces))
    return log_densities


@dataclass(frozen=True)
class _Block:
    """Some levels, all rows of each, in the order of the levels: their places in the table, their data."""

    rows: IntArray
    level: Level
    structure: Structure
    data: Rows


def _whole_levels(level: Level, order: IntArray, given: Integrand) -> list[IntArray]:
    """The rows, in the order of their levels, in blocks that hold levels whole.

    One block where maxima are looked for from several starts: how near to them steps end depends on all levels.
    """
    if given.likelihood.peak is not None or len(order) <= _ROWS:
        return [order]
    ends = np.cumsum(np.bincount(level.level, minlength=level.size))
    cuts = ends[np.searchsorted(ends, np.arange(_ROWS, len(order), _ROWS))]
    return [rows for rows in np.split(order, np.unique(cuts)) if len(rows)]


def _block(level: Level, rows: IntArray, given: Integrand) -> _Block:
    there, own = np.unique(level.level[rows], return_inverse=True)
    some = Level(level.columns[rows], own, len(there))
    return _Block(rows, some, structure([some], (), own, len(there)), some_rows(given.rows, rows))


def _of_levels(
    block: _Block, factor: FloatArray, given: Integrand, part: IntArray, nodes: Callable[[int], int]
) -> FloatArray:
    """The densities of the rows of a block at some draws, (draws, rows)."""
    level = block.level
    some = replace(given.at(given.eta[np.ix_(part, block.rows)], part), rows=block.data)
    modes = find_modes(block.structure, [factor], some, finer=False)
    leverage = np.max([_leverage(level, some, mode) for mode in modes], axis=0)
    log_densities, total = _about_the_modes(level, factor, some, modes, nodes)
    decisive = np.flatnonzero(leverage.max(axis=0) > _decisive(nodes(factor.shape[2])))
    if len(decisive):
        log_densities[:, decisive] = total[:, level.level[decisive]] - _without(level, factor, some, decisive, nodes)
    return log_densities


def _decisive(count: int) -> float:
    """The leverage from which a row has an integral of its own, with so many nodes in each direction."""
    ratio = _CLOSE ** (1 / count)
    return max(_NEVER_DECISIVE, float(ratio / (1 + ratio)))


def _leverage(level: Level, given: Integrand, mode: Mode) -> FloatArray:
    """The leverage of each row at a mode, (S, N)."""
    weight = given.likelihood.weight(mode.eta, given.rows, given.own)
    return np.asarray(weight * predict_rows(mode.eliminated, np.ones(len(level.level)))[1])


def _about_the_modes(
    level: Level, factor: FloatArray, given: Integrand, modes: Sequence[Mode], nodes: Callable[[int], int]
) -> tuple[FloatArray, FloatArray]:
    """log p(y_n | the other rows), (S, N), and log p(rows of a level), (S, L), with the same nodes for both.

    Sums over nodes are relative to what the first one gives, which is much quicker than sums of logarithms; where
    that is too far from another, the logarithms are summed.
    """
    at_nodes = _at_nodes(level, factor, given, modes, nodes)
    first, first_rows = next(at_nodes)
    total, without = np.ones(first.shape), np.ones(first_rows.shape)
    for both, rows in at_nodes:
        beyond = both - first
        total += np.exp(beyond)
        apart = beyond[:, level.level]
        apart -= np.subtract(rows, first_rows, out=rows)
        without += np.exp(apart, out=apart)
    if not (np.isfinite(first).all() and np.isfinite(total).all() and np.isfinite(without).all()):
        return _summed_logs(level, factor, given, modes, nodes)
    total, without = np.log(total), np.log(without)
    return first_rows + total[:, level.level] - without, first + total


def _summed_logs(
    level: Level, factor: FloatArray, given: Integrand, modes: Sequence[Mode], nodes: Callable[[int], int]
) -> tuple[FloatArray, FloatArray]:
    """As ``_about_the_modes``, node by node on the log scale: of values that are hundreds apart."""
    total, without = np.full((len(given.eta), level.size), -np.inf), np.full(given.eta.shape, -np.inf)
    for both, rows in _at_nodes(level, factor, given, modes, nodes):
        total = np.logaddexp(total, both)
        without = np.logaddexp(without, both[:, level.level] - rows)
    return total[:, level.level] - without, total


def _at_nodes(
    level: Level, factor: FloatArray, given: Integrand, modes: Sequence[Mode], nodes: Callable[[int], int]
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """The log of what each node adds to p(rows of a level), (S, L), and the log density of its rows there, (S, N).

    The nodes at the modes come first, where most of an integral is.
    """
    points, log_weights = grid(nodes(factor.shape[2]), factor.shape[2])
    draws = np.arange(len(given.eta))
    for node in np.argsort((points**2).sum(axis=1), kind="stable"):
        for m, mode in enumerate(modes):
            root, centre = mode.eliminated.steps[-1].root, mode.coefficients[-1]
            log_root = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
            at = centre + backward(root, np.broadcast_to(points[node][:, None], (*centre.shape, 1)))[..., 0]
            rows = given.at(given.eta + level.rows(scaled(factor, at)), draws).log_p()
            both = sum_by(rows, level.level, level.size) - (at**2).sum(axis=2) / 2 + log_weights[node] - log_root
            yield both + log_share(modes, m, at), rows


def _without(
    level: Level, factor: FloatArray, given: Integrand, rows: IntArray, nodes: Callable[[int], int]
) -> FloatArray:
    """log p(the other rows of its level) for some rows, (S, rows): each has a level of its own that lacks it."""
    # Rows stand in the order of their levels: the others of a level are those before and after one.
    counts = np.bincount(level.level, minlength=level.size)
    begin = np.cumsum(counts) - counts
    home, others = level.level[rows], counts[level.level[rows]] - 1
    index = np.repeat(np.arange(len(rows)), others)
    taken = begin[home][index] + np.arange(len(index)) - np.repeat(np.cumsum(others) - others, others)
    taken += taken >= rows[index]
    if not len(taken):  # each is alone in its level
        return np.zeros((len(given.eta), len(rows)))
    alone = Level(level.columns[taken], index, len(rows))
    some = Integrand(given.likelihood, some_rows(given.rows, taken), given.own, given.eta[:, taken])
    return log_integral(Nested.of([alone]), [factor], some, nodes)
