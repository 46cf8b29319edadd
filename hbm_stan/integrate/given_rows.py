"""Coefficients of factors given their rows: proposals about the maxima, each with its weight.

For each draw of what the rows are given, the mean weight is an estimate without bias of the integral over the
coefficients, and proposals chosen by their weights are draws of these given the rows: importance sampling of both
together (Andrieu & Roberts 2009, Annals of Statistics 37:697, section 3). Where rows are normal every
proposal is a draw given the rows, and all weights of a draw are alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from hbm_stan.counting import counted
from hbm_stan.integrate import Integrand, parts
from hbm_stan.integrate.elimination import scaled
from hbm_stan.integrate.mode import Mode, find_modes
from hbm_stan.integrate.structure import IntArray, Structure
from hbm_stan.later import gammaln
from hbm_stan.log_sums import log_sum_exp
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray

# Proposals for each draw, and the degrees of freedom of their Student-t distributions: heavier tails than those of
# normal coefficients, so that weights are bounded where rows are log-concave (ours).
PROPOSALS, FREEDOM = 16, 8.0


@dataclass(frozen=True)
class Proposals:
    """``coefficients`` of each factor, (S, proposals, L, K), chain first, and their log weights, (S, proposals)."""

    coefficients: tuple[FloatArray, ...]
    log_weights: FloatArray

    @property
    def log_integral(self) -> FloatArray:
        """log of the mean weight, (S,): the density of the rows, coefficients integrated out."""
        return np.asarray(log_sum_exp(self.log_weights, axis=1) - math.log(self.log_weights.shape[1]))

    def choose(self, rng: np.random.Generator, at: IntArray) -> list[FloatArray]:
        """Coefficients given the rows for the draws at these places (R,), which may repeat: (R, L, K) by factor."""
        place = place_by_weight(rng, self.log_weights[at])
        return [values[at, place] for values in self.coefficients]


def place_by_weight(rng: np.random.Generator, log_weights: FloatArray) -> IntArray:
    """A place in each row of log weights (R, n), drawn by the weights, (R,)."""
    below = np.cumsum(np.exp(log_weights - log_weights.max(axis=1, keepdims=True)), axis=1)
    beyond = (rng.uniform(size=len(below)) * below[:, -1])[:, None] > below
    return np.asarray(np.minimum(beyond.sum(axis=1), below.shape[1] - 1))


def propose_each[T](rng: np.random.Generator, n: int, one: Callable[[np.random.Generator, int], T]) -> list[T]:
    """What ``one`` proposes for each of n groups, side by side where there are cores, whose number changes nothing."""
    with ThreadPoolExecutor(cores()) as pool:
        return list(counted(pool.map(one, rng.spawn(n), range(n)), n))


def propose(
    rng: np.random.Generator, s: Structure, factors: Sequence[FloatArray], given: Integrand, constant: float
) -> Proposals:
    """Proposals for the coefficients of the factors of one root; ``constant`` is that of all rows together."""
    pieces = [
        _of_part(rng, s, [f[part] for f in factors], given.at(given.eta[part], part))
        for part in parts(len(given.eta), given.eta.shape[1])
    ]
    values = (np.concatenate(own) for own in zip(*(piece.coefficients for piece in pieces), strict=True))
    return Proposals(tuple(values), np.concatenate([piece.log_weights for piece in pieces]) + constant)


def _of_part(rng: np.random.Generator, s: Structure, factors: Sequence[FloatArray], given: Integrand) -> Proposals:
    exact = given.likelihood.precision is not None
    modes = find_modes(s, factors, given, finer=False)
    log_share = np.zeros((1, len(given.eta)))
    if len(modes) > 1:
        mass = np.stack([_log_mass(given, mode) for mode in modes])
        log_share = mass - log_sum_exp(mass, axis=0)
    columns: list[list[FloatArray]] = []
    log_weights: list[FloatArray] = []
    for _ in range(PROPOSALS):
        e = _draw(rng, modes, log_share, exact)
        values = [scaled(f, x) for f, x in zip(factors, e, strict=True)]
        columns.append(values)
        if not exact or not log_weights:  # draws given the rows all have the weight of the first
            log_weights.append(_log_weight(s, given, modes, log_share, e, values, exact))
    stacked = tuple(np.stack(own, axis=1) for own in zip(*columns, strict=True))
    weights = np.stack(log_weights, axis=1)
    return Proposals(stacked, np.repeat(weights, PROPOSALS, axis=1) if exact else weights)


def _log_weight(
    s: Structure, given: Integrand, modes: Sequence[Mode], log_share: FloatArray, e: list[FloatArray],
    values: Sequence[FloatArray], exact: bool,
) -> FloatArray:  # fmt: skip
    """log of the density of rows and coefficients at a proposal e over the density that it was proposed with, (S,)."""
    added = sum(
        (level.rows(x) for level, x in zip((*s.chain, *s.crossed), values, strict=True)), np.zeros(given.eta.shape)
    )
    density = [_log_density(given, mode, e, added, exact) for mode in modes]
    proposed = density[0] if len(modes) == 1 else log_sum_exp(np.stack(density) + log_share, axis=0)
    rows = given.at(given.eta + added, np.arange(len(added))).log_p().sum(axis=1)
    prior = -_squares(e) / 2 - _size(e) / 2 * math.log(2 * math.pi)
    return np.asarray(rows + prior - proposed)


def _draw(rng: np.random.Generator, modes: Sequence[Mode], log_share: FloatArray, exact: bool) -> list[FloatArray]:
    """Standard normal coefficients e of each factor, about one of the modes, which is chosen by its share."""
    noise = modes[0].eliminated.noise(rng)
    if not exact:
        stretch = np.sqrt(FREEDOM / rng.chisquare(FREEDOM, size=len(noise[0])))
        noise = [stretch[:, None, None] * z for z in noise]
    e = modes[0].eliminated.coefficients(noise)
    if len(modes) == 1:
        return e
    below = np.cumsum(np.exp(log_share), axis=0)
    chosen = np.minimum((rng.uniform(size=below.shape[1]) > below).sum(axis=0), len(modes) - 1)
    for m, mode in enumerate(modes[1:], 1):
        other = mode.eliminated.coefficients(noise)
        e = [np.where((chosen == m)[:, None, None], b, a) for a, b in zip(e, other, strict=True)]
    return e


def _log_mass(given: Integrand, mode: Mode) -> FloatArray:
    """log of the share of the integral by Laplace's method about a mode, but for what all modes have, (S,)."""
    rows = given.at(mode.eta, np.arange(len(mode.eta))).log_p().sum(axis=1)
    return np.asarray(rows - _squares(mode.coefficients) / 2 - mode.eliminated.log_det[:, 0] / 2)


def _log_density(given: Integrand, mode: Mode, e: list[FloatArray], added: FloatArray, exact: bool) -> FloatArray:
    """The log density of proposals about a mode, (S,): normal or Student-t with the curvature there."""
    weight = given.likelihood.weight(mode.eta, given.rows, given.own)
    away = [a - b for a, b in zip(e, mode.coefficients, strict=True)]
    square = _squares(away) + (weight * (given.eta + added - mode.eta) ** 2).sum(axis=1)
    size, log_det = _size(e), mode.eliminated.log_det[:, 0]
    if exact:
        return np.asarray((log_det - square - size * math.log(2 * math.pi)) / 2)
    constant = gammaln((FREEDOM + size) / 2) - gammaln(FREEDOM / 2) - size / 2 * math.log(FREEDOM * math.pi)
    return np.asarray(constant + log_det / 2 - (FREEDOM + size) / 2 * np.log1p(square / FREEDOM))


def _squares(e: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(sum((x**2).sum(axis=(1, 2)) for x in e))


def _size(e: Sequence[FloatArray]) -> int:
    """The number of coefficients of one draw."""
    return sum(x.shape[1] * x.shape[2] for x in e)
