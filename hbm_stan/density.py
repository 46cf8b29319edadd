"""The log density of a Stan program against the same model in NumPy, at random points; short runs of a program.

Needs no sampling and no CmdStan: the embedded engine gives log density and gradient at any point.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import ModelError
from hbm_stan.generated import complete
from hbm_stan.later import expit
from hbm_stan.model import Family, StanData
from hbm_stan.program import Declaration, Program, _evaluate
from hbm_stan.table import FloatArray

# Relative spread of (engine's log density - log_joint): rounding error is near 1e-14; a wrong prior scale gave 0.2.
SPREAD = 1e-9
# A term that is wrong differs between any two points; ten leave no chance that it does not.
N_POINTS = 10
SHORT_RUN_SEED = 20261121
SHORT_TRAJECTORIES = 4  # the max_treedepth of runs whose draws are only points at which functions are compared
_PLAIN = {"real", "vector", "row_vector", "matrix"}


def short_run(
    family: Family, variant: str, data: StanData, draws: int = 500, warmup: int = 500, chains: int = 4,
    max_treedepth: int = 10,
) -> dict[str, FloatArray]:  # fmt: skip
    """Draws of one variant by the embedded engine, chains joined, shape (draw, ...).

    Where any points will do, a small ``max_treedepth`` keeps chains that have not adapted from long trajectories.
    """
    sampling = Sampling(
        chains=chains, warmup=warmup, draws=draws, adapt_delta=0.95, max_treedepth=max_treedepth, seed=SHORT_RUN_SEED
    )
    drawn = StanliEngine().sample(family.program(variant), data, sampling)
    variables = {name: values for name, values in drawn.variables.items() if values.size}
    if family.terms:  # whose programs leave out what can be drawn afterwards
        variables |= complete(family, data, variables, SHORT_RUN_SEED)
    return {name: v.reshape(-1, *v.shape[2:]) for name, v in variables.items()}


def log_density_spread(program: Program, family: Family, variant: str, data: StanData) -> float:
    """How far the engine's log density minus log_joint is from one constant, over random points, relatively."""
    model = density_model(program, data)
    rng = np.random.default_rng(1)
    differences, size = [], 0.0
    for _ in range(N_POINTS):
        point = random_point(program, family, data, rng)
        theirs, _ = model.log_prob_grad(_unconstrained(model, point))
        derived = family.twin.transformed(point, data) if family.twin.transformed is not None else {}
        ours = family.need("log_joint", "a test of the log density")(point | derived, data, variant)
        jacobian = log_jacobian(program, family, data, point) + _log_multipliers(program, model, data, point)
        differences.append(theirs - ours - jacobian)
        size = max(size, abs(ours))
    # Relative; a log density below one, or 0 at every point as that of beta(1, 1), is compared as it is.
    return float(np.ptp(differences)) / max(size, 1.0)


def density_model(program: Program, data: StanData) -> Any:
    """The embedded engine's model of a program with its data, for log densities and gradients."""
    with warnings.catch_warnings():  # that generated quantities run slowly says nothing of the log density
        warnings.simplefilter("ignore", RuntimeWarning)
        return StanliEngine().model(program, data)


def random_point(program: Program, family: Family, data: StanData, rng: np.random.Generator) -> dict[str, Any]:
    """Random constrained values of all declared parameters."""
    return {d.name: _random_value(d, data, _bounds(d, family, data), rng) for d in program.block("parameters")}


def log_jacobian(program: Program, family: Family, data: StanData, params: Mapping[str, Any]) -> float:
    """log |d constrained / d unconstrained| of the declared parameters: Stan's own transforms, from its manual.

    Without multipliers: those that are arithmetic on data are constants, ``_log_multipliers`` has the others.
    """
    total = 0.0
    for d in program.block("parameters"):
        x = np.asarray(params[d.name], dtype=float)
        if d.type == "cholesky_factor_corr":
            total += sum(_log_jacobian_cholesky(factor) for factor in x.reshape(-1, *x.shape[-2:]))
            continue
        if d.type == "ordered":  # the first as it is, then the logs of what each is above the one before
            total += float(np.log(np.diff(x, axis=-1)).sum())
            continue
        low, high = _bounds(d, family, data)
        if np.isfinite(low):
            total += float(np.sum(np.log(x - low)))
        if np.isfinite(high):
            total += float(np.sum(np.log(high - x)))
        if np.isfinite(low) and np.isfinite(high):
            total -= x.size * float(np.log(high - low))
    return total


