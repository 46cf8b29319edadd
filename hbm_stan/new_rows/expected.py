"""The expected value of rows given their linear predictor, and its average over factors' populations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hbm_stan.families.terms.density import own_of
from hbm_stan.likelihoods.cumulative import category_shares
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Draws
from hbm_stan.new_rows.terms import Predictor
from hbm_stan.table import FloatArray

# The trapezoidal rule over a standard normal: how far it goes, and its widest step. A step of 1 / sd and less is exact
# to 1e-8 for inverse logits (poles at pi / sd; Trefethen & Weideman 2014, SIAM Review 56:385, theorem 5.1).
_REACH, _WIDEST = 9.0, 0.5
# An sd of groups on the scale of logs and log odds beyond which steps stay as they are (ours).
_LARGEST_SD = 12.0


def is_linear(likelihood: Likelihood) -> bool:
    """Whether the expected value is the linear predictor: then an average over groups is that of the middle group."""
    return not likelihood.eta_unit


def expected(likelihood: Likelihood, draws: Draws, predictor: Predictor) -> FloatArray:
    """The expected value of each row, (S, N); of ordered categories the share of each, (S, N, K).

    Over factors that are averaged it is the mean over levels drawn from their population.
    """

    def at(eta: FloatArray) -> FloatArray:
        own = own_of(likelihood, draws)
        with np.errstate(over="ignore"):
            return category_shares(eta, own) if "threshold" in own else likelihood.moments(eta, predictor.data, own)[0]

    if is_linear(likelihood) or not predictor.spread.any():
        return at(predictor.eta)
    return averaged(at, predictor.eta, predictor.spread)


def averaged(at: Callable[[FloatArray], FloatArray], eta: FloatArray, sd: FloatArray) -> FloatArray:
    """The mean of a function of a normal variable with these means and sds."""
    largest = min(float(sd.max()), _LARGEST_SD)
    step = min(_WIDEST, 1 / largest)
    half = int(np.ceil((_REACH + largest) / step))
    nodes = step * np.arange(-half, half + 1)
    weights = np.exp(-(nodes**2) / 2)
    weights /= weights.sum()
    total = weights[0] * at(eta + nodes[0] * sd)
    for node, weight in zip(nodes[1:], weights[1:], strict=True):
        total += weight * at(eta + node * sd)
    return np.asarray(total)


def observed(likelihood: Likelihood, rng: np.random.Generator, draws: Draws, predictor: Predictor) -> FloatArray:
    """A new observation of each row, (S, N); of a factor that is averaged, in a level drawn for it alone."""
    eta = (
        predictor.eta + predictor.spread * rng.normal(size=predictor.eta.shape)
        if predictor.spread.any()
        else predictor.eta
    )
    with np.errstate(over="ignore"):
        return likelihood.simulate(rng, eta, predictor.data, own_of(likelihood, draws))
