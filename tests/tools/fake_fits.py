"""Fits with draws made by hand, to plant faults that a sampler rarely shows."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import LeftOut
from hbm_stan.scores import Route

LABELS = ("A", "B", "C")
COLUMNS = {"group": "school", "estimate": "effect", "standard_error": "se"}


def small_dataset(
    y: tuple[float, ...] = (3.0, -1.0, 8.0), labels: tuple[str, ...] = LABELS, outcome: str = "effect"
) -> Dataset:
    frame = pd.DataFrame({"school": labels, outcome: y, "se": [2.0, 3.0, 4.0][: len(y)]})
    return Dataset.from_frame(frame, {**COLUMNS, "estimate": outcome})


def good_draws(
    data: dict[str, Any], sampling: Sampling, location: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Independent draws of mu, tau, theta and what follows from them, and a sampler without a complaint."""
    rng = np.random.default_rng(sampling.seed)
    shape = (sampling.chains, sampling.draws)
    y, se = np.asarray(data["y"]), np.asarray(data["se"])
    mu, tau = rng.normal(location, 2, shape), np.abs(rng.normal(0, 3, shape)) + 0.01
    theta = mu[..., None] + tau[..., None] * rng.normal(size=(*shape, len(y)))
    log_lik = -0.5 * ((y - theta) / se) ** 2 - np.log(se) - 0.5 * np.log(2 * np.pi)
    variables = {
        "mu": mu, "tau": tau, "theta": theta, "log_lik": log_lik, "y_rep": rng.normal(theta, se), "lprior": 0 * mu - 1,
    }  # fmt: skip
    stats = {
        "lp": rng.normal(size=shape), "acceptance_rate": np.full(shape, 0.9), "step_size": np.full(shape, 0.5),
        "tree_depth": np.full(shape, 3.0), "n_steps": np.full(shape, 7.0), "diverging": np.zeros(shape),
        "energy": rng.normal(size=shape), "reached_max_treedepth": np.zeros(shape),
    }  # fmt: skip
    return variables, stats


class FakeEngine:
    """An engine in the shape of the Engine protocol that returns made draws: good ones, changed by ``fault``."""

    name = "made"
    _versions = itertools.count()

    def __init__(self, **changes: Any) -> None:
        self.changes, self.calls = changes, 0
        # A version of its own: the fit store must not take one made engine's draws for another's.
        self.version = str(next(self._versions))

    def build(self, programs: Any, say: Any) -> None:
        """Nothing to compile."""

    def sample(self, program: Any, data: dict[str, Any], sampling: Sampling, progress: Any = None) -> EngineDraws:
        """Independent draws of everything, then the changes."""
        self.calls += 1
        variables, stats = good_draws(data, sampling, location=3)
        for name, change in self.changes.items():
            target = variables if name in variables else stats
            target[name] = np.array(change(target[name]), dtype=float)
        return EngineDraws(variables, stats)


def fake_fit(
    variant: str = "partial_pooling", dataset: Dataset | None = None, sampling: Sampling | None = None, **changes: Any
) -> Fit:
    """A fit whose draws are made, with changes by name of the variable or statistic."""
    used = sampling or Sampling(seed=1, draws=1000)
    return fit("normal_means", dataset or small_dataset(), variant, sampling=used, engine=FakeEngine(**changes))  # type: ignore[arg-type]


def with_variant(fit: Fit, variant: str) -> Fit:
    """The same draws under another variant's name."""
    return replace(fit, variant=variant)


def loo_of(elpd_i: np.ndarray, k: np.ndarray | None = None) -> LeftOut:
    """The score of a fit with these pointwise values."""
    values = np.asarray(elpd_i, dtype=float)
    return LeftOut(
        elpd_i=values,
        lppd_i=values + 0.1,
        pareto_k=np.zeros(len(values)) if k is None else k,
        k_threshold=0.7,
        route=Route.PSIS,
        n_parameters=3,
        mcse=0.0,
    )
