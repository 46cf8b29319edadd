"""A formula and a table: columns with names, levels, centring, what is refused before sampling, and what is said."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, HbmError
from hbm_stan.families import families
from hbm_stan.families.choose import GROSS, choose_likelihood, farthest
from hbm_stan.fit import prepare_table
from hbm_stan.formula import Structure, read_structure, with_formula

RNG = np.random.default_rng(5)
N = 24
RATES = np.linspace(2, 9.7, N) ** 1.2
FRAME = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RATES,
        "z": RNG.normal(size=N) + 100,
        "arm": ["placebo", "drug", "dose two"] * 8,
        "sex": ["f", "f", "f", "m", "m", "m"] * 4,
        "g": [f"g{i // 4}" for i in range(N)],
        "item": [f"i{i % 4}" for i in range(N)],
        "room": ["1", "2", "1", "2"] * 6,
        "my column": np.arange(N) % 7 + 0.5,
        "rating": [1, 2, 3, 4] * 6,
        "constant": 3.0,
        "one": "a",
        "row": [f"r{i}" for i in range(N)],
        "e": np.exp(RNG.normal(size=N)),
    }
)


def structure(formula: str, frame: pd.DataFrame = FRAME, known_residual: bool = False, **keys: Any) -> Structure:
    dataset = with_formula(Dataset.from_frame(frame, formula=formula, **keys))
    return read_structure(dataset, known_residual=known_residual)


def raw(model: Structure) -> dict[str, np.ndarray]:
    """The common columns before they were centred."""
    design = model.design
    return dict(zip(design.names, (design.X + design.means).T, strict=True))


def test_columns_have_names_and_stand_in_their_places() -> None:
    columns = raw(structure("y ~ arm * x + (1 | g)"))
    x, drug, two = FRAME["x"], FRAME["arm"] == "drug", FRAME["arm"] == "dose two"
    expected = {
        "intercept": 1, "arm=drug": drug, "arm=dose two": two, "x": x, "arm=drug:x": drug * x,
        "arm=dose two:x": two * x,
    }  # fmt: skip
    assert list(columns) == list(expected)
    for name, column in expected.items():
        np.testing.assert_allclose(columns[name], np.broadcast_to(column, N).astype(float), atol=1e-12, err_msg=name)


def test_an_interaction_of_two_categories_has_each_cell_in_its_place() -> None:
    columns = raw(structure("y ~ arm * sex + (1 | g)"))
    assert list(columns)[-2:] == ["arm=drug:sex=m", "arm=dose two:sex=m"]
    cell = (FRAME["arm"] == "dose two") & (FRAME["sex"] == "m")
    np.testing.assert_allclose(columns["arm=dose two:sex=m"], cell.astype(float), atol=1e-12)


def test_columns_are_centred_at_their_means_and_can_be_left() -> None:
    design = structure("y ~ x + arm + (1 + x | g)").design
    np.testing.assert_allclose(design.X[:, 1:].mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(design.Z[:, 1], FRAME["x"] - FRAME["x"].mean(), atol=1e-12)
    left = structure("y ~ x + arm + (1 + x | g)", centre=False).design
    np.testing.assert_array_equal(left.X[:, 1], FRAME["x"])
    assert not left.means.any()


def test_shifting_a_column_changes_no_centred_design() -> None:
    shifted = FRAME.assign(x=FRAME["x"] + 1000)
    one, other = (structure("y ~ x * arm + (1 + x | g)", f).design for f in (FRAME, shifted))
    np.testing.assert_allclose(other.X[:, 1], one.X[:, 1], atol=1e-9)
    np.testing.assert_allclose(other.Z, one.Z, atol=1e-9)


def test_functions_of_the_closed_list() -> None:
    x = FRAME["x"].to_numpy()
    columns = raw(structure("y ~ log(x) + sqrt(x) + exp(-x) + I((x - 5)^2/10) + scale(x) + center(z) + (1 | g)"))
    expected = [np.log(x), np.sqrt(x), np.exp(-x), (x - 5) ** 2 / 10, (x - x.mean()) / x.std(ddof=1)]
    for (name, column), wanted in zip(list(columns.items())[1:], expected, strict=False):
        np.testing.assert_allclose(column, wanted, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(columns["center(z)"], FRAME["z"] - FRAME["z"].mean(), atol=1e-12)


def test_bases_span_what_they_should() -> None:
    x = FRAME["x"].to_numpy()

    def spanned(formula: str) -> np.ndarray:
        return np.column_stack(list(raw(structure(formula)).values()))

    def distance(basis: np.ndarray, column: np.ndarray) -> float:
        return float(np.abs(column - basis @ np.linalg.lstsq(basis, column, rcond=None)[0]).max())

    quadratic = spanned("y ~ poly(x, 2) + (1 | g)")
    np.testing.assert_allclose(quadratic[:, 1:].T @ quadratic[:, 1:], np.eye(2), atol=1e-10)
    assert distance(quadratic, x**2) < 1e-9 < distance(quadratic, x**3)
    cubic = spanned("y ~ bs(x, df = 4) + (1 | g)")
    assert cubic.shape[1] == 5
    assert distance(cubic, x**3) < 1e-8
    natural = spanned("y ~ ns(x, df = 3) + (1 | g)")
    assert natural.shape[1] == 4
    assert distance(natural, x) < 1e-8 < distance(natural, x**2)


def test_levels_are_read_as_the_product_reads_them() -> None:
    asked = structure("y ~ arm + (1 | g)", reference={"arm": "drug"})
    assert asked.design.names == ("intercept", "arm=placebo", "arm=dose two")
    assert "arm: levels are compared with 'drug', as asked." in asked.notes
    in_formula = structure("y ~ C(arm, ref = 'drug') + (1 | g)")
    assert in_formula.design.names == asked.design.names
    for model in (asked, in_formula):
        np.testing.assert_allclose(raw(model)["arm=placebo"], (FRAME["arm"] == "placebo").astype(float), atol=1e-12)
    frame = FRAME.assign(arm=pd.Categorical(FRAME["arm"], ["dose two", "drug", "placebo"]))
    assert structure("y ~ arm + (1 | g)", frame).levels["arm"] == ("dose two", "drug", "placebo")
    assert structure("y ~ C(rating) + (1 | g)").design.names[1:] == ("rating=2", "rating=3", "rating=4")
    named = structure("y ~ rating + (1 | g)", levels={"rating": ["2", "1", "3", "4"]})
    assert named.design.names[1:] == ("rating=1", "rating=3", "rating=4")


def test_without_an_intercept_a_category_has_all_its_levels() -> None:
    design = structure("y ~ 0 + arm + (1 | g)").design
    assert design.names == ("arm=placebo", "arm=drug", "arm=dose two")
    assert not design.means.any()


def test_levels_that_vary_without_an_intercept_are_no_differences_from_a_reference() -> None:
    design = structure("y ~ arm + (0 + arm | item)").design
    assert design.terms[0].names == ("arm(placebo)", "arm(drug)", "arm(dose two)")
    assert design.own.tolist() == [-1, -1, -1]
    np.testing.assert_array_equal(design.Z.sum(axis=1), 1)
    beside = structure("y ~ arm * x + (1 + arm | item)").design
    assert beside.own.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(beside.Z, beside.X[:, :3])
    means = structure("y ~ 0 + arm + (0 + arm | item)").design
    assert means.own.tolist() == [0, 1, 2]


def test_names_that_are_no_words_stand_in_backticks() -> None:
    design = structure("y ~ `my column` + log(`my column`) + (`my column` | g)").design
    assert design.names == ("intercept", "my column", "log(my column)")
    assert design.terms[0].names == ("intercept", "my column")


def test_terms_and_their_factors() -> None:
    design = structure("y ~ x + z + (1 + x + z || g) + (x | item)").design
    assert [(t.factor.name, t.names, t.correlated) for t in design.terms] == [
        ("g", ("intercept",), False), ("g", ("x",), False), ("g", ("z",), False), ("item", ("intercept", "x"), True),
    ]  # fmt: skip
    assert design.n_group_terms == 3
    pooled = structure("y ~ x + (1 + x | g) + (1 | item)", group="item").design
    assert [t.factor.name for t in pooled.terms] == ["item", "g"]
    assert pooled.pooled.labels == ("i0", "i1", "i2", "i3")


def test_nested_labels_do_not_merge() -> None:
    design = structure("y ~ x + (1 | g/room)").design
    outer, inner = (term.factor for term in design.terms)
    assert (outer.name, inner.name) == ("g", "g:room")
    assert len(inner.labels) == 12
    assert inner.row_labels[:6] == ["g0: 1", "g0: 2", "g0: 1", "g0: 2", "g1: 1", "g1: 2"]
    assert design.inside("g:room", "g")
    crossed = structure("y ~ x + (1 | g) + (1 | room)")
    assert len(crossed.design.terms[1].factor.labels) == 2
    assert any("2 levels of room occur in all 6 levels of g: crossed" in note for note in crossed.notes)
    assert any("write (1 | g/room)" in note for note in crossed.notes)


def test_the_pooled_factor_may_be_the_inner_one() -> None:
    dataset = with_formula(Dataset.from_frame(FRAME, formula="y ~ x + (1 | g/room)"), group="g:room")
    assert dataset.columns["group"] == "g:room"
    design = read_structure(dataset, known_residual=False).design
    assert design.pooled.name == "g:room"
    assert dataset.table.labels("g:room") == design.pooled.row_labels
    assert with_formula(dataset) == dataset


def test_offsets_add_up() -> None:
    model = structure("y ~ x + offset(log(e)) + offset(z/10) + (1 | g)")
    np.testing.assert_allclose(model.design.offset, np.log(FRAME["e"]) + FRAME["z"] / 10)
    assert not structure("y ~ x + (1 | g)").design.offset.any()


def test_the_left_side_names_columns_for_roles() -> None:
    dataset = with_formula(Dataset.from_frame(FRAME, formula="log(e) | se(sqrt(x)) ~ 1 + (1 | g)"))
    assert dict(dataset.columns) == {"outcome": "log(e)", "standard_error": "sqrt(x)", "group": "g"}
    np.testing.assert_allclose(dataset.table.numbers("log(e)"), np.log(FRAME["e"]))
    with pytest.raises(DataError, match="Name it in one place"):
        with_formula(Dataset.from_frame(FRAME, formula="y ~ 1 + (1 | g)", outcome="x"))


def test_columns_alone_stand_for_a_formula() -> None:
    dataset = with_formula(Dataset.from_frame(FRAME, outcome="y", group="my column", standard_error="e"))
    assert dataset.reading.formula == "y | se(e) ~ 1 + (1 | `my column`)"


def test_a_new_row_is_made_as_the_rows_of_the_table_were() -> None:
    model = structure("y ~ arm * log(x) + scale(z) + poly(x, 2) + bs(e, df = 4) + offset(e) + (1 + log(x) | g)")
    design = pickle.loads(pickle.dumps(model.design))
    for i in (0, 1, 2, 17):
        row = {name: FRAME[name][i] for name in ("arm", "x", "z", "e")}
        x, z = design.row(row)
        np.testing.assert_allclose(x, design.X[i], atol=1e-10)
        np.testing.assert_allclose(z, design.Z[i], atol=1e-10)
    usual = structure("y ~ arm + x + (1 | g)").design
    x, _ = usual.row({})
    np.testing.assert_allclose(x, [1, -1 / 3, -1 / 3, 0], atol=1e-12)
    with pytest.raises(DataError, match=r"'arm' has no level 'drugg'. Did you mean 'drug'"):
        usual.row({"arm": "drugg"})
    with pytest.raises(DataError, match="no column 'zz'"):
        usual.row({"zz": 1})
    with pytest.raises(DataError, match="'x' must be a finite number"):
        usual.row({"x": "much"})


EMPTY = FRAME.assign(arm=np.where((FRAME["arm"] == "drug") & (FRAME["sex"] == "m"), "placebo", FRAME["arm"]))


@pytest.mark.parametrize(
    ("formula", "frame", "words"),
    [
        ("y ~ xx + (1 | g)", FRAME, "no column 'xx', which the formula names"),
        ("y ~ log(ratng) + (1 | g)", FRAME, "no column 'ratng'.*Did you mean 'rating'"),
        ("yy ~ x + (1 | g)", FRAME, "no column 'yy'"),
        ("y ~ x + (1 | itm)", FRAME, "no column 'itm'.*Did you mean 'item'"),
        ("y ~ x + (arn | g)", FRAME, "no column 'arn'.*Did you mean 'arm'"),
        ("y ~ x + offset(log(ee)) + (1 | g)", FRAME, "no column 'ee'"),
        ("y ~ x + (1 | one)", FRAME, "factor 'one' has one level \\('a'\\)"),
        ("y ~ one + (1 | g)", FRAME, "a category with one level \\('a'\\)"),
        ("y ~ x + (1 | row)", FRAME, "'row' has as many levels as there are rows \\(24\\)"),
        ("y ~ constant + (1 | g)", FRAME, "'constant' has the same value \\(3\\) in every row"),
        ("y ~ x + z + I(2*x - z + 7) + (1 | g)", FRAME, "'I\\(2 \\* x - z \\+ 7\\)' is collinear: x, z before it"),
        ("y ~ arm + C(arm, ref = 'drug') + (1 | g)", FRAME, "two coefficients called 'arm=dose two'"),
        ("y ~ poly(x, 12) + poly(z, 12) + (1 | g)", FRAME, "25 common coefficients and 24 rows"),
        ("y ~ poly(x, 12) + poly(z, 11) + (1 | g)", FRAME, "24 common coefficients and 24 rows"),
        ("y ~ arm * sex + (1 | g)", EMPTY, "arm:sex has cells without a row: arm=drug and sex=m"),
        ("y ~ arm:sex:x + (1 | g)", EMPTY, "arm=drug and sex=m"),
        ("y ~ x + (arm:sex | item)", EMPTY, "arm=drug and sex=m"),
        ("y ~ log(arm) + (1 | g)", FRAME, "not a number.*\\[levels\\]"),
        ("x ~ log(y) + (1 | g)", FRAME, "log\\(y\\) is no finite number in row"),
        ("y ~ I(1/(rating - 2)) + (1 | g)", FRAME, "no finite number in row 2: '2', row 6"),
        ("y ~ I(2) + (1 | g)", FRAME, "reads no column"),
        ("y ~ scale(constant) + (1 | g)", FRAME, "cannot be scaled"),
        ("y ~ rating + C(rating) + (1 | g)", FRAME, "'rating' as a number and as a category"),
        ("y ~ C(arm, ref = 'drg') + (1 | g)", FRAME, "no level 'drg'. Did you mean 'drug'"),
        ("y ~ row + (1 | g)", FRAME, "a category of 24 levels"),
        ("y ~ x + (0 | g)", FRAME, "nothing varies in \\(0 \\| g\\)"),
        ("y ~ x + (x | g) + (0 + x | g)", FRAME, "'x' varies by 'g' in two terms"),
        ("y ~ x + (1 | g) + (1 | h)", FRAME.assign(h=FRAME["g"] + "h"), "'g' and 'h' group the rows alike"),
        ("y ~ bs(x, df = 2) + (1 | g)", FRAME, "bs\\(x, 2\\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_table_is_refused(formula: str, frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(HbmError, match=words):
        structure(formula, frame)


def test_one_row_a_level_is_fine_where_no_residual_sd_is_estimated() -> None:
    assert structure("y ~ x + (1 | row)", known_residual=True).design.pooled.name == "row"


def test_levels_of_no_category_are_refused() -> None:
    with pytest.raises(DataError, match="levels are named of 'sex', which is no category of the formula"):
        structure("y ~ arm + (1 | g)", reference={"sex": "f"})


def test_a_pooled_factor_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match=r"'itm' is no grouping factor of the formula. Did you mean 'item'"):
        structure("y ~ x + (1 | g) + (1 | item)", group="itm")


def warnings(model: Structure) -> str:
    return " ".join(v.hint for v in model.verdicts if v.status != "pass")


def test_few_whole_numbers_may_be_a_category() -> None:
    assert "rating has the values 1, 2, 3, 4 only and is read as a number" in warnings(
        structure("y ~ rating + (1 | g)")
    )
    assert "write C(rating)" in warnings(structure("y ~ x + (rating | g)"))
    for quiet in ("y ~ C(rating) + (1 | g)", "y ~ x + (1 | g)", "y ~ I(rating^2) + (1 | g)", "y ~ arm + (1 | g)"):
        assert "read as a number" not in warnings(structure(quiet)), quiet
    assert "read as a number" not in warnings(structure("y ~ b + (1 | g)", FRAME.assign(b=FRAME["rating"] % 2)))
    assert "grouping factor and" in warnings(structure("y ~ n + (1 | n)", FRAME.assign(n=FRAME.index % 8)))


@pytest.mark.parametrize("formula", ["y ~ arm + (1 | arm)", "y ~ C(n) + (1 + x | n)", "y ~ x * arm + (1 | arm/item)"])
def test_a_group_among_the_common_categories_is_said(formula: str) -> None:
    frame = FRAME.assign(n=FRAME.index % 4)
    assert "is a category among the columns, and its intercept varies" in warnings(structure(formula, frame))


@pytest.mark.parametrize("formula", ["y ~ arm + (1 | g)", "y ~ arm + (0 + x | arm)", "y ~ x + (arm | g)"])
def test_a_category_is_no_group_among_the_columns(formula: str) -> None:
    assert "is a category among the columns" not in warnings(structure(formula))


def test_a_slope_without_a_common_coefficient_is_said() -> None:
    assert "x varies by g and has no common coefficient" in warnings(structure("y ~ z + (x | g)"))
    assert warnings(structure("y ~ x + (x | g) + (1 | item)")) == ""
    assert warnings(structure("y ~ arm + (0 + arm | item)")) == ""


def test_nesting_and_crossing_are_found_and_said() -> None:
    frame = FRAME.assign(inner=FRAME["g"] + FRAME["room"])
    assert any("inner lies inside g" in note for note in structure("y ~ x + (1 | g) + (1 | inner)", frame).notes)
    assert any("inner lies inside g" in note for note in structure("y ~ x + (1 | inner) + (1 | g)", frame).notes)
    partly = FRAME.assign(h=["a", "b", "c"] * 4 + ["d"] * 12)
    notes = " ".join(structure("y ~ x + (1 | g) + (1 | h)", partly).notes)
    assert "levels of h occur in several levels of g: crossed" in notes


@pytest.mark.parametrize(
    ("formula", "outcome", "likelihood"),
    [
        ("o ~ x + (1 | g)", [0.5, 1.5] * 12, "normal"),
        ("o ~ x + (1 | g)", [0, 1] * 12, "binomial"),
        ("o ~ x + (1 | g)", [True, False] * 12, "binomial"),
        ("o ~ x + (1 | g)", ["yes", "no"] * 12, "binomial"),
        ("o ~ x + (1 | g)", [0, 3, 2] * 8, "poisson"),
        ("o ~ x + (1 | g)", [0, 3, 9] * 8, "negative_binomial"),
        ("o | rate(x) ~ 1 + (1 | g)", [0, 31, 402] * 8, "negative_binomial"),
        ("o ~ x + (1 | g)", [250, 301, 188, 420] * 6, "normal"),
        ("o ~ x + (1 | g)", [-1, 0, 1] * 8, "normal"),
        ("log(o) ~ x + (1 | g)", [2, 3, 7] * 8, "normal"),
        ("o | trials(e) ~ x + (1 | g)", [0, 1, 2] * 8, "binomial"),
        ("o | rate(x) ~ 1 + (1 | g)", np.round(7 * RATES + 2), "poisson"),
        ("o | se(e) ~ x + (1 | g)", [20, 31, 42] * 8, "estimates"),
    ],
)
def test_the_likelihood_is_chosen_from_the_outcome(formula: str, outcome: list[Any], likelihood: str) -> None:
    dataset = Dataset.from_frame(FRAME.assign(o=outcome), formula=formula)
    name, why = choose_likelihood(dataset)
    assert name == likelihood
    assert why


AMOUNTS = pd.DataFrame({"g": np.repeat(list("abcdef"), 15), "o": np.random.default_rng(4).gamma(2, 300, 90)})


def why(outcome: Any, formula: str = "o ~ 1 + (1 | g)") -> str:
    return choose_likelihood(Dataset.from_frame(AMOUNTS.assign(o=outcome), formula=formula))[1]


def test_skewed_amounts_may_be_taken_as_such() -> None:
    amounts = AMOUNTS["o"]
    assert "--likelihood gamma" in why(amounts)
    assert "--likelihood lognormal" in why(amounts)
    for others in (amounts - 900, -amounts, 2000 - amounts, np.random.default_rng(4).normal(500, 90, 90)):
        assert "--likelihood" not in why(others)
    assert "--likelihood" not in why(100 * (AMOUNTS["g"] == "a") + amounts**0.01)  # groups are skewed, rows hardly


def test_a_row_that_may_be_a_gross_error_is_named() -> None:
    rows = np.random.default_rng(4).normal(-50, 9, 90) + 100 * (AMOUNTS["g"] == "c")
    assert "--likelihood" not in why(rows)
    for wrong in (rows.where(AMOUNTS.index != 37, 400), rows.where(AMOUNTS.index != 37, -400)):
        reason = why(wrong)
        assert "row 38 lies " in reason
        assert "--likelihood student_t" in reason
    assert "row 38 lies " in why((rows + 300).where(AMOUNTS.index != 37, 3))  # amounts too
    few = AMOUNTS.iloc[::8].assign(o=np.r_[np.arange(11.0), 900.0])  # twelve rows do not tell
    assert "student_t" not in choose_likelihood(Dataset.from_frame(few, formula="o ~ 1 + (1 | g)"))[1]


def test_normal_rows_have_no_gross_error_and_most_tables_with_some_are_seen() -> None:
    rng = np.random.default_rng(20261129)
    seen = {0.0: 0, 0.03: 0}
    for share in seen:
        for _ in range(200):
            group = np.repeat(np.arange(25), rng.integers(1, 20, 25))
            rows = rng.normal(size=25)[group] + rng.normal(size=group.size)
            wrong = rng.uniform(size=group.size) < share
            seen[share] += farthest(np.where(wrong, 10 * rows, rows), group)[1] > GROSS
    assert seen[0.0] == 0
    assert seen[0.03] >= 160


@pytest.mark.parametrize("name", ["gamma", "lognormal"])
@pytest.mark.parametrize("share", [0.02, 0.95])
def test_amounts_of_0_are_refused_with_what_to_do(name: str, share: float) -> None:
    family, outcome = families()[name], np.where(np.arange(90) < 90 * share, AMOUNTS["o"], 0.0)
    with pytest.raises(
        DataError, match=r"column 'o' \(amount of the row\): must be above zero; found .*take two steps"
    ):
        prepare_table(family, Dataset.from_frame(AMOUNTS.assign(o=outcome), formula="o ~ 1 + (1 | g)"))


def test_shares_may_be_taken_as_such() -> None:
    shares = AMOUNTS["o"] / (AMOUNTS["o"] + 300)
    assert "--likelihood beta" in why(shares)
    assert "--likelihood beta" in why(100 * shares, "I(o / 100) ~ 1 + (1 | g)")
    for others in (shares.where(shares != shares.max(), 1.0), 100 * shares):
        assert "--likelihood beta" not in why(others)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (0.0, r"strictly between 0 and 1; found .*row 90: '0\.0'.*another process.*successes \| trials\(n\)"),
        (1.0, r"strictly between 0 and 1; found .*row 90: '1\.0'.*make it in the table"),
        (45.0, r"lies between 0 and 1; found .*row 90: '45\.0'.*divide by 100, as in I\(y / 100\)"),
        (-0.2, r"lies between 0 and 1; found .*row 90: '-0\.2'\.$"),
    ],
)
def test_what_is_no_share_is_refused_with_what_to_do(last: float, words: str) -> None:
    outcome = np.append(np.linspace(0.1, 0.9, 89), last)
    with pytest.raises(DataError, match=words):
        prepare_table(families()["beta"], Dataset.from_frame(AMOUNTS.assign(o=outcome), formula="o ~ 1 + (1 | g)"))


def test_a_likelihood_that_the_left_side_contradicts_is_refused() -> None:
    with pytest.raises(HbmError, match=r"goes with the likelihood beta_binomial_rows or binomial, not normal"):
        choose_likelihood(Dataset.from_frame(FRAME, formula="y | trials(e) ~ (1 | g)"), "normal")
    with pytest.raises(HbmError, match=r"no likelihood 'poison'. Did you mean 'poisson'"):
        choose_likelihood(Dataset.from_frame(FRAME, formula="y ~ (1 | g)"), "poison")
    with pytest.raises(HbmError, match="needs standard errors"):
        choose_likelihood(Dataset.from_frame(FRAME, formula="y ~ (1 | g)"), "estimates")
