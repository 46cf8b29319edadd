"""An engine in the shape of the Engine protocol that counts its calls and makes draws at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fake_fits import good_draws

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
        variables, stats = good_draws(data, sampling, location=8)
        lacking = {"complete_pooling": ("tau",), "no_pooling": ("mu", "tau")}.get(program.name, ())
        variables = {name: values for name, values in variables.items() if name not in lacking}
        return EngineDraws(variables, stats)
