"""Which elements of a variable are constant by construction, so that no chain could ever move them?

One value in all draws of all chains is no stuck chain, for chains start in different places, where

* other elements of the same vector or matrix move (the zeros of a Cholesky factor, a reference level), or
* the element stands on the diagonal of a square matrix that holds ones only (a correlation matrix), or
* the program computes the variable as a generated quantity: a stuck chain would show in its parameters, or
* the analysis gives the parameter its value: its prior is ``fixed``.

A single parameter whose draws are all equal is still a chain that is stuck.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hbm_stan.fit import Fit
from hbm_stan.portions import portions
from hbm_stan.priors import FIXED
from hbm_stan.scratch import give_back
from hbm_stan.table import FloatArray

# A diagonal that is a sum of squares is 1 but for rounding (ours).
_ROUNDING = 1e-9


def fixed_elements(fit: Fit, name: str, draws: FloatArray) -> npt.NDArray[np.bool_]:
    """Which elements of a variable, in C order, are constant by construction; draws (chain, draw, ...)."""
    flat = draws.reshape(-1, *draws.shape[2:])
    columns = flat.reshape(len(flat), -1)
    constant = np.empty(columns.shape[1], dtype=bool)
    for some in portions(*columns.shape[::-1]):
        part = columns[:, some]
        constant[some] = np.isfinite(part).all(axis=0) & (part == part[0]).all(axis=0)
        give_back(draws)
    ones = _diagonal_of_ones(flat)
    if name in fit.priors and fit.priors[name].distribution == FIXED:
        return constant
    if not constant.all() or (draws.shape[0] > 1 and _computed(fit, name)):
        return constant | ones
    return ones


def _diagonal_of_ones(draws: FloatArray) -> npt.NDArray[np.bool_]:
    """Which elements of a square matrix (or of an array of them) are ones on a diagonal that holds nothing else."""
    shape = draws.shape[1:]
    if len(shape) < 2 or shape[-1] != shape[-2]:
        return np.full(int(np.prod(shape)), False)
    diagonal = np.broadcast_to(np.eye(shape[-1], dtype=bool), shape)
    return np.asarray(diagonal & (np.abs(draws[:, diagonal] - 1) < _ROUNDING).all()).ravel()


def _computed(fit: Fit, name: str) -> bool:
    """Whether the program derives a variable after sampling, from others that move."""
    generated = {d.name for d in fit.family.program(fit.variant).generated}
    others = (v for n, v in fit.named["posterior"].items() if n not in generated)
    return name in generated and any(np.ptp(np.asarray(v.values)) > 0 for v in others)
