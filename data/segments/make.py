"""Simulated basket values of 12 customer segments of 3 to 400 rows, each with its own standard deviation.

Run ``python data/segments/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
import math
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
MU, TAU, SEGMENTS = 40.0, 6.0, 12
SIGMA_MEDIAN, SIGMA_LOG_SD = 12.0, 0.3


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 5])  # the second number: a stream of its own
    sizes = rng.permutation(np.rint(np.geomspace(3, 400, SEGMENTS)).astype(int))
    data: list[list[object]] = []
    truth: list[list[object]] = [["mu", "", MU], ["tau", "", TAU]]
    truth += [["sigma_median", "", SIGMA_MEDIAN], ["sigma_log_sd", "", SIGMA_LOG_SD]]
    for j, n in enumerate(sizes, start=1):
        segment = f"Segment {j:02d}"
        theta = rng.normal(MU, TAU)
        sigma = rng.lognormal(math.log(SIGMA_MEDIAN), SIGMA_LOG_SD)
        data += [[segment, f"{value:.2f}"] for value in rng.normal(theta, sigma, size=n)]
        truth += [["theta", segment, f"{theta:.6f}"], ["sigma", segment, f"{sigma:.6f}"]]
    write("data.csv", ["segment", "basket_value"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
