"""The contract of families: every planted fault in a name or a function is caught, by words that name it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from contract import claim
from function_faults import FUNCTION_FAULTS, of_the_mean, with_fields, with_function

from hbm_stan.examples import analyses, example, irregular, shuffled
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.verify.contract import contract as truth_of
from hbm_stan.verify.contract import contract_faults
from hbm_stan.verify.raw import _sd_apart


@pytest.mark.parametrize("name", FUNCTION_FAULTS)
def test_a_fault_in_a_function_is_caught_and_named(name: str) -> None:
    fault = FUNCTION_FAULTS[name]
    right = claim(fault.family, fault.variant)
    problems = fault.by(replace(right, family=fault.wrong))
    assert any(fault.words in problem for problem in problems), problems
    assert fault.by(right) == []


def test_a_truth_of_the_contract_names_several_faults_at_once() -> None:
    family, table = example("gamma_poisson")
    assert truth_of(family, table, "partial_pooling").status == "pass"
    wrong = of_the_mean("alpha", "beta")(with_fields(population=("mu", "tau", "alpa", "beta"))(family))
    wrong = with_function("shrinkage_factor", lambda factor, *_: 1 - factor)(wrong)
    truth = truth_of(wrong, table, "partial_pooling")
    assert truth.status == "fail"
    assert truth.detail.count(";") == 2
    assert truth.detail.startswith("population names 'alpa', which no program declares. Did you mean 'alpha'?")


@pytest.mark.parametrize("name", ["linear_regression", "nested_normal"])
def test_groups_that_are_sampled_are_compared_in_the_posterior(name: str) -> None:
    # Chains that stop after 15 steps are not there yet: their groups are not those that the population's draw implies.
    assert truth_of(*example(name), "partial_pooling_noncentered").status == "pass"


def test_an_option_that_only_findings_read_is_not_asked_of_a_new_row() -> None:
    family = families()["nested_normal"]
    assert {name for name, option in family.groups.prediction.items() if not option.of_row} == {"cost_unit", "cost_row"}
    asked = family.with_fields(prediction={n: replace(o, of_row=True) for n, o in family.groups.prediction.items()})
    problems = contract_faults(replace(claim("nested_normal", "complete_pooling"), family=asked))
    assert [problem.split(":")[0] for problem in problems] == [
        "new_row() does not honour cost_unit", "new_row() does not honour cost_row",
    ]  # fmt: skip


@pytest.mark.parametrize("name", list(families()))
def test_examples_are_shuffled_and_groups_unlike(name: str) -> None:
    family, table = example(name)
    labels = list(table.pooled.labels)
    assert labels != sorted(labels)
    if not family.one_row_per_group:
        assert (np.diff(table.pooled.level) < 0).any()
        assert len(np.unique(table.pooled.sizes)) > 1
    again = shuffled(table.dataset)
    assert again.table.cells == shuffled(table.dataset).table.cells
    assert again.table.cells != table.dataset.table.cells
    for cells, other in zip(again.table.cells, table.dataset.table.cells, strict=True):
        assert sorted(cells) == sorted(other)


def test_shuffled_rows_stay_whole_and_the_first_row_first() -> None:
    for analysis in analyses().values():
        before, after = (d.table for d in (analysis.dataset, shuffled(analysis.dataset)))
        rows, other = (list(zip(*t.cells, strict=True)) for t in (before, after))
        assert other[0] == rows[0]
        assert other != rows
        assert sorted(map(str, other)) == sorted(map(str, rows))


def test_an_irregular_table_has_second_rows_where_groups_have_one() -> None:
    dataset = analyses()["clinics"].dataset
    family = families()["beta_binomial"]
    table = prepare_table(family, irregular(dataset, family))
    assert sorted(set(table.pooled.sizes)) == [1, 2]
    assert (table["successes"] <= table["trials"]).all()


def test_what_all_groups_have_in_common_is_no_error_of_one_group() -> None:
    rng = np.random.default_rng(4)
    own = rng.normal(size=(4000, 8, 1)) * np.array([1.0, 1, 1, 1, 1, 1, 1, 0.5])[None, :, None]
    common = 3 * rng.normal(size=(4000, 1, 1))
    np.testing.assert_allclose(_sd_apart(own), own.std(axis=0, ddof=1), rtol=0.05)
    np.testing.assert_allclose(_sd_apart(own + common)[:-1], 1, rtol=0.05)
    assert np.all(_sd_apart(own + common) <= (own + common).std(axis=0, ddof=1))
    assert _sd_apart(common) == common.std(ddof=1)  # of one group nothing else is known
