"""Log risk ratios of the 13 BCG vaccine trials, from the counts of Colditz et al. (1994).

Run ``python data/bcg/make.py``: it writes data.csv beside itself.
"""

import csv
import math
from pathlib import Path

# Author, year, latitude; then tuberculosis cases and non-cases of the vaccinated, and of the controls.
TRIALS = [
    ("Aronson", 1948, 44, 4, 119, 11, 128),
    ("Ferguson & Simes", 1949, 55, 6, 300, 29, 274),
    ("Rosenthal et al", 1960, 42, 3, 228, 11, 209),
    ("Hart & Sutherland", 1977, 52, 62, 13536, 248, 12619),
    ("Frimodt-Moller et al", 1973, 13, 33, 5036, 47, 5761),
    ("Stein & Aronson", 1953, 44, 180, 1361, 372, 1079),
    ("Vandiviere et al", 1973, 19, 8, 2537, 10, 619),
    ("TPT Madras", 1980, 13, 505, 87886, 499, 87892),
    ("Coetzee & Berjak", 1968, 27, 29, 7470, 45, 7232),
    ("Rosenthal et al", 1961, 42, 17, 1699, 65, 1600),
    ("Comstock et al", 1974, 18, 186, 50448, 141, 27197),
    ("Comstock & Webster", 1969, 33, 5, 2493, 3, 2338),
    ("Comstock et al", 1976, 33, 27, 16886, 29, 17825),
]
HEADER = ["trial", "trial_name", "author", "year", "latitude", "tpos", "tneg", "cpos", "cneg"]


def main() -> None:
    """Compute the log risk ratio of each trial and its standard error, and write them with the counts."""
    rows: list[list[object]] = [[*HEADER, "log_risk_ratio", "standard_error"]]
    for i, (author, year, latitude, tpos, tneg, cpos, cneg) in enumerate(TRIALS, start=1):
        treated, control = tpos + tneg, cpos + cneg
        ratio = math.log((tpos / treated) / (cpos / control))
        error = math.sqrt(1 / tpos - 1 / treated + 1 / cpos - 1 / control)
        counts = [tpos, tneg, cpos, cneg]
        rows.append([i, f"{author} {year}", author, year, latitude, *counts, f"{ratio:.6f}", f"{error:.6f}"])
    with (Path(__file__).parent / "data.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
