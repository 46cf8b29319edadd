"""Which likelihood counts with extra zeros call for: before a fit from their spread above 0, after it in words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hbm_stan.errors import DataError
from hbm_stan.families.choose import choose_likelihood, of_formula
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.above_zero import ABOVE_ZERO
from hbm_stan.nouns import GROUPS
from hbm_stan.rows import Rows, Statistic, would_describe

FORMULA = "y | rate(e) ~ x + (1 | g)"


def frame(seed: int, overdispersion: float, rate: float = 1.2) -> pd.DataFrame:
    """200 rows of 20 groups, two in five of them extra zeros, which x makes more likely."""
    rng = np.random.default_rng([20261129, seed])
    g, x, e = np.repeat(np.arange(20), 10), rng.normal(size=200), rng.choice([0.5, 2.0], 200)
    mean = e * np.exp(rate + rng.normal(0, 0.5, 20)[g] + 0.3 * x)
    square = max(overdispersion**2, 1e-9)
    y = rng.poisson(mean * rng.gamma(1 / square, square, 200)) * (rng.uniform(size=200) > 1 / (1 + np.exp(0.4 - x)))
    return pd.DataFrame({"g": [f"g{j}" for j in g], "x": x, "e": e, "y": y})


def test_counts_above_zero_are_poisson_counts_without_those_of_0() -> None:
    y, eta = np.array([1.0, 2.0, 7.0, 1.0]), np.array([[0.3, -2.0, 1.5, -30.0], [2.0, 0.1, -1.0, 1.0]])
    rows = {"y": y, "exposure": np.array([0.5, 1.0, 4.0, 2.0])}
    rate = rows["exposure"] * np.exp(eta)
    exact = stats.poisson.logpmf(y, rate) - np.log(-np.expm1(-rate))
    np.testing.assert_allclose(ABOVE_ZERO.log_p(eta, rows, {}), exact, atol=1e-10)
    counts = np.arange(1, 80)[:, None, None]
    p = np.exp(stats.poisson.logpmf(counts, rate) - np.log(-np.expm1(-rate)))
    mean, variance = ABOVE_ZERO.moments(eta, rows, {})
    np.testing.assert_allclose(mean, (p * counts).sum(axis=0), rtol=1e-10)
    np.testing.assert_allclose(variance, (p * (counts - mean) ** 2).sum(axis=0), rtol=1e-6)
    h = 1e-5
    first = (ABOVE_ZERO.kernel(eta + h, rows, {}) - ABOVE_ZERO.kernel(eta - h, rows, {})) / (2 * h)
    second = (ABOVE_ZERO.score(eta + h, rows, {}) - ABOVE_ZERO.score(eta - h, rows, {})) / (2 * h)
    np.testing.assert_allclose(ABOVE_ZERO.score(eta, rows, {}), first, atol=1e-6)
    np.testing.assert_allclose(ABOVE_ZERO.weight(eta, rows, {}), -second, atol=1e-6)
    assert (ABOVE_ZERO.weight(eta, rows, {}) > 0).all()


@pytest.mark.parametrize(("overdispersion", "name"), [(0.0, "poisson"), (1.0, "negative_binomial")])
def test_a_formula_of_extra_zeros_takes_a_likelihood_that_has_them(overdispersion: float, name: str) -> None:
    chosen = []
    for seed in range(6):
        _, dataset = of_formula(FORMULA, frame(seed, overdispersion), zi="~ x")
        likelihood_name, why = choose_likelihood(dataset)
        chosen.append(likelihood_name)
        assert "the share of extra zeros has a formula" in why
        assert ("counts above 0 spread" in why) == (overdispersion > 0)
    # Of 600 simulated sets of Poisson counts with extra zeros, of rates from 0.2 to 3.7, none was taken for the other.
    assert chosen == [f"zero_inflated_{name}"] * 6


def test_extra_zeros_alone_are_no_dispersion() -> None:
    _, dataset = of_formula(FORMULA, frame(1, 0.0))
    assert choose_likelihood(dataset)[0] == "negative_binomial"  # without zi nothing else explains the zeros


@pytest.mark.parametrize("y", [[0.0] * 200, [1.0, 2.0] + [0.0] * 198], ids=["none", "two"])
def test_few_counts_above_zero_say_nothing_of_their_spread(y: list[float]) -> None:
    _, dataset = of_formula(FORMULA, frame(1, 0.0).assign(y=y), zi="~ x")
    assert choose_likelihood(dataset)[0] == "zero_inflated_poisson"


@pytest.mark.parametrize("named", ["", "poisson", "zero_inflated_poisson"])
def test_a_mistyped_column_of_extra_zeros_is_named_first(named: str) -> None:
    given = frame(1, 1.0).rename(columns={"x": "wind"})
    with pytest.raises(DataError, match=r"no column 'wnid'.*Did you mean 'wind'"):
        of_formula("y ~ wind + (1 | g)", given, named, zi="~ wnid")


def test_extra_zeros_of_what_is_no_count_are_refused_with_those_that_take_them() -> None:
    given = frame(1, 1.0).assign(y=lambda f: f["y"] + 0.5)
    takers = "zero_inflated_negative_binomial or zero_inflated_poisson"
    with pytest.raises(DataError, match=rf"zi = '~ x' is for extra zeros.* normal has none.*--likelihood {takers}\."):
        of_formula("y ~ x + (1 | g)", given, zi="~ x")


def test_rows_that_do_not_fit_name_the_likelihood_with_extra_zeros_that_would_mend_it() -> None:
    def advice(name: str, *above: str) -> str:
        return would_describe(Rows(None, False, likelihood(name), True), above, (), 1.0, GROUPS)

    wide, zeros = (f'likelihood = "zero_inflated_{name}"' for name in ("negative_binomial", "poisson"))
    assert wide in advice("zero_inflated_poisson", Statistic.DISPERSION)
    assert '"negative_binomial"' not in advice("zero_inflated_poisson", Statistic.DISPERSION)
    assert zeros in advice("poisson", Statistic.ZEROS)
    assert wide in advice("negative_binomial", Statistic.ZEROS)
    assert 'zi = "~ x"' in advice("zero_inflated_negative_binomial", Statistic.ZEROS)
    assert "would describe" not in advice("zero_inflated_negative_binomial", Statistic.DISPERSION)
    assert zeros not in advice("poisson", Statistic.DISPERSION)
