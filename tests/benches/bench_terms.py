"""Formulas beside PyMC with nutpie, NumPyro and Bambi, same priors: smallest bulk ESS of all coefficients per second.

``python tests/benches/bench_terms.py PEER [ROUNDS] [WORD]`` prints medians of interleaved rounds, of the cases whose
names hold the word. For the peers sampling alone counts, without compiling, for us all from the table to the draws.
PEER is a Python that has pymc, nutpie, numpyro and bambi; it runs this file too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SEED, DRAWS = 20261128, 1000
Case = dict[str, Any]


def crossed(groups: int, items: int, rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    g, h = rng.integers(0, groups, rows), rng.integers(0, items, rows)
    eta = 0.5 + rng.normal(0, 0.7, groups)[g] + rng.normal(0, 0.5, items)[h]
    return pd.DataFrame(
        {"g": g.astype(str), "h": h.astype(str), "y": rng.normal(eta, 1), "c": rng.poisson(np.exp(eta))}
    )


def cases() -> dict[str, Case]:
    """Of each the table, the outcome, the likelihood, columns and factors, priors of coefficients and of scales.

    ``ours`` is our likelihood where coefficients are too many to be integrated out, ``peers`` who else is timed.
    """
    data = Path(__file__).parents[2] / "data"
    plates = pd.read_csv(data / "penicillin" / "data.csv").rename(
        columns={"plate": "g", "sample": "h", "diameter_mm": "y"}
    )
    pools = pd.read_csv(data / "salamanders" / "data.csv").rename(columns={"site": "g", "count": "c"})
    columns = pd.get_dummies(pools[["mined", "spp"]], drop_first=True, dtype=float)
    pools = pd.concat([pools[["g", "c"]], columns.set_axis([f"x{k}" for k in range(columns.shape[1])], axis=1)], axis=1)
    crossed = {"columns": [], "factors": ["g", "h"]}
    return {
        "penicillin, 24 x 6": {
            "frame": plates, "y": "y", "family": "normal", "beta": (23, 5), "scale": 2, **crossed,
        },
        "normal, 200 x 50, 20,000 rows": {
            "frame": crossed(200, 50, 20_000), "y": "y", "family": "normal", "beta": (0, 5), "scale": 2, **crossed,
        },
        "normal, 2,972 x 1,128, 73,421 rows": {
            "frame": crossed(2972, 1128, 73_421), "y": "y", "family": "normal", "ours": "normal_sampled",
            "beta": (0, 5), "scale": 2, "peers": ("nutpie",), **crossed,
        },
        "Poisson, 60 x 20, 1,200 rows": {
            "frame": crossed(60, 20, 1200), "y": "c", "family": "poisson", "beta": (0, 2.5), "scale": 1, **crossed,
        },
        "negative binomial, salamanders, 644 rows": {
            "frame": pools, "y": "c", "family": "negative_binomial", "beta": (0, 2.5), "scale": 1,
            "columns": [c for c in pools if c.startswith("x")], "factors": ["g"],
        },
    }  # fmt: skip


def formula(case: Case) -> str:
    return f"{case['y']} ~ {' + '.join(['1', *case['columns'], *(f'(1 | {f})' for f in case['factors'])])}"


def smallest_ess(draws: list[np.ndarray]) -> float:
    from arviz_stats.base import array_stats as az

    flat = [x.reshape(*x.shape[:2], -1) for x in draws]
    columns = np.concatenate(flat, axis=2)
    return min(float(az.ess(columns[..., k], chain_axis=0, draw_axis=1)) for k in range(columns.shape[2]))


@contextmanager
def timed() -> Iterator[list[float]]:
    """Seconds of what is inside, once it is over."""
    spent: list[float] = []
    start = time.perf_counter()
    yield spent
    spent.append(time.perf_counter() - start)


def ours(case: Case) -> dict[str, float]:
    from hbm_stan.attempts import fit
    from hbm_stan.data import Dataset
    from hbm_stan.engines import Sampling
    from hbm_stan.store import FitStore

    (m, s), scale = case["beta"], f"half_normal({case['scale']})"
    priors = {"beta": f"normal({m}, {s})", "tau": scale}
    if len(case["factors"]) > 1:
        priors["sd"] = scale
    if case["family"] == "normal":
        priors["sigma"] = scale
    dataset = Dataset.from_frame(case["frame"], formula=formula(case), centre=False)
    rates = {}
    family = case.get("ours", case["family"])
    for variant in ("partial_pooling", *(("partial_pooling_centered",) if family != "normal" else ())):
        # A store of its own, so that nothing is read that another round has drawn.
        with tempfile.TemporaryDirectory() as folder, timed() as spent:
            variant_fit = fit(family, dataset, variant, priors=priors, engine="stanli",
                              sampling=Sampling(draws=DRAWS, seed=SEED), store=FitStore(Path(folder)))  # fmt: skip
        posterior = variant_fit.tree["posterior"]
        draws = [np.asarray(posterior[name]) for name in ("beta", "tau", "sd", "theta", "effect") if name in posterior]
        draws = [x for x in draws if x.size]
        rates[f"hbm_stan, {variant}"] = smallest_ess(draws) / spent[0]
    return rates


def theirs(case: Case) -> dict[str, float]:
    """PyMC's model in both forms, sampled by nutpie, NumPyro's, and Bambi's; of some cases nutpie's alone."""
    rates = {f"PyMC with nutpie, {form}": by_nutpie(case, form) for form in FORMS}
    if "peers" in case:
        return rates
    rates |= {f"NumPyro, {form}": by_numpyro(case, form) for form in FORMS}
    return rates | {"Bambi with nutpie": bambi(case)}


FORMS = ("non-centered", "centered")


def _indices(case: Case) -> dict[str, tuple[np.ndarray, int]]:
    """Of each factor the level of each row, and how many levels there are."""
    indices = {}
    for name in case["factors"]:
        index, labels = pd.factorize(case["frame"][name])
        indices[name] = (index, len(labels))
    return indices


def by_nutpie(case: Case, form: str) -> float:
    import nutpie
    import pymc as pm

    frame, scale = case["frame"], case["scale"]
    columns = np.column_stack([np.ones(len(frame)), frame[case["columns"]]])
    with pm.Model() as model:
        beta = pm.Normal("beta", *case["beta"], shape=columns.shape[1])
        eta = pm.math.dot(columns[:, 1:], beta[1:])
        for i, (name, (index, size)) in enumerate(_indices(case).items()):
            sd, middle = pm.HalfNormal(f"sd_{name}", scale), beta[0] if i == 0 else 0.0
            if form == "centered":
                effect = pm.Normal(f"u_{name}", middle, sd, shape=size)
            else:
                effect = pm.Deterministic(f"u_{name}", middle + sd * pm.Normal(f"z_{name}", shape=size))
            eta = eta + effect[index]
        if case["family"] == "normal":
            pm.Normal("y", eta, pm.HalfNormal("sigma", scale), observed=frame[case["y"]])
        elif case["family"] == "poisson":
            pm.Poisson("y", pm.math.exp(eta), observed=frame[case["y"]])
        else:
            spread = pm.Exponential("overdispersion", 1.0)
            pm.NegativeBinomial("y", mu=pm.math.exp(eta), alpha=spread**-2, observed=frame[case["y"]])
    compiled = nutpie.compile_pymc_model(model)
    with timed() as spent:
        trace = nutpie.sample(compiled, draws=DRAWS, tune=1000, chains=4, cores=2, seed=SEED, progress_bar=False)
    names = [
        n for n in trace.posterior.data_vars if n.split("_")[0] in {"beta", "sd", "u"} and not n.endswith("_log__")
    ]
    return smallest_ess([np.asarray(trace.posterior[name]) for name in names]) / spent[0]


def by_numpyro(case: Case, form: str) -> float:
    import numpyro

    numpyro.set_host_device_count(4)  # before JAX starts: a chain each, as many at once as there are cores
    import jax
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    numpyro.enable_x64()
    frame, scale, indices = case["frame"], case["scale"], _indices(case)
    columns, y = frame[case["columns"]].to_numpy(float), frame[case["y"]].to_numpy()

    def model() -> None:
        beta = numpyro.sample("beta", dist.Normal(*case["beta"]).expand([1 + columns.shape[1]]))
        eta = columns @ beta[1:]
        for i, (name, (index, size)) in enumerate(indices.items()):
            sd, middle = numpyro.sample(f"sd_{name}", dist.HalfNormal(scale)), beta[0] if i == 0 else 0.0
            if form == "centered":
                effect = numpyro.sample(f"u_{name}", dist.Normal(middle, sd).expand([size]))
            else:
                z = numpyro.sample(f"z_{name}", dist.Normal(0, 1).expand([size]))
                effect = numpyro.deterministic(f"u_{name}", middle + sd * z)
            eta = eta + effect[index]
        if case["family"] == "normal":
            numpyro.sample("y", dist.Normal(eta, numpyro.sample("sigma", dist.HalfNormal(scale))), obs=y)
        elif case["family"] == "poisson":
            numpyro.sample("y", dist.Poisson(jax.numpy.exp(eta)), obs=y)
        else:
            spread = numpyro.sample("overdispersion", dist.Exponential(1.0))
            numpyro.sample("y", dist.NegativeBinomial2(jax.numpy.exp(eta), spread**-2), obs=y)

    sampler = MCMC(NUTS(model), num_warmup=1000, num_samples=DRAWS, num_chains=4, progress_bar=False)
    sampler.run(jax.random.PRNGKey(SEED))  # compiles
    with timed() as spent:
        sampler.run(jax.random.PRNGKey(SEED + 1))
        draws = sampler.get_samples(group_by_chain=True)
        jax.block_until_ready(draws)
    return smallest_ess([np.asarray(x) for n, x in draws.items() if n.split("_")[0] in {"beta", "sd", "u"}]) / spent[0]


def bambi(case: Case) -> float:
    import bambi as bmb

    m, s = case["beta"]
    spread = bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=case["scale"]))
    varying = [f"1|{name}" for name in case["factors"]]
    priors = {name: bmb.Prior("Normal", mu=m, sigma=s) for name in ("Intercept", *case["columns"])}
    priors |= dict.fromkeys(varying, spread)
    if case["family"] == "normal":
        priors["sigma"] = bmb.Prior("HalfNormal", sigma=case["scale"])
    own = {"normal": "gaussian", "negative_binomial": "negativebinomial"}.get(case["family"], case["family"])
    model = bmb.Model(
        formula(case).replace(" | ", "|"), case["frame"], family=own, priors=priors, center_predictors=False
    )
    with timed() as spent:
        trace = model.fit(draws=DRAWS, tune=1000, chains=4, cores=2, random_seed=SEED, progressbar=False,
                          inference_method="nutpie")  # fmt: skip
    names = [n for n in trace.posterior.data_vars if n.split("_")[0] in {*priors, *varying} - {"sigma"}]
    return smallest_ess([np.asarray(trace.posterior[name]) for name in names]) / spent[0]


def by_peer(peer: str, name: str) -> dict[str, float]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([peer, __file__, "--theirs", name, out.name], check=True, stdout=subprocess.DEVNULL)
        rates: dict[str, float] = json.loads(Path(out.name).read_text(encoding="utf-8"))
    return rates


def main(peer: str, rounds: int, word: str) -> None:
    print("| | smallest bulk ESS per second |\n|---|---|")
    for name, case in ((name, case) for name, case in cases().items() if word in name):
        runs = [ours(case) | by_peer(peer, name) for _ in range(rounds)]
        for which in runs[0]:
            print(f"| {name}: {which} | {np.median([run[which] for run in runs]):,.0f} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "--theirs":
        Path(sys.argv[3]).write_text(json.dumps(theirs(cases()[sys.argv[2]])), encoding="utf-8")
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3, sys.argv[3] if len(sys.argv) > 3 else "")
