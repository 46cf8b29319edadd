"""Rows and whole groups without pooling: each group has two sds of its own, over which its rows are integrated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.families.left_out import nested_rows
from hbm_stan.later import log_expit, logsumexp
from hbm_stan.model import Draws, StanData
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

# log(sd) - log(scale of its prior): where the mass may be. Below, rounding spoils the difference of two large squares,
# and about exp(-10) of a prior that is flat at 0 is left out.
_COARSE = np.arange(-10, 14.5, 0.5)
_TAIL, _CLOSE, _DOUBLINGS = 40.0, 1e-4, 4
Evidence = Callable[[Draws, StanData, Any, Any], FloatArray]


def exact_loo(data: StanData, priors: Mapping[str, tuple[Prior, float]], evidence: Evidence) -> FloatArray:
    """log p(y_n | the other rows of its group), (N,), by the trapezoidal rule in the logarithms of both sds.

    ``priors`` has the priors of tau_unit and sigma with their scales, ``evidence`` is log p(rows | sds), normal values
    integrated out: with all rows it is p(y_n | the others, sds) more than without y_n, on the log scale.
    """
    scores = np.empty(data["N"])
    for rows, own in _groups(data):
        whole, *without = _of_group(own, priors, evidence, slice(None))
        scores[rows] = whole - np.array(without)
    return scores


def whole_groups(data: StanData, priors: Mapping[str, tuple[Prior, float]], evidence: Evidence) -> FloatArray:
    """log p(rows of each group), (J,), by the same rule; see ``exact_loo``."""
    return np.array([_of_group(own, priors, evidence, slice(1))[0] for _, own in _groups(data)])


def _groups(data: StanData) -> Iterator[tuple[npt.NDArray[np.int64], StanData]]:
    """The rows of each group, and the data of this group alone, its rows about the mean of theta's prior."""
    for j in range(1, data["J"] + 1):
        rows = np.flatnonzero(np.asarray(data["group_idx"]) == j)
        units, unit = np.unique(np.asarray(data["unit_idx"])[rows], return_inverse=True)
        own = {**data, "N": len(rows), "M": len(units), "J": 1, "unit_idx": unit + 1}
        own |= {"y": np.asarray(data["y"], dtype=float)[rows] - data["prior_theta"][0]}
        own |= {"unit_group": np.ones(len(units), dtype=int), "group_idx": np.ones(len(rows), dtype=int)}
        yield rows, own


def _of_group(data: StanData, priors: Mapping[str, tuple[Prior, float]], evidence: Evidence, sets: slice) -> FloatArray:
    """log p(rows) of those ``sets`` of a group's rows: all first, then without each."""
    rough = _values(data, priors, evidence, _COARSE, _COARSE)
    near = (rough > rough.max(axis=0) - _TAIL).any(axis=1).reshape(2 * (len(_COARSE),))
    ends, many = [], (data["M"], data["N"])
    for axis in (1, 0):
        inside = np.flatnonzero(near.any(axis=axis))
        ends.append((_COARSE[max(inside[0] - 1, 0)], _COARSE[min(inside[-1] + 1, len(_COARSE) - 1)]))
    sizes = [2 * math.ceil((b - a) * math.sqrt(2 * n + 1) / 2) for (a, b), n in zip(ends, many, strict=True)]
    for _ in range(_DOUBLINGS):
        axes = [np.linspace(*end, size + 1) for end, size in zip(ends, sizes, strict=True)]
        values = _values(data, priors, evidence, *axes)[:, sets]
        halves = values.reshape(len(axes[0]), len(axes[1]), -1)[::2, ::2].reshape(-1, values.shape[1])
        log_step = sum(math.log(a[1] - a[0]) for a in axes)
        log_evidence = np.asarray(logsumexp(values, axis=0)) + log_step
        coarser = np.asarray(logsumexp(halves, axis=0)) + log_step + math.log(4)
        if np.max(np.abs(log_evidence - coarser)) < _CLOSE:
            break
        sizes = [2 * size for size in sizes]
    return log_evidence


def _values(
    data: StanData, priors: Mapping[str, tuple[Prior, float]], evidence: Evidence, a: FloatArray, b: FloatArray
) -> FloatArray:
    """log of the integrand at each pair of sds: of all rows, then of the rows without each, (pairs, 1 + N)."""
    pairs = np.stack([v.ravel() for v in np.meshgrid(a, b, indexing="ij")])
    draws, weight = {}, np.zeros(pairs.shape[1])
    for v, (name, (prior, scale)) in zip(pairs, priors.items(), strict=True):
        uniform = prior.distribution == "uniform"  # which ends: there v is logit(sd / scale)
        log_sd = math.log(scale) + (log_expit(v) if uniform else v)
        weight += log_sd + (log_expit(-v) - math.log(scale) if uniform else prior.log_density(np.exp(log_sd)))
        draws[f"{name}_group"] = np.exp(log_sd)[:, None]
    spread, unit, group = data["prior_theta"][1], data["unit_idx"] - 1, data["unit_group"] - 1
    whole = evidence(draws, data, 0.0, spread) + weight[:, None]
    top = np.zeros((1, 1)), np.full((1, 1), spread)
    given = nested_rows(data["y"], unit, group, *top, draws["tau_unit_group"], draws["sigma_group"])
    return np.hstack([whole, whole - given])
