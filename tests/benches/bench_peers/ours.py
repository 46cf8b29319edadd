"""Our side: ``hbm.fit`` as a user calls it, on one engine, into a store of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hbm_stan as hbm
from bench_peers.cases import CHAINS, WARMUP, Case
from bench_peers.measured import Draws, Measured, split, timed, twice
from hbm_stan.engines import choose
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.fit import Fit
from hbm_stan.store import FitStore

FORMULAS = {
    "slopes": "y ~ x + (1 + x | g)",
    "slopes_logistic": "y ~ x + (1 + x | g)",
    "crossed": "y ~ 1 + (1 | g) + (1 | h)",
}
ROLES = {
    "normal_means": {"estimate": "y", "standard_error": "s"},
    "beta_binomial": {"successes": "y", "trials": "n"},
    "planck": {"frequency": "nu", "flux": "y"},
}


def priors(case: Case) -> dict[str, str]:
    """The priors of a case in our words."""
    p = case.priors
    if case.structure == "normal_means":
        return {"mu": "normal({}, {})".format(*p["mu"]), "tau": "half_cauchy({})".format(*p["tau"])}
    if case.structure == "beta_binomial":
        return {"mu": "beta({}, {})".format(*p["mu"]), "kappa": "lognormal({}, {})".format(*p["kappa"])}
    if case.structure == "planck":
        words = {"alpha": p["alpha"], "beta": p["rate"], "sigma": p["sigma"]}
        return {name: f"exponential({rate:g})" for name, (rate,) in words.items()}
    scale = "half_normal({})".format(*p["scale"])
    words = {"beta": "normal({}, {})".format(*p["beta"]), "tau": scale}
    words |= {"sigma": scale} if case.normal else {}
    words |= {"sd": scale} if case.structure == "crossed" else {}
    return words | ({"rho": "lkj({})".format(*p["rho"])} if "rho" in p else {})


def fit(case: Case, frame: pd.DataFrame, engine: Any, seed: int, folder: Path) -> Fit:
    """The fit of a case, kept in a folder where nothing is yet."""
    how = {
        "priors": priors(case), "engine": engine, "store": FitStore(folder),
        "sampling": hbm.Sampling(chains=CHAINS, warmup=WARMUP, draws=case.draws, seed=seed),
    }  # fmt: skip
    if case.structure in FORMULAS:
        return hbm.fit(FORMULAS[case.structure], frame, centre=False, **how)
    return hbm.fit(case.structure, hbm.Dataset.from_frame(frame, group="g", **ROLES[case.structure]), **how)


def named(case: Case, fit: Fit) -> Draws:
    """The draws of a fit under the names that all sides use."""
    posterior = fit.tree["posterior"]
    draws = {n: np.asarray(posterior[n]) for n in ("mu", "beta", "tau", "rho", "sd", "sigma", "kappa", "alpha")
             if n in posterior}  # fmt: skip
    group = fit.family.groups.group_quantity
    draws[group] = np.asarray(posterior[group])
    if case.structure == "crossed":
        draws["effect"] = np.asarray(posterior["effect"])
    if case.structure == "planck":
        draws = {"alpha": draws["alpha"], "rate": draws["beta"], "sigma": draws["sigma"], "T": draws["T"]}
    if case.structure == "beta_binomial":
        del draws["tau"]
    slopes = case.structure in {"slopes", "slopes_logistic"}
    drop = {"rho": 0} if slopes else dict.fromkeys(("beta", "tau", "sd"), 0)
    return {
        n: v[..., 0] if (n in drop and v.ndim == 3) or (n == "theta" and v.ndim == 4 and v.shape[-1] == 1) else v
        for n, v in draws.items() if v.size
    }  # fmt: skip


def run(case: Case, form: str, seed: int, engine: str = "stanli") -> Measured:
    """Our fit with its seconds.

    ``sampling`` is all of a second ``hbm.fit``, but imports and compiling: pilots, effects and storing are in it.
    """
    del form  # hbm.fit chooses it
    # Alone: what cannot be drawn directly is no measurement, and not the sampler's.
    chosen = DirectEngine(alone=True) if engine == "direct" else choose(engine)
    frame, building = case.read(), []
    build = chosen.build

    def timed_build(*given: Any) -> None:
        with timed() as spent:
            build(*given)
        building.append(spent[0])

    object.__setattr__(chosen, "build", timed_build)

    def call(seed: int) -> tuple[str, Draws]:
        with tempfile.TemporaryDirectory() as folder:
            result = fit(case, frame, chosen, seed, Path(folder))
            return result.variant, named(case, result)

    (variant, draws), seconds, sampling = twice(call, seed)
    without = seconds - sum(building) if sampling is None else sampling
    about = {"variant": variant, "versions": f"hbm_stan {hbm.__version__}"}
    return Measured(seconds, without, *split(draws), about=about)
