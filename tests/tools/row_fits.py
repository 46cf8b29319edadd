"""Fits of formulas whose draws are made by hand, so that every expected value can be worked out beside them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "oracles"))
from fake_fits import FakeEngine
from formula_data import population, with_coefficients

from hbm_stan.data import Dataset
from hbm_stan.draw import fit_of_draws
from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.families import family
from hbm_stan.fit import Fit, jobs_of
from hbm_stan.reading import make_reading

N = 60
# Three columns that vary between g, units inside g (labels recur), a factor across, a category, an offset.
STRUCTURE = "x * arm + poly(w, 2) + offset(o) + (1 + x + w | g) + (1 | g:unit) + (0 + x | h)"
LEFT = {
    "normal": "y", "normal_sampled": "y", "student_t": "y", "estimates_sampled": "y | se(s)",
    "estimates": "y | se(s)", "lognormal": "amount", "lognormal_sampled": "amount", "gamma": "amount",
    "binomial": "hits | trials(n)", "beta_binomial_rows": "hits | trials(n)", "poisson": "count | rate(hours)",
    "negative_binomial": "count | rate(hours)", "zero_inflated_poisson": "count | rate(hours)",
    "zero_inflated_negative_binomial": "count | rate(hours)", "cumulative": "rating", "beta": "share",
}  # fmt: skip


def frame(n: int = N, seed: int = 5) -> pd.DataFrame:
    """Rows with an outcome of every kind."""
    rng = np.random.default_rng(seed)
    g = rng.permutation(np.arange(n) % 5)
    rating = rng.permutation(np.arange(n) % 4)
    return pd.DataFrame({
        "g": np.array(list("cabed"))[g], "unit": rng.integers(1, 4, n),
        "h": np.array(["p", "q", "r"])[np.arange(n) % 3],
        "x": rng.normal(10, 2, n), "w": rng.uniform(-1, 3, n), "o": rng.normal(0, 0.3, n),
        "arm": np.array(["placebo", "drug", "both"])[rng.permutation(np.arange(n) % 3)],
        "y": rng.normal(1, 2, n), "s": rng.uniform(0.5, 2, n), "amount": np.exp(rng.normal(1, 0.5, n)),
        "n": rng.integers(3, 9, n), "hits": rng.integers(0, 4, n),
        "count": rng.integers(0, 6, n) * (rng.random(n) < 0.7),
        "hours": rng.uniform(0.5, 3, n), "share": rng.uniform(0.05, 0.95, n),
        "rating": np.array(["bad", "poor", "fair", "good"])[rating],
    })  # fmt: skip


def random_fit(
    likelihood: str,
    right: str = STRUCTURE,
    data: pd.DataFrame | None = None,
    *,
    variant: str = "partial_pooling",
    size: int = 40,
    alike: bool = False,
    seed: int = 1,
    left: str = "",
    **reading: Any,
) -> Fit:
    """A fit with random draws; with ``alike`` the population's parameters are the same in all of them."""
    if "zero" in likelihood:
        reading = {"zi": "~ w", **reading}
    if likelihood == "cumulative":
        reading["levels"] = {"rating": ["bad", "poor", "fair", "good"], **reading.get("levels", {})}
    text = f"{left or LEFT[likelihood]} ~ {right}"
    dataset = Dataset.from_frame(frame() if data is None else data).read_as(make_reading(formula=text, **reading))
    model, sampling = family(likelihood), Sampling(chains=2, draws=size, seed=seed)
    engine: Any = FakeEngine()
    (job,) = jobs_of(model, dataset, [variant], None, sampling, engine)
    rng = np.random.default_rng(seed)
    pooling = model.variant(variant).pooling
    draws = population(rng, job.data, 1 if alike else 2 * size, pooling)
    draws = {k: np.repeat(v, 2 * size, axis=0) for k, v in draws.items()} if alike else draws
    named = {*model.programs.dims, *model.programs.population}
    draws = {k: v for k, v in with_coefficients(rng, job.data, draws).items() if k in named}
    shaped = {k: np.asarray(v).reshape(2, size, *np.shape(v)[1:]) for k, v in draws.items()}
    return fit_of_draws(job, EngineDraws(shaped, {"diverging": np.zeros((2, size))}), sampling)
