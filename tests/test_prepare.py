"""Prepared columns: indices, and the warnings that the data themselves call for, each with a case that needs none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbm_stan.data import Dataset
from hbm_stan.errors import DataError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.prepare import Prepared, Role, prepare
from hbm_stan.verdicts import Verdict

ROLES = (
    Role("group", "label", "county"),
    Role("outcome", "number", "log radon"),
    Role("floor", "predictor", "floor"),
    Role("uranium", "group_predictor", "uranium"),
)


def labelled(labels: Sequence[Any]) -> Prepared:
    frame = pd.DataFrame({"g": labels, "y": np.arange(len(labels)), "s": 1.0})
    return prepare_table(family("normal_means"), Dataset.from_frame(frame, group="g", estimate="y", standard_error="s"))


def with_predictors(n: int = 12, **columns: Any) -> Prepared:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "group": list("abcdef") * (n // 6),
            "outcome": rng.normal(size=n),
            "floor": rng.normal(size=n),
            "uranium": rng.normal(size=n),
        }
        | columns
    )
    dataset = Dataset.from_frame(frame, {r.name: r.name for r in ROLES})
    return prepare(dataset, ROLES, one_row_per_group=False, known_residual=False)


def verdict(table: Prepared, name: str) -> Verdict | None:
    return next((v for v in table.verdicts if v.name == name), None)


def test_indices_count_from_one_in_order_of_appearance() -> None:
    table = with_predictors(group=list("cabcab") * 2)
    assert table.labels == ("c", "a", "b")
    assert table.group_idx.tolist() == [1, 2, 3, 1, 2, 3] * 2
    assert table["outcome"].shape == (12,)


@pytest.mark.parametrize(
    ("labels", "warned"),
    [
        (["1", "10", "11", "2"], True),
        (["001", "002", "010"], False),
        (["1", "2", "10"], False),
        (["10", "1", "2"], False),
        (["s1", "s10", "s2"], False),
        (["1" * 5000, "2", "3"], True),
        (["1", "١"], False),
        ([1, 10, 11, 2], True),
    ],
)
def test_numbers_in_text_order_are_warned_of(labels: list[Any], warned: bool) -> None:
    found = verdict(labelled(labels), "group order")
    assert (found is not None) == warned
    if found is not None:
        assert found.status == "warn"
        assert len(found.hint) < 500


@pytest.mark.parametrize(
    ("labels", "warned"),
    [
        (["A", "a", "b"], True),
        (["A b", "A  b", "c"], True),
        (["A\u00a0b", "A b", "c"], True),
        (["é", "e\u0301", "c"], True),
        (["Straße", "STRASSE", "c"], True),
        (["A", "B", "AB", "A B"], False),
        (["é", "e", "c"], False),
    ],
)
def test_labels_that_look_alike_are_warned_of_and_kept_apart(labels: list[str], warned: bool) -> None:
    table = labelled(labels)
    assert table.labels == tuple(labels)
    found = verdict(table, "similar labels")
    assert (found is not None) == warned
    if found is not None:
        assert repr(labels[0]) in found.hint
        assert repr(labels[1]) in found.hint


@pytest.mark.parametrize("word", ["NA", "nan", "NULL", "None", "N/A", "#N/A"])
def test_a_label_that_may_mean_missing_is_warned_of_and_kept(word: str) -> None:
    table = labelled(["A", word, "C"])
    assert table.labels == ("A", word, "C")
    found = verdict(table, "missing labels")
    assert found is not None
    assert repr(word) in found.hint
    assert verdict(labelled(["A", "Nancy", "C"]), "missing labels") is None


@pytest.mark.parametrize(("n", "status"), [(2, "warn"), (4, "warn"), (5, "pass")])
def test_few_groups_are_warned_of(n: int, status: str) -> None:
    found = verdict(labelled([f"g{i}" for i in range(n)]), "number of groups")
    assert found is not None
    assert (found.status, found.value) == (status, n)


def test_one_group_is_refused() -> None:
    with pytest.raises(DataError, match="one group"):
        labelled(["A"])


def test_groups_of_one_row_are_warned_of() -> None:
    lonely = with_predictors(6)
    found = verdict(lonely, "groups of one row")
    assert found is not None
    assert (found.status, found.value) == ("warn", 6)
    found = verdict(with_predictors(12), "groups of one row")
    assert found is not None
    assert found.status == "pass"
    assert verdict(labelled(["a", "b"]), "groups of one row") is None


def test_predictors_that_cannot_be_told_apart_are_named() -> None:
    constant = verdict(with_predictors(floor=1.0), "constant predictor")
    assert constant is not None
    assert (constant.status, constant.subject) == ("fail", "floor")
    collinear = verdict(with_predictors(floor=[0, 1, 2, 3, 4, 5] * 2), "collinear predictor")
    assert collinear is not None
    assert collinear.subject == "floor"
    unscaled = verdict(with_predictors(floor=np.arange(12) * 1e4), "unscaled predictor")
    assert unscaled is not None
    assert unscaled.value is not None
    assert unscaled.value > 100
    assert not {v.name for v in with_predictors().verdicts} & {
        "constant predictor",
        "collinear predictor",
        "unscaled predictor",
    }


@pytest.mark.parametrize("outcome", [1.0, 0.0])
def test_an_outcome_that_does_not_vary_is_no_crash(outcome: float) -> None:
    assert with_predictors(outcome=outcome).labels == tuple("abcdef")


@pytest.mark.parametrize("value", [1e101, -1e101, 1.7e308])
def test_numbers_that_cannot_be_squared_are_refused(value: float) -> None:
    with pytest.raises(DataError, match=r"row 2: .*Change the unit"):
        with_predictors(outcome=[0.0, value, *range(10)])


@pytest.mark.parametrize(("y", "se"), [(1e99, 1e99), (1e-99, 1e-99), (1e99, 1e-99), (0.0, 1.0)])
def test_numbers_at_the_ends_of_the_range_have_default_priors(y: float, se: float) -> None:
    frame = pd.DataFrame({"g": list("ab"), "y": [y, -y], "s": [se, se]})
    table = prepare_table(
        family("normal_means"), Dataset.from_frame(frame, group="g", estimate="y", standard_error="s")
    )
    priors = family("normal_means").priors(table)
    assert all(np.isfinite(p.arguments).all() and p.scale > 0 for p in priors.values())
