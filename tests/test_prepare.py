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
from hbm_stan.prepare import Prepared, Role, check_mapping, prepare
from hbm_stan.verdicts import Verdict

ROLES = (
    Role(name="group", kind="label", meaning="county"),
    Role(name="outcome", kind="number", meaning="log radon"),
    Role(name="predictors", kind="predictors", meaning="floor"),
    Role(name="group_predictors", kind="group_predictors", meaning="uranium", optional=True),
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
        }
        | columns
    )
    names = {"group": "group", "outcome": "outcome", "predictors": [c for c in frame if c.startswith("floor")]}
    lists = {"group_predictors": [c for c in frame if c.startswith("uranium")]} if "uranium" in frame else {}
    dataset = Dataset.from_frame(frame, names | lists)
    return prepare(dataset, ROLES, one_row_per_group=False, known_residual=False)


def verdict(table: Prepared, name: str) -> Verdict | None:
    return next((v for v in table.verdicts if v.name == name), None)


def test_indices_count_from_one_in_order_of_appearance() -> None:
    table = with_predictors(group=list("cabcab") * 2)
    assert table.pooled.labels == ("c", "a", "b")
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
    warning = verdict(labelled(labels), "group order")
    assert (warning is not None) == warned
    if warning is not None:
        assert warning.status == "warn"
        assert len(warning.hint) < 500


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
    assert table.pooled.labels == tuple(labels)
    warning = verdict(table, "similar labels")
    assert (warning is not None) == warned
    if warning is not None:
        assert repr(labels[0]) in warning.hint
        assert repr(labels[1]) in warning.hint


@pytest.mark.parametrize("word", ["NA", "nan", "NULL", "None", "N/A", "#N/A"])
def test_a_label_that_may_mean_missing_is_warned_of_and_kept(word: str) -> None:
    table = labelled(["A", word, "C"])
    assert table.pooled.labels == ("A", word, "C")
    warning = verdict(table, "missing labels")
    assert warning is not None
    assert repr(word) in warning.hint
    assert verdict(labelled(["A", "Nancy", "C"]), "missing labels") is None


@pytest.mark.parametrize(("n", "status"), [(2, "warn"), (4, "warn"), (5, "pass")])
def test_few_groups_are_warned_of(n: int, status: str) -> None:
    size_verdict = verdict(labelled([f"g{i}" for i in range(n)]), "number of groups")
    assert size_verdict is not None
    assert (size_verdict.status, size_verdict.value) == (status, n)


def test_one_group_is_refused() -> None:
    with pytest.raises(DataError, match="one group"):
        labelled(["A"])


def test_groups_of_one_row_are_warned_of() -> None:
    lonely = with_predictors(6)
    size_verdict = verdict(lonely, "groups of one row")
    assert size_verdict is not None
    assert (size_verdict.status, size_verdict.value) == ("warn", 6)
    size_verdict = verdict(with_predictors(12), "groups of one row")
    assert size_verdict is not None
    assert size_verdict.status == "pass"
    assert verdict(labelled(["a", "b"]), "groups of one row") is None


def test_predictors_that_say_little_are_named() -> None:
    collinear = verdict(with_predictors(floor=[0, 1, 2, 3, 4, 5] * 2), "collinear predictor")
    assert collinear is not None
    assert collinear.subject == "floor"
    unscaled = verdict(with_predictors(floor=np.arange(12) * 1e4), "unscaled predictor")
    assert unscaled is not None
    assert unscaled.value is not None
    assert unscaled.value > 100
    assert not {v.name for v in with_predictors().verdicts} & {"collinear predictor", "unscaled predictor"}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"floor": 1.0}, ("'floor'", "same value (1)", "Leave it out")),
        ({"floor2": np.linspace(0, 1, 12), "floor3": 3 - 2 * np.linspace(0, 1, 12)}, ("'floor3'", "collinear")),
        ({"uranium": np.arange(12.0)}, ("'uranium'", "varies within the group 'a'", "0 and 6", "predictors")),
        ({f"floor{k}": np.arange(12.0) ** k for k in range(1, 12)}, ("12 predictors and 12 rows",)),
        ({"floor": ["x", "y"] * 5 + ["x", 1.5]}, ("'floor'", "not a number", "row 1")),
        ({"floor": [*"abcdefghijk", None]}, ("'floor'", "row 12")),
    ],
)
def test_predictors_that_cannot_be_used_are_refused(columns: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as error:
        with_predictors(**columns)
    for word in words:
        assert word in str(error.value)


def test_a_category_becomes_indicators_of_its_levels_but_the_first() -> None:
    table = with_predictors(floor=["low", "high", "mid"] * 4)
    columns = table.predictors["predictors"]
    assert columns.names == ("floor=high", "floor=mid")
    assert columns.notes == ("floor: levels are compared with 'low', the first in the table.",)
    assert columns.values[:3].tolist() == [[0, 0], [1, 0], [0, 1]]
    with pytest.raises(DataError, match="a category of 24 levels"):
        with_predictors(24, floor=[f"house {i}" for i in range(24)])


def test_group_predictors_have_one_value_a_group() -> None:
    table = with_predictors(uranium=[5.0, 1, 2, 3, 4, 6] * 2)
    group_values = table.predictors["group_predictors"].by_group(table.pooled.level, table.n_groups)
    assert group_values.tolist() == [[5], [1], [2], [3], [4], [6]]


COUNTS = (
    Role(name="group", kind="label", meaning="clinic"),
    Role(name="successes", kind="count", meaning="successes", at_most="trials"),
    Role(name="trials", kind="count", meaning="trials"),
    Role(name="outcome", kind="binary", meaning="0 or 1", optional=True),
)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"successes": [3, 11]}, ("successes", "above 'trials'", "row 2: '11'")),
        ({"successes": [-1, 3]}, ("cannot be negative", "row 1: '-1'")),
        ({"successes": [2.5, 3]}, ("whole number", "row 1: '2.5'")),
        ({"trials": [3e9, 10]}, ("Stan's whole numbers",)),
        ({"outcome": [0, 2]}, ("must be 0 or 1", "row 2: '2'")),
    ],
)
def test_counts_that_cannot_be_are_refused(columns: dict[str, Any], words: tuple[str, ...]) -> None:
    def counted(columns: dict[str, Any]) -> Prepared:
        frame = pd.DataFrame({"group": ["a", "b"], "successes": [1, 2], "trials": [10, 10]} | columns)
        dataset = Dataset.from_frame(frame, {c: c for c in frame})
        return prepare(dataset, COUNTS, one_row_per_group=False, known_residual=True)

    assert counted({}).values["successes"].tolist() == [1, 2]
    with pytest.raises(DataError) as error:
        counted(columns)
    for word in words:
        assert word in str(error.value)


