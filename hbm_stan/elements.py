"""What the elements of a variable are called: ``mu``, ``theta[A]``, ``theta[A, floor]``."""

from __future__ import annotations

import itertools
from typing import Any


def base_of(name: str) -> str:
    """The variable that a name is of: ``mu[floor]`` -> ``mu``."""
    return name.partition("[")[0]


def term_of(name: str) -> str:
    """The label in a name's brackets: ``mu[floor]`` -> ``floor``; empty where there is none."""
    return name.partition("[")[2].removesuffix("]")


def element_names(name: str, variable: Any) -> list[str]:
    """The name of each element of a variable in C order: ``mu``, ``theta[A]``, ``theta[A, floor]``."""
    labels = [_labels(variable, dim) for dim in variable.dims[2:]]
    return [f"{name}[{', '.join(element)}]" if element else name for element in itertools.product(*labels)]


def _labels(variable: Any, dim: str) -> list[str]:
    return (
        [str(c) for c in variable.coords[dim].values]
        if dim in variable.coords
        else list(map(str, range(1, variable.sizes[dim] + 1)))
    )
