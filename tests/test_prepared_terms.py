"""A table of a family with terms: its design, labels of the pooled factor, trials without a column, rows left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbm_stan.calibrate.scenario import rows_again
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError
from hbm_stan.families import families
from hbm_stan.fit import prepare_table
from hbm_stan.identity import data_hash
from hbm_stan.prepare import Prepared, Role, prepare

GROUP = Role(name="group", kind="label", meaning="labels of the pooled factor")
OUTCOME = Role(name="outcome", kind="number", meaning="the outcome")
SUCCESSES = Role(name="outcome", kind="count", meaning="successes", at_most="trials")
TRIALS = Role(name="trials", kind="count", meaning="trials of each row", optional=True)
FRAME = pd.DataFrame({
    "y": [1.0, 2.5, 3.0, 4.5, 2.0, 0.5, 1.5, 3.5],
    "x": [0.0, 1, 2, 3, 4, 5, 6, 8],
    "use": ["yes", "no", "no", "yes", "no", "yes", "yes", "no"],
    "arm": ["b", "a", "b", "a", "b", "a", "b", "a"],
    "school": ["s2", "s2", "s2", "s2", "s1", "s1", "s1", "s1"],
    "class": ["1", "1", "2", "2", "1", "1", "2", "2"],
})  # fmt: skip


def prepared(formula: str, roles: tuple[Role, ...] = (GROUP, OUTCOME), known: bool = False, **keys: Any) -> Prepared:
    dataset = Dataset.from_frame(FRAME, formula=formula, **keys)
    return prepare(dataset, roles, one_row_per_group=False, known_residual=known, terms=True)


def test_the_table_has_the_labels_of_the_pooled_factor_and_the_levels_of_categories() -> None:
    table = prepared("y ~ x + arm + (1 | school/class)")
    assert table.design is not None
    assert table.pooled.labels == table.design.pooled.labels == ("s2", "s1")
    np.testing.assert_array_equal(table.pooled.level, table.design.pooled.level)
    assert table.levels == {"arm": ("b", "a")}
    assert any("arm: levels are compared with 'b'" in note for note in table.notes)
    inner = prepared("y ~ x + (1 | school/class)", group="school:class")
    assert inner.pooled.labels == ("s2: 1", "s2: 2", "s1: 1", "s1: 2")


def test_rows_left_out_leave_table_and_design_alike() -> None:
    left = prepared("y ~ x + (1 + x | school/class)", group="school:class").without([0, 1, 7])
    assert left.design is not None
    assert left.pooled.labels == left.design.pooled.labels == ("s2: 2", "s1: 1", "s1: 2")
    np.testing.assert_array_equal(left.pooled.level, left.design.pooled.level)
    np.testing.assert_array_equal(left.design.X[:, 1] + left.design.means[1], FRAME["x"][[2, 3, 4, 5, 6]])


def test_the_pooled_factor_is_the_one_of_the_design() -> None:
    """One object: labels and levels of the table cannot part from those that its programs read."""
    for asked in ({}, {"group": "school"}, {"group": "school:class"}):
        table = prepared("y ~ x + (1 + x | school/class)", **asked)
        assert table.pooled.name == asked.get("group", "school")
        # The column that the formula's factor becomes says the same.
        assert table.pooled.row_labels == table.dataset.table.labels(table.pooled.name)
        for same in (table, table.without([0, 1, 7]), rows_again(table)):
            assert same.design is not None
            assert same.pooled is same.design.pooled is same.factor(same.pooled.name)
            assert [same.factor(f.name) for f in same.design.factors] == [*same.design.factors]
            assert same.n_rows == len(same.design.X) == same.pooled.sizes.sum()
    with pytest.raises(DataError, match=r"no grouping factor 'scool'.*Did you mean 'school'"):
        table.factor("scool")


def test_a_table_without_a_formula_has_one_factor_of_the_name_of_its_column() -> None:
    frame = pd.DataFrame({"arm": list("baab"), "y": [1.0, 2, 3, 4]})
    table = prepare_table(families()["grouped_normal"], Dataset.from_frame(frame, group="arm", outcome="y"))
    assert table.factor("arm") is table.pooled
    assert (table.pooled.name, table.pooled.labels, table.pooled.level.tolist()) == ("arm", ("b", "a"), [0, 1, 1, 0])
    left = table.without([0, 3])
    assert (left.pooled.labels, left.pooled.level.tolist(), left.pooled.sizes.tolist()) == (("a",), [0, 0], [2])
    assert (left.n_groups, left.n_rows) == (1, 2)
    with pytest.raises(DataError, match="no grouping factor 'y'"):
        table.factor("y")


def test_words_are_successes_where_trials_have_no_column() -> None:
    table = prepared("use ~ x + (1 | school)", (GROUP, SUCCESSES, TRIALS), known=True)
    assert table["outcome"].tolist() == [1, 0, 0, 1, 0, 1, 1, 0]
    assert table["trials"].tolist() == [1] * 8
    assert "use: yes is taken as 1, no as 0." in table.notes
    with pytest.raises(DataError, match="must be 0 or 1"):
        prepared("x ~ 1 + (1 | school)", (GROUP, SUCCESSES, TRIALS), known=True)


def test_one_row_of_0_or_1_a_level_is_said() -> None:
    frame = FRAME.assign(row=[f"r{i}" for i in range(8)])
    dataset = Dataset.from_frame(frame, formula="use ~ x + (1 | school) + (1 | row)")
    table = prepare(dataset, (GROUP, SUCCESSES, TRIALS), one_row_per_group=False, known_residual=True, terms=True)
    assert "row has one row of 0 or 1 a level" in " ".join(v.hint for v in table.verdicts)


def test_a_family_without_terms_takes_no_formula() -> None:
    dataset = Dataset.from_frame(FRAME, formula="y ~ x + (1 | school)", group="school", outcome="y")
    with pytest.raises(DataError, match="this family takes no formula"):
        prepare(dataset, (GROUP, OUTCOME), one_row_per_group=False, known_residual=False)


def test_columns_alone_make_a_varying_intercept() -> None:
    table = prepare(
        Dataset.from_frame(FRAME, outcome="y", group="school"), (GROUP, OUTCOME),
        one_row_per_group=False, known_residual=False, terms=True,
    )  # fmt: skip
    assert table.design is not None
    assert table.design.names == ("intercept",)
    with pytest.raises(DataError, match="no column is named for the role 'outcome'"):
        prepare(
            Dataset.from_frame(FRAME, group="school"), (GROUP, OUTCOME),
            one_row_per_group=False, known_residual=False, terms=True,
        )  # fmt: skip


def hashed(formula: str, frame: pd.DataFrame = FRAME, **keys: Any) -> str:
    family = families()["linear_regression"].with_fields(
        roles=(GROUP, OUTCOME), terms=True, check_table=None, unlearnable=None
    )
    table = prepare_table(family, Dataset.from_frame(frame, formula=formula, **keys))
    return data_hash(family, "partial_pooling", table, {})


def test_what_a_posterior_is_of_sees_the_table_and_the_formula() -> None:
    formula = "log(y) ~ x + arm + offset(log(x + 1)) + (1 | school/class)"
    same = hashed(formula)
    # Its first row has the same arm: the reference is another one otherwise.
    assert hashed(formula, FRAME.iloc[[4, 1, 7, 0, 6, 5, 3, 2]]) == same
    assert hashed("log( y )~x+arm+offset(log(x+1)) + (1|school/class)") == same
    assert hashed(formula, FRAME.assign(unread=1)) == same
    others = [
        hashed(formula, centre=False),
        hashed(formula, reference={"arm": "a"}),
        hashed(formula, group="school:class"),
        hashed(formula.replace("x + arm", "x * arm")),
        hashed(formula.replace("(1 |", "(1 + x |")),
        hashed(formula.replace("(1 |", "(1 + x ||")),
        hashed(formula.replace("log(x + 1)", "log(x + 2)")),
        hashed(formula, FRAME.assign(x=FRAME["x"] + ([0.0] * 7 + [1e-12]))),
        hashed(formula, FRAME.assign(y=FRAME["y"] + ([0.0] * 7 + [1e-12]))),
        hashed(formula, FRAME.assign(arm=FRAME["arm"][::-1].tolist())),
        hashed(formula, FRAME.assign(**{"class": ["1", "2"] * 4})),
    ]
    assert len({same, *others}) == len(others) + 1


def test_a_logarithm_that_is_a_last_bit_off_is_the_same_posterior(monkeypatch: pytest.MonkeyPatch) -> None:
    from hbm_stan.formula import expression

    formula = "log(y) ~ log(x + 1) + (1 | school)"
    here = hashed(formula)
    monkeypatch.setattr(expression, "ELEMENTWISE", {"log": lambda x: np.nextafter(np.log(x), np.inf)})
    assert hashed(formula) == here
