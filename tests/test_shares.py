"""The share of variance by factor: closed forms from given draws, published I², and faults that must be seen."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formula_data import data_of, dense_covariance, design_of, population, term

from hbm_stan.likelihoods import likelihood, likelihoods
from hbm_stan.shares import shares, variances

# metafor 3.8.1, method REML, dat.bcg of the R package metadat (Viechtbauer 2010, Journal of Statistical Software
# 36(3)): columns beside the intercept, tau squared, I squared in percent.
PUBLISHED = [
    ((), 0.31324325823, 92.2213845079),
    (("ablat",), 0.076347964175, 68.3912248666),
    (("ablat", "alternate", "systematic"), 0.1445942975, 70.1102488587),
]
X = np.array([-1.0, 0.0, 1.0, 2.0, -2.0, 0.5, 1.5, -0.5])
GROUP, OTHER = list("aabbccdd"), list("uvwuvwuv")


def crossed() -> tuple[Any, dict[str, Any]]:
    """A group whose slope varies too, in a term of its own for x and with a correlation for w; a crossed factor."""
    w = np.array([0.3, 1.0, -1.0, 0.2, 0.8, -0.7, 1.1, 2.0])
    terms = [
        term(GROUP, name="g", intercept=1, w=w), term(GROUP, name="g", x=X), term(OTHER, name="h", intercept=1, x=X),
    ]  # fmt: skip
    design = design_of({"intercept": 1, "x": X}, terms, len(X))
    return design, data_of(design, np.zeros(len(X)))


def test_a_share_is_what_the_variances_of_two_intercepts_and_of_the_residual_say() -> None:
    design = design_of({"intercept": 1}, [term(GROUP, name="g", intercept=1), term(OTHER, name="h", intercept=1)], 8)
    draws = {"beta": np.zeros((2, 1)), "tau": np.array([[3.0], [1.0]]), "sd": np.array([[4.0], [2.0]])}
    sigma = np.array([12.0, 2.0])
    by_factor = variances(draws, data_of(design, np.zeros(8)), design)
    own = likelihood("normal").residual.variance({}, {"sigma": sigma})
    np.testing.assert_allclose(by_factor["g"], [9, 1])
    np.testing.assert_allclose(by_factor["h"], [16, 4])
    np.testing.assert_allclose(shares(by_factor, own)["g"], [9 / 169, 1 / 9])
    np.testing.assert_allclose(shares(by_factor, own)["h"], [16 / 169, 4 / 9])


def test_with_slopes_it_is_the_mean_over_rows_of_what_each_row_has() -> None:
    design, data = crossed()
    draws = population(np.random.default_rng(4), data, 5)
    by_factor = variances(draws, data, design)
    for s in range(5):
        for name, terms in (("g", [0, 1]), ("h", [2])):
            rows = np.diag(dense_covariance(data, draws, s, terms))
            np.testing.assert_allclose(by_factor[name][s], rows.mean(), rtol=1e-12)
            assert rows.std() > 0.1  # rows differ: a factor's columns matter


def test_shares_lie_between_0_and_1_and_add_up_whatever_the_scales() -> None:
    design, data = crossed()
    draws = population(np.random.default_rng(5), data, 2000)
    draws["tau"] *= 10.0 ** np.random.default_rng(6).uniform(-12, 12, (2000, 1))
    every = {**variances(draws, data, design), "residual": draws["sigma"] ** 2}
    parts = shares(every, np.zeros(2000))
    assert all((share >= 0).all() and (share <= 1).all() for share in parts.values())
    np.testing.assert_allclose(sum(parts.values()), 1, rtol=1e-12)


def bcg() -> dict[str, np.ndarray]:
    with (Path(__file__).parent / "oracles" / "fits" / "bcg.csv").open() as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in ("ablat", "se")}
    return columns | {a: np.array([float(row["alloc"] == a) for row in rows]) for a in ("alternate", "systematic")}


@pytest.mark.parametrize(("columns", "tau2", "percent"), PUBLISHED, ids=str)
def test_of_estimates_the_share_of_groups_is_published_i_squared(
    columns: tuple[str, ...], tau2: float, percent: float
) -> None:
    table = bcg()
    x = np.column_stack([np.ones(13), *(table[c] - table[c].mean() for c in columns)])
    residual = likelihood("estimates").residual.variance({"X": x, "se": table["se"]}, {})
    share = shares({"trial": np.array([tau2])}, residual)["trial"]
    np.testing.assert_allclose(100 * share, percent, rtol=5e-9)


def test_estimates_without_a_spare_row_have_a_residual_still() -> None:
    residual = likelihood("estimates").residual.variance({"X": np.eye(3), "se": np.array([1.0, 2.0, 2.0])}, {})
    np.testing.assert_allclose(residual, 3 / 1.5)


def test_of_counts_and_trials_the_residual_is_that_of_one_of_them() -> None:
    """Nakagawa, Johnson & Schielzeth (2017), table 1: log(1 + 1/lambda), and pi squared over 3."""
    y = np.repeat([0.0, 4.0], 5000)
    rows = {"y": y, "exposure": np.ones(10000), "trials": np.ones(10000)}
    np.testing.assert_allclose(likelihood("poisson").residual.variance(rows, {}), np.log(1.5), rtol=1e-4)
    np.testing.assert_allclose(likelihood("binomial").residual.variance(rows, {}), np.pi**2 / 3)
    none = likelihood("poisson").residual.variance({**rows, "y": np.zeros(10)}, {})
    assert np.isfinite(none)
    assert none > 0


@pytest.mark.parametrize("name", sorted(likelihoods()))
def test_each_likelihood_says_what_its_residual_is(name: str) -> None:
    residual = likelihoods()[name].residual
    assert residual.name
    assert residual.note.endswith(".")
