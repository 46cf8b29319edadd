"""What a gradient of each likelihood takes beside Poisson's, on the same table of distinct rows: embedded engine.

``python tests/benches/bench_gradients.py [ROWS] [ROUNDS]`` prints processor time of a gradient in microseconds, medians
of interleaved rounds, and the ratio to Poisson. The table has a number and 23 by 20 crossed levels; no two of its rows
are alike, so that none can be counted together. The last line is no likelihood: two log Gammas a row of a line's shares
and nothing else, below which no exact likelihood of shares comes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.engines.points import Points
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.families import families
from hbm_stan.fit import jobs_of
from hbm_stan.program import Program

SEED, GROUPS, LEVELS, POINTS = 20261130, 23, 20, 100_000  # points so many rows long a round
OUTCOMES = {
    "poisson": "count", "negative_binomial": "over", "zero_inflated_poisson": "zeros", "student_t": "number",
    "zero_inflated_negative_binomial": "zeros", "binomial": "yes", "beta_binomial_rows": "successes | trials(trials)",
    "gamma": "amount", "cumulative": "rating", "beta": "share",
}  # fmt: skip


def table(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    g, h, x = rng.integers(0, GROUPS, rows), rng.integers(0, LEVELS, rows), rng.normal(size=rows)
    eta = -0.3 + 0.4 * x + rng.normal(0, 0.7, GROUPS)[g] + rng.normal(0, 0.5, LEVELS)[h]
    p, trials = 1 / (1 + np.exp(-eta)), rng.integers(5, 20, rows)
    over = rng.negative_binomial(2, 2 / (2 + np.exp(eta)))
    return pd.DataFrame({
        "g": g.astype(str), "h": h.astype(str), "x": x, "count": rng.poisson(np.exp(eta)), "over": over,
        "zeros": over * rng.binomial(1, 0.7, rows), "number": rng.normal(eta, 1), "yes": rng.binomial(1, p),
        "trials": trials, "successes": rng.binomial(trials, p), "amount": rng.gamma(2, np.exp(eta)),
        "rating": np.digitize(eta + rng.logistic(size=rows), [-2, -0.5, 0.5, 2]) + 1,
        "share": rng.beta(20 * p, 20 * (1 - p)).clip(1e-9, 1 - 1e-9),
    })  # fmt: skip


# A line with two coefficients, and the log Gammas that the density of a share takes, with a concentration of 20.
TWO_LOG_GAMMAS = """
data { int N; vector[N] x; }
parameters { vector[2] beta; }
model {
  vector[N] eta = beta[1] + beta[2] * x;
  target += sum(lgamma(20 * inv_logit(eta)) + lgamma(20 * inv_logit(-eta)));
}
"""


def log_gammas(engine: StanliEngine, frame: pd.DataFrame) -> Points:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "two_log_gammas.stan"
        path.write_text(TWO_LOG_GAMMAS)
        return Points(engine.model(Program.read(path), {"N": len(frame), "x": frame["x"].to_numpy()}))


def main(rows: int = 644, rounds: int = 9) -> None:
    frame, engine, models = table(rows), StanliEngine(), {}
    for name, outcome in OUTCOMES.items():
        dataset = Dataset.from_frame(frame, formula=f"{outcome} ~ x + (1 | g) + (1 | h)")
        [job] = jobs_of(families()[name], dataset, ["partial_pooling"], None, Sampling(), engine)
        models[name] = Points(engine.model(job.program, job.data))
    models["two log Gammas a row"] = log_gammas(engine, frame)
    spent: dict[str, list[float]] = {name: [] for name in models}
    points = max(20, POINTS // rows)
    for _ in range(rounds):
        for name, model in models.items():
            at = np.random.default_rng(SEED).normal(0, 0.2, (points, model.dimension))
            start = time.process_time()
            model(at)
            spent[name].append(1e6 * (time.process_time() - start) / points)
    poisson = float(np.median(spent["poisson"]))
    for name, times in spent.items():
        print(f"{name:32s} {np.median(times):9.1f} us  {np.median(times) / poisson:5.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
