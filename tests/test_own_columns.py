"""Own parameters of a likelihood that are coefficients: columns by a formula of their own, priors, draws, rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from hbm_stan.data import Dataset
from hbm_stan.design import Design
from hbm_stan.errors import DataError, HbmError
from hbm_stan.families import families
from hbm_stan.families.terms.effects import take_rows
from hbm_stan.families.terms.own_columns import column_coords, column_data
from hbm_stan.fit import prepare_table
from hbm_stan.formula import Structure, columns_read, read_structure, with_formula
from hbm_stan.likelihoods.coefficients import coefficients, combined
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, PriorRow

N = 24
RNG = np.random.default_rng(3)
FRAME = pd.DataFrame({
    "k": RNG.integers(0, 4, N), "x": RNG.normal(3, 1, N), "wet": RNG.normal(100, 9, N),
    "arm": ["placebo", "drug", "dose two"] * 8, "g": [f"g{i // 4}" for i in range(N)],
})  # fmt: skip
ROW = PriorRow(name="zi", distributions=("normal",), meaning="log odds", source="source")


def structure(zi: str, formula: str = "k ~ x + (1 | g)", **keys: Any) -> Structure:
    dataset = with_formula(Dataset.from_frame(FRAME, formula=formula, zi=zi, **keys))
    return read_structure(dataset, known_residual=True, own=("zi",))


def test_columns_are_coded_and_centred_as_those_of_the_formula() -> None:
    terms = structure("~ wet + arm + log(wet)", levels={"arm": ["drug"]})
    columns, main = (
        terms.design.beside["zi"],
        structure("", "k ~ wet + arm + log(wet) + (1 | g)", levels={"arm": ["drug"]}),
    )
    assert columns.names == main.design.names == ("intercept", "wet", "arm=placebo", "arm=dose two", "log(wet)")
    np.testing.assert_array_equal(columns.X, main.design.X)
    np.testing.assert_array_equal(columns.means, main.design.means)
    assert terms.design.names == ("intercept", "x")
    assert terms.levels == {"arm": ("drug", "placebo", "dose two")}
    assert not structure("~ wet", centre=False).design.beside["zi"].means.any()


def test_without_a_formula_of_its_own_the_share_is_constant() -> None:
    columns = structure("").design.beside["zi"]
    assert columns.names == ("intercept",)
    assert columns.X.tolist() == [[1.0]] * N


def test_a_new_row_has_the_columns_of_both_formulas() -> None:
    design = structure("~ wet + arm", "k ~ x + wet + (1 | g)").design
    at = design.beside_row({"wet": 90.0, "arm": "dose two"})["zi"]
    np.testing.assert_allclose(at + design.beside["zi"].means, [1, 90, 0, 1], rtol=1e-12)
    x, _ = design.row({"wet": 90.0})
    np.testing.assert_allclose(x, [1, 0, 90 - FRAME["wet"].mean()], atol=1e-12)


def test_columns_that_are_read_are_known() -> None:
    data = with_formula(Dataset.from_frame(FRAME, formula="k ~ x + (1 | g)", zi="~ arm + log(wet)"))
    assert columns_read(data) == ("x", "arm", "wet")


WRONG = {
    "a bar": ("~ x + (1 | g)", r"\(1 \| g\) has no place here: only columns that all rows share"),
    "an offset": ("~ x + offset(log(wet))", "has no place here"),
    "an outcome": ("k ~ x", "nothing before"),
    "no tilde": ("x", "one ~ and columns after it"),
    "nothing": ("~", "one ~ and columns after it"),
    "an unknown column": ("~ wett", "no column 'wett', which the formula names. Did you mean 'wet'"),
    "collinear columns": ("~ x + I(2 * x)", "collinear"),
    "a constant": ("~ I(x / x)", "the same value"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_in_words(case: str) -> None:
    text, words = WRONG[case]
    with pytest.raises(HbmError, match=words):
        structure(text)


def test_a_likelihood_without_extra_zeros_takes_no_formula_of_them() -> None:
    data = Dataset.from_frame(FRAME, formula="k ~ x + (1 | g)", zi="~ x")
    with pytest.raises(DataError, match=r"zi = '~ x' goes with a likelihood that has zi, not this one"):
        prepare_table(families()["poisson"], data)
    with pytest.raises(DataError, match="zi must be a text such as '~ x', found 3"):
        Dataset.from_frame(FRAME, formula="k ~ x + (1 | g)", zi=3)


def stan_data(zi: str = "~ wet + arm") -> dict[str, Any]:
    design = structure(zi).design
    names = design.beside["zi"].names
    priors = {
        f"zi[{n}]": Prior(name=f"zi[{n}]", distribution="normal", arguments=(float(i), 1.5 + i))
        for i, n in enumerate(names)
    }
    return column_data(table_of(design), dict(sorted(priors.items()))) | {"y": FRAME["k"].to_numpy()}


def table_of(design: Design) -> Prepared:
    table = prepare_table(families()["poisson"], Dataset.from_frame(FRAME, formula="k ~ x + (1 | g)"))
    return replace(table, design=design)


def test_priors_stand_in_the_order_of_the_columns() -> None:
    data = stan_data()
    assert data["P_zi"] == 4
    assert data["X_zi"].shape == (N, 4)
    assert data["prior_zi"].tolist() == [[0, 1.5], [1, 2.5], [2, 3.5], [3, 4.5]]
    assert column_coords(table_of(structure("~ wet").design)) == {"zi_column": ("intercept", "wet")}


def test_coefficients_have_normal_priors_and_are_sampled_in_their_units() -> None:
    data, raw, vector = stan_data(), np.array([0.5, -1.0, 0.0, 2.0]), coefficients(ROW)
    assert vector.from_raw is not None
    value = vector.from_raw(raw, data)
    np.testing.assert_allclose(value, np.arange(4) + (1.5 + np.arange(4)) * raw)
    exact = float(norm.logpdf(value, np.arange(4), 1.5 + np.arange(4)).sum())
    assert vector.log_prior(value, data) == pytest.approx(exact, rel=1e-12)
    drawn = vector.draw(np.random.default_rng(1), data, 40_000)
    z = (drawn.mean(axis=0) - np.arange(4)) / (1.5 + np.arange(4)) * 200
    assert np.abs(z).max() < 4
    np.testing.assert_allclose(drawn.std(axis=0), 1.5 + np.arange(4), rtol=0.02)
    assert vector.start(data).tolist() == [[0.0] * 4]


def test_rows_get_what_coefficients_add_up_to() -> None:
    data, value = stan_data(), np.random.default_rng(2).normal(size=(5, 4))
    sums = combined("zi", data, {"zi": value[:, None]})
    np.testing.assert_allclose(sums, value @ data["X_zi"].T, rtol=1e-12)
    np.testing.assert_allclose(combined("zi", data, {"zi": value[:1]}), sums[0], rtol=1e-12)


def test_some_rows_take_their_columns_along() -> None:
    data = {**stan_data(), "offset_": np.zeros(N), "X": np.ones((N, 1)), "Z": np.ones((N, 1)), "T": 1}
    some = take_rows({**data, "level": np.ones((1, N), dtype=int)}, np.array([3, 1]))
    np.testing.assert_array_equal(some["X_zi"], data["X_zi"][[3, 1]])
    assert some["prior_zi"] is data["prior_zi"]
