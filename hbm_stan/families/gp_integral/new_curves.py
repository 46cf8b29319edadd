"""Curves at points where nobody has measured: fitted ones, and ones never seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from hbm_stan.families.gp_integral.curves import (
    Hyper,
    curves,
    given_integral,
    hyper,
    is_one_curve,
    joint,
    moments,
    numbers,
)
from hbm_stan.families.gp_integral.normal import draw, given
from hbm_stan.model import Draws, StanData
from hbm_stan.portions import portions
from hbm_stan.priors import Prior, decode_scale
from hbm_stan.table import FloatArray


def known_curve(rng: Any, draws: Draws, data: StanData, fitted: StanData, j: int) -> FloatArray:
    """A fitted curve, the j-th from 0, at new points given its integral, its rows and hyperparameters, (S, n)."""
    h = hyper(draws, fitted, 0 if is_one_curve(draws) else j)
    _, rows = next(c for c in curves(draws, fitted) if is_one_curve(draws) or c[0] == j)
    x, y, se = numbers(fitted, rows)
    new, theta = np.asarray(data["x"], dtype=float), np.asarray(draws["theta"])[:, j]
    n, f = len(x), np.empty((len(theta), len(new)))
    seen, unseen = [*range(n), n + len(new)], slice(n, n + len(new))
    for part in portions(len(f), 4 * (n + len(new) + 1) ** 2):
        mean, cov = joint(h.some(part), np.concatenate([x, new]), fitted)
        known = cov[:, seen][:, :, seen]
        # The integral has no error; a trifle, for rows that leave it no freedom.
        trifle = 1e-10 * np.maximum(known[:, -1, -1], np.finfo(float).tiny)
        known[:, range(n + 1), range(n + 1)] += np.column_stack([np.tile(se**2, (len(trifle), 1)), trifle])
        residual = np.column_stack([np.tile(y, (len(trifle), 1)), theta[part]]) - mean[:, seen]
        moved, own = given(residual, known, cov[:, seen][:, :, unseen], cov[:, unseen, unseen])
        f[part] = draw(rng, mean[:, unseen] + moved, own)
    return f


def curve_at(rng: Any, draws: Draws, data: StanData, fitted: StanData, j: int, variant: str) -> FloatArray:
    """The curve of the rows of ``data``, (S, n): a fitted one, or one never seen (j = -1)."""
    if j >= 0:
        return known_curve(rng, draws, data, fitted, j)
    return new_curve(rng, draws, data, variant)


def new_curve(rng: Any, draws: Draws, data: StanData, variant: str) -> FloatArray:
    """A curve never seen at the rows of ``data``, given its integral theta[:, 0], (S, n).

    Without pooling nothing is known of it but the priors: all of it is drawn from these, and theta is not read.
    """
    rows = np.arange(int(data["N"]))
    if variant == "no_pooling":
        h = of_priors(rng, data, len(draws["theta"]))
        mean, cov = joint(h, np.asarray(data["x"], dtype=float), data)
        return draw(rng, mean[:, :-1], cov[:, :-1, :-1])
    return given_integral(rng, hyper(draws, data, 0), np.asarray(draws["theta"])[:, 0], data, rows)


def of_priors(rng: np.random.Generator, data: StanData, size: int) -> Hyper:
    """Hyperparameters of a curve from the priors of no pooling, (size,) each."""
    zero = np.zeros(size)
    slope = rng.normal(*data["prior_slope"], size=size) if data["T"] else zero
    return Hyper(
        level=rng.normal(*data["prior_level"], size=size), level_sd=zero, slope=slope, slope_sd=zero,
        amplitude=prior(data, "amplitude").draw(rng, size), length_scale=prior(data, "length_scale").draw(rng, size),
    )  # fmt: skip


def prior(data: StanData, name: str) -> Prior:
    """The prior of a scale in Stan data."""
    return decode_scale(name, data[f"prior_{name}_family"], data[f"prior_{name}"])


def new_group(rng: Any, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """theta of curves, (S, J): from the population, the one curve's with complete pooling, else from the priors.

    Hyperparameters of the design's own groups, where draws hold no curves yet, are theirs: truths that are simulated.
    """
    size, groups = len(hyper(draws, design, 0).level), int(design["J"])
    if variant == "no_pooling" and ("f" in draws or draws["level_group"].shape[1] != groups):
        h = of_priors(rng, design, size * groups)
        mean, cov = joint(h, np.empty(0), design)
        return draw(rng, mean, cov).reshape(size, groups)
    if variant == "complete_pooling" and "mu" in draws:
        return np.repeat(np.asarray(draws["mu"])[:, None], groups, axis=1)
    mean, sd = moments(draws, design)
    if variant == "complete_pooling":
        return np.repeat(np.asarray(rng.normal(mean[:, :1], sd[:, :1])), groups, axis=1)
    return np.asarray(rng.normal(mean, sd))
