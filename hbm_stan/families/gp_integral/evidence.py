"""Curves and rows left out without pooling: amplitude and length scale of a curve integrated out over their priors."""

from __future__ import annotations

import math

import numpy as np

from hbm_stan.families.gp_integral.curves import hyper, noisy_rows
from hbm_stan.families.gp_integral.left_out import log_rows
from hbm_stan.families.gp_integral.new_curves import prior
from hbm_stan.families.gp_integral.normal import left_out
from hbm_stan.later import logsumexp
from hbm_stan.model import StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

# log(value) - log(scale of its prior), where the mass may be: of the amplitude, below which about exp(-14) of a prior
# that is flat at 0 lies, and of the length scale. Far above, covariances are singular in floating point.
_COARSE = (np.arange(-14, 6.5, 0.5), np.arange(-8, 6.5, 0.5))
_TAIL, _CLOSE, _DOUBLINGS = 35.0, 1e-4, 4  # of log densities; of their integrals; of the nodes


def prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """log p(estimates of a curve) under the fixed priors of no pooling, (J,).

    None where curves are pooled, or covariances are singular in floating point: errors far below the curves' size.
    """
    if variant != "no_pooling":
        return None
    try:
        return np.array([_of_curve(data, j)[0] for j in range(int(data["J"]))])
    except np.linalg.LinAlgError:
        return None


def exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_n | the other rows of its curve) without pooling, (N,), by the trapezoidal rule; None as above."""
    if variant != "no_pooling":
        return None
    scores = np.empty(int(data["N"]))
    try:
        for j in range(int(data["J"])):
            whole, *without = _of_curve(data, j)
            scores[np.asarray(data["group_idx"]) == j + 1] = whole - np.array(without)
    except np.linalg.LinAlgError:
        return None
    return scores


def _of_curve(data: StanData, j: int) -> FloatArray:
    """log p of all rows of curve j, then without each, (1 + n,)."""
    rough = _values(data, j, *_COARSE)
    near = (rough > rough.max(axis=0) - _TAIL).any(axis=1).reshape(len(_COARSE[0]), len(_COARSE[1]))
    ends = []
    for axis, nodes in enumerate(_COARSE):
        inside = np.flatnonzero(near.any(axis=1 - axis))
        ends.append((nodes[max(inside[0] - 1, 0)], nodes[min(inside[-1] + 1, len(nodes) - 1)]))
    sizes = [2 * math.ceil(2 * (b - a)) for a, b in ends]
    for _ in range(_DOUBLINGS):
        axes = [np.linspace(*end, size + 1) for end, size in zip(ends, sizes, strict=True)]
        values = _values(data, j, *axes)
        halves = values.reshape(len(axes[0]), len(axes[1]), -1)[::2, ::2].reshape(-1, values.shape[1])
        log_step = sum(math.log(a[1] - a[0]) for a in axes)
        log_evidence = np.asarray(logsumexp(values, axis=0)) + log_step
        if np.max(np.abs(log_evidence - logsumexp(halves, axis=0) - log_step - math.log(4))) < _CLOSE:
            break
        sizes = [2 * size for size in sizes]
    return log_evidence


def _values(data: StanData, j: int, a: FloatArray, b: FloatArray) -> FloatArray:
    """log of the integrand at each pair of log amplitude and log length scale, (pairs, 1 + n)."""
    pairs = [v.ravel() for v in np.meshgrid(a, b, indexing="ij")]
    names, log_prior, draws = ("amplitude", "length_scale"), np.zeros(len(pairs[0])), {}
    for name, log_ratio in zip(names, pairs, strict=True):
        values = data[f"prior_{name}"][0] * np.exp(log_ratio)
        log_prior += prior(data, name).log_density(values) + np.log(values)
        draws[f"{name}_group"] = values[:, None]
    rows = np.flatnonzero(np.asarray(data["group_idx"]) == j + 1)
    alone = {**data, "N": len(rows), "J": 1, "group_idx": np.ones(len(rows), dtype=np.int64)}
    alone |= {name: np.asarray(data[name])[rows] for name in ("x", "y", "se")}
    h, every = hyper(draws, alone, 0), np.arange(len(rows))
    whole = log_rows(h, alone, every)
    of_row = np.empty((len(whole), len(rows)))
    for part in portions(len(whole), 2 * (len(rows) + 1) ** 2):
        of_row[part] = left_out(*noisy_rows(h.some(part), alone, every))
    return np.asarray(log_prior[:, None] + np.column_stack([whole, whole[:, None] - of_row]))
