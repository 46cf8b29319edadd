"""Tests of a family: its Stan programs against the same model written a second time in NumPy.

Usable wherever hbm_stan is installed; the skeleton of ``hbm new-family`` calls them. They run on the embedded engine.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import ModelError
from hbm_stan.fit import prepare_table
from hbm_stan.model import Family, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.program import Declaration, Program, _evaluate, check_data
from hbm_stan.table import FloatArray

# Relative spread of (engine's log density - log_joint): rounding error is near 1e-14; a wrong prior scale gave 0.2.
SPREAD = 1e-9
N_POINTS = 25
_SEED = 20261121
_PLAIN = {"real", "vector", "row_vector", "matrix"}
_DATA_BLOCK = re.compile(r"^data\s*\{.*?^\}", re.S | re.M)


def assert_log_density(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None = None
) -> None:
    """Assert that the program's log density is ``log_joint`` plus one constant, at random points.

    Prior only and with likelihood, where the program has ``use_likelihood``. ``priors`` replaces rows of the prior
    table, as in analysis.toml. A parameter may have bounds, offset and multiplier that are arithmetic on data; those
    of bounds that are more than that come from ``support``.
    """
    for stan_data in _stan_data(family, data, variant, priors):
        found = log_density_spread(family.program(variant), family, variant, stan_data)
        switch = stan_data.get("use_likelihood", 1)
        assert found < SPREAD, (
            f"{variant}, {'with the likelihood' if switch else 'prior only'}: the log density of the program minus "
            f"log_joint() is not one constant: it varies by {found:.2g} of its size (allowed: {SPREAD:g}). A term of "
            "one of them is missing or different, or a Jacobian is."
        )


def assert_pointwise(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None = None
) -> None:
    """Assert that the program's log likelihood of each row is ``pointwise`` of the same draws."""
    *_, stan_data = _stan_data(family, data, variant, priors)
    draws = short_run(family, variant, stan_data)
    ours = family.need("pointwise", "a test of log_lik")(draws, stan_data)
    found = draws.get(family.log_lik)
    assert found is not None, f"{variant}: the program gives no {family.log_lik}"
    assert ours.shape == found.shape, f"{variant}: pointwise() has shape {ours.shape}, {family.log_lik} {found.shape}"
    np.testing.assert_allclose(found, ours, rtol=1e-9, atol=1e-9, err_msg=f"{variant}: log_lik is not pointwise()")


def assert_replications(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None = None
) -> None:
    """Assert that the program's replicated rows and those of ``simulate`` have the same means and mean squares.

    Of the same draws, so that they differ by their own noise only; by at most five standard errors.
    """
    *_, stan_data = _stan_data(family, data, variant, priors)
    draws = short_run(family, variant, stan_data)
    ours = family.need("simulate", "a test of y_rep")(np.random.default_rng(_SEED), draws, stan_data)
    found = draws.get(family.y_rep)
    assert found is not None, f"{variant}: the program gives no {family.y_rep}"
    assert ours.shape == found.shape, f"{variant}: simulate() has shape {ours.shape}, {family.y_rep} {found.shape}"
    for what, a, b in (("mean", ours, found), ("mean square", ours**2, found**2)):
        difference = a - b
        se = difference.std(axis=0, ddof=1) / np.sqrt(len(a))
        off = np.flatnonzero(np.abs(difference.mean(axis=0)) > 5 * se + 1e-12)
        rows = ", ".join(str(i + 1) for i in off[:5])
        assert not off.size, f"{variant}: the {what} of replicated rows {rows} is not that of simulate()"


def assert_one_data_block(family: Family) -> None:
    """Assert that all programs have the same data block, so that a diff shows the pooling assumption and no more."""
    blocks = {v.name: _DATA_BLOCK.search(family.program(v.name).code) for v in family.variants}
    missing = [name for name, block in blocks.items() if block is None]
    assert not missing, f"no data block is found in {', '.join(missing)}"
    first, *others = [(name, block[0]) for name, block in blocks.items() if block is not None]
    for name, text in others:
        assert text == first[1], f"the data blocks of {first[0]} and {name} differ"


