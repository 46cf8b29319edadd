"""Weights of models, the bootstrap of a difference and the best of many: closed cases, brute force, and faults."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import OptimizeResult
from scipy.special import logsumexp
from scipy.stats import binom, norm

from hbm_stan import weights
from hbm_stan.table import FloatArray
from hbm_stan.weights import best_by_chance, bootstrap_difference, pseudo_bma_weights, stacking_weights

SEED = 20261121
BOTH = pytest.mark.parametrize("weigh", [stacking_weights, pseudo_bma_weights])
Weigh = Callable[[FloatArray], FloatArray]


def scores(n_models: int, n: int, spread: float = 1.0) -> FloatArray:
    return -1 + spread * np.random.default_rng(SEED).standard_normal((n_models, n))


def mixed(elpd_i: FloatArray, w: FloatArray) -> FloatArray:
    """The stacked log score of weights, shape (..., model)."""
    with np.errstate(divide="ignore"):
        return np.asarray(logsumexp(np.log(w)[..., None] + elpd_i, axis=-2).sum(axis=-1))


def grid(n_models: int, steps: int) -> FloatArray:
    points = itertools.product(range(steps + 1), repeat=n_models - 1)
    return np.array([[*p, steps - sum(p)] for p in points if sum(p) <= steps]) / steps


def is_optimal(elpd_i: FloatArray, w: FloatArray) -> bool:
    """No weights of a fine grid score better, and these score no less than the best of it."""
    best = mixed(elpd_i, grid(len(elpd_i), 1000 if len(elpd_i) == 2 else 150)).max()
    return bool(mixed(elpd_i, w) >= best - 1e-9 * max(1.0, abs(best)))


@BOTH
def test_a_model_that_is_always_better_takes_all(weigh: Weigh) -> None:
    elpd_i = np.array([np.full(30, -1.0), np.full(30, -3.0)])
    np.testing.assert_allclose(weigh(elpd_i), [1, 0], atol=1e-6)
    np.testing.assert_allclose(weigh(elpd_i[::-1]), [0, 1], atol=1e-6)


@BOTH
@pytest.mark.parametrize("n_models", [1, 2, 5])
def test_the_same_model_several_times_shares_alike(weigh: Weigh, n_models: int) -> None:
    elpd_i = np.repeat(scores(1, 40), n_models, axis=0)
    np.testing.assert_allclose(weigh(elpd_i), np.full(n_models, 1 / n_models), atol=1e-9)


@BOTH
@pytest.mark.parametrize("low", [-800.0, -1e5])
def test_nothing_underflows(weigh: Weigh, low: float) -> None:
    elpd_i = scores(3, 40)
    # One observation with such a score in all models moves nothing: only differences count.
    moved = elpd_i.copy()
    moved[:, 7] += low
    np.testing.assert_allclose(weigh(moved), weigh(elpd_i), atol=1e-6)
    # In one model alone it is the end of that model under pseudo-BMA; stacking keeps what it is good for elsewhere.
    moved = elpd_i.copy()
    moved[0, 7] = low
    weights = weigh(moved)
    assert np.all(np.isfinite(weights))
    assert weights.sum() == pytest.approx(1)
    # Models that are each hopeless somewhere.
    apart = np.zeros((2, 10))
    apart[0, :5], apart[1, 5:] = low, low
    weights = weigh(apart)
    np.testing.assert_allclose(weights, 0.5, atol=1e-6 if weigh is stacking_weights else 0.05)


@BOTH
def test_the_order_of_observations_does_not_matter_and_that_of_models_moves_weights_along(weigh: Weigh) -> None:
    elpd_i = scores(4, 60)
    rng = np.random.default_rng(SEED)
    models, rows = rng.permutation(4), rng.permutation(60)
    np.testing.assert_allclose(weigh(elpd_i[:, rows]), weigh(elpd_i), atol=1e-6)
    np.testing.assert_allclose(weigh(elpd_i[models]), weigh(elpd_i)[models], atol=1e-6)
    np.testing.assert_array_equal(weigh(elpd_i), weigh(elpd_i))


@pytest.mark.parametrize("n_models", [2, 3])
@pytest.mark.parametrize("n", [1, 8, 200])
@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0])
def test_stacking_is_the_optimum_that_brute_force_finds(n_models: int, n: int, spread: float) -> None:
    elpd_i = scores(n_models, n, spread)
    w = stacking_weights(elpd_i)
    assert w.sum() == pytest.approx(1, abs=1e-12)
    assert is_optimal(elpd_i, w)


def test_the_check_of_the_optimum_catches_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    elpd_i = scores(3, 200)
    w = stacking_weights(elpd_i)
    assert is_optimal(elpd_i, w)
    assert not is_optimal(elpd_i, np.full(3, 1 / 3))
    assert not is_optimal(elpd_i, w[::-1])
    assert not is_optimal(elpd_i, pseudo_bma_weights(elpd_i))
    # An optimiser that stops where it starts.
    monkeypatch.setattr(weights, "minimize", lambda loss, start, **_: OptimizeResult(x=start))
    assert not is_optimal(elpd_i, stacking_weights(elpd_i))


def directly(elpd_i: FloatArray, seed: int, samples: int = 4000) -> tuple[FloatArray, FloatArray]:
    """Pseudo-BMA+ as it is defined (Yao et al. 2018), with densities; and its standard errors."""
    alpha = np.random.default_rng(seed).dirichlet(np.ones(elpd_i.shape[1]), size=samples)
    density = np.exp(elpd_i.shape[1] * alpha @ elpd_i.T)
    shares = density / density.sum(axis=1, keepdims=True)
    return shares.mean(axis=0), shares.std(axis=0)


# Two bootstraps, of 1,000 and 4,000 samples; three weights at 99.9 % together: z of 0.0005 / 3 a side.
MANY = float(norm.isf(0.0005 / 3))


def agrees(weights: FloatArray, elpd_i: FloatArray) -> bool:
    expected, sd = directly(elpd_i, SEED + 1)
    return bool(np.all(np.abs(weights - expected) <= MANY * sd * np.sqrt(1 / 1000 + 1 / 4000)))


def test_pseudo_bma_is_what_its_definition_gives() -> None:
    elpd_i = scores(3, 40, 0.3)
    assert agrees(pseudo_bma_weights(elpd_i), elpd_i)
    # Faults: without the bootstrap (pseudo-BMA), the mean in place of the sum, and stacking.
    total = elpd_i.sum(axis=1)
    assert not agrees(np.exp(total - logsumexp(total)), elpd_i)
    mean = elpd_i.mean(axis=1)
    assert not agrees(np.exp(mean - logsumexp(mean)), elpd_i)
    assert not agrees(stacking_weights(elpd_i), elpd_i)


def test_the_bootstrap_is_that_of_any_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    elpd_i = scores(3, 40, 0.3)
    whole, difference = pseudo_bma_weights(elpd_i), bootstrap_difference(elpd_i[0] - elpd_i[1])
    monkeypatch.setattr(weights, "_AT_ONCE", 300)
    np.testing.assert_allclose(pseudo_bma_weights(elpd_i), whole, atol=1e-12)
    np.testing.assert_allclose(bootstrap_difference(elpd_i[0] - elpd_i[1]), difference, atol=1e-12)


def interval_fits(interval: tuple[float, float, float], diff: FloatArray) -> bool:
    """Whether an interval is that of a normal sum: of the bootstrap's 1,000 samples right shares lie on each side."""
    sd = np.sqrt(diff.size) * diff.std()
    low, high, p_worse = interval
    bands = binom.ppf([0.0005, 0.9995], 1000, 0.05) / 1000
    tails = norm.cdf(low, diff.sum(), sd), norm.sf(high, diff.sum(), sd)
    expected = float(norm.cdf(0, diff.sum(), sd))
    fewest, most = binom.ppf([0.0005, 0.9995], 1000, expected) / 1000
    return all(bands[0] <= t <= bands[1] for t in tails) and bool(fewest <= p_worse <= most)


