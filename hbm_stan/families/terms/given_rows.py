"""Coefficients of groups that were not fitted, given their rows, draws of the population and effects of known levels.

Those of the group and of the levels inside it that are new are proposed together, a group at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.counting import counted
from hbm_stan.families.terms.density import own_of
from hbm_stan.families.terms.effects import Term, groups_of, middle, rows_of, take_rows, terms_of, theta_mean
from hbm_stan.families.terms.factors import Grouping, groupings, in_order
from hbm_stan.integrate import Integrand
from hbm_stan.integrate.given_rows import Proposals, propose, propose_each
from hbm_stan.integrate.structure import IntArray, Level, structure
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Draws, GivenRows, StanData
from hbm_stan.table import FloatArray


@dataclass(frozen=True)
class _Group:
    """A new group: its place, the factors that are new in it with the levels that these are, and proposals."""

    place: int
    factors: tuple[Grouping, ...]
    levels: tuple[IntArray, ...]
    proposals: Proposals


def given_rows(
    likelihood: Likelihood, rng: np.random.Generator, draws: Draws, data: StanData, known: Sequence[int]
) -> GivenRows:
    """theta (R, J, KG) and effect (R, M) of rows in groups that are all new; ``known`` levels of each term, the first
    ones, were fitted. Draws have effects of all levels, 0 for those that are new.
    """
    terms, group = terms_of(data), groups_of(data) - known[0]
    new = [_of_new_levels(term, n) for term, n in zip(terms, known, strict=True)]
    eta = middle(draws, data) + rows_of([term for term in terms if not term.pooled], draws)
    given = Integrand(likelihood, data, own_of(likelihood, draws), eta)
    constant = likelihood.constant(data)
    terms_of_new = [term for term in new if term is not None]

    def one(own: np.random.Generator, j: int) -> _Group:
        return _propose(own, j, np.flatnonzero(group == j), terms_of_new, given, constant, draws)

    groups = propose_each(rng, int(group.max()) + 1, one)

    def draw(again: np.random.Generator, at: IntArray) -> dict[str, FloatArray]:
        return _draw(again, at, groups, draws, data)

    return GivenRows(np.stack([own.proposals.log_integral for own in groups], axis=1), draw)


def _of_new_levels(term: Term, known: int) -> Term | None:
    """The term for its new levels alone: rows of known ones have columns of 0, in a level of their own; or None."""
    new = term.level.level >= known
    if not new.any():
        return None
    columns = term.level.columns * new[:, None]
    return replace(term, level=Level(columns, np.where(new, term.level.level, term.level.size), term.level.size + 1))


def _propose(
    rng: np.random.Generator, j: int, rows: IntArray, new: Sequence[Term], given: Integrand, constant: FloatArray,
    draws: Draws,
) -> _Group:  # fmt: skip
    every = groupings([term for term in new if np.any(term.level.level[rows] < term.level.size - 1)])
    here = [grouping.of_rows(rows) for grouping in every]
    levels = {id(own): np.unique(grouping.level.level[rows]) for own, grouping in zip(here, every, strict=True)}
    chain, crossed = in_order(here)
    factors = (*chain, *crossed)
    root = np.zeros(len(rows), dtype=np.int64)
    s = structure([g.level for g in chain], [g.level for g in crossed], root, 1)
    some = Integrand(given.likelihood, take_rows(dict(given.rows), rows), given.own, given.eta[:, rows])
    matrices = [g.factor(draws, dict(given.rows)) for g in factors]
    proposals = propose(rng, s, matrices, some, float(constant[rows].sum()))
    return _Group(j, factors, tuple(levels[id(g)] for g in factors), proposals)


def _draw(
    rng: np.random.Generator, at: IntArray, groups: Sequence[_Group], draws: Draws, data: StanData
) -> dict[str, FloatArray]:
    taken = {name: np.asarray(values)[at] for name, values in draws.items()}
    theta = np.repeat(theta_mean(taken, data)[:, None, :], len(groups), axis=1)
    effect = np.array(taken["effect"]) if "effect" in taken else None
    for own in counted(groups, len(groups)):
        for grouping, levels, values in zip(own.factors, own.levels, own.proposals.choose(rng, at), strict=True):
            start = 0
            for term in grouping.terms:
                part = values[:, :, start : start + term.level.width]
                start += term.level.width
                if term.pooled:
                    theta[:, own.place, term.at] += part[:, 0]
                elif effect is not None:
                    _put(effect, term, levels, part)
    return {"theta": theta} | ({} if effect is None else {"effect": effect})


def _put(effect: FloatArray, term: Term, levels: IntArray, part: FloatArray) -> None:
    """Write the deviations of new levels in their places; the level that stands for known ones has none."""
    width, last = term.level.width, term.level.size - 1
    for k, level in enumerate(levels):
        if level < last:
            start = term.effects.start + width * int(level)
            effect[:, start : start + width] = part[:, k]
