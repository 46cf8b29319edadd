"""Simulated black-body spectra of 20 sources, from 1 to 100 points each, in units without dimension.

Run ``python data/planck/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
ALPHA, BETA, SIGMA = 6.0, 3.0, 0.5
SIZES = [1, 1, *(int(n) for n in np.rint(np.geomspace(2, 80, 16))), 100, 100]


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 18])  # the second number: a stream of its own
    data: list[list[object]] = []
    truth: list[list[object]] = [["alpha", "", ALPHA], ["beta", "", BETA], ["sigma", "", SIGMA]]
    for j, n in enumerate(SIZES, start=1):
        spectrum = f"S{j:02d}"
        temperature = rng.gamma(ALPHA, 1 / BETA)
        nu = np.sort(rng.uniform(0.1, 12, size=n)).round(4)
        flux = nu**3 / np.expm1(nu / temperature) + rng.normal(0, SIGMA, size=n)
        data += [[spectrum, f"{x:.4f}", f"{y:.4f}"] for x, y in zip(nu, flux, strict=True)]
        truth.append(["T", spectrum, f"{temperature:.6f}"])
    write("data.csv", ["spectrum", "frequency", "flux"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
