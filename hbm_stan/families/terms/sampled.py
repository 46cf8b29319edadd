"""Coefficients that programs sample, in the basis in which they are sampled, and back.

The mean over the levels of another factor and the common coefficient of the same column trade places: rows know their
sum only. So what is sampled is that sum, beta + shift, and, in ``sampled``, the values of levels reflected so that the
last of them is sqrt(L) times their mean. The change of basis is orthonormal and the rest a shear: no density needs a
Jacobian for it. Without it the two walk against each other (Ogle & Barber 2020, Ecological Applications 30:e02159, on
such identifiability).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.families.terms.effects import Term, factor_of, shared_columns, terms_of, theta_mean
from hbm_stan.integrate.elimination import scaled
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.table import FloatArray


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A term that is sampled, whether it is centred, and its part of ``sampled``, (L, K)."""

    term: Term
    centered: bool
    values: FloatArray


def reflected(x: FloatArray) -> FloatArray:
    """Values of levels, (L, K), from reflected ones, the last of which is sqrt(L) times their mean.

    The reflection takes the last unit vector to the mean's, and is its own inverse (Householder 1958, Journal of the
    ACM 5:339).
    """
    size = len(x)
    mirror = np.full(size, -1 / np.sqrt(size))
    mirror[-1] += 1
    length = mirror @ mirror
    return np.asarray(x if size == 1 else x - 2 * np.outer(mirror, mirror @ x) / length)


def _parts(params: Draws, data: StanData) -> list[_Part]:
    """The terms that are sampled; with complete pooling, or the group's integrated out, those of other factors only."""
    sampled, start, parts = np.ravel(params["sampled"]), 0, []
    for term, centered in zip(terms_of(data), np.ravel(data["centered"]), strict=True):
        if term.pooled and len(sampled) == data["M"]:
            continue
        size = term.level.size * term.level.width
        values = sampled[start : start + size].reshape(term.level.size, -1)
        parts.append(_Part(term=term, centered=bool(centered), values=values))
        start += size
    return parts


def shift_of_common(params: Draws, data: StanData) -> FloatArray:
    """The sum of the means over levels of all terms of other factors, by common column, (P,)."""
    one, shift = _one(params), np.zeros(data["P"] + 1)
    column = 0
    for part in _parts(params, data):
        if part.term.pooled:
            continue
        mean = part.values[-1] / np.sqrt(part.term.level.size)
        mean = mean if part.centered else factor_of(part.term, one, data)[0] @ mean
        own = np.asarray(data["other_own"], dtype=np.int64)[column : column + len(mean)]
        np.add.at(shift, own, mean)
        column += len(mean)
    return shift[1:]


def _raw(params: Draws, data: StanData) -> list[_Part]:
    """The same by level: coefficients of centred terms, deviations in standard units of the others.

    Those of groups lose what belongs to other terms, where they do not follow beta. Centred ones are sampled from their
    prior means on, for chains begin near 0, and hold what shared columns are constant in a group.
    """
    shift, own = np.concatenate([[0.0], params["shift"]]), np.asarray(data["own"], dtype=np.int64)
    fixed, unit = np.asarray(data["prior_theta"], dtype=float).reshape(-1, 2).T
    beta = np.concatenate([[0.0], np.asarray(data["prior_beta"], dtype=float).reshape(-1, 2)[:, 0]])
    partial = "tau" in params
    origin = beta[own] if partial else fixed
    carried = _carried(params, data)
    parts = []
    for part in _parts(params, data):
        if not part.term.pooled:
            values = reflected(part.values)
        elif part.centered:
            values = part.values + origin[part.term.at] - shift[own[part.term.at]] - carried[:, part.term.at]
        else:
            held = shift[own[part.term.at]] + carried[:, part.term.at]
            values = part.values - held / unit[part.term.at] * (not partial)
        parts.append(_Part(term=part.term, centered=part.centered, values=values))
    return parts


def _carried(params: Draws, data: StanData) -> FloatArray:
    """What shared columns add in each group to the coefficients of its own columns, (J, KG)."""
    columns = shared_columns(data)
    if not len(columns):
        return np.zeros((data["J"], data["KG"]))
    inside = np.asarray(data["inside"], dtype=float).reshape(data["KG"], data["J"], len(columns))
    beta = params["beta_shared"] if "beta_shared" in params else np.asarray(params["beta"])[columns]
    return np.asarray((inside @ (np.ravel(beta) + np.asarray(params["shift"])[columns])).T)


def _one(params: Draws) -> Draws:
    """A point as one draw."""
    return {name: np.asarray(value)[None] for name, value in params.items()}


def coefficients(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """theta and effect at one point, from what is sampled; no theta where it is integrated out."""
    one, complete = _one(params), not {"tau", "beta_shared"} & set(params)
    theta, effects = np.repeat(theta_mean(one, data), data["J"], axis=0), []
    for part in _raw(params, data):
        value = part.values if part.centered else scaled(factor_of(part.term, one, data), part.values[None])[0]
        if part.term.pooled:
            theta[:, part.term.at] = value if part.centered else theta[:, part.term.at] + value
        else:
            effects.append(value.ravel())
    of_groups = {"theta": theta} if complete or len(np.ravel(params["sampled"])) > data["M"] else {}
    return of_groups | ({"effect": np.concatenate(effects)} if effects else {})


def log_sampled(params: Draws, data: StanData) -> float:
    """The log density of what is sampled given the population, at one point."""
    one, total = _one(params), 0.0
    for part in _raw(params, data):
        e = part.values
        if part.centered:
            factor = factor_of(part.term, one, data)[0]
            mean = theta_mean(one, data)[0, part.term.at] if part.term.pooled else 0.0
            e = np.linalg.solve(factor, (e - mean).T).T
            total -= part.term.level.size * float(np.log(np.diagonal(factor)).sum())
        total += float(normal_logpdf(e).sum())
    return total
