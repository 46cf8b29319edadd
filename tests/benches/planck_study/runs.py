"""What the study consists of, run part by part and collection by collection, each in a file of its own.

A part that has its file is not run again, unless the code that it depends on has changed since.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

COLLECTIONS = 20
HERE = Path(__file__).parent
NEEDS = ("jax", "optax")  # of the rivals: pip install ".[baselines]"
Rows = list[dict[str, Any]]


def models(number: int) -> Rows:
    """Scores of the models on collection ``number``: a row for each model, new set and place, and one for each fit."""
    from planck_study.models import MODELS, predict

    return _scored(MODELS, predict, number)


def rivals(number: int) -> Rows:
    """The same of the rivals."""
    from planck_study.rivals import RIVALS, predict

    return _scored(RIVALS, predict, number)


def _scored(names: Sequence[str], predict: Callable[..., Any], number: int) -> Rows:
    from planck_study.scores import scores
    from planck_study.spectra import SIGMA, collection, curve, places

    of, rows = collection(number), []
    for name in names:
        start = time.process_time()
        forecasts, about = predict(name, of, number)
        rows.append({"method": name, **about, "cpu": time.process_time() - start})
        for new in of.new:
            for where, nu in places(new).items():
                figures = scores(forecasts[new.name][where], curve(nu, new.temperature), SIGMA)
                rows.append({"method": name, "kind": new.kind, "where": where, **figures})
    return rows


def truncation(number: int) -> Rows:
    """The bias of temperatures of truncated spectra, with the truncated likelihood and without."""
    from planck_study.truncation import bias

    return bias(number)


def cities(number: int) -> Rows:
    """What the poolings lose on new rows of known cities, and of a new one."""
    from planck_study import cities as purchases

    of, rows = purchases.cities(number), []
    for pooling in purchases.POOLINGS:
        start = time.process_time()
        figures = purchases.pooled(of, pooling, number)
        rows.append({"method": pooling.replace("_", " "), **figures, "cpu": time.process_time() - start})
    return rows


def cities_network(number: int) -> Rows:
    """What the network with tied heads loses there."""
    from planck_study import cities as purchases
    from planck_study.cities_network import tied_heads

    start = time.process_time()
    figures = tied_heads(purchases.cities(number), number)
    return [{"method": purchases.NETWORK, **figures, "cpu": time.process_time() - start}]


@dataclass(frozen=True)
class Part:
    """A part of the study: what runs it, the files that it depends on, and whether it needs the extra ``baselines``."""

    run: Callable[[int], Rows]
    files: tuple[str, ...]
    needs_extra: bool = False


_LAW = ("spectra.py", "scores.py", "models.py", "rise_and_fall.stan")
PARTS = {
    "models": Part(models, _LAW),
    "rivals": Part(rivals, ("spectra.py", "scores.py", "training.py", "rivals.py"), needs_extra=True),
    "truncation": Part(truncation, ("spectra.py", "scores.py", "models.py", "truncation.py")),
    "cities": Part(cities, ("spectra.py", "cities.py")),
    "cities_network": Part(
        cities_network, ("spectra.py", "cities.py", "training.py", "cities_network.py"), needs_extra=True
    ),
}


def state(part: str) -> str:
    """A hash of the code that a part depends on."""
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PARTS[part].files)).hexdigest()[:16]


def result(folder: Path, part: str, number: int) -> Rows | None:
    """The rows of a part that has been run, else None: its file is not there, cannot be read, or is of other code."""
    path = _path(folder, part, number)
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return held["rows"] if isinstance(held, dict) and held.get("state") == state(part) else None


def _path(folder: Path, part: str, number: int) -> Path:
    return folder / f"{part}-{number:02d}.json"


def run_one(folder: Path, part: str, number: int) -> float:
    """Run a part on a collection and write its file, all at once; the seconds that it took."""
    start = time.perf_counter()
    rows = PARTS[part].run(number)
    path = _path(folder, part, number)
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_text(json.dumps({"state": state(part), "rows": rows}, indent=1), encoding="utf-8")
    beside.replace(path)
    return time.perf_counter() - start


def lacking() -> list[str]:
    """The packages of the extra ``baselines`` that are not installed."""
    return [name for name in NEEDS if find_spec(name) is None]


def to_do(folder: Path, collections: int, parts: Sequence[str]) -> Iterator[tuple[str, int]]:
    """What has no result yet, collection by collection, so that a study cut short has whole ones."""
    for number in range(1, collections + 1):
        for part in parts:
            if result(folder, part, number) is None:
                yield part, number


def processes(workers: int) -> Executor:
    """Processes of their own, not forks: threads of JAX and of the engine do not survive a fork."""
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def run(
    folder: Path, collections: int, parts: Sequence[str], workers: int, say: Callable[[str], None],
    pool_of: Callable[[int], Executor] = processes,
) -> list[str]:  # fmt: skip
    """Run all that is to do; each end is told, with what is left. What failed comes back, named; the rest goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = list(to_do(folder, collections, parts))
    say(f"{collections * len(parts) - len(todo)} of {collections * len(parts)} parts are there already, in {folder}")
    start, failed = time.perf_counter(), []
    with pool_of(workers) as pool:
        waiting = {pool.submit(run_one, folder, *unit): unit for unit in todo}
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                name = "{} {}".format(*waiting[future])
                left = (time.perf_counter() - start) / done * (len(todo) - done) / 60
                if error := future.exception():
                    failed.append(f"{name}: {error!r}")
                    say(f"{failed[-1]}; {done} of {len(todo)}")
                else:
                    say(f"{name}: {future.result():.0f} s; {done} of {len(todo)}, about {left:.0f} minutes left")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed
