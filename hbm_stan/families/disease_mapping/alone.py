"""Rows left out without pooling: areas share no more than the overdispersion, which is integrated out by quadrature."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.families.disease_mapping.conditional import under_prior
from hbm_stan.later import logsumexp
from hbm_stan.model import StanData
from hbm_stan.priors import Prior, decode_scale
from hbm_stan.table import FloatArray

_TAIL, _FURTHEST = 1e-12, 50.0  # of the prior's mass, left out on either side; how far that is followed, in logs
_COARSE, _PIECES, _NODES = 121, 24, 8  # where the mass is; pieces of that, and nodes of Gauss and Legendre in each
_BELOW = 50.0  # what is so far below the largest log density counts for nothing


def exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """Without pooling: the probability of each row given all others, (N,), for an area has one row.

    That is its prior probability; of counts that spread more, its mean over the overdispersion given the other rows.
    """
    if variant != "no_pooling":
        return None
    of_row = np.asarray(data["group_idx"]) - 1
    if not data["overdispersed"]:
        return np.asarray(under_prior(data)[0, of_row])
    prior = decode_scale("overdispersion", data["prior_overdispersion_family"], data["prior_overdispersion"])
    coarse = np.linspace(*_range_of(prior, float(data["prior_overdispersion"][0])), _COARSE)
    log_prior, rows = _log_densities(coarse, prior, data)
    height = log_prior + rows.sum(axis=1)
    there = np.flatnonzero(height > height.max() - _BELOW)
    edges = np.linspace(coarse[max(there[0] - 1, 0)], coarse[min(there[-1] + 1, _COARSE - 1)], _PIECES + 1)
    x, w = np.polynomial.legendre.leggauss(_NODES)
    half = (edges[1] - edges[0]) / 2
    log_prior, rows = _log_densities(((edges[:-1] + half)[:, None] + half * x).ravel(), prior, data)
    weighted = (log_prior + np.log(np.tile(w, _PIECES)))[:, None]
    others = rows.sum(axis=1, keepdims=True) - rows
    given = logsumexp(weighted + others + rows, axis=0) - logsumexp(weighted + others, axis=0)
    return np.asarray(given[of_row])


def _range_of(prior: Prior, scale: float) -> tuple[float, float]:
    """Between which logs nearly all of the prior of a positive quantity lies; a uniform prior ends at its scale."""
    low = high = math.log(scale)
    while prior.cumulative(math.exp(low)) > _TAIL and low > math.log(scale) - _FURTHEST:
        low -= 1.0
    while prior.cumulative(math.exp(high)) < 1 - _TAIL and high < math.log(scale) + _FURTHEST:
        high += 1.0
    return low, high


def _log_densities(log_spread: FloatArray, prior: Prior, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Of the log of the overdispersion (n,): its prior's, (n,), and those of the areas given it, (n, J)."""
    spread = np.exp(log_spread)
    return np.asarray(prior.log_density(spread)) + log_spread, under_prior(data, spread[:, None])
