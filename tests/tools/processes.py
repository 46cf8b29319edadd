"""Child processes for the tests that interrupt and kill: started with a mark by which all descendants are found."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0


@dataclass
class Child:
    """A Python child in a session of its own; ``mark`` is in the environment of all that it starts."""

    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        path = os.pathsep.join(str(CHECKOUT / folder) for folder in (".", "tests", "tests/oracles", "tests/tools"))
        self.process = subprocess.Popen(
            [sys.executable, *self.arguments], start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "HBM_MARK": self.mark, **self.environment},
        )  # fmt: skip

    def descendants(self, named: str = "") -> list[int]:
        """Living processes, other than the child itself, that it started, directly or not."""
        pids = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == self.process.pid:
                continue
            try:
                marked = f"HBM_MARK={self.mark}".encode() in (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().decode()
            except OSError:
                continue
            if marked and command and named in command:
                pids.append(int(entry.name))
        return pids

    def send(self, number: int, *, group: bool = False) -> None:
        """A signal to the child alone, or as a terminal does to its whole process group."""
        (os.killpg if group else os.kill)(self.process.pid, number)

    def end(self) -> tuple[int, str, str]:
        """Exit code, standard output and standard error, when it has ended."""
        try:
            out, err = self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            out, err = self.process.communicate()
            raise AssertionError(f"did not end in {PATIENCE} s.\n{out}\n{err}") from None
        return self.process.returncode, out, err

    def kill(self) -> None:
        """End it and all that it started."""
        for pid in [*self.descendants(), self.process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def until(condition: Callable[[], object], child: Child | None = None, patience: float = PATIENCE) -> None:
    """Wait for a condition; fails where it does not come, or where the child ends meanwhile."""
    deadline = time.monotonic() + patience
    while not condition():
        if child is not None and child.process.poll() is not None:
            raise AssertionError(f"the child ended:\n{child.process.communicate()}")
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
