"""Simulated conversions of 20 variants of a web page.

Run ``python data/ab_test/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
MEAN, CONCENTRATION, VARIANTS = 0.05, 400.0, 20


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 14])  # the second number: a stream of its own
    alpha, beta = MEAN * CONCENTRATION, (1 - MEAN) * CONCENTRATION
    data: list[list[object]] = []
    truth: list[list[object]] = [["mean", "", MEAN], ["concentration", "", CONCENTRATION]]
    truth += [["alpha", "", alpha], ["beta", "", beta]]
    for j in range(1, VARIANTS + 1):
        variant = f"Variant {j:02d}"
        theta = rng.beta(alpha, beta)
        visitors = int(rng.integers(500, 5000, endpoint=True))
        data.append([variant, rng.binomial(visitors, theta), visitors])
        truth.append(["theta", variant, f"{theta:.6f}"])
    write("data.csv", ["variant", "conversions", "visitors"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
