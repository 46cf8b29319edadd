"""How much groups differ over the data, and predictors far from zero, against closed forms and planted faults."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbm_stan.attempts import fit
from hbm_stan.between import Differences, intercept_place, over_the_data, spread_of_lines
from hbm_stan.data import Dataset
from hbm_stan.diagnose import check
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families import family
from hbm_stan.families.varying_terms import correlation_matrix
from hbm_stan.fit import prepare_table
from hbm_stan.priors import Prior
from hbm_stan.results.answer import _averages, _spreads

SEED = 20261128
# Yield of four regions in every second year from 1998 to 2020 (Cross Validated, questions 322779 and 385439).
YIELD = {
    "north": (18.8, 17.96, 16.94, 16.16, 15.51, 18.68, 17.73, 17.94, 19.22, 19.77, 16.73, 21.84),
    "south": (15.71, 21.84, 20.24, 18.94, 21.96, 20.28, 21.59, 21.01, 22.79, 23.04, 20.39, 21.13),
    "east": (19.76, 19.23, 16.42, 23.19, 17.19, 17.63, 19.14, 22.2, 24.34, 21.6, 21.66, 22.81),
    "west": (20, 20.97, 19.44, 22.11, 22.34, 18.4, 22.18, 22.89, 23.79, 22.03, 21.56, 22.42),
}  # fmt: skip


def population(seed: int = SEED) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of three terms far from zero, and draws of sds and of unequal correlations."""
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(40), rng.normal(11, 2, 40), rng.normal(-3, 1, 40)])
    return x, rng.uniform(0.5, 2, (7, 3)), np.tile([-0.6, 0.1, 0.4], (7, 1))


