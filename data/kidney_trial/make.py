"""Simulated trial of kidney function in which those whose kidneys fail are lost from the drug arm: its truth is kept.

Run ``python data/kidney_trial/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
SIZES = (44, 38, 36, 33, 31, 29, 27, 26, 24, 22, 20, 18, 16, 14, 12, 10)  # patients of each site
MU, TAU, SIGMA = -5.0, 1.5, 6.0  # change of eGFR in two years on placebo (ml/min/1.73 m^2), between sites, within them
DRUG, BASELINE = 0.0, -0.8  # the drug does nothing; 10 ml/min more at the start lose more
ETA, ETA_DRUG, DELTA = -1.0, 0.55, -0.12  # probits of being lost, and how they change by ml/min in the drug arm


def main() -> None:
    """Draw sites, patients, their outcomes and who of them is lost, and write both files."""
    rng = np.random.default_rng([SEED, 155])
    sites = [f"S{j + 1:02}" for j in range(len(SIZES))]
    theta = rng.normal(MU, TAU, len(SIZES))
    site = rng.permutation(np.repeat(np.arange(len(SIZES)), SIZES))
    drug = rng.permuted(np.arange(len(site)) % 2)
    baseline = np.round(rng.normal(50, 12, len(site)))
    y = theta[site] + DRUG * drug + BASELINE * (baseline - 50) / 10 + rng.normal(0, SIGMA, len(site))
    latent = ETA + drug * (ETA_DRUG + DELTA * (y - MU)) + rng.normal(size=len(site))
    lost = latent > 0
    with (HERE / "data.csv").open("w", encoding="utf-8", newline="") as file:
        rows = [
            [f"P{i + 1:03}", sites[site[i]], ("placebo", "drug")[drug[i]], f"{(baseline[i] - 50) / 10:.1f}",
             "" if lost[i] else f"{y[i]:.2f}"]
            for i in range(len(site))
        ]  # fmt: skip
        csv.writer(file, lineterminator="\n").writerows([["patient", "site", "arm", "baseline10", "change"], *rows])
    truth: list[list[object]] = [
        ["mu", "", MU], ["tau", "", TAU], ["sigma", "", SIGMA], ["beta", "arm=drug", DRUG],
        ["beta", "baseline10", BASELINE], ["delta", "arm = drug", DELTA], ["eta", "intercept", ETA],
        ["eta", "arm=drug", ETA_DRUG],
    ]  # fmt: skip
    truth += [["theta", name, f"{value:.6f}"] for name, value in zip(sites, theta, strict=True)]
    # Of all patients, seen or not: what a trial without losses would have been told.
    truth += [["mean", arm, f"{y[drug == k].mean():.6f}"] for k, arm in enumerate(("placebo", "drug"))]
    truth += [["y", f"P{i + 1:03}", f"{y[i]:.6f}"] for i in np.flatnonzero(lost)]
    with (HERE / "truth.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["name", "of", "value"], *truth])


if __name__ == "__main__":
    main()
