"""Simulated purchases of users in 10 cities: whether each bought at the price shown to them.

Run ``python data/city_prices/make.py``: it writes data.csv and truth.csv beside itself.
"""

import csv
from pathlib import Path

import numpy as np

SEED = 20261121
HERE = Path(__file__).parent
CITIES = 10
MU_A, MU_B, SD_A, SD_B, RHO = 0.3, -0.5, 0.6, 0.2, -0.3


def write(name: str, header: list[str], rows: list[list[object]]) -> None:
    """One CSV beside this file."""
    with (HERE / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    """Draw the groups from the population, the data from the groups, and write both."""
    rng = np.random.default_rng([SEED, 9])  # the second number: a stream of its own
    covariance = [[SD_A**2, RHO * SD_A * SD_B], [RHO * SD_A * SD_B, SD_B**2]]
    population = {"mu_a": MU_A, "mu_b": MU_B, "sd_a": SD_A, "sd_b": SD_B, "rho": RHO}
    data: list[list[object]] = []
    truth: list[list[object]] = [[name, "", value] for name, value in population.items()]
    for j in range(1, CITIES + 1):
        city = f"City {j:02d}"
        a, b = rng.multivariate_normal([MU_A, MU_B], covariance, method="cholesky")
        n = int(rng.integers(20, 200, endpoint=True))
        tenths = rng.integers(10, 100, size=n, endpoint=True)
        chance = 1 / (1 + np.exp(-(a + b * (tenths / 10 - 5.5))))
        bought = rng.binomial(1, chance)
        for i, (price, yes) in enumerate(zip(tenths, bought, strict=True), start=1):
            data.append([city, f"C{j:02d}-U{i:03d}", f"{price / 10:.1f}", f"{(price - 55) / 10:.1f}", yes])
        truth += [["a", city, f"{a:.6f}"], ["b", city, f"{b:.6f}"]]
    write("data.csv", ["city", "user", "price", "price_centered", "bought"], data)
    write("truth.csv", ["name", "group", "value"], truth)


if __name__ == "__main__":
    main()
