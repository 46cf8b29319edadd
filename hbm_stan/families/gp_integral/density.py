"""The model in NumPy: its log density at a point, ranges, and draws of priors, curves and rows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.gp_integral.curves import at_rows, curves, hyper, is_one_curve, moments
from hbm_stan.families.gp_integral.left_out import log_rows
from hbm_stan.families.gp_integral.new_curves import prior
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import Prior, raw_support
from hbm_stan.table import FloatArray

SCALES = ("level_sd", "slope_sd", "amplitude", "length_scale")


def log_joint(params: Draws, data: StanData, _variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale; each curve is integrated out."""
    total = 0.0
    for name in ("level", "slope", *SCALES):
        values = np.concatenate([np.ravel(params[n]) for n in (name, f"{name}_group") if n in params] or [np.zeros(0)])
        if name in SCALES:
            total += float(np.sum(prior(data, name).log_density(values)))
        else:
            total += float(normal_logpdf(values, *data[f"prior_{name}"]).sum())
    if not data["use_likelihood"]:
        return total
    one = {name: np.asarray(values)[None] for name, values in params.items()}
    return total + sum(float(log_rows(hyper(one, data, j), data, rows)[0]) for j, rows in curves(one, data))


def support(data: StanData) -> dict[str, tuple[float, float]]:
    """Ranges of the scales in units of their priors'."""
    return {f"{n}{own}_raw": raw_support(data[f"prior_{n}_family"]) for n in SCALES for own in ("", "_group")}


def transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """Scales from their raw values, and mean and sd of the integrals of the population."""
    derived = {
        f"{name}{own}": data[f"prior_{name}"][0] * np.asarray(params[f"{name}{own}_raw"])
        for name in SCALES for own in ("", "_group") if f"{name}{own}_raw" in params
    }  # fmt: skip
    if "level_sd" in derived:
        one = {name: np.asarray(values)[None] for name, values in {**params, **derived}.items()}
        mean, sd = moments(one, {**data, "J": 1})
        derived |= {"mu": mean[0, 0], "tau": sd[0, 0]}
    return derived


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters from their priors, (size,), those of slopes (size, T); mu and tau of the integrals."""
    drawn = {name: priors[name].draw(rng, size) for name in ("level", "level_sd", "amplitude", "length_scale")}
    drawn |= {
        n: priors[n].draw(rng, size)[:, None] if data["T"] else np.zeros((size, 0)) for n in ("slope", "slope_sd")
    }
    mean, sd = moments(drawn, {**data, "J": 1})
    return {**drawn, "mu": mean[:, 0], "tau": sd[:, 0]}


def latent(rng: np.random.Generator, draws: Draws, data: StanData, _variant: str) -> dict[str, FloatArray]:
    """The curves at their rows given their integrals, (S, N); with complete pooling mu, which is the integral."""
    shaped = {"slope": np.reshape(draws["slope"], (-1, int(data["T"])))} if "slope" in draws else {}
    mu = {"mu": np.asarray(draws["theta"])[:, 0]} if is_one_curve(draws) else {}
    return {"f": at_rows(rng, draws, data), **shaped, **mu}


def simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Estimates at the design's rows, (S, N): of the curves that the draws have there, else of new ones given theta."""
    f, shape = draws.get("f"), (len(draws["theta"]), int(design["N"]))
    if f is None or np.shape(f) != shape:
        f = at_rows(rng, draws, design)
    return np.asarray(rng.normal(f, np.asarray(design["se"])), dtype=float)
