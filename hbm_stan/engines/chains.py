"""Runs one process for each chain, as many at once as there are cores, and ends them all together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hbm_stan.engines import Progress
from hbm_stan.errors import EngineError

_ITERATION = re.compile(r"Iteration:\s*(\d+) / (\d+)")
_NOISE = re.compile(r"^\s*(Iteration:|Gradient evaluation|1000 transitions|Adjust your|method =|$)")
_WORDS = 12  # lines of Stan's own words in a message


@dataclass(frozen=True)
class Chain:
    """One chain: its number, the command that runs it, and the file that it writes."""

    number: int
    command: Sequence[str]
    output: Path


def run_chains(
    program: str, chains: Sequence[Chain], total: int, progress: Progress | None, cores: int | None = None
) -> None:
    """Run the chains; raises EngineError in Stan's words if one fails. No process outlives this call."""
    gate = threading.Semaphore(cores or os.cpu_count() or 1)
    running: dict[int, subprocess.Popen[str]] = {}
    ended: dict[int, tuple[int, list[str]]] = {}
    stop = threading.Event()

    def run(chain: Chain) -> None:
        with gate:
            if not stop.is_set():
                ended[chain.number] = _run(chain, running, progress)

    threads = [threading.Thread(target=run, args=(c,), daemon=True) for c in chains]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            # A join without a time-out would keep Ctrl-C waiting until the chain is done.
            while thread.is_alive():
                thread.join(0.1)
    finally:
        stop.set()
        for process in list(running.values()):
            if process.poll() is None:
                process.terminate()
        for process in list(running.values()):
            process.wait()
    _raise_failed(program, ended)


def _run(chain: Chain, running: dict[int, subprocess.Popen[str]], progress: Progress | None) -> tuple[int, list[str]]:
    # A session of its own, so that Ctrl-C reaches the chain through us only, once.
    process = subprocess.Popen(
        chain.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        text=True, start_new_session=True,
    )  # fmt: skip
    running[chain.number] = process
    words: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        if match := _ITERATION.search(line):
            if progress:
                progress(chain.number, int(match[1]), int(match[2]))
        elif not _NOISE.match(line):
            words.append(line.rstrip())
    return process.wait(), words


def _raise_failed(program: str, ended: dict[int, tuple[int, list[str]]]) -> None:
    failed = {number: result for number, result in sorted(ended.items()) if result[0] != 0}
    if not failed:
        return
    number, (code, words) = next(iter(failed.items()))
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    said = "\n".join(words[-_WORDS:]) or "(nothing)"
    raise EngineError(f"{program}: chain {number} of {len(ended)} {how}. Stan says:\n{said}")
