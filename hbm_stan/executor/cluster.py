"""Work on the processes of a Dask cluster: numbered pieces of one job, each handed on as it is done.

A worker needs nothing but this package, installed in the version that the caller has. What a worker was at when it died
is made by another one. Results depend on the job and the number alone, wherever they are made.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import platform
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, as_completed
from functools import cache
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
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
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

    ``cluster`` and ``workers`` are those of ``pool_on``, and so is what is raised. ``work`` is a function of this
    package.
    """
    with pool_on(cluster, workers) as (pool, _):
        # The job travels with each piece: what is scattered to workers is lost when the last of them dies.
        pieces = [pool.submit(work, job, number) for number in numbers]
        try:
            for piece in as_completed(pieces):
                done(piece.result())
        finally:
            for piece in pieces:
                piece.cancel()


@contextlib.contextmanager
def pool_on(cluster: str, workers: int | None = None) -> Iterator[tuple[Executor, int]]:
    """The workers of a cluster as an executor, and how many calls they can be at at once.

    ``cluster`` is the address of a scheduler (``tcp://host:8786``), or ``local``: processes of this machine, as many as
    there are cores, or ``workers``. Raises ModelError where the cluster cannot be had or is of another version, and
    EngineError for a call that every worker died of.
    """
    with _client(cluster, workers) as client:
        from distributed import KilledWorker

        _refuse_other_versions(client, cluster)
        pool = client.get_executor(pure=False, retries=_RETRIES)
        try:
            yield _OfThisVersion(pool, cluster), sum(client.nthreads().values())
        except (KilledWorker, CancelledError) as error:
            raise EngineError(
                f"--cluster {cluster}: {_RETRIES + 1} workers died one after the other at the same piece of work, or "
                f"the scheduler is gone ({_first_line(error)}). What was finished is kept; look at the memory and the "
                "logs of the workers."
            ) from error


class _OfThisVersion(Executor):
    """An executor whose workers refuse a call from another version: one may have come after the others were asked."""

    def __init__(self, pool: Executor, cluster: str) -> None:
        self._pool, self._cluster = pool, cluster

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The future of a call of a function of this package."""
        with warnings.catch_warnings():
            # Dask would have large arguments scattered, and those are lost with the worker that holds them.
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            return self._pool.submit(of_this_version, version(), self._cluster, fn, *args, **kwargs)


def of_this_version(asked: str, cluster: str, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What a function returns, called in a process of the version that was asked for; raises ModelError in others."""
    if asked != version():
        raise ModelError(
            f"--cluster {cluster}: a worker has {version()}; asked for was {asked}. Install the same version on every "
            "worker."
        )
    return fn(*args, **kwargs)


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
        client, reason = None, ""
        try:
            client = stack.enter_context(Client(address, timeout=_PATIENCE, set_as_default=False))
            client.wait_for_workers(1, timeout=_PATIENCE)
        except (OSError, ValueError, TimeoutError) as error:
            reason = _first_line(error)
        if reason:
            # What Dask had made of a client goes now. Collected while another one is made, it waits for a lock that the
            # other holds, for ever.
            gc.collect()
            raise ModelError(
                f"--cluster {cluster}: no scheduler with a worker answers there within {_PATIENCE} seconds ({reason}). "
                "Name that of a running one (dask scheduler; dask worker ADDRESS --nthreads 1), as tcp://HOST:PORT, or "
                "local for processes of this machine."
            )
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
