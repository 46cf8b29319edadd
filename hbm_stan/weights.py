"""What pointwise scores of several models say together: weights, a bootstrap of a difference, the best of many.

Everything is on the log scale, and nothing depends on the order of the observations or on a seed of the caller.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hbm_stan.later import logsumexp, minimize, ndtri
from hbm_stan.portions import VERY_MANY_ROWS, portions
from hbm_stan.table import FloatArray

# Yao et al. (2018): samples of the Bayesian bootstrap. Its weights are Dirichlet(1, ..., 1).
_BOOTSTRAP = 1000
_SEED = 20261121
# Weights of the bootstrap that are held at a time.
_AT_ONCE = 2**21
# With so many models or fewer (the baseline and ten) chance cannot be told: McLatchie & Vehtari (2024), as in R's loo.
_TOO_FEW_MODELS = 11
# The bootstrap's interval: 5 % and 95 %.
_INTERVAL = (0.05, 0.95)


def stacking_weights(elpd_i: FloatArray) -> FloatArray:
    """The weights that maximise sum_i log sum_k w_k exp(elpd_ik); ``elpd_i`` has shape (model, observation).

    Yao et al. (2018), 10.1214/17-BA1091, eq. 8.
    Only differences between models at the same observation matter, so the largest is subtracted there: an elpd of
    -800 at one observation is as good as any (exp(-800) would be 0).
    """
    k, n = elpd_i.shape
    shifted = elpd_i - elpd_i.max(axis=0)
    # Of very many observations there is no memory for copies: some are worked on at a time.
    many = n > VERY_MANY_ROWS
    density = np.exp(shifted, out=shifted if many else None)

    def loss(w: FloatArray) -> float:
        with np.errstate(divide="ignore"):
            if many:
                return -sum(float(np.log(np.maximum(w, 0) @ density[:, some]).sum()) for some in portions(n, k))
            return -float(np.sum(logsumexp(shifted, axis=0, b=np.maximum(w, 0)[:, None])))

    def gradient(w: FloatArray) -> FloatArray:
        parts = ((density[:, some] / (w @ density[:, some])).sum(axis=1) for some in portions(n, k))
        return -np.asarray(sum(parts))

    start = np.full(k, 1 / k)
    optimum = minimize(
        loss, start, jac=gradient, method="SLSQP", bounds=[(1e-12, 1.0)] * k,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(k)},
        options={"ftol": 1e-12, "maxiter": 1000},
    )  # fmt: skip
    weights = np.clip(optimum.x, 0, None)
    return np.asarray(weights / weights.sum())


def pseudo_bma_weights(elpd_i: FloatArray) -> FloatArray:
    """Pseudo-BMA+ weights, shape (model,), of ``elpd_i``, shape (model, observation).

    The mean over a Bayesian bootstrap of the observations of exp(elpd_k) / sum_k exp(elpd_k): Yao et al. (2018),
    10.1214/17-BA1091. A model that the bootstrap finds better now and then keeps some weight; stacking may
    give it none.
    """
    # Only differences at an observation matter. They are sorted, so that the same observations in another order meet
    # the same bootstrap weights; the key is the same whatever the order of the models.
    shifted = elpd_i - elpd_i.max(axis=0)
    ordered = shifted[:, np.lexsort(np.sort(shifted, axis=0))].T
    total = np.zeros(len(elpd_i))
    for share in _bootstrap(elpd_i.shape[1]):
        scores = share @ ordered
        total += np.exp(scores - logsumexp(scores, axis=1, keepdims=True)).sum(axis=0)
    return np.asarray(total / total.sum())


def bootstrap_difference(diff_u: FloatArray) -> tuple[float, float, float]:
    """5 % and 95 % of the sum of the differences ``diff_u``, shape (unit,), and how often it is below 0.

    A Bayesian bootstrap over units (Rubin 1981, 10.1214/aos/1176345338): unlike elpd_diff and its standard error it
    takes no sum for normal, which matters with few units or a few that decide (Sivula et al. 2025, 10.1214/25-BA1569).
    It knows nothing of units that were not seen: with few of them it is too narrow.
    """
    ordered = np.sort(diff_u)
    sums = np.concatenate([share @ ordered for share in _bootstrap(ordered.size)])
    low, high = np.quantile(sums, _INTERVAL)
    return float(low), float(high), float(np.mean(sums < 0))


def _bootstrap(n: int) -> Iterator[FloatArray]:
    """Bootstrap weights of n units, shape (sample, unit), some samples at a time; a sample's weights add up to n."""
    rng = np.random.default_rng(_SEED)
    at_once = max(1, _AT_ONCE // n)
    for start in range(0, _BOOTSTRAP, at_once):
        weights = rng.standard_exponential((min(at_once, _BOOTSTRAP - start), n))
        weights *= n / weights.sum(axis=1, keepdims=True)
        yield weights


def best_by_chance(elpd: FloatArray) -> bool | None:
    """Whether the best of many models may be best by chance alone; None where 11 models or fewer say too little.

    ``elpd`` has shape (model,). Models that are all as good as the median one differ by chance; the best of K such has
    an expected lead of about the 1 - 1 / (2 K) quantile of a normal whose sd is that of the better half: McLatchie &
    Vehtari (2024), 10.1007/s11222-024-10442-4, with the rule of R's loo_compare.
    """
    if elpd.size <= _TOO_FEW_MODELS:
        return None
    descending = np.sort(elpd)[::-1]
    lead = descending - descending[elpd.size // 2 - 1]
    better = lead[lead >= np.median(lead)]
    scale = math.sqrt(float(np.mean(better**2)))
    return bool(lead[0] <= scale * ndtri(1 - 1 / (2 * (elpd.size - 1))))
