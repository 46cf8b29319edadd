"""Replicated data: statistics of rows and of groups, the prior predictive check, warnings on priors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from fake_fits import fake_fit

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.prior_predictive import check_priors, prior_check
from hbm_stan.replicate import by_group, predictive_check

SAMPLING = Sampling(draws=1000, seed=20261121)


def rows(sizes: tuple[int, ...] = (3, 1, 5, 4, 2), seed: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group = np.repeat(list("abcde"), sizes)
    shuffled = rng.permutation(len(group))
    return pd.DataFrame({"g": group[shuffled], "y": rng.normal(10, 2, len(group))})


def test_means_of_groups_do_not_depend_on_the_order_of_the_rows(stanli: Engine) -> None:
    frame = rows()
    grouped_fit = fit(
        "grouped_normal", Dataset.from_frame(frame, group="g", outcome="y"), sampling=SAMPLING, engine=stanli
    )
    means = by_group(grouped_fit, grouped_fit.y[None])[0]
    for label, mean in zip(grouped_fit.table.pooled.labels, means, strict=True):
        assert mean == pytest.approx(frame.loc[frame["g"] == label, "y"].mean())


def test_rates_are_divided_by_trials(stanli: Engine) -> None:
    frame = pd.DataFrame({"g": list("abc"), "s": [1, 5, 9], "n": [10, 10, 30]})
    data = Dataset.from_frame(frame, group="g", successes="s", trials="n")
    rates_fit = fit("beta_binomial", data, sampling=SAMPLING, engine=stanli)
    np.testing.assert_allclose(by_group(rates_fit, rates_fit.y[None])[0], [0.1, 0.5, 0.3])
    assert predictive_check(rates_fit).groups["observed"].tolist() == pytest.approx([0.1, 0.5, 0.3])


def test_rows_in_groups_are_checked_row_by_row_and_group_by_group(stanli: Engine) -> None:
    frame = rows((12, 15, 20, 14, 9))
    grouped_fit = fit(
        "grouped_normal", Dataset.from_frame(frame, group="g", outcome="y"), sampling=SAMPLING, engine=stanli
    )
    check = predictive_check(grouped_fit)
    names = list(check.statistics["name"])
    assert names == ["mean", "standard deviation", "smallest", "largest", "standard deviation of the group means"]
    assert check.verdict.status == "pass"
    # Planted fault: one row that no normal residual of these data would make.
    frame.loc[3, "y"] = 60.0
    off = fit("grouped_normal", Dataset.from_frame(frame, group="g", outcome="y"), sampling=SAMPLING, engine=stanli)
    assert predictive_check(off).verdict.status == "warn"


def test_the_prior_check_sees_a_prior_far_from_the_data(stanli: Engine) -> None:
    data = Dataset.from_frame(rows(), group="g", outcome="y")
    fine = prior_check(fit("grouped_normal", data, sampling=SAMPLING, engine=stanli)).set_index("name")
    assert fine.loc["mean", "q05"] < fine.loc["mean", "observed"] < fine.loc["mean", "q95"]
    far = fit("grouped_normal", data, priors={"mu": "normal(500, 1)"}, sampling=SAMPLING, engine=stanli)
    table = prior_check(far).set_index("name")
    assert table.loc["mean", "observed"] < table.loc["mean", "q05"]
    assert prior_check(fake_fit("complete_pooling")).empty


def test_flat_priors_of_scales_are_warned_about(stanli: Engine) -> None:
    data = Dataset.from_frame(rows(), group="g", outcome="y")
    flat_fit = fit("grouped_normal", data, priors={"tau": "uniform(0, 100)"}, sampling=SAMPLING, engine=stanli)
    (verdict,) = check_priors(flat_fit)
    assert (verdict.status, verdict.subject) == ("warn", "tau")
    assert "uniform(0, 100)" in verdict.hint
    assert "half-normal" in verdict.hint
    assert verdict.value is not None
    assert 0.9 < verdict.value < 1  # nearly all of it lies above the sd of the raw estimates
    assert check_priors(fit("grouped_normal", data, sampling=SAMPLING, engine=stanli)) == []


def test_a_heavy_tail_is_warned_about_where_groups_are_few(stanli: Engine) -> None:
    few = pd.DataFrame({"g": list("aabbcc"), "y": [1.0, 2, 4, 3, 8, 7]})
    for labels, n in (("aabbcc", 1), ("abcdef", 0)):
        data = Dataset.from_frame(few.assign(g=list(labels)), group="g", outcome="y")
        cauchy_fit = fit("grouped_normal", data, priors={"tau": "half_cauchy(2)"}, sampling=SAMPLING, engine=stanli)
        assert len(check_priors(cauchy_fit)) == n
