"""Where chains of a model with many parameters begin: near the posterior, each coordinate in its own unit.

A sampler that knows no scale yet takes steps of the shortest one, a residual sd's perhaps a thousandth of a level's,
and needs a thousand of them for an iteration until its metric is learnt. Here chains walk a little way first, with
short trajectories; then the curvature of the log density where they stand gives the metric that warm-up begins with.
It is learnt from the draws after that as always: draws are of the same posterior, sooner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from hbm_stan.engines import Sampling
from hbm_stan.engines.points import Points
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray

# From so many parameters on; below, warm-up takes seconds at most (ours).
MANY_PARAMETERS = 300
# Two walks, of so many iterations, with trajectories of at most 2^depth steps; the second has the first's curvature.
_WALKS = ((75, 5), (50, 6))
# Probes of the curvature: so many random directions, and the coordinates alone that are so many times as stiff as the
# middle one, at most so many: what they have in common with others would drown these (ours).
_PROBES, _STIFF, _MOST_STIFF = 30, 30.0, 50
_STEP = 1e-5


def iterations_of_walks(model: Any, sampling: Sampling) -> tuple[int, ...]:
    """The iterations of each walk; none for few parameters."""
    few = Points(model).dimension < MANY_PARAMETERS
    return () if few else tuple(min(length, sampling.warmup) + 1 for length, _ in _WALKS)


def warm_start(
    model: Any,
    parameters: Sequence[str],
    sampling: Sampling,
    listen: Callable[[int], AbstractContextManager[None]] = lambda _done: nullcontext(),
    refresh: int = 0,
) -> dict[str, Any]:
    """Starting points, metric and step size for ``model.sample``; none for few parameters or where they cannot be had.

    ``parameters`` are the names of the declared parameters. Each walk is within ``listen``, which is told how many
    iterations went before, and prints where it is every ``refresh`` iterations.
    """
    points, iterations = Points(model), iterations_of_walks(model, sampling)
    rng = np.random.default_rng([sampling.seed, 2])
    start: dict[str, Any] = {}
    for number, length in enumerate(iterations):
        try:
            with listen(sum(iterations[:number])):
                walk = model.sample(
                    chains=sampling.chains, seed=int(rng.integers(2**31)), warmup=length - 1, samples=1,
                    max_depth=_WALKS[number][1], refresh=refresh, parallel_chains=min(sampling.chains, cores()),
                    **start,
                )  # fmt: skip
            ends = np.array([_last(model, walk, parameters, chain) for chain in range(sampling.chains)])
        except (RuntimeError, ValueError):  # the sampler itself will say what is wrong
            return start
        curvature = np.mean([_curvature(points, end, rng) for end in ends], axis=0)
        if not np.isfinite(curvature).all():
            return start
        # Where the density is flat or bends upwards, as a log sd's may, its unit is as good as any.
        start = {"inits": ends, "inv_metric": np.where(curvature > 1, 1 / np.maximum(curvature, 1), 1.0)}
    return start


def _last(model: Any, walk: Any, parameters: Sequence[str], chain: int) -> FloatArray:
    """The unconstrained point at which a chain ends."""
    values = {name: walk.draws(name)[chain, -1].tolist() if name in walk.variables else [] for name in parameters}
    return np.asarray(model.unconstrain(values), dtype=float)


def _curvature(points: Points, at: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Minus the second derivative of the log density by each coordinate, (d,), nearly.

    Random signs z make z * (H z) the diagonal of H on average (Bekas, Kokiopoulou & Saad 2007, Applied Numerical
    Mathematics 57:1214); stiff coordinates are then looked at alone, and the others once more without them.
    """
    signs = np.asarray(rng.choice([-1, 1], size=(_PROBES, len(at))), dtype=float)
    diagonal = (signs * _bend(points, at, signs)).mean(axis=0)
    size = np.abs(diagonal)
    stiff = np.argsort(-size)[:_MOST_STIFF]
    stiff = stiff[size[stiff] > _STIFF * np.median(size)]
    if not len(stiff):
        return np.asarray(diagonal)
    alone = np.zeros((len(stiff), len(at)))
    alone[np.arange(len(stiff)), stiff] = 1
    signs[:, stiff] = 0
    diagonal = (signs * _bend(points, at, signs)).mean(axis=0)
    diagonal[stiff] = _bend(points, at, alone)[np.arange(len(stiff)), stiff]
    return np.asarray(diagonal)


def _bend(points: Points, at: FloatArray, directions: FloatArray) -> FloatArray:
    """Minus the change of the gradient along each direction, per unit of it, (n, d)."""
    return np.asarray((points(at - _STEP * directions)[1] - points(at + _STEP * directions)[1]) / (2 * _STEP))
