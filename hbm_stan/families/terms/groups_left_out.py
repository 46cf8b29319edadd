"""A group of normal rows given the rows of all other groups, every coefficient integrated out.

Of the crossed coefficients the other groups know what is left when the group's own part is taken off what all rows say,
so that each group costs one factorisation of the size of the crossed coefficients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hbm_stan.families.terms import closed_form
from hbm_stan.families.terms.closed_form import Part, Problem
from hbm_stan.families.terms.effects import groups_of
from hbm_stan.families.terms.factors import groupings, in_order, inside_group
from hbm_stan.integrate.elimination import forward, turned_crossed
from hbm_stan.integrate.leverage import crossed_columns
from hbm_stan.integrate.structure import IntArray, structure
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray

# Products of numbers in the factorisations of one draw, groups times the cube of crossed coefficients (ours: a minute
# for 4,000 draws). Beyond, crossed effects are those of the draws.
_MOST = 3e7


def group_loo_log_lik(likelihood: Likelihood, draws: Draws, data: StanData) -> FloatArray:
    """log p(rows of each group | rows of all others, population), (S, J).

    Where that is too much work the effects of crossed factors are those of the draws.
    """
    inner, outer = inside_group(groupings(closed_form.integrated_terms(data, draws)), groups_of(data))
    chain, extra = in_order(inner)
    size = sum(grouping.coefficients for grouping in outer)
    if extra or not outer or data["J"] * size**3 > _MOST:
        return closed_form.group_log_lik(likelihood, draws, data)
    layout = structure([g.level for g in chain], [g.level for g in outer], np.zeros(data["N"], dtype=np.int64), 1)
    problem = Problem(likelihood=likelihood, data=data, order=(*chain, *outer), given=(), structure=layout)
    return np.concatenate([_of_part(problem, part) for part in problem.parts(draws)])


@dataclass(frozen=True, kw_only=True)
class _Share:
    """What one group says: of crossed coefficients, their precision (S, M, M) and their information (S, M); the log
    determinant and the squares of the coefficients inside it, and its rows' squares, (S,) each."""

    precision: FloatArray
    information: FloatArray
    log_det: FloatArray
    gain: FloatArray
    squares: FloatArray


def _share(problem: Problem, part: Part, rows: IntArray) -> _Share:
    s, weight = problem.structure, problem.precision[rows]
    size, draws = s.n_crossed, len(part.sigma)
    columns = crossed_columns(s, np.ones(problem.data["N"]), rows)
    residual = part.residual[:, rows] / part.sigma[:, None]
    precision = np.broadcast_to((columns.T * weight) @ columns, (draws, size, size)).copy()
    information = (residual * weight) @ columns
    log_det, gain = np.zeros(draws), np.zeros(draws)
    for level, step in zip(s.chain, part.elimination.steps, strict=True):
        own = np.unique(level.level[rows])
        rest = step.rest[:, own][..., -(size + 1) :].reshape(draws, -1, size + 1)
        lost = np.swapaxes(rest[..., :-1], 1, 2) @ rest
        precision -= lost[..., :-1]
        information = information - lost[..., -1]
        log_det += 2 * np.log(np.diagonal(step.root[:, own], axis1=-2, axis2=-1)).sum(axis=(1, 2))
        gain += (rest[..., -1] ** 2).sum(axis=1)
    return _Share(
        precision=precision,
        information=information,
        log_det=log_det,
        gain=gain,
        squares=(residual**2 * weight).sum(axis=1),
    )


def _of_part(problem: Problem, part: Part) -> FloatArray:
    group = groups_of(problem.data)
    members = [np.flatnonzero(group == j) for j in range(problem.data["J"])]
    shares = (_share(problem, part, rows) for rows in members)
    precision, information = np.zeros(()), np.zeros(())
    for share in shares:
        precision, information = precision + share.precision, information + share.information
    all_det, all_gain = _crossed(problem, part, precision, information)
    log_lik, log_scale = np.empty((len(part.sigma), len(members))), problem.likelihood.log_scale(problem.data)
    for j, rows in enumerate(members):
        own = _share(problem, part, rows)
        det, gain = _crossed(problem, part, precision - own.precision, information - own.information)
        constant = len(rows) * (math.log(2 * math.pi) + 2 * np.log(part.sigma)) - 2 * log_scale[rows].sum()
        quadratic = own.squares - own.gain - all_gain + gain
        log_lik[:, j] = -(constant + own.log_det + all_det - det + quadratic) / 2
    return log_lik


def _crossed(
    problem: Problem, part: Part, precision: FloatArray, information: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The log determinant and the squares of all crossed coefficients, (S,) each."""
    s, factors = problem.structure, part.elimination.factors
    half = np.swapaxes(turned_crossed(s, factors, precision), 1, 2)
    full = turned_crossed(s, factors, half)
    root = np.linalg.cholesky(np.eye(full.shape[1]) + full)
    squares = (forward(root, turned_crossed(s, factors, information[..., None])) ** 2).sum(axis=(1, 2))
    return 2 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1), squares
