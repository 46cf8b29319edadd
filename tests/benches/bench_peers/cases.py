"""What is fitted: a table, one of six structures and its priors, the same on all sides.

Of a structure the population's quantities and the groups' effects have one name and shape on all sides:

* ``normal_means``: y ~ normal(theta[g], s), theta ~ normal(mu, tau); mu, tau and theta.
* ``slopes``, ``slopes_logistic``: y ~ theta[g, 1] + theta[g, 2] x, theta ~ normal with means beta, sds tau and a
  correlation rho ~ LKJ(2); beta, tau, rho, of normal outcomes sigma, and theta.
* ``beta_binomial``: y ~ binomial(n, theta[g]), theta ~ beta(mu kappa, (1 - mu) kappa); mu, kappa and theta.
* ``planck``: y ~ normal(nu^3 / (exp(nu / T[g]) - 1), sigma), T ~ gamma(alpha, beta); alpha, beta, sigma and T.
* ``crossed``: y ~ normal(theta[g] + effect[h], sigma), theta ~ normal(beta, tau), effect ~ normal(0, sd).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from bench_many_groups import table as city_rows
from bench_terms import crossed

from bench_peers.tables import counts, normal_means

DATA = Path(__file__).parents[3] / "data"
CHAINS, WARMUP = 4, 1000
# Quantities above zero, whose logarithms are held against one another: their tails are long.
POSITIVE = {"tau", "sd", "sigma", "kappa", "alpha", "rate"}


@dataclass(frozen=True)
class Case:
    """A table with columns y, g and what its structure asks for; ``priors`` are the numbers of its priors."""

    name: str
    structure: str
    read: Callable[[], pd.DataFrame]
    priors: Mapping[str, tuple[float, ...]]
    # How peers and the textbook write the effects, if there is a choice: the better one, as nutpie has it.
    form: str = ""
    note: str = ""
    draws: int = 1000  # of a chain

    @property
    def normal(self) -> bool:
        """Whether the outcome is normal with a residual sd of its own."""
        return self.structure in {"slopes", "crossed"}


def shipped(name: str, **columns: str) -> Callable[[], pd.DataFrame]:
    """A reader of a table of ``data/``, its columns under the names that the structures use."""
    return lambda: pd.read_csv(DATA / name / "data.csv")[[*columns.values()]].set_axis([*columns], axis=1)


def cities(groups: int) -> pd.DataFrame:
    """Purchases of simulated cities, 20 rows a city on average."""
    return pd.DataFrame(city_rows(groups)).rename(columns={"city": "g"})


def levels(column: pd.Series) -> tuple[np.ndarray, int]:
    """The level of each row, counted from 0 in the order of the table, and how many levels there are."""
    index, labels = pd.factorize(column)
    return index, len(labels)


MEANS = {"mu": (0, 5), "tau": (5,)}
COUNTS = {"mu": (1, 1), "kappa": (3.4, 2.0)}
LOGISTIC = {"beta": (0, 2.5), "scale": (1,), "rho": (2,)}
CROSSED = {"beta": (0, 5), "scale": (2,)}
CASES = {case.name: case for case in (
    Case("eight schools", "normal_means", shipped("eight_schools", g="school", y="effect", s="se"), MEANS,
         "non-centered"),
    Case("normal means, 50 groups", "normal_means", lambda: normal_means(50), MEANS, "non-centered"),
    Case("beta-binomial, 71 rat tumour groups", "beta_binomial",
         shipped("rat_tumour", g="experiment", y="tumours", n="rats"), COUNTS),
    Case("logistic, 10 cities", "slopes_logistic",
         shipped("city_prices", g="city", x="price_centered", y="bought"), LOGISTIC, "non-centered"),
    Case("radon, correlated slopes", "slopes", shipped("radon", g="county", x="floor", y="log_radon"),
         {"beta": (0, 5), "scale": (1,), "rho": (2,)}, "non-centered"),
    Case("Penicillin, 24 x 6", "crossed", shipped("penicillin", g="plate", h="sample", y="diameter_mm"),
         {"beta": (23, 5), "scale": (2,)}, "non-centered"),
    Case("Planck, 20 spectra", "planck", shipped("planck", g="spectrum", nu="frequency", y="flux"),
         {"alpha": (1,), "rate": (1,), "sigma": (1,)}, draws=2500,
         note="2,500 draws a chain, as in the analysis that is shipped"),
    Case("normal means, 10,000 groups", "normal_means", lambda: normal_means(10_000), MEANS, "non-centered"),
    Case("beta-binomial, 10,000 groups", "beta_binomial", lambda: counts(10_000), COUNTS),
    Case("logistic, 1,000 cities", "slopes_logistic", lambda: cities(1000), LOGISTIC, "non-centered"),
    Case("crossed, 2,972 x 1,128, 73,421 rows", "crossed", lambda: crossed(2972, 1128, 73_421), CROSSED, "centered",
         "simulated with the size of InstEval, the data of R's lme4, which are not shipped here"),
    Case("logistic, 10,000 cities", "slopes_logistic", lambda: cities(10_000), LOGISTIC, "non-centered"),
)}  # fmt: skip
