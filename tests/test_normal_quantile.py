"""The normal quantile function and sums of logs against SciPy's, at their edges too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from hbm_stan.log_sums import log_sum_exp, softmax
from hbm_stan.normal_quantile import normal_quantile


def test_the_quantile_function_is_that_of_scipy_in_the_middle_and_far_out() -> None:
    rng = np.random.default_rng(20261130)
    edges = np.array([0.075, 0.925, np.exp(-25.0), -np.expm1(-25.0), 0.5, np.nextafter(1, 0), 5e-324])
    p = np.concatenate([rng.uniform(size=20_000), 10.0 ** -np.arange(1, 320, 3), 1 - 10.0 ** -np.arange(1, 16), edges])
    np.testing.assert_allclose(normal_quantile(p), special.ndtri(p), rtol=2e-14, atol=1e-16)
    two = normal_quantile(p[:1000].reshape(100, 10))
    np.testing.assert_array_equal(two.ravel(), normal_quantile(p[:1000]))


def test_beyond_its_ends_the_quantile_function_is_infinite_or_none() -> None:
    np.testing.assert_array_equal(
        normal_quantile(np.array([0.0, 1.0, -0.1, 1.1, np.nan])), [-np.inf, np.inf, np.nan, np.nan, np.nan]
    )


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_sums_of_logs_are_those_of_scipy(axis: int | None) -> None:
    logs = np.random.default_rng(20261130).normal(0, 300, (40, 30))
    logs[3], logs[:, 5], logs[7, 7] = -np.inf, -np.inf, -np.inf
    np.testing.assert_allclose(log_sum_exp(logs, axis), special.logsumexp(logs, axis=axis), rtol=1e-14)
    whole = log_sum_exp(logs, axis, keepdims=True)
    assert whole.shape == special.logsumexp(logs, axis=axis, keepdims=True).shape
    finite = logs[:3, :5]
    np.testing.assert_allclose(softmax(finite, axis), special.softmax(finite, axis=axis), rtol=1e-13, atol=1e-300)


def test_what_is_not_finite_shows() -> None:
    assert np.isnan(log_sum_exp(np.array([0.0, np.nan])))
    assert log_sum_exp(np.array([0.0, np.inf])) == np.inf