@pytest.mark.parametrize("shift", [0.0, 0.02, -0.05])
def test_the_bootstrap_of_many_units_is_the_normal_approximation(shift: float) -> None:
    diff = shift + np.random.default_rng(SEED).standard_normal(2000)
    interval = bootstrap_difference(diff)
    assert interval_fits(interval, diff)
    low, high, p_worse = interval
    # Faults: the sd of the mean for that of the sum, a variance, sides exchanged, the other sign.
    assert not interval_fits((low / 2000, high / 2000, p_worse), diff)
    assert not interval_fits((diff.sum() + (low - diff.sum()) * 2, high, p_worse), diff)
    assert not interval_fits((high, low, p_worse), diff)
    assert abs(diff.sum()) < 40 or not interval_fits((low, high, 1 - p_worse), diff)


def test_the_bootstrap_of_a_difference_in_closed_cases() -> None:
    assert bootstrap_difference(np.zeros(10)) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(bootstrap_difference(np.full(10, -2.0)), (-20, -20, 1), rtol=1e-12)
    np.testing.assert_allclose(bootstrap_difference(np.array([3.0])), (3, 3, 0), rtol=1e-12)
    diff = np.random.default_rng(SEED).standard_normal(30) + 0.2
    low, high, p_worse = bootstrap_difference(diff)
    assert bootstrap_difference(diff[::-1]) == (low, high, p_worse)
    assert low < diff.sum() < high
    # Two units of opposite sign: the weight of one is uniform, and so is the sum, on (-2, 2).
    low, high, p_worse = bootstrap_difference(np.array([-1.0, 1.0]))
    fewest, most = binom.ppf([0.0005, 0.9995], 1000, [0.05, 0.95]) / 1000
    assert fewest - 0.001 <= (low + 2) / 4 <= binom.ppf(0.9995, 1000, 0.05) / 1000 + 0.001
    assert binom.ppf(0.0005, 1000, 0.95) / 1000 - 0.001 <= (high + 2) / 4 <= most + 0.001
    assert abs(p_worse - 0.5) < norm.isf(0.0005) * 0.5 / np.sqrt(1000)


