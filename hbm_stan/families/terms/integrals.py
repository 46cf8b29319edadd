"""The density of a group's rows with its coefficients, and those of factors inside it, integrated out.

Of factors that are crossed with the group, or that it lies in, the effects are those of the draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from hbm_stan.families.terms import closed_form
from hbm_stan.families.terms.density import own_of
from hbm_stan.families.terms.effects import (
    groups_of,
    middle,
    n_draws,
    pooling_of,
    rows_of,
    shared_columns,
    take_rows,
    terms_of,
)
from hbm_stan.families.terms.factors import Grouping, groupings, in_order, inside_group
from hbm_stan.integrate import (
    MOST_FINER,
    Integrand,
    Nested,
    finer_nodes,
    log_integral,
    log_laplace,
    usual_nodes,
)
from hbm_stan.integrate.rows import log_rows_given_others
from hbm_stan.integrate.structure import structure, sum_by
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray

# Nodes where the population is the prior of no pooling, wide, which is integrated over once and not for each draw.
_NODES_OF_PRIOR = {1: 161, 2: 61, 3: 25}
_CLOSE = 0.05  # by how much half as many may differ: the error falls to a fourth or less with twice the nodes


def group_log_lik(likelihood: Likelihood, draws: Draws, data: StanData) -> FloatArray:
    """log p(rows of each group | population, effects of crossed factors), (S, J)."""
    if likelihood.precision is not None:
        return closed_form.group_log_lik(likelihood, draws, data)
    return by_quadrature(likelihood, draws, data, usual_nodes)


def finer_group_log_lik(likelihood: Likelihood, draws: Draws, data: StanData) -> FloatArray | None:
    """The same with twice the nodes in each direction; None where it is a closed form or nothing is integrated.

    nan where it is too much work, or where Laplace's method stands for what is no chain of nested factors.
    """
    chain, crossed = in_order(_inner(draws, data)[0])
    if likelihood.precision is not None or not chain:
        return None
    if crossed or max(grouping.level.width for grouping in chain) > MOST_FINER:
        return np.full((n_draws(draws), data["J"]), np.nan)
    return by_quadrature(likelihood, draws, data, finer_nodes)


def _inner(draws: Draws, data: StanData) -> tuple[list[Grouping], list[Grouping]]:
    """Factors inside the group, with it where it varies, and the others."""
    varying = [t for t in terms_of(data) if not t.pooled or pooling_of(draws) != "complete"]
    return inside_group(groupings(varying), groups_of(data))


def by_quadrature(likelihood: Likelihood, draws: Draws, data: StanData, nodes: Callable[[int], int]) -> FloatArray:
    """The same by so many nodes in each direction of a level's coefficients, one for Laplace's method."""
    inner, outer = _inner(draws, data)
    chain, crossed = in_order(inner)
    eta = middle(draws, data) + rows_of([term for grouping in outer for term in grouping.terms], draws)
    group, size = groups_of(data), data["J"]
    constant = sum_by(likelihood.constant(data)[None], group, size)
    given = Integrand(likelihood, data, own_of(likelihood, draws), eta)
    if crossed:
        return constant + _laplace_by_group(given, draws, data, inner)
    factors = [grouping.factor(draws, data) for grouping in chain]
    values = log_integral(Nested.of([grouping.level for grouping in chain]), factors, given, nodes)
    home = group
    if chain:
        home = np.zeros(chain[-1].level.size, dtype=np.int64)
        home[chain[-1].level.level] = group
    return constant + sum_by(values, home, size)


def _laplace_by_group(given: Integrand, draws: Draws, data: StanData, inner: list[Grouping]) -> FloatArray:
    """Two factors inside the group that are crossed with each other: all their coefficients by Laplace's method."""
    log_lik, group = np.empty((n_draws(draws), data["J"])), groups_of(data)
    for j in range(data["J"]):
        rows = np.flatnonzero(group == j)
        chain, crossed = in_order([grouping.of_rows(rows) for grouping in inner])
        layout = structure([g.level for g in chain], [g.level for g in crossed], np.zeros(len(rows), dtype=np.int64), 1)
        factors = [g.factor(draws, data) for g in (*chain, *crossed)]
        own = Integrand(given.likelihood, take_rows(data, rows), given.own, given.eta[:, rows])
        log_lik[:, j] = log_laplace(layout, factors, own)[:, 0]
    return log_lik


def loo_log_lik(likelihood: Likelihood, draws: Draws, data: StanData, _variant: str) -> FloatArray:
    """log p(y_n | the other rows of its group, population), (S, N), the group's coefficients integrated out.

    The effects of all other factors are those of the draws.
    """
    terms = terms_of(data)
    (own,) = groupings([term for term in terms if term.pooled])
    eta = middle(draws, data) + rows_of([term for term in terms if not term.pooled], draws)
    given = Integrand(likelihood, data, own_of(likelihood, draws), eta)
    rows = log_rows_given_others(own.level, own.factor(draws, data), given, usual_nodes)
    return np.asarray(rows + likelihood.constant(data))


def prior_group_log_lik(likelihood: Likelihood, data: StanData, variant: str) -> FloatArray | None:
    """log p(rows of a group) under the fixed prior of its coefficients alone, (J,).

    None where groups are pooled, where something that other groups teach stands beside it (common columns that are
    not the group's, other factors, own parameters of the likelihood), or where the integral is not close enough.
    """
    alone = not len(shared_columns(data)) and data["T"] == data["G"] and not likelihood.own_rows
    if variant != "no_pooling" or not alone:
        return None
    draws = {"beta_shared": np.empty((1, 0))}
    if likelihood.precision is not None:
        return np.asarray(closed_form.group_log_lik(likelihood, draws, data)[0])
    counts = _NODES_OF_PRIOR.get(data["KG"])
    if counts is None:
        return None
    log_lik, coarser = (
        np.asarray(by_quadrature(likelihood, draws, data, partial(_always, n))[0])
        for n in (counts, math.ceil(counts / 2))
    )
    return log_lik if float(np.abs(log_lik - coarser).max()) <= _CLOSE else None


def _always(count: int, _size: int) -> int:
    return count
