"""Normal rows with all varying coefficients integrated out: densities, and the coefficients given the rows.

Lindley & Smith (1972), Journal of the Royal Statistical Society B 34:1. Rows are scaled to equal variance sigma^2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.families.terms.effects import (
    Term,
    beta_of_groups,
    groups_of,
    latent,
    middle,
    n_draws,
    new_group,
    pooling_of,
    rows_of,
    take_rows,
    terms_of,
    theta_mean,
)
from hbm_stan.families.terms.factors import Grouping, groupings, in_order, inside_group
from hbm_stan.integrate.elimination import Eliminated, eliminate, scaled
from hbm_stan.integrate.leverage import predict_rows
from hbm_stan.integrate.structure import Structure, structure, sum_by
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.table import FloatArray

_CHUNK = 4_000_000  # values at a time


@dataclass(frozen=True)
class Part:
    """Some draws: residuals about the middle (S, N), sigma (S,), and the elimination, which is in units of sigma."""

    draws: Draws
    residual: FloatArray
    sigma: FloatArray
    elimination: Eliminated


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Factors whose coefficients are integrated out, by the parts of the rows (roots) that share none of them."""

    likelihood: Likelihood
    data: StanData
    order: tuple[Grouping, ...]  # as the structure has them: the chain, then crossed factors
    given: tuple[Term, ...]  # terms whose effects are taken from the draws
    structure: Structure

    def parts(self, draws: Draws) -> Iterator[Part]:
        """Some draws at a time."""
        precision = self.precision
        for part in np.array_split(np.arange(n_draws(draws)), self.pieces(n_draws(draws))):
            some = {name: values[part] for name, values in draws.items()}
            residual = self.likelihood.normal_outcome(self.data) - middle(some, self.data) - rows_of(self.given, some)
            sigma = np.asarray(some["sigma"]) if self.likelihood.own else np.ones(len(part))
            factors = [g.factor(some, self.data) / sigma[:, None, None] for g in self.order]
            gradient = precision * residual / sigma[:, None]
            yield Part(some, residual, sigma, eliminate(self.structure, factors, precision[None], gradient))

    def pieces(self, draws: int) -> int:
        """How many pieces so many draws are taken in."""
        return max(1, min(draws, math.ceil(draws * self.structure.cost / _CHUNK)))

    @property
    def precision(self) -> FloatArray:
        """1 / variance of the rows in units of sigma, (N,)."""
        if self.likelihood.precision is None:
            raise TypeError(f"{self.likelihood.name} is not normal: its integrals have no closed form")
        return self.likelihood.precision(self.data)


def integrated_terms(data: StanData, draws: Draws) -> list[Term]:
    """The terms whose coefficients vary: with complete pooling none of the group."""
    return [t for t in terms_of(data) if not t.pooled or pooling_of(draws) != "complete"]


def whole(likelihood: Likelihood, data: StanData, draws: Draws) -> Problem:
    """All coefficients of all factors integrated out, over all rows together."""
    chain, crossed = in_order(groupings(integrated_terms(data, draws)))
    root = np.zeros(len(data["y"]), dtype=np.int64)
    layout = structure([g.level for g in chain], [g.level for g in crossed], root, 1)
    return Problem(likelihood=likelihood, data=data, order=(*chain, *crossed), given=(), structure=layout)


def given_others(likelihood: Likelihood, data: StanData, draws: Draws) -> Problem:
    """The group's coefficients integrated out, a group at a time, given the effects of all other factors."""
    varying = groupings(integrated_terms(data, draws))
    own = [grouping for grouping in varying if grouping.pooled]
    given = tuple(term for grouping in varying if not grouping.pooled for term in grouping.terms)
    layout = structure([grouping.level for grouping in own], (), groups_of(data), data["J"])
    return Problem(likelihood=likelihood, data=data, order=tuple(own), given=given, structure=layout)


def _problem(likelihood: Likelihood, data: StanData, draws: Draws) -> Problem:
    """What programs integrate out: all coefficients, or the group's given those of other factors, which they sample."""
    return (whole if likelihood.integrated else given_others)(likelihood, data, draws)


def _log_density(problem: Problem, draws: Draws) -> FloatArray:
    """log p(rows of each root), (S, roots)."""
    return np.concatenate([_of_part(problem, part) for part in problem.parts(draws)])


def _of_part(problem: Problem, part: Part) -> FloatArray:
    s, precision = problem.structure, problem.precision
    one = np.ones((1, len(precision)))
    rows, log_scale = (sum_by(v, s.root, s.n_roots)[0] for v in (one, problem.likelihood.log_scale(problem.data)[None]))
    squares = sum_by(precision * part.residual**2, s.root, s.n_roots) / part.sigma[:, None] ** 2
    constant = 2 * log_scale - rows * math.log(2 * math.pi) - 2 * rows * np.log(part.sigma)[:, None]
    return np.asarray((constant - part.elimination.log_det - squares + part.elimination.gain) / 2)


def log_marginal(likelihood: Likelihood, draws: Draws, data: StanData) -> FloatArray:
    """log p(all rows | population), (S,), all that programs integrate out being integrated out."""
    return np.asarray(_log_density(_problem(likelihood, data, draws), draws).sum(axis=1))


