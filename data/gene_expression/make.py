"""Simulated expression of one gene: 8 mouse lines, 5 mice in a line, 3 technical assays of a mouse.

Run ``python data/gene_expression/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
LINES, MICE, ASSAYS = 8, 5, 3
MU, SD_LINE, SD_MOUSE, SD_ASSAY = 8.0, 0.8, 0.5, 0.3


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 16])  # the second number: a stream of its own
    population = {"mu": MU, "sd_line": SD_LINE, "sd_mouse": SD_MOUSE, "sd_assay": SD_ASSAY}
    data: list[list[object]] = []
    truth: list[list[object]] = [[name, "", value] for name, value in population.items()]
    for j in range(1, LINES + 1):
        line_mean = rng.normal(MU, SD_LINE)
        truth.append(["line_mean", f"L{j}", f"{line_mean:.6f}"])
        for k in range(1, MICE + 1):
            mouse = f"L{j}-M{k}"
            mouse_mean = rng.normal(line_mean, SD_MOUSE)
            values = rng.normal(mouse_mean, SD_ASSAY, size=ASSAYS)
            data += [[f"L{j}", mouse, i, f"{value:.3f}"] for i, value in enumerate(values, start=1)]
            truth.append(["mouse_mean", mouse, f"{mouse_mean:.6f}"])
    write("data.csv", ["line", "mouse", "assay", "log2_expression"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
