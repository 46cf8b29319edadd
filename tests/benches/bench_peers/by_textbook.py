"""The textbook program in CmdStan, through CmdStanPy: compiled anew each time, as a user's first call is."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import cmdstanpy
import numpy as np
import pandas as pd
from cmdstanpy import CmdStanModel

from bench_peers.cases import CHAINS, WARMUP, Case, levels
from bench_peers.measured import CORES, Draws, Measured, split, timed, versions

PROGRAMS = Path(__file__).parent / "textbook"
QUANTITIES = {
    "normal_means": ("mu", "tau", "theta"),
    "beta_binomial": ("mu", "kappa", "theta"),
    "slopes": ("beta", "tau", "rho", "sigma", "theta"),
    "slopes_logistic": ("beta", "tau", "rho", "theta"),
    "crossed": ("beta", "tau", "sd", "sigma", "theta", "effect"),
    "planck": ("alpha", "rate", "sigma", "T"),
}


def data_of(case: Case, frame: pd.DataFrame, form: str) -> dict[str, Any]:
    """The data block of a case's program."""
    g, groups = levels(frame["g"])
    data: dict[str, Any] = {"N": len(frame), "J": groups, "g": g + 1, "centered": int(form == "centered")}
    if "h" in frame:
        h, items = levels(frame["h"])
        data |= {"h": h + 1, "H": items}
    data |= {name: frame[name].to_numpy() for name in ("y", "s", "n", "x", "nu") if name in frame}
    for name, numbers in case.priors.items():
        data["scale" if name == "scale" else f"prior_{name}"] = [*numbers] if len(numbers) > 1 else numbers[0]
    return data


def run(case: Case, form: str, seed: int) -> Measured:
    """Draws with their seconds; ``sampling`` is all but compiling."""
    frame = case.read()
    with tempfile.TemporaryDirectory() as folder, timed() as spent:
        with timed() as compiling:
            source = shutil.copy(PROGRAMS / f"{case.structure}.stan", folder)
            model = CmdStanModel(stan_file=source)
        fit = model.sample(data_of(case, frame, form), chains=CHAINS, parallel_chains=CORES, iter_warmup=WARMUP,
                           iter_sampling=case.draws, seed=seed, show_progress=False, output_dir=folder)  # fmt: skip
        draws: Draws = {}
        for name in QUANTITIES[case.structure]:
            values = fit.stan_variable(name)
            draws[name] = np.asarray(values).reshape(CHAINS, case.draws, *values.shape[1:])
    stan = ".".join(map(str, cmdstanpy.cmdstan_version() or ()))
    about = {"versions": f"CmdStan {stan}, {versions('cmdstanpy')}"}
    return Measured(spent[0], spent[0] - compiling[0], *split(draws), about=about)
