"""Simulated blood pressure trial in 20 hospitals: a treatment effect of each, with its standard error.

Run ``python data/treatment_sites/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
import math
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
MU, TAU, SIGMA, HOSPITALS = 4.0, 3.0, 12.0, 20


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 3])  # the second number: a stream of its own
    data: list[list[object]] = []
    truth: list[list[object]] = [["mu", "", MU], ["tau", "", TAU], ["sigma", "", SIGMA]]
    for j in range(1, HOSPITALS + 1):
        hospital = f"Hospital {j:02d}"
        theta = rng.normal(MU, TAU)
        treated, control = (int(n) for n in rng.integers(15, 120, size=2, endpoint=True))
        error = SIGMA * math.sqrt(1 / treated + 1 / control)
        data.append([hospital, treated, control, f"{rng.normal(theta, error):.2f}", f"{error:.4f}"])
        truth.append(["theta", hospital, f"{theta:.6f}"])
    write("data.csv", ["hospital", "n_treated", "n_control", "effect", "standard_error"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
