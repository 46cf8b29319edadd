"""Measurements, each in a fresh process and kept as a line of JSON: the same call goes on where one was cut short.

Case by case, all sides take turns, round by round: a busy moment of the machine hits all of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_peers.cases import CASES
from bench_peers.sides import HERE, SIDES, Side
from bench_peers.worker import SECONDS

SEED, LIMIT, ROUNDS = 20261130, 300.0, 3
LINES = "measurements.jsonl"
Record = dict[str, Any]


@dataclass(frozen=True)
class Unit:
    """A measurement: a side on a case, its form, the round."""

    case: str
    side: str
    form: str
    round: int

    def key(self) -> tuple[str, str, str, int]:
        return self.case, self.side, self.form, self.round


def read(folder: Path) -> list[Record]:
    """The measurements of a folder that are of the code as it is; a line cut short is none."""
    records, path = {}, folder / LINES
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["side"] in SIDES and record["state"] == SIDES[record["side"]].state():
            records[record["case"], record["side"], record["form"], record["round"]] = record
    return [*records.values()]


def append(folder: Path, record: Record) -> None:
    """Keep a measurement; after a line cut short a new one begins."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LINES
    cut = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
    with path.open("a", encoding="utf-8") as lines:
        lines.write("\n" * bool(cut) + json.dumps(record) + "\n")


def to_do(folder: Path, cases: Sequence[str], sides: Sequence[Side], rounds: int, form: str = "") -> list[Unit]:
    """What has no result yet. What failed is tried again; a side that did not finish a case once is not."""
    records = read(folder)
    known = {(r["case"], r["side"], r["form"], r["round"]) for r in records if "failed" not in r}
    endless = {(r["case"], r["side"], r["form"]) for r in records if "unfinished" in r}
    units = []
    for case, number in ((case, number) for case in cases for number in range(1, rounds + 1)):
        for side in sides:
            own = side.form_of(CASES[case])
            unit = Unit(case, side.name, form if form and own else own, number)
            if side.takes(CASES[case]) and unit.key() not in known:
                units += [unit] if unit.key()[:3] not in endless else []
    return units


def environment(folder: Path) -> dict[str, str]:
    """That of a worker: nothing compiled is at hand; linear algebra has one thread, for chains run side by side."""
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH", "")]))
    return os.environ | {
        "PYTHONPATH": path, "HBM_CACHE": str(folder / "hbm"), "NUMBA_CACHE_DIR": str(folder / "numba"),
        "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}", "OPENBLAS_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu",
    }  # fmt: skip


def finished(command: Sequence[str], limit: float, folder: Path) -> tuple[int | None, str]:
    """The exit code of a process and the last line of its errors; None where it was ended, with its children."""
    with (folder / "errors").open("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=errors, env=environment(folder), start_new_session=True
        )
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        errors.seek(0)
        lines = [line for line in errors.read().splitlines() if line.strip()]
    return code, lines[-1].strip() if lines else ""


def measure(unit: Unit, peer: str, limit: float = LIMIT) -> Record:
    """A measurement in a fresh process: seconds, effective draws, figures of the posterior, and the load before it."""
    side, load = SIDES[unit.side], os.getloadavg()[0]
    record: Record = {**unit.__dict__, "state": side.state(), "load": round(load, 2)}
    with tempfile.TemporaryDirectory() as name:
        folder, draws = Path(name), Path(name) / "draws"
        draws.mkdir()
        worker = [str(HERE), "--worker", unit.case, unit.side, unit.form, str(SEED + unit.round), str(draws)]
        code, error = finished([peer if side.needs else sys.executable, *worker], limit, folder)
        if code is None:
            return record | {"unfinished": limit}
        if code:
            return record | {"failed": error or f"exit code {code}"}
        record |= json.loads((draws / SECONDS).read_text(encoding="utf-8"))
        if side.draws:
            from bench_peers.agreement import computed

            record |= computed(draws)
    return record


def in_words(record: Record) -> str:
    """A measurement in a line."""
    if "failed" in record:
        return f"failed: {record['failed']}"
    if "unfinished" in record:
        return f"did not finish within {record['unfinished']:.0f} s"
    ess = f", smallest bulk ESS {record['ess']:,.0f} ({record['ess_of']})" if "ess" in record else ""
    return f"{record['seconds']:.1f} s, sampling {record['sampling']:.2f} s{ess}"


def run(
    folder: Path, units: Sequence[Unit], peer: str, say: Callable[[str], None], limit: float = LIMIT,
    minutes: float = float("inf"), measuring: Callable[..., Record] = measure,
) -> Iterator[Record]:  # fmt: skip
    """Measure one by one, keep each, and say how far it is; nothing new is begun after ``minutes``."""
    start, endless = time.monotonic(), set()
    for done, unit in enumerate(units, start=1):
        if time.monotonic() - start > 60 * minutes:
            say(f"{minutes:g} minutes are over: the same call goes on with the {len(units) - done + 1} that are left")
            return
        if unit.key()[:3] in endless:
            continue
        say(f"{done} of {len(units)}: {unit.case}: {unit.side}, round {unit.round} ...")
        record = measuring(unit, peer, limit)
        endless |= {unit.key()[:3]} if "unfinished" in record else set()
        append(folder, record)
        say(f"    {in_words(record)}; {(time.monotonic() - start) / 60:.1f} minutes in all")
        yield record
