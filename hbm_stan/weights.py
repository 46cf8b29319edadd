"""Stacking weights: Yao et al. (2018), 10.1214/17-BA1091, eq. 8, on the log scale."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from hbm_stan.table import FloatArray


def stacking_weights(elpd_i: FloatArray) -> FloatArray:
    """The weights that maximise sum_i log sum_k w_k exp(elpd_ik); ``elpd_i`` has shape (model, observation).

    Only differences between models at the same observation matter, so the largest is subtracted there: an elpd of
    -800 at one observation is as good as any (exp(-800) would be 0).
    """
    shifted = elpd_i - elpd_i.max(axis=0)
    density = np.exp(shifted)

    def loss(w: FloatArray) -> float:
        with np.errstate(divide="ignore"):
            return -float(np.sum(logsumexp(shifted, axis=0, b=np.maximum(w, 0)[:, None])))

    def gradient(w: FloatArray) -> FloatArray:
        return -np.asarray((density / (w @ density)).sum(axis=1))

    k = elpd_i.shape[0]
    start = np.full(k, 1 / k)
    found = minimize(
        loss, start, jac=gradient, method="SLSQP", bounds=[(1e-12, 1.0)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(k)},
        options={"ftol": 1e-12, "maxiter": 1000},
    )  # fmt: skip
    weights = np.clip(found.x, 0, None)
    return np.asarray(weights / weights.sum())
