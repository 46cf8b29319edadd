"""Counts whose rows no Poisson distribution makes, and one that it does: tables for the predictive check of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hbm_stan.data import Dataset


def eight_groups(rows: int, **columns: object) -> pd.DataFrame:
    """A table of eight groups, a to h, of so many rows each."""
    return pd.DataFrame({"g": np.repeat(list("abcdefgh"), rows), **columns})


# Fish caught by visitors of eight camps: 200 counts, 70 % of them 0, variance ten times the mean. Made in the likeness
# of the data of the zero-inflated models in brms issue 102 and pscl issue 5.
_FISH = {
    "camp1": "0 4 0 0 0 0 0 12 2 7 0 5 0 0 0 3 0 3 0 11 1 1 0 0 1",
    "camp2": "3 0 27 0 0 0 2 0 2 7 1 0 3 0 0 0 5 0 0 0 0 0 0 0 0",
    "camp3": "1 0 0 7 0 2 0 0 0 0 4 1 0 0 1 2 0 0 0 1 0 5 0 0 0",
    "camp4": "0 13 0 1 0 0 0 1 0 0 0 0 3 2 1 0 1 0 0 0 0 0 1 0 0",
    "camp5": "0 0 1 0 30 0 0 0 0 0 0 0 0 1 0 0 6 0 15 0 7 0 7 0 6",
    "camp6": "0 0 0 0 0 0 0 0 3 0 0 0 0 0 0 5 0 6 0 0 0 2 0 3 0",
    "camp7": "0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 3 1 1 0 1 0 0 0",
    "camp8": "0 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 0 0 1 1",
}
# Deaths and exposure in months by age, three cohorts each: brms issue 689. Within ages chi2 is 77 on 14 df.
_COLOMBIA = {
    "0-1": "168 278.4 197 403.2 195 495.3",
    "1-3": "48 538.8 48 786 55 956.7",
    "3-6": "63 794.4 62 1165.3 58 1381.4",
    "6-12": "89 1550.8 81 2294.8 85 2604.5",
    "12-24": "102 3006 97 4500.5 87 4618.5",
    "24-60": "81 8743.5 103 13201.5 70 9814.5",
    "60-120": "40 14270 39 19525 10 5802.5",
}


def fish() -> Dataset:
    """Over-dispersed counts in eight groups."""
    frame = pd.DataFrame([(camp, int(y)) for camp, text in _FISH.items() for y in text.split()], columns=["camp", "y"])
    return Dataset.from_frame(frame, group="camp", count="y")


def colombia() -> Dataset:
    """Over-dispersed counts with exposure in seven groups of three rows."""
    rows = [(age, *map(float, text.split()[i : i + 2])) for age, text in _COLOMBIA.items() for i in (0, 2, 4)]
    frame = pd.DataFrame(rows, columns=["age", "deaths", "exposure"])
    return Dataset.from_frame(frame, group="age", count="deaths", exposure="exposure")


def many_zeros() -> Dataset:
    """300 counts in ten groups: 156 zeros where the Poisson expects 10, and a Pearson dispersion of 5.5."""
    rng = np.random.default_rng(20261128)
    group = np.repeat(np.arange(10), 30)
    y = np.maximum(rng.poisson(rng.gamma(9, rng.uniform(7, 9, 10)[group] / 9)), 1)
    y[rng.permutation(300)[:156]] = 0
    frame = pd.DataFrame({"site": [f"site {j}" for j in group], "y": y})
    return Dataset.from_frame(frame, group="site", count="y")


def poisson(*, rows: int = 20, seed: int = 20261128) -> Dataset:
    """Counts with exposure that are Poisson, rows in no order."""
    rng = np.random.default_rng(seed)
    group = rng.permutation(np.repeat(np.arange(8), rows))
    exposure = rng.uniform(0.5, 3, group.size)
    y = rng.poisson(np.exp(rng.normal(0.5, 0.5, 8))[group] * exposure)
    frame = pd.DataFrame({"g": [f"g{j}" for j in group], "y": y, "e": exposure})
    return Dataset.from_frame(frame, group="g", count="y", exposure="e")


def spread_trials(*, times: float = 4.0, seed: int = 20261128) -> Dataset:
    """Successes of 20 trials in 8 groups of 15 rows whose variance is so many times the binomial one."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(8), 15)
    p = rng.uniform(0.3, 0.7, 8)[group]
    if times > 1:
        size = 19 / (times - 1) - 1
        p = rng.beta(p * size, (1 - p) * size)
    frame = pd.DataFrame({"g": [f"g{j}" for j in group], "s": rng.binomial(20, p), "n": 20})
    return Dataset.from_frame(frame, group="g", successes="s", trials="n")


def answers(rng: np.random.Generator, scales: tuple[float, float] = (1.0, 1.0)) -> pd.DataFrame:
    """Ratings from 1 to 5 by 12 raters of 10 to 30 rows, in no order; the latent sd of every other rater is another."""
    rater = rng.permutation(np.repeat(np.arange(12), rng.integers(10, 30, 12, endpoint=True)))
    latent = rng.normal(0, 0.7, 12)[rater] + np.array(scales)[rater % 2] * rng.logistic(size=rater.size)
    return pd.DataFrame({"rater": [f"r{j:02d}" for j in rater], "y": 1 + np.searchsorted([-2, -0.7, 0.7, 2], latent)})
