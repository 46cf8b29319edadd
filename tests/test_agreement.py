"""Two posteriors in units of Monte Carlo error: right ones agree as often as they should, moved ones are caught."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import quadrature
from scipy.stats import binom, norm
from test_truth import PRIORS, dataset, priors

from hbm_stan.agreement import FAMILY_ERROR, STATISTICS, compare_draws, compare_with_reference, threshold
from hbm_stan.diagnose import estimates
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import ModelError
from hbm_stan.families import family
from hbm_stan.fit import jobs_of

SEEDS = 200
NAMES = ["mu", "tau", *(f"theta[{label}]" for label in quadrature.LABELS)]


@cache
def suites() -> tuple[list[np.ndarray], pd.DataFrame]:
    """Draws of eight schools with 200 seeds, each (parameter, chain, draw), and the exact posterior."""
    tau, arguments, mu = PRIORS["Gelman 2006"]
    engine, model = StanliEngine(), family("normal_means")
    job = jobs_of(model, dataset(), ["partial_pooling"], priors(tau, arguments, mu), Sampling(), engine)[0]
    draws = []
    for seed in range(SEEDS):
        drawn = engine.sample(
            job.program, {**job.data, "generate": 1}, Sampling(draws=1000, adapt_delta=0.95, seed=seed)
        ).variables
        draws.append(np.concatenate([drawn["mu"][None], drawn["tau"][None], np.moveaxis(drawn["theta"], 2, 0)]))
    return draws, exact(quadrature.exact(tau, arguments, mu).summaries())


def exact(truth: dict[str, dict[str, float]]) -> pd.DataFrame:
    table = pd.DataFrame.from_dict(truth, orient="index").loc[NAMES]
    return table.assign(**{f"mcse_{s}": 0.0 for s in STATISTICS})


@pytest.mark.usefixtures("stanli")
def test_a_right_program_is_refused_as_seldom_as_it_is_said() -> None:
    draws, truth = suites()
    comparisons = [compare_with_reference(NAMES, d, truth) for d in draws]
    assert comparisons[0].n == 50
    for alpha in (FAMILY_ERROR, 0.01, 0.05):
        alarms = sum(f.largest > threshold(50, alpha) for f in comparisons)
        # The band's other end is 0: comparisons that depend on each other are refused less often.
        assert alarms <= binom.ppf(0.999, SEEDS, alpha), (alpha, alarms)


@pytest.mark.usefixtures("stanli")
def test_a_shift_of_a_tenth_of_an_sd_is_caught_as_often_as_the_effective_sample_size_implies() -> None:
    draws, truth = suites()
    moved = truth.loc[["mu"]]
    shift = 0.1 * truth.loc["mu", "sd"]
    moved[["mean", "q05", "q50", "q95"]] += shift
    caught, implied = 0, 0.0
    for d in draws:
        comparison = compare_with_reference(NAMES, d, moved, n=50)  # a part of the suite, for it alone is moved
        caught += "mean" in set(comparison.moved.query("parameter == 'mu'")["statistic"])
        implied += float(norm.cdf(shift / estimates(["mu"], d[:1])["mcse_mean"].iloc[0] - comparison.threshold))
    low, high = binom.ppf([0.001, 0.999], SEEDS, implied / SEEDS)
    assert low <= caught <= high
    assert 0.1 < implied / SEEDS < 0.9


def normal_draws(seed: int, shape: tuple[int, ...] = (3, 4, 500)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_two_sets_of_draws_of_one_posterior_agree_and_moved_ones_do_not() -> None:
    names = ["a", "b", "c"]
    refused = sum(not compare_draws(names, normal_draws(2 * s), normal_draws(2 * s + 1)).agrees for s in range(200))
    assert refused <= binom.ppf(0.999, 200, FAMILY_ERROR)
    moved = normal_draws(1)
    moved[1] += 0.3
    comparison = compare_draws(names, normal_draws(0), moved)
    assert set(comparison.moved["parameter"]) == {"b"}
    assert "b: mean" in comparison.words
    assert f"{comparison.threshold:.2f} MCSE" in comparison.words
    assert "15 comparisons" in comparison.words
    wider = normal_draws(1)
    wider[2] *= 1.3
    assert "sd" in set(compare_draws(names, normal_draws(0), wider).moved["statistic"])


def test_draws_agree_with_themselves_and_the_order_does_not_matter() -> None:
    a, b = normal_draws(5), normal_draws(6)
    assert compare_draws(["a", "b", "c"], a, a).largest == 0
    there, back = compare_draws(["a", "b", "c"], a, b), compare_draws(["a", "b", "c"], b, a)
    np.testing.assert_allclose(there.table["z"], -back.table["z"], rtol=1e-10)


def test_the_error_of_the_reference_counts() -> None:
    draws = normal_draws(3, (1, 4, 1000))
    rough = estimates(["x"], normal_draws(4, (1, 4, 100)))
    rough["mean"] += 0.1
    assert compare_with_reference(["x"], draws, rough).agrees
    sharp = rough.assign(**{f"mcse_{s}": 0.0 for s in STATISTICS})
    assert not compare_with_reference(["x"], draws, sharp).agrees


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_draws_that_are_not_finite_are_never_in_agreement(value: float) -> None:
    draws = normal_draws(7, (1, 4, 500))
    reference = estimates(["x"], normal_draws(8, (1, 4, 500)))
    draws[0, 0, 0] = value
    assert not compare_with_reference(["x"], draws, reference).agrees
    assert not compare_draws(["x"], draws, normal_draws(8, (1, 4, 500))).agrees


def test_statistics_that_a_reference_does_not_know_are_not_compared() -> None:
    reference = pd.DataFrame({"q50": [0.0], "mcse_q50": [0.0], "mean": [np.nan], "mcse_mean": [np.nan]}, index=["x"])
    comparison = compare_with_reference(["x"], normal_draws(9, (1, 4, 500)), reference)
    assert list(comparison.table["statistic"]) == ["q50"]
    assert comparison.agrees


def test_a_parameter_that_the_draws_lack_is_named() -> None:
    reference = estimates(["gamma"], normal_draws(9, (1, 4, 500)))
    with pytest.raises(ModelError, match="gamma"):
        compare_with_reference(["x"], normal_draws(9, (1, 4, 500)), reference)


def test_a_part_of_a_larger_suite_has_the_threshold_of_the_suite() -> None:
    comparison = compare_draws(["a", "b", "c"], normal_draws(0), normal_draws(1))
    assert comparison.among(10_000).threshold == threshold(10_000) > comparison.threshold
