"""The models: Planck's law with complete, no and partial pooling, and a wrong law with no and partial pooling.

A fit is of the 20 training sets and the six new ones together; without pooling the training sets change nothing but the
priors, and are left out. Of partial pooling ``hbm.condition`` does the same without a second fit:
``tests/test_planck_study.py`` holds the two together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.data import Dataset
from hbm_stan.engines import EngineDraws, Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families.planck import FAMILY
from hbm_stan.fit import prepare_table
from hbm_stan.mixing import summarised
from hbm_stan.priors import Prior
from hbm_stan.program import Program
from hbm_stan.table import FloatArray
from planck_study.scores import Forecast, of_draws
from planck_study.spectra import Collection, Spectrum, curve, places, table

Data = dict[str, Any]
# Name in the tables, and the variant of the family or whether the wrong law is pooled.
LAW = {"complete pooling": "complete_pooling", "no pooling": "no_pooling", "partial pooling": "partial_pooling"}
WRONG = {"no pooling, wrong law": 0, "partial pooling, wrong law": 1}
MODELS = (*LAW, *WRONG)
SETTINGS = Sampling(chains=4, warmup=500, draws=500, adapt_delta=0.95)
_CURVES = 500  # draws that forecasts are made of
COEFFICIENTS = ("height", "place", "power")  # of the wrong law
WRONG_PROGRAM = Path(__file__).with_name("rise_and_fall.stan")
# What the wrong law's population is before any data, in logs: sds of its mean, scales of its sds.
_MEAN_SD, _SDS = (1.5, 0.7, 0.5), (1.5, 0.7, 0.5)


def roles(spectra: tuple[Spectrum, ...]) -> Dataset:
    """The table of spectra with its columns mapped to the family's roles."""
    return Dataset.from_frame(table(spectra), group="spectrum", frequency="frequency", flux="flux")


def priors_of(training: tuple[Spectrum, ...]) -> Mapping[str, Prior]:
    """The family's default priors of the training sets: no new set has a say in its own prior."""
    return FAMILY.priors(prepare_table(FAMILY, roles(training)))


def law_data(spectra: tuple[Spectrum, ...], variant: str, priors: Mapping[str, Prior]) -> Data:
    """Stan data of the family's program."""
    return dict(FAMILY.stan_data(prepare_table(FAMILY, roles(spectra)), priors, variant)) | {"generate": 0}


def wrong_data(spectra: tuple[Spectrum, ...], pooled: int, training: tuple[Spectrum, ...]) -> Data:
    """Stan data of the wrong law; its priors lie about the flux and the frequency of the training sets."""
    nu, flux = (np.concatenate([getattr(s, name) for s in training]) for name in ("nu", "flux"))
    index = np.repeat(np.arange(1, len(spectra) + 1), [len(s.nu) for s in spectra])
    return {
        "N": len(index), "J": len(spectra), "group_idx": index, "pooled": pooled,
        "nu": np.concatenate([s.nu for s in spectra]), "y": np.concatenate([s.flux for s in spectra]),
        "prior_mu": [np.log(flux.std()), np.log(np.median(nu)), np.log(2)],
        "prior_mu_scale": _MEAN_SD, "prior_tau": _SDS, "prior_sigma": flux.std(),
    }  # fmt: skip


def wrong_curve(nu: FloatArray, height: FloatArray, place: FloatArray, power: FloatArray) -> FloatArray:
    """a nu^b exp(-nu / c) by log height and log place of its peak and log b; broadcasts."""
    x = np.log(nu) - place
    return np.asarray(np.exp(height + np.exp(power) * (x + 1 - np.exp(x))))


def sample(program: Program, data: Data, seed: int) -> EngineDraws:
    """Draws of the embedded engine, with the settings of this study."""
    return StanliEngine().sample(program, data, Sampling(**{**SETTINGS.as_dict(), "seed": seed}))


def health(drawn: EngineDraws, names: tuple[str, ...]) -> dict[str, float]:
    """The largest R-hat of what curves are made of, and the number of divergent transitions."""
    columns = [np.asarray(drawn.variables[name]) for name in names]
    flat = np.concatenate([c.reshape(*c.shape[:2], -1) for c in columns], axis=2).transpose(2, 0, 1)
    return {
        "rhat": float(np.nanmax(summarised(flat)["rhat"])),
        "divergent": int(np.asarray(drawn.sample_stats["diverging"]).sum()),
    }


def predict(model: str, of: Collection, seed: int) -> tuple[dict[str, dict[str, Forecast]], dict[str, float]]:
    """Forecasts of each new set inside and outside the range of its points; seconds, R-hat, divergences of the fit."""
    start = time.perf_counter()
    own_scale = model.startswith("no pooling")
    together = of.new if own_scale else (*of.training, *of.new)
    if model in LAW:
        data = law_data(together, LAW[model], priors_of(of.training))
        drawn = sample(FAMILY.program(LAW[model]), data, seed)
        names, shape = ("T",), curve
    else:
        drawn = sample(Program.read(WRONG_PROGRAM), wrong_data(together, WRONG[model], of.training), seed)
        names, shape = COEFFICIENTS, wrong_curve
    scale = "sigma_group" if model == "no pooling" else "sigma"
    flat = {name: _thinned(drawn.variables[name]) for name in (*names, scale)}
    forecasts = {}
    for j, new in enumerate(of.new, start=len(together) - len(of.new)):
        own = [flat[name][:, j, None] for name in names]
        sigma = flat[scale][:, j] if own_scale else flat[scale].reshape(_CURVES)
        forecasts[new.name] = {where: of_draws(shape(nu, *own), sigma) for where, nu in places(new).items()}
    return forecasts, {"seconds": time.perf_counter() - start, **health(drawn, (*names, scale))}


def _thinned(draws: FloatArray) -> FloatArray:
    flat = np.asarray(draws).reshape(-1, *np.shape(draws)[2:])
    return flat[np.linspace(0, len(flat) - 1, _CURVES).astype(int)]
