"""How often 90 % intervals of predicted rows hold the truth, over simulated tables.

``python tests/tools/coverage_rows.py`` prints the counts. Each table has ten groups of six rows with a slope that
varies. Two rows are predicted from it: of a known group, and one of a group never seen; for each the expected value,
which is known as the table is simulated, and an observation.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import binom

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.new_rows.predict import predict
from hbm_stan.reading import make_reading

GROUPS, ROWS, TRIALS, SIGMA = 10, 6, 8, 1.0
# The standard error of estimates, the share of extra zeros, and how concentrated shares are.
KNOWN, ZEROS, CONCENTRATION = 0.7, 0.2, 10.0
FIXED, SDS, RHO = np.array([0.4, 0.5]), np.array([0.6, 0.3]), 0.3


def _share(rng: np.random.Generator, eta: np.ndarray) -> np.ndarray:
    """Shares about the inverse logit of eta; a share that rounds to 0 or 1 is no share."""
    p = np.asarray(rng.beta(CONCENTRATION * expit(eta), CONCENTRATION * expit(-eta)))
    return np.clip(p, 1e-9, 1 - 1e-9)


# Likelihood -> the left side, the mean of a row of eta, and an outcome.
Outcome = Callable[[np.random.Generator, np.ndarray], np.ndarray]
KINDS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], Outcome]] = {
    "normal": ("y", lambda eta: eta, lambda rng, eta: rng.normal(eta, SIGMA)),
    "lognormal": ("y", lambda eta: np.exp(eta + SIGMA**2 / 2), lambda rng, eta: np.exp(rng.normal(eta, SIGMA))),
    "binomial": ("y | trials(n)", lambda eta: TRIALS * expit(eta), lambda rng, eta: rng.binomial(TRIALS, expit(eta))),
    "poisson": ("y", np.exp, lambda rng, eta: rng.poisson(np.exp(eta))),
    "estimates": ("y | se(s)", lambda eta: eta, lambda rng, eta: rng.normal(eta, KNOWN)),
    "student_t": ("y", lambda eta: eta, lambda rng, eta: eta + SIGMA * rng.standard_t(4, np.shape(eta))),
    "negative_binomial": (
        "y", np.exp, lambda rng, eta: rng.poisson(np.exp(eta) * rng.gamma(2, 1 / 2, np.shape(eta))),
    ),
    "zero_inflated_poisson": (
        "y", lambda eta: (1 - ZEROS) * np.exp(eta),
        lambda rng, eta: rng.poisson(np.exp(eta)) * (rng.uniform(size=np.shape(eta)) >= ZEROS),
    ),
    "zero_inflated_negative_binomial": (
        "y", lambda eta: (1 - ZEROS) * np.exp(eta),
        lambda rng, eta: rng.poisson(np.exp(eta) * rng.gamma(2, 1 / 2, np.shape(eta)))
        * (rng.uniform(size=np.shape(eta)) >= ZEROS),
    ),
    "beta_binomial_rows": (
        "y | trials(n)", lambda eta: TRIALS * expit(eta), lambda rng, eta: rng.binomial(TRIALS, _share(rng, eta)),
    ),
    "gamma": ("y", np.exp, lambda rng, eta: rng.gamma(6, np.exp(eta) / 6)),
    "beta": ("y", expit, _share),
}  # fmt: skip
CELLS = [f"{what}, {whose}" for whose in ("known group", "new group") for what in ("expected value", "observation")]


def one_table(name: str, seed: int) -> list[bool]:
    """Whether each of the four 90 % intervals holds what it is of, in the order of CELLS."""
    left, mean, draw = KINDS[name]
    rng = np.random.default_rng([seed, len(name)])
    cov = np.outer(SDS, SDS) * np.array([[1, RHO], [RHO, 1]])
    u = rng.multivariate_normal(FIXED, cov, GROUPS + 1)  # the last one is never seen
    group = np.repeat(np.arange(GROUPS), ROWS)
    data = pd.DataFrame({"g": [f"g{j}" for j in group], "x": rng.normal(size=len(group)), "n": TRIALS, "s": KNOWN})
    data["y"] = draw(rng, u[group, 0] + u[group, 1] * data["x"].to_numpy())
    rows = pd.DataFrame({"g": ["g0", "unseen"], "x": rng.normal(size=2), "n": TRIALS, "s": KNOWN})
    eta = u[[0, GROUPS], 0] + u[[0, GROUPS], 1] * rows["x"].to_numpy()
    dataset = Dataset.from_frame(data).read_as(make_reading(formula=f"{left} ~ x + (1 + x | g)"))
    sampling = Sampling(chains=2, warmup=400, draws=500, adapt_delta=0.95, seed=seed)
    table_fit = fit(name, dataset, sampling=sampling, engine=StanliEngine(), minutes=0)
    table = predict(table_fit, rows, groups={"g": ["unseen"]}, draws=False).table
    inside: list[bool] = []
    for i in range(2):
        for what, truth in (("expected", mean(eta)[i]), ("new", draw(rng, eta)[i])):
            inside.append(bool(table[f"{what}_q05"][i] <= truth <= table[f"{what}_q95"][i]))
    return inside


def main() -> None:
    """A line for each likelihood and kind: how many of the tables, and what chance alone allows for 90 %."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--likelihood", choices=KINDS, action="append")
    given: Any = parser.parse_args()
    low, high = binom.ppf([0.005, 0.995], given.tables, 0.9).astype(int)
    for name in given.likelihood or KINDS:
        held = np.array([one_table(name, seed) for seed in range(given.tables)]).sum(axis=0)
        for cell, count in zip(CELLS, held, strict=True):
            sign = "" if count >= low else " (too few)"
            print(f"{name}, {cell}: {count} of {given.tables}, chance allows {low} to {high}{sign}", flush=True)


if __name__ == "__main__":
    main()
