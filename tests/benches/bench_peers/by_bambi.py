"""Bambi's model of crossed factors, sampled by nutpie. Correlated slopes and known standard errors it has not."""

from __future__ import annotations

import bambi as bmb
import numpy as np

from bench_peers.by_pymc import by_nutpie
from bench_peers.cases import Case
from bench_peers.measured import Draws, Measured, split, timed, versions


def run(case: Case, form: str, seed: int) -> Measured:
    """Draws with their seconds, under the names that all sides use."""
    (scale,), (location, wide) = case.priors["scale"], case.priors["beta"]
    spread = bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=scale))
    priors = {
        "Intercept": bmb.Prior("Normal", mu=location, sigma=wide), "1|g": spread, "1|h": spread,
        "sigma": bmb.Prior("HalfNormal", sigma=scale),
    }  # fmt: skip
    frame = case.read()
    with timed() as spent:
        model = bmb.Model("y ~ 1 + (1|g) + (1|h)", frame, priors=priors, center_predictors=False,
                          noncentered=form != "centered")  # fmt: skip
        model.build()
        posterior, sampling = by_nutpie(model.backend.model, case.draws, seed)
        beta = np.asarray(posterior["Intercept"])
        draws: Draws = {
            "beta": beta, "tau": np.asarray(posterior["1|g_sigma"]), "sd": np.asarray(posterior["1|h_sigma"]),
            "sigma": np.asarray(posterior["sigma"]),
            "theta": beta[..., None] + posterior["1|g"].sel(g__factor_dim=[*frame["g"].unique()]).to_numpy(),
            "effect": posterior["1|h"].sel(h__factor_dim=[*frame["h"].unique()]).to_numpy(),
        }  # fmt: skip
    return Measured(spent[0], sampling, *split(draws), about={"versions": versions("bambi", "nutpie")})
