"""Jointly normal values, many sets of them at once: densities, draws, and what some say of the others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hbm_stan.normal_density import normal_logpdf
from hbm_stan.table import FloatArray


def log_density(y: FloatArray, mean: FloatArray, cov: FloatArray) -> FloatArray:
    """log normal(y | mean, cov) of y (n,), means (S, n), covariances (S, n, n): (S,)."""
    root = np.linalg.cholesky(cov)
    z = forward(root, (y - mean)[..., None])[..., 0]
    log_root = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    return np.asarray(-0.5 * np.sum(z**2, axis=-1) - log_root - 0.5 * y.shape[-1] * math.log(2 * math.pi))


def forward(root: FloatArray, right: FloatArray) -> FloatArray:
    """root^-1 right for lower triangles (S, n, n) and right sides (S, n, m): in C, where SciPy loops in Python."""
    return np.asarray(np.linalg.solve(root, right))


def given(
    residual: FloatArray, cov: FloatArray, across: FloatArray, own: FloatArray
) -> tuple[FloatArray, FloatArray]:  # fmt: skip
    """How the mean moves (S, m), and the covariance (S, m, m), of values given others.

    The others lie ``residual`` (S, n) from their mean and have covariance ``cov`` (S, n, n), ``across`` (S, n, m) with
    the values, whose own is ``own`` (S, m, m). Rasmussen & Williams (2006), eq. A.6.
    """
    root = np.linalg.cholesky(cov)
    gain = forward(root, across)
    moved = np.einsum("sij,si->sj", gain, forward(root, residual[..., None])[..., 0])
    return moved, own - np.einsum("sij,sik->sjk", gain, gain)


def draw(rng: Any, mean: FloatArray, cov: FloatArray) -> FloatArray:
    """A draw of each set, (S, m), by eigenvectors: close values of a smooth curve are one number but for rounding."""
    values, vectors = np.linalg.eigh((cov + np.swapaxes(cov, -1, -2)) / 2)
    z = np.sqrt(np.maximum(values, 0.0)) * np.asarray(rng.normal(size=mean.shape))
    return np.asarray(mean + np.einsum("sij,sj->si", vectors, z))


def left_out_moments(y: FloatArray, mean: FloatArray, cov: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of y_n given all other values, (S, n) each: Rasmussen & Williams (2006), eq. 5.12."""
    precision = np.linalg.inv(cov)
    variance = 1 / np.diagonal(precision, axis1=-2, axis2=-1)
    return y - np.einsum("sij,sj->si", precision, y - mean) * variance, np.sqrt(variance)


def left_out(y: FloatArray, mean: FloatArray, cov: FloatArray) -> FloatArray:
    """log p(y_n | all other values), (S, n): Rasmussen & Williams (2006), eq. 5.10."""
    centre, sd = left_out_moments(y, mean, cov)
    return np.asarray(normal_logpdf(y, centre, sd))
