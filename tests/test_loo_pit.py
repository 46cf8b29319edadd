"""LOO-PIT: known predictive distributions, ArviZ, whole numbers, rows without a place, words, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fake_fits import fake_fit
from scipy import stats
from scipy.special import eval_legendre

from hbm_stan import loo_pit as pit_module
from hbm_stan import loo_predictive as predictive_module
from hbm_stan import tree
from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.envelope import counts_below as ranks_below
from hbm_stan.envelope import p_of_counts, p_value
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.loo_pit import Departure, LooPit, counts_below, loo_pit, smooth_scores
from hbm_stan.loo_predictive import LooPredictive, loo_predictive
from hbm_stan.verdicts import LOO_PIT

SEED = 20261129
ERRORS = 4.5  # Monte Carlo standard errors: of some hundred comparisons the largest is about 3
COLUMNS = {"group": "g", "estimate": "y", "standard_error": "s"}


def estimates(n: int = 40, seed: int = SEED) -> pd.DataFrame:
    """Estimates about 1 with errors of unequal size; one is so exact that without it all is predicted otherwise."""
    rng = np.random.default_rng(seed)
    se = rng.uniform(0.4, 2.0, n)
    se[3] = 0.15
    y = rng.normal(1, se)
    y[3] = 1.6
    return pd.DataFrame({"g": [f"g{j}" for j in range(n)], "y": y, "s": se}).sample(frac=1, random_state=seed)


@pytest.fixture(scope="module")
def complete() -> Fit:
    data = Dataset.from_frame(estimates(), COLUMNS)
    priors = {"mu": "normal(0, 5)"}
    return fit("normal_means", data, "complete_pooling", priors=priors, sampling=Sampling(seed=1), engine="stanli")


def closed_form(y: np.ndarray, se: np.ndarray) -> np.ndarray:
    """P(new y_i <= y_i | the others) where all estimates share a mean with the prior normal(0, 5)."""
    values = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        variance = 1 / (np.sum(1 / se[rest] ** 2) + 1 / 25)
        mean = variance * np.sum(y[rest] / se[rest] ** 2)
        values.append(stats.norm.cdf(y[i], mean, np.hypot(se[i], np.sqrt(variance))))
    return np.array(values)


def error(u: np.ndarray, draws: float) -> np.ndarray:
    return np.sqrt(u * (1 - u) / draws) + 1e-3


def test_transforms_are_those_of_a_conjugate_model(complete: Fit) -> None:
    own = loo_predictive(complete)
    low, high = own.below()
    truth = closed_form(complete.y, np.asarray(complete.data["se"]))
    assert np.array_equal(low, high)
    ess = 1 / np.exp(2 * own.log_weights).sum(axis=0)
    assert (np.abs(low - truth) < ERRORS * error(truth, np.minimum(ess, 1500))).all()


def test_transforms_without_weights_would_be_seen(complete: Fit) -> None:
    truth = closed_form(complete.y, np.asarray(complete.data["se"]))
    own = loo_predictive(complete)
    plain = np.mean(own.y_rep < own.y, axis=0)
    assert (np.abs(plain - truth) > ERRORS * error(truth, 1500)).any()


def test_transforms_are_those_of_arviz_with_the_same_weights(complete: Fit) -> None:
    import arviz_stats
    import xarray as xr

    own = loo_predictive(complete)
    log_lik = complete.tree["log_likelihood"]["y"]
    weights = xr.Dataset({"y": log_lik.copy(data=own.log_weights.reshape(log_lik.shape))})
    k = xr.Dataset({"y": log_lik[0, 0].drop_vars(["chain", "draw"]).copy(data=own.pareto_k)})
    theirs = arviz_stats.loo_pit(complete.tree, var_names="y", log_weights=weights, pareto_k=k)["y"].values
    assert own.below()[1] == pytest.approx(theirs, abs=1e-9)


def test_a_group_of_one_row_is_left_out_whole(stanli: Engine) -> None:
    """Quadrature over mu and tau without each group, whose own effect is a new one."""
    rng = np.random.default_rng(SEED)
    se = rng.uniform(2, 4, 12)
    data = Dataset.from_frame(pd.DataFrame({"g": range(12), "y": rng.normal(2, np.hypot(se, 6)), "s": se}), COLUMNS)
    priors = {"mu": "normal(0, 5)", "tau": "half_cauchy(5)"}
    own = fit("normal_means", data, "partial_pooling", priors=priors, sampling=Sampling(seed=3), engine=stanli)
    y, se = own.y, np.asarray(own.data["se"])
    tau = np.linspace(0.005, 80, 4000)
    truth = []
    for i in range(len(y)):
        rest = np.arange(len(y)) != i
        precision = 1 / (se[rest] ** 2 + tau[:, None] ** 2)
        v = 1 / (precision.sum(axis=1) + 1 / 25)
        m = v * (precision * y[rest]).sum(axis=1)
        log_p = 0.5 * (np.log(v) + np.log(precision).sum(axis=1) + m**2 / v - (precision * y[rest] ** 2).sum(axis=1))
        p = np.exp(log_p - log_p.max()) / (1 + (tau / 5) ** 2)
        truth.append(np.sum(p * stats.norm.cdf(y[i], m, np.sqrt(v + tau**2 + se[i] ** 2))) / p.sum())
    values, expected = loo_predictive(own).below()[0], np.array(truth)
    assert (np.abs(values - expected) < ERRORS * error(expected, 800)).all()
    # Its own effect, which has seen the row, would be near to what it saw.
    posterior = np.mean(own.tree["posterior_predictive"]["y"].values < y, axis=(0, 1))
    assert (np.abs(posterior - expected) > ERRORS * error(expected, 800)).any()


# --- whole numbers, rows without a place -----------------------------------------------------------------------------


def test_a_row_of_a_whole_number_is_spread_as_the_mean_of_randomised_transforms_is() -> None:
    rng = np.random.default_rng(SEED)
    low = rng.random(15)
    high = np.minimum(low + rng.random(15) * 0.5 * (np.arange(15) % 3 > 0), 1)
    points = np.array([0.1, 0.35, 0.5, 0.9])
    u = low + rng.random((40_000, 15)) * (high - low)
    brute = np.mean([(u < x).sum(axis=1) for x in points], axis=1)
    assert counts_below(low, high, points) == pytest.approx(brute, abs=ERRORS * np.sqrt(15 / 4 / 40_000))


def test_scores_are_means_of_legendre_polynomials() -> None:
    rng = np.random.default_rng(SEED)
    u = rng.random(50)
    by_scipy = [np.sqrt((2 * k + 1) / 50) * eval_legendre(k, 2 * u - 1).sum() for k in range(1, 5)]
    assert smooth_scores(u, u) == pytest.approx(by_scipy)
    spread = smooth_scores(u * 0.5, u * 0.5 + 0.3)
    grid = (np.arange(20_000) + 0.5) / 20_000
    inside = u[:, None] * 0.5 + 0.3 * grid
    brute = [np.sqrt((2 * k + 1) / 50) * eval_legendre(k, 2 * inside - 1).mean(axis=1).sum() for k in range(1, 5)]
    assert spread == pytest.approx(brute, abs=1e-6)
    assert np.mean([np.square(smooth_scores(v, v)) for v in rng.random((4000, 30))], axis=0) == pytest.approx(
        np.ones(4), abs=0.12
    )


def test_where_rows_have_no_place_only_what_is_sure_counts() -> None:
    rng = np.random.default_rng(SEED)
    draws, n = 99, 40
    known, unknown = rng.integers(0, 60, n - 5), 5
    least = ranks_below(known, draws)
    sure = p_of_counts(least, least + unknown, n)
    for _ in range(20):
        ranks = np.concatenate([known, rng.integers(0, draws + 1, unknown)])
        assert p_value(ranks, draws) <= sure + 1e-12
    everywhere = np.concatenate([known, np.full(unknown, draws)])
    assert p_of_counts(ranks_below(everywhere, draws), ranks_below(everywhere, draws), n) == p_value(everywhere, draws)


def predictive(y: np.ndarray, sd: float | np.ndarray = 1.0, mean: float = 0.0, bad: int = 0) -> LooPredictive:
    """Predictions normal(mean, sd) of rows, the first ``bad`` of them with a Pareto k that is too high."""
    n, levels = len(y), (np.arange(4000) + 0.5) / 4000
    y_rep = np.repeat((mean + np.multiply.outer(stats.norm.ppf(levels), np.ones(n)) * sd), 1, axis=1)
    k = np.where(np.arange(n) < bad, 0.9, 0.2)
    weights = np.full((4000, n), -np.log(4000))
    return LooPredictive(
        rows=np.arange(n), y=y, y_rep=y_rep, log_weights=weights, elpd_i=np.zeros(n), pareto_k=k, k_threshold=0.7
    )


def table_fit(n: int) -> Fit:
    """A fit of n rows, whose draws do not matter."""
    frame = estimates(n)
    return fake_fit(dataset=Dataset.from_frame(frame, COLUMNS), sampling=Sampling(seed=1, draws=50))


def looked(y: np.ndarray, **how: Any) -> LooPit:
    return loo_pit(table_fit(len(y)), predictive(y, **how))


QUANTILES = (np.arange(200) + 0.5) / 200
RIGHT = stats.norm.ppf(QUANTILES)


@pytest.mark.parametrize(
    ("y", "departure"),
    [
        (1.7 * RIGHT, Departure.NARROW), (0.55 * RIGHT, Departure.WIDE), (RIGHT + 0.5, Departure.HIGHER),
        (RIGHT - 0.5, Departure.LOWER), (stats.expon.ppf(QUANTILES) - 1, Departure.SKEWED_HIGH),
        (1 - stats.expon.ppf(QUANTILES), Departure.SKEWED_LOW),
        (stats.t.ppf(QUANTILES, 1) * 0.42, Departure.HEAVY), (np.sign(RIGHT) * 0.9 + 0.25 * RIGHT, Departure.LIGHT),
        (stats.t.ppf(QUANTILES, 2) * 0.35, Departure.HEAVY),  # a normal whose sd they have widened
    ],
)  # fmt: skip
def test_each_departure_has_its_word(y: np.ndarray, departure: Departure) -> None:
    own = looked(np.random.default_rng(SEED).permutation(y))
    assert (own.departure, own.departs) == (departure, True)
    assert pit_module.WORDS[departure] in own.sentences()[-1]
    assert own.verdict().status == "warn"
    assert own.as_dict()["departure"] == departure


def test_right_predictions_stay_in_the_band_whatever_the_order_of_rows() -> None:
    one, other = looked(RIGHT), looked(RIGHT[::-1])
    assert one.verdict().status == "pass"
    assert one.sentences() == ["The curve stays in its band: rows lie where they should."]
    pd.testing.assert_frame_equal(one.curve, other.curve)
    assert one.verdict().name == LOO_PIT


def test_rows_without_a_place_make_the_curve_thick_and_are_named() -> None:
    y = np.random.default_rng(SEED).permutation(1.4 * RIGHT)
    own = looked(y, bad=8)
    assert (own.curve["high"] - own.curve["low"]).to_numpy() == pytest.approx(np.full(101, 8 / 200), abs=1e-9)
    assert "8 rows may lie anywhere" in own.sentences()[0]
    assert own.unreliable[0] in own.sentences()[0]
    assert looked(y, bad=40).p_value > own.p_value >= looked(y).p_value
    blind = looked(y, bad=60)
    assert (blind.blind, blind.departs, blind.verdict().status) == (True, False, "pass")
    assert blind.sentences()[-1] == "These are too many for the rest to say anything."


# --- large tables, refusals ------------------------------------------------------------------------------------------


def counts(n: int = 300) -> Dataset:
    rng = np.random.default_rng(SEED)
    group, x = rng.permutation(np.arange(n) % 9), rng.normal(size=n)
    y = rng.poisson(np.exp(0.5 + 0.4 * rng.normal(size=9)[group] + 0.3 * x))
    return Dataset.from_frame(pd.DataFrame({"g": [f"g{j}" for j in group], "x": x, "y": y}), formula="y ~ x + (1 | g)")


def test_of_a_large_table_some_rows_and_draws_are_taken_and_it_is_told(
    stanli: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = Sampling(seed=2, draws=600)
    whole = fit("poisson", counts(), "partial_pooling", sampling=sampling, engine=stanli)
    everything = loo_pit(whole)
    assert everything.discrete
    monkeypatch.setattr(tree, "MANY_ROWS", 100)
    monkeypatch.setattr(predictive_module, "MOST_ROWS", 75)
    monkeypatch.setattr(predictive_module, "_DRAWS_OF_LARGE", 800)
    large = fit("poisson", counts(), "partial_pooling", sampling=replace(sampling, seed=4), engine=stanli)
    assert large.rows_on_request
    some = loo_pit(large)
    assert some.sentences()[0] == "75 of 300 rows were looked at, evenly spaced in the table."
    both = everything.rows.merge(some.rows, on="row")
    assert len(both) == 75
    for end in ("low", "high"):
        error_of = error(both[f"{end}_x"].to_numpy(), 500)
        assert (np.abs(both[f"{end}_x"] - both[f"{end}_y"]) < ERRORS * error_of).all()


def test_what_has_no_transforms_is_told_why(stanli: Engine) -> None:
    with pytest.raises(ComparisonError, match="3 rows are too few to show a shape: 20 are needed"):
        loo_pit(fake_fit())
    alone = fake_fit("no_pooling", Dataset.from_frame(estimates(), COLUMNS), Sampling(seed=1, draws=50))
    with pytest.raises(ComparisonError, match="has nothing but its prior"):
        loo_pit(alone)
    frame = pd.DataFrame({"g": np.arange(60) % 5, "y": np.arange(60) % 2})
    binary = Dataset.from_frame(frame, formula="y ~ 1 + (1 | g)")
    own = fit("binomial", binary, "partial_pooling", sampling=Sampling(seed=1, draws=100), engine=stanli)
    with pytest.raises(ComparisonError, match="rows are 0 or 1, whose transforms say nothing: calibration does"):
        loo_pit(own)
