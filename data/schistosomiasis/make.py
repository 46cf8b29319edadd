"""Simulated schistosomiasis in 60 villages: snails at the water, eggs in urine, blood tests; each where it was done.

Run ``python data/schistosomiasis/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261130
HERE = Path(__file__).parent
VILLAGES = 60
MU, GAMMA, TAU = 3.0, (-0.5, -0.6), 0.9  # log eggs of a person where predictors are 0; per km to the water; per tap
ALPHA, BETA, OVERDISPERSION = (-0.3, -2.2), (0.9, 0.7), 1.8  # blood, snails, at a log intensity of 2
CENTRE = 2.0
MISSING = {"eggs": 0.15, "blood": 0.35, "snails": 0.35}
ONSETS, MIDDLES = (
    ("Ba", "Do", "Ka", "Lo", "Ma", "No", "Sa", "To", "Wa", "Zi"),
    ("bore", "dugu", "kala", "lasso", "mina", "ro"),
)


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the villages, which streams each has, and the counts, and write both files."""
    rng = np.random.default_rng([SEED, 15])
    names = [onset + middle for onset in ONSETS for middle in MIDDLES]
    names = [names[i] for i in rng.permutation(len(names))][:VILLAGES]
    water = np.round(rng.gamma(3.0, 0.5, VILLAGES), 1)
    tap = rng.integers(0, 2, VILLAGES)
    theta = MU + GAMMA[0] * water + GAMMA[1] * tap + TAU * rng.normal(size=VILLAGES)
    there = {stream: rng.uniform(size=VILLAGES) > share for stream, share in MISSING.items()}
    there["eggs"] |= ~(there["blood"] | there["snails"])  # every village has a stream
    examined, tests, snails = (
        rng.integers(25, 61, VILLAGES),
        rng.integers(30, 81, VILLAGES),
        rng.integers(20, 151, VILLAGES),
    )
    new_kit = rng.uniform(size=VILLAGES) < 0.4
    sure, sound = np.where(new_kit, 0.93, 0.82), np.where(new_kit, 0.97, 0.92)
    size = examined / OVERDISPERSION**2
    eggs = rng.poisson(rng.gamma(size, examined * np.exp(theta) / size))
    p = 1 / (1 + np.exp(-(ALPHA[0] + BETA[0] * (theta - CENTRE))))
    positive = rng.binomial(tests, sure * p + (1 - sound) * (1 - p))
    infected = rng.binomial(snails, 1 / (1 + np.exp(-(ALPHA[1] + BETA[1] * (theta - CENTRE)))))
    columns = {
        "eggs": ("eggs", eggs), "examined": ("eggs", examined), "positive": ("blood", positive),
        "blood_tests": ("blood", tests), "sensitivity": ("blood", sure), "specificity": ("blood", sound),
        "infected": ("snails", infected), "snails": ("snails", snails),
    }  # fmt: skip
    rows = [
        [names[j], water[j], "yes" if tap[j] else "no",
         *(values[j] if there[stream][j] else "" for stream, values in columns.values())]
        for j in range(VILLAGES)
    ]  # fmt: skip
    write("data.csv", ["village", "water_km", "tap", *columns], rows)
    truth: list[list[object]] = [
        ["mu", "", MU], ["gamma", "water_km", GAMMA[0]], ["gamma", "tap=yes", GAMMA[1]], ["tau", "", TAU],
        ["alpha", "blood", ALPHA[0]], ["alpha", "snails", ALPHA[1]], ["beta", "blood", BETA[0]],
        ["beta", "snails", BETA[1]], ["overdispersion", "eggs", OVERDISPERSION], ["centre", "", CENTRE],
    ]  # fmt: skip
    truth += [["theta", name, f"{value:.6f}"] for name, value in zip(names, theta, strict=True)]
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
