"""Replications in other processes: the embedded engine cannot sample in two threads of one.

``python -P -c CALL JOB NUMBER OF`` makes every OF-th replication of the job, a line of JSON each; a worker of a cluster
makes one replication at a time (``make``).
"""

from __future__ import annotations

import json
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from hbm_stan.calibrate.replication import replicate
from hbm_stan.calibrate.scenario import Setup
from hbm_stan.engines import Engine
from hbm_stan.errors import EngineError, HbmError
from hbm_stan.executor.travel import packed, unpacked

_ONE_AT_A_TIME = threading.Lock()  # a cluster's worker may have several threads
# What another Python runs to become a worker.
CALL = "import sys; from hbm_stan.calibrate.worker import main; sys.exit(main())"


def pack(setup: Setup, engine: Engine, numbers: list[int]) -> bytes:
    """A job as bytes."""
    return packed((setup, engine, numbers))


def unpack(job: bytes) -> tuple[Setup, Engine, list[int]]:
    """The job that ``pack`` made bytes of."""
    setup, engine, numbers = unpacked(job)
    return setup, engine, numbers


@lru_cache(2)
def _unpacked(job: bytes) -> tuple[Setup, Engine, list[int]]:
    return unpack(job)


def make(job: bytes, number: int) -> dict[str, Any]:
    """The record of one replication of a job, or of the error that ends all of it."""
    try:
        with _ONE_AT_A_TIME:
            setup, engine, _ = _unpacked(job)
            return replicate(setup, engine, number)
    except HbmError as error:
        return _ended(error)


def main() -> int:
    """Work on every ``workers``-th replication; what is printed is what the caller keeps. The exit code."""
    job, worker, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    try:
        setup, engine, numbers = unpack(Path(job).read_bytes())
        for number in numbers[worker::workers]:
            _say({"begins": number})
            _say(replicate(setup, engine, number))
    except HbmError as error:
        _say(_ended(error))
        return 1
    return 0


def _ended(error: HbmError) -> dict[str, Any]:
    return {"error": str(error), "of_engine": isinstance(error, EngineError)}


def _say(record: dict[str, Any]) -> None:
    print(json.dumps(record), flush=True)
