"""How often are LOO-PIT and calibration wrong, and what do they see? ``nice python tests/tools/loo_pit_rates.py``.

Tables are simulated from known values, fitted with partial pooling and default priors on stanli (two chains of 500
draws), and the transforms of rows that are left out, or the calibration of rows of 0 and 1, are looked at. On tables of
the right model a warning is a false alarm; on those of a wrong one it is what is wanted, with the word for the fault.
Printed are the shares of tables with a warning, in per cent, and how often each departure was named.

``--sets 200`` tables a line (a quarter as many of wrong models), ``--only WORD`` lines whose name holds the word. The
seed was fixed before the first run. The exit code is 1 where more than 2 % of right models are warned of.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from row_misfit import _Nowhere

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.fit import Fit
from hbm_stan.loo_pit import loo_pit, why_no_pit
from hbm_stan.reliability import reliability

SEED = 20261129
SAMPLING = Sampling(chains=2, warmup=300, draws=500, seed=SEED)
# Asked for: a false alarm in at most one of 50 right models, over all lines.
MOST = 1 / 50

_Rng = np.random.Generator
_Simulate = Callable[[_Rng], pd.DataFrame]


@dataclass(frozen=True)
class Line:
    """A kind of tables: the family and formula that are fitted, a simulator, and whether that model is right."""

    name: str
    family: str
    formula: str
    simulate: _Simulate
    right: bool


def frame(rng: _Rng, draw: Callable[[_Rng, np.ndarray, np.ndarray], dict[str, np.ndarray]], groups: int, most: int,
          spread: float = 0.5) -> pd.DataFrame:  # fmt: skip
    """Rows of groups of unequal sizes, shuffled, with a column x; ``draw`` makes the outcome from eta and x."""
    group = rng.permutation(np.repeat(np.arange(groups), rng.integers(2, most, groups, endpoint=True)))
    x = rng.normal(size=len(group))
    eta = rng.uniform(-0.5, 1) + spread * rng.normal(size=groups)[group] + 0.5 * x
    return pd.DataFrame({"g": [f"g{j:03d}" for j in group], "x": x, **draw(rng, eta, x)})


def rows(draw: Callable[[_Rng, np.ndarray, np.ndarray], dict[str, np.ndarray]], groups: int = 12, most: int = 24,
         spread: float = 0.5) -> _Simulate:  # fmt: skip
    return lambda rng: frame(rng, draw, groups, most, spread)


def estimates(times: float) -> Callable[[_Rng, np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    """Estimates whose true errors are ``times`` those that are stated."""

    def draw(rng: _Rng, eta: np.ndarray, _x: np.ndarray) -> dict[str, np.ndarray]:
        se = rng.uniform(0.3, 1.0, eta.size)
        return {"y": rng.normal(eta, times * se), "s": se}

    return draw


def counts(size: float) -> Callable[[_Rng, np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    """Counts; of a finite ``size`` negative binomial."""

    def draw(rng: _Rng, eta: np.ndarray, _x: np.ndarray) -> dict[str, np.ndarray]:
        more = rng.gamma(size, 1 / size, eta.size) if np.isfinite(size) else 1.0
        return {"y": rng.poisson(np.exp(eta + 0.5) * more)}

    return draw


def binary(bend: float, flipped: float) -> Callable[[_Rng, np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    """0 and 1, with a square of x, and with so many of them flipped."""

    def draw(rng: _Rng, eta: np.ndarray, x: np.ndarray) -> dict[str, np.ndarray]:
        p = 1 / (1 + np.exp(-(eta + x + bend * (x**2 - 1))))
        return {"y": (rng.random(x.size) < np.where(rng.random(x.size) < flipped, 1 - p, p)).astype(int)}

    return draw


def trials(rng: _Rng, eta: np.ndarray, _x: np.ndarray) -> dict[str, np.ndarray]:
    n = rng.integers(3, 20, eta.size, endpoint=True)
    return {"n": n, "y": rng.binomial(n, 1 / (1 + np.exp(-eta)))}


def residual(
    draw: Callable[[_Rng, int], np.ndarray],
) -> Callable[[_Rng, np.ndarray, np.ndarray], dict[str, np.ndarray]]:
    """Numbers about eta with errors of their own."""
    return lambda rng, eta, _x: {"y": eta + draw(rng, eta.size)}


def one_each(rng: _Rng) -> pd.DataFrame:
    """A single estimate of each of 40 groups."""
    se = rng.uniform(0.3, 1.0, 40)
    return pd.DataFrame({"g": [f"g{j}" for j in range(40)], "y": rng.normal(rng.normal(1, 0.5, 40), se), "s": se})


def normal(rng: _Rng, n: int) -> np.ndarray:
    return rng.normal(0, 0.7, n)


def skewed(rng: _Rng, n: int) -> np.ndarray:
    return rng.gamma(1.5, 0.6, n) - 0.9


def heavy(rng: _Rng, n: int) -> np.ndarray:
    return 0.5 * rng.standard_t(2, n)


LINES = (
    Line("normal rows, 12 groups of 2 to 24", "normal", "y ~ x + (1 | g)", rows(residual(normal)), True),
    Line("normal rows, 40 groups of 2 to 4", "normal", "y ~ x + (1 | g)", rows(residual(normal), 40, 4), True),
    Line("estimates, groups of several", "estimates", "y | se(s) ~ x + (1 | g)", rows(estimates(1.0)), True),
    Line("estimates, one a group", "estimates", "y | se(s) ~ 1 + (1 | g)", one_each, True),
    Line("counts", "poisson", "y ~ x + (1 | g)", rows(counts(np.inf)), True),
    Line("successes of trials", "binomial", "y | trials(n) ~ x + (1 | g)", rows(trials), True),
    Line("0 and 1, 12 groups of 2 to 60", "binomial", "y ~ x + (1 | g)", rows(binary(0, 0), 12, 60), True),
    Line("0 and 1, 60 groups of 2 to 6", "binomial", "y ~ x + (1 | g)", rows(binary(0, 0), 60, 6), True),
    Line("stated errors too small (true ones 1.6 times)", "estimates", "y | se(s) ~ x + (1 | g)",
         rows(estimates(1.6)), False),
    Line("stated errors too large (true ones 0.6 times)", "estimates", "y | se(s) ~ x + (1 | g)",
         rows(estimates(0.6)), False),
    Line("Poisson fitted to negative binomial counts", "poisson", "y ~ x + (1 | g)", rows(counts(1.5)), False),
    Line("normal fitted to skewed rows (gamma, shape 1.5)", "normal", "y ~ x + (1 | g)", rows(residual(skewed)), False),
    Line("normal fitted to heavy tails (t, 2)", "normal", "y ~ x + (1 | g)", rows(residual(heavy)), False),
    Line("0 and 1 without the square of x", "binomial", "y ~ x + (1 | g)", rows(binary(1.0, 0), 12, 60), False),
    Line("0 and 1, a tenth of them flipped", "binomial", "y ~ x + (1 | g)", rows(binary(0, 0.1), 12, 60), False),
)  # fmt: skip


def looked_at(row_fit: Fit) -> tuple[float, str]:
    """The p of a fit, and the departure that it is warned of, if any."""
    left_out = reliability(row_fit) if why_no_pit(row_fit) else loo_pit(row_fit)
    return left_out.p_value, left_out.as_dict()["departure"]


def outcomes_of(line: Line, sets: int) -> list[tuple[float, str]]:
    """The p and the departure of each table."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for k in range(sets):
            rng = np.random.default_rng([SEED, k, *line.name.encode()])
            data = Dataset.from_frame(line.simulate(rng), formula=line.formula)
            store = _Nowhere(Path(folder))
            row_fit = fit(line.family, data, "partial_pooling", sampling=SAMPLING, engine="stanli", store=store)
            outcomes.append(looked_at(row_fit))
    return outcomes


def main() -> None:
    """Print the table, a line at a time."""
    parser = argparse.ArgumentParser(description="False alarms and power of LOO-PIT and calibration.")
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print("| rows | model | tables | warned | p below 0.05 | called |\n|---|---|---|---|---|---|", flush=True)
    false, right = 0, 0
    for line in (one for one in LINES if options.only in one.name):
        outcomes = outcomes_of(line, options.sets if line.right else max(options.sets // 4, 1))
        names = [name for _, name in outcomes if name]
        called = ", ".join(f"{name} {n}" for name, n in Counter(names).most_common()) or "–"
        warned, low = (100 * n / len(outcomes) for n in (len(names), sum(p < 0.05 for p, _ in outcomes)))
        kind = "right" if line.right else "wrong"
        print(f"| {line.name} | {kind} | {len(outcomes)} | {warned:.1f} % | {low:.1f} % | {called} |", flush=True)
        false, right = false + line.right * len(names), right + line.right * len(outcomes)
    sys.exit(false > MOST * right)


if __name__ == "__main__":
    main()