def assert_data(family: Family, data: Dataset | Prepared, variant: str) -> None:
    """Assert that ``prepare`` gives what the data block of the program asks for."""
    for stan_data in _stan_data(family, data, variant, None):
        check_data(family.program(variant), stan_data)


def _stan_data(
    family: Family, data: Dataset | Prepared, variant: str, priors: Mapping[str, str] | None
) -> Iterator[StanData]:
    """The Stan data, prior only where the program has that switch, and then with the likelihood."""
    table = prepare_table(family, data) if isinstance(data, Dataset) else data
    made = family.stan_data(table, family.priors(table, priors), variant)
    if "use_likelihood" in made:
        yield made | {"use_likelihood": 0}
    yield made


def short_run(family: Family, variant: str, data: StanData, draws: int = 500) -> dict[str, FloatArray]:
    """Draws of one variant by the embedded engine, chains joined, shape (draw, ...)."""
    sampling = Sampling(chains=4, warmup=500, draws=draws, adapt_delta=0.95, seed=_SEED)
    drawn = StanliEngine().sample(family.program(variant), data, sampling)
    return {name: v.reshape(-1, *v.shape[2:]) for name, v in drawn.variables.items() if v.size}


def log_density_spread(program: Program, family: Family, variant: str, data: StanData) -> float:
    """How far the engine's log density minus log_joint is from one constant, over random points, relatively."""
    with warnings.catch_warnings():  # that generated quantities run slowly says nothing of the log density
        warnings.simplefilter("ignore", RuntimeWarning)
        model = StanliEngine().model(program, data)
    rng = np.random.default_rng(1)
    differences, size = [], 0.0
    for _ in range(N_POINTS):
        point = random_point(program, family, data, rng)
        q = model.unconstrain({k: np.asarray(v).tolist() for k, v in point.items()})
        said, _ = model.log_prob_grad(q)
        derived = family.transformed(point, data) if family.transformed is not None else {}
        ours = family.need("log_joint", "a test of the log density")(point | derived, data, variant)
        differences.append(said - ours - log_jacobian(program, family, data, point))
        size = max(size, abs(ours))
    return float(np.ptp(differences)) / size


def random_point(program: Program, family: Family, data: StanData, rng: np.random.Generator) -> dict[str, Any]:
    """Random constrained values of all declared parameters."""
    return {d.name: _random_value(d, data, _bounds(d, family, data), rng) for d in program.block("parameters")}


def log_jacobian(program: Program, family: Family, data: StanData, params: Mapping[str, Any]) -> float:
    """log |d constrained / d unconstrained| of the declared parameters: Stan's own transforms, from its manual."""
    total = 0.0
    for d in program.block("parameters"):
        x = np.asarray(params[d.name], dtype=float)
        if d.type == "cholesky_factor_corr":
            total += sum(_log_jacobian_cholesky(factor) for factor in x.reshape(-1, *x.shape[-2:]))
            continue
        low, high = _bounds(d, family, data)
        if np.isfinite(low):
            total += float(np.sum(np.log(x - low)))
        if np.isfinite(high):
            total += float(np.sum(np.log(high - x)))
        if np.isfinite(low) and np.isfinite(high):
            total -= x.size * float(np.log(high - low))
    return total


def _bounds(d: Declaration, family: Family, data: StanData) -> tuple[float, float]:
    """The bounds of a parameter: those that ``support`` gives, else those declared."""
    support = family.support(data) if family.support is not None else {}
    if d.name in support:
        return support[d.name]
    bounds = []
    for said, none in ((d.lower, -np.inf), (d.upper, np.inf)):
        value = none if said is None else _evaluate(said, data)
        if value is None or np.ndim(value):
            raise ModelError(f"{d.name}: the bound {said} is more than arithmetic on data. Give it in support().")
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
