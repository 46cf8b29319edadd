"""The rivals: a network for each set, a hypernetwork, and a multi-task network with tied heads. Needs jax and optax.

Each is five networks with seeds of their own. Settings are searched on training sets only: for the isolated network by
its held-out points, for the others by sets that are left out of the training and then known by five points each.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hbm_stan.table import FloatArray
from planck_study.scores import Forecast, of_ensemble
from planck_study.spectra import HIGHEST, LOWEST, SIZES, Collection, Spectrum, places
from planck_study.training import FEWEST, Points, Trained, Tree, descend, layers, mean_over, network, padded

SEEDS = 5
STEPS = {"alone": 2000, "joint": 3000, "new": 1000}
RATE = 0.01
_LONGEST = max(SIZES)
# Sets that the search leaves out, and of how many points it then learns them.
_LEFT_OUT, _KNOWN_BY = 4, 5
RIVALS = ("isolated networks", "hypernetwork", "tied heads")


class Setting(NamedTuple):
    """What is searched: units of a hidden layer, length of an embedding, and the weight of the penalty."""

    width: int
    length: int
    penalty: float


GRIDS = {
    "isolated networks": [Setting(w, 0, p) for w in (16, 32) for p in (1e-4, 1e-3, 1e-2)],
    "hypernetwork": [Setting(32, d, p) for d in (2, 4) for p in (3e-3, 3e-2, 3e-1)],
    "tied heads": [Setting(w, 0, p) for w in (16, 32) for p in (3e-3, 3e-2, 3e-1)],
}


def scaled(nu: FloatArray) -> FloatArray:
    """Frequency from -1.5 to 1.5 over the range of points."""
    return np.asarray(3 * (nu - LOWEST) / (HIGHEST - LOWEST) - 1.5)


def _sets(spectra: tuple[Spectrum, ...] | list[Spectrum], unit: float) -> list[tuple[FloatArray, FloatArray]]:
    return [(scaled(s.nu), s.flux / unit) for s in spectra]


# --- a network for each set -----------------------------------------------------------------------------------------


@partial(jax.jit, static_argnames=("width",))
def _alone(keys: Any, points: Points, penalty: Any, stop: Any, width: int) -> Trained:
    """A network for each set and seed: (sets, seeds)."""

    def one(own: Points, key: Any) -> Trained:
        def loss(params: Tree) -> Any:
            errors = (layers(params, own.x[:, None])[:, 0] - own.y) ** 2
            return mean_over(own.use, errors) + penalty * sum((w**2).sum() for w, _ in params) / own.use.sum()

        def held_out(params: Tree) -> Any:
            return mean_over(own.held, (layers(params, own.x[:, None])[:, 0] - own.y) ** 2)

        return descend(loss, held_out, network(key, (1, width, width, 1)), STEPS["alone"], RATE, stop)

    return jax.vmap(lambda own: jax.vmap(lambda key: one(own, key))(keys))(points)


def isolated(of: Collection, seed: int) -> tuple[dict[str, FloatArray], FloatArray, dict[str, Any]]:
    """Curves of each new set, (seeds, n) over all its places; the sd of errors of each seed; the setting."""
    rng, unit = np.random.default_rng(seed), _unit(of.training)
    keys = jax.random.split(jax.random.key(seed), SEEDS)
    large = padded(_sets([s for s in of.training if len(s.nu) >= FEWEST], unit), rng, _LONGEST)
    tries = [(_alone(keys[:1], large, s.penalty, 0, s.width), s) for s in GRIDS["isolated networks"]]
    best, setting = min(tries, key=lambda t: float(jnp.sqrt(t[0].held).mean()))
    stop = int(np.median(best.step))
    sigma = unit * float(jnp.sqrt(jnp.average(best.held[:, 0], weights=large.held.sum(axis=1))))
    trained = _alone(keys, padded(_sets(of.new, unit), rng, _LONGEST), setting.penalty, stop, setting.width)
    curves = {}
    for j, new in enumerate(of.new):
        own = jax.tree.map(lambda a, j=j: a[j], trained.params)
        curves[new.name] = unit * np.asarray(jax.vmap(layers, (0, None))(own, _all_places(new)))[..., 0]
    return curves, np.full(SEEDS, sigma), {**setting._asdict(), "stop": stop}


# --- networks that sets share ---------------------------------------------------------------------------------------


def _start(kind: str, key: Any, sets: int, setting: Setting) -> Tree:
    """What all sets share, and a code for each: (shared, codes)."""
    width, length = setting.width, setting.length
    one, two, three = jax.random.split(key, 3)
    if kind == "hypernetwork":
        weights = network(one, (1, width))[0]
        shared = {
            "to": jax.random.normal(two, (length, 2 * width)) * length**-0.5,
            "about": jnp.concatenate([weights[0][0], weights[1]]),
            "rest": network(three, (width, width, 1)),
        }
        return shared, 0.1 * jax.random.normal(jax.random.fold_in(two, 1), (sets, length))
    shared = {"trunk": network(one, (1, width, width)), "head": jax.random.normal(two, (width + 1,)) * width**-0.5}
    return shared, jnp.tile(shared["head"], (sets, 1))


def _curve(kind: str, shared: Tree, code: Any, x: Any) -> Any:
    """The curve of a set by its code: first weights and biases that are linear in it, or it is the last layer."""
    if kind == "hypernetwork":
        weight, bias = jnp.split(code @ shared["to"] + shared["about"], 2)
        return layers(shared["rest"], jnp.tanh(x[:, None] * weight + bias))[:, 0]
    return jnp.tanh(layers(shared["trunk"], x[:, None])) @ code[:-1] + code[-1]


def _centre(kind: str, shared: Tree) -> Any:
    """Where the penalty draws codes to: zero, or the head that all share."""
    return 0.0 if kind == "hypernetwork" else shared["head"]


@partial(jax.jit, static_argnames=("kind", "setting"))
def _together(keys: Any, points: Points, penalty: Any, kind: str, setting: Setting) -> Trained:
    """All sets at once, for each seed; parameters are (shared, codes)."""
    curves = jax.vmap(partial(_curve, kind), (None, 0, 0))

    def one(key: Any) -> Trained:
        def loss(params: Tree) -> Any:
            shared, codes = params
            errors = (points.use * (curves(shared, codes, points.x) - points.y) ** 2).sum()
            return (errors + penalty * ((codes - _centre(kind, shared)) ** 2).sum()) / points.use.sum()

        def held_out(params: Tree) -> Any:
            return mean_over(points.held, (curves(*params, points.x) - points.y) ** 2)

        start = _start(kind, key, points.x.shape[0], setting)
        return descend(loss, held_out, start, STEPS["joint"], RATE, STEPS["joint"] - 1)

    return jax.vmap(one)(keys)


@partial(jax.jit, static_argnames=("kind",))
def _adapt(params: Tree, points: Points, penalty: Any, stop: Any, kind: str) -> Trained:
    """Codes of new sets, (seeds, sets, length), with what is shared fixed."""

    def one(shared: Tree, codes: Any, own: Points) -> Trained:
        def loss(code: Any) -> Any:
            errors = (own.use * (_curve(kind, shared, code, own.x) - own.y) ** 2).sum()
            return (errors + penalty * ((code - _centre(kind, shared)) ** 2).sum()) / own.use.sum()

        def held_out(code: Any) -> Any:
            return mean_over(own.held, (_curve(kind, shared, code, own.x) - own.y) ** 2)

        return descend(loss, held_out, codes.mean(axis=0), STEPS["new"], RATE, stop)

    return jax.vmap(lambda p: jax.vmap(lambda own: one(*p, own))(points))(params)


def _plain(setting: Setting) -> Setting:
    """A setting without its penalty, so that one compiled function is for all penalties."""
    return setting._replace(penalty=0.0)


def search(kind: str, of: Collection, rng: np.random.Generator, key: Any, unit: float) -> tuple[Setting, int]:
    """The setting that predicts left-out training sets best from five points each, and after how many steps."""
    large = [j for j, s in enumerate(of.training) if len(s.nu) >= 2 * _KNOWN_BY]
    out = set(rng.choice(large, _LEFT_OUT, replace=False).tolist())
    others = padded(_sets([s for j, s in enumerate(of.training) if j not in out], unit), rng, _LONGEST)
    few = padded(_sets([of.training[j] for j in sorted(out)], unit), rng, _LONGEST, learn=_KNOWN_BY)
    tries = []
    for setting in GRIDS[kind]:
        trained = _together(key[None], others, setting.penalty, kind, _plain(setting))
        adapted = _adapt(trained.params, few, setting.penalty, 0, kind)
        tries.append((float(jnp.sqrt(adapted.held).mean()), setting, int(np.median(adapted.step))))
    _, setting, stop = min(tries)
    return setting, stop


def shared_network(kind: str, of: Collection, seed: int) -> tuple[dict[str, FloatArray], FloatArray, dict[str, Any]]:
    """Curves of each new set, (seeds, n) over all its places; the sd of errors of each seed; the setting."""
    rng, unit = np.random.default_rng(seed), _unit(of.training)
    keys = jax.random.split(jax.random.key(seed), SEEDS + 1)
    setting, stop = search(kind, of, rng, keys[SEEDS], unit)
    trained = _together(
        keys[:SEEDS], padded(_sets(of.training, unit), rng, _LONGEST), setting.penalty, kind, _plain(setting)
    )
    new = padded(_sets(of.new, unit), rng, _LONGEST)
    codes = _adapt(trained.params, new, setting.penalty, stop, kind).params
    draw = jax.vmap(partial(_curve, kind), (0, 0, None))
    curves = {
        s.name: unit * np.asarray(draw(trained.params[0], codes[:, j], _all_places(s)[:, 0]))
        for j, s in enumerate(of.new)
    }
    return curves, unit * np.sqrt(np.asarray(trained.held)), {**setting._asdict(), "stop": stop}


def _unit(training: tuple[Spectrum, ...]) -> float:
    return float(np.sqrt(np.mean(np.concatenate([s.flux for s in training]) ** 2)))


def _all_places(spectrum: Spectrum) -> Any:
    return jnp.asarray(scaled(np.concatenate(list(places(spectrum).values())))[:, None])


def predict(rival: str, of: Collection, seed: int) -> tuple[dict[str, dict[str, Forecast]], dict[str, Any]]:
    """Forecasts of each new set inside and outside the range of its points; seconds and the setting."""
    start = time.perf_counter()
    curves, sigma, setting = isolated(of, seed) if rival == RIVALS[0] else shared_network(rival, of, seed)
    forecasts = {}
    for new in of.new:
        ends = np.cumsum([len(nu) for nu in places(new).values()])[:-1]
        parts = np.split(curves[new.name], ends, axis=1)
        forecasts[new.name] = {w: of_ensemble(part, sigma) for w, part in zip(places(new), parts, strict=True)}
    return forecasts, {"seconds": time.perf_counter() - start, **setting}
