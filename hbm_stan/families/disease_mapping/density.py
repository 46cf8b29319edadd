"""The model in NumPy: densities, and draws of areas, rows and priors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.families.disease_mapping.effects import (
    areas_of_rho,
    from_raw,
    log_of_raw,
    mean_of_effects,
)
from hbm_stan.families.group_predictors import draw_elements
from hbm_stan.families.totals import row_index
from hbm_stan.later import beta, expit, gammaln, log_expit, logit, xlogy
from hbm_stan.likelihoods.rising import log_rising
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import Prior, decode_scale, raw_support
from hbm_stan.table import FloatArray

_LARGEST_MEAN = 1e9  # Stan's poisson_rng takes expected counts up to 2^30


def log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    total = np.zeros(())
    if variant != "no_pooling":
        total = normal_logpdf(params["mu"], *data["prior_mu"])
        total += normal_logpdf(params["gamma"], data["prior_gamma_location"], data["prior_gamma_scale"]).sum()
    if "tau" in params:
        total += decode_scale("tau", data["prior_tau_family"], data["prior_tau"]).log_density(params["tau"])
    if "rho" in params:
        total += beta.logpdf(params["rho"], *data["prior_rho"]) + normal_logpdf(params["phi_raw"]).sum()
    if (raw := _raw(params)) is not None:
        total += log_of_raw(raw, *_given_all_else(params, data, len(raw)), params, data)
    if data["overdispersed"]:
        prior = decode_scale("overdispersion", data["prior_overdispersion_family"], data["prior_overdispersion"])
        total += prior.log_density(params["overdispersion"]).sum()
    one = {name: np.asarray(params[name])[None] for name in ("theta", "overdispersion")}
    return float(total + data["use_likelihood"] * pointwise(one, data).sum())


def _raw(params: Draws) -> FloatArray | None:
    return next((np.asarray(params[name]) for name in ("deviation_raw", "theta_raw") if name in params), None)


def _given_all_else(params: Draws, data: StanData, size: int) -> tuple[FloatArray, FloatArray]:
    """Mean and sd of the log risks of areas, (J,), with space of all on the map, (A,), but for their own effects."""
    if "mu" not in params:
        location, scale = data["prior_theta"]
        return np.full(size, location), np.full(size, scale)
    mean = mean_of_effects(params, data, size)
    if "rho" not in params:
        return mean, np.full(size, float(params["tau"]))
    structured, sd = areas_of_rho(params, data)
    return mean + structured, sd


def support(data: StanData) -> dict[str, tuple[float, float]]:
    """Ranges of the scales in units of their priors', and of the mixing parameter."""
    spread = raw_support(data["prior_overdispersion_family"])
    return {"tau_raw": raw_support(data["prior_tau_family"]), "rho": (0.0, 1.0), "overdispersion_raw": spread}


def transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """overdispersion, gamma, tau, the deviations of areas on the map and theta from what is declared."""
    derived = {"overdispersion": np.asarray(data["prior_overdispersion"][0] * params["overdispersion_raw"])}
    if "mu" in params:
        gamma = np.asarray(data["prior_gamma_location"]) + np.asarray(data["prior_gamma_scale"]) * params["gamma_raw"]
        derived["gamma"] = gamma
    if "tau_raw" in params:
        derived["tau"] = np.asarray(data["prior_tau"][0] * params["tau_raw"])
    known = {**params, **derived}
    if (raw := _raw(params)) is None:
        return derived | {"theta": mean_of_effects(known, data, int(data["J"]))}
    effects = from_raw(raw, *_given_all_else(known, data, len(raw)), known, data)
    if "rho" not in params:
        return derived | {"theta": effects}
    derived["deviation"] = effects - mean_of_effects(known, data, len(raw))
    return derived | {"theta": effects[np.asarray(data["place"]) - 1]}


def overdispersion_of(draws: Draws) -> FloatArray | None:
    """The sd of rates over their mean, beyond Poisson, (S, 1); None where counts have none."""
    own = draws.get("overdispersion")
    return None if own is None or not np.size(own) else np.asarray(own).reshape(-1, 1)


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | theta, overdispersion), (S, N)."""
    return log_count(draws["theta"][:, row_index(data)], data, slice(None), overdispersion_of(draws))


def size_of(data: StanData) -> FloatArray:
    """The expected number of each row or, of cases of tested, the number tested, (N,)."""
    return np.asarray(data["expected"] if data["counted"] else data["tested"], dtype=float)


def link(mean: FloatArray, data: StanData) -> FloatArray:
    """theta of the expected cases (..., N) of rows."""
    share = mean / size_of(data)
    return np.asarray(np.log(share) if data["counted"] else logit(share))


def log_count(theta: FloatArray, data: StanData, rows: Any, overdispersion: FloatArray | None = None) -> FloatArray:
    """log p(y_n | theta_n) of these rows, theta (..., n); ``overdispersion`` is of a shape that fits theta.

    The negative binomial is a Poisson count whose rate is a gamma draw with that sd over its mean (Cameron & Trivedi
    2013, section 3.3).
    """
    y, size = np.asarray(data["y"], dtype=float)[rows], size_of(data)[rows]
    if data["counted"]:
        with np.errstate(over="ignore"):
            mean = size * np.exp(theta)
            if overdispersion is None:
                return np.asarray(xlogy(y, size) + y * theta - mean - gammaln(y + 1))
            phi = overdispersion**-2.0
            return np.asarray(
                log_rising(phi, y) + xlogy(y, size) + y * theta - (y + phi) * np.log1p(mean / phi) - gammaln(y + 1)
            )
    choose = gammaln(size + 1) - gammaln(y + 1) - gammaln(size - y + 1)
    return np.asarray(choose + y * log_expit(theta) + (size - y) * log_expit(-theta))


def simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Cases in the design's rows given theta and overdispersion, (S, N)."""
    theta, spread = draws["theta"][:, row_index(design)], overdispersion_of(draws)
    if design["counted"]:
        mean = np.exp(np.minimum(np.log(design["expected"]) + theta, math.log(_LARGEST_MEAN)))
        if spread is not None:
            phi = np.broadcast_to(spread**-2.0, mean.shape)
            mean = np.minimum(mean * rng.gamma(phi, 1 / phi), _LARGEST_MEAN)
        return np.asarray(rng.poisson(mean), dtype=float)
    return np.asarray(rng.binomial(np.asarray(design["tested"]), expit(theta)), dtype=float)


def row_moments(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each row, (S, N) each."""
    theta, size, spread = draws["theta"][:, row_index(data)], size_of(data), overdispersion_of(draws)
    if data["counted"]:
        mean = size * np.exp(theta)
        return mean, mean if spread is None else mean + (spread * mean) ** 2
    return size * expit(theta), size * expit(theta) * expit(-theta)


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters from their priors: mu, tau and rho (size,), gamma (size, L), overdispersion (size, 0/1)."""
    draws = {name: priors[name].draw(rng, size) for name in ("mu", "tau", "rho") if name in priors}
    return draws | {name: draw_elements(rng, priors, name, size) for name in ("gamma", "overdispersion")}
