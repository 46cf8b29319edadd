"""Where the joint density of rows and coefficients is greatest, over the coefficients of nested and crossed factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.integrate.elimination import Eliminated, eliminate, scaled
from hbm_stan.integrate.structure import IntArray, Level, Structure, in_groups
from hbm_stan.likelihoods.likelihood import Likelihood, Own, Rows
from hbm_stan.table import FloatArray

# Newton's method: its longest step in eta, most steps, and the step at which it has arrived.
_STEP, _STEPS, _ROUNDING = 2.0, 60, 1e-6
# Where full steps are taken, in sds of a row: for Laplace's method, and for nodes, which need not lie at the maximum.
_ARRIVED, _NEAR = 1e-5, 0.02
_SAME = 0.2  # maxima that are nowhere so many sds apart are one (ours)
# Parts that the rows of a level are taken in where there may be several maxima, and where twice the nodes look (ours).
_PARTS: Mapping[bool, int] = {False: 3, True: 7}


@dataclass(frozen=True)
class Integrand:
    """Rows of a likelihood given coefficients: eta without these, (S, N), and the likelihood's own parameters."""

    likelihood: Likelihood
    rows: Rows
    own: Own
    eta: FloatArray

    def log_p(self) -> FloatArray:
        """The log density of each row but for its constant, (S, N)."""
        return self.likelihood.kernel(self.eta, self.rows, self.own)

    def at(self, eta: FloatArray, draws: IntArray) -> Integrand:
        """The same at other eta, whose draws are ``draws`` of these."""
        return replace(self, eta=eta, own={name: values[draws] for name, values in self.own.items()})


@dataclass(frozen=True)
class Mode:
    """Where the joint density of rows and coefficients is greatest: e of each factor, eta, the elimination there."""

    coefficients: list[FloatArray]
    eta: FloatArray
    eliminated: Eliminated


def find_modes(s: Structure, factors: Sequence[FloatArray], given: Integrand, *, finer: bool) -> list[Mode]:
    """The maxima that are found from several starts, some of them the same; one where there is only one.

    Of a likelihood that is not log-concave: from the rows of each level, all of them and each part of them in the order
    of how far they lie from eta, as if those had no gross errors; ``finer`` takes more parts.
    """
    if given.likelihood.peak is None:
        return [find_mode(s, factors, given)]
    count, last = _PARTS[finer], s.chain[-1]
    place = _place_in_level(given.likelihood.peak(given.rows) - given.eta, last.level, last.size)
    masks = [np.ones(given.eta.shape), *((np.floor(place * count) == i).astype(float) for i in range(count))]
    modes: list[Mode] = []
    for mask in masks:
        mode = find_mode(s, factors, given, mask)
        if all(np.max(-_nearness(other, mode.coefficients[-1])) >= _SAME**2 / 2 for other in modes):
            modes.append(mode)
    return modes


def _nearness(mode: Mode, at: FloatArray) -> FloatArray:
    """The log of the normal density about a mode, but for its constant, at e (..., S, L, V) of the last factor."""
    away = (at - mode.coefficients[-1])[..., None]
    return np.asarray(-((np.swapaxes(mode.eliminated.steps[-1].root, -1, -2) @ away)[..., 0] ** 2).sum(axis=-1) / 2)


def _place_in_level(values: FloatArray, level: IntArray, size: int) -> FloatArray:
    """Where each value (S, N) stands among those of its level in ascending order, from 0 to below 1."""
    order = np.lexsort((values, np.broadcast_to(level, values.shape)))
    counts = np.bincount(level, minlength=size)
    rank = np.arange(len(level)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = np.empty(values.shape)
    np.put_along_axis(place, order, np.broadcast_to(rank / np.repeat(counts, counts), values.shape), axis=1)
    return place


def log_share(modes: Sequence[Mode], m: int, at: FloatArray) -> FloatArray | float:
    """log of the share that mode m has of what lies at e (P, S, L, V) of the last factor: it is that of the nearest.

    Shares of all modes add up to one at any point, so that integrals about each add up to the whole.
    """
    if len(modes) == 1:
        return 0.0
    near = [_nearness(mode, at) for mode in modes]
    top = np.max(near, axis=0)
    return np.asarray(near[m] - top - np.log(np.exp(np.array(near) - top).sum(axis=0)))


def find_mode(s: Structure, factors: Sequence[FloatArray], given: Integrand, mask: FloatArray | None = None) -> Mode:
    """The maximum over standard normal e, by Newton's method in all coefficients together, each root with its step.

    Where a likelihood is not log-concave, the one that steps lead to which never go down: from e = 0, or, with a
    ``mask`` (S, N) of ones and zeros, from what these rows alone say where they have no gross errors.
    """
    levels = (*s.chain, *s.crossed)
    draws = len(given.eta)
    e = [np.zeros((draws, lv.size, f.shape[2])) for lv, f in zip(levels, factors, strict=True)]
    eta = given.eta
    if mask is not None and given.likelihood.peak is not None:
        peak = np.broadcast_to(given.likelihood.peak(given.rows), eta.shape)
        weight = mask * given.likelihood.step_weight(peak, given.rows, given.own)
        e = eliminate(s, factors, weight, weight * (peak - eta)).coefficients()
        eta = eta + _along(levels, factors, e)
    weigh = given.likelihood.step_weight
    weight = weigh(eta, given.rows, given.own)
    for _ in range(_STEPS):
        new = _expand(s, factors, given, eta, weight).coefficients()
        steps = [a - b for a, b in zip(new, e, strict=True)]
        along = _along(levels, factors, steps)
        length = _largest(np.abs(along), s.root, s.n_roots)
        share = np.ones(length.shape) if given.likelihood.full_steps else 1 / np.maximum(1, length / _STEP)
        for i, step in enumerate(steps):
            home = s.roots[i] if i < len(s.chain) else np.zeros(levels[i].size, dtype=np.int64)
            e[i] = e[i] + share[:, home, None] * step
        along = share[:, s.root] * along
        eta = eta + along
        weight = weigh(eta, given.rows, given.own)
        if mask is None and not given.likelihood.full_steps:
            arrived = length.max(initial=0.0) < _ROUNDING
        else:
            arrived = (np.abs(along) * np.sqrt(weight)).max(initial=0.0) < (_ARRIVED if mask is None else _NEAR)
        if arrived:
            break
    return Mode(e, eta, _expand(s, factors, given, eta, given.likelihood.weight(eta, given.rows, given.own)))


def _expand(
    s: Structure, factors: Sequence[FloatArray], given: Integrand, eta: FloatArray, weight: FloatArray
) -> Eliminated:
    """The normal approximation about eta: rows with these weights, and residuals from the score."""
    return eliminate(
        s, factors, weight, given.likelihood.score(eta, given.rows, given.own) + weight * (eta - given.eta)
    )


def _along(levels: Sequence[Level], factors: Sequence[FloatArray], e: Sequence[FloatArray]) -> FloatArray:
    """Z P e, (S, N)."""
    return np.asarray(sum(lv.rows(scaled(f, x)) for lv, f, x in zip(levels, factors, e, strict=True)))


def _largest(values: FloatArray, index: IntArray, size: int) -> FloatArray:
    """The largest of values (S, N) by index, (S, size)."""
    largest = np.zeros((len(values), size))
    order, present, starts = in_groups(index)
    largest[:, present] = np.maximum.reduceat(values if order is None else values[:, order], starts, axis=1)
    return largest
