"""What a side hands back: draws, or estimates, with its seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

# Chains run side by side, as many as there are cores.
CORES = min(4, os.cpu_count() or 1)
# From so many seconds on a call is not repeated to have its seconds without compiling.
LONG = 60.0
Draws = dict[str, np.ndarray]


@dataclass
class Measured:
    """Draws (chain, draw, ...) of the population and of the effects of groups, or estimates by name.

    ``seconds`` are from the table to the draws, compiling included and imports apart; ``sampling`` those without
    compiling.
    """

    seconds: float
    sampling: float
    population: Draws = field(default_factory=dict)
    effects: Draws = field(default_factory=dict)
    estimates: dict[str, float] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


@contextmanager
def timed() -> Iterator[list[float]]:
    """Seconds of what is inside, once it is over."""
    spent: list[float] = []
    start = time.perf_counter()
    yield spent
    spent.append(time.perf_counter() - start)


def twice[T](call: Callable[[int], T], seed: int) -> tuple[T, float, float | None]:
    """The last call's result, seconds of the first, and of a second with all compiled; None if the first was long."""
    with timed() as first:
        result = call(seed)
    if first[0] > LONG:
        return result, first[0], None
    with timed() as second:
        result = call(seed + 1_000_000)
    return result, first[0], second[0]


def versions(*packages: str) -> str:
    """Packages with their versions, as notes of a table say them."""
    return ", ".join(f"{package} {version(package)}" for package in packages)


def split(draws: Draws, effects: Sequence[str] = ("theta", "effect", "T")) -> tuple[Draws, Draws]:
    """The population's draws and the effects of groups, by name."""
    arrays = {name: np.asarray(values, dtype=float) for name, values in draws.items()}
    return {n: v for n, v in arrays.items() if n not in effects}, {n: v for n, v in arrays.items() if n in effects}
