"""The structures in NumPyro's words, and its sampler: chains side by side, in double precision."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd

from bench_peers.cases import CHAINS, WARMUP, Case, levels
from bench_peers.measured import Measured, split, timed, versions

numpyro.set_host_device_count(CHAINS)  # before JAX starts: a chain each, as many at once as there are cores
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from numpyro.infer import MCMC, NUTS  # noqa: E402

numpyro.enable_x64()


def _effects(name: str, location: Any, sd: Any, size: int, form: str) -> Any:
    if form == "centered":
        return numpyro.sample(name, dist.Normal(location, sd).expand([size]))
    raw = numpyro.sample(f"{name}_raw", dist.Normal(0, 1).expand([size]))
    return numpyro.deterministic(name, location + sd * raw)


def _normal_means(case: Case, frame: pd.DataFrame, form: str) -> None:
    mu = numpyro.sample("mu", dist.Normal(*case.priors["mu"]))
    tau = numpyro.sample("tau", dist.HalfCauchy(*case.priors["tau"]))
    theta = _effects("theta", mu, tau, len(frame), form)
    numpyro.sample("y", dist.Normal(theta, frame["s"].to_numpy()), obs=frame["y"].to_numpy())


def _beta_binomial(case: Case, frame: pd.DataFrame, form: str) -> None:
    mu = numpyro.sample("mu", dist.Beta(*case.priors["mu"]))
    kappa = numpyro.sample("kappa", dist.LogNormal(*case.priors["kappa"]))
    theta = numpyro.sample("theta", dist.Beta(mu * kappa, (1 - mu) * kappa).expand([len(frame)]))
    numpyro.sample("y", dist.Binomial(frame["n"].to_numpy(), theta), obs=frame["y"].to_numpy())


def _slopes(case: Case, frame: pd.DataFrame, form: str) -> None:
    (g, groups), (scale,), (shape,) = levels(frame["g"]), case.priors["scale"], case.priors["rho"]
    beta = numpyro.sample("beta", dist.Normal(*case.priors["beta"]).expand([2]))
    tau = numpyro.sample("tau", dist.HalfNormal(scale).expand([2]))
    chol = numpyro.sample("L", dist.LKJCholesky(2, shape))
    numpyro.deterministic("rho", chol[1, 0])
    if form == "centered":
        with numpyro.plate("groups", groups):
            theta = numpyro.sample("theta", dist.MultivariateNormal(beta, scale_tril=tau[:, None] * chol))
    else:
        raw = numpyro.sample("theta_raw", dist.Normal(0, 1).expand([groups, 2]))
        theta = numpyro.deterministic("theta", beta + raw @ (tau[:, None] * chol).T)
    eta, y = theta[g, 0] + theta[g, 1] * frame["x"].to_numpy(), frame["y"].to_numpy()
    if case.normal:
        numpyro.sample("y", dist.Normal(eta, numpyro.sample("sigma", dist.HalfNormal(scale))), obs=y)
    else:
        numpyro.sample("y", dist.Bernoulli(logits=eta), obs=y)


def _crossed(case: Case, frame: pd.DataFrame, form: str) -> None:
    (g, groups), (h, items), (scale,) = levels(frame["g"]), levels(frame["h"]), case.priors["scale"]
    tau, sd, sigma = (numpyro.sample(name, dist.HalfNormal(scale)) for name in ("tau", "sd", "sigma"))
    theta = _effects("theta", numpyro.sample("beta", dist.Normal(*case.priors["beta"])), tau, groups, form)
    effect = _effects("effect", 0.0, sd, items, form)
    numpyro.sample("y", dist.Normal(theta[g] + effect[h], sigma), obs=frame["y"].to_numpy())


def _planck(case: Case, frame: pd.DataFrame, form: str) -> None:
    (g, groups), nu = levels(frame["g"]), frame["nu"].to_numpy()
    alpha, rate, sigma = (
        numpyro.sample(name, dist.Exponential(*case.priors[name])) for name in ("alpha", "rate", "sigma")
    )
    temperature = numpyro.sample("T", dist.Gamma(alpha, rate).expand([groups]))
    numpyro.sample("y", dist.Normal(nu**3 / jnp.expm1(nu / temperature[g]), sigma), obs=frame["y"].to_numpy())


STRUCTURES: dict[str, Callable[[Case, pd.DataFrame, str], None]] = {
    "normal_means": _normal_means, "beta_binomial": _beta_binomial, "slopes": _slopes, "slopes_logistic": _slopes,
    "crossed": _crossed, "planck": _planck,
}  # fmt: skip


def union(intervals: Sequence[tuple[float, float]]) -> float:
    """The length of what intervals cover together."""
    covered, end = 0.0, -np.inf
    for begin, stop in sorted(intervals):
        covered += max(0.0, stop - max(begin, end))
        end = max(end, stop)
    return covered


def run(case: Case, form: str, seed: int) -> Measured:
    """Draws with their seconds; ``sampling`` leaves out those in which JAX, by its own account, traces and compiles.

    A second run of the same sampler is no measure of sampling: it compiles again.
    """
    compiling: list[tuple[float, float]] = []

    def note(event: str, seconds: float, **_: Any) -> None:
        if event.startswith("/jax/core/compile"):
            now = time.perf_counter()
            compiling.append((now - seconds, now))

    jax.monitoring.register_event_duration_secs_listener(note)
    frame = case.read()
    with timed() as spent:
        kernel = NUTS(lambda: STRUCTURES[case.structure](case, frame, form))
        sampler = MCMC(kernel, num_warmup=WARMUP, num_samples=case.draws, num_chains=CHAINS, progress_bar=False)
        sampler.run(jax.random.PRNGKey(seed))
        samples = sampler.get_samples(group_by_chain=True)
        draws = {n: np.asarray(v) for n, v in samples.items() if not n.endswith("_raw") and n != "L"}
    about = {"versions": versions("numpyro", "jax")}
    return Measured(spent[0], spent[0] - union(compiling), *split(draws), about=about)
