"""Ctrl-C, SIGTERM and a closed terminal end an engine's work in one and the same orderly way."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextlib.contextmanager
def orderly_stop() -> Iterator[None]:
    """Within it each of these signals raises KeyboardInterrupt, once: an impatient second one disturbs no clean-up.

    Signals that the caller handles or ignores (nohup) stay the caller's. Outside the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = (signal.SIG_DFL, signal.default_int_handler)
    before = {number: signal.getsignal(number) for number in _SIGNALS if signal.getsignal(number) in usual}

    def stop(number: int, _frame: FrameType | None) -> Any:
        listener = signal.getsignal(signal.SIGINT)
        if number != signal.SIGINT and callable(listener) and listener is not stop:
            # stanli at work: it listens for SIGINT itself and must get back from its native code first.
            signal.raise_signal(signal.SIGINT)
            return
        for taken in before:
            signal.signal(taken, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Within it these signals wait; they come at its end. For libraries that crash where Python raises in their midst.

    Outside the main thread no signal raises anything, and nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS if callable(signal.getsignal(number))}
    waiting: list[int] = []
    for number in before:
        signal.signal(number, lambda number, _frame: waiting.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if waiting:
            signal.raise_signal(waiting[0])
