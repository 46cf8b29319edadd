"""Simulated thermodynamic integration: dU/dlambda of eight molecules at 3 to 15 values of lambda, with known errors.

Run ``python data/hydration_ti/make.py``: it writes data.csv and truth.csv beside itself. The curves are no draws of a
Gaussian process: a line, a bump where a soft-core potential lets solvent into the molecule, and a wave.
"""

import csv
import math
from pathlib import Path

import numpy as np

SEED = 20261130
HERE = Path(__file__).parent
POINTS = {"methanol": 9, "ethanol": 5, "phenol": 15, "anisole": 5, "toluene": 9, "aniline": 9, "pyridine": 5,
          "acetone": 3}  # fmt: skip


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the curves and the estimates, and write both files."""
    rng = np.random.default_rng([SEED, 4])
    rows: list[list[object]] = []
    truth: list[list[object]] = []
    for molecule, n in POINTS.items():
        level, rise = rng.normal(22, 9), rng.normal(-30, 8)
        height, centre, width = rng.normal(16, 4), rng.uniform(0.25, 0.45), rng.uniform(0.12, 0.2)
        wave = rng.normal(0, 1.5)
        x = np.linspace(0, 1, n)
        f = level + rise * (x - 0.5) + height * np.exp(-0.5 * ((x - centre) / width) ** 2)
        f += wave * np.sin(2 * math.pi * x)
        error = np.round(rng.uniform(0.4, 1.6, size=n), 2)
        estimates = np.round(rng.normal(f, error), 2)
        rows += [[molecule, f"{a:.6g}", y, s] for a, y, s in zip(x, estimates.tolist(), error.tolist(), strict=True)]
        share = [0.5 * (1 + math.erf((limit - centre) / (width * math.sqrt(2)))) for limit in (0.0, 1.0)]
        area = level + height * width * math.sqrt(2 * math.pi) * (share[1] - share[0])
        truth.append(["theta", molecule, f"{area:.6f}"])
    write("data.csv", ["molecule", "lambda", "dU/dlambda", "standard_error"], rows)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
