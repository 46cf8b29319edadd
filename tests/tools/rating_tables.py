"""How often are counts taken for ratings, and ratings for counts?

``python tests/tools/rating_tables.py`` prints the table. It is in ``reports/ratings.md``; 400 tables of each kind and
size, seed 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hbm_stan.families.ratings import are_ratings

Draw = Callable[[np.random.Generator, int], np.ndarray]  # numbers of so many rows, in 20 groups
GROUPS, SIZES, TABLES = 20, (40, 72, 100, 300, 1000), 400


def groups(rng: np.random.Generator, sd: float, rows: int) -> np.ndarray:
    """How each row's group deviates, (rows,)."""
    return np.resize(rng.normal(0, sd, GROUPS), rows)


def poisson(mean: float, sd: float = 0.3) -> Draw:
    """Counts of groups whose log rates have this sd."""
    return lambda rng, rows: rng.poisson(mean * np.exp(groups(rng, sd, rows)))


def above_zero(mean: float) -> Draw:
    """Poisson counts of which zeros are not recorded: visits of visitors, persons of a household."""

    def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
        counts = np.zeros(rows, dtype=int)
        while not counts.all():
            counts = np.where(counts == 0, rng.poisson(mean, rows), counts)
        return counts

    return draw


def answers(*shares: float) -> Draw:
    """Ratings by a cumulative logit, groups differing with an sd of 1."""
    below = np.cumsum(shares)[:-1]
    thresholds = np.log(below / (1 - below))

    def draw(rng: np.random.Generator, rows: int) -> np.ndarray:
        latent = groups(rng, 1.0, rows) + rng.logistic(size=rows)
        return np.asarray(1 + (latent[:, None] > thresholds).sum(axis=1))

    return draw


COUNTS: dict[str, Draw] = {
    **{f"Poisson, mean {mean}": poisson(mean) for mean in (1, 2, 3, 4, 5, 6, 8)},
    **{f"Poisson, mean {mean}, groups alike": poisson(mean, 0.0) for mean in (4, 5, 6)},
    **{f"Poisson, mean {mean}, groups far apart": poisson(mean, 1.0) for mean in (2, 4)},
    **{f"above 0 only, mean {mean}": above_zero(mean) for mean in (0.5, 1, 2, 3, 4)},
}
ANSWERS: dict[str, Draw] = {
    "5, all alike": answers(0.2, 0.2, 0.2, 0.2, 0.2), "5, the middle": answers(0.07, 0.2, 0.4, 0.25, 0.08),
    "5, high": answers(0.03, 0.07, 0.15, 0.4, 0.35), "5, mostly the highest": answers(0.05, 0.04, 0.06, 0.15, 0.7),
    "3": answers(0.3, 0.4, 0.3), "4": answers(0.15, 0.35, 0.35, 0.15),
    "7, high": answers(0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.3),
    "10, high": answers(0.02, 0.02, 0.03, 0.04, 0.08, 0.12, 0.2, 0.25, 0.15, 0.09),
}  # fmt: skip
# Shares that counts have too: these are asked about rather than taken for ratings.
LIKE_COUNTS: dict[str, Draw] = {
    "5, mostly the lowest": answers(0.6, 0.2, 0.1, 0.07, 0.03),
    "7, the middle": answers(0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05),
}


def share_of_ratings(draw: Draw, rows: int, tables: int, seed: int) -> float:
    """The share of so many tables that are taken for ratings."""
    rng = np.random.default_rng(seed)
    return float(np.mean([are_ratings(draw(rng, rows).astype(float)) for _ in range(tables)]))


def main() -> None:
    """Print the table."""
    print("| " + " | ".join(["rows", *map(str, SIZES)]) + " |")
    print("|---" * (len(SIZES) + 1) + "|")
    for head, kinds in (("counts: ", COUNTS), ("ratings: ", {**ANSWERS, **LIKE_COUNTS})):
        for name, draw in kinds.items():
            shares = [share_of_ratings(draw, rows, TABLES, 1) for rows in SIZES]
            print(f"| {head}{name} | " + " | ".join(f"{100 * share:.1f}" for share in shares) + " |")


if __name__ == "__main__":
    main()
