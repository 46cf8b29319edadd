"""Which likelihood counts with extra zeros call for: before a fit from their spread above 0, after it in words."""

from __future__ import annotations

import itertools
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import stanli
from scipy import stats

from hbm_stan.data import Dataset
from hbm_stan.density import SPREAD, density_model, log_density_spread
from hbm_stan.errors import DataError
from hbm_stan.families import families
from hbm_stan.families.choose import choose_likelihood, of_formula
from hbm_stan.fit import prepare_table
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


# The programs, where means and odds are as far out as numbers go.

LIBRARY = Path(__file__).parents[1] / "stan" / "lib"
ROW = """
functions {
%s}
data {
  int<lower=0, upper=1> zero;
}
parameters {
  real log_mean;
  real log_odds;
}
model {
  target += log_zero_inflated(rep_vector(1, zero), rep_array(1, zero), -rep_vector(exp(log_mean), zero),
                              rep_vector(log_odds, 1), rep_vector(1 - zero, 1), rep_vector(log_odds, 1));
}
"""
FAR = (-700.0, -355.0, -30.0, -1.0, 0.0, 1.0, 3.0, 6.5, 7.0, 30.0, 355.0, 700.0)


def row_code(right: str = "", wrong: str = "") -> str:
    names = ("log_one_plus_exp", "zero_inflated")
    functions = "".join((LIBRARY / f"{name}.stanfunctions").read_text() for name in names)
    assert right in functions
    return ROW % functions.replace(right, wrong)


def exact_row(zero: int, log_mean: float, log_odds: float) -> tuple[float, float, float]:
    """log p of a row but for the count itself, and its derivatives by log_mean and log_odds, with 700 digits."""
    with localcontext() as context:
        context.prec = 700
        zi, mean = 1 / (1 + (-Decimal(log_odds)).exp()), Decimal(log_mean).exp()
        if not zero:
            return float((1 - zi).ln()), 0.0, float(-zi)
        p0 = (-mean).exp()
        p = zi + (1 - zi) * p0
        return float(p.ln()), float(-(1 - zi) * p0 * mean / p), float(zi * (1 - zi) * (1 - p0) / p)


def worst_row(code: str) -> float:
    """The largest error of log p and its derivatives, as a share of them or, of those below 1, in units of 1."""
    mir, worst = stanli.stan_to_mir(code), []
    for zero in (0, 1):
        model = stanli.Model(mir=mir, data={"zero": zero})
        for point in itertools.product(FAR, FAR):
            value, slopes = model.log_prob_grad(np.array(point))[:2]
            right = np.array(exact_row(zero, *point))
            worst.append(np.abs(np.array([value, *slopes]) - right) / np.maximum(np.abs(right), 1))
    return float(np.max(worst))


def test_a_row_has_its_log_probability_and_slopes_however_far_mean_and_odds_are() -> None:
    assert worst_row(row_code()) < 1e-14


PAIR = "log(inv_logit(log_odds)[zero_share] + inv_logit(-log_odds)[zero_share] .* exp(log_p0))"
SQUARED = "(log_odds - log_one_plus_exp(log_odds))[zero_share] + log_one_plus_exp(log_p0 - log_odds[zero_share])"


@pytest.mark.parametrize(("right", "wrong"), [
    (PAIR, SQUARED),  # the square of a mean above 1e154 is none
    ("log(inv_logit(log_odds)[zero_share]", "log(inv_logit(log_odds)[zero_share] + 1e-300"),
    ("log(inv_logit(log_odds)[zero_share] +", "log(exp(log_odds)[zero_share] +"),
    ("inv_logit(-log_odds)[zero_share] .*", "1 .*"),
    ("log_one_plus_exp(other_log_odds)", "other_log_odds"),
])  # fmt: skip
def test_a_row_that_is_wrong_far_out_only_is_seen(right: str, wrong: str) -> None:
    assert not worst_row(row_code(right, wrong)) < 1e-14


@pytest.mark.parametrize("name", ["zero_inflated_poisson", "zero_inflated_negative_binomial"])
@pytest.mark.parametrize("zi", ["~ 1", "~ x", "~ g"])
def test_programs_have_the_density_in_numpy_where_means_are_as_far_out_as_numbers_go(name: str, zi: str) -> None:
    far = frame(1, 1.0).assign(o=np.resize([-690.0, -300.0, 0.0, 0.0, 0.0, 0.0, 300.0, 690.0], 200))
    far["y"] = far["y"].where(far["o"] < 1, 0)  # a count of so many is impossible but as an extra zero
    family = families()[name]
    dataset = Dataset.from_frame(far, formula=f"{FORMULA} + offset(o)", zi=zi, centre=False)
    table = prepare_table(family, dataset)
    data = family.stan_data(table, family.priors(table, {"beta": "normal(0, 0.1)"}), "partial_pooling")
    for zero, size in ((True, "NS"), (False, "NO")):
        of_rows = far[(far["y"] == 0) == zero]
        assert data[size] == {"~ 1": 1, "~ x": len(of_rows), "~ g": of_rows["g"].nunique()}[zi]
    assert data["NZ"] < data["NC"]
    program = family.program("partial_pooling")
    assert log_density_spread(program, family, "partial_pooling", data) < SPREAD
    model = density_model(program, data)
    rng = np.random.default_rng(3)
    assert all(np.isfinite(model.log_prob_grad(rng.uniform(-2, 2, model.n_unconstrained))[1]).all() for _ in range(20))


@pytest.mark.parametrize("name", ["zero_inflated_poisson", "zero_inflated_negative_binomial"])
@pytest.mark.parametrize("zi", ["~ 1", "~ x"])
def test_order_and_number_of_rows_do_not_change_their_density(name: str, zi: str) -> None:
    """Rows twice, in another order inside their groups, say twice what they say once: equal rows are one cell."""
    family, given = families()[name], frame(1, 1.0).assign(x=lambda f: f["x"].round())
    twice = (
        pd.concat([given, given]).sample(frac=1, random_state=3).sort_values("g", key=lambda g: g.str[1:].astype(int))
    )
    priors = family.priors(prepare_table(family, Dataset.from_frame(given, formula=FORMULA, zi=zi)))
    likelihoods, n_cells = [], []
    for rows in (given, twice):
        table = prepare_table(family, Dataset.from_frame(rows.reset_index(drop=True), formula=FORMULA, zi=zi))
        data = family.stan_data(table, priors, "partial_pooling")
        with_rows, without = (
            density_model(family.program("partial_pooling"), {**data, "use_likelihood": use}) for use in (1, 0)
        )
        points = np.random.default_rng(4).normal(0, 0.3, (5, without.n_unconstrained))
        likelihoods.append([with_rows.log_prob_grad(at)[0] - without.log_prob_grad(at)[0] for at in points])
        n_cells.append(data["NC"])
    assert n_cells[0] == n_cells[1] < len(given)
    np.testing.assert_allclose(np.diff(likelihoods[1]), 2 * np.diff(likelihoods[0]), rtol=1e-10)
