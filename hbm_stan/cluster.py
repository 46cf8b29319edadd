"""Work on the processes of a Dask cluster: numbered pieces of one job, each handed on as it is done.

A worker needs nothing but this package, installed in the version that the caller has. What a worker was at when it died
is made by another one. Results depend on the job and the number alone, wherever they are made.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

from hbm_stan.errors import EngineError, HbmError, ModelError
from hbm_stan.resources import cores

Record = dict[str, Any]
Work = Callable[[bytes, int], Record]
LOCAL = "local"
# Seconds that a scheduler may take to answer, and a first worker to be there.
_PATIENCE = 15
_RETRIES = 3  # times that a piece is begun anew when the worker that was at it is gone


@cache
def version() -> str:
    """What results depend on here: this package, by its source, the embedded engine, and Python."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return (
        f"hbm-stan {metadata.version('hbm-stan')} ({digest.hexdigest()[:12]}), stanli {metadata.version('stanli')}, "
        f"Python {'.'.join(platform.python_version_tuple()[:2])}"
    )


def run_on(
    cluster: str,
    work: Work,
    job: bytes,
    numbers: Sequence[int],
    done: Callable[[Record], None],
    workers: int | None = None,
) -> None:
    """Call ``done`` with ``work(job, number)`` of each number, in no order.

    ``cluster`` is the address of a scheduler (``tcp://host:8786``), or ``local``: processes of this machine, as many as
    there are cores, or ``workers``. ``work`` is a function of this package. Raises ModelError where the cluster cannot
    be had or is of another version, and EngineError for a piece that every worker died of.
    """
    with _client(cluster, workers) as client:
        from distributed import CancelledError, KilledWorker, as_completed

        _refuse_other_versions(client, cluster)
        # The job travels with each piece: what is scattered to workers is lost when the last of them dies.
        pieces = client.map(partial(work, job), list(numbers), pure=False, retries=_RETRIES)
        try:
            for piece in as_completed(pieces, loop=client.loop):
                done(piece.result())
        except (KilledWorker, CancelledError) as error:
            raise EngineError(
                f"--cluster {cluster}: {_RETRIES + 1} workers died one after the other at the same piece of work "
                f"({error}). What was finished is kept; look at the memory and the logs of the workers."
            ) from error
        finally:
            client.cancel(pieces)


@contextlib.contextmanager
def _client(cluster: str, workers: int | None) -> Iterator[Any]:
    """A client of the cluster; a local cluster ends with it."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise HbmError("--cluster needs Dask: pip install 'hbm-stan[dask]'.") from error
    with contextlib.ExitStack() as stack:
        address: Any = cluster
        if cluster == LOCAL:
            # One thread each: the embedded engine cannot sample in two threads of one process.
            address = stack.enter_context(
                LocalCluster(n_workers=workers or cores(), threads_per_worker=1, dashboard_address=":0")
            )
        try:
            client = stack.enter_context(Client(address, timeout=_PATIENCE, set_as_default=False))
            client.wait_for_workers(1, timeout=_PATIENCE)
        except (OSError, ValueError, TimeoutError) as error:
            raise ModelError(
                f"--cluster {cluster}: no scheduler with a worker answers there within {_PATIENCE} seconds "
                f"({_first_line(error)}). Name that of a running one (dask scheduler; dask worker ADDRESS --nthreads "
                "1), as tcp://HOST:PORT, or local for processes of this machine."
            ) from error
        yield client


def _refuse_other_versions(client: Any, cluster: str) -> None:
    """Raise ModelError where a worker lacks this package, or has it in another version."""
    others = {}
    for worker, answer in client.run(version, on_error="return").items():
        if answer != version():
            others[worker] = answer if isinstance(answer, str) else _first_line(answer)
    if others:
        worker, answer = next(iter(others.items()))
        raise ModelError(
            f"--cluster {cluster}: {len(others)} of its workers cannot do this work; the first, {worker}, has "
            f"{answer}; here is {version()}. Install the same version on every worker."
        )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
