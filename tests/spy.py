"""An engine in the shape of the Engine protocol that counts its calls and makes draws at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.engines import EngineDraws, Progress, Sampling
from hbm_stan.program import Program


class Spy:
    """Draws for the programs of normal_means. ``log`` gets a line for each call; sampling takes ``seconds``."""

    def __init__(self, name: str = "spy", version: str = "1.0", log: Path | None = None, seconds: float = 0) -> None:
        self.name, self.version, self.log, self.seconds = name, version, log, seconds
        self.sampled: list[str] = []
        self.built: list[str] = []

    def build(self, programs: Sequence[Program], say: Callable[[str], None]) -> None:
        self.built += [p.name for p in programs]

    def sample(
        self, program: Program, data: Mapping[str, Any], sampling: Sampling, progress: Progress | None = None
    ) -> EngineDraws:
        self.sampled.append(program.name)
        if self.log:
            with self.log.open("a") as file:
                file.write(f"{program.name}\n")
        time.sleep(self.seconds)
        rng = np.random.default_rng(sampling.seed)
        shape = (sampling.chains, sampling.draws)
        y, se = np.asarray(data["y"]), np.asarray(data["se"])
        mu, tau = rng.normal(8, 2, shape), np.abs(rng.normal(0, 3, shape)) + 0.01
        theta = mu[..., None] + tau[..., None] * rng.normal(size=(*shape, len(y)))
        population = {"complete_pooling": {"mu": mu}, "no_pooling": {}}.get(program.name, {"mu": mu, "tau": tau})
        variables = {
            **population,
            "theta": theta,
            "log_lik": -0.5 * ((y - theta) / se) ** 2 - np.log(se) - 0.5 * np.log(2 * np.pi),
            "y_rep": rng.normal(theta, se),
            "lprior": mu * 0 - 1,
        }
        stats = {
            "lp": rng.normal(size=shape), "acceptance_rate": np.full(shape, 0.9), "step_size": np.full(shape, 0.5),
            "tree_depth": np.full(shape, 3.0), "n_steps": np.full(shape, 7.0), "diverging": np.zeros(shape),
            "energy": rng.normal(size=shape), "reached_max_treedepth": np.zeros(shape),
        }  # fmt: skip
        return EngineDraws(variables, stats)
