"""A network with tied heads on purchases in cities, five of them averaged. Needs jax and optax."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from planck_study.cities import PRICES, SIZES, Cities, losses
from planck_study.training import Points, Trained, Tree, descend, layers, mean_over, network, padded

SEEDS, STEPS, RATE = 5, 1000, 0.01
_UNIT = 3.0  # euro: prices from -1.5 to 1.5
# Units of a hidden layer and weight of the penalty that draws heads to their common one.
GRID = [(width, penalty) for width in (8, 16) for penalty in (1.0, 10.0, 100.0, 1000.0)]


def _log_odds(trunk: Tree, head: Any, x: Any) -> Any:
    return jnp.tanh(layers(trunk, x[:, None])) @ head[:-1] + head[-1]


@partial(jax.jit, static_argnames=("width",))
def _train(keys: Any, points: Points, penalty: Any, width: int) -> Trained:
    """Trunk, common head and a head for each city, for each seed."""

    def errors(params: Tree) -> Any:
        odds = jax.vmap(_log_odds, (None, 0, 0))(params["trunk"], params["heads"], points.x)
        return optax.sigmoid_binary_cross_entropy(odds, points.y)

    def one(key: Any) -> Trained:
        first, second = jax.random.split(key)
        head = 0.1 * jax.random.normal(second, (width + 1,))
        start = {"trunk": network(first, (1, width, width)), "head": head, "heads": jnp.tile(head, (len(SIZES), 1))}

        def loss(params: Tree) -> Any:
            tie = penalty * ((params["heads"] - params["head"]) ** 2).sum()
            return ((points.use * errors(params)).sum() + tie) / points.use.sum()

        return descend(loss, lambda params: mean_over(points.held, errors(params)), start, STEPS, RATE, STEPS - 1)

    return jax.vmap(one)(keys)


def tied_heads(of: Cities, seed: int) -> dict[str, Any]:
    """What the averaged networks lose; seconds and the setting that held-out rows of the known cities chose."""
    start, rng = time.perf_counter(), np.random.default_rng(seed)
    rows = [(of.price[of.city == j] / _UNIT, of.bought[of.city == j]) for j in range(len(SIZES))]
    points, keys = padded(rows, rng, max(SIZES)), jax.random.split(jax.random.key(seed), SEEDS)
    tries = [(_train(keys[:2], points, penalty, width), (width, penalty)) for width, penalty in GRID]
    _, (width, penalty) = min(tries, key=lambda t: float(t[0].held.mean()))
    params = _train(keys, points, penalty, width).params
    x = jnp.asarray(PRICES / _UNIT)

    def chances(params: Tree) -> tuple[Any, Any]:
        known = jax.vmap(_log_odds, (None, 0, None))(params["trunk"], params["heads"], x)
        return jax.nn.sigmoid(known), jax.nn.sigmoid(_log_odds(params["trunk"], params["head"], x))

    known, new = jax.vmap(chances)(params)
    return {
        **losses(of, np.asarray(known, dtype=float).mean(axis=0), np.asarray(new, dtype=float).mean(axis=0)[None]),
        "seconds": time.perf_counter() - start, "width": width, "penalty": penalty,
    }  # fmt: skip
