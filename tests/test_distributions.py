"""The distributions of priors and the normal density against scipy.stats: densities, tails, quantiles, draws."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hbm_stan.distributions import located
from hbm_stan.normal_density import normal_logpdf
from hbm_stan.priors import DISTRIBUTIONS

SEED = 20261130


class HalfT:
    """The upper half of SciPy's t, doubled."""

    def __init__(self, df: float, scale: float) -> None:
        self.t = stats.t(df, 0, scale)

    def logpdf(self, x: Any) -> Any:
        return np.where(np.asarray(x) < 0, -np.inf, np.log(2) + self.t.logpdf(x))

    def cdf(self, x: Any) -> Any:
        return np.maximum(1 - 2 * self.t.sf(x), 0)

    def sf(self, x: Any) -> Any:
        return np.minimum(2 * self.t.sf(x), 1)

    def isf(self, p: Any) -> Any:
        return self.t.isf(p / 2)

    def ppf(self, p: Any) -> Any:
        return self.t.ppf((1 + p) / 2)

    def rvs(self, size: int, random_state: np.random.Generator) -> Any:
        return np.abs(self.t.rvs(size=size, random_state=random_state))


CASES: list[tuple[str, tuple[float, ...], Any]] = [
    ("normal", (1.5, 0.3), stats.norm(1.5, 0.3)),
    ("half_normal", (2.5,), stats.halfnorm(0, 2.5)),
    ("half_cauchy", (25.0,), stats.halfcauchy(0, 25)),
    ("half_student_t", (3.0, 2.5), HalfT(3, 2.5)),
    ("half_student_t", (1e6, 0.01), HalfT(1e6, 0.01)),
    ("uniform", (0.0, 7.0), stats.uniform(0, 7)),
    ("exponential", (0.2,), stats.expon(0, 5)),
    ("gamma", (0.4, 3.0), stats.gamma(0.4, 0, 1 / 3)),
    ("gamma", (16.0, 2.67), stats.gamma(16, 0, 1 / 2.67)),
    ("lognormal", (0.7, 0.4), stats.lognorm(0.4, 0, np.exp(0.7))),
    ("beta", (0.5, 4.0), stats.beta(0.5, 4)),
    ("beta", (1.0, 1.0), stats.beta(1, 1)),
    ("lkj", (2.0,), stats.beta(2, 2, -1, 2)),
]
P = np.concatenate([10.0 ** np.arange(-12, 0), np.linspace(0.05, 0.95, 19)])


def test_each_distribution_of_a_prior_is_compared() -> None:
    assert {name for name, _, _ in CASES} == set(DISTRIBUTIONS) - {"dirichlet", "fixed"}


@pytest.mark.parametrize(("name", "arguments", "scipys"), CASES)
def test_a_distribution_is_what_scipy_has(name: str, arguments: tuple[float, ...], scipys: Any) -> None:
    ours = located(name, arguments)
    # Inside, at both ends, beyond them, in both tails.
    x = np.concatenate([scipys.isf(P), scipys.ppf(P), [-1.0, 0.0, 1.0, 7.0, 7.1, -1e300, 1e300, -np.inf, np.inf]])
    with np.errstate(all="ignore"):  # SciPy squares 1e300
        expected = scipys.logpdf(x)
    np.testing.assert_allclose(ours.logpdf(x), expected, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(ours.cdf(x), scipys.cdf(x), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(ours.sf(x), scipys.sf(x), rtol=1e-10)
    np.testing.assert_allclose(ours.isf(P), scipys.isf(P), rtol=1e-9)
    draws = scipys.rvs(size=7, random_state=np.random.default_rng(SEED))
    np.testing.assert_array_equal(ours.draw(np.random.default_rng(SEED), 7), draws)
    assert ours.logpdf(0.5).shape == ()
    assert np.isnan(ours.logpdf(np.nan))


def test_half_of_a_t_keeps_the_digits_of_small_probabilities() -> None:
    density = 2 * stats.t(3, 0, 2.5).pdf(0)
    assert located("half_student_t", (3.0, 2.5)).cdf(1e-10) == pytest.approx(1e-10 * density, rel=1e-9)
    assert located("half_student_t", (3.0, 2.5)).cdf(0.0) == 0


def test_the_normal_density_is_scipys_in_every_shape() -> None:
    rng = np.random.default_rng(SEED)
    x, mean, sd = rng.normal(size=(5, 1)), rng.normal(size=4), rng.gamma(2, size=(3, 1, 1))
    np.testing.assert_allclose(normal_logpdf(x, mean, sd), stats.norm.logpdf(x, mean, sd), rtol=1e-12)
    assert normal_logpdf([1, 2]).tolist() == pytest.approx(stats.norm.logpdf([1, 2]).tolist())
    far = np.array([-np.inf, -1e200, 1e200, np.inf])
    np.testing.assert_array_equal(normal_logpdf(far, 0.0, 2.0), np.full(4, -np.inf))
    assert np.isnan(normal_logpdf(np.ones(3), 0.0, [0.0, -1.0, np.nan])).all()


def test_a_report_needs_no_distributions_of_scipy(reported: Any) -> None:
    code = (
        "import sys; from hbm_stan.report.build import report; "
        f"report({str(reported)!r}, engine='stanli', seed=1); "
        "assert 'scipy.stats' not in sys.modules, 'scipy.stats is imported'"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