def draw_groups(
    likelihood: Likelihood, rng: np.random.Generator, draws: Draws, data: StanData
) -> dict[str, FloatArray]:
    """theta given the rows and the population, exactly, and effect where it is not sampled; without pooling beta too,
    the mean of groups'."""
    if data.get("use_likelihood", 1) == 0:
        others = latent(rng, draws, data) if likelihood.integrated else {}
        coefficients = {"theta": new_group(rng, draws, data, ""), **others}
        return coefficients | beta_of_groups(draws, data, coefficients["theta"])
    problem, pieces = _problem(likelihood, data, draws), []
    for part in problem.parts(draws):
        e = part.elimination.coefficients(part.elimination.noise(rng))
        values = [scaled(f, x) * part.sigma[:, None, None] for f, x in zip(part.elimination.factors, e, strict=True)]
        pieces.append(_as_draws(problem.order, values, part.draws, data))
    coefficients = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    return coefficients | beta_of_groups(draws, data, coefficients["theta"])


def _as_draws(
    order: Sequence[Grouping], values: Sequence[FloatArray], draws: Draws, data: StanData
) -> dict[str, FloatArray]:
    """theta, and effect where other factors are among these, from the deviations of each factor's levels."""
    theta = np.repeat(theta_mean(draws, data)[:, None, :], data["J"], axis=1)
    others = not all(grouping.pooled for grouping in order)
    size = max(term.effects.stop for term in terms_of(data)) if others else 0
    effect = np.empty((len(theta), size))
    for grouping, value in zip(order, values, strict=True):
        start = 0
        for term in grouping.terms:
            part = value[:, :, start : start + term.level.width]
            start += term.level.width
            if term.pooled:
                theta[:, :, term.at] += part
            else:
                effect[:, term.effects] = part.reshape(len(part), -1)
    return {"theta": theta} | ({"effect": effect} if size else {})


def group_log_lik(likelihood: Likelihood, draws: Draws, data: StanData) -> FloatArray:
    """log p(rows of each group | population, effects of crossed factors), (S, J).

    Coefficients of the group and of factors inside it are integrated out.
    """
    group = groups_of(data)
    inner, outer = inside_group(groupings(integrated_terms(data, draws)), group)
    chain, crossed = in_order(inner)
    given = tuple(term for grouping in outer for term in grouping.terms)
    if crossed:
        return _group_by_group(likelihood, draws, data, inner, given)
    layout = structure([g.level for g in chain], (), group, data["J"])
    return _log_density(
        Problem(likelihood=likelihood, data=data, order=tuple(chain), given=given, structure=layout), draws
    )


def row_in_group_log_lik(likelihood: Likelihood, draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """log p(y_n | the other rows of its group, population, effects of crossed factors), (S, N).

    Coefficients of the group and of factors inside it are integrated out, but for those that are crossed inside it.
    """
    group = groups_of(data)
    inner, outer = inside_group(groupings(integrated_terms(data, draws)), group)
    chain, crossed = in_order(inner)
    given = tuple(term for grouping in (*crossed, *outer) for term in grouping.terms)
    layout = structure([g.level for g in chain], (), group, data["J"])
    return _row_densities(
        Problem(likelihood=likelihood, data=data, order=tuple(chain), given=given, structure=layout), draws
    )


def _group_by_group(
    likelihood: Likelihood, draws: Draws, data: StanData, inner: Sequence[Grouping], given: Sequence[Term]
) -> FloatArray:
    """The same where two factors inside the group are crossed with each other: one group after the other."""
    log_lik, group = np.empty((n_draws(draws), data["J"])), groups_of(data)
    for j in range(data["J"]):
        rows = np.flatnonzero(group == j)
        chain, crossed = in_order([grouping.of_rows(rows) for grouping in inner])
        layout = structure([g.level for g in chain], [g.level for g in crossed], np.zeros(len(rows), dtype=np.int64), 1)
        others = tuple(replace(term, level=term.level.of_rows(rows)) for term in given)
        problem = Problem(
            likelihood=likelihood, data=take_rows(data, rows), order=(*chain, *crossed), given=others, structure=layout
        )
        log_lik[:, j] = _log_density(problem, draws)[:, 0]
    return log_lik


def row_log_densities(
    likelihood: Likelihood, data: StanData, elimination: Eliminated, residual: FloatArray, sigma: FloatArray
) -> FloatArray:
    """log p(y_n | all other rows), (S, N), all that was eliminated integrated out.

    Rasmussen & Williams (2006), eq. 5.12: in units of sigma 1 / [V^-1]_nn, the variance, is 1 / (1 - h) with h the
    leverage of the row, and y_n less its mean is (r_n - its fitted residual) / (1 - h).
    """
    if likelihood.precision is None:
        raise TypeError(f"{likelihood.name} is not normal")
    scale, sd = np.sqrt(likelihood.precision(data)), sigma[:, None]
    fitted, leverage = predict_rows(elimination, scale)
    left = np.maximum(1 - leverage, np.finfo(float).tiny)
    off = (residual * scale / sd - fitted) / left
    return np.asarray(normal_logpdf(off, 0, 1 / np.sqrt(left)) + likelihood.log_scale(data) - np.log(sd))


def loo_log_lik(likelihood: Likelihood, draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """log p(y_n | all other rows, population), (S, N), all varying coefficients integrated out."""
    return _row_densities(whole(likelihood, data, draws), draws)


def _row_densities(problem: Problem, draws: Draws) -> FloatArray:
    """log p(y_n | all other rows, what is given), (S, N)."""
    return np.concatenate([
        row_log_densities(problem.likelihood, problem.data, part.elimination, part.residual, part.sigma)
        for part in problem.parts(draws)
    ])  # fmt: skip
