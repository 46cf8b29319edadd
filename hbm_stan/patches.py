"""Patches of a map: areas that lie beside each other, for leaving neighbours out together.

An area left out alone is guessed from its neighbours; one whose neighbours are left out too shows what is known of a
place from afar (Roberts et al. 2017, Ecography 40:913; Liu & Rue 2022, arXiv:2210.04482).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def patches(labels: Sequence[str], pairs: Sequence[tuple[str, str]], most: int) -> npt.NDArray[np.int64]:
    """The patch of each area, counted from 0: at most so many, each of as many areas as the others, or one more.

    A patch grows from the area with the fewest neighbours that are still free, always by the free area beside it that
    has the most neighbours inside; where none is left it goes on elsewhere. The order of labels does not matter.
    """
    beside: dict[str, set[str]] = {label: set() for label in labels}
    for a, b in pairs:
        beside[a].add(b)
        beside[b].add(a)
    free: set[str] = set(labels)
    patch: dict[str, int] = {}
    n = min(most, len(free))
    for k in range(n):
        grown: set[str] = set()
        for _ in range(math.ceil(len(free) / (n - k))):
            border = [a for a in free if beside[a] & grown]
            if border:
                area = min(border, key=lambda a: (-len(beside[a] & grown), len(beside[a] & free), a))
            else:
                area = min(free, key=lambda a: (len(beside[a] & free), a))
            grown.add(area)
            free.discard(area)
        patch |= dict.fromkeys(grown, k)
    return np.array([patch[label] for label in labels], dtype=np.int64)
