"""Very many rows: they are scored and replicated block by block, from some draws, and sums of them are handed over.

Bounds are set low, so that a few thousand rows are very many. Each comparison fails by a planted fault.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from hbm_stan import densities, leave_one_out, memory, replicate
from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling, choose
from hbm_stan.families.grouped_normal import evidence
from hbm_stan.families.left_out import grouped_rows, nested_rows
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import logo, loo

SAMPLING = Sampling(warmup=300, draws=250)
COMPLETE, UNPOOLED, POOLED, BY_GROUP = (
    "complete_pooling", "no_pooling", "partial_pooling", "partial_pooling_sigma_by_group",
)  # fmt: skip
N = 6000


def rows_in_groups(n: int = N, groups: int = 12) -> pd.DataFrame:
    """Groups of unequal sizes, one of them of one row, in a random order."""
    rng = np.random.default_rng(8)
    share = rng.dirichlet(np.full(groups - 1, 2.0))
    group = np.append(rng.choice(groups - 1, n - 1, p=share), groups - 1)
    y = rng.normal(rng.normal(20, 2, groups)[group], 5)
    return pd.DataFrame({"g": [f"g{j}" for j in group], "y": y}).sample(frac=1, random_state=3)


def table(n: int = N, groups: int = 12) -> Dataset:
    return Dataset.from_frame(rows_in_groups(n, groups), group="g", outcome="y")


@cache
def fitted(variant: str) -> Fit:
    return fit("grouped_normal", table(), variant, sampling=SAMPLING, engine=choose("stanli"))


def all_at_once(given: Fit) -> Fit:
    """The same fit whose family scores all rows together."""
    twin = replace(given.family.twin, some_rows=None)
    return replace(given, tree=given.tree, family=replace(given.family, twin=twin))


@pytest.mark.parametrize("variant", [COMPLETE, UNPOOLED, POOLED, BY_GROUP])
def test_rows_scored_block_by_block_have_the_scores_of_all_at_once(
    variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = fitted(variant)
    assert given.rows_on_request
    whole = loo(all_at_once(given))
    monkeypatch.setattr("hbm_stan.psis._READ", 1000 * 70)
    monkeypatch.setattr("hbm_stan.densities._AVERAGED", 1000 * 41)
    blocks = loo(given)
    for name in ("elpd_i", "lppd_i", "pareto_k"):
        ours, theirs = getattr(blocks, name), getattr(whole, name)
        if theirs is None:
            assert ours is None
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(
        [blocks.p_loo, blocks.elpd, blocks.mcse], [whole.p_loo, whole.elpd, whole.mcse], rtol=1e-8, atol=1e-8
    )
    some = np.array([5, 17, 4000])
    columns = densities.log_lik_of(given)
    assert not isinstance(columns, np.ndarray)  # nothing of all draws and all rows is held
    np.testing.assert_array_equal(columns[:, some], np.asarray(densities.log_lik_of(all_at_once(given)))[:, some])
    np.testing.assert_allclose(densities.total_log_lik(given), densities.total_log_lik(all_at_once(given)), rtol=1e-12)


@pytest.mark.parametrize("variant", [POOLED, BY_GROUP])
def test_rows_given_the_others_of_their_group_are_those_of_units_in_one_group_each(variant: str) -> None:
    given = fitted(variant)
    draws, data = {name: values[:50] for name, values in given.draws().items()}, given.data
    y, group = np.asarray(data["y"]), np.asarray(data["group_idx"]) - 1
    sd = draws["sigma_group"] if "sigma_group" in draws else draws["sigma"][:, None]
    mu, tau = draws["mu"][:, None], draws["tau"][:, None]
    theirs = nested_rows(y, group, np.arange(data["J"]), mu, 0 * tau, tau, sd)
    ours = grouped_rows(draws, data, evidence.statistics(data))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def very_many(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    """So many numbers of rows are worked out at most; 3,000 rows are very many."""
    for module in ("memory", "leave_one_out", "loo_predictive", "results.r_squared"):
        monkeypatch.setattr(f"hbm_stan.{module}.VERY_MANY_ROWS", 3000)
    monkeypatch.setattr("hbm_stan.memory.MAX_ROW_VALUES", values)


def test_of_very_many_rows_some_draws_at_equal_distances_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    for rows, draws in ((50_000, 1000), (50_001, 999), (100_000, 500), (500_000, 100), (10_000_000, 100)):
        assert memory.draws_of_rows(rows, 4, 1000) == draws
    assert memory.draws_of_rows(10**7, 3, 1000) == 134
    assert memory.draws_of_rows(10**7, 4, 50) == 50
    given = fitted(POOLED)
    assert given.of_rows is given
    very_many(monkeypatch, 500 * N)
    some = given.of_rows
    assert (some.shape, some.n_draws, given.shape) == ((4, 125), 500, (4, 250))
    np.testing.assert_array_equal(some.tree["posterior"]["mu"], given.tree["posterior"]["mu"][:, 1::2])
    np.testing.assert_array_equal(some.chains["posterior"]["mu"], given.tree["posterior"]["mu"])
    assert some.of_rows is some


def test_scores_of_some_draws_are_those_of_all_within_their_monte_carlo_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = fitted(POOLED)
    whole = loo(given)
    very_many(monkeypatch, 400 * N)
    some = loo(given)
    assert some.k_threshold < whole.k_threshold == leave_one_out.good_k(1000)
    assert 0 < some.mcse < 0.2
    assert abs(some.elpd - whole.elpd) < 4 * np.hypot(some.mcse, whole.mcse)
    assert abs(some.p_loo - whole.p_loo) < 1
    assert some.elpd_i.shape == some.pareto_k.shape == (N,)  # of every row  # type: ignore[union-attr]
    assert np.max(np.abs(some.elpd_i - whole.elpd_i)) < 0.05


def test_replications_of_some_draws_are_like_those_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given = fitted(POOLED)
    whole = replicate.predictive_check(given)
    very_many(monkeypatch, 400 * N)
    some = replicate.predictive_check(given)
    assert list(some.statistics["kind"]) == list(whole.statistics["kind"])
    for before, after in zip(whole.statistics.itertuples(), some.statistics.itertuples(), strict=True):
        assert before.observed == pytest.approx(after.observed, rel=1e-12)
        sd = (before.q95 - before.q05) / 3.29
        assert abs(before.replicated_mean - after.replicated_mean) < 4 * sd * np.sqrt(1 / 400 + 1 / 1000)
    assert (some.groups["q95"] > some.groups["q05"]).all()


def test_what_complete_pooling_says_of_a_group_that_is_left_out_is_what_importance_weights_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = fitted(COMPLETE)
    weighted = logo(given)
    very_many(monkeypatch, 1000 * N)
    exact = logo(given)
    assert weighted is not None and exact is not None  # noqa: PT018
    assert (exact.route, exact.pareto_k, exact.mcse) == (leave_one_out.Route.EXACT, None, 0.0)
    assert weighted.pareto_k is not None
    good = weighted.pareto_k < 0.4
    assert good.sum() > 3
    np.testing.assert_allclose(exact.elpd_i[good], weighted.elpd_i[good], atol=0.15)
    # All groups but one, one after the other, by the evidence of all rows: the chain rule closes.
    n, mean, ss = evidence.statistics(given.data)
    assert np.isfinite(exact.elpd_i).all()
    rest = (*given.data["prior_mu"], given.data["prior_sigma"][0], 1.0, evidence.prior_of("sigma", given.data))
    y, group = np.asarray(given.data["y"]), np.asarray(given.data["group_idx"]) - 1
    for j in (0, 5, 11):
        both = [
            float(evidence.over_sd(len(own), own.mean(), ((own - own.mean()) ** 2).sum(), *rest))
            for own in (y, y[group != j])
        ]
        assert exact.elpd_i[j] == pytest.approx(both[0] - both[1], abs=1e-6)
    assert (n > 0).all() and len(mean) == len(ss) == 12  # noqa: PT018
