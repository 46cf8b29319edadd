"""Pareto smoothed importance sampling: against ArviZ, its Monte Carlo error against the spread, and what is unusual."""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from arviz_stats.base import array_stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import binom, chi2, norm

from hbm_stan import psis
from hbm_stan.psis import psis_loo, smooth, tail_k, tail_length
from hbm_stan.table import FloatArray

SEED = 20261121
TOLERANCE = 1e-8


def columns(seed: int, n_draws: int, degrees: float, scale: float, n: int = 12) -> FloatArray:
    """Log densities (draw, unit) of rows that are more and more surprising, under draws with tails light to heavy."""
    rng = np.random.default_rng(seed)
    location = 0.4 * rng.standard_t(degrees, size=(n_draws, 1))
    rows = np.linspace(0, 4, n) * scale
    return norm.logpdf(rows, location, 1 + 0.1 * rng.random((n_draws, n)))


def by_arviz(log_lik: FloatArray) -> tuple[FloatArray, FloatArray]:
    with np.errstate(over="ignore", invalid="ignore"):  # ArviZ divides by weights that are hardly above 0
        log_weights, k = array_stats.psislw(log_lik.T, r_eff=1.0)
    return np.asarray(logsumexp(log_weights + log_lik.T, axis=1)), np.asarray(k)


def agrees_with_arviz(log_lik: FloatArray, elpd_i: FloatArray, pareto_k: FloatArray) -> bool:
    """The same scores and k; where ArviZ's arithmetic breaks down, for one draw has all weight, k is infinite."""
    expected, k = by_arviz(log_lik)
    broken = np.isnan(expected)
    same = all(
        np.allclose(ours[~broken], theirs[~broken], rtol=0, atol=TOLERANCE, equal_nan=True)
        for ours, theirs in ((elpd_i, expected), (pareto_k, k))
    )
    return same and bool(np.all(np.isinf(pareto_k[broken])))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 2**32 - 1), st.sampled_from([25, 60, 225, 226, 400, 1000, 4000]), st.sampled_from([1.0, 3.0, 50.0]),
    st.floats(0.01, 10),
)  # fmt: skip
def test_elpd_and_k_are_those_of_arviz_for_light_and_heavy_tails(
    seed: int, n_draws: int, degrees: float, scale: float
) -> None:
    log_lik = columns(seed, n_draws, degrees, scale)
    loo = psis_loo(log_lik)
    assert agrees_with_arviz(log_lik, loo.elpd_i, loo.pareto_k)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.sampled_from([25, 400, 4000]), st.floats(0.01, 10))
