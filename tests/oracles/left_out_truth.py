"""What is left out, predicted exactly: ratios of evidences by quadrature; and the small tables of the tests of repairs.

Nothing here knows how hbm_stan scores.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import quadrature
from grouped_quadrature import LogDensity, restricted, rows_of
from scipy import stats
from scipy.special import logsumexp

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.fit import Fit

SEED = 20261121
# Normal means, the last group far from the others: leaving it out moves the posterior of tau.
LABELS = tuple("ABCDEFGH")
Y = np.array([1.0, -0.5, 0.3, 0.8, -1.1, 0.1, -0.4, 7.0])
SE = np.ones(8)
TAU, MU = ("half_normal", (5.0,)), (0.0, 5.0)
NODES = 400
MEANS = {"mu": "normal(0, 5)", "tau": "half_normal(5)", "theta": "normal(0, 20)"}
# Grouped normal data.
LOCATION = (0.0, 10.0)
GROUPED = {
    "mu": "normal(0, 10)", "tau": "half_normal(5)", "sigma": "half_normal(5)", "theta": "normal(0, 10)",
    "sigma_group": "half_normal(5)",
}  # fmt: skip


def means_dataset(y: np.ndarray = Y, labels: tuple[str, ...] = LABELS) -> Dataset:
    frame = pd.DataFrame({"school": labels, "effect": y, "se": SE[: len(y)]})
    return Dataset.from_frame(frame, group="school", estimate="effect", standard_error="se")


@cache
def surprised(variant: str = "partial_pooling", draws: int = 1000) -> Fit:
    """A fit to normal means with one group that surprises the model."""
    sampling = Sampling(draws=draws, adapt_delta=0.95, seed=SEED)
    return fit("normal_means", means_dataset(), variant, priors=MEANS, sampling=sampling, engine="stanli")


@cache
def means_truth(y: tuple[float, ...] = tuple(Y)) -> np.ndarray:
    """log p(y_j | the other y) of partial pooling."""
    all_y, se = np.array(y), SE[: len(y)]
    whole = quadrature.exact(*TAU, MU, all_y, se, NODES).log_evidence
    rest = [
        quadrature.exact(*TAU, MU, np.delete(all_y, j), np.delete(se, j), NODES).log_evidence for j in range(len(y))
    ]
    return whole - np.array(rest)


def grouped_evidence(y: np.ndarray, group: np.ndarray, log_prior: LogDensity, *, pooled: bool = False) -> float:
    """log p(y) of grouped normal data, but for the constant of the grid; ``pooled``: tau is zero."""
    log_sigma, log_tau = np.linspace(-5, 4, 400), np.linspace(-9, 4, 500)
    if pooled:
        sigma = np.exp(log_sigma)
        log_p, *_ = restricted(rows_of(y, group), np.zeros(len(sigma)), sigma, LOCATION)
        return float(logsumexp(log_p + log_prior(sigma) + log_sigma))
    tau, sigma = (a.ravel() for a in np.meshgrid(np.exp(log_tau), np.exp(log_sigma), indexing="ij"))
    log_p, *_ = restricted(rows_of(y, group), tau, sigma, LOCATION)
    return float(logsumexp(log_p + log_prior(tau) + log_prior(sigma) + np.log(tau * sigma)))


def grouped_truth(y: np.ndarray, group: np.ndarray, units: list[np.ndarray], *, pooled: bool = False) -> np.ndarray:
    """log p(rows of a unit | all others) for units given as rows, under the priors of GROUPED."""
    log_prior = stats.halfnorm(scale=5).logpdf
    whole = grouped_evidence(y, group, log_prior, pooled=pooled)
    rest = [grouped_evidence(np.delete(y, u), np.delete(group, u), log_prior, pooled=pooled) for u in units]
    return whole - np.array(rest)


def grouped_table(outlier: float = 9.0) -> pd.DataFrame:
    """Five groups of four rows, one row far from the others of its group."""
    rng = np.random.default_rng(SEED)
    group = np.repeat(np.arange(5), 4)
    y = 2 * rng.normal(size=5)[group] + rng.normal(size=20)
    y[9] += outlier
    return pd.DataFrame({"g": [f"g{j}" for j in group], "y": y})


def grouped_dataset(frame: pd.DataFrame) -> Dataset:
    return Dataset.from_frame(frame, group="g", outcome="y")


@cache
def grouped(variant: str = "partial_pooling", draws: int = 1000, outlier: float = 9.0) -> Fit:
    """A fit to grouped normal data with one row that surprises the model."""
    sampling = Sampling(draws=draws, adapt_delta=0.95, seed=SEED)
    dataset = grouped_dataset(grouped_table(outlier))
    return fit("grouped_normal", dataset, variant, priors=GROUPED, sampling=sampling, engine="stanli")
