"""Populations of events in NumPy: log densities, integrals over the population, values given it, replications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hbm_stan.families.event_population.nodes import (
    SPACING,
    chance_of,
    grid,
    log_x,
    nodes_of_event,
    of_estimates,
)
from hbm_stan.later import beta, betaln, expit, log_ndtr
from hbm_stan.model import Draws, StanData
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.portions import portions
from hbm_stan.priors import Prior, decode_scale, raw_support
from hbm_stan.table import FloatArray

_HELD = 2**22  # values at once


def shapes(draws: Draws) -> tuple[FloatArray, FloatArray]:
    """alpha and beta of the population, (S,) each."""
    mu, kappa = np.asarray(draws["mu"]), np.asarray(draws["kappa"])
    return mu * kappa, (1 - mu) * kappa


def sd_of(mu: FloatArray, kappa: FloatArray) -> FloatArray:
    """The sd of a beta distribution with this mean and concentration."""
    return np.sqrt(mu * (1 - mu) / (kappa + 1))


def log_density(draws: Draws, log_odds: FloatArray) -> FloatArray:
    """The log density of the population over log odds, (S, nodes): alpha log x + beta log (1 - x) - log B."""
    a, b = (shape[:, None] for shape in shapes(draws))
    return np.asarray(a * log_x(log_odds) + b * log_x(-log_odds) - betaln(a, b))


def log_integral(draws: Draws, log_odds: FloatArray, weight: FloatArray) -> FloatArray:
    """The log of the integral over the population of what has these weights at these nodes, (S,)."""
    with np.errstate(divide="ignore"):
        log_weight = np.log(weight)
    total = np.empty(len(np.asarray(draws["mu"])))
    for part in portions(len(total), len(log_odds), _HELD):
        terms = log_density({name: np.asarray(draws[name])[part] for name in ("mu", "kappa")}, log_odds) + log_weight
        top = terms.max(axis=1)
        total[part] = top + np.log(np.sum(np.exp(terms - top[:, None]), axis=1))
    return total


def log_seen(draws: Draws, data: StanData) -> FloatArray:
    """log A, (S,): the share of the population that is seen (Mandel, Farr & Gair 2019, eq. 6); 0 where all of it is."""
    if not data["G"]:
        return np.zeros(len(np.asarray(draws["mu"])))
    return log_integral(draws, np.asarray(data["node"])[: data["G"]], np.asarray(data["seen"]))


def group_log_lik(draws: Draws, data: StanData) -> FloatArray:
    """log p(event | population, seen), its value integrated out, (S, J); else given the value that all share."""
    if "kappa" not in draws:
        return np.asarray(normal_logpdf(np.asarray(data["y"]), draws["mu"][:, None], np.asarray(data["se"])))
    events = [nodes_of_event(data, j) for j in range(data["J"])]
    by_event = [log_integral(draws, log_odds, weight) for log_odds, _, weight in events]
    return np.stack(by_event, axis=1) - log_seen(draws, data)[:, None]


def finer_group_log_lik(draws: Draws, data: StanData) -> FloatArray | None:
    """The same with steps of half the size; samples are what they are, but not the integral over what is seen."""
    if "kappa" not in draws:
        return None
    chance = chance_of(data)
    if not data["sampled"]:
        finer = of_estimates(np.asarray(data["y"]), np.asarray(data["se"]), chance, SPACING / 2)
        return group_log_lik(draws, {**data, **finer})
    if chance is None:
        return None
    log_odds, share = grid(SPACING / 2)
    finer_seen = log_integral(draws, log_odds, chance(expit(log_odds)) * share)
    return group_log_lik(draws, data) + (log_seen(draws, data) - finer_seen)[:, None]


def prior_group_log_lik(data: StanData, variant: str) -> FloatArray | None:
    """log p(event) under the fixed prior of its value, (J,), without pooling; that is of events that are seen."""
    if variant != "no_pooling":
        return None
    a, b = data["prior_theta"]
    fixed = {"mu": np.array([a / (a + b)]), "kappa": np.array([a + b])}
    all_seen = of_estimates(np.asarray(data["y"]), np.asarray(data["se"]), None)
    return np.asarray(group_log_lik(fixed, {**data, **all_seen})[0])


def log_joint(params: Draws, data: StanData, variant: str) -> float:
    """Log prior plus log likelihood at one point, on the constrained scale."""
    use, y, se = data["use_likelihood"], np.asarray(data["y"]), np.asarray(data["se"])
    if variant == "no_pooling":
        total = beta.logpdf(params["theta"], *data["prior_theta"]).sum()
        return float(total + use * normal_logpdf(y, params["theta"], se).sum())
    total = beta.logpdf(params["mu"], *data["prior_mu"])
    one = {name: np.atleast_1d(params[name]) for name in ("mu", "kappa") if name in params}
    if "kappa" in params:
        total += decode_scale("kappa", data["prior_kappa_family"], data["prior_kappa"]).log_density(params["kappa"])
    return float(total + (group_log_lik(one, data).sum() if use else 0.0))


def pointwise(draws: Draws, data: StanData) -> FloatArray:
    """log p(estimate | theta), (S, J); of samples, whose likelihood is no function of theta, given the population."""
    if data["sampled"]:
        return group_log_lik(draws, data)
    return np.asarray(normal_logpdf(np.asarray(data["y"]), draws["theta"], np.asarray(data["se"])))


def simulate(rng: np.random.Generator, draws: Draws, design: StanData) -> FloatArray:
    """Estimates given theta, (S, J); of events with samples the mean of these: that of the normal cut to (0, 1)."""
    se = np.asarray(design["se"])
    y = np.asarray(rng.normal(draws["theta"], se), dtype=float)
    if not design["sampled"]:
        return y
    low, high = -y / se, (1 - y) / se
    # From the side on which both ends lie, differences of tails keep their digits.
    flip = low + high > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    log_mass = log_ndtr(high) + np.log1p(-np.exp(log_ndtr(low) - log_ndtr(high)))
    ends = np.exp(normal_logpdf(low) - log_mass) - np.exp(normal_logpdf(high) - log_mass)
    return np.asarray(y + se * np.where(flip, -ends, ends))


def prior_draws(
    rng: np.random.Generator, priors: Mapping[str, Prior], _data: StanData, size: int
) -> dict[str, FloatArray]:
    """The population from its priors."""
    mu, kappa = (priors[name].draw(rng, size) for name in ("mu", "kappa"))
    return {"mu": mu, "kappa": kappa, "alpha": mu * kappa, "beta": (1 - mu) * kappa, "tau": sd_of(mu, kappa)}


def new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """Values of events that are not in the table, (S, J): of those that are seen, where the design has a selection.

    Without pooling from the prior of theta, with complete pooling mu.
    """
    if variant == "no_pooling":
        a, b = design["prior_theta"]
        return rng.beta(a, b, size=(len(draws["theta"]), design["J"]))
    if "kappa" not in draws:
        return np.repeat(draws["mu"][:, None], design["J"], axis=1)
    a, b = shapes(draws)
    if not design["G"]:
        return np.asarray(rng.beta(a[:, None], b[:, None], size=(len(a), design["J"])))
    log_odds, cell = (np.asarray(design[name])[: design["G"]] for name in ("node", "cell"))
    return _values(rng, draws, log_odds, cell, np.asarray(design["seen"]), design["J"])


def draw_groups(rng: np.random.Generator, draws: Draws, data: StanData) -> FloatArray:
    """theta of the events of the table given the population, (S, J); from the population where no likelihood counts."""
    if not data["use_likelihood"]:
        a, b = (shape[:, None] for shape in shapes(draws))
        return np.asarray(rng.beta(a, b, size=(len(a), data["J"])))
    return np.concatenate([_values(rng, draws, *nodes_of_event(data, j), 1) for j in range(data["J"])], axis=1)


def _values(
    rng: np.random.Generator, draws: Draws, log_odds: FloatArray, cell: FloatArray, weight: FloatArray, size: int
) -> FloatArray:
    """``size`` values for each draw, (S, size): a node by population density times weight, anywhere in its cell."""
    with np.errstate(divide="ignore"):
        log_weight = np.log(weight)
    values = np.empty((len(np.asarray(draws["mu"])), size))
    for part in portions(len(values), len(log_odds), _HELD):
        terms = log_density({name: np.asarray(draws[name])[part] for name in ("mu", "kappa")}, log_odds) + log_weight
        sums = np.cumsum(np.exp(terms - terms.max(axis=1, keepdims=True)), axis=1)
        asked = rng.uniform(size=(len(sums), size)) * sums[:, -1:]
        place = np.stack([np.searchsorted(own, at, side="right") for own, at in zip(sums, asked, strict=True)])
        place = np.minimum(place, len(log_odds) - 1)
        values[part] = expit(log_odds[place] + cell[place] * rng.uniform(-0.5, 0.5, place.shape))
    return values


def exact_loo(data: StanData, variant: str) -> FloatArray | None:
    """Without pooling, an event is its only row: what is left when it is left out is the prior."""
    return prior_group_log_lik(data, variant)


def support(data: StanData) -> dict[str, tuple[float, float]]:
    """Ranges of what the programs declare."""
    return {"mu": (0.0, 1.0), "theta": (0.0, 1.0), "kappa_raw": raw_support(data["prior_kappa_family"])}


def transformed(params: Draws, data: StanData) -> dict[str, Any]:
    """kappa from kappa_raw, and what follows from both."""
    if "kappa_raw" not in params:
        return {}
    mu, kappa = params["mu"], data["prior_kappa"][0] * params["kappa_raw"]
    return {"kappa": kappa, "alpha": mu * kappa, "beta": (1 - mu) * kappa, "tau": sd_of(mu, kappa)}


def raw(data: StanData) -> tuple[FloatArray, FloatArray]:
    """The estimate of each event, or the mean of its samples, and its standard error or their sd."""
    return np.asarray(data["y"], dtype=float), np.asarray(data["se"], dtype=float)


def new_row(data: StanData, options: Mapping[str, Any]) -> tuple[StanData, str]:
    """An estimate of a new event of the population, seen or not, with the standard error asked or the median one."""
    se = float(options.get("standard_error", np.median(data["se"])))
    seen = {"G": 0, "seen": np.zeros(0)}
    design = {**data, **seen, "J": 1, "y": np.zeros(1), "se": np.array([se]), "sampled": 0}
    return design, f"estimate of a new {{group}} of the population, measured with standard error {se:.3g}"
