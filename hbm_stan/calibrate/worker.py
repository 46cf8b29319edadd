"""Replications in other processes: the embedded engine cannot sample in two threads of one.

``python -P -c CALL JOB NUMBER OF`` makes every OF-th replication of the job, a line of JSON each; a worker of a cluster
makes one replication at a time (``make``).
"""

from __future__ import annotations

import copyreg
import dataclasses
import io
import json
import pickle
import sys
import threading
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hbm_stan.calibrate.replication import replicate
from hbm_stan.calibrate.scenario import Setup
from hbm_stan.engines import Engine, choose
from hbm_stan.engines.cmdstan import CmdStanEngine
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import EngineError, HbmError, ModelError
from hbm_stan.families import families
from hbm_stan.families.own import read_family
from hbm_stan.model import Family

_ONE_AT_A_TIME = threading.Lock()  # a cluster's worker may have several threads
# What another Python runs to become a worker.
CALL = "import sys; from hbm_stan.calibrate.worker import main; sys.exit(main())"


def reference(family: Family) -> str | None:
    """How another process finds the family: its name, or its folder; None for one that was made in this process."""
    if families().get(family.name) is family:
        return family.name
    return str(family.programs.folder.resolve()) if family.source else None


def can_travel(engine: Engine) -> bool:
    """Whether another process can make the same engine."""
    return isinstance(engine, StanliEngine | CmdStanEngine | DirectEngine)


def _read_only(items: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(items)


class _Pickler(pickle.Pickler):
    """Takes read-only mappings too, which datasets hold."""

    dispatch_table = copyreg.dispatch_table | {MappingProxyType: lambda mapping: (_read_only, (dict(mapping),))}


def pack(setup: Setup, engine: Engine, numbers: list[int]) -> bytes:
    """A job as bytes; families hold functions, which do not travel, so they go by their name or folder."""
    fields = {f.name: getattr(setup, f.name) for f in dataclasses.fields(setup) if f.name != "family"}
    known = engine if isinstance(engine, CmdStanEngine) else None
    out = io.BytesIO()
    _Pickler(out).dump((reference(setup.family), setup.family.source, fields, known, engine.name, numbers))
    return out.getvalue()


def unpack(job: bytes) -> tuple[Setup, Engine, list[int]]:
    """The job that ``pack`` made bytes of."""
    place, source, fields, known, engine, numbers = pickle.loads(job)
    family = read_family(Path(place)) if source else families()[place]
    if family.source != source:
        raise ModelError(f"{place} was changed while it was calibrated. Begin again.")
    return Setup(family=family, **fields), known or choose(engine), numbers


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
