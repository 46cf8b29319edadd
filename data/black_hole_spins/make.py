"""Simulated spins of 40 merging black holes, each with an estimate and its standard error; large spins are seen more.

Run ``python data/black_hole_spins/make.py``: it writes data.csv, detection.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
EVENTS, ALPHA, BETA = 40, 2.0, 5.0


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def detection(x: np.ndarray) -> np.ndarray:
    """The probability that an event with spin x is seen: 0.1 without spin, 1 at the largest."""
    return 0.1 + 0.9 * x**1.5


def main() -> None:
    """Draw events of the population until enough are seen, and measure those."""
    rng = np.random.default_rng([SEED, 151])
    spins: list[float] = []
    while len(spins) < EVENTS:
        x = rng.beta(ALPHA, BETA)
        if rng.uniform() < detection(np.array(x)):
            spins.append(float(x))
    theta = np.array(spins)
    errors = np.exp(rng.uniform(np.log(0.03), np.log(0.15), EVENTS)).round(3)
    estimates = rng.normal(theta, errors).round(3)
    names = [f"E{i + 1:02d}" for i in range(EVENTS)]
    grid = np.linspace(0, 1, 21)
    write("data.csv", ["event", "spin", "error"], [list(row) for row in zip(names, estimates, errors, strict=True)])
    chances = zip(grid, detection(grid), strict=True)
    write("detection.csv", ["spin", "seen"], [[f"{x:g}", f"{p:.4f}"] for x, p in chances])
    truth: list[list[object]] = [["alpha", "", ALPHA], ["beta", "", BETA]]
    truth += [["theta", name, f"{value:.6f}"] for name, value in zip(names, theta, strict=True)]
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