def by_the_rule(elpd: list[float]) -> bool:
    """R's loo_compare, step by step, with its indices from 1."""
    ordered = sorted(elpd, reverse=True)
    lead = [value - ordered[len(ordered) // 2 - 1] for value in ordered]
    half = [d for d in lead if d >= float(np.median(lead))]
    sd = (sum(d * d for d in half) / len(half)) ** 0.5
    return max(lead) <= float(norm.ppf(1 - 1 / ((len(elpd) - 1) * 2), 0, sd))


def test_the_best_of_many_by_chance() -> None:
    rng = np.random.default_rng(SEED)
    for n_models in (1, 2, 11):
        assert best_by_chance(rng.standard_normal(n_models)) is None
    verdicts = []
    for n_models in (12, 13, 40):
        for ahead in (0.0, 2.0, 4.0, 20.0):
            elpd = 3 * rng.standard_normal(n_models) - 500
            elpd[0] = elpd.max() + ahead
            verdicts.append(best_by_chance(elpd))
            assert verdicts[-1] == by_the_rule(list(elpd)) == best_by_chance(elpd[::-1])
    assert {True, False} == set(verdicts)
    assert best_by_chance(np.full(12, -7.0)) is True


def test_a_model_far_ahead_of_many_is_not_best_by_chance() -> None:
    # The better half of 40 models: one at 100, nineteen near 0; sd about 100 / sqrt(20) = 22, times 2.2 is below 100.
    elpd = np.append(np.linspace(-1, 1, 39), 100.0)
    assert best_by_chance(elpd) is False
    # Models that differ as normal values do: a leader at 1.6 is to be expected of 40, one at 5 is not.
    elpd = norm.ppf((np.arange(40) + 0.5) / 40)
    elpd[-1] = 1.6
    assert best_by_chance(elpd) is True
    elpd[-1] = 5.0
    assert best_by_chance(elpd) is False


def test_stacking_weights_of_very_many_units_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    elpd_i = rng.normal(-3, 1, (3, 5000))
    elpd_i[1:] = elpd_i[0] + rng.normal([[0.0], [-0.2]], 0.8, (2, 5000))
    elpd_i[0, 7] = -900.0
    whole, given = weights.stacking_weights(elpd_i), elpd_i.copy()
    monkeypatch.setattr(weights, "VERY_MANY_ROWS", 1000)
    monkeypatch.setattr("hbm_stan.portions.AT_ONCE", 3 * 700)
    some = weights.stacking_weights(elpd_i)
    np.testing.assert_allclose(some, whole, atol=1e-5)
    assert (whole > 0.05).sum() >= 2
    np.testing.assert_array_equal(elpd_i, given)
    last = weights.stacking_weights(elpd_i[:, ::-1])
    np.testing.assert_allclose(last, some, atol=1e-5)  # the last block counts as the first
