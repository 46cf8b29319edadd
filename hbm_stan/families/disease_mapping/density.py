"""The model in NumPy: densities, and draws of areas, rows and priors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.families.disease_mapping.graph import IntArray
from hbm_stan.families.group_predictors import draw_elements
from hbm_stan.families.totals import row_index
from hbm_stan.later import beta, expit, gammaln, log_expit, logit, norm, xlogy
from hbm_stan.model import Draws, StanData
from hbm_stan.priors import Prior, decode_scale, raw_support
from hbm_stan.table import FloatArray

_LARGEST_MEAN = 1e9  # Stan's poisson_rng takes expected counts up to 2^30


def log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    if variant == "no_pooling":
        total = norm.logpdf(params["theta"], *data["prior_theta"]).sum()
    else:
        total = norm.logpdf(params["mu"], *data["prior_mu"])
        total += norm.logpdf(params["gamma"], data["prior_gamma_location"], data["prior_gamma_scale"]).sum()
    if "tau" in params:
        total += decode_scale("tau", data["prior_tau_family"], data["prior_tau"]).log_density(params["tau"])
    if "rho" in params:
        total += beta.logpdf(params["rho"], *data["prior_rho"])
        total += sum(norm.logpdf(params[name]).sum() for name in ("phi_raw", "deviation_raw"))
    if "theta_raw" in params:
        total += norm.logpdf(params["theta_raw"]).sum()
    theta = np.asarray(params["theta"])[None]
    return float(total + data["use_likelihood"] * pointwise({"theta": theta}, data).sum())


def support(data: StanData) -> dict[str, tuple[float, float]]:
    """Ranges of the scale in units of its prior's, and of the mixing parameter."""
    return {"tau_raw": raw_support(data["prior_tau_family"]), "rho": (0.0, 1.0)}


def transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """gamma, tau, the deviations of areas on the map and theta from what is declared.

    Of an area in a piece with scaling factor s: Riebler et al. (2016), eq. 7, with phi / sqrt(s) for their scaled
    effects; an area without neighbours has no structured effect and keeps the sd tau (Freni-Sterrantino et al. 2018).
    """
    if "gamma_raw" not in params:
        return {}
    gamma = np.asarray(data["prior_gamma_location"]) + np.asarray(data["prior_gamma_scale"]) * params["gamma_raw"]
    derived, theta = {"gamma": gamma}, params["mu"] + np.asarray(data["U"]) @ gamma
    if "tau_raw" in params:
        tau = derived["tau"] = np.asarray(data["prior_tau"][0] * params["tau_raw"])
        theta = theta + tau * params["theta_raw"] if "theta_raw" in params else theta
    if "rho" in params:
        rho, noise = params["rho"], np.array(params["deviation_raw"])
        structured = np.asarray(data["basis"]) @ params["phi_raw"] / np.sqrt(data["scaling"])
        both = math.sqrt(rho) * structured + math.sqrt(1 - rho) * noise
        derived["deviation"] = tau * np.where(np.asarray(data["island"]) == 1, noise, both)
        theta = theta + derived["deviation"][np.asarray(data["place"]) - 1]
    return derived | {"theta": theta}


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | theta), (S, N)."""
    return log_count(draws["theta"][:, row_index(data)], data, slice(None))


def row_of_areas(data: StanData) -> IntArray:
    """The only row of each area, (J,)."""
    return np.argsort(np.asarray(data["group_idx"]))


def size_of(data: StanData) -> FloatArray:
    """The expected number of each row or, of cases of tested, the number tested, (N,)."""
    return np.asarray(data["expected"] if data["counted"] else data["tested"], dtype=float)


def link(mean: FloatArray, data: StanData) -> FloatArray:
    """theta of the expected cases (..., N) of rows."""
    share = mean / size_of(data)
    return np.asarray(np.log(share) if data["counted"] else logit(share))


def log_count(theta: FloatArray, data: StanData, rows: Any) -> FloatArray:
    """log p(y_n | theta_n) of these rows, theta (..., n)."""
    y, size = np.asarray(data["y"], dtype=float)[rows], size_of(data)[rows]
    if data["counted"]:
        with np.errstate(over="ignore"):
            return np.asarray(xlogy(y, size) + y * theta - size * np.exp(theta) - gammaln(y + 1))
    choose = gammaln(size + 1) - gammaln(y + 1) - gammaln(size - y + 1)
    return np.asarray(choose + y * log_expit(theta) + (size - y) * log_expit(-theta))


def simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Cases in the design's rows given theta, (S, N)."""
    theta = draws["theta"][:, row_index(design)]
    if design["counted"]:
        mean = np.exp(np.minimum(np.log(design["expected"]) + theta, math.log(_LARGEST_MEAN)))
        return np.asarray(rng.poisson(mean), dtype=float)
    return np.asarray(rng.binomial(np.asarray(design["tested"]), expit(theta)), dtype=float)


def row_moments(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each row, (S, N) each."""
    theta, size = draws["theta"][:, row_index(data)], size_of(data)
    if data["counted"]:
        mean = size * np.exp(theta)
        return mean, mean
    return size * expit(theta), size * expit(theta) * expit(-theta)


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters from their priors: mu, tau and rho (size,), gamma (size, L)."""
    draws = {name: priors[name].draw(rng, size) for name in ("mu", "tau", "rho") if name in priors}
    return {**draws, "gamma": draw_elements(rng, priors, "gamma", size)}
