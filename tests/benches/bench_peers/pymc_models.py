"""The structures in PyMC's words: for its own sampler and for nutpie."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pymc as pm

from bench_peers.cases import Case, levels


def model_of(case: Case, frame: pd.DataFrame, form: str) -> pm.Model:
    """The model of a case, its effects centered or non-centered."""
    with pm.Model() as model:
        STRUCTURES[case.structure](case, frame, form)
    return model


def _effects(name: str, location: Any, sd: Any, size: int, form: str) -> Any:
    if form == "centered":
        return pm.Normal(name, location, sd, shape=size)
    return pm.Deterministic(name, location + sd * pm.Normal(f"{name}_raw", 0, 1, shape=size))


def _normal_means(case: Case, frame: pd.DataFrame, form: str) -> None:
    mu, tau = pm.Normal("mu", *case.priors["mu"]), pm.HalfCauchy("tau", *case.priors["tau"])
    theta = _effects("theta", mu, tau, len(frame), form)
    pm.Normal("y", theta, frame["s"].to_numpy(), observed=frame["y"].to_numpy())


def _beta_binomial(case: Case, frame: pd.DataFrame, form: str) -> None:
    mu, kappa = pm.Beta("mu", *case.priors["mu"]), pm.LogNormal("kappa", *case.priors["kappa"])
    theta = pm.Beta("theta", mu * kappa, (1 - mu) * kappa, shape=len(frame))
    pm.Binomial("y", frame["n"].to_numpy(), theta, observed=frame["y"].to_numpy())


def _slopes(case: Case, frame: pd.DataFrame, form: str) -> None:
    (g, groups), (scale,), (shape,) = levels(frame["g"]), case.priors["scale"], case.priors["rho"]
    beta = pm.Normal("beta", *case.priors["beta"], shape=2)
    chol, corr, tau = pm.LKJCholeskyCov("chol", eta=shape, n=2, sd_dist=pm.HalfNormal.dist(scale, shape=2))
    pm.Deterministic("tau", tau)
    pm.Deterministic("rho", corr[0, 1])
    if form == "centered":
        theta = pm.MvNormal("theta", beta, chol=chol, shape=(groups, 2))
    else:
        z = pm.Normal("theta_raw", 0, 1, shape=(groups, 2))
        theta = pm.Deterministic("theta", beta + pm.math.dot(z, chol.T))
    eta, y = theta[g, 0] + theta[g, 1] * frame["x"].to_numpy(), frame["y"].to_numpy()
    if case.normal:
        pm.Normal("y", eta, pm.HalfNormal("sigma", scale), observed=y)
    else:
        pm.Bernoulli("y", logit_p=eta, observed=y)


def _crossed(case: Case, frame: pd.DataFrame, form: str) -> None:
    (g, groups), (h, items), (scale,) = levels(frame["g"]), levels(frame["h"]), case.priors["scale"]
    beta = pm.Normal("beta", *case.priors["beta"])
    theta = _effects("theta", beta, pm.HalfNormal("tau", scale), groups, form)
    effect = _effects("effect", 0.0, pm.HalfNormal("sd", scale), items, form)
    pm.Normal("y", theta[g] + effect[h], pm.HalfNormal("sigma", scale), observed=frame["y"].to_numpy())


def _planck(case: Case, frame: pd.DataFrame, form: str) -> None:
    (g, groups), nu = levels(frame["g"]), frame["nu"].to_numpy()
    alpha, rate, sigma = (pm.Exponential(name, *case.priors[name]) for name in ("alpha", "rate", "sigma"))
    temperature = pm.Gamma("T", alpha, rate, shape=groups)
    pm.Normal("y", nu**3 / pm.math.expm1(nu / temperature[g]), sigma, observed=frame["y"].to_numpy())


STRUCTURES = {
    "normal_means": _normal_means, "beta_binomial": _beta_binomial, "slopes": _slopes, "slopes_logistic": _slopes,
    "crossed": _crossed, "planck": _planck,
}  # fmt: skip
