"""A formula's model in NumPy: log density at a point, and what rows are given the coefficients."""

from __future__ import annotations

import numpy as np

from hbm_stan.families.terms.closed_form import log_marginal
from hbm_stan.families.terms.effects import linear_predictor, simulated_predictor
from hbm_stan.families.terms.population import log_prior
from hbm_stan.families.terms.sampled import log_sampled
from hbm_stan.likelihoods.likelihood import Likelihood, Own
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray


def own_of(likelihood: Likelihood, draws: Draws) -> Own:
    """The likelihood's own parameters in a shape that fits rows, (S, 1); vectors (S, 1, elements)."""
    return {row.name: np.asarray(draws[row.name])[:, None] for row in likelihood.own_rows}


def log_joint(likelihood: Likelihood, params: Draws, data: StanData, _variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale; correlations as partial ones.

    All varying coefficients are integrated out of normal rows, or those of the group; of coefficients that are sampled
    the density is that of ``sampled``, of common ones in units of ``beta_precision`` that of ``beta_standard``.
    """
    one = {name: np.asarray(value, dtype=float)[None] for name, value in params.items()}
    total, use = log_prior(likelihood, params, data), data["use_likelihood"]
    if not likelihood.integrated:
        total += log_sampled(params, data)
    if "beta_precision" in params:  # of the common coefficients in the units that they are sampled in
        total -= 0.5 * float(np.log(params["beta_precision"]).sum())
    if not use:
        return total
    rows = log_marginal if likelihood.precision is not None else pointwise
    return total + float(rows(likelihood, one, data).sum())


def pointwise(likelihood: Likelihood, draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | theta, effect), (S, N)."""
    return likelihood.log_p(linear_predictor(draws, data), data, own_of(likelihood, draws))


def row_weights(likelihood: Likelihood, draws: Draws, data: StanData) -> FloatArray | None:
    """How much each row says as a share of what one at its mean would, the posterior mean, (N,); None where all do."""
    if likelihood.row_weights is None:
        return None
    shares = likelihood.row_weights(linear_predictor(draws, data), data, own_of(likelihood, draws))
    return np.asarray(shares.mean(axis=0))


def simulate(likelihood: Likelihood, rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """Outcomes of rows given theta, (S, N); levels of other factors that were never seen are drawn."""
    return likelihood.simulate(rng, simulated_predictor(rng, draws, data), data, own_of(likelihood, draws))


def row_moments(likelihood: Likelihood, draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each row given theta and effect, (S, N) each."""
    return likelihood.moments(linear_predictor(draws, data), data, own_of(likelihood, draws))
