"""Estimates that need no draws: those of each group by itself, and how far the population draws them to its mean."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hbm_stan.families.terms.density import own_of
from hbm_stan.families.terms.effects import groups_of, linear_predictor, n_draws, pooling_of, shared_columns, terms_of
from hbm_stan.families.terms.factors import groupings, in_order, inside_group
from hbm_stan.families.terms.population import fixed_own
from hbm_stan.integrate.elimination import backward, eliminate, forward
from hbm_stan.integrate.structure import IntArray, structure
from hbm_stan.likelihoods.likelihood import Likelihood, Own
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray

# Newton's method: its longest step in eta, most steps, and the step at which it has arrived.
_STEP, _STEPS, _ROUNDING = 2.0, 60, 1e-9
_DIFFERENCE = 1e-4  # of eta, in the derivative of the information
_RANK = 1e-9  # a share of the largest eigenvalue that is rounding error
_CHUNK = 4_000_000  # values at a time


def raw(likelihood: Likelihood, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Coefficients of each group from its own rows and their standard errors, (J, KG) each; nan where not determined.

    Common columns that are not the group's have one coefficient in all groups; effects of other factors are left out.
    Maximum likelihood with Jeffreys' prior (Firth 1993, Biometrika 80:27), which is finite where outcomes are
    separated and adds half a success and half a failure, or half an event, where a group has an intercept only.
    """
    group, z = groups_of(data), np.asarray(data["Z"], dtype=float)[:, : data["KG"]]
    x = np.asarray(data["X"], dtype=float).reshape(data["N"], -1)[:, shared_columns(data)]
    offset = np.asarray(data["offset_"], dtype=float)
    fixed = fixed_own(likelihood, data)
    vectors = {vector.row.name: vector.start(data) for vector in likelihood.vectors}
    own: Own = {row.name: np.full(1, max(1.0, row.lower)) for row in likelihood.own} | fixed | vectors
    eta, theta = offset.copy(), np.zeros((data["J"], data["KG"]))
    for _ in range(_STEPS):
        weight = np.asarray((likelihood.majorant or likelihood.information)(eta, data, own))
        inverse, known = _inverse(z, weight, group, data["J"])
        score = likelihood.score(eta, data, own)
        if likelihood.majorant is None:  # else the weight is the same at any eta, and so is Jeffreys' prior
            score = score + _jeffreys(likelihood, data, own, eta, z, inverse, group)
        working = eta - offset + score / weight
        theta, fitted = _least_squares(x, z, working, weight, group, inverse)
        step = offset + fitted - eta
        length = float(np.abs(step).max())
        eta = eta + step / (1.0 if likelihood.full_steps else max(1.0, length / _STEP))
        about = likelihood.own_about(eta, data, data["N"] - x.shape[1] - round(float(known.sum())), fixed)
        told = all(np.isfinite(value).all() for value in about.values())
        own = about if told else own
        if length < _ROUNDING * (1 + float(np.abs(eta).max())):
            break
    inverse, known = _inverse(z, likelihood.information(eta, data, own), group, data["J"])
    error = np.sqrt(np.diagonal(inverse, axis1=1, axis2=2)) if told else np.full(theta.shape, np.nan)
    determined = known > 1 - 1e-6
    return np.where(determined, theta, np.nan), np.where(determined, error, np.nan)


def _inverse(z: FloatArray, weight: FloatArray, group: IntArray, size: int) -> tuple[FloatArray, FloatArray]:
    """(Z' W Z)^-1 of each group (J, K, K), a pseudo-inverse, and to what part each coefficient is determined (J, K)."""
    information = np.zeros((size, z.shape[1], z.shape[1]))
    np.add.at(information, group, z[:, :, None] * z[:, None, :] * weight[:, None, None])
    inverse = np.linalg.pinv(information, rcond=_RANK, hermitian=True)
    return inverse, np.diagonal(inverse @ information, axis1=1, axis2=2)


def _jeffreys(
    likelihood: Likelihood, data: StanData, own: Own, eta: FloatArray, z: FloatArray, inverse: FloatArray,
    group: IntArray,
) -> FloatArray:  # fmt: skip
    """What Jeffreys' prior adds to the score of each row: half its leverage times d log information / d eta."""
    up, down = (likelihood.information(eta + d, data, own) for d in (_DIFFERENCE, -_DIFFERENCE))
    leverage_per_weight = np.einsum("nk,nkl,nl->n", z, inverse[group], z)
    return np.asarray(leverage_per_weight * (up - down) / (4 * _DIFFERENCE))