def _unconstrained(model: Any, point: Mapping[str, Any]) -> FloatArray:
    """The coordinates of the engine at a constrained point, in the order of the declarations, (D,)."""
    return np.asarray(model.unconstrain({k: np.asarray(v).tolist() for k, v in point.items()}), dtype=float)


def _log_multipliers(program: Program, model: Any, data: StanData, point: Mapping[str, Any]) -> float:
    """The logs of multipliers that are more than arithmetic on data, such as those that depend on other parameters.

    Such a transform is affine: its multiplier is how far the parameter moves where its coordinate moves by one.
    """
    total, first = 0.0, 0
    before = _unconstrained(model, point)
    for d in program.block("parameters"):
        shape = np.shape(point[d.name])
        plain = d.type in {*_PLAIN, "ordered"}
        size = int(np.prod(shape)) if plain else int(np.prod(shape[:-2])) * shape[-1] * (shape[-1] - 1) // 2
        if d.multiplier is not None and _evaluate(d.multiplier, data) is None:
            after = _unconstrained(model, {**point, d.name: np.asarray(point[d.name]) + 1.0})
            total -= float(np.sum(np.log((after - before)[first : first + size])))
        first += size
    return total


def _bounds(d: Declaration, family: Family, data: StanData) -> tuple[float, float]:
    """The bounds of a parameter: those that ``support`` gives, else those declared."""
    support = family.twin.support(data) if family.twin.support is not None else {}
    if d.name in support:
        return support[d.name]
    bounds = []
    for bound, none in ((d.lower, -np.inf), (d.upper, np.inf)):
        value = none if bound is None else _evaluate(bound, data)
        if value is None or np.ndim(value):
            raise ModelError(f"{d.name}: the bound {bound} is more than arithmetic on data. Give it in support().")
        bounds.append(float(value))
    return bounds[0], bounds[1]


def _random_value(d: Declaration, data: StanData, bounds: tuple[float, float], rng: np.random.Generator) -> Any:
    """A random value of a declared parameter, inside its bounds."""
    shape = tuple(_evaluate(size, data) for size in d.dims)
    if None in shape:
        raise ModelError(f"{d.name}: its size [{', '.join(d.dims)}] is more than arithmetic on data.")
    if d.type == "cholesky_factor_corr":
        a = rng.normal(size=shape) + 2 * np.eye(shape[-1])
        rows = np.linalg.cholesky(a @ np.swapaxes(a, -1, -2))
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    if d.type == "ordered":
        return rng.normal() + np.cumsum(np.exp(rng.normal(-0.5, 1, shape)), axis=-1)
    if d.type not in _PLAIN:
        raise ModelError(
            f"{d.name}: no random {d.type} is made here. Declare it through real numbers, or test it apart."
        )
    z = rng.normal(0, 1, shape) if shape else rng.normal()
    low, high = bounds
    if np.isfinite(low) and np.isfinite(high):
        return low + (high - low) * expit(z)
    if np.isfinite(high):
        return high - np.exp(z)
    return low + np.exp(z) if np.isfinite(low) else 3 * z


def _log_jacobian_cholesky(factor: FloatArray) -> float:
    """Of one Cholesky factor of a correlation matrix: canonical partial correlations z = tanh(u)."""
    total = 0.0
    for i in range(1, len(factor)):
        left = 1.0
        for j in range(i):
            z = factor[i, j] / np.sqrt(left)
            total += float(np.log1p(-(z**2)) + 0.5 * np.log(left))
            left -= factor[i, j] ** 2
    return total
