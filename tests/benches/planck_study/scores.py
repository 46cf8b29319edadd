"""What a prediction of a curve is worth, set beside the true curve and the new fluxes that it makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm

from hbm_stan.table import FloatArray

LEVEL = 0.8  # of bands
_NODES = 15  # of the expectation of a log density over new fluxes
MEASURES = ("rmse", "coverage", "width", "log_score")


@dataclass(frozen=True)
class Forecast:
    """A curve with its band at n frequencies, and the log density of fluxes there, (n, k) to (n, k)."""

    mean: FloatArray
    low: FloatArray
    high: FloatArray
    log_density: Callable[[FloatArray], FloatArray]


def of_draws(curves: FloatArray, sigma: FloatArray) -> Forecast:
    """From draws of the curve, (S, n), and of the error's sd, (S,): their mean, quantiles, and mixture of normals."""
    low, high = np.quantile(curves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)

    def log_density(y: FloatArray) -> FloatArray:
        each = norm.logpdf(y[None], curves[:, :, None], np.asarray(sigma)[:, None, None])
        return np.asarray(logsumexp(each, axis=0) - np.log(len(curves)))

    return Forecast(curves.mean(axis=0), low, high, log_density)


def of_ensemble(curves: FloatArray, sigma: FloatArray) -> Forecast:
    """From few networks, (M, n), each with its sd of errors, (M,): one normal with the mixture's mean and variance.

    Lakshminarayanan, Pritzel and Blundell (2017), section 2.4. The band is that of the curve: the networks' own spread.
    """
    mean, spread = curves.mean(axis=0), curves.std(axis=0, ddof=1)
    z = norm.ppf((1 + LEVEL) / 2)
    total = np.sqrt(spread**2 + np.mean(np.square(sigma)))
    return Forecast(
        mean, mean - z * spread, mean + z * spread, lambda y: np.asarray(norm.logpdf(y, mean[:, None], total[:, None]))
    )


def scores(forecast: Forecast, truth: FloatArray, sigma: float) -> dict[str, float]:
    """RMSE of the mean against the true curve, share of it that the band holds, the band's mean width, log score.

    The log score is the expected log density of a new flux, normal(truth, sigma), by Gauss-Hermite quadrature.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    log_density = forecast.log_density(truth[:, None] + sigma * nodes)
    return {
        "rmse": float(np.sqrt(np.mean((forecast.mean - truth) ** 2))),
        "coverage": float(np.mean((forecast.low <= truth) & (truth <= forecast.high))),
        "width": float(np.mean(forecast.high - forecast.low)),
        "log_score": float(np.mean(log_density @ (weights / weights.sum()))),
    }
