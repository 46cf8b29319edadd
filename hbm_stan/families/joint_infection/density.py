"""The model in NumPy: densities, and draws of villages, rows and priors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.group_predictors import draw_elements
from hbm_stan.families.joint_infection.streams import (
    draw_counts,
    log_counts,
    moments,
    numbers,
    of_kinds,
)
from hbm_stan.families.totals import row_index
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import Prior, decode_scale, raw_support
from hbm_stan.table import FloatArray

_POSITIVE = ("beta", "overdispersion")


def log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    if variant == "no_pooling":
        total = normal_logpdf(params["theta"], *data["prior_theta"]).sum()
    else:
        total = normal_logpdf(params["mu"], *data["prior_mu"])
        total += normal_logpdf(params["gamma"], *np.asarray(data["prior_gamma"])).sum()
    if "tau" in params:
        total += decode_scale("tau", data["prior_tau_family"], data["prior_tau"]).log_density(params["tau"])
        mean = params["mu"] + np.asarray(data["U"]) @ params["gamma"]
        total += normal_logpdf(params["theta"], mean, params["tau"]).sum()
        if not data["centered"]:  # the density of deviations in units of tau: the change of variables
            total += data["J"] * np.log(params["tau"])
    total += normal_logpdf(params["alpha"], *np.asarray(data["prior_alpha"])).sum()
    for name in _POSITIVE:
        codes, arguments = data[f"prior_{name}_family"], np.asarray(data[f"prior_{name}"]).T
        for value, code, given in zip(params[name], codes, arguments, strict=True):
            total += decode_scale(name, code, given).log_density(value)
    one = {name: np.asarray(params[name])[None] for name in ("theta", "alpha", *_POSITIVE)}
    return float(total + data["use_likelihood"] * pointwise(one, data).sum())


def support(data: StanData) -> dict[str, tuple[float, float]]:
    """Ranges of positive parameters in units of their priors' scales.

    Those of one name share a range: where one of them has a uniform prior, all stay below its end.
    """
    ends = {"tau_raw": raw_support(data["prior_tau_family"])}
    for name in _POSITIVE:
        ranges = [raw_support(code) for code in data[f"prior_{name}_family"]]
        if ranges:
            ends[f"{name}_raw"] = min(ranges, key=lambda ends: ends[1])
    return ends


def transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """Slopes, scales and levels from what is declared in units of priors, and theta."""
    derived: dict[str, FloatArray] = {}
    for name in ("gamma", "alpha"):
        if f"{name}_raw" in params:
            location, scale = np.asarray(data[f"prior_{name}"])
            derived[name] = location + scale * params[f"{name}_raw"]
    for name in _POSITIVE:
        derived[name] = np.asarray(data[f"prior_{name}"])[0] * params[f"{name}_raw"]
    if "mu" not in params:
        return derived
    mean = params["mu"] + np.asarray(data["U"]) @ derived["gamma"]
    if "tau_raw" not in params:
        return derived | {"theta": mean}
    derived["tau"] = np.asarray(data["prior_tau"][0] * params["tau_raw"])
    raw = np.asarray(params["theta_raw"])
    theta = data["prior_mu"][0] + raw if data["centered"] else mean + derived["tau"] * raw
    return derived | {"theta": np.asarray(theta)}


def eta_of(theta: FloatArray, draws: Draws, data: StanData) -> FloatArray:
    """The linear predictor of each row on the scale of its stream, (S, N), from theta of each row, (S, N)."""
    stream, centre = np.asarray(data["stream"]) - 1, float(data["prior_mu"][0])
    level, slope = levels_and_slopes(draws, centre)
    return np.asarray(level[:, stream] + slope[:, stream] * (theta - centre))


def levels_and_slopes(draws: Draws, centre: float) -> tuple[FloatArray, FloatArray]:
    """The level of each stream where the intensity is ``centre``, and its slope, (S, streams) each; of the first that
    is the intensity itself."""
    size = number_of(draws)
    level, slope = (np.asarray(draws.get(name, np.empty((size, 0)))).reshape(size, -1) for name in ("alpha", "beta"))
    return np.hstack([np.full((size, 1), centre), level]), np.hstack([np.ones((size, 1)), slope])


def number_of(draws: Draws) -> int:
    """How many draws there are."""
    return len(next(iter(draws.values())))


def overdispersion_of(draws: Draws) -> FloatArray:
    """The overdispersion of one person's eggs, (S, 1); ones, which nothing reads, where no stream counts eggs."""
    own = np.asarray(draws.get("overdispersion", np.empty((number_of(draws), 0))))
    return own.reshape(len(own), -1) if own.size else np.ones((len(own), 1))


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n | theta and how streams measure), (S, N)."""
    eta = eta_of(draws["theta"][:, row_index(data)], draws, data)
    return log_counts(eta, data, overdispersion_of(draws))


def simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Counts of the design's rows given theta and how streams measure, (S, N)."""
    eta = eta_of(draws["theta"][:, row_index(design)], draws, design)
    return draw_counts(rng, eta, design, overdispersion_of(draws))


def row_moments(draws: Draws, data: StanData) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of each row, (S, N) each."""
    return moments(eta_of(draws["theta"][:, row_index(data)], draws, data), data, overdispersion_of(draws))


def of_groups(y: FloatArray, data: StanData) -> FloatArray:
    """The mean over a village's streams of the log of its rate over that of all villages, (S, J).

    Half a count is added, so that none is no infinity. Rates of all villages are those of the data, not of ``y``.
    """
    level = np.zeros(y.shape)
    for _, rows in of_kinds(data):
        row = numbers(data, rows)
        size = np.maximum(row["examined"], row["trials"])
        usual = (row["y"].sum() + 0.5) / size.sum()
        level[:, rows] = np.log((y[:, rows] + 0.5) / (usual * size + 0.5))
    index = row_index(data)
    total = np.zeros((len(y), data["J"]))
    np.add.at(total.T, index, level.T)
    return total / np.bincount(index, minlength=data["J"])


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters from their priors: mu and tau (size,), and (size, n) each of gamma and those of streams."""
    draws = {name: priors[name].draw(rng, size) for name in ("mu", "tau")}
    return draws | {name: draw_elements(rng, priors, name, size) for name in ("gamma", "alpha", *_POSITIVE)}
