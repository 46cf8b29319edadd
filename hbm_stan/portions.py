"""Arrays of many columns, or of many draws, are worked on some at a time."""

from __future__ import annotations

from collections.abc import Iterator

# Numbers worked on at once (ours): a fraction of the memory, and much more than what it takes to begin.
AT_ONCE = 2**22


def portions(n: int, each: int, most: int = 0) -> Iterator[slice]:
    """Slices of n things of ``each`` numbers: of as many as make at most ``most`` numbers, by default 2^22."""
    step = max(1, (most or AT_ONCE) // max(1, each))
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))
