"""What the elements of a variable are called: ``mu``, ``theta[A]``, ``theta[A, floor]``."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np

from hbm_stan.predictors import INTERCEPT

# Where a meaning speaks of one element: ``{term}`` is its coefficient, ``{predictor}`` its group predictor. What stands
# there of all elements together may follow a bar: ``{term|term's coefficient}``.
_SLOT = re.compile(r"\{(term|predictor)(?:\|([^{}]*))?\}")
_OF_ALL = {"term": "coefficient", "predictor": "the group predictor"}


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
        [str(c) for c in np.asarray(variable.coords[dim])]
        if dim in variable.coords
        else list(map(str, range(1, variable.sizes[dim] + 1)))
    )


def term_words(term: str) -> str:
    """What a term is, in words."""
    return term if term == INTERCEPT else f"coefficient of {term}"


def in_term(meaning: str, term: str = "") -> str:
    """The meaning of a parameter that has one element for each term: of one of them, or of all of them together."""

    def words(slot: re.Match[str]) -> str:
        if not term:
            return slot[2] or _OF_ALL[slot[1]]
        return term_words(term) if slot[1] == "term" else term

    text, slots = _SLOT.subn(words, meaning)
    return text if slots or not term else f"{text}: {term}"
