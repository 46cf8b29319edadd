"""Simulated values in five groups of 10 to 20 rows, with one standard deviation within all groups.

Run ``python data/grouped_data/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
MU, TAU, SIGMA = 50.0, 8.0, 6.0


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 4])  # the second number: a stream of its own
    data: list[list[object]] = []
    truth: list[list[object]] = [["mu", "", MU], ["tau", "", TAU], ["sigma", "", SIGMA]]
    for group in "ABCDE":
        theta = rng.normal(MU, TAU)
        n = int(rng.integers(10, 20, endpoint=True))
        data += [[group, f"{value:.2f}"] for value in rng.normal(theta, SIGMA, size=n)]
        truth.append(["theta", group, f"{theta:.6f}"])
    write("data.csv", ["group", "value"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
