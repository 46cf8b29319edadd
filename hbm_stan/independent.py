"""Posteriors that are known distributions: of large tables they are drawn from independently, without a sampler."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.model import Family, StanData
from hbm_stan.portions import large_portions
from hbm_stan.scratch import give_back, room
from hbm_stan.table import FloatArray


def independent_draws(
    family: Family, data: StanData, variant: str, shape: tuple[int, ...], seed: int, n_groups: int
) -> dict[str, FloatArray] | None:
    """All that a program declares, (chain, draw, ...), where its posterior is a known distribution; else None.

    Effects of very many groups are drawn some draws at a time, from one stream of random numbers.
    """
    programs = family.programs
    if programs.independent is None:
        return None
    rng, size, given = np.random.default_rng([seed, 2]), math.prod(shape), dict[str, FloatArray]()
    # Draws that all groups share are a number each, whatever the number of groups.
    each = 1 if family.variant(variant).pooling == "complete" else n_groups
    for part in large_portions(size, each):
        drawn = programs.independent(rng, data, variant, part.stop - part.start)
        if drawn is None:
            return None
        if part == slice(0, size):
            given = dict(drawn)
            break
        for name, some in drawn.items():
            if name not in given:
                given[name] = room((size, *some.shape[1:]), f"the draws of {n_groups:,} groups")
            given[name][part] = some
            give_back(given[name])
    return {name: some.reshape(*shape, *some.shape[1:]) for name, some in given.items()}


def without_sampler(
    family: Family, data: StanData, variant: str, sampling: Sampling, n_groups: int
) -> EngineDraws | None:
    """What is kept of a fit that needs no sampler: no draws, for from the seed they are the same again; else None."""
    shape = (sampling.chains, sampling.draws)
    draws = independent_draws(family, data, variant, shape, sampling.seed, n_groups)
    return None if draws is None else EngineDraws({}, independent_stats(draws))


def independent_stats(draws: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """What a sampler would say of independent draws: no step was taken; the energy is minus their log density.

    Up to a constant, of draws that are normal and independent of each other.
    """
    shape = next(iter(draws.values())).shape[:2]
    energy = np.zeros(shape)
    for values in draws.values():
        flat = values.reshape(*shape, -1)
        for some in large_portions(flat.shape[2], math.prod(shape)):
            part = flat[:, :, some]
            energy += 0.5 * (((part - part.mean(axis=(0, 1))) / part.std(axis=(0, 1))) ** 2).sum(axis=2)
            give_back(flat)
    none = np.zeros(shape)
    return {
        "energy": energy, "lp": -energy, "acceptance_rate": none + 1, "step_size": none, "tree_depth": none,
        "n_steps": none, "diverging": none, "reached_max_treedepth": none,
    }  # fmt: skip