def _least_squares(
    x: FloatArray, z: FloatArray, y: FloatArray, weight: FloatArray, group: IntArray, inverse: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Coefficients of groups and fitted values of a weighted regression with common columns (Frisch & Waugh 1933)."""
    coefficients, rest, collinear = _by_groups(np.column_stack([x, y]), z, weight, group, inverse)
    rest[:, collinear] = 0.0
    common = np.linalg.lstsq(rest[:, :-1], rest[:, -1], rcond=None)[0]
    theta = coefficients[..., -1] - coefficients[..., :-1] @ common
    return theta, x @ common + _fitted(z, theta[..., None], group)[:, 0]


def _by_groups(
    columns: FloatArray, z: FloatArray, weight: FloatArray, group: IntArray, inverse: FloatArray
) -> tuple[FloatArray, FloatArray, npt.NDArray[np.bool_]]:
    """Columns explained by each group's own: coefficients (J, KG, columns), weighted rests (N, columns), and which are.

    A column that a group's own columns make (one of the group, constant in it) has a rest that is rounding error.
    """
    products = np.zeros((len(inverse), z.shape[1], columns.shape[1]))
    np.add.at(products, group, z[:, :, None] * (weight[:, None] * columns)[:, None, :])
    coefficients = np.asarray(inverse @ products)
    root = np.sqrt(weight)[:, None]
    rest = (columns - _fitted(z, coefficients, group)) * root
    collinear = np.linalg.norm(rest, axis=0) <= _RANK * np.linalg.norm(columns * root, axis=0)
    return coefficients, rest, np.asarray(collinear)


def _fitted(z: FloatArray, coefficients: FloatArray, group: IntArray) -> FloatArray:
    """What coefficients of groups (J, KG, columns) say of each row, (N, columns)."""
    return np.asarray((z[:, :, None] * coefficients[group]).sum(axis=1))


def group_column_shift(draws: Draws, data: StanData) -> FloatArray:
    """What columns that a group's own columns make (an arm that is the ward's) add to its coefficients, (J, KG).

    Their coefficients are the posterior means: the rows of a group alone say nothing of them, so that ``raw`` leaves
    them in. Without them it lies where the coefficients of the model do.
    """
    group, z = groups_of(data), np.asarray(data["Z"], dtype=float)[:, : data["KG"]]
    shared = shared_columns(data)
    if not len(shared):
        return np.zeros((data["J"], z.shape[1]))
    x = np.asarray(data["X"], dtype=float).reshape(data["N"], -1)[:, shared]
    beta = draws["beta_shared"] if "beta_shared" in draws else np.asarray(draws["beta"])[:, shared]
    weight = np.ones(data["N"])
    inverse, _ = _inverse(z, weight, group, data["J"])
    coefficients, _, collinear = _by_groups(x, z, weight, group, inverse)
    return np.asarray(coefficients[..., collinear] @ np.asarray(beta).mean(axis=0)[collinear])


def shrinkage_factor(likelihood: Likelihood, draws: Draws, data: StanData) -> FloatArray | None:
    """The weight of the population's mean in each coefficient of a group, (S, J, KG); None without a population.

    Given the effects of crossed factors, with factors inside the group integrated out. Of rows that are not normal it
    is that of their normal approximation at the draw.
    """
    if pooling_of(draws) != "partial":
        return None
    chain = in_order(inside_group(groupings(terms_of(data)), groups_of(data))[0])[0]
    s = structure([g.level for g in chain], (), groups_of(data), data["J"])
    pieces = []
    for part in np.array_split(np.arange(n_draws(draws)), max(1, math.ceil(n_draws(draws) * s.cost / _CHUNK))):
        some = {name: values[part] for name, values in draws.items()}
        own = own_of(likelihood, some)
        eta = np.zeros((len(part), data["N"])) if likelihood.precision else linear_predictor(some, data)
        factors = [g.factor(some, data) for g in chain]
        elimination = eliminate(s, factors, np.asarray(likelihood.weight(eta, data, own)), np.zeros_like(eta))
        root, factor = elimination.steps[-1].root, factors[-1][:, None]
        inverse = backward(root, forward(root, np.eye(root.shape[-1])))
        pieces.append(np.diagonal(factor @ inverse @ np.linalg.inv(factor), axis1=2, axis2=3))
    return np.concatenate(pieces)
