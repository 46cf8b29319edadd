"""Groups that differ less than chance makes them: the tests against SciPy's, planted faults, and the warning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from row_tables import eight_groups
from scipy import stats
from scipy.special import chdtrc, fdtrc

from hbm_stan.attempts import fit
from hbm_stan.checks import LESS_ALIKE_P, check
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families import alike
from hbm_stan.families.alike import alike_estimates, alike_rates, alike_rows, alike_units

RNG = np.random.default_rng(20261128)
GROUP = RNG.permutation(np.repeat(np.arange(6), (3, 7, 4, 5, 2, 9)))


def by_group(y: np.ndarray, group: np.ndarray) -> list[np.ndarray]:
    return [y[group == j] for j in range(group.max() + 1)]


def assert_rows() -> None:
    """One-way analysis of variance, and beside a predictor the F test of two nested regressions."""
    y, x = RNG.normal(50, 1, GROUP.size), RNG.normal(size=GROUP.size)
    ours, right = alike_rows({"y": y, "group_idx": GROUP + 1}), stats.f_oneway(*by_group(y, GROUP))
    assert ours == (pytest.approx(right.statistic), pytest.approx(1 - right.pvalue))
    small, large = np.column_stack([np.ones_like(x), x]), np.column_stack([np.eye(6)[GROUP], x])
    rss = [float(np.sum((y - a @ np.linalg.lstsq(a, y)[0]) ** 2)) for a in (small, large)]
    ratio = (rss[0] - rss[1]) / 5 / (rss[1] / (GROUP.size - 7))
    data = {"y": y, "group_idx": GROUP + 1, "X": small, "U": np.empty((6, 0))}
    assert alike_rows(data) == (pytest.approx(ratio), pytest.approx(stats.f.cdf(ratio, 5, GROUP.size - 7)))
    # A predictor of groups takes a degree of freedom between them.
    above = np.arange(6.0)[:, None]
    with_one = np.column_stack([small, above[GROUP]])
    rss[0] = float(np.sum((y - with_one @ np.linalg.lstsq(with_one, y)[0]) ** 2))
    ratio = (rss[0] - rss[1]) / 4 / (rss[1] / (GROUP.size - 7))
    assert alike_rows(data | {"U": above}) == (
        pytest.approx(ratio), pytest.approx(stats.f.cdf(ratio, 4, GROUP.size - 7)),
    )  # fmt: skip


def assert_rates() -> None:
    n = RNG.integers(40, 90, 6)
    y = RNG.binomial(n, 0.4)
    table = stats.chi2_contingency(np.stack([y, n - y]), correction=False)
    data: dict[str, Any] = {"y": y, "trials": n, "group_idx": np.arange(1, 7), "J": 6}
    assert alike_rates(data) == (pytest.approx(table.statistic / 5), pytest.approx(1 - table.pvalue))
    exposure, counts = RNG.uniform(20, 50, 6), RNG.poisson(20, 6)
    right = stats.chisquare(counts, exposure * counts.sum() / exposure.sum())
    data = {"y": counts, "exposure": exposure, "group_idx": np.arange(1, 7), "J": 6}
    assert alike_rates(data) == (pytest.approx(right.statistic / 5), pytest.approx(1 - right.pvalue))


def assert_estimates() -> None:
    """The data of eight schools: Q is 4.7 on 7 degrees of freedom."""
    y, se = np.array([28.0, 8, -3, 7, -1, 1, 18, 12]), np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    assert alike_estimates({"y": y, "se": se}) == (
        pytest.approx(4.7 / 7, abs=0.01), pytest.approx(stats.chi2.cdf(4.7, 7), abs=0.01),
    )  # fmt: skip


def test_rows() -> None:
    assert_rows()


def test_rates() -> None:
    assert_rates()


def test_estimates() -> None:
    assert_estimates()


@pytest.mark.parametrize(
    ("name", "upper", "caught_by"),
    [("fdtr", fdtrc, assert_rows), ("chdtr", chdtrc, assert_rates), ("chdtr", chdtrc, assert_estimates)],
)
def test_the_upper_tail_is_caught(name: str, upper: Any, caught_by: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, name, upper)
    with pytest.raises(AssertionError):
        caught_by()


def test_sorted_groups_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "row_index", lambda data: np.sort(np.asarray(data["group_idx"])) - 1)
    with pytest.raises(AssertionError):
        assert_rows()


def test_units_within_groups_are_as_uniform_as_they_should_be() -> None:
    """Under no differences the doubled smaller p of two tests is below 0.05 in at most 5 % of tables."""
    unit = np.repeat(np.arange(24), 3)
    rng = np.random.default_rng(4)
    order = rng.permutation(72)
    data: dict[str, Any] = {
        "unit_idx": unit[order] + 1, "group_idx": unit[order] // 4 + 1, "unit_group": np.arange(24) // 4 + 1, "J": 6,
    }  # fmt: skip
    p = np.array([alike_units(data | {"y": rng.normal(9, 2, 72)})[1] for _ in range(1000)])  # type: ignore[index]
    assert 0.025 < np.mean(p < 0.05) < 0.07
    # Units that are all alike: rows balanced within each.
    y = np.tile([-1.0, 0, 1], 24)[order] + rng.normal(0, 0.05, 72)
    assert alike_units(data | {"y": y})[1] < 1e-4  # type: ignore[index]


def test_what_cannot_be_told_is_not() -> None:
    one = {"y": np.arange(4.0), "group_idx": np.arange(1, 5)}
    assert alike_rows(one) is None
    few = {"y": np.array([1, 2]), "trials": np.array([8, 9]), "group_idx": np.array([1, 2]), "J": 2}
    assert alike_rates(few) is None
    beside = {**few, "X": np.ones((2, 2)), "U": np.empty((2, 0))}
    assert alike_rates(beside) is None


def test_balanced_rows_are_a_warning_in_words(stanli: Engine) -> None:
    rng = np.random.default_rng(1)
    sampling = Sampling(seed=2)
    near = np.tile([-3.0, -1, 1, 3], 8) + rng.normal(0, 0.3, 32) + 20
    balanced = eight_groups(4, y=near).sample(frac=1, random_state=3)
    diagnosis = check(
        fit("grouped_normal", Dataset.from_frame(balanced, group="g", outcome="y"), sampling=sampling, engine=stanli)
    )
    warned = [v for v in diagnosis.verdicts if v.name == "intraclass correlation"]
    assert len(warned) == 1, diagnosis.verdicts
    assert warned[0].status == "warn"
    assert warned[0].value is not None
    assert warned[0].value < LESS_ALIKE_P
    assert "less alike than rows of different groups (a negative intraclass correlation)" in warned[0].hint
    usual = balanced.assign(y=rng.normal(20, 2, 32))
    diagnosis = check(
        fit("grouped_normal", Dataset.from_frame(usual, group="g", outcome="y"), sampling=sampling, engine=stanli)
    )
    assert not [v for v in diagnosis.verdicts if v.name == "intraclass correlation"]
