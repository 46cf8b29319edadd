"""Point estimates of statsmodels: mixed linear models by restricted maximum likelihood."""

from __future__ import annotations

import numpy as np
import statsmodels.formula.api as smf

from bench_peers.cases import Case
from bench_peers.measured import Measured, timed, versions


def run(case: Case, form: str, seed: int) -> Measured:
    """Estimates of what the population has, without draws; crossed factors are variance components of one group."""
    frame = case.read()
    with timed() as spent:
        if case.structure == "slopes":
            fit = smf.mixedlm("y ~ x", frame, groups="g", re_formula="~x").fit()
        else:
            components = {"g": "0 + C(g)", "h": "0 + C(h)"}
            fit = smf.mixedlm("y ~ 1", frame, groups=np.ones(len(frame)), vc_formula=components).fit()
    estimates = {f"beta[{k}]": float(value) for k, value in enumerate(np.asarray(fit.fe_params))}
    if case.structure == "crossed":
        estimates = {"beta": estimates["beta[0]"]}
    estimates["sigma"] = float(np.sqrt(fit.scale))
    return Measured(spent[0], spent[0], estimates=estimates, about={"versions": versions("statsmodels")})
