"""Runs commands side by side, as many at once as there are cores, and ends them all together."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from hbm_stan.engines import Progress
from hbm_stan.engines.stopping import orderly_stop
from hbm_stan.engines.words import in_program, last_words
from hbm_stan.errors import EngineError
from hbm_stan.program import Program
from hbm_stan.resources import cores

_LINES = 200  # the last lines of a command's output, kept for messages
# Seconds: a signal that comes just as the main thread goes to sleep, or to another thread, does not wake it.
_GLANCE = 0.1
_ITERATION = re.compile(r"Iteration:\s*(\d+) / (\d+)")


@dataclass(frozen=True)
class Task:
    """One command: what messages call it, the folder and the environment that it runs in."""

    name: str
    command: Sequence[str]
    folder: Path | None = None
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Ended:
    """A task that ended by itself: its exit code, negative for a signal, and the last lines that it wrote."""

    task: Task
    code: int
    lines: tuple[str, ...]


Listener = Callable[[Task, str], None]


def run_together(tasks: Sequence[Task], listen: Listener, at_once: int | None = None) -> list[Ended]:
    """The tasks that ended by themselves, in that order; the first that fails ends the others.

    ``listen`` gets every line of output. Whatever ends this call, no process outlives it: Ctrl-C and SIGTERM raise
    KeyboardInterrupt, and after ``kill -9`` a command ends with the next line that it writes, its pipe being gone.
    """
    crew = _Crew(listen)
    with orderly_stop(), ThreadPoolExecutor(at_once or cores()) as pool:
        try:
            pending = {pool.submit(crew.run, task) for task in tasks}
            while pending:
                done, pending = wait(pending, _GLANCE, FIRST_COMPLETED)
                for future in done:
                    future.result()
        finally:
            crew.stop()
    return crew.ended


class _Crew:
    """The processes at work; each is started, listened to and waited for by a thread of its own."""

    def __init__(self, listen: Listener) -> None:
        self.listen = listen
        self.ended: list[Ended] = []
        self._running: list[subprocess.Popen[str]] = []
        self._stopped = False
        self._lock = threading.RLock()

    def run(self, task: Task) -> None:
        process = self._start(task)
        if process is None:
            return
        lines: deque[str] = deque(maxlen=_LINES)
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                self.listen(task, line)
        except BaseException:
            self.stop()
            raise
        finally:
            if process.stdout:
                process.stdout.close()
            code = process.wait()
        with self._lock:
            if not self._stopped:
                self.ended.append(Ended(task, code, tuple(lines)))
                if code != 0:
                    self.stop()

    def _start(self, task: Task) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopped:
                return None
            try:
                # A session of its own: Ctrl-C reaches it through us only, and one signal ends all that it started.
                process = subprocess.Popen(
                    task.command, cwd=task.folder, env=task.environment, stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
                    start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                raise EngineError(f"{task.command[0]} cannot be started ({error.strerror or error}).") from error
            self._running.append(process)
            return process

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                if process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)


def run_chains(program: Program, chains: Sequence[Task], progress: Progress | None, at_once: int | None = None) -> None:
    """Run chains, named by their numbers; raises EngineError in Stan's words if one fails."""

    def listen(chain: Task, line: str) -> None:
        if progress and (match := _ITERATION.search(line)):
            progress(int(chain.name), int(match[1]), int(match[2]))

    for ended in run_together(chains, listen, at_once):
        if ended.code != 0:
            raise EngineError(
                f"{program.path}: chain {ended.task.name} of {len(chains)} {how_it_ended(ended.code)}. Stan says:\n"
                + in_program(last_words(ended.lines), program)
            )


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        return "was ended by SIGKILL, as Linux does where memory runs out"
    return f"was ended by {signal.Signals(-code).name}"