def test_smooth_gives_the_log_weights_of_arviz_in_the_order_of_the_draws(seed: int, n_draws: int, scale: float) -> None:
    log_lik = columns(seed, n_draws, 3.0, scale)
    expected, k = array_stats.psislw(log_lik.T, r_eff=1.0)
    log_weights, smoothed = smooth(-log_lik)
    np.testing.assert_allclose(log_weights, expected.T, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(smoothed, k, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(logsumexp(log_weights, axis=0), 0, atol=1e-12)
    one, k_one = smooth(-log_lik[:, 3])
    np.testing.assert_allclose(one, log_weights[:, 3], rtol=0, atol=1e-12)
    assert k_one.shape == ()
    assert tail_k(-log_lik[:, 3]) == pytest.approx(float(k_one), abs=1e-12, nan_ok=True)


def test_the_check_against_arviz_catches_faults() -> None:
    log_lik = columns(SEED, 1000, 3.0, 1.0)
    loo = psis_loo(log_lik)
    assert agrees_with_arviz(log_lik, loo.elpd_i, loo.pareto_k)
    assert not agrees_with_arviz(log_lik, loo.elpd_i, loo.pareto_k + 1e-6)
    assert not agrees_with_arviz(log_lik, loo.elpd_i + 1e-6, loo.pareto_k)
    # Raw weights, and the weights of another order of the draws.
    raw = np.log(len(log_lik)) - logsumexp(-log_lik, axis=0)
    assert not agrees_with_arviz(log_lik, raw, loo.pareto_k)
    log_weights, _ = smooth(-log_lik)
    assert agrees_with_arviz(log_lik, logsumexp(log_weights + log_lik, axis=0), loo.pareto_k)
    assert not agrees_with_arviz(log_lik, logsumexp(log_weights[::-1] + log_lik, axis=0), loo.pareto_k)


def test_a_tail_that_outweighs_all_else_keeps_its_digits() -> None:
    # Location as wide as the data: k of 4 to 6, of no use, and the same as ArviZ has it.
    for n_draws in (400, 1000):
        log_lik = norm.logpdf(np.linspace(0, 4, 12), np.random.default_rng(SEED).standard_t(3, size=(n_draws, 1)), 1.05)
        loo = psis_loo(log_lik)
        assert loo.pareto_k.min() > 3
        assert agrees_with_arviz(log_lik, loo.elpd_i, loo.pareto_k)


def test_far_tails_neither_overflow_nor_lose_digits() -> None:
    # Eight factors of a tail whose largest is e100 times its first quartile make no double.
    log_lik = np.random.default_rng(SEED).standard_normal((1000, 6)) * np.array([1e-6, 1e-3, 1, 30, 100, 300])
    loo = psis_loo(log_lik)
    expected, k = by_arviz(log_lik)
    np.testing.assert_allclose(loo.elpd_i, expected, rtol=1e-10, atol=TOLERANCE)
    np.testing.assert_allclose(loo.pareto_k, k, rtol=1e-8)


def test_the_tail_is_found_when_the_sample_of_the_draws_misleads() -> None:
    log_lik = columns(SEED, 4000, 3.0, 1.0)
    every = np.arange(4000) % psis._STRIDE == 0
    for order in (np.argsort(log_lik[:, 6]), np.argsort(-log_lik[:, 6])):
        # All of the largest, then none of them, stand where the sample is taken.
        misleading = np.empty_like(log_lik)
        misleading[every], misleading[~every] = log_lik[order[: every.sum()]], log_lik[order[every.sum() :]]
        loo = psis_loo(misleading)
        assert agrees_with_arviz(misleading, loo.elpd_i, loo.pareto_k)


def test_any_order_of_draws_and_units_blocks_and_layouts_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    log_lik = columns(SEED, 1000, 3.0, 1.0, n=50)
    before, loo = log_lik.copy(), psis_loo(log_lik)
    rng = np.random.default_rng(SEED)
    draws, units = rng.permutation(1000), rng.permutation(50)
    again = psis_loo(log_lik[np.ix_(draws, units)])
    np.testing.assert_allclose(again.elpd_i, loo.elpd_i[units], atol=1e-12)
    np.testing.assert_allclose(again.pareto_k, loo.pareto_k[units], atol=1e-12)
    np.testing.assert_allclose(again.series, loo.series[draws], rtol=1e-12)
    for same in (np.asfortranarray(log_lik), np.repeat(log_lik, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(psis_loo(same).elpd_i, loo.elpd_i)
    monkeypatch.setattr(psis, "_BLOCK", 3000)
    monkeypatch.setattr(psis, "_READ", 7000)
    small = psis_loo(log_lik)
    np.testing.assert_allclose(small.elpd_i, loo.elpd_i, atol=1e-12)
    np.testing.assert_allclose(small.series, loo.series, rtol=1e-12)
    monkeypatch.setattr(psis, "cores", lambda: 1)
    np.testing.assert_array_equal(psis_loo(log_lik).series, small.series)
    np.testing.assert_array_equal(log_lik, before)


def test_the_series_is_s_times_the_raw_weights_summed_over_units() -> None:
    log_lik = columns(SEED, 400, 3.0, 2.0)
    weights = np.exp(-log_lik - logsumexp(-log_lik, axis=0))
    series = psis_loo(log_lik).series
    np.testing.assert_allclose(series, 400 * weights.sum(axis=1), rtol=1e-10)
    assert series.mean() == pytest.approx(log_lik.shape[1], rel=1e-12)


# A conjugate normal model: y_i ~ normal(theta, 1), theta ~ normal(0, 2); its elpd is known.
ROWS = np.random.default_rng(SEED).normal(0.5, 1, size=20)
REPLICATIONS, DRAWS = 500, 1000


def posterior(rows: FloatArray) -> tuple[float, float]:
    """Mean and sd of theta."""
    precision = len(rows) + 1 / 4
    return float(rows.sum() / precision), float(precision**-0.5)


def known_elpd() -> float:
    parts = [posterior(np.delete(ROWS, i)) for i in range(len(ROWS))]
    return float(sum(norm.logpdf(y, m, (1 + s * s) ** 0.5) for y, (m, s) in zip(ROWS, parts, strict=True)))


@pytest.fixture(scope="module")
def replicated() -> tuple[FloatArray, list[FloatArray], list[FloatArray]]:
    """elpd, series and log_lik of independent replications."""
    rng = np.random.default_rng(SEED)
    log_liks = [norm.logpdf(ROWS, rng.normal(*posterior(ROWS), size=(DRAWS, 1)), 1) for _ in range(REPLICATIONS)]
    scores = [psis_loo(x) for x in log_liks]
    return np.array([f.elpd_i.sum() for f in scores]), [f.series for f in scores], log_liks


def errors_fit(elpd: FloatArray, mcse: FloatArray, truth: float) -> bool:
    """Whether errors are those of normal values with these standard errors: chi-square band and share within 1.96.

    The bands hold 99.9 % of what right standard errors give.
    """
    z = (elpd - truth) / mcse
    low, high = chi2.ppf([0.0005, 0.9995], len(z))
    fewest, most = binom.ppf([0.0005, 0.9995], len(z), 0.95)
    return bool(low <= np.sum(z**2) <= high and fewest <= np.sum(np.abs(z) < 1.96) <= most)


def mcse_of(series: list[FloatArray]) -> FloatArray:
    return np.array([np.std(s, ddof=1) / np.sqrt(len(s)) for s in series])


def test_the_monte_carlo_error_of_the_series_is_that_of_elpd(
    replicated: tuple[FloatArray, list[FloatArray], list[FloatArray]],
) -> None:
    elpd, series, _ = replicated
    assert errors_fit(elpd, mcse_of(series), known_elpd())


def shuffled(log_lik: FloatArray) -> FloatArray:
    """The series made of weights in another order of the draws for each unit: the units' errors seem independent."""
    rng = np.random.default_rng(SEED)
    weights = np.exp(-log_lik - logsumexp(-log_lik, axis=0))
    return np.asarray(DRAWS * sum(rng.permutation(w) for w in weights.T))


@pytest.mark.parametrize(
    "fault",
    [
        lambda series, log_lik: series * 1.3,
        lambda series, log_lik: series / 1.3,
        lambda series, log_lik: shuffled(log_lik),
        lambda series, log_lik: log_lik.sum(axis=1),
    ],
    ids=["too large", "too small", "weights of another order", "log_lik in place of weights"],
)
def test_the_check_of_the_monte_carlo_error_catches(
    replicated: tuple[FloatArray, list[FloatArray], list[FloatArray]],
    fault: Callable[[FloatArray, FloatArray], FloatArray],
) -> None:
    elpd, series, log_liks = replicated
    wrong = [fault(s, x) for s, x in zip(series, log_liks, strict=True)]
    assert not errors_fit(elpd, mcse_of(wrong), known_elpd())
    assert not errors_fit(elpd, mcse_of(series), known_elpd() + 3 * float(mcse_of(series).mean()))


def test_what_no_tail_can_be_fitted_to_keeps_its_raw_weights() -> None:
    rng = np.random.default_rng(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant = psis_loo(np.full((400, 3), -2.0))
        np.testing.assert_allclose(constant.elpd_i, -2.0, atol=1e-12)
        assert np.all(constant.pareto_k == np.inf)
        np.testing.assert_allclose(constant.series, 3.0)
        # One of many columns: the others are what they are alone.
        mixed = columns(SEED, 400, 3.0, 1.0)
        mixed[:, 4] = -1.0
        loo = psis_loo(mixed)
        assert agrees_with_arviz(np.delete(mixed, 4, 1), np.delete(loo.elpd_i, 4), np.delete(loo.pareto_k, 4))
        # A tail of one value among others, and draws too few for a tail.
        two = np.where(np.arange(400) % 2 == 0, -1.0, -3.0)[:, None]
        assert psis_loo(two).pareto_k[0] == np.inf
        for n_draws in (1, 2, 4, 5, 24):
            few = rng.standard_normal((n_draws, 2))
            loo = psis_loo(few)
            np.testing.assert_allclose(loo.elpd_i, np.log(n_draws) - logsumexp(-few, axis=0), atol=1e-12)
            assert np.all(loo.pareto_k == np.inf)
            np.testing.assert_allclose(logsumexp(smooth(few)[0], axis=0), 0, atol=1e-12)
            assert tail_k(few[:, 0]) == np.inf
        # A first quartile that is the smallest: k is not a number, as ArviZ has it.
        ties = np.zeros((400, 1))
        ties[:81, 0] = np.concatenate([np.full(40, -0.5), np.linspace(-1, -2, 41)])
        assert np.isnan(psis_loo(ties).pareto_k[0])
        assert np.isnan(by_arviz(ties)[1][0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_stays_in_its_column(bad: float) -> None:
    log_lik = columns(SEED, 400, 3.0, 1.0)
    log_lik[7, 2] = bad
    loo = psis_loo(log_lik)
    others = np.arange(12) != 2
    assert agrees_with_arviz(log_lik[:, others], loo.elpd_i[others], loo.pareto_k[others])
    smooth(log_lik)
    tail_k(log_lik[:, 2])


def test_a_weight_of_zero_is_a_weight() -> None:
    log_weights = np.random.default_rng(SEED).standard_normal(400)
    log_weights[10] = -np.inf
    smoothed, k = smooth(log_weights)
    assert smoothed[10] == -np.inf
    assert np.isfinite(k)
    assert np.isfinite(np.delete(smoothed, 10)).all()


def test_one_unit_and_a_lower_efficiency() -> None:
    log_lik = columns(SEED, 1000, 3.0, 1.0)[:, 3:4]
    log_weights, k = array_stats.psislw(log_lik.T, r_eff=0.5)
    loo = psis_loo(log_lik, r_eff=0.5)
    np.testing.assert_allclose(loo.pareto_k, k, atol=TOLERANCE)
    np.testing.assert_allclose(loo.elpd_i, logsumexp(log_weights + log_lik.T, axis=1), atol=TOLERANCE)
    assert psis_loo(log_lik).pareto_k[0] != loo.pareto_k[0]
    assert [tail_length(n) for n in (4, 24, 25, 225, 4000)] == [0, 4, 5, 45, 189]


def peak(path: Path, n: int) -> int:
    """Bytes that leaving out each unit of a memory map takes at most, without what it returns."""
    rows = np.memmap(path, dtype=np.float64, mode="r", shape=(400, n))
    tracemalloc.start()
    psis_loo(rows)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most - 2 * 8 * n


def test_memory_does_not_grow_with_the_units_of_a_memory_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psis, "_READ", 2**16)
    path, n = tmp_path / "log_lik", 12_000
    np.random.default_rng(SEED).standard_normal((400, n)).tofile(path)
    psis_loo(np.zeros((400, 4)))  # what is imported and made once
    # Threads that are at work at the same time each hold a part; how many they are depends on what else runs.
    few, many = max(peak(path, n // 6) for _ in range(3)), min(peak(path, n) for _ in range(3))
    assert many < 1.2 * few + 100_000
    assert many < 400 * n * 8 / 3
    # The same check sees a part that grows: the whole read at once.
    monkeypatch.setattr(psis, "_READ", 2**40)
    assert peak(path, n) > 400 * n * 8
