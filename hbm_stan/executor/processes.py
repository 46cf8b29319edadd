"""An executor of processes of this machine: started when they are needed, each at one unit at a time.

``python -P -c CALL`` reads calls from its standard input and writes what they return. The standard library's pool would
run the caller's script a second time in each of them, and give up all work when one of them dies.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import IO, Any

from hbm_stan.engines.chains import how_it_ended
from hbm_stan.engines.python import PYTHON, environment
from hbm_stan.errors import EngineError

# What another Python runs to become a worker.
CALL = "import sys; from hbm_stan.executor.processes import main; sys.exit(main())"
# Chains of one process fill its cores: threads of linear algebra would only wait for each other.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
RETRIES = 3  # times that a unit is begun anew when the process that was at it is gone
_LENGTH = struct.Struct(">Q")


class Processes(Executor):
    """As many processes as ``width`` at most. A unit whose process dies is begun anew in another one."""

    def __init__(self, width: int) -> None:
        self._threads = ThreadPoolExecutor(width)
        self._lock = threading.Lock()
        self._idle: list[subprocess.Popen[bytes]] = []
        self._all: list[subprocess.Popen[bytes]] = []
        self._stopped = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future of a call; function and arguments are pickled."""
        return self._threads.submit(self._called, pickle.dumps((fn, args, kwargs)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End all processes; units that are not done are lost."""
        with self._lock:
            self._stopped = True
            for process in self._all:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        self._threads.shutdown(wait=True, cancel_futures=True)
        for process in self._all:
            _close(process)

    @property
    def pids(self) -> list[int]:
        """The processes that are there."""
        return [process.pid for process in self._all if process.poll() is None]

    def _called(self, call: bytes) -> Any:
        for _ in range(RETRIES + 1):
            process = self._process()
            answer = _asked(process, call)
            if answer is not None:
                with self._lock:
                    self._idle.append(process)
                value, error = pickle.loads(answer)
                if error is not None:
                    raise error
                return value
            ending = how_it_ended(_close(process))
        raise EngineError(
            f"{RETRIES + 1} processes died one after the other at the same unit of work; the last {ending}. What was "
            "finished is kept."
        )

    def _process(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise EngineError("The work was stopped.")
            if self._idle:
                return self._idle.pop()
            # A session of its own: Ctrl-C reaches it through us only, and one signal ends all that it started.
            process = subprocess.Popen(
                (*PYTHON, "-c", CALL), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env=environment(**ONE_THREAD), start_new_session=True,
            )  # fmt: skip
            self._all.append(process)
            return process


def _close(process: subprocess.Popen[bytes]) -> int:
    """The exit code of a process that ends, its pipes closed."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was not sent is not wanted any more
            assert pipe is not None
            pipe.close()
    return process.wait()


def _asked(process: subprocess.Popen[bytes], call: bytes) -> bytes | None:
    """The answer of a process; None where it is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _write(process.stdin, call)
        return _read(process.stdout)
    except OSError:
        return None


def _write(stream: IO[bytes], content: bytes) -> None:
    stream.write(_LENGTH.pack(len(content)))
    stream.write(content)
    stream.flush()


def _read(stream: IO[bytes]) -> bytes | None:
    """The next piece; None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None


def main() -> int:
    """Answer calls until there are no more; what a library prints is no answer. The exit code."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (call := _read(sys.stdin.buffer)) is not None:
        try:
            fn, args, kwargs = pickle.loads(call)
            answer = pickle.dumps((fn(*args, **kwargs), None))
        except Exception as error:
            answer = pickle.dumps((None, error))
        _write(answers, answer)
    return 0
