"""Temperatures of spectra that were not fitted, given their fluxes and draws of the population."""

from __future__ import annotations

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.families.planck.curve import STEP, nodes, on_nodes
from hbm_stan.families.planck.evidence import ends_of_population, log_population, over_population
from hbm_stan.integrate.given_rows import place_by_weight
from hbm_stan.integrate.structure import IntArray
from hbm_stan.model import Draws, GivenRows, StanData
from hbm_stan.portions import portions
from hbm_stan.table import FloatArray

_AT_ONCE = 2_000_000  # densities at nodes


def given_rows(_rng: np.random.Generator, draws: Draws, data: StanData) -> GivenRows:
    """The integral over T of each spectrum by quadrature, and T by the inverse of its distribution function there."""
    log_lik = over_population(draws, data, STEP)

    def draw(rng: np.random.Generator, at: IntArray) -> dict[str, FloatArray]:
        taken = {name: np.asarray(draws[name])[at] for name in ("alpha", "beta", "sigma")}
        return {"T": np.stack([_draw(rng, j, taken, data) for j in range(int(data["J"]))], axis=1)}

    return GivenRows(log_lik, draw)


def _draw(rng: np.random.Generator, j: int, draws: Draws, data: StanData) -> FloatArray:
    """T of a spectrum given its fluxes, (R,): its density in t, log T = centre + width sinh(t), is even in a cell."""
    alpha, beta, sigma = (np.asarray(draws[name])[:, None] for name in ("alpha", "beta", "sigma"))
    u, log_weight = nodes(j, data, ends_of_population(draws), float(sigma.min()), STEP)
    edges = np.concatenate([[u[0]], (u[1:] + u[:-1]) / 2, [u[-1]]])
    drawn = np.empty(len(sigma))
    for part in portions(len(sigma), len(u), _AT_ONCE):
        density = on_nodes(j, data, u, sigma[part]) + log_population(u, alpha[part], beta[part]) + log_weight
        node = place_by_weight(rng, density)
        drawn[part] = edges[node] + rng.uniform(size=len(node)) * (edges[node + 1] - edges[node])
    return np.exp(drawn)


def settle(data: StanData, fitted: StanData, where: str) -> StanData:
    """The data of new spectra with the range that the fitted ones were recorded in, where no columns say one."""
    low, high = (np.asarray(fitted[name]) for name in ("y_lower", "y_upper"))
    if np.ptp(low) or np.ptp(high):
        return data
    y, n = np.asarray(data["y"]), len(data["y"])
    outside = y[(y < low[0]) | (y > high[0])]
    if data["truncated"] and len(outside):
        raise DataError(
            f"{where}: the flux {outside[0]:g} does not lie between the smallest and largest that could be recorded "
            f"where the model was fitted, {low[0]:g} and {high[0]:g}. Correct it, or fit with columns of lower and "
            "upper."
        )
    return {**data, "y_lower": np.full(n, low[0]), "y_upper": np.full(n, high[0])}
