"""Arrays of many columns, or of many draws, are worked on some at a time; of very many groups a figure shows some."""

from __future__ import annotations

from collections.abc import Iterator

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
