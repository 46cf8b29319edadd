"""A formula beside the family of the same model, same priors: smallest bulk ESS per second of sampling, engine stanli.

``python tests/benches/bench_formulas.py [SEEDS] [WORD]`` prints processor time without compiling, in which chains take
turns with the other program, the mean of the smallest bulk ESS over seeds, and the ratio to the family. WORD: only the
cases whose names hold it. 10,000 groups take half a minute a seed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import families
from hbm_stan.fit import jobs_of

SEED, GROUPS = 3, 10_000
POPULATION = ("mu", "gamma", "beta", "tau", "rho", "sigma")
Side = tuple[str, Dataset, dict[str, str]]  # a family, its data, priors that are not the defaults


def cases() -> Iterator[tuple[str, Side, Side]]:
    """Name, family and formula of one model."""
    schools = pd.read_csv("data/eight_schools/data.csv")
    yield "eight schools", *_means(schools, ("effect", "se", "school"), 20)
    rng = np.random.default_rng(SEED)
    s = rng.uniform(0.5, 1.5, GROUPS)
    many = pd.DataFrame({"g": [f"g{j}" for j in range(GROUPS)], "s": s, "y": rng.normal(1, np.hypot(1, s))})
    yield "10,000 estimates", *_means(many, ("y", "s", "g"), 5)
    yield "sleepstudy", *_lines("sleepstudy", "reaction_ms", "days", "subject")
    yield "radon", *_lines("radon", "log_radon", "floor", "county")


def _means(frame: pd.DataFrame, columns: tuple[str, str, str], scale: int) -> tuple[Side, Side]:
    estimate, error, group = columns
    priors = {"tau": f"half_normal({scale})"}
    own = Dataset.from_frame(frame, group=group, estimate=estimate, standard_error=error)
    formula = Dataset.from_frame(frame, formula=f"{estimate} | se({error}) ~ 1 + (1 | {group})", centre=False)
    location = f"normal(0, {scale})"
    return ("normal_means", own, {"mu": location, **priors}), ("estimates", formula, {"beta": location, **priors})


def _lines(name: str, outcome: str, predictor: str, group: str) -> tuple[Side, Side]:
    frame = pd.read_csv(f"data/{name}/data.csv")
    own = Dataset.from_frame(frame, group=group, outcome=outcome, predictors=[predictor])
    formula = Dataset.from_frame(frame, formula=f"{outcome} ~ {predictor} + (1 + {predictor} | {group})")
    return ("linear_regression", own, {}), ("normal", formula, {})


def smallest_ess(variables: dict[str, np.ndarray]) -> float:
    """The smallest bulk ESS of population parameters; those that are constant have none."""
    columns = [variables[name].reshape(*variables[name].shape[:2], -1) for name in POPULATION if name in variables]
    values = [float(array_stats.ess(c[..., k], chain_axis=0, draw_axis=1)) for c in columns for k in range(c.shape[2])]
    return min(value for value in values if np.isfinite(value))


def main(seeds: int = 20, word: str = "") -> None:
    engine = StanliEngine()
    for name, *sides in cases():
        if word not in name:
            continue
        jobs = [jobs_of(families()[f], d, ["partial_pooling"], p, Sampling(), engine)[0] for f, d, p in sides]
        ess: list[list[float]] = [[], []]
        spent: list[list[float]] = [[], []]
        for seed in range(1, seeds + 1):
            for k, job in enumerate(jobs):
                start = time.process_time()
                engine.model(job.program, job.data)
                compiled = time.process_time()
                drawn = engine.sample(job.program, job.data, Sampling(draws=1000, seed=seed))
                spent[k].append(time.process_time() - compiled - (compiled - start))
                ess[k].append(smallest_ess(dict(drawn.variables)))
        speed = [np.mean(e) / np.median(s) for e, s in zip(ess, spent, strict=True)]
        for k, side in enumerate(sides):
            print(f"{name:18s} {side[0]:18s} {np.median(spent[k]):8.3f} s  ESS {np.mean(ess[k]):6.0f}"
                  f"  {speed[k]:9.0f} / s  {speed[k] / speed[0]:5.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:3])
