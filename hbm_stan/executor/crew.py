"""Who makes many fits: this process, processes beside it, or a cluster; results are the same, and in the same order.

Chains of a fit run side by side already. As many fits are made at once as leave each chain a core, and no more.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, wait
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from hbm_stan.engines import Engine
from hbm_stan.engines.stopping import orderly_stop
from hbm_stan.errors import HbmError, ModelError
from hbm_stan.model import Family
from hbm_stan.resources import cores

# Seconds: a process takes two of them to begin, so that what is done by then is done in this one.
_LITTLE = 2.0
# Seconds: a signal that comes just as the main thread goes to sleep does not wake it.
_GLANCE = 0.1
Unit = tuple[Any, ...]


@dataclass(frozen=True)
class Cluster:
    """A cluster as an executor, the address that it was called by, and how many units it is given at once."""

    pool: Executor
    address: str
    width: int


_CLUSTER: ContextVar[Cluster | None] = ContextVar("cluster", default=None)


@contextlib.contextmanager
def on_cluster(address: str | None, workers: int | None = None) -> Iterator[None]:
    """Within it refits, folds and fits under other priors are made by the workers of a Dask cluster.

    ``address`` is that of a scheduler (``tcp://host:8786``), or ``local``: processes of this machine, as many as there
    are cores, or ``workers``; None changes nothing. Results are those of this process to the bit. Raises ModelError
    where the cluster does not answer, or has a worker of another version.
    """
    if address is None:
        yield
        return
    from hbm_stan.executor.cluster import pool_on

    with pool_on(address, workers) as (pool, width):
        token = _CLUSTER.set(Cluster(pool, address, width))
        try:
            yield
        finally:
            _CLUSTER.reset(token)


def working_on_cluster() -> bool:
    """Whether ``on_cluster`` is in force."""
    return _CLUSTER.get() is not None


def answered(value: Any) -> Future[Any]:
    """A future whose result is there already."""
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def refused(error: HbmError) -> Future[Any]:
    """A future that ended in an error already."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def in_turn(
    work: Callable[..., Any], units: Iterable[Unit | Future[Any]], family: Family, engine: Engine | str,
    chains: int, stop: Callable[[], bool] = lambda: False,
) -> Iterator[Future[Any]]:  # fmt: skip
    """The futures of ``work(*unit)`` in the order of the units, each of them done; HbmErrors are raised by ``result``.

    ``work`` is a function of this package. A unit that is a future already has its result. ``family`` and ``engine``
    say whether units may travel, ``chains`` how many cores one takes. Units are taken as they are needed, and no more
    where ``stop`` says so; what was begun is finished. Raises ModelError where a cluster was asked for and units
    cannot be sent to it.
    """
    from hbm_stan.executor.travel import stays_here

    cluster, reason = _CLUSTER.get(), stays_here(family, engine)
    if cluster is not None and reason:
        yield from _refusing(f"--cluster {cluster.address}: {reason}, or leave the cluster out.", units)
    elif cluster is not None:
        yield from _ahead(cluster.pool, cluster.width, work, units, stop)
    elif reason or not side_by_side(chains):
        yield from _here(work, units, stop)
    else:
        yield from _in_processes(cores() // chains, work, units, stop)


def side_by_side(chains: int) -> bool:
    """Whether several fits of so many chains are made at once: on a cluster, or where there are cores for two."""
    return _CLUSTER.get() is not None or cores() // chains > 1


def _refusing(message: str, units: Iterable[Unit | Future[Any]]) -> Iterator[Future[Any]]:
    for unit in units:
        if not isinstance(unit, Future):
            raise ModelError(message)
        yield unit


def _here(work: Callable[..., Any], units: Iterable[Unit | Future[Any]], stop: Callable[[], bool]) -> Iterator[Any]:
    places = iter(units)
    while not stop() and (unit := next(places, None)) is not None:
        yield unit if isinstance(unit, Future) else _called(work, unit)


def _called(work: Callable[..., Any], unit: Unit) -> Future[Any]:
    try:
        return answered(work(*unit))
    except HbmError as error:
        return refused(error)


def _in_processes(
    width: int, work: Callable[..., Any], units: Iterable[Unit | Future[Any]], stop: Callable[[], bool]
) -> Iterator[Future[Any]]:
    """Units here for as long as little is done; what is left then goes to processes, if it is more than one."""
    from hbm_stan.executor.processes import Processes

    places, started = iter(units), time.perf_counter()
    yield from _here(work, places, lambda: stop() or time.perf_counter() - started > _LITTLE)
    left = [unit for unit in (next(places, None) for _ in range(2)) if unit is not None and not stop()]
    if len(left) < 2:
        yield from _here(work, left, stop)
        return
    with orderly_stop(), Processes(width) as pool:
        yield from _ahead(pool, width, work, itertools.chain(left, places), stop)


def _ahead(
    pool: Executor, width: int, work: Callable[..., Any], units: Iterable[Unit | Future[Any]], stop: Callable[[], bool]
) -> Iterator[Future[Any]]:
    """The futures in order, each done, while twice as many units as there are workers are at work or wait for it.

    Twice: a worker that is done finds its next unit though the first in order is not done.
    """
    from hbm_stan.executor.travel import perform, unit_of

    running: deque[tuple[Future[Any], bool]] = deque()
    places = iter(units)
    try:
        while True:
            while len(running) < 2 * width and not stop() and (unit := next(places, None)) is not None:
                known = isinstance(unit, Future)
                future = unit if isinstance(unit, Future) else pool.submit(perform, unit_of(work, unit))
                running.append((future, known))
            if not running:
                return
            future, known = running.popleft()
            yield future if known else _opened(future)
    finally:
        for future, _ in running:
            future.cancel()


def _opened(packed: Future[bytes]) -> Future[Any]:
    """The future of the result that a worker packed; waits for it."""
    from hbm_stan.executor.travel import unpacked

    while not wait([packed], _GLANCE).done:
        pass
    value, error = unpacked(packed.result())
    return answered(value) if error is None else refused(error)
