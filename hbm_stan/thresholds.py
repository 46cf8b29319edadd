"""Thresholds between ordered categories, on the scale of log odds: shares of categories from them, and their prior.

The prior is that of the shares of categories where the linear predictor is 0, a symmetric Dirichlet distribution, as a
density of the thresholds (Betancourt 2019, "Ordinal regression", section 2.2: the induced Dirichlet prior).
"""

from __future__ import annotations

import numpy as np

from hbm_stan.later import expit, gammaln, log_expit
from hbm_stan.table import FloatArray

# Of the search for thresholds: the bracket is halved at worst, from a width of hundreds to rounding.
_STEPS, _CLOSE = 100, 1e-10


def with_ends(thresholds: FloatArray) -> FloatArray:
    """The thresholds (..., K - 1) with those below the first and above the last category, (..., K + 1)."""
    end = np.full((*thresholds.shape[:-1], 1), np.inf)
    return np.concatenate([-end, thresholds, end], axis=-1)


def log_between(lower: FloatArray, upper: FloatArray) -> FloatArray:
    """log(inv_logit(upper) - inv_logit(lower)), lower below upper; either may be infinite.

    inv_logit(upper) (1 - inv_logit(lower)) (1 - exp(lower - upper)): nothing cancels far from 0.
    """
    return np.asarray(log_expit(upper) + log_expit(-lower) + np.log(-np.expm1(lower - upper)))


def log_shares(thresholds: FloatArray, eta: FloatArray | float = 0.0) -> FloatArray:
    """The logs of the shares of categories, (..., K), at eta (...,)."""
    ends = with_ends(thresholds) - np.asarray(eta)[..., None]
    return log_between(ends[..., :-1], ends[..., 1:])


def of_shares(shares: FloatArray) -> FloatArray:
    """The thresholds (..., K - 1) at which categories have these shares (..., K) where eta is 0."""
    below = np.cumsum(shares, axis=-1)[..., :-1]
    above = np.flip(np.cumsum(np.flip(shares, axis=-1), axis=-1), axis=-1)[..., 1:]
    return np.asarray(np.log(below) - np.log(above))


def log_induced_dirichlet(thresholds: FloatArray, concentration: float) -> FloatArray:
    """The log density of thresholds (..., K - 1) whose shares at eta = 0 are dirichlet(a, ..., a), (...,).

    The last term is the Jacobian: each threshold moves the share below it by its logistic density.
    """
    size = thresholds.shape[-1] + 1
    constant = gammaln(size * concentration) - size * gammaln(concentration)
    jacobian = log_expit(thresholds) + log_expit(-thresholds)
    of_shares_alone = (concentration - 1) * log_shares(thresholds).sum(axis=-1)
    return np.asarray(constant + of_shares_alone + jacobian.sum(axis=-1))


def fitting(eta: FloatArray, below: FloatArray) -> FloatArray:
    """Thresholds (K - 1,) above which as many rows of these eta (N,) are expected as there are; ``below`` (K - 1,) is
    the number of rows up to each, which need not be whole and lies strictly between 0 and N."""
    start = np.log(below) - np.log(len(eta) - below)
    low, high = start + eta.min(), start + eta.max()
    thresholds = start + eta.mean()
    for _ in range(_STEPS):
        p = expit(thresholds[:, None] - eta)
        off = p.sum(axis=1) - below
        low, high = np.where(off < 0, thresholds, low), np.where(off > 0, thresholds, high)
        slope = (p * expit(eta - thresholds[:, None])).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = thresholds - off / slope
        # Newton's step, or half way where that leads out of what is known to hold the solution.
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        if np.abs(new - thresholds).max() < _CLOSE:
            return np.asarray(new)
        thresholds = new
    return np.asarray(thresholds)
