"""Reported statistics against their definitions; every test here is shown to fail by a fault that is planted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from arviz_stats.base import array_stats as az
from fake_fits import fake_fit

from hbm_stan import mixing, priors, replicate
from hbm_stan.design import Factor
from hbm_stan.diagnose import check, summarise
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, encode_scale
from hbm_stan.verdicts import Verdict

SHAPE = (4, 1000)
predict = import_module("hbm_stan.predict")  # hbm_stan.predict is the function


def verdict(name: str, **changes: Callable[[Any], Any]) -> Verdict:
    return next(v for v in check(fake_fit(**changes)).verdicts if v.name == name)


def sticky_tails(x: np.ndarray) -> np.ndarray:
    """The same draws, those of the lowest and of the highest twentieth next to each other in each chain."""
    low, high = np.quantile(x, [0.05, 0.95], axis=1, keepdims=True)
    place = np.where(x < low, 0, np.where(x > high, 2, 1))
    return np.take_along_axis(x, np.argsort(place, axis=1, kind="stable"), axis=1)


def test_a_chain_that_is_wider_than_the_others_has_a_high_rhat() -> None:
    """Chains with one median: only draws folded about it show that they differ."""
    wider = verdict("R-hat", mu=lambda x: 3 + (x - 3) * np.array([1.0, 1, 1, 2])[:, None])
    assert (wider.status, wider.subject) == ("fail", "mu")


def test_the_tail_ess_is_that_of_the_ends_of_the_interval() -> None:
    tail_ess = verdict("tail ESS", mu=sticky_tails)
    assert (tail_ess.status, tail_ess.subject) == ("fail", "mu")
    x = sticky_tails(np.random.default_rng(1).normal(size=SHAPE))
    ends = [float(az.ess(x[None], method="quantile", prob=p)[0]) for p in (0.05, 0.95)]
    assert summarise(["x"], x[None]).loc["x", "ess_tail"] == pytest.approx(min(ends))


def test_the_error_of_a_quantile_is_that_of_its_own_place() -> None:
    x = np.random.default_rng(2).exponential(size=(1, *SHAPE))
    row = summarise(["x"], x).loc["x"]
    for name, prob in (("q05", 0.05), ("q50", 0.5), ("q95", 0.95)):
        density = 1 - prob  # of the exponential distribution at that quantile
        expected = math.sqrt(prob * (1 - prob) / x.size) / density
        assert row[f"mcse_{name}"] == pytest.approx(expected, rel=0.3)


def test_e_bfmi_is_of_each_chain_by_itself() -> None:
    offset = 5 * np.arange(4.0)[:, None]
    energy: list[np.ndarray] = []

    def moved(x: np.ndarray) -> np.ndarray:
        energy.append(x + offset)
        return energy[-1]

    e_bfmi = verdict("E-BFMI", energy=moved)
    e = energy[0]
    each = np.sum(np.diff(e, axis=1) ** 2, axis=1) / np.sum((e - e.mean(axis=1, keepdims=True)) ** 2, axis=1)
    assert e_bfmi.status == "pass"
    assert e_bfmi.value == pytest.approx(each.min(), rel=1e-12)
    np.testing.assert_allclose(mixing.ebfmi(e), az.bfmi(e), rtol=1e-12)


def test_a_new_group_s_summary_is_that_of_its_draws() -> None:
    new = predict.new_group(fake_fit())
    for name, draws in new.draws.items():
        row = new.quantities.loc[name]
        for column, prob in (("q05", 0.05), ("q25", 0.25), ("q50", 0.5), ("q75", 0.75), ("q95", 0.95)):
            assert row[column] == pytest.approx(np.quantile(draws, prob))
        assert row["p_positive"] == np.mean(draws > 0)
        assert row["sd"] == pytest.approx(np.std(draws, ddof=1))


def test_a_group_s_row_in_the_table_of_shrinkage_is_that_of_its_draws() -> None:
    fit = fake_fit()
    table = predict.shrinkage_table({"partial_pooling": fit}).set_index("group")
    for j, label in enumerate(fit.table.pooled.labels):
        draws = fit.draws("theta")["theta"][:, j]
        row = table.loc[label]
        assert row["sd"] == pytest.approx(np.std(draws, ddof=1))
        for column, prob in (("q05", 0.05), ("q25", 0.25), ("q75", 0.75), ("q95", 0.95)):
            assert row[column] == pytest.approx(np.quantile(draws, prob))


def test_rates_of_groups_with_several_rows_are_divided_by_all_their_trials() -> None:
    group = np.array([1, 0, 1, 2, 0, 1])
    table = SimpleNamespace(pooled=Factor("g", ("a", "b", "c"), group, ("g",)), n_groups=3, one_row_per_group=False)
    table.by_group = Prepared.by_group.func(table)
    twin = SimpleNamespace(of_groups=None)
    family, data = SimpleNamespace(size="trials", twin=twin), {"trials": np.array([10, 4, 20, 5, 6, 10])}
    y = np.array([[3.0, 1, 6, 5, 4, 3], [0, 0, 0, 0, 6, 8]])
    for large in (False, True):
        fit: Any = SimpleNamespace(family=family, table=table, data=data, rows_on_request=large)
        np.testing.assert_allclose(replicate.by_group(fit, y), [[0.5, 0.3, 1], [0.6, 0.2, 0]])


@pytest.mark.parametrize(
    ("prior", "below"),
    [
        (Prior(name="s", distribution="half_normal", arguments=(3.0,)), math.erf(1 / math.sqrt(2))),
        (Prior(name="s", distribution="half_cauchy", arguments=(3.0,)), 0.5),
        (Prior(name="s", distribution="half_student_t", arguments=(1.0, 3.0)), 0.5),
        (Prior(name="s", distribution="uniform", arguments=(0.0, 3.0)), 1.0),
        (Prior(name="s", distribution="exponential", arguments=(0.25,)), 1 - math.exp(-1)),
        (Prior(name="s", distribution="lognormal", arguments=(0.7, 0.5)), 0.5),
        (Prior(name="s", distribution="gamma", arguments=(1.0, 0.25)), 1 - math.exp(-1)),
    ],
    ids=lambda v: v.distribution if isinstance(v, Prior) else "",
)
def test_what_programs_divide_a_scale_by_lies_where_its_prior_says(prior: Prior, below: float) -> None:
    """Stan data and NumPy read the same code: were a rate taken for a mean in both, no density would show it."""
    _, (scale, _) = encode_scale(prior)
    assert prior.cumulative(scale) == pytest.approx(below)


def _patched(module: Any, name: str, wrong: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(module, name, wrong)


def _pooled(energy: Any) -> Any:
    return np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy)


def _summary_with(**columns: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Plants a summary of new groups with one column in the place of another."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        right = predict.new_group

        def wrong(*arguments: Any, **options: Any) -> Any:
            prediction = right(*arguments, **options)
            table = prediction.quantities
            return replace(prediction, quantities=table.assign(**{k: table[v] for k, v in columns.items()}))

        patch.setattr(predict, "new_group", wrong)

    return plant


def _halved(patch: pytest.MonkeyPatch) -> None:
    right = predict.shrinkage_table
    patch.setattr(predict, "shrinkage_table", lambda fits: right(fits).assign(sd=lambda t: t["sd"] / 2))


def _by_rows(patch: pytest.MonkeyPatch) -> None:
    right = replicate.by_group

    def wrong(fit: Any, y: Any) -> Any:
        return right(SimpleNamespace(**{**vars(fit), "data": {"trials": np.ones(y.shape[1])}}), y)

    patch.setattr(replicate, "by_group", wrong)


PLANTED: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], Callable[[], None]]] = {
    "R-hat without folding": (
        _patched(mixing, "_rhat", lambda halves, _scores: mixing._plain_rhat(halves)),
        test_a_chain_that_is_wider_than_the_others_has_a_high_rhat,
    ),
    "tail ESS at the quartiles": (
        _patched(mixing, "QUANTILES", {"q05": 0.25, "q50": 0.5, "q95": 0.75}),
        test_the_tail_ess_is_that_of_the_ends_of_the_interval,
    ),
    "the error of every quantile is that of the median": (
        _patched(mixing, "_mcse_quantile", lambda flat, ess, _prob, right=mixing._mcse_quantile: right(flat, ess, 0.5)),
        test_the_error_of_a_quantile_is_that_of_its_own_place,
    ),
    "E-BFMI over the variance of all chains": (
        _patched(mixing, "ebfmi", _pooled),
        test_e_bfmi_is_of_each_chain_by_itself,
    ),
    "E-BFMI over the sd": (
        _patched(mixing, "ebfmi", lambda e: np.mean(np.diff(e, axis=1) ** 2, axis=1) / (3 * np.std(e, axis=1))),
        test_e_bfmi_is_of_each_chain_by_itself,
    ),
    "q25 and q75 exchanged": (
        _summary_with(q25="q75", q75="q25"),
        test_a_new_group_s_summary_is_that_of_its_draws,
    ),
    "the share above zero is that below": (
        _summary_with(p_positive="mean"),
        test_a_new_group_s_summary_is_that_of_its_draws,
    ),
    "half the sd of a group": (_halved, test_a_group_s_row_in_the_table_of_shrinkage_is_that_of_its_draws),
    "rates divided by rows": (
        _by_rows,
        test_rates_of_groups_with_several_rows_are_divided_by_all_their_trials,
    ),
    "the rate of an exponential prior taken for its mean": (
        lambda patch: patch.setitem(
            test_what_programs_divide_a_scale_by_lies_where_its_prior_says.__globals__,
            "encode_scale",
            lambda prior: (priors.SCALE_CODES[prior.distribution], [prior.arguments[0], 1.0]),
        ),
        lambda: test_what_programs_divide_a_scale_by_lies_where_its_prior_says(
            Prior(name="s", distribution="exponential", arguments=(0.25,)), 1 - math.exp(-1)
        ),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_fails_the_test_that_belongs_to_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, test = PLANTED[name]
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        test()
