"""What truncation does to temperatures: spectra whose fluxes are recorded only between two limits, fitted both ways."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from hbm_stan.families.planck import FAMILY
from planck_study.models import health, law_data, priors_of, sample
from planck_study.spectra import ALPHA, BETA, HIGHEST, LOWEST, SEED, Spectrum, curve

LIMITS = (0.0, 50.0)  # of recorded fluxes, those that the family takes where no column says them
SIGMA = 2.0  # of a flux: larger than elsewhere, so that zero is often reached
SIZES = (1, 2, 3, 5, 8, *(12, 16, 20, 25, 30) * 3)
WAYS = {"truncated": "partial_pooling_truncated", "plain": "partial_pooling"}
# Temperatures that end the groups of the table: peaks of 1.4, 11 and 38 flux units lie at 1, 2 and 3.
GROUPS = {"cold": (0.0, 1.3), "middle": (1.3, 2.5), "hot": (2.5, np.inf)}
LEVEL = 0.8


def truncated_spectra(number: int) -> tuple[Spectrum, ...]:
    """20 spectra of collection ``number``: points are drawn until so many fluxes lie within the limits."""
    rng, spectra = np.random.default_rng([SEED, 1, number]), []
    for j, n in enumerate(SIZES, start=1):
        temperature, nu, flux = rng.gamma(ALPHA, 1 / BETA), np.empty(0), np.empty(0)
        while len(nu) < n:
            x = rng.uniform(LOWEST, HIGHEST, 4 * n)
            y = curve(x, temperature) + rng.normal(0, SIGMA, len(x))
            recorded = (LIMITS[0] < y) & (y < LIMITS[1])
            nu, flux = np.append(nu, x[recorded])[:n], np.append(flux, y[recorded])[:n]
        order = np.argsort(nu)
        spectra.append(
            Spectrum(name=f"S{j:02d}", kind="truncated", temperature=temperature, nu=nu[order], flux=flux[order])
        )
    return tuple(spectra)


def bias(number: int) -> list[dict[str, Any]]:
    """By way and group of temperatures: relative error of T's posterior mean, share of 80 % intervals that hold T.

    sigma stands beside them, the posterior mean of the errors' sd.
    """
    spectra, rows = truncated_spectra(number), []
    truth, priors = np.array([s.temperature for s in spectra]), priors_of(spectra)
    for way, variant in WAYS.items():
        start = time.perf_counter()
        drawn = sample(FAMILY.program(variant), law_data(spectra, variant, priors), number)
        t = np.asarray(drawn.variables["T"]).reshape(-1, len(truth))
        low, high = np.quantile(t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        for name, (least, most) in GROUPS.items():
            own = (truth >= least) & (truth < most)
            if own.any():
                rows.append({
                    "way": way, "group": name, "spectra": int(own.sum()),
                    "bias": float(np.mean(t.mean(axis=0)[own] / truth[own] - 1)),
                    "coverage": float(np.mean((low <= truth) & (truth <= high), where=own)),
                    "sigma": float(np.mean(drawn.variables["sigma"])),
                    "seconds": time.perf_counter() - start, **health(drawn, ("T", "sigma")),
                })  # fmt: skip
    return rows
