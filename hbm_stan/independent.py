"""Posteriors that are known distributions: of large tables they are drawn from independently, without a sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.model import Family, StanData
from hbm_stan.table import FloatArray


def independent_draws(
    family: Family, data: StanData, variant: str, shape: tuple[int, ...], seed: int
) -> dict[str, FloatArray] | None:
    """All that a program declares, (chain, draw, ...), where its posterior is a known distribution; else None."""
    if family.programs.independent is None:
        return None
    drawn = family.programs.independent(np.random.default_rng([seed, 2]), data, variant, math.prod(shape))
    return None if drawn is None else {name: some.reshape(*shape, *some.shape[1:]) for name, some in drawn.items()}


def without_sampler(family: Family, data: StanData, variant: str, sampling: Sampling) -> EngineDraws | None:
    """What is kept of a fit that needs no sampler: no draws, for from the seed they are the same again; else None."""
    draws = independent_draws(family, data, variant, (sampling.chains, sampling.draws), sampling.seed)
    return None if draws is None else EngineDraws({}, independent_stats(draws))


def independent_stats(draws: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """What a sampler would say of independent draws: no step was taken; the energy is minus their log density.

    Up to a constant, of draws that are normal and independent of each other.
    """
    shape = next(iter(draws.values())).shape[:2]
    energy = np.zeros(shape)
    for values in draws.values():
        flat = values.reshape(*shape, -1)
        energy += 0.5 * (((flat - flat.mean(axis=(0, 1))) / flat.std(axis=(0, 1))) ** 2).sum(axis=2)
    none = np.zeros(shape)
    return {
        "energy": energy, "lp": -energy, "acceptance_rate": none + 1, "step_size": none, "tree_depth": none,
        "n_steps": none, "diverging": none, "reached_max_treedepth": none,
    }  # fmt: skip
