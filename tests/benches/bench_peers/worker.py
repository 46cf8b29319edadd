"""One measurement in a process of its own, on our Python or the peers': draws and seconds are left in a folder."""

from __future__ import annotations

import json
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

from bench_peers.cases import CASES
from bench_peers.measured import Measured
from bench_peers.sides import SIDES

SECONDS = "measured.json"


def write(folder: Path, measured: Measured, imports: float) -> None:
    """Leave an array a quantity and, last of all, what else was measured."""
    for kind, draws in (("population", measured.population), ("effects", measured.effects)):
        for name, values in draws.items():
            np.save(folder / f"{kind}-{name}.npy", values)
    figures = {
        "seconds": measured.seconds, "sampling": measured.sampling, "imports": imports,
        "estimates": measured.estimates, **measured.about,
    }  # fmt: skip
    (folder / SECONDS).write_text(json.dumps(figures), encoding="utf-8")


def work(case: str, side: str, form: str, seed: int, folder: Path) -> None:
    """Measure a side on a case."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    module = import_module(f"bench_peers.{SIDES[side].module}")
    imports = time.perf_counter() - start
    write(folder, module.run(CASES[case], form, seed, **SIDES[side].options), imports)
