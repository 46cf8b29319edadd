"""Sums of numbers that are known by their logs. SciPy has them too; its import takes longer than most commands."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def log_sum_exp(logs: FloatArray, axis: int | None = -1, *, keepdims: bool = False) -> FloatArray:
    """log(sum(exp)) along an axis, or of all; minus infinity where all are. A nan, or plus infinity, stays."""
    logs = np.asarray(logs, dtype=float)
    top = logs.max(axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        sums = np.log(np.exp(logs - top).sum(axis=axis, keepdims=True)) + top
    return np.asarray(sums if keepdims else np.squeeze(sums, axis=axis))


def softmax(logs: FloatArray, axis: int | None = -1) -> FloatArray:
    """Shares of a sum along an axis, or of all."""
    logs = np.asarray(logs, dtype=float)
    shares = np.exp(logs - logs.max(axis=axis, keepdims=True))
    return np.asarray(shares / shares.sum(axis=axis, keepdims=True))
