"""How networks are trained: full batches, Adam, early stopping on held-out points. Needs jax and optax.

Fields with the comment of a shape are JAX arrays; functions are pure, so that ``vmap`` runs many at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from hbm_stan.table import FloatArray

Tree = Any  # what parameters are: nested tuples and dicts of arrays
HELD_OUT = 0.2  # share of a set's points
FEWEST = 5  # points of a set of which some are held out


class Points(NamedTuple):
    """Sets padded to one length: scaled frequency and outcome, weights of points to learn from and of held-out ones."""

    x: Any  # (..., M)
    y: Any  # (..., M)
    use: Any  # (..., M), 1 or 0
    held: Any  # (..., M), 1 or 0


class Trained(NamedTuple):
    """Parameters at the best step, that step, and the mean held-out loss there (infinite where nothing is held out)."""

    params: Tree
    step: Any
    held: Any


def padded(
    sets: list[tuple[FloatArray, FloatArray]], rng: np.random.Generator, length: int, learn: int | None = None
) -> Points:
    """Sets of (x, y), a fifth of each held out at random; ``learn``: so many are learnt from, all others held out."""
    x, y, use, held = (np.zeros((len(sets), length), dtype=np.float32) for _ in range(4))
    for j, (own_x, own_y) in enumerate(sets):
        n = len(own_x)
        x[j, :n], y[j, :n] = own_x, own_y
        out = n - learn if learn is not None else max(1, round(HELD_OUT * n)) if n >= FEWEST else 0
        at = rng.permutation(n)
        held[j, at[:out]], use[j, at[out:]] = 1, 1
    return Points(*(jnp.asarray(a) for a in (x, y, use, held)))


def network(key: Any, sizes: tuple[int, ...]) -> Tree:
    """Weights and biases of a network with layers of these sizes; scaled by 1 / sqrt(inputs), LeCun (1998)."""
    keys = jax.random.split(key, len(sizes) - 1)
    first = [1.5 if a == 1 else a**-0.5 for a in sizes[:-1]]  # one input from -1.5 to 1.5: bends all over the range
    return tuple(
        (scale * jax.random.normal(k, (a, b)), jax.random.normal(jax.random.fold_in(k, 1), (b,)) * (a == 1))
        for k, scale, a, b in zip(keys, first, sizes[:-1], sizes[1:], strict=True)
    )


def layers(params: Tree, x: Any) -> Any:
    """The output of a network, tanh between its layers: (n, inputs) to (n, outputs)."""
    for weight, bias in params[:-1]:
        x = jnp.tanh(x @ weight + bias)
    return x @ params[-1][0] + params[-1][1]


def descend(
    loss: Callable[[Tree], Any], held_out: Callable[[Tree], Any], start: Tree, steps: int, rate: float, stop: Any
) -> Trained:
    """Adam with a falling rate; what is best on held-out points, or after ``stop`` steps where none is (infinite)."""
    optimiser = optax.adam(optax.cosine_decay_schedule(rate, steps, 0.05))
    gradient = jax.grad(loss)

    def step(carry: Any, i: Any) -> tuple[Any, None]:
        params, state, best = carry
        now = held_out(params)
        better = jnp.where(jnp.isinf(now), i == stop, now < best.held)
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), Trained(params, i, now), best)
        change, state = optimiser.update(gradient(params), state)
        return (optax.apply_updates(params, change), state, best), None

    first = Trained(start, jnp.asarray(0), jnp.asarray(jnp.inf))
    carry, _ = jax.lax.scan(step, (start, optimiser.init(start), first), jnp.arange(steps))
    return carry[2]


def mean_over(weights: Any, values: Any) -> Any:
    """The weighted mean; infinite where all weights are zero."""
    total = weights.sum()
    return jnp.where(total > 0, (weights * values).sum() / jnp.maximum(total, 1), jnp.inf)
