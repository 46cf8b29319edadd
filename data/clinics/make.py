"""Simulated adherence in 12 clinics; the counts of the first two are set, for their answers have a closed form.

Run ``python data/clinics/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
import math
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
ALPHA, BETA, CLINICS = 8.0, 12.0, 12
SET = {"Clinic 01": (1, 2), "Clinic 02": (50, 100)}


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 13])  # the second number: a stream of its own
    data: list[list[object]] = [[clinic, adherent, patients] for clinic, (adherent, patients) in SET.items()]
    truth: list[list[object]] = [["alpha", "", ALPHA], ["beta", "", BETA]]
    for j in range(len(SET) + 1, CLINICS + 1):
        clinic = f"Clinic {j:02d}"
        theta = rng.beta(ALPHA, BETA)
        patients = round(math.exp(rng.uniform(math.log(2), math.log(100))))
        data.append([clinic, rng.binomial(patients, theta), patients])
        truth.append(["theta", clinic, f"{theta:.6f}"])
    write("data.csv", ["clinic", "adherent", "patients"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
