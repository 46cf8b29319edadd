"""Effects of areas from what programs declare, and its density; of counts that spread more on a scale of its own.

Overdispersion and the sd of effects change places, and an effect is wide where both are. It is therefore drawn in units
of what its own count and its normal distribution together leave unknown of it, about what they lead to expect: the
log of its own rate has about the variance 1 / (cases + 1/2) + overdispersion^2, weighted as two normals are. It is
centered where counts say much and non-centered where they say little (on both: Betancourt & Girolami 2015,
Hamiltonian Monte Carlo for hierarchical models).
"""

from __future__ import annotations

import numpy as np

from hbm_stan.families.disease_mapping.graph import IntArray
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.table import FloatArray


def row_of_areas(data: StanData) -> IntArray:
    """The only row of each area, (J,)."""
    return np.argsort(np.asarray(data["group_idx"]))


def areas_of_rho(params: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Structured effects of all areas on the map, (A,), and the sd of their unstructured ones, (A,).

    Riebler et al. (2016), eq. 7, with phi / sqrt(s) for their scaled effects; an area without neighbours has no
    structured effect and keeps the sd tau (Freni-Sterrantino et al. 2018).
    """
    tau, rho = params["tau"], params["rho"]
    structured = tau * np.sqrt(rho / np.asarray(data["scaling"])) * (np.asarray(data["basis"]) @ params["phi_raw"])
    return np.asarray(structured), np.where(np.asarray(data["island"]) == 1, tau, tau * np.sqrt(1 - rho))


def from_raw(raw: FloatArray, mean: FloatArray, sd: FloatArray, params: Draws, data: StanData) -> FloatArray:
    """Effects with this mean and sd, (J,) or of all areas on the map, (A,), from what is declared."""
    if not data["overdispersed"]:
        return np.asarray(mean + sd * raw)
    own, precision = _own(params, data, len(raw))
    total = precision + sd**-2.0
    return np.asarray((precision * own + sd**-2.0 * mean) / total + raw / np.sqrt(total))


def log_of_raw(raw: FloatArray, mean: FloatArray, sd: FloatArray, params: Draws, data: StanData) -> float:
    """The log density of what is declared: that of the effects, times how far one unit of it moves them."""
    if not data["overdispersed"]:
        return float(normal_logpdf(raw).sum())
    _, precision = _own(params, data, len(raw))
    effects = from_raw(raw, mean, sd, params, data)
    return float(normal_logpdf(effects, mean, sd).sum() - 0.5 * np.log(precision + sd**-2.0).sum())


def _own(params: Draws, data: StanData, size: int) -> tuple[FloatArray, FloatArray]:
    """The log of each area's own rate and its precision, 0 for areas of the map that have no row."""
    row = row_of_areas(data)
    count = np.asarray(data["y"], dtype=float)[row] + 0.5
    own, precision = np.log(count / np.asarray(data["expected"])[row]), 1 / (1 / count + params["overdispersion"] ** 2)
    if size == data["J"] and "rho" not in params:
        return own, precision
    at, whole = np.asarray(data["place"]) - 1, np.zeros((2, size))
    whole[0, at], whole[1, at] = own, precision
    return whole[0], whole[1]


def mean_of_effects(params: Draws, data: StanData, size: int) -> FloatArray:
    """mu + U gamma of areas, (J,), or of all on the map, (A,); mu alone where an area has no row."""
    by_area = np.asarray(data["U"]) @ params["gamma"]
    if size == data["J"] and "rho" not in params:
        return np.asarray(params["mu"] + by_area)
    whole = np.full(size, float(params["mu"]))
    whole[np.asarray(data["place"]) - 1] += by_area
    return whole
