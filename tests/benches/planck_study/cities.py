"""Purchases in cities of 5 to 500 users: poolings of a logistic regression beside a network with tied heads.

The population is that of ``data/city_prices``. What is compared is the expected log loss of new rows, the truth known:
no new row is drawn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.data import Dataset
from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families.logistic_regression import FAMILY
from hbm_stan.fit import prepare_table
from hbm_stan.mixing import summarised
from hbm_stan.table import FloatArray
from planck_study.spectra import SEED

SIZES = tuple(int(n) for n in np.rint(np.geomspace(5, 500, 12)))
MEAN, SDS, RHO = (0.3, -0.5), (0.6, 0.2), -0.3  # of log odds at the middle price, and of its slope
PRICES = np.linspace(1, 10, 91) - 5.5  # all that are shown, about their middle
NEW = "a new city"
GROUPS = {"5 to 20 users": (5, 20), "21 to 100 users": (21, 100), "101 to 500 users": (101, 500)}
POOLINGS = ("complete_pooling", "no_pooling", "partial_pooling")
NETWORK = "tied heads"
CITIES_MODELS = ("complete pooling", "no pooling", "partial pooling", NETWORK)


@dataclass(frozen=True, kw_only=True)
class Cities:
    """Rows of the cities that are learnt from, and the truth of these and of new ones."""

    city: Any  # (N,), from 0
    price: FloatArray  # (N,), about their middle
    bought: FloatArray  # (N,), 0 or 1
    known: FloatArray  # (J, len(PRICES)), chances
    new: FloatArray  # (100, len(PRICES)), chances in cities that nobody has seen


def cities(number: int) -> Cities:
    """Collection ``number``, the same on every machine."""
    rng = np.random.default_rng([SEED, 2, number])
    covariance = [[SDS[0] ** 2, RHO * SDS[0] * SDS[1]], [RHO * SDS[0] * SDS[1], SDS[1] ** 2]]
    a, b = rng.multivariate_normal(MEAN, covariance, len(SIZES) + 100, method="cholesky").T
    chance = 1 / (1 + np.exp(-(a[:, None] + b[:, None] * PRICES)))
    city, at = np.repeat(np.arange(len(SIZES)), SIZES), rng.integers(0, len(PRICES), sum(SIZES))
    bought = rng.binomial(1, chance[city, at]).astype(float)
    return Cities(
        city=city, price=PRICES[at], bought=bought, known=chance[: len(SIZES)], new=chance[len(SIZES) :]
    )  # fmt: skip


def log_loss(truth: FloatArray, chance: FloatArray) -> FloatArray:
    """The expected log loss of a new row, its price drawn from all, by city; ``chance`` broadcasts over cities."""
    return np.asarray(-(truth * np.log(chance) + (1 - truth) * np.log1p(-chance)).mean(axis=-1))


def losses(of: Cities, known: FloatArray, new: FloatArray) -> dict[str, float]:
    """Log loss by size of known cities and in a new city, above that of the truth itself (the least there is)."""
    excess = log_loss(of.known, known) - log_loss(of.known, of.known)
    sizes = np.array(SIZES)
    rows = {name: float(excess[(sizes >= low) & (sizes <= high)].mean()) for name, (low, high) in GROUPS.items()}
    return {**rows, NEW: float((log_loss(of.new, new) - log_loss(of.new, of.new)).mean())}


def pooled(of: Cities, pooling: str, seed: int) -> dict[str, float]:
    """What a pooling of the logistic regression loses; seconds, R-hat and divergences of the fit."""
    start = time.perf_counter()
    labels = np.array([f"C{j:02d}" for j in range(len(SIZES))])
    frame = pd.DataFrame({"city": labels[of.city], "price": of.price, "bought": of.bought.astype(int)})
    dataset = Dataset.from_frame(frame, {"group": "city", "outcome": "bought", "predictors": ["price"]})
    prepared = prepare_table(FAMILY, dataset)
    data = dict(FAMILY.stan_data(prepared, FAMILY.priors(prepared), pooling)) | {"generate": 0}
    settings = Sampling(chains=4, warmup=500, draws=500, adapt_delta=0.95, seed=seed)
    drawn = StanliEngine().sample(FAMILY.program(pooling), data, settings)
    coefficients = drawn.variables["theta"]
    rhat = float(np.nanmax(summarised(coefficients.reshape(*coefficients.shape[:2], -1).transpose(2, 0, 1))["rhat"]))
    known, new = _chances(drawn, data, pooling, seed)
    return {
        **losses(of, known, new), "seconds": time.perf_counter() - start, "rhat": rhat,
        "divergent": int(np.asarray(drawn.sample_stats["diverging"]).sum()),
    }  # fmt: skip


def _chances(drawn: EngineDraws, data: dict[str, Any], variant: str, seed: int) -> tuple[FloatArray, FloatArray]:
    """Posterior mean chances at all prices: of known cities, (J, prices), and of a new one, (1, prices)."""
    draws = {name: np.asarray(v).reshape(-1, *np.shape(v)[2:]) for name, v in drawn.variables.items()}
    design = {**data, "J": 1, "U": np.asarray(data["U"])[:1]}
    new_group = FAMILY.need("new_group", "this study")
    new = new_group(np.random.default_rng(seed), draws, design, variant)
    columns = np.column_stack([np.ones(len(PRICES)), PRICES])
    known, unseen = (
        (1 / (1 + np.exp(-np.einsum("sjk,pk->sjp", theta, columns)))).mean(axis=0) for theta in (draws["theta"], new)
    )
    return known, unseen
