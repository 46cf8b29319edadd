"""Cases of conditioning on new groups: for each family and likelihood a table, some groups of it never fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.fit import Fit

SAMPLING = Sampling(warmup=400, draws=1000, seed=5)
NEW = ("N1", "N2")  # with one row, and with seven


@cache
def frame() -> pd.DataFrame:
    """Twelve groups of 2 to 8 rows and two new ones, rows in any order, with an outcome for each likelihood."""
    rng = np.random.default_rng(4)
    labels = [f"g{j}" for j in range(12)]
    group = np.concatenate([np.repeat(labels, rng.integers(2, 9, 12)), np.repeat(NEW, (1, 7))])
    n, every = len(group), [*labels, *NEW]
    data = pd.DataFrame({"g": group, "x": rng.normal(0, 1, n).round(3), "w": rng.choice(list("abcd"), n)})
    effect = dict(zip(every, rng.normal(0, 1, len(every)), strict=True))
    data["u"] = data["g"].map(effect).round(1)
    data["unit"] = data["g"] + "-" + rng.integers(0, 3, n).astype(str)
    of_unit = dict(zip(data["unit"].unique(), rng.normal(0, 0.5, n), strict=False))
    eta = 0.3 + 0.8 * data["g"].map(effect) + 0.5 * data["x"]
    data["y"] = (eta + rng.normal(0, 0.7, n)).round(3)
    data["by_unit"] = (data["y"] + data["unit"].map(of_unit)).round(3)
    data["amount"] = np.exp(data["y"]).round(4)
    data["se"], data["hours"], data["n"] = rng.uniform(0.3, 1, n).round(3), 2.0, rng.integers(1, 8, n)
    data["count"] = rng.poisson(np.exp(eta) * 2)
    data["spread"] = rng.negative_binomial(3, 3 / (3 + 2 * np.exp(eta)))
    data["zeros"] = np.where(rng.uniform(size=n) < 0.2, 0, data["count"])
    data["hits"] = rng.binomial(data["n"], expit(eta))
    data["spread_hits"] = rng.binomial(data["n"], rng.beta(4 * expit(eta), 4 * expit(-eta)))
    data["gamma"] = rng.gamma(3, np.exp(eta) / 3).round(4)
    data["heavy"] = (eta + 0.6 * rng.standard_t(3, n)).round(3)
    data["share"] = np.clip(rng.beta(6 * expit(eta), 6 * expit(-eta)), 0.001, 0.999).round(4)
    data["rating"] = 1 + (eta + rng.logistic(size=n) > -0.5).astype(int) + (eta + rng.logistic(size=n) > 1)
    return data.sample(frac=1, random_state=6).reset_index(drop=True)


def parts(data: pd.DataFrame | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that are fitted, and those of new groups."""
    whole = frame() if data is None else data
    new = whole["g"].isin(NEW)
    return whole[~new].reset_index(drop=True), whole[new].reset_index(drop=True)


ROLES: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "grouped_normal": ("grouped_normal", "partial_pooling", {"outcome": "y"}),
    "sigma_by_group": ("grouped_normal", "partial_pooling_sigma_by_group", {"outcome": "y"}),
    "linear_regression": ("linear_regression", "partial_pooling",
                          {"outcome": "y", "predictors": ["x"], "group_predictors": ["u"]}),
    "logistic_regression": ("logistic_regression", "partial_pooling",
                            {"successes": "hits", "trials": "n", "predictors": ["x"]}),
    "beta_binomial": ("beta_binomial", "partial_pooling", {"successes": "hits", "trials": "n"}),
    "gamma_poisson": ("gamma_poisson", "partial_pooling", {"count": "count", "exposure": "hours"}),
    "nested_normal": ("nested_normal", "partial_pooling", {"unit": "unit", "outcome": "by_unit"}),
    "gp_integral": ("gp_integral", "partial_pooling",
                    {"point": "x", "estimate": "y", "standard_error": "se",
                     "integral": {"lower": -2, "upper": 2, "mean": "linear"}}),
}  # fmt: skip
FORMULAS: Mapping[str, tuple[str, str]] = {
    "normal": ("normal", "y ~ x + (1 + x | g)"),
    "normal_sampled": ("normal_sampled", "y ~ (1 + x | g) + (1 | w)"),
    "normal, units": ("normal", "by_unit ~ x + (1 | g/unit)"),
    "estimates": ("estimates", "y | se(se) ~ x + (1 + x | g)"),
    "lognormal": ("lognormal", "amount ~ x + (1 + x | g)"),
    "a log": ("normal", "log(amount) ~ scale(x) + (1 + scale(x) | g)"),
    "poisson": ("poisson", "count | rate(hours) ~ x + (1 + x | g)"),
    "poisson, units": ("poisson", "count ~ x + (1 | g) + (1 | unit)"),
    "binomial": ("binomial", "hits | trials(n) ~ (1 + x || g) + (1 | w)"),
    "negative_binomial": ("negative_binomial", "spread | rate(hours) ~ x + (1 + x | g)"),
    "zero_inflated_poisson": ("zero_inflated_poisson", "zeros | rate(hours) ~ x + (1 | g)"),
    "beta_binomial_rows": ("beta_binomial_rows", "spread_hits | trials(n) ~ x + (1 | g)"),
    "gamma": ("gamma", "gamma ~ x + (1 + x | g)"),
    "student_t": ("student_t", "heavy ~ x + (1 + x | g)"),
    "beta": ("beta", "share ~ x + (1 | g)"),
    "cumulative": ("cumulative", "rating ~ x + (1 + x | g)"),
}  # fmt: skip


def dataset(case: str, data: pd.DataFrame) -> tuple[str, str, Dataset]:
    """Family, variant and the table read for a case; columns are not centred, so that a refit has the same priors."""
    if case in ROLES:
        family, variant, roles = ROLES[case]
        return family, variant, Dataset.from_frame(data, group="g", **roles)
    family, formula = FORMULAS[case]
    return family, "partial_pooling", Dataset.from_frame(data, formula=formula, centre=False)


def fit_case(case: str, engine: Engine, data: pd.DataFrame, like: Fit | None = None) -> Fit:
    """The fit of a case to these rows, with the priors of another fit where one is named."""
    family, variant, table = dataset(case, data)
    priors = None if like is None else {name: prior.text for name, prior in like.priors.items()}
    return fit(family, table, variant, priors=priors, sampling=SAMPLING, engine=engine)


Truth = Callable[[pd.DataFrame], dict[str, dict[str, float]]]
