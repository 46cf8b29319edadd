"""Where the seconds of our fit go, function by function: what to look at where a peer is faster."""

from __future__ import annotations

import cProfile
import pstats
import tempfile
from pathlib import Path

from bench_peers.cases import Case
from bench_peers.ours import fit

LINES = 25


def profile(case: Case, engine: str = "stanli") -> None:
    """Print the functions in which a second fit of a case spends most, their callees included."""
    frame, watched = case.read(), cProfile.Profile()
    for seed in (1, 2):  # the first one imports
        with tempfile.TemporaryDirectory() as folder:
            if seed == 2:
                watched.enable()
            fit(case, frame, engine, seed, Path(folder))
    watched.disable()
    pstats.Stats(watched).sort_stats("cumulative").print_stats(LINES)