def row_by_row(x: np.ndarray, tau: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """sqrt(mean over rows of x_n' Sigma x_n), from the definition."""
    sigma = correlation_matrix(rho, 3) * tau[:, :, None] * tau[:, None, :]
    return np.array([np.sqrt(np.mean([row @ s @ row for row in x])) for s in sigma])


def test_the_spread_of_lines_is_that_of_their_definition() -> None:
    x, tau, rho = population()
    np.testing.assert_allclose(spread_of_lines(x, tau, rho), row_by_row(x, tau, rho), rtol=1e-12)
    # Lines of many groups drawn from the population.
    rng = np.random.default_rng(SEED)
    sigma = correlation_matrix(rho[:1], 3)[0] * np.outer(tau[0], tau[0])
    lines = x @ rng.multivariate_normal(np.zeros(3), sigma, 40_000).T
    assert spread_of_lines(x, tau, rho)[0] == pytest.approx(np.sqrt(np.mean(lines.var(axis=1))), rel=0.02)


def test_planted_faults_of_the_spread_are_seen() -> None:
    x, tau, rho = population()
    right = row_by_row(x, tau, rho)
    faults = {
        "no square root": right**2,
        "no correlations": spread_of_lines(x, tau, None),
        "correlations in another order": spread_of_lines(x, tau, rho[:, [0, 2, 1]]),
        "terms in another order": spread_of_lines(x[:, [0, 2, 1]], tau, rho),
        "at the mean row only": np.array([spread_of_lines(x.mean(axis=0)[None], t[None], rho[:1])[0] for t in tau]),
    }
    for name, wrong in faults.items():
        assert np.max(abs(wrong / right - 1)) > 1e-3, name


def test_the_spread_does_not_depend_on_where_zero_is_or_on_the_order_of_rows() -> None:
    x, tau, rho = population()
    x, tau, rho = x[:, :2], tau[:, :2], rho[:, :1]
    # The intercept at x = 11: its sd and correlation follow from those at x = 0.
    cov = rho[:, 0] * tau[:, 0] * tau[:, 1]
    middle = np.sqrt(tau[:, 0] ** 2 + 22 * cov + 121 * tau[:, 1] ** 2)
    moved = np.column_stack([middle, tau[:, 1]])
    at = ((cov + 11 * tau[:, 1] ** 2) / (middle * tau[:, 1]))[:, None]
    centred = np.column_stack([x[:, 0], x[:, 1] - 11])
    np.testing.assert_allclose(spread_of_lines(centred, moved, at), spread_of_lines(x, tau, rho), rtol=1e-9)
    shuffled = x[np.random.default_rng(1).permutation(len(x))]
    np.testing.assert_allclose(spread_of_lines(shuffled, tau, rho), spread_of_lines(x, tau, rho), rtol=1e-12)


def test_differences_are_held_against_the_raw_groups() -> None:
    differences = Differences(np.array([0.05, 0.15, 0.3, 1.0]), 2.0)
    assert (differences.limit, differences.near_zero) == (pytest.approx(0.2), 0.5)
    assert Differences(np.zeros(4), np.nan).near_zero == 0


def stand_in(order: np.ndarray) -> Any:
    """A fit of three groups with raw lines, one of them unknown, and rows in this order."""
    group, x = np.array([0, 0, 1, 1, 1, 2, 3, 3])[order], np.array([1.0, 3, 2, 4, 6, 5, 1, 2])[order]
    raw = np.array([[1.0, 0.5], [2.0, -0.25], [np.nan, np.nan], [-1.0, 1.0]])
    return SimpleNamespace(
        draws=lambda *_: {"mu": np.array([[0.5, 0.1], [0.7, 0.3]]), "tau": np.ones((2, 2))},
        data={"X": np.column_stack([np.ones(8), x]), "group_idx": group + 1},
        family=SimpleNamespace(groups=SimpleNamespace(raw=lambda _: (raw, raw))),
        table=SimpleNamespace(n_groups=4),
    )


def test_raw_lines_are_compared_where_each_group_has_its_rows() -> None:
    # At x = 2, 4 and 1.5 the raw lines are 2, 1 and 0.5; the average line 0.6 + 0.2 x is 1, 1.4 and 0.9.
    expected = np.std([2 - 1, 1 - 1.4, 0.5 - 0.9], ddof=1)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(8)
        differences = over_the_data(stand_in(order))
        assert differences is not None
        assert differences.raw == pytest.approx(expected)


def children(fan: float, shift: float, *, shuffled: bool = False) -> Dataset:
    """Fourteen children at four ages, whose lines fan out from one point at age 0, or are shifted, or neither."""
    rng = np.random.default_rng(SEED)
    group = np.repeat(np.arange(14), 4)
    age = np.tile([8.0, 10, 12, 14], 14)
    z = (np.arange(14) - 6.5) / np.std(np.arange(14))
    y = 17 + 0.66 * age + fan * z[group] * age + shift * z[group] + rng.normal(0, 1.0, 56)
    frame = pd.DataFrame({"child": [f"c{j:02d}" for j in group], "age": age, "y": y})
    frame = frame.sample(frac=1, random_state=1) if shuffled else frame
    return Dataset.from_frame(frame, group="child", outcome="y", predictors="age")


def fitted(dataset: Dataset, engine: Engine, variant: str = "partial_pooling", **priors: str) -> Any:
    sampling = Sampling(seed=SEED, adapt_delta=0.95)
    return fit("linear_regression", dataset, variant, priors=priors, sampling=sampling, engine=engine)


def test_lines_that_meet_where_no_data_are_differ(stanli: Engine) -> None:
    fit = fitted(children(0.18, 0.0, shuffled=True), stanli)
    differences = over_the_data(fit)
    assert differences is not None
    assert np.median(differences.draws) == pytest.approx(0.18 * np.sqrt(126), rel=0.5)  # mean square of the ages: 126
    assert differences.near_zero < 0.01
    sentences = _spreads(fit, check(fit).summary, "mm", differ=False)
    assert sentences[0].startswith("The intercept (at age = 0) varies between groups")
    assert "hardly differ" not in sentences[0]
    averages = _averages(fit, check(fit).summary, "mm")
    assert averages[0].startswith("The average intercept (at age = 0) over the population of groups is about")
    # Before, tau of the intercept at age 0 was held against the sd of raw intercepts there.
    tau = fit.draws("tau")["tau"][:, 0]
    raw = np.asarray(fit.family.groups.raw(fit.data)[0])[:, 0]
    assert np.mean(tau < 0.1 * np.std(raw, ddof=1)) > 0.05


@pytest.mark.parametrize("variant", ["partial_pooling", "partial_pooling_intercept"])
def test_groups_that_do_not_differ_are_said_to(stanli: Engine, variant: str) -> None:
    fit = fitted(children(0.0, 0.0), stanli, variant)
    differences = over_the_data(fit)
    assert differences is not None
    assert differences.raw == pytest.approx(0.5, abs=0.2)  # the mean of four rows with sd 1
    priors = {"tau[intercept]": "half_normal(0.05)", "tau[age]": "half_normal(0.005)"}
    tight = fitted(children(0.0, 0.0), stanli, variant, **priors)
    assert over_the_data(tight).near_zero > 0.05  # type: ignore[union-attr]
    sentence = _spreads(tight, check(tight).summary, "mm", differ=False)[0]
    assert "over the data, the sd between the lines of groups is below" in sentence
    assert "the groups may hardly differ at all" in sentence


def test_groups_without_lines_have_none() -> None:
    fit = SimpleNamespace(draws=lambda *_: {"mu": np.zeros(3), "tau": np.ones(3)}, data={"y": np.zeros(3)})
    assert over_the_data(fit) is None  # type: ignore[arg-type]


def test_the_place_of_the_intercept_names_predictors_and_levels() -> None:
    def place(**columns: list[Any]) -> str:
        frame = pd.DataFrame({"g": list("aabbccdd"), "y": [1.0, 3, 2, 5, 4, 4, 3, 6], **columns})
        dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors=list(columns))
        return intercept_place(SimpleNamespace(table=prepare_table(family("linear_regression"), dataset)))  # type: ignore[arg-type]

    age, arm = [8.0, 9, 11, 10, 13, 12, 9, 8], list("pqrpqrpq")
    assert place(age=age) == "at age = 0"
    assert place(age=age, arm=arm) == "at age = 0 and arm = p"
    assert place(age=age, arm=arm, size=[1.0, 2, 1, 4, 1, 6, 3, 1]) == "at age = 0, arm = p and size = 0"
    assert place() == ""


