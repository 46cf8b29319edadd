"""Runs replications side by side, a process for each core or on a cluster, and hands on each as it is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from hbm_stan.calibrate.replication import replicate
from hbm_stan.calibrate.scenario import Setup
from hbm_stan.calibrate.worker import CALL, make, pack
from hbm_stan.engines import Engine
from hbm_stan.engines.chains import Ended, Task, how_it_ended, run_together
from hbm_stan.engines.python import PYTHON, environment
from hbm_stan.engines.stopping import orderly_stop
from hbm_stan.engines.workplace import storing, work_folder
from hbm_stan.errors import EngineError, HbmError, ModelError
from hbm_stan.executor.cluster import run_on
from hbm_stan.executor.processes import ONE_THREAD
from hbm_stan.executor.travel import stays_here
from hbm_stan.resources import cores

Record = dict[str, Any]
# Seconds: a process takes two of them to begin, so that less work than this is sooner done in this one.
_LITTLE = 6.0
_PROBES = 3  # replications tried here first; where all are refused, the rest would be


def run_all(
    setup: Setup,
    engine: Engine,
    numbers: Sequence[int],
    done: Callable[[Record], None],
    workers: int | None = None,
    cluster: str | None = None,
) -> None:
    """Make the replications of these numbers and call ``done`` with the record of each, in no order.

    Whatever ends it (Ctrl-C, an error, a full disk), the processes end, and what was handed on stays. ``cluster`` is
    that of ``hbm_stan.executor.cluster.run_on``.
    """
    first, rest = list(numbers[:_PROBES]), list(numbers[_PROBES:])
    with orderly_stop():
        ahead = _probe(setup, engine, first, done) * len(rest)
        if cluster is not None:
            _on_cluster(setup, engine, rest, done, cluster, workers)
            return
        count = min(workers or cores(), len(rest))
        little = workers is None and ahead < _LITTLE
        if count < 2 or little or stays_here(setup.family, engine):
            for number in rest:
                done(replicate(setup, engine, number))
        else:
            _side_by_side(setup, engine, rest, done, count)


def _probe(setup: Setup, engine: Engine, numbers: Sequence[int], done: Callable[[Record], None]) -> float:
    """The first replications, made in this process: the seconds that the quickest of them took."""
    started = time.perf_counter()
    records: list[Record] = []
    seconds: list[float] = []
    for number in numbers:
        records.append(replicate(setup, engine, number))
        seconds.append(time.perf_counter() - started - sum(seconds))
    refused = [record["refused"] for record in records if "refused" in record]
    if len(refused) == _PROBES:
        raise EngineError(f"{setup.program.path}: none of the first {_PROBES} replications can be used: {refused[0]}")
    for record in records:
        done(record)
    return min(seconds, default=0.0)


def _on_cluster(
    setup: Setup, engine: Engine, numbers: list[int], done: Callable[[Record], None], cluster: str, workers: int | None
) -> None:
    if reason := stays_here(setup.family, engine):
        raise ModelError(f"--cluster {cluster}: {reason}, or leave the cluster out.")

    def listen(record: Record) -> None:
        if "error" in record:
            raise _error(record)
        done(record)

    if numbers:
        run_on(cluster, make, pack(setup, engine, numbers), numbers, listen, workers)


def _side_by_side(
    setup: Setup, engine: Engine, numbers: list[int], done: Callable[[Record], None], workers: int
) -> None:
    at: dict[str, int] = {}
    errors: list[Record] = []

    def listen(task: Task, line: str) -> None:
        record = _read(line)
        if "begins" in record:
            at[task.name] = int(record["begins"])
        elif "error" in record:
            errors.append(record)
        elif "replication" in record:
            done(record)

    with work_folder() as folder:
        job = folder / "job.pickle"
        with storing(job):
            job.write_bytes(pack(setup, engine, numbers))
        command = (*PYTHON, "-c", CALL, str(job))
        own = environment(**ONE_THREAD)
        tasks = [Task(str(i), (*command, str(i), str(workers)), None, own) for i in range(workers)]
        ended = run_together(tasks, listen, workers)
    if errors:
        raise _error(errors[0])
    for task in ended:
        if task.code != 0:
            raise EngineError(_crashed(setup, task, at.get(task.task.name)))


def _error(record: Record) -> HbmError:
    """What ended the work of a process, as its record says it."""
    return (EngineError if record["of_engine"] else ModelError)(record["error"])


def _crashed(setup: Setup, ended: Ended, number: int | None) -> str:
    where = "" if number is None else f" in replication {number}"
    words = "\n".join(line.rstrip() for line in ended.lines if not _read(line))
    message = f" It said:\n{words}" if words else ""
    return (
        f"{setup.program.path}: a process that calibrates it {how_it_ended(ended.code)}{where}. What was finished is "
        f"kept; the same command goes on.{message}"
    )


def _read(line: str) -> Record:
    """The record in a line of a worker; a line of anything else is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
