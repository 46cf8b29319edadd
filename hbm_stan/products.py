"""Sums over rows of products of their columns, by group: all that a normal model needs of very many rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def products_by(
    columns: npt.NDArray[np.float64], index: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Sums of products of columns (N, C) by ``index`` (N,), (size, C, C), added in the order of the rows."""
    width = columns.shape[1]
    sums = np.empty((size, width, width))
    for k in range(width):
        for m in range(k + 1):
            product = columns[:, k] * columns[:, m]
            sums[:, k, m] = sums[:, m, k] = np.bincount(index, weights=product, minlength=size)
    return sums
