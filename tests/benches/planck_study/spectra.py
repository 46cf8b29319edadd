"""Simulated collections of spectra: 20 to learn from, and six new ones that are hard each in its own way.

The population is that of ``data/planck``, the designs are those of ``data/planck_new``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hbm_stan.table import FloatArray

SEED = 20261130
ALPHA, BETA, SIGMA = 6.0, 3.0, 0.5  # T ~ gamma(shape, rate), sd of a flux
SIZES = (1, 1, *(int(n) for n in np.rint(np.geomspace(2, 80, 16))), 100, 100)
LOWEST, HIGHEST = 0.1, 12.0  # frequencies of points
PEAK = 2.821  # frequency over temperature where the curve is highest: Wien's displacement law
# Of the six temperatures of the new sets the coldest is the noisy one's, the hottest that of the single high point.
KINDS = ("big", "noisy", "small", "censored", "single high", "single low")
# Where curves are compared: beyond the points too, for outside their range is outside of all of them.
GRID = np.linspace(LOWEST, 16.0, 160)
INSIDE = 60  # places within the range of a set's points


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """Points of one source, and the truth: its temperature."""

    name: str
    kind: str  # "training", or one of KINDS
    temperature: float
    nu: FloatArray  # (n,), rising
    flux: FloatArray  # (n,)


@dataclass(frozen=True)
class Collection:
    """What is learnt from, and what is predicted, each new set by itself."""

    training: tuple[Spectrum, ...]
    new: tuple[Spectrum, ...]


def curve(nu: FloatArray, temperature: FloatArray | float) -> FloatArray:
    """Planck's law without its constants, the truth; broadcasts."""
    x = np.asarray(nu) / temperature
    return np.asarray(np.asarray(nu) ** 3 * np.exp(-x) / -np.expm1(-x))


def collection(number: int) -> Collection:
    """Collection ``number``, the same on every machine."""
    rng = np.random.default_rng([SEED, number])
    training = [
        _measured(rng, f"S{j:02d}", "training", rng.gamma(ALPHA, 1 / BETA), rng.uniform(LOWEST, HIGHEST, n))
        for j, n in enumerate(SIZES, start=1)
    ]
    cold, *middle, hot = np.sort(rng.gamma(ALPHA, 1 / BETA, len(KINDS)))
    middle = list(rng.permutation(middle))
    temperatures = dict(zip(KINDS, (middle[0], cold, middle[1], middle[2], hot, middle[3]), strict=True))
    nus = {
        "big": rng.uniform(LOWEST, HIGHEST, 80),
        "noisy": rng.uniform(LOWEST, HIGHEST, 25),
        "small": rng.uniform(LOWEST, HIGHEST, 5),
        "censored": rng.uniform(LOWEST, 0.8 * PEAK * temperatures["censored"], 40),
        "single high": np.array([PEAK * temperatures["single high"]]),
        "single low": np.array([0.25]),
    }
    new = [_measured(rng, f"X{k}", kind, temperatures[kind], nus[kind]) for k, kind in enumerate(KINDS, start=1)]
    return Collection(tuple(training), tuple(new))


def _measured(rng: np.random.Generator, name: str, kind: str, temperature: float, nu: FloatArray) -> Spectrum:
    nu = np.sort(nu)
    flux = curve(nu, temperature) + rng.normal(0, SIGMA, len(nu))
    return Spectrum(name=name, kind=kind, temperature=float(temperature), nu=nu, flux=flux)


def places(spectrum: Spectrum) -> dict[str, FloatArray]:
    """Frequencies within the range of a set's points, of a single point its own, and outside of it."""
    low, high = spectrum.nu.min(), spectrum.nu.max()
    within = np.linspace(low, high, INSIDE) if len(spectrum.nu) > 1 else spectrum.nu
    return {"inside": within, "outside": GRID[(low > GRID) | (high < GRID)]}


def table(spectra: tuple[Spectrum, ...]) -> pd.DataFrame:
    """A row for each point, with the columns of ``data/planck``."""
    parts = [pd.DataFrame({"spectrum": s.name, "frequency": s.nu, "flux": s.flux}) for s in spectra]
    return pd.concat(parts, ignore_index=True)
