"""A single point at high frequency: what it says of a temperature hangs on how large its error may be.

The population is learnt from ``data/planck``, the point is N5 of ``data/planck_new``; its temperature's posterior is
taken on a grid, given each draw of the population, with the sd of its error known, free or learnt from the 20 spectra.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logsumexp
from scipy.stats import gamma, norm

from hbm_stan.families.planck import FAMILY
from hbm_stan.resources import share
from hbm_stan.table import FloatArray
from planck_study.models import law_data, priors_of, sample
from planck_study.spectra import GRID, Spectrum, curve

SEED = 20261130
SPECTRUM = "N5"
SMALL, LARGE = 0.05, 5.0  # sds of the error that somebody might state; the truth is 0.5
WAYS = {
    "known small": f"sd of the error stated: {SMALL:g}", "known large": f"sd of the error stated: {LARGE:g}",
    "its own": "sd of its own: prior only", "learnt": "sd shared, learnt from 20 spectra",
}  # fmt: skip
_T = np.exp(np.linspace(np.log(0.05), np.log(40), 3000))
_DRAWS, _OWN_SDS = 400, 200


def training() -> tuple[Spectrum, ...]:
    """The spectra of ``data/planck``; their true temperatures are of no use here."""
    frame = pd.read_csv(share("data") / "planck" / "data.csv")
    return tuple(
        Spectrum(
            name=str(name),
            kind="training",
            temperature=np.nan,
            nu=own["frequency"].to_numpy(),
            flux=own["flux"].to_numpy(),
        )
        for name, own in frame.groupby("spectrum")
    )


def point() -> tuple[float, float, float]:
    """Frequency and flux of the single point, and the true temperature."""
    folder = share("data") / "planck_new"
    rows, truth = pd.read_csv(folder / "data.csv"), pd.read_csv(folder / "truth.csv")
    own = rows[rows["spectrum"] == SPECTRUM].iloc[0]
    temperature = truth[(truth["name"] == "T") & (truth["group"] == SPECTRUM)]["value"].iloc[0]
    return float(own["frequency"]), float(own["flux"]), float(temperature)


def given_flux(nu: float, flux: float, alpha: FloatArray, beta: FloatArray, sigma: FloatArray) -> FloatArray:
    """The posterior weights of the grid of T: a mean over draws, weighted by what each says of the flux.

    alpha and beta are (S,), sigma is (S, K): K values of equal prior weight for each draw.
    """
    width = np.gradient(np.log(_T)) * _T
    prior = np.log(width) + gamma.logpdf(_T, alpha[:, None], scale=1 / beta[:, None])  # (S, T)
    likelihood = logsumexp(norm.logpdf(flux, curve(np.asarray(nu), _T), sigma[:, :, None]), axis=1)
    weight = np.exp(prior + likelihood - (prior + likelihood).max()).sum(axis=0)
    return np.asarray(weight / weight.sum())


def quantiles(weights: FloatArray, q: tuple[float, ...]) -> FloatArray:
    """Quantiles of T from the weights of the grid."""
    return np.asarray(np.interp(q, np.cumsum(weights) - weights / 2, _T))


def posteriors() -> dict[str, FloatArray]:
    """Weights of the grid of T by way."""
    spectra = training()
    priors = priors_of(spectra)
    drawn = sample(FAMILY.program("partial_pooling"), law_data(spectra, "partial_pooling", priors), SEED).variables
    thin = {n: np.asarray(drawn[n]).ravel()[:: np.asarray(drawn[n]).size // _DRAWS] for n in ("alpha", "beta", "sigma")}
    size = len(thin["sigma"])
    own = priors["sigma_group"].draw(np.random.default_rng(SEED), size * _OWN_SDS).reshape(size, _OWN_SDS)
    sigmas = {
        "known small": np.full((size, 1), SMALL), "known large": np.full((size, 1), LARGE), "its own": own,
        "learnt": thin["sigma"][:, None],
    }  # fmt: skip
    nu, flux, _ = point()
    return {way: given_flux(nu, flux, thin["alpha"], thin["beta"], sigma) for way, sigma in sigmas.items()}


def summary(weights: dict[str, FloatArray]) -> list[dict[str, Any]]:
    """Median and 80 % interval of T by way, and how wide the band of the curve is at its highest."""
    rows = []
    for way, own in weights.items():
        low, middle, high = quantiles(own, (0.1, 0.5, 0.9))
        band = curve(GRID, high) - curve(GRID, low)  # the curve rises with T at every frequency
        rows.append({"way": way, "low": low, "median": middle, "high": high, "widest": float(band.max())})
    return rows
