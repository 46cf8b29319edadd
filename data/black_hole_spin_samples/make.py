"""Simulated spins of 25 merging black holes as posterior samples under a prior that prefers small spins.

An event's data are an estimate of its spin and the strength of its signal, which spin increases; those with a strength
above a threshold are seen. Samples are conditional on both, so that whether an event is seen is decided by data that
its samples know of.

Run ``python data/black_hole_spin_samples/make.py``: it writes data.csv, detection.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np
from scipy.stats import norm

SEED = 20261121
HERE = Path(__file__).parent
EVENTS, SAMPLES, ALPHA, BETA = 25, 240, 2.0, 5.0
STRENGTH, SLOPE, NOISE, THRESHOLD = 8.0, 6.0, 1.5, 10.0
FINE = np.linspace(0, 1, 20001)[1:-1]


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def prior(x: np.ndarray) -> np.ndarray:
    """The density of the prior that samples are drawn under: it falls to nothing at the largest spin."""
    return 2 * (1 - x)


def samples_of(rng: np.random.Generator, estimate: float, error: float, strength: float, n: int) -> np.ndarray:
    """Samples of an event's posterior given its estimate and the strength of its signal."""
    log_posterior = norm.logpdf(estimate, FINE, error) + norm.logpdf(strength, STRENGTH + SLOPE * FINE, NOISE)
    weight = np.exp(log_posterior - log_posterior.max()) * prior(FINE)
    return rng.choice(FINE, size=n, p=weight / weight.sum()) + rng.uniform(-0.5, 0.5, n) * (FINE[1] - FINE[0])


def main() -> None:
    """Draw events of the population until enough are seen, and sample the posterior of each."""
    rng = np.random.default_rng([SEED, 152])
    rows: list[list[object]] = []
    truth: list[list[object]] = [["alpha", "", ALPHA], ["beta", "", BETA]]
    while len(truth) < EVENTS + 2:
        x = rng.beta(ALPHA, BETA)
        strength = rng.normal(STRENGTH + SLOPE * x, NOISE)
        if strength < THRESHOLD:
            continue
        name, error = f"S{len(truth) - 1:02d}", rng.uniform(0.05, 0.2)
        drawn = samples_of(rng, rng.normal(x, error), error, strength, SAMPLES).round(5)
        drawn = np.clip(drawn, 1e-5, 1 - 1e-5)
        rows += [[name, f"{value:.5f}", f"{density:.5f}"] for value, density in zip(drawn, prior(drawn), strict=True)]
        truth.append(["theta", name, f"{x:.6f}"])
    grid = np.linspace(0, 1, 21)
    seen = norm.sf(THRESHOLD, STRENGTH + SLOPE * grid, NOISE)
    write("data.csv", ["event", "spin", "prior"], rows)
    write("detection.csv", ["spin", "seen"], [[f"{x:g}", f"{p:.5f}"] for x, p in zip(grid, seen, strict=True)])
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
