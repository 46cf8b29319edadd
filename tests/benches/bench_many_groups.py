"""A logistic regression of 10,000 cities with correlated slopes: our posterior beside the point estimate of glmm.

``python tests/benches/bench_many_groups.py PEER [ROUNDS] [CITIES]`` prints seconds from a table to the posterior of the
population, and on to that of all cities, with 600 and 4,000 draws, in turns with glmm's maximum by quadrature (5 x 5
nodes, imports apart), and the largest memory of a process. PEER is a Python that has glmm; it runs this file too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np

SEED, ROWS_EACH, DRAWS = 20261130, 20, (150, 1000)


def table(cities: int) -> dict[str, np.ndarray]:
    """Columns city, x and y: 20 rows a city on average, sds 0.8 and 0.4, correlation 0.375."""
    rng = np.random.default_rng(SEED)
    city, x = rng.integers(0, cities, ROWS_EACH * cities), rng.normal(size=ROWS_EACH * cities)
    theta = rng.multivariate_normal([-1, 0.5], [[0.64, 0.12], [0.12, 0.16]], cities)
    eta = theta[city, 0] + theta[city, 1] * x
    return {"city": np.char.add("c", city.astype(str)), "x": x, "y": rng.binomial(1, 1 / (1 + np.exp(-eta)))}


def glmm(cities: int) -> dict[str, float]:
    import glmm

    frame = table(cities)
    start = time.perf_counter()
    fit = glmm.fit(frame, "y ~ x + (1 + x | city)", family="binomial", nagq=5)
    return {"seconds": time.perf_counter() - start, "x": float(fit.beta[1])}


def ours(cities: int, draws: int) -> dict[str, float]:
    import pandas as pd

    from hbm_stan import by_nodes
    from hbm_stan.data import Dataset
    from hbm_stan.draw import fit_unkept
    from hbm_stan.engines import Sampling, choose
    from hbm_stan.families import families
    from hbm_stan.fit import jobs_of
    from hbm_stan.mixing import ess_bulk

    frame = pd.DataFrame(table(cities))
    start = time.perf_counter()
    dataset = Dataset.from_frame(frame, formula="y ~ x + (1 + x | city)")
    sampling = Sampling(draws=draws)
    [job] = jobs_of(families()["binomial"], dataset, ["partial_pooling"], None, sampling, choose("stanli"))
    draw_coefficients, at = by_nodes.draw_coefficients, []

    def noted(*arguments):
        at.append(time.perf_counter())  # all draws of the population are there
        return draw_coefficients(*arguments)

    by_nodes.draw_coefficients = noted
    posterior = fit_unkept(job).tree["posterior"]
    seconds = time.perf_counter() - start
    population = np.concatenate([posterior[name].values for name in ("beta", "tau", "rho")], axis=2)
    return {
        "seconds": seconds,
        "of the population": at[0] - start,
        "x": float(posterior["beta"].values[..., 1].mean()),
        "ess": float(ess_bulk(np.moveaxis(population, 2, 0)).min()),
    }


def main(peer: str, rounds: int = 3, cities: int = 10_000) -> None:
    runs = {"glmm, point estimate": [peer, __file__, "--glmm", str(cities)]}
    runs |= {f"hbm_stan, {4 * n:,} draws": [sys.executable, __file__, "--ours", str(cities), str(n)] for n in DRAWS}
    times: dict[str, list[dict[str, float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, command in runs.items():
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times[name].append(json.loads(done.stdout.splitlines()[-1]))
    for name, rows in times.items():
        middle = {key: float(np.median([row[key] for row in rows])) for key in rows[0]}
        print(f"{name:28s}", "  ".join(f"{key} {value:,.3g}" for key, value in middle.items()))


if __name__ == "__main__":
    if sys.argv[1] in {"--glmm", "--ours"}:
        result = glmm(int(sys.argv[2])) if sys.argv[1] == "--glmm" else ours(*map(int, sys.argv[2:4]))
        print(json.dumps({**result, "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))
    else:
        main(sys.argv[1], *map(int, sys.argv[2:4]))
