"""Simulated prevalence of epilepsy in 100 villages on a grid, ten people tested in each: most see no case, or one.

Run ``python data/epilepsy_prevalence/make.py``: it writes data.csv, neighbours.csv and truth.csv beside itself.
"""

import csv
import math
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
SIDE, TESTED = 10, 10
MU, TAU, RHO = -2.8, 1.0, 0.9  # log odds


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the map, the villages on it and their cases, and write all three."""
    rng = np.random.default_rng([SEED, 15])
    places = [(east, north) for north in range(SIDE) for east in range(SIDE)]
    names = [f"{chr(ord('A') + north)}{east + 1}" for east, north in places]
    pairs = [
        (i, k) for i, a in enumerate(places) for k, b in enumerate(places)
        if i < k and abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1
    ]  # fmt: skip
    precision = np.zeros((len(places), len(places)))
    for i, k in pairs:
        precision[[i, k], [i, k]] += 1
        precision[[i, k], [k, i]] -= 1
    covariance = np.linalg.pinv(precision, rcond=1e-10, hermitian=True)
    covariance /= math.exp(np.mean(np.log(np.diagonal(covariance))))
    values, vectors = np.linalg.eigh(covariance)
    phi = vectors @ (np.sqrt(np.maximum(values, 0)) * rng.normal(size=len(places)))
    theta = MU + TAU * (math.sqrt(RHO) * phi + math.sqrt(1 - RHO) * rng.normal(size=len(places)))
    cases = rng.binomial(TESTED, 1 / (1 + np.exp(-theta)))
    rows = zip(names, places, cases, strict=True)
    write("data.csv", ["village", "east", "north", "cases", "tested"], [[n, *p, int(y), TESTED] for n, p, y in rows])
    write("neighbours.csv", ["village", "beside"], [[names[i], names[k]] for i, k in pairs])
    truth: list[list[object]] = [["mu", "", MU], ["tau", "", TAU], ["rho", "", RHO]]
    truth += [["theta", name, f"{value:.6f}"] for name, value in zip(names, theta, strict=True)]
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
