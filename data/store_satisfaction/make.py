"""Simulated customer ratings of 50 shops: a mean score of each, with its standard error.

Run ``python data/store_satisfaction/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
import math
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
MU, TAU, SIGMA, SHOPS = 72.0, 5.0, 15.0, 50


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 2])  # the second number: a stream of its own
    data: list[list[object]] = []
    truth: list[list[object]] = [["mu", "", MU], ["tau", "", TAU], ["sigma", "", SIGMA]]
    for j in range(1, SHOPS + 1):
        shop = f"Shop {j:02d}"
        theta = rng.normal(MU, TAU)
        n = round(math.exp(rng.uniform(math.log(5), math.log(200))))
        error = SIGMA / math.sqrt(n)
        data.append([shop, n, f"{rng.normal(theta, error):.2f}", f"{error:.4f}"])
        truth.append(["theta", shop, f"{theta:.6f}"])
    write("data.csv", ["shop", "n_ratings", "mean_score", "standard_error"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
