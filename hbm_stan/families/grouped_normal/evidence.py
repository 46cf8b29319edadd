"""What rows of grouped normal data say: sufficient statistics of groups, and exact densities of what is left out.

Gelman et al. (2013), Bayesian Data Analysis, 3rd ed., sections 3.2 and 3.3: without and with complete pooling the
evidence of a set of rows is an integral over one sd, and a density of what is left out the ratio of two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.families.own_scale import NODES, at_nodes, over_sd
from hbm_stan.model import Draws, StanData
from hbm_stan.priors import Prior, decode_scale
from hbm_stan.resources import cores
from hbm_stan.table import FloatArray

_CHUNK = 5000  # rows at a time
# Of groups of more rows than this so many nodes do for a row: the density of the others is so nearly normal in the log
# of the sd that the difference of two evidences has an error below 1e-10 (ours: tests/test_very_many_rows.py).
_MANY, _FEWER = 1000, 60


def prior_of(name: str, data: StanData) -> Prior:
    """The prior of a scale that the data encode."""
    return decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"])


def statistics(data: StanData) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Number of rows, mean, and sum of squares about it of each group, (J,) each; of some rows those of all."""
    if "of_groups" in data:
        return data["of_groups"]  # type: ignore[no-any-return]
    y, group = np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
    n = np.bincount(group, minlength=data["J"]).astype(float)
    mean = np.bincount(group, weights=y, minlength=data["J"]) / n
    return n, mean, np.bincount(group, weights=(y - mean[group]) ** 2, minlength=data["J"])


def some_rows(data: StanData, rows: Any) -> StanData:
    """The data of some rows, with the statistics of all of them."""
    y, group = np.asarray(data["y"], dtype=float)[rows], np.asarray(data["group_idx"])[rows]
    return {**data, "N": len(y), "y": y, "group_idx": group, "of_groups": statistics(data)}


def prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """log p(rows of group j) where its location and its sd have their fixed priors, (J,); None where pooled."""
    rest = (*data["prior_theta"], data["prior_sigma_group"][0], 1.0, prior_of("sigma_group", data))
    return over_sd(*statistics(data), *rest) if variant == "no_pooling" else None


def exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_i | the other rows), (N,), without or with complete pooling: the evidence with over that without y_i."""
    if (pooled := variant == "complete_pooling") is False and variant != "no_pooling":
        return None
    data = {name: value for name, value in data.items() if name != "of_groups"}
    data |= {"J": 1, "group_idx": np.ones(data["N"], dtype=int)} if pooled else {}
    y, group = np.asarray(data["y"], dtype=float), np.asarray(data["group_idx"]) - 1
    theta, scale = ("mu", "sigma") if pooled else ("theta", "sigma_group")
    rest = (*data[f"prior_{theta}"], data[f"prior_{scale}"][0], 1.0, prior_of(scale, data))
    n, mean, ss = statistics(data)
    scores, many = np.empty(len(y)), n[group] > _MANY

    def score(part: npt.NDArray[np.int64], log_evidence: Callable[..., FloatArray]) -> None:
        g, m, d = group[part], n[group[part]] - 1, y[part] - mean[group[part]]
        scores[part] -= log_evidence(m, mean[g] - d / m, np.maximum(ss[g] - d**2 * (m + 1) / m, 0), *rest)

    with ThreadPoolExecutor(cores()) as pool:
        for rows, nodes in ((~many, NODES), (many, _FEWER)):
            log_evidence = partial(over_sd, nodes=nodes)
            scores[rows] = log_evidence(n, mean, ss, *rest)[group[rows]]
            others = np.flatnonzero(rows & (n[group] > 1))
            parts = np.array_split(others, 1 + len(others) // _CHUNK)
            list(pool.map(score, parts, [log_evidence] * len(parts)))
    return scores


def _of_all(statistics_of_groups: tuple[FloatArray, FloatArray, FloatArray]) -> tuple[float, float, float]:
    """Number, mean, and sum of squares about it of the rows of all groups together."""
    n, mean, ss = statistics_of_groups
    overall = float(n @ mean / n.sum())
    return float(n.sum()), overall, float(ss.sum() + n @ (mean - overall) ** 2)


def independent(rng: np.random.Generator, data: StanData, variant: str, size: int) -> Draws | None:
    """Independent draws without pooling, or with complete pooling, by the distribution of an sd that all rows give.

    Given the sd the location is normal (Gelman et al. 2013, section 3.3); the sd has the density that its evidence is
    the integral of, its distribution function taken as straight between the middles of 200 nodes.
    """
    if variant not in {"no_pooling", "complete_pooling"} or not data["use_likelihood"]:
        return None
    pooled = variant == "complete_pooling"
    theta, scale = ("mu", "sigma") if pooled else ("theta", "sigma_group")
    n, mean, ss = (np.atleast_1d(a) for a in (_of_all(statistics(data)) if pooled else statistics(data)))
    (location, spread), median = data[f"prior_{theta}"], data[f"prior_{scale}"][0]
    z, log_density, _ = at_nodes(n, mean, ss, location, spread, median, 1.0, prior_of(scale, data), NODES)
    ends = np.column_stack([z[:, 0], (z[:, 1:] + z[:, :-1]) / 2, z[:, -1]])
    below = np.cumsum(np.exp(log_density - log_density.max(axis=1, keepdims=True)), axis=1)
    sd, share = np.empty((size, len(n))), rng.uniform(size=(size, len(n)))
    for j, own in enumerate(below):
        sd[:, j] = median * np.exp(np.interp(share[:, j], np.append(0.0, own / own[-1]), ends[j]))
    weight = spread**2 / (spread**2 + sd**2 / n)
    value = location + weight * (mean - location) + spread * np.sqrt(1 - weight) * rng.standard_normal(sd.shape)
    if not pooled:
        return {"theta": value, "sigma_group": sd}
    return {"mu": value[:, 0], "sigma": sd[:, 0], "theta": np.broadcast_to(value, (size, data["J"]))}


def exact_logo(data: StanData, variant: str) -> FloatArray | None:
    """log p(y_j | the other groups), (J,), with complete pooling: the evidence with over that without the group."""
    if variant != "complete_pooling":
        return None
    n, mean, ss = statistics(data)
    total, overall, every = _of_all((n, mean, ss))
    left = total - n
    others = overall + n * (overall - mean) / left
    without = np.maximum(every - ss - n * left / total * (mean - others) ** 2, 0)
    rest = (*data["prior_mu"], data["prior_sigma"][0], 1.0, prior_of("sigma", data))
    return over_sd(total, overall, every, *rest) - over_sd(left, others, without, *rest)
