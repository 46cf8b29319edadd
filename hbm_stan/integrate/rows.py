"""The density of a row given the other rows of its level, by quadrature over the level's coefficients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hbm_stan.integrate import Nested, grid, log_integral, parts
from hbm_stan.integrate.elimination import backward, scaled
from hbm_stan.integrate.leverage import predict_rows
from hbm_stan.integrate.mode import Integrand, Mode, find_modes, log_share
from hbm_stan.integrate.structure import IntArray, Level, structure, sum_by
from hbm_stan.likelihoods.likelihood import some_rows
from hbm_stan.table import FloatArray

# Leverage up to which nodes about the maximum with the row serve for the integral without it: with leverage h the error
# of n nodes is about (h / (1 - h))^n. Up to this error they do, and up to this leverage whatever the nodes (ours; on
# sleepstudy's Student-t lines the mean over draws of a row moves by 0.007 at most). Other rows, few in any level as
# leverages add up to its number of coefficients, have an integral of their own.
_CLOSE, _NEVER_DECISIVE = 5e-3, 0.2


def log_rows_given_others(
    level: Level, factor: FloatArray, given: Integrand, nodes: Callable[[int], int]
) -> FloatArray:
    """log p(y_n | the other rows of its level), (S, N), without rows' constants; ``factor`` (S, K, V)."""
    pieces = []
    s = structure([level], (), level.level, level.size)
    for part in parts(len(given.eta), given.eta.shape[1]):
        some, own = given.at(given.eta[part], part), factor[part]
        modes = find_modes(s, [own], some, finer=False)
        leverage = np.max([_leverage(level, some, mode) for mode in modes], axis=0)
        log_densities, total = _about_the_modes(level, own, some, modes, nodes)
        decisive = np.flatnonzero(leverage.max(axis=0) > _decisive(nodes(own.shape[2])))
        if len(decisive):
            log_densities[:, decisive] = total[:, level.level[decisive]] - _without(level, own, some, decisive, nodes)
        pieces.append(log_densities)
    return np.concatenate(pieces)


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
    """log p(y_n | the other rows), (S, N), and log p(rows of a level), (S, L), with the same nodes for both."""
    points, log_weights = grid(nodes(factor.shape[2]), factor.shape[2])
    shape = (len(given.eta), level.size)
    total, without = np.full(shape, -np.inf), np.full(given.eta.shape, -np.inf)
    draws = np.arange(len(given.eta))
    for m, mode in enumerate(modes):
        root, centre = mode.eliminated.steps[-1].root, mode.coefficients[-1]
        log_root = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
        for point, log_weight in zip(points, log_weights, strict=True):
            at = centre + backward(root, np.broadcast_to(point[:, None], (*centre.shape, 1)))[..., 0]
            rows = given.at(given.eta + level.rows(scaled(factor, at)), draws).log_p()
            both = sum_by(rows, level.level, level.size) - (at**2).sum(axis=2) / 2 + log_weight - log_root
            both = both + log_share(modes, m, at)
            total = np.logaddexp(total, both)
            without = np.logaddexp(without, both[:, level.level] - rows)
    return total[:, level.level] - without, total


def _without(
    level: Level, factor: FloatArray, given: Integrand, rows: IntArray, nodes: Callable[[int], int]
) -> FloatArray:
    """log p(the other rows of its level) for some rows, (S, rows): each has a level of its own that lacks it."""
    others = [np.setdiff1d(np.flatnonzero(level.level == level.level[n]), n) for n in rows]
    taken = np.concatenate(others)
    alone = Level(level.columns[taken], np.repeat(np.arange(len(rows)), [len(o) for o in others]), len(rows))
    some = Integrand(given.likelihood, some_rows(given.rows, taken), given.own, given.eta[:, taken])
    return log_integral(Nested.of([alone]), [factor], some, nodes)