def years(column: str) -> Dataset:
    frame = pd.DataFrame(
        [{"region": r, "year": 1998 + 2 * i, "yield": y} for r, ys in YIELD.items() for i, y in enumerate(ys)]
    )
    frame["year_c"] = frame["year"] - 2009
    return Dataset.from_frame(frame, group="region", outcome="yield", predictors=column)


def priors_of(dataset: Dataset, name: str = "linear_regression") -> dict[str, Prior]:
    return family(name).priors(prepare_table(family(name), dataset))


def test_the_default_prior_of_a_far_intercept_is_not_absurd() -> None:
    raw, centred = priors_of(years("year")), priors_of(years("year_c"))
    assert raw["tau[intercept]"].text == centred["tau[intercept]"].text == "half_normal(2.3)"
    assert "not carried to year = 0, which is more than 10 sds from all data" in raw["tau[intercept]"].reason
    assert "not carried" not in centred["tau[intercept]"].reason
    # The location at year 0 may be anywhere, and lines without pooling have their own.
    assert raw["mu[intercept]"].arguments[1] > 1000 < raw["theta[intercept]"].arguments[1]
    frame = pd.DataFrame({"g": list("aabbcc"), "y": [0, 1, 0, 1, 1, 0], "year": [2001.0, 2004, 2002, 2006, 2003, 2005]})
    dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors="year")
    assert priors_of(dataset, "logistic_regression")["tau[intercept]"].text == "half_normal(1)"


def test_a_year_as_it_is_is_warned_about_with_the_remedy() -> None:
    verdicts = prepare_table(family("linear_regression"), years("year")).verdicts
    hint = next(v.hint for v in verdicts if v.name == "uncentred predictor")
    assert "Make a column of year - 2009 and name that" in hint


def test_varying_intercepts_by_year_are_those_of_the_centred_column(stanli: Engine) -> None:
    """Quantiles of tau by quadrature: 0.75, 1.54 and 3.23."""
    fit = fitted(years("year_c"), stanli, "partial_pooling_intercept")
    row = check(fit).summary.loc["tau[intercept]"]
    for q, exact in (("q05", 0.75), ("q50", 1.54), ("q95", 3.23)):
        assert abs(row[q] - exact) < 5 * row[f"mcse_{q}"] + 0.005
