"""Crossed factors beside PyMC with nutpie and Bambi, same priors: smallest bulk ESS of all coefficients per second.

``python tests/bench_terms.py PEER [ROUNDS]`` prints medians of interleaved rounds. For the peers sampling alone counts,
for us all from the table to the draws. PEER is a Python that has pymc, nutpie and bambi; it runs this file too.
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


def _crossed(groups: int, items: int, rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    g, h = rng.integers(0, groups, rows), rng.integers(0, items, rows)
    eta = 0.5 + rng.normal(0, 0.7, groups)[g] + rng.normal(0, 0.5, items)[h]
    return pd.DataFrame(
        {"g": g.astype(str), "h": h.astype(str), "y": rng.normal(eta, 1), "c": rng.poisson(np.exp(eta))}
    )


def cases() -> dict[str, Case]:
    data = Path(__file__).parents[1] / "data"
    plates = pd.read_csv(data / "penicillin" / "data.csv").rename(
        columns={"plate": "g", "sample": "h", "diameter_mm": "y"}
    )
    return {
        "penicillin, 24 x 6": {"frame": plates, "y": "y", "family": "normal", "beta": (23, 5), "scale": 2},
        "normal, 200 x 50, 20,000 rows": {
            "frame": _crossed(200, 50, 20_000), "y": "y", "family": "normal", "beta": (0, 5), "scale": 2,
        },
        "Poisson, 60 x 20, 1,200 rows": {
            "frame": _crossed(60, 20, 1200), "y": "c", "family": "poisson", "beta": (0, 2.5), "scale": 1,
        },
    }  # fmt: skip


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

    m, s = case["beta"]
    priors = {
        "beta": f"normal({m}, {s})",
        "tau": f"half_normal({case['scale']})",
        "sd": f"half_normal({case['scale']})",
    }
    if case["family"] == "normal":
        priors["sigma"] = f"half_normal({case['scale']})"
    dataset = Dataset.from_frame(case["frame"], formula=f"{case['y']} ~ 1 + (1 | g) + (1 | h)")
    found = {}
    for variant in ("partial_pooling", *(("partial_pooling_centered",) if case["family"] == "poisson" else ())):
        with timed() as spent:
            made = fit(case["family"], dataset, variant, priors=priors, engine="stanli",
                       sampling=Sampling(draws=DRAWS, seed=SEED))  # fmt: skip
        posterior = made.tree["posterior"]
        draws = [np.asarray(posterior[name]) for name in ("beta", "tau", "sd", "theta", "effect")]
        found[f"hbm_stan, {variant}"] = smallest_ess(draws) / spent[0]
    return found


def theirs(case: Case) -> dict[str, float]:
    """PyMC's model in both forms, sampled by nutpie, and Bambi's."""
    import nutpie
    import pymc as pm

    frame, scale, found = case["frame"], case["scale"], {}
    g, labels = pd.factorize(frame["g"])
    h, items = pd.factorize(frame["h"])
    for form in ("non-centered", "centered"):
        with pm.Model() as model:
            beta = pm.Normal("beta", *case["beta"])
            tau, sd = pm.HalfNormal("tau", scale), pm.HalfNormal("sd", scale)
            if form == "centered":
                theta, effect = (
                    pm.Normal("theta", beta, tau, shape=len(labels)),
                    pm.Normal("effect", 0, sd, shape=len(items)),
                )
            else:
                theta = pm.Deterministic("theta", beta + tau * pm.Normal("u", shape=len(labels)))
                effect = pm.Deterministic("effect", sd * pm.Normal("v", shape=len(items)))
            eta = theta[g] + effect[h]
            if case["family"] == "normal":
                pm.Normal("y", eta, pm.HalfNormal("sigma", scale), observed=frame[case["y"]])
            else:
                pm.Poisson("y", pm.math.exp(eta), observed=frame[case["y"]])
        compiled = nutpie.compile_pymc_model(model)
        with timed() as spent:
            made = nutpie.sample(compiled, draws=DRAWS, tune=1000, chains=4, cores=2, seed=SEED, progress_bar=False)
        draws = [np.asarray(made.posterior[name]) for name in ("beta", "tau", "sd", "theta", "effect")]
        found[f"PyMC with nutpie, {form}"] = smallest_ess(draws) / spent[0]
    found["Bambi with nutpie"] = bambi(case)
    return found


def bambi(case: Case) -> float:
    import bambi as bmb

    m, s = case["beta"]
    spread = bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=case["scale"]))
    priors = {"Intercept": bmb.Prior("Normal", mu=m, sigma=s), "1|g": spread, "1|h": spread}
    if case["family"] == "normal":
        priors["sigma"] = bmb.Prior("HalfNormal", sigma=case["scale"])
    own = "gaussian" if case["family"] == "normal" else "poisson"
    model = bmb.Model(
        f"{case['y']} ~ 1 + (1|g) + (1|h)", case["frame"], family=own, priors=priors, center_predictors=False
    )
    with timed() as spent:
        made = model.fit(draws=DRAWS, tune=1000, chains=4, cores=2, random_seed=SEED, progressbar=False,
                         inference_method="nutpie")  # fmt: skip
    names = [n for n in made.posterior.data_vars if n.split("_")[0] in {"Intercept", "1|g", "1|h"}]
    return smallest_ess([np.asarray(made.posterior[name]) for name in names]) / spent[0]


def by_peer(peer: str, name: str) -> dict[str, float]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([peer, __file__, "--theirs", name, out.name], check=True, stdout=subprocess.DEVNULL)
        found: dict[str, float] = json.loads(Path(out.name).read_text(encoding="utf-8"))
    return found


def main(peer: str, rounds: int) -> None:
    print("| | smallest bulk ESS per second |\n|---|---|")
    for name, case in cases().items():
        runs = [ours(case) | by_peer(peer, name) for _ in range(rounds)]
        for which in runs[0]:
            print(f"| {name}: {which} | {np.median([run[which] for run in runs]):,.0f} |", flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "--theirs":
        Path(sys.argv[3]).write_text(json.dumps(theirs(cases()[sys.argv[2]])), encoding="utf-8")
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3)
