"""How much rows spread about what a formula's columns and factors explain, before anything is sampled."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.families.terms.effects import terms_of
from hbm_stan.families.terms.factors import groupings, in_order
from hbm_stan.integrate import Integrand, find_mode
from hbm_stan.integrate.leverage import predict_rows
from hbm_stan.integrate.structure import Level, structure
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray

# Sd of a coefficient, times that of its column, on the scale of a log: as wide as the default priors of slopes.
_WIDE = 2.5
_MOST_CROSSED = 200  # coefficients that are solved for together: beyond, it takes too long to say anything (ours)


def pearson(likelihood: Likelihood, data: StanData) -> tuple[float, float]:
    """Pearson's chi-squared of the rows about their mode, and its degrees of freedom: rows less leverages.

    All coefficients have wide normal priors (McCullagh & Nelder 1989, section 6.2.3). nan where there are too many of
    them.
    """
    n = data["N"]
    chain, crossed = in_order(groupings(terms_of(data)))
    x = np.column_stack([np.ones(n), np.asarray(data["X"], dtype=float).reshape(n, -1)])
    none = np.zeros(n, dtype=np.int64)
    levels = [*(g.level for g in chain), *(g.level for g in crossed), Level(x, none, 1)]
    if sum(level.size * level.width for level in levels[len(chain) :]) > _MOST_CROSSED:
        return math.nan, math.nan
    s = structure(levels[: len(chain)], levels[len(chain) :], none, 1)
    size = np.asarray(data.get(likelihood.size, np.ones(n)), dtype=float)
    offset = np.asarray(data["offset_"], dtype=float)
    start = math.log((float(np.sum(data["y"])) + 0.5) / float((size * np.exp(offset)).sum()))
    mode = find_mode(s, [_factor(level) for level in levels], Integrand(likelihood, data, {}, (offset + start)[None]))
    mean, variance = likelihood.moments(mode.eta, data, {})
    leverage = predict_rows(mode.eliminated, np.sqrt(likelihood.weight(mode.eta, data, {}))[0])[1]
    return float(((np.asarray(data["y"]) - mean) ** 2 / variance).sum()), n - float(leverage.sum())


def _factor(level: Level) -> FloatArray:
    """The Cholesky factor of the prior covariance, (1, K, K)."""
    sd = np.std(level.columns, axis=0)
    return np.diag(_WIDE / np.where(sd > 0, sd, 1.0))[None]
