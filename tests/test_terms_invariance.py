"""A formula's model does not depend on origins, units, the order of rows and the names of levels.

With default priors a program has the same density, but for a constant, at the same point of what it samples: so the
same seed gives the same draws, to rounding. Default scales are rounded to two digits: a unit that is another by no
power of ten may change a prior's scale by up to a twentieth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbm_stan.data import Dataset
from hbm_stan.density import density_model
from hbm_stan.engines import Engine
from hbm_stan.families import family
from hbm_stan.fit import prepare_table

POOLINGS = ("complete_pooling", "no_pooling", "partial_pooling")
LEFT = {"normal": "y", "estimates": "y | se(s)", "binomial": "k | trials(n)", "poisson": "c | rate(s)"}
RIGHT = "x + w + (1 + x | g) + (1 | h)"
CLOSE = 1e-8


def frame() -> pd.DataFrame:
    """Eight groups of unequal size crossed with five items, rows of unlike groups beside each other."""
    rng = np.random.default_rng(20261129)
    g = rng.permutation(np.repeat(np.arange(8), [3, 5, 7, 9, 11, 4, 8, 13]))
    size = len(g)
    return pd.DataFrame({
        "g": [f"g{j}" for j in g], "h": [f"h{j}" for j in rng.integers(0, 5, size)], "x": rng.normal(3, 2, size),
        "w": rng.normal(size=size), "y": rng.normal(10, 3, size), "s": rng.uniform(0.5, 2, size),
        "n": rng.integers(3, 9, size), "k": rng.integers(0, 4, size), "c": rng.poisson(3, size),
    })  # fmt: skip


def density(name: str, variant: str, table: pd.DataFrame, right: str = RIGHT, **reading: Any) -> Callable[..., float]:
    """The program's log density with the default priors, of points of what it samples."""
    model = family(name)
    prepared = prepare_table(model, Dataset.from_frame(table, formula=f"{LEFT[name]} ~ {right}", **reading))
    data = model.stan_data(prepared, model.priors(prepared), variant) | {"use_likelihood": 1}
    stan_model = density_model(model.program(variant), data)
    density.size = stan_model.n_unconstrained  # type: ignore[attr-defined]
    return lambda q: float(stan_model.log_prob_grad(q)[0])


def moved(one: Callable[..., float], other: Callable[..., float], order: Any = None) -> float:
    """How far the difference of two densities is from a constant, over points, relatively."""
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 1, (8, density.size))  # type: ignore[attr-defined]
    first = np.array([one(q) for q in points])
    gap = first - np.array([other(q if order is None else q[order]) for q in points])
    return float(np.ptp(gap) / np.abs(first).max())


CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "the origin of a column": lambda t: t.assign(x=t["x"] + 1990),
    "the unit of a column": lambda t: t.assign(x=t["x"] * 1000),
    "origin and unit of a column that does not vary": lambda t: t.assign(w=t["w"] / 100 - 4),
}
OF_NORMAL_ROWS = {
    "the origin of the outcome": lambda t: t.assign(y=t["y"] - 273.15),
    "the unit of the outcome": lambda t: t.assign(y=t["y"] * 100, s=t["s"] * 100),
    "the order of rows": lambda t: t.sample(frac=1, random_state=3, ignore_index=True),
    "the names of levels": lambda t: t.assign(h=t["h"].map(lambda h: f"z{9 - int(h[1:])}")),
}


@pytest.mark.parametrize("variant", POOLINGS)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", LEFT)
def test_the_density_stays_with_columns_measured_otherwise(
    name: str, change: str, variant: str, stanli: Engine
) -> None:
    assert moved(density(name, variant, frame()), density(name, variant, CHANGES[change](frame()))) < CLOSE


@pytest.mark.parametrize("variant", POOLINGS)
@pytest.mark.parametrize("change", OF_NORMAL_ROWS)
@pytest.mark.parametrize("name", ["normal", "estimates"])
def test_the_density_stays_with_outcomes_measured_and_ordered_otherwise(
    name: str, change: str, variant: str, stanli: Engine
) -> None:
    other = density(name, variant, OF_NORMAL_ROWS[change](frame()))
    assert moved(density(name, variant, frame()), other) < CLOSE


@pytest.mark.parametrize("name", LEFT)
def test_a_column_as_written_is_another_model(name: str, stanli: Engine) -> None:
    # A planted fault: without centring the origin of a column matters.
    moves = CHANGES["the origin of a column"]
    one, other = (density(name, "partial_pooling", t, centre=False) for t in (frame(), moves(frame())))
    assert not moved(one, other) < CLOSE
