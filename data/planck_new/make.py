"""Six simulated black-body spectra beside the 20 of data/planck, from the same population, each hard in its own way.

N1 is large, but stops before its peak: no points in the tail. N2 and N3 are small. N4 and N5 are single points of high
signal, at the peak and beyond it, N6 a single one of low signal: at its frequency all temperatures give much the same
flux. Run ``python data/planck_new/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
ALPHA, BETA, SIGMA = 6.0, 3.0, 0.5  # as in data/planck
PEAK = 2.821  # frequency over temperature where the curve is highest: Wien's displacement law
SMALL = (4, 6)
BEYOND, LOW = 4.0, 0.25  # frequency over temperature of N5, frequency of N6


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the temperatures from the population, the points from the curves, and write both."""
    rng = np.random.default_rng([SEED, 19])  # the second number: a stream of its own
    drawn = rng.gamma(ALPHA, 1 / BETA, size=6)
    hot = np.argsort(drawn)[:3:-1]  # fluxes rise with the cube of T: the two hottest are the points of high signal
    temperatures = np.insert(np.delete(drawn, hot), 3, drawn[hot])
    frequencies = [
        rng.uniform(0.1, 0.8 * PEAK * temperatures[0], size=80),
        *(rng.uniform(0.1, 12, size=n) for n in SMALL),
        np.array([PEAK * temperatures[3]]),
        np.array([BEYOND * temperatures[4]]),
        np.array([LOW]),
    ]
    data: list[list[object]] = []
    truth: list[list[object]] = [["alpha", "", ALPHA], ["beta", "", BETA], ["sigma", "", SIGMA]]
    for j, (temperature, unsorted) in enumerate(zip(temperatures, frequencies, strict=True), start=1):
        nu = np.sort(unsorted).round(4)
        flux = nu**3 / np.expm1(nu / temperature) + rng.normal(0, SIGMA, size=len(nu))
        data += [[f"N{j}", f"{x:.4f}", f"{y:.4f}"] for x, y in zip(nu, flux, strict=True)]
        truth.append(["T", f"N{j}", f"{temperature:.6f}"])
    write("data.csv", ["spectrum", "frequency", "flux"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
