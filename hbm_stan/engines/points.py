"""A compiled program at given points: log densities, gradients and all that it writes out, many points a call.

stanli's Python calls take one point each and spend more time on the call than on the density. Its library has the same
functions as C calls (capi.h: stanli_grad, stanli_wa_row, stanli_wa_seed), which are made here on the rows of an array.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from hbm_stan.table import FloatArray

_STEP = 8  # bytes of a double


@cache
def _calls() -> tuple[Callable[..., int], Callable[..., int], Callable[..., None]]:
    """Gradient, row and seed, with addresses as plain numbers: a pointer object for each would cost a microsecond."""
    import stanli

    library = ctypes.CDLL(stanli._lib._name)
    address = ctypes.c_void_p
    gradient, row, seed = library.stanli_grad, library.stanli_wa_row, library.stanli_wa_seed
    gradient.argtypes, gradient.restype = [address] * 4, ctypes.c_int
    row.argtypes, row.restype = [address] * 3, ctypes.c_int
    seed.argtypes, seed.restype = [address, ctypes.c_uint32], None
    return gradient, row, seed


class Points:
    """A ``stanli.Model``; points are rows of unconstrained parameters."""

    def __init__(self, model: Any) -> None:
        self._model = model

    @property
    def dimension(self) -> int:
        """The number of unconstrained parameters."""
        return int(self._model.n_unconstrained)

    def __call__(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log density (n,) with Jacobian, minus infinity where Stan refuses the point, and gradient (n, d)."""
        given = np.ascontiguousarray(points, dtype=float)
        n, d = given.shape
        values, gradients = np.empty(n), np.zeros((n, d))
        gradient, handle = _calls()[0], self._model._m
        point, value, slope = given.ctypes.data, values.ctypes.data, gradients.ctypes.data
        for i in range(n):
            if gradient(handle, point, value, slope):
                values[i] = -np.inf
            point, value, slope = point + d * _STEP, value + _STEP, slope + d * _STEP
        return values, gradients

    def variables(self, points: FloatArray, seed: int) -> dict[str, FloatArray]:
        """All that the program writes at points (chain, draw, d), by variable, (chain, draw, ...)."""
        import stanli

        shape = points.shape[:2]
        names, rows = self.rows(points.reshape(-1, points.shape[2]), seed)
        whole = stanli.Fit(names, rows.reshape(*shape, len(names)), np.empty((*shape, 0)), 0, seed)
        return {name: np.ascontiguousarray(whole.draws(name), dtype=float) for name in whole.variables}

    def rows(self, points: FloatArray, seed: int) -> tuple[list[str], FloatArray]:
        """The columns that the program writes for a draw, and their values at points (n, d), shape (n, column).

        Parameters, transformed ones and generated quantities, whose random numbers follow from ``seed``. What Stan
        refuses to generate is nan.
        """
        given = np.ascontiguousarray(points, dtype=float)
        names = list(self._model._column_names()[0])
        table = np.full((len(given), len(names)), np.nan)
        _, row, set_seed = _calls()
        handle, point, values = self._model._m, given.ctypes.data, table.ctypes.data
        set_seed(handle, seed)
        for _ in range(len(given)):
            row(handle, point, values)
            point, values = point + given.shape[1] * _STEP, values + len(names) * _STEP
        return names, table
