"""Arrays of many columns, or of many draws, are worked on some at a time; of very many groups a figure shows some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

# Numbers worked on at once (ours): a fraction of the memory, and much more than what it takes to begin.
AT_ONCE = 2**22
# Numbers that are worked on as one block where there are no more of them: half a GiB (ours).
WHOLE = 2**26
# Rows of a table above which single ones are worked on with few draws, and never all of them at once (ours).
VERY_MANY_ROWS = 50_000
# Groups that a figure draws: a page has fewer dots side by side (ours).
MOST_DRAWN = 3000


class NamesAsked(Sequence[str]):
    """The names of n things, each made when it is asked for: those of very many rows would fill the memory."""

    def __init__(self, n: int, name: Callable[[int], str]) -> None:
        self._n, self._name = n, name

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, i: int) -> str: ...

    @overload
    def __getitem__(self, i: slice) -> list[str]: ...

    def __getitem__(self, i: int | slice) -> str | list[str]:
        if isinstance(i, slice):
            return [self._name(j) for j in range(self._n)[i]]
        return self._name(range(self._n)[i])


def portions(n: int, each: int, most: int = 0) -> Iterator[slice]:
    """Slices of n things of ``each`` numbers: of as many as make at most ``most`` numbers, by default 2^22."""
    step = max(1, (most or AT_ONCE) // max(1, each))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def large_portions(n: int, each: int) -> Iterator[slice]:
    """One slice of n things of ``each`` numbers, as long as memory has room for several copies; else ``portions``."""
    return portions(n, each, WHOLE if n * each <= WHOLE else AT_ONCE)


def drawn_places(n: int) -> npt.NDArray[np.int64]:
    """Which of n things in a row a figure draws, from 0: all, or some at equal distances, both ends among them."""
    if n <= MOST_DRAWN:
        return np.arange(n)
    return np.round(np.linspace(0, n - 1, MOST_DRAWN)).astype(np.int64)


def spaced_places(n: int, total: int) -> npt.NDArray[np.int64]:
    """The places, from 0, of n of so many draws at equal distances, the last one among them."""
    return np.arange(1, n + 1) * total // n - 1
