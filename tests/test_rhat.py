"""The R-hat rule that knows ESS and the number of parameters, against converged and unconverged chains."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats as az
from scipy.stats import chi2

from hbm_stan.diagnose import summarise
from hbm_stan.mixing import ess_spread
from hbm_stan.rhat import FAMILY_ERROR, band, check_rhat, exceedance
from hbm_stan.verdicts import Verdict


def table(rhat: list[float], ess: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"rhat": rhat, "ess_bulk": ess, "ess_tail": ess}, index=[f"theta[{i}]" for i in range(len(rhat))]
    )


def judged(summary: pd.DataFrame, chains: int, draws: np.ndarray | None = None) -> Verdict:
    return check_rhat(list(summary.index), {name: summary[name].to_numpy() for name in summary}, chains, draws)


def test_band_equals_the_measured_limits() -> None:
    # 99.9 % points of 3000 converged AR(1) parameters, 4 chains, at five effective sample sizes.
    measured = np.array([1.035, 1.022, 1.016, 1.010, 1.006])
    np.testing.assert_allclose(band(np.array([400, 603, 823, 1339, 2161]), 4, 1), measured, atol=0.003)


def test_the_band_has_one_degree_of_freedom_less_than_split_chains() -> None:
    """4 chains, split: 8 means, 7 degrees of freedom; one more is less than the measured limits tell."""
    ess = np.array([400.0, 2161.0])
    tail = {df: chi2.sf(2 * ess * (band(ess, 4, 3000) - 1), df) for df in (6, 7, 8)}
    np.testing.assert_allclose(tail[7], FAMILY_ERROR / (2 * 3000))
    for other in (6, 8):
        assert not np.allclose(tail[other], FAMILY_ERROR / (2 * 3000), rtol=0.2)


def converged(phi: float, n: int, size: int) -> np.ndarray:
    """Converged AR(1) chains, shape (size, 4, n)."""
    rng = np.random.default_rng(20261121)
    x = rng.normal(size=(size, 4, n))
    for t in range(1, n):
        x[..., t] = phi * x[..., t - 1] + np.sqrt(1 - phi**2) * x[..., t]
    return x


@pytest.mark.parametrize("phi", [0.6, 0.8])
def test_exceedance_is_near_the_share_of_converged_chains(phi: float) -> None:
    draws = converged(phi, 1000, 600)
    share = float(np.mean(np.asarray(az.rhat(draws)) > 1.01))
    ess = np.asarray(az.ess(draws, method="bulk"))
    assert float(exceedance(1.01, ess, 4).mean()) == pytest.approx(share, abs=0.08)


def test_almost_no_converged_chain_exceeds_the_band() -> None:
    draws = converged(0.7, 1000, 600)
    beyond = np.asarray(az.rhat(draws)) > band(np.asarray(az.ess(draws, method="bulk")), 4, 1)
    assert beyond.sum() <= 5  # 0.6 expected; more than 5 has a chance of 1e-4


def test_converged_chains_with_many_parameters_are_not_failed() -> None:
    draws = converged(0.7, 1000, 400)
    verdict = judged(summarise([f"theta[{i}]" for i in range(400)], draws), 4)
    assert verdict.status == "warn"
    assert "Expected by chance" in verdict.hint
    assert "Draw more" in verdict.hint


def test_one_chain_elsewhere_fails() -> None:
    rng = np.random.default_rng(20261121)
    draws = rng.normal(size=(3, 4, 1000))
    draws[1, 2] += 0.6
    verdict = judged(summarise(["a", "b", "c"], draws), 4)
    assert verdict.status == "fail"
    assert verdict.subject == "b"


@pytest.mark.parametrize(
    ("rhat", "ess", "status"),
    [
        ([1.0, 1.009], [400, 400], "pass"),
        ([1.0, 1.0149], [400, 400], "warn"),  # prints as 1.01 with two decimals
        ([1.0, 1.0149], [4000, 4000], "fail"),  # chance cannot explain it at this ESS
        ([1.0, 1.049], [400, 400], "fail"),
        ([1.0, 1.02], [399, 399], "fail"),  # too small a sample to be judged
        ([1.0, 1.06], [4000, 4000], "fail"),
        ([1.0, float("nan")], [400, 400], "fail"),
        ([1.0, float("inf")], [400, 400], "fail"),
    ],
)
def test_each_case_of_the_rule(rhat: list[float], ess: list[float], status: str) -> None:
    assert judged(table(rhat, ess), 4).status == status


def test_the_band_widens_with_the_number_of_parameters() -> None:
    ess = np.array([500.0])
    assert band(ess, 4, 3000)[0] > band(ess, 4, 1)[0]


def test_one_chain_cannot_be_judged() -> None:
    verdict = judged(summarise(["mu"], np.random.default_rng(1).normal(size=(1, 1, 1000))), 1)
    assert verdict.status == "fail"
    assert "one chain only" in verdict.hint


def verdict_of(draws: np.ndarray) -> str:
    summary = summarise([f"theta[{i}]" for i in range(len(draws))], draws)
    return judged(summary, draws.shape[1], draws).status


def test_spreads_of_antithetic_draws_are_judged_by_their_own_effective_sample_size() -> None:
    """Draws that swing about their mean, as NUTS often does: means are known twice as well, spreads half as well."""
    draws = converged(-0.7, 400, 3000)
    summary = summarise([f"theta[{i}]" for i in range(len(draws))], draws)
    known = summary[["ess_bulk", "ess_tail"]].min(axis=1).to_numpy()
    folded = np.abs(draws - np.median(draws, axis=(1, 2), keepdims=True))
    exact = np.asarray(az.ess(folded, method="bulk"))
    assert np.median(ess_spread(draws)) == pytest.approx(np.median(exact), rel=0.1)
    assert np.median(exact) < 0.7 * np.median(known)
    rhat = summary["rhat"].to_numpy()
    assert (rhat > band(known, 4, len(rhat))).any()  # which would fail chains that have converged
    assert not (rhat > band(np.minimum(known, exact), 4, len(rhat))).any()
    assert judged(summary, 4).status == "fail"
    assert verdict_of(draws) == "warn"


@pytest.mark.parametrize("phi", [-0.7, 0.0, 0.5])
def test_a_chain_with_another_spread_fails(phi: float) -> None:
    draws = converged(phi, 1000, 300)
    draws[17, 2] *= 1.5
    assert verdict_of(draws) == "fail"
