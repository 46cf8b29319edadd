"""A row given all others, exactly, where coefficients are normal and nothing but a residual sd is left to integrate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from hbm_stan.families.terms.closed_form import row_log_densities
from hbm_stan.families.terms.effects import groups_of, shared_columns
from hbm_stan.families.terms.integrals import prior_group_log_lik
from hbm_stan.families.terms.population import own_prior
from hbm_stan.integrate.elimination import eliminate
from hbm_stan.integrate.structure import Level, structure
from hbm_stan.later import log_expit, logsumexp
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

# Common coefficients that are integrated out for each row (ours), and the grid of log(sigma / scale of its prior).
_MOST_COLUMNS = 200
_COARSE = np.arange(-30.0, 30.0, 0.5)
_TAIL, _CLOSE, _HALVINGS = 50.0, 1e-7, 8  # exp(-50) of the peak is left out; steps are halved until it is close


def exact_loo(likelihood: Likelihood, data: StanData, variant: str) -> FloatArray | None:
    """log p(y_n | all other rows), (N,), without pooling and with complete pooling of normal rows; else None.

    None beside other factors, whose sds would have to be integrated over.
    """
    if data["N"] == data["J"] and (alone := prior_group_log_lik(likelihood, data, variant)) is not None:
        return np.asarray(alone[groups_of(data)])
    pooled = variant.startswith("partial")
    if likelihood.precision is None or pooled or data["T"] > data["G"] or data["P"] > _MOST_COLUMNS:
        return None
    if not likelihood.own:
        return np.asarray(_given_sigma(likelihood, data, variant, np.ones(1))[1][0])
    return _over_sigma(likelihood, data, variant)


def _given_sigma(
    likelihood: Likelihood, data: StanData, variant: str, sigma: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """log p(all rows | sigma), (S,), and log p(y_n | the other rows, sigma), (S, N)."""
    if likelihood.precision is None:
        raise TypeError(f"{likelihood.name} is not normal")
    x, prior = np.asarray(data["X"], dtype=float).reshape(data["N"], -1), np.asarray(data["prior_beta"], dtype=float)
    mean, chain, factors = np.asarray(data["offset_"], dtype=float), [], []
    if variant == "no_pooling":
        shared, theta = shared_columns(data), np.asarray(data["prior_theta"], dtype=float)
        x, prior, z = x[:, shared], prior.reshape(-1, 2)[shared], np.asarray(data["Z"], dtype=float)[:, : data["KG"]]
        chain, factors, mean = [Level(z, groups_of(data), data["J"])], [np.diag(theta[:, 1])], mean + z @ theta[:, 0]
    none = np.zeros(data["N"], dtype=np.int64)
    crossed = [Level(x, none, 1)] if x.shape[1] else []
    factors += [np.diag(prior[:, 1])] if crossed else []
    residual = likelihood.normal_outcome(data) - mean - (x @ prior[:, 0] if crossed else 0.0)
    precision = likelihood.precision(data)
    elimination = eliminate(
        structure(chain, crossed, none, 1), [f / sigma[:, None, None] for f in factors], precision[None],
        precision * residual / sigma[:, None],
    )  # fmt: skip
    squares = (precision * residual**2).sum() / sigma**2
    constant = 2 * likelihood.log_scale(data).sum() - data["N"] * (math.log(2 * math.pi) + 2 * np.log(sigma))
    whole = (constant - elimination.log_det[:, 0] - squares + elimination.gain[:, 0]) / 2
    return whole, row_log_densities(likelihood, data, elimination, residual, sigma)


def _where_exact(of: Callable[[FloatArray], FloatArray]) -> tuple[FloatArray, FloatArray]:
    """The points of the coarse grid from the first at which, and above which, ``of`` can be worked out; its values.

    A column that is constant within a group leaves a direction of the group's coefficients open: beside what a tiny
    sigma makes of the others, rounding drowns the 1 that its prior adds.
    """
    try:
        return _COARSE, of(_COARSE)
    except np.linalg.LinAlgError:
        values: list[FloatArray] = []
        for v in _COARSE[::-1]:
            try:
                values.append(of(np.array([v]))[0])
            except np.linalg.LinAlgError:
                break
        return _COARSE[len(_COARSE) - len(values) :], np.array(values[::-1])


def _over_sigma(likelihood: Likelihood, data: StanData, variant: str) -> FloatArray | None:
    """log p(y_n | the other rows) with sigma integrated out, by the trapezoidal rule in log(sigma).

    p(the other rows | sigma) is p(all rows | sigma) / p(y_n | the others, sigma). The integrand vanishes at both ends:
    a uniform prior ends, and logit(sigma / scale) stands for log(sigma) there. None where it does not vanish before
    sigma is so small that rounding drowns what groups leave open: rows that are fitted exactly.
    """
    prior, scale = own_prior(data, likelihood.own[0]), float(data["prior_sigma"][0])
    ends = prior.distribution == "uniform"

    def evidence(v: FloatArray) -> tuple[FloatArray, FloatArray]:
        sigma = scale * np.exp(log_expit(v) if ends else v)
        whole, rows = _given_sigma(likelihood, data, variant, sigma)
        whole = whole + prior.log_density(sigma) + np.log(sigma) + (log_expit(-v) if ends else 0.0)
        return whole, whole[:, None] - rows

    def parts(v: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
        return (evidence(v[some]) for some in portions(len(v), data["N"]))

    coarse, rough = _where_exact(lambda v: np.concatenate([others for _, others in parts(v)]))
    inside = np.flatnonzero((rough > rough.max(axis=0) - _TAIL).any(axis=1))
    if inside[0] == 0 and len(coarse) < len(_COARSE):
        return None
    low, high = coarse[max(inside[0] - 1, 0)], coarse[min(inside[-1] + 1, len(coarse) - 1)]
    steps, scores = 2 * math.ceil((high - low) * math.sqrt(2 * data["N"] + 1) / 2), np.full(data["N"], np.inf)
    for _ in range(_HALVINGS):
        both = [(whole, logsumexp(others, axis=0)) for whole, others in parts(np.linspace(low, high, steps + 1))]
        whole, others = np.concatenate([w for w, _ in both]), np.stack([o for _, o in both])
        last, scores = scores, np.asarray(logsumexp(whole) - logsumexp(others, axis=0))
        if float(np.abs(scores - last).max()) < _CLOSE:
            break
        steps *= 2
    return scores
