"""What the contract tests of the families share: every family with every variant, and a short run of each."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import filelock
import numpy as np

from hbm_stan.density import short_run as run_shortly
from hbm_stan.examples import example
from hbm_stan.families import families
from hbm_stan.model import Family, StanData
from hbm_stan.program import Program
from hbm_stan.verify.contract import trajectories
from hbm_stan.verify.names import Claim

# Variants that are another one, with the same program and data, on the example of their family: a second name.
# Rows of these likelihoods say little of a group, so the automatic form of the example is non-centred.
_UNINFORMATIVE = (
    "beta", "beta_binomial_rows", "binomial", "cumulative", "gamma", "logistic_regression", "negative_binomial",
    "normal_sampled", "poisson", "student_t", "zero_inflated_negative_binomial", "zero_inflated_poisson",
)  # fmt: skip
DOUBLES = {
    **{(name, "partial_pooling_noncentered"): "partial_pooling" for name in _UNINFORMATIVE},
    ("joint_infection", "partial_pooling_noncentered"): "partial_pooling",
    ("logistic_regression", "partial_pooling_by_term"): "partial_pooling_centered",
    ("linear_regression", "partial_pooling_by_term"): "partial_pooling_centered",
}
EVERY = [(f.name, v.name) for f in families().values() for v in f.programs.variants]
CASES = [case for case in EVERY if case not in DOUBLES]
IDS = [f"{f}-{v}" for f, v in CASES]


# The embedded engine needs milliseconds for a gradient of truncated fluxes. Functions are compared at the same draws,
# wherever they are.
_SIZES = {"truncated": {"chains": 2, "draws": 150, "warmup": 100, "max_treedepth": 2}}


@cache
def short_run(name: str, variant: str, use_likelihood: int = 1) -> tuple[StanData, dict[str, np.ndarray]]:
    """Data of the example and draws of one variant, chains joined; cached for the tests that look at them."""
    family, table = example(name)
    data = family.stan_data(table, family.priors(table), variant) | {"use_likelihood": use_likelihood}
    # Draws of the priors must be these, and raw estimates are compared with no pooling.
    size: dict[str, int] = _SIZES.get(variant.rpartition("_")[2], {})
    if use_likelihood and not size and not variant.startswith("no_"):
        size = {"warmup": 200, "max_treedepth": trajectories(family, variant)}
    return data, _once(f"{name}-{variant}-{use_likelihood}", lambda: run_shortly(family, variant, data, **size))


def _once(name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Draws that one worker of pytest-xdist makes and the others read, in the folder that conftest.py gives them."""
    file = Path(os.environ["HBM_TEST_RUNS"]) / f"{name}.npz"
    with filelock.FileLock(f"{file}.lock"):
        if not file.exists():
            np.savez(file, **make())  # type: ignore[arg-type]
        with np.load(file) as archive:
            return dict(archive)


def claim(name: str, variant: str) -> Claim:
    """A variant of the example with one in five of those draws."""
    family, table = example(name)
    data, draws = short_run(name, variant)
    few = {k: v[::5] for k, v in draws.items()}
    return Claim(family=family, table=table, variant=variant, priors=family.priors(table), data=data, draws=few)


def with_program(family: Family, variant: str, program: Program) -> Family:
    """The family with another program in the place of that of a variant."""

    class Broken(Family):
        def program(self, asked: str) -> Program:
            return program if asked == variant else super().program(asked)

    return Broken(**{f: getattr(family, f) for f in family.__dataclass_fields__})
