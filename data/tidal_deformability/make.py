"""Simulated tidal deformability of 24 neutron stars: one curve in their mass, events off it, errors of measurement.

Run ``python data/tidal_deformability/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
EVENTS, CURVE, SCATTER = 24, (4.5, -1.15, 0.12), 0.15  # log10 of the deformability at 0, by mass and its square; sd


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw masses, the logs of deformabilities about the curve, and their estimates."""
    rng = np.random.default_rng([SEED, 153])
    mass = rng.uniform(1.1, 2.1, EVENTS).round(2)
    log_deformability = CURVE[0] + CURVE[1] * mass + CURVE[2] * mass**2 + rng.normal(0, SCATTER, EVENTS)
    error = rng.uniform(0.05, 0.3, EVENTS).round(2)
    estimate = rng.normal(log_deformability, error).round(3)
    names = [f"N{i + 1:02d}" for i in range(EVENTS)]
    columns = ["event", "mass", "log10_deformability", "error"]
    write("data.csv", columns, [list(row) for row in zip(names, mass, estimate, error, strict=True)])
    truth: list[list[object]] = [["intercept", "", CURVE[0]], ["mass", "", CURVE[1]], ["mass squared", "", CURVE[2]]]
    truth += [["scatter", "", SCATTER]]
    truth += [["log10_deformability", name, f"{x:.6f}"] for name, x in zip(names, log_deformability, strict=True)]
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
