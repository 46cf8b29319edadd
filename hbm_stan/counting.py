"""How far a long loop has come, told to whoever asked for it: what counts knows neither bars nor lines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar

Listener = Callable[[int, int], None]  # steps done, steps in all
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextlib.contextmanager
def told(listener: Listener) -> Iterator[None]:
    """Loops by ``counted`` in here tell the listener how far they have come."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def counted[T](steps: Iterable[T], total: int) -> Iterator[T]:
    """The steps one by one; after each, whoever listens is told how many of the total are done."""
    listener = _LISTENER.get()
    for done, step in enumerate(steps, 1):
        yield step
        if listener is not None:
            listener(done, total)
