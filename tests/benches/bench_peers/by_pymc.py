"""PyMC's model of a case, sampled by PyMC itself or by nutpie."""

from __future__ import annotations

from typing import Any

import numpy as np
import nutpie
import pymc as pm

from bench_peers.cases import CHAINS, WARMUP, Case
from bench_peers.measured import CORES, Draws, Measured, split, timed, versions
from bench_peers.pymc_models import model_of

QUANTITIES = ("mu", "beta", "tau", "rho", "sd", "sigma", "kappa", "alpha", "rate", "theta", "effect", "T")


def named(posterior: Any) -> Draws:
    """The draws under the names that all sides use."""
    return {name: np.asarray(posterior[name]) for name in QUANTITIES if name in posterior}


def by_nutpie(model: pm.Model, draws: int, seed: int) -> tuple[Any, float]:
    """The posterior of a model by nutpie, and the seconds of its sampling."""
    compiled = nutpie.compile_pymc_model(model)
    with timed() as sampling:
        trace = nutpie.sample(compiled, draws=draws, tune=WARMUP, chains=CHAINS, cores=CORES, seed=seed,
                              save_warmup=False, progress_bar=False)  # fmt: skip
    return trace.posterior, sampling[0]


def run(case: Case, form: str, seed: int, sampler: str = "nutpie") -> Measured:
    """Draws with their seconds; PyMC says itself what its sampling takes."""
    frame = case.read()
    with timed() as spent:
        model = model_of(case, frame, form)
        if sampler == "nutpie":
            posterior, sampling = by_nutpie(model, case.draws, seed)
        else:
            with model:
                trace = pm.sample(case.draws, tune=WARMUP, chains=CHAINS, cores=CORES, random_seed=seed,
                                  progressbar=False, compute_convergence_checks=False, nuts_sampler="pymc")  # fmt: skip
            posterior, sampling = trace.posterior, float(trace.posterior.attrs["sampling_time"])
    packages = ("pymc", "nutpie") if sampler == "nutpie" else ("pymc",)
    return Measured(spent[0], sampling, *split(named(posterior)), about={"versions": versions(*packages)})
