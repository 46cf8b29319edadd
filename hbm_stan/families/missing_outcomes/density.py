"""The model in NumPy: densities, and draws of rows, of those that go unseen, and of priors.

The outcome is normal, and the probit of being unseen linear in it. Then a + d (y - c) + e, e standard normal, is normal
too, with which what nobody saw is integrated out (Heckman 1979, Econometrica 47:153), and of two normal numbers of
which one is known to be negative the other is drawn (Azzalini 1985, Scandinavian Journal of Statistics 12:171).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from hbm_stan.families.totals import row_index
from hbm_stan.later import log_ndtr, ndtr, ndtri
from hbm_stan.missingness import Unseen, refuse_unseen_groups
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, decode_scale, raw_support
from hbm_stan.table import FloatArray

_LEAST = 1e-300  # a probability that is rounding error


def slope_of(data: StanData, x: FloatArray) -> FloatArray:
    """The probits that a unit of the outcome adds in each row of x (n, K), (n,): 0 without selection."""
    return np.asarray(data["selection"] * data["delta"] * (x @ np.asarray(data["reach"], dtype=float)))


def fitted(value: FloatArray, draws: Draws, x: FloatArray) -> FloatArray:
    """The mean of rows, seen or not, from the value of the group of each (S, n)."""
    return np.asarray(value + draws["beta"] @ x[:, 1:].T)


def probit_unseen(draws: Draws, data: StanData, x: FloatArray, mean: FloatArray) -> FloatArray:
    """The probit of being unseen with the outcome normal about its mean and integrated out, (S, n)."""
    d = slope_of(data, x)
    latent = draws["eta"] @ x.T + d * (mean - data["y_centre"])
    return np.asarray(latent / np.sqrt(1 + (d * draws["sigma"][:, None]) ** 2))


def log_being_seen(draws: Draws, data: StanData) -> FloatArray:
    """log probability that rows are seen given the outcomes that they have, (S, N)."""
    x = np.asarray(data["X"])
    latent = draws["eta"] @ x.T + slope_of(data, x) * (np.asarray(data["y"]) - data["y_centre"])
    return np.asarray(log_ndtr(-latent))


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(y_n, row n is seen | theta and the rest), (S, N)."""
    mean = fitted(draws["theta"][:, row_index(data)], draws, np.asarray(data["X"]))
    return np.asarray(normal_logpdf(np.asarray(data["y"]), mean, draws["sigma"][:, None])) + log_being_seen(draws, data)


def log_unseen(draws: Draws, data: StanData) -> FloatArray:
    """log probability that rows without an outcome are unseen, given theta, (S, M)."""
    x = np.asarray(data["X_unseen"]).reshape(-1, data["K"])
    group = np.asarray(data["group_idx_unseen"], dtype=np.int64) - 1
    return np.asarray(log_ndtr(probit_unseen(draws, data, x, fitted(draws["theta"][:, group], draws, x))))


def beside_rows(draws: Draws, data: StanData) -> FloatArray:
    """log probability that those of a group's rows are unseen that are, given theta, (S, J)."""
    rows, total = log_unseen(draws, data), np.zeros((len(draws["sigma"]), data["J"]))
    np.add.at(total.T, np.asarray(data["group_idx_unseen"], dtype=np.int64) - 1, rows.T)
    return total


def log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale; of theta_raw by the density of theta."""
    total = float(normal_logpdf(params["beta"], *np.asarray(data["prior_beta"]).T).sum())
    total += float(normal_logpdf(params["eta"], *np.asarray(data["prior_eta"]).T).sum())
    scales = ("sigma", "tau") if variant == "partial_pooling" else ("sigma",)
    total += sum(float(_scale(name, data).log_density(params[name])) for name in scales)
    if variant != "no_pooling":
        total += float(normal_logpdf(params["mu"], *data["prior_mu"]))
    if variant != "complete_pooling":
        location, sd = (params["mu"], params["tau"]) if variant == "partial_pooling" else data["prior_theta"]
        total += float(normal_logpdf(params["theta"], location, sd).sum())
        total += float(np.log(sd * np.sqrt(1 - _weight(sd, params["sigma"], data))).sum())  # d theta / d theta_raw
    one = {name: np.asarray(value, dtype=float)[None] for name, value in params.items()}
    rows = float(pointwise(one, data).sum() + log_unseen(one, data).sum()) if data["use_likelihood"] else 0.0
    return total + rows


def _scale(name: str, data: StanData) -> Prior:
    return decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"])


def _weight(sd: Any, sigma: Any, data: StanData) -> FloatArray:
    """What the rows of each group weigh beside a normal population, (J,)."""
    n = np.bincount(row_index(data), minlength=data["J"])
    return np.asarray(data["use_likelihood"] * n * sd**2 / (n * sd**2 + sigma**2))


def transformed(params: Draws, data: StanData) -> dict[str, FloatArray]:
    """mu, tau, beta, sigma, eta and theta from what the programs declare."""
    x, group = np.asarray(data["X"], dtype=float), row_index(data)
    means, derived = x[:, 1:].mean(axis=0), {}
    location, scale = np.asarray(data["prior_beta"]).T
    beta = derived["beta"] = location + scale * params["beta_raw"]
    for name in ("sigma", "tau"):
        if f"{name}_raw" in params:
            derived[name] = np.asarray(data[f"prior_{name}"][0] * params[f"{name}_raw"])
    location, scale = np.asarray(data["prior_eta"]).T
    eta = derived["eta"] = location + scale * params["eta_raw"]
    eta[0] -= means @ eta[1:]
    if "mu_raw" in params:
        centre, sd = data["prior_mu"]
        derived["mu"] = np.asarray(centre + sd * params["mu_raw"] - means @ beta)
    if "theta_raw" not in params:
        return derived | {"theta": np.repeat(derived["mu"], data["J"])}
    where, spread = (derived["mu"], derived["tau"]) if "mu" in derived else data["prior_theta"]
    residual = np.asarray(data["y"]) - x[:, 1:] @ beta - where
    mean = np.bincount(group, weights=residual, minlength=data["J"]) / np.bincount(group, minlength=data["J"])
    weight = _weight(spread, derived["sigma"], data)
    theta = where + weight * mean + spread * np.sqrt(1 - weight) * params["theta_raw"]
    return derived | {"theta": np.asarray(theta)}


def support(data: StanData) -> dict[str, tuple[float, float]]:
    """Ranges of the scales in units of their priors'."""
    return {f"{name}_raw": raw_support(data[f"prior_{name}_family"]) for name in ("tau", "sigma")}


def simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Outcomes of the design's rows given theta, (S, N): of rows that are seen or, where it says so, of any rows.

    Of any rows of a pattern mixture, those that nobody would see are shifted.
    """
    x, sigma = np.asarray(design["X"], dtype=float), np.asarray(draws["sigma"])[:, None]
    mean = fitted(draws["theta"][:, row_index(design)], draws, x)
    noise = rng.normal(size=mean.shape)
    if design["given_seen"]:
        d, limit = slope_of(design, x) * sigma, -probit_unseen(draws, design, x, mean)
        below = ndtri(rng.uniform(size=mean.shape) * np.maximum(ndtr(limit), _LEAST))
        return np.asarray(mean + sigma / np.sqrt(1 + d**2) * (d * below + noise))
    if design["selection"]:
        return np.asarray(mean + sigma * noise)
    unseen = rng.uniform(size=mean.shape) < ndtr(draws["eta"] @ x.T)
    return np.asarray(mean + sigma * noise + unseen * design["delta"] * (x @ np.asarray(design["reach"])))


def mean_of_rows(draws: Draws, data: StanData) -> FloatArray:
    """The expected outcome of rows that are seen or, where the data say so, of any rows, (S, N)."""
    x = np.asarray(data["X"], dtype=float)
    mean = fitted(draws["theta"][:, row_index(data)], draws, x)
    if data["given_seen"]:
        return mean + shift(draws, data, x, mean)[0]
    if data["selection"]:
        return mean
    return np.asarray(mean + ndtr(draws["eta"] @ x.T) * data["delta"] * (x @ np.asarray(data["reach"])))


def shift(draws: Draws, data: StanData, x: FloatArray, mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How far selection moves the mean of rows that are seen, and of those that are not, (S, n) each.

    Of y with a standardised latent of which the sign is known: the correlation times a ratio of Mills (Heckman 1979).
    """
    sigma = np.asarray(draws["sigma"])[:, None]
    d, h = slope_of(data, x) * sigma, probit_unseen(draws, data, x, mean)
    covariance = sigma * d / np.sqrt(1 + d**2)
    log_phi = normal_logpdf(h)
    return -covariance * np.exp(log_phi - log_ndtr(-h)), covariance * np.exp(log_phi - log_ndtr(h))


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    """Population parameters from their priors: mu, tau and sigma (size,), beta (size, K - 1), eta (size, K)."""
    draws = {name: priors[name].draw(rng, size) for name in ("mu", "tau", "sigma") if name in priors}
    for name in ("beta", "eta"):
        own = [prior.draw(rng, size) for label, prior in priors.items() if label.partition("[")[0] == name]
        draws[name] = np.stack(own, axis=1) if own else np.zeros((size, 0))
    return draws


def drawn_table(rng: np.random.Generator, truth: Draws, table: Prepared, data: StanData) -> Prepared:
    """The table with outcomes of all rows, seen or not, drawn anew, and with those unseen that then are.

    ``truth`` has one draw. Raises DataError where no outcome of a group is seen.
    """
    x = np.vstack([data["X"], np.asarray(data["X_unseen"]).reshape(-1, data["K"])])
    beside = table.unseen or Unseen(np.zeros(0, dtype=np.int64), {"predictors": x[:0, 1:]})
    level = np.concatenate([table.pooled.level, beside.level])
    y = rng.normal(fitted(truth["theta"][:, level], truth, x)[0], truth["sigma"][0])
    latent = truth["eta"][0] @ x.T + slope_of(data, x) * (y - data["y_centre"])
    unseen = rng.normal(size=len(y)) < latent
    refuse_unseen_groups("simulated rows", "outcome", table.pooled.labels, level, unseen)
    predictors = table.predictors["predictors"]
    return replace(
        table, pooled=replace(table.pooled, level=level[~unseen]), values={"outcome": y[~unseen]}, rows=None,
        predictors={"predictors": replace(predictors, values=x[~unseen, 1:])},
        unseen=Unseen(level[unseen], {"predictors": x[unseen, 1:]}),
    )  # fmt: skip
