"""Is the automatic parameterisation the right one? A sweep from 1 to 1000 rows a group.

Logistic regression with varying intercepts and slopes of 20 simulated groups. For each number of rows a group and each
of some seeds of the sampler, interleaved: the automatic choice with pilots of its own, and a whole run of every fixed
form with the default settings on stanli. Printed are medians over the seeds: share of divergent draws, smallest bulk
ESS of all parameters and group effects per 1,000 gradients and per second; then what was chosen with each seed, the
ratio of the worst of these choices to the best fixed form (by ESS per gradient; a form with more divergences than
0.5 % is not the best where another has fewer, and a choice of it counts as 0), and what the pilots took of the seconds
of a whole run of the form chosen. The exit code is 1 where a ratio is below 0.8.

``python tests/tools/sweep.py`` runs it, ``python tests/tools/sweep.py 30 100`` for these rows a group only;
``HBM_SWEEP_SEEDS=1`` one seed (3 unless told), ``HBM_SWEEP_DATA=2`` other data. The seeds were fixed before the first
run.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from arviz_stats.base import array_stats

from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.parameterise import choose_parameterisation
from hbm_stan.store import FitStore

SEED = 20261121
ROWS = (1, 3, 10, 30, 100, 300, 1000)
FORMS = ("centered", "noncentered", "by_term")
GROUPS, MEANS, SDS, CORRELATION = 20, (0.3, -0.5), (0.6, 0.3), -0.3
WORST_RATIO, MOST_DIVERGENCES = 0.8, 0.005
FAMILY = family("logistic_regression")


@dataclass(frozen=True)
class Run:
    """A whole run: share of divergent draws, smallest bulk ESS, gradients after warm-up, seconds with warm-up."""

    divergent: float
    ess: float
    gradients: float
    seconds: float


def simulated(rows: int, stream: int) -> Dataset:
    """Groups of so many rows; the predictor lies on 21 values from -2 to 2."""
    rng = np.random.default_rng([SEED, rows, stream])
    z = rng.normal(size=(GROUPS, 2))
    z[:, 1] = CORRELATION * z[:, 0] + np.sqrt(1 - CORRELATION**2) * z[:, 1]
    theta = np.array(MEANS) + np.array(SDS) * z
    group = np.repeat(np.arange(GROUPS), rows)
    x = rng.integers(-10, 10, size=group.size, endpoint=True) / 5
    y = rng.binomial(1, 1 / (1 + np.exp(-(theta[group, 0] + theta[group, 1] * x))))
    frame = pd.DataFrame({"group": [f"group {j + 1:02d}" for j in group], "x": x, "y": y})
    return Dataset.from_frame(frame, group="group", outcome="y", predictors=["x"])


def whole_run(dataset: Dataset, form: str, seed: int) -> Run:
    """The default sampling of one form."""
    table = prepare_table(FAMILY, dataset)
    variant = f"partial_pooling_{form}"
    data = FAMILY.stan_data(table, FAMILY.priors(table), variant, generate=False)
    started = time.perf_counter()
    drawn = StanliEngine().sample(FAMILY.program(variant), data, Sampling(seed=seed))
    seconds = time.perf_counter() - started
    smallest = min(
        float(np.min(array_stats.ess(np.moveaxis(v.reshape(*v.shape[:2], -1), 2, 0), method="bulk")))
        for v in (drawn.variables[name] for name in ("mu", "tau", "rho", "theta"))
    )
    stats = drawn.sample_stats
    return Run(float(stats["diverging"].mean()), smallest, float(stats["n_steps"].sum()), seconds)


def chosen(dataset: Dataset, seed: int) -> tuple[str, float]:
    """The form that is chosen, and the seconds that the choice took."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        variant = choose_parameterisation(
            FAMILY, dataset, seed=seed, store=FitStore(Path(folder)), engine=StanliEngine()
        ).variant
        seconds = time.perf_counter() - started
    return variant.removeprefix("partial_pooling").lstrip("_") or "noncentered", seconds


def median(runs: Sequence[Run], value: str) -> float:
    if value == "per gradient":
        return statistics.median(1000 * r.ess / r.gradients for r in runs)
    if value == "per second":
        return statistics.median(r.ess / r.seconds for r in runs)
    return statistics.median(getattr(r, value) for r in runs)


def sweep(rows: int, seeds: Sequence[int], stream: int) -> float:
    """Print the lines of so many rows a group; the ratio of the worst choice to the best form."""
    dataset = simulated(rows, stream)
    runs: dict[str, list[Run]] = {form: [] for form in FORMS}
    choices, costs = [], []
    for seed in seeds:
        choice, seconds = chosen(dataset, seed)
        for form in FORMS:
            runs[form].append(whole_run(dataset, form, seed))
        choices.append(choice)
        costs.append(seconds / runs[choice][-1].seconds)
    fine = [f for f in FORMS if median(runs[f], "divergent") <= MOST_DIVERGENCES] or list(FORMS)
    worth = {form: median(runs[form], "per gradient") * (form in fine) for form in FORMS}
    ratio = min(worth[choice] for choice in choices) / max(worth.values())
    shown = "  ".join(
        f"{100 * median(runs[f], 'divergent'):>5.2f} {median(runs[f], 'per gradient'):>6.2f} "
        f"{median(runs[f], 'per second'):>6.0f}"
        for f in FORMS
    )
    print(f"{rows:>5}  {shown}  {', '.join(choices):<37} {ratio:>5.2f} {statistics.median(costs):>5.0%}", flush=True)
    return ratio


def main() -> None:
    """Print the table."""
    rows = [int(word) for word in sys.argv[1:]] or ROWS
    seeds = range(SEED, SEED + int(os.environ.get("HBM_SWEEP_SEEDS", "3")))
    print(" rows  " + "  ".join(f"{form:^20}" for form in FORMS) + "  chosen with each seed" + " " * 17 + "ratio pilot")
    print("       " + "  ".join(["div %  /1000    /s  "] * len(FORMS)))
    ratios = [sweep(n, seeds, int(os.environ.get("HBM_SWEEP_DATA", "0"))) for n in rows]
    print(f"worst ratio {min(ratios):.2f}; at least {WORST_RATIO} is asked for")
    sys.exit(min(ratios) < WORST_RATIO)


if __name__ == "__main__":
    main()