def test_units_are_those_of_their_group() -> None:
    frame = pd.DataFrame({"line": list("aabb"), "mouse": ["1", "2", "1", "1"], "y": [1.0, 2, 3, 4]})
    roles = (
        Role(name="group", kind="label", meaning="line"),
        Role(name="unit", kind="unit", meaning="mouse"),
        Role(name="outcome", kind="number", meaning="y"),
    )
    dataset = Dataset.from_frame(frame, group="line", unit="mouse", outcome="y", unit_labels="repeat")
    units = prepare(dataset, roles, one_row_per_group=False, known_residual=False).units
    assert units is not None
    assert units.labels == ("a: 1", "a: 2", "b: 1")
    assert (units.unit.tolist(), units.group.tolist()) == ([0, 1, 2, 2], [0, 0, 1])


def test_lists_of_columns_are_lists_or_texts_with_commas() -> None:
    frame = pd.DataFrame({"g": list("aabb"), "y": [1.0, 2, 3, 5], "u": [1.0, 0, 0, 1], "v, w": [0.0, 1, 0, 2]})
    roles = (
        Role(name="group", kind="label", meaning=""),
        Role(name="outcome", kind="number", meaning=""),
        Role(name="predictors", kind="predictors", meaning="", optional=True),
    )
    for named in ("u", ["u", "v, w"], "v, w"):
        dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors=named)
        names = prepare(dataset, roles, one_row_per_group=False, known_residual=False).predictors["predictors"].names
        assert list(names) == ([named] if isinstance(named, str) else named)
    frame = frame.rename(columns={"v, w": "v"})
    dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors="u, v")
    assert check_mapping(dataset, roles).listed("predictors") == ("u", "v")
    with pytest.raises(DataError, match="'outcome' takes one column"):
        check_mapping(Dataset.from_frame(frame, group="g", outcome=["u", "v"]), roles)
    with pytest.raises(DataError, match="'u' is named for 2 roles"):
        check_mapping(Dataset.from_frame(frame, group="g", outcome="u", predictors="u, v"), roles)


@pytest.mark.parametrize("outcome", [1.0, 0.0])
def test_an_outcome_that_does_not_vary_is_refused(outcome: float) -> None:
    with pytest.raises(DataError, match=f"the outcome is {outcome:g} in every row"):
        with_predictors(outcome=outcome)


def test_predictors_far_from_zero_are_named() -> None:
    far = verdict(with_predictors(floor=[2000.0 + i for i in range(12)]), "uncentred predictor")
    assert far is not None
    assert "floor lies 556 of its sds from 0" in far.hint
    assert "Make a column of floor - 2006 and name that: the intercept is then the one at floor = 2006." in far.hint
    assert verdict(with_predictors(), "uncentred predictor") is None


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ([10.0 + i for i in range(12)], True),  # its mean 4.3 sds from 0
        ([-10.0 - i for i in range(12)], True),
        ([6.0 + i for i in range(12)], True),  # 3.2 sds
        ([4.0 + i for i in range(12)], False),  # 2.6 sds
        ([0.0, *[1.0] * 11], False),  # 0 is one of its values, as that of an indicator is
    ],
)
def test_a_predictor_is_far_from_zero_from_three_sds_on(values: list[float], warned: bool) -> None:
    warning = verdict(with_predictors(floor=values), "uncentred predictor")
    assert (warning is not None) == warned
    if warning is not None:
        assert warning.threshold == 3.0


def test_a_group_predictor_far_from_zero_is_named() -> None:
    frame = pd.DataFrame({"g": list("aabbcc"), "y": [1.0, 2, 4, 3, 5, 6], "height": [170.0, 170, 180, 180, 175, 175]})
    table = prepare_table(
        family("linear_regression"), Dataset.from_frame(frame, group="g", outcome="y", group_predictors="height")
    )
    assert "Make a column of height - 175" in next(v.hint for v in table.verdicts if v.name == "uncentred predictor")


def test_a_predictor_may_not_have_the_name_of_a_term() -> None:
    frame = pd.DataFrame({"g": list("aabb"), "y": [1.0, 2, 4, 3], "intercept": [0.0, 1, 0, 1]})
    roles = (
        Role(name="group", kind="label", meaning=""),
        Role(name="outcome", kind="number", meaning=""),
        Role(name="predictors", kind="predictors", meaning=""),
    )
    dataset = Dataset.from_frame(frame, group="g", outcome="y", predictors=["intercept"])
    with pytest.raises(DataError, match="may not be called 'intercept'"):
        prepare(dataset, roles, one_row_per_group=False, known_residual=False)


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
    assert all(np.isfinite(p.arguments).all() and p.arguments[-1] > 0 for p in priors.values())
