"""Factors, terms and common columns: nesting found from data, labels that never merge, columns centred."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hbm_stan.design import Columns, Design, Term, is_inside, make_design, make_factor, nested
from hbm_stan.errors import DataError
from hbm_stan.predictors import INTERCEPT

ONES = np.ones(6)
X = np.array([1.0, 2, 3, 5, 8, 11])
WORD = make_factor("word", ["cat", "dog", "cow", "cat", "dog", "cow"])
SUBJECT = make_factor("subject", ["s2", "s2", "s2", "s1", "s1", "s1"])


def crossed(**options: object) -> Design:
    by_word = Term(WORD, (INTERCEPT,), ONES[:, None], True)
    by_subject = Term(SUBJECT, (INTERCEPT, "x"), np.column_stack([ONES, X]), True)
    return make_design({INTERCEPT: ONES, "x": X}, [by_word, by_subject], **options)  # type: ignore[arg-type]


def test_a_factor_keeps_labels_in_order_of_appearance() -> None:
    assert SUBJECT.labels == ("s2", "s1")
    assert SUBJECT.level.tolist() == [0, 0, 0, 1, 1, 1]


def test_equal_inner_labels_of_two_outer_levels_are_two_levels() -> None:
    school = make_factor("school", ["B", "A", "A", "B", "A"])
    room = make_factor("class", ["1", "1", "2", "1", "1"])
    inner = nested(school, room)
    assert inner.name == "school:class"
    assert inner.labels == ("B: 1", "A: 1", "A: 2")
    assert inner.level.tolist() == [0, 1, 2, 0, 1]
    assert is_inside(inner, school)
    assert not is_inside(room, school)


def test_each_row_keeps_its_own_labels_in_any_order_of_rows() -> None:
    rng = np.random.default_rng(8)
    schools, rooms = rng.choice(list("ABCDE"), 60), rng.choice(list("123"), 60)
    inner = nested(make_factor("school", schools.tolist()), make_factor("class", rooms.tolist()))
    expected = [f"{school}: {room}" for school, room in zip(schools, rooms, strict=True)]
    assert [inner.labels[j] for j in inner.level] == expected
    assert inner.labels == tuple(dict.fromkeys(expected))


def test_labels_with_colons_do_not_merge() -> None:
    inner = nested(make_factor("a", ["p: q", "p", "p"]), make_factor("b", ["r", "q: r", "r"]))
    assert len(set(inner.labels)) == 3
    assert inner.level.tolist() == [0, 1, 2]


def test_labels_with_colons_and_quotes_do_not_merge() -> None:
    outer = make_factor("a", ["x: y", "x", "'x: y'", "'x'"])
    inner = make_factor("b", ["z", "y: z", "'z'", "'y: z'"])
    assert len(set(nested(outer, inner).labels)) == 4


def test_nesting_is_found_from_rows() -> None:
    design = crossed()
    assert not design.inside("word", "subject")
    assert design.inside(SUBJECT, SUBJECT)
    unique = make_factor("room", ["r1", "r1", "r2", "r3", "r3", "r3"])
    assert design.inside(unique, SUBJECT)
    assert not design.inside(SUBJECT, unique)
    one = make_factor("one", ["u", "u", "u"])
    for outer in (["p", "q", "p"], ["p", "p", "q"], ["q", "p", "p"]):
        assert not is_inside(one, make_factor("outer", outer))


def test_terms_of_the_pooled_factor_come_first() -> None:
    assert [t.factor.name for t in crossed().terms] == ["word", "subject"]
    design = crossed(group="subject")
    assert [t.factor.name for t in design.terms] == ["subject", "word"]
    assert design.n_group_terms == 1
    assert design.pooled.labels == ("s2", "s1")
    with pytest.raises(DataError, match=r"no grouping factor 'subjct'. Did you mean 'subject'"):
        crossed(group="subjct")


def test_terms_of_one_factor_are_counted_and_kept_together() -> None:
    slope = Term(SUBJECT, ("x",), X[:, None], False)
    terms = [Term(SUBJECT, (INTERCEPT,), ONES[:, None], False), Term(WORD, (INTERCEPT,), ONES[:, None], False), slope]
    design = make_design({INTERCEPT: ONES, "x": X}, terms)
    assert [t.names for t in design.terms] == [(INTERCEPT,), ("x",), (INTERCEPT,)]
    assert design.n_group_terms == 2
    with pytest.raises(DataError, match="'x' varies by 'subject' in two terms"):
        make_design({INTERCEPT: ONES}, [slope, slope])


def test_columns_are_centred_at_their_means_the_intercept_is_not() -> None:
    design = crossed(group="subject")
    assert design.means.tolist() == [0, 5]
    np.testing.assert_array_equal(design.X, np.column_stack([ONES, X - 5]))
    np.testing.assert_array_equal(design.Z, np.column_stack([ONES, X - 5, ONES]))
    assert design.term_means.tolist() == [0, 5, 0]
    assert design.own.tolist() == [0, 1, 0]


def test_columns_stay_as_they_are_where_asked_and_where_centring_would_change_the_model() -> None:
    np.testing.assert_array_equal(crossed(centre=False).X[:, 1], X)
    assert crossed(centre=False).means.tolist() == [0, 0]
    through_zero = make_design({"x": X}, [Term(SUBJECT, (INTERCEPT, "x"), np.column_stack([ONES, X]), True)])
    np.testing.assert_array_equal(through_zero.X[:, 0], X)
    np.testing.assert_array_equal(through_zero.Z[:, 1], X)


def test_a_column_that_is_not_common_is_centred_only_beside_a_varying_intercept() -> None:
    beside = make_design({INTERCEPT: ONES}, [Term(SUBJECT, (INTERCEPT, "x"), np.column_stack([ONES, X]), True)])
    assert beside.term_means.tolist() == [0, 5]
    assert beside.own.tolist() == [0, -1]
    apart = [Term(SUBJECT, (INTERCEPT,), ONES[:, None], False), Term(SUBJECT, ("x",), X[:, None], False)]
    assert make_design({INTERCEPT: ONES}, apart).term_means.tolist() == [0, 5]
    alone = make_design({INTERCEPT: ONES}, [Term(SUBJECT, ("x",), X[:, None], False)])
    np.testing.assert_array_equal(alone.Z[:, 0], X)


def test_one_column_has_no_correlations() -> None:
    assert [t.correlated for t in crossed().terms] == [False, True]


def test_rows_left_out_take_empty_levels_with_them_and_move_nothing_else() -> None:
    design = crossed(group="subject", offset=np.arange(6.0))
    left = design.without([0, 1, 2, 4])
    np.testing.assert_array_equal(left.X, design.X[[3, 5]])
    np.testing.assert_array_equal(left.Z, design.Z[[3, 5]])
    assert left.offset.tolist() == [3, 5]
    assert left.pooled.labels == ("s1",)
    assert left.pooled.level.tolist() == [0, 0]
    assert left.terms[1].factor.labels == ("cat", "cow")
    assert left.terms[1].factor.level.tolist() == [0, 1]
    np.testing.assert_array_equal(left.means, design.means)


def test_a_new_row_stands_at_the_means_unless_it_is_named() -> None:
    design = crossed(group="subject")
    x, z = design.row({"x": 7})
    assert x.tolist() == [1, 2]
    assert z.tolist() == [1, 2, 1]
    assert design.row({})[0].tolist() == [1, 0]
    assert crossed(centre=False).row({})[0].tolist() == [1, 5]
    with pytest.raises(DataError, match="no column 'y'"):
        design.row({"y": 1})


def test_a_design_without_terms_is_refused() -> None:
    with pytest.raises(DataError, match="needs a term"):
        make_design({INTERCEPT: ONES}, [])


def test_columns_of_own_parameters_are_centred_and_follow_the_rows() -> None:
    design = make_design({INTERCEPT: ONES, "x": X}, [Term(SUBJECT, (INTERCEPT,), ONES[:, None], False)])
    own = Columns.of({INTERCEPT: ONES, "x": X}, len(ONES), centre=True)
    assert own.means.tolist() == [0.0, X.mean()]
    np.testing.assert_array_equal(own.X, np.column_stack([ONES, X - X.mean()]))
    assert not Columns.of({"x": X}, len(X), centre=True).means.any()  # no intercept: as they are
    assert not Columns.of({INTERCEPT: ONES, "x": X}, len(X), centre=False).means.any()
    with_own = replace(design, beside={"zi": own})
    np.testing.assert_array_equal(with_own.without([0]).beside["zi"].X, own.X[1:])
    np.testing.assert_array_equal(with_own.twice().beside["zi"].X, np.tile(own.X, (2, 1)))
    np.testing.assert_allclose(with_own.beside_row({"x": 9.0})["zi"], [1.0, 9.0 - X.mean()])
