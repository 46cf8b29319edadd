"""Raw estimates beside columns of the group: constant in it, so that its own rows say nothing of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from formula_data import data_of, design_of, term

from hbm_stan.attempts import fit_variants
from hbm_stan.engines import Engine, Sampling
from hbm_stan.families.terms.raw import group_column_shift, raw
from hbm_stan.likelihoods import likelihood
from hbm_stan.predict import shrinkage_table

GROUP = np.repeat(np.arange(12), 7)


@pytest.mark.parametrize("name", ["normal", "binomial", "poisson"])
@pytest.mark.parametrize("slope", [False, True])
def test_a_column_of_the_group_moves_no_raw_estimate(name: str, slope: bool) -> None:
    rng = np.random.default_rng(5)
    x, of_group = rng.normal(size=84), rng.normal(size=12)[GROUP]
    varying = {"intercept": 1, "x": x} if slope else {"intercept": 1}
    terms = [term(GROUP, name="g", **varying)]
    y = rng.integers(1, 9, 84).astype(float)
    rows = {"trials": np.full(84, 10), "exposure": np.ones(84)}
    common = {"intercept": 1, "x": x} if slope else {"intercept": 1}
    more = {"w": of_group, **({"w:x": of_group * x} if slope else {})}
    plain, beside = (
        raw(likelihood(name), data_of(design_of(columns, terms, 84), y, **rows)) for columns in (common, common | more)
    )
    assert np.abs(plain[0]).max() < 20
    np.testing.assert_allclose(beside[0], plain[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("slope", [False, True])
def test_what_columns_of_the_group_add_to_its_coefficients(slope: bool) -> None:
    rng = np.random.default_rng(6)
    x, arm = rng.normal(size=84), rng.permutation(np.repeat([0.0, 1.0], 6))[GROUP]
    terms = [term(GROUP, name="g", **({"intercept": 1, "x": x} if slope else {"intercept": 1}))]
    columns = {"intercept": 1, "x": x, "arm": arm, "arm:x": arm * x, "other": rng.normal(size=84)}
    data = data_of(design_of(columns, terms, 84), rng.normal(size=84))
    beta = np.array([[1.0, 2.0, 3.0, 0.5, 7.0], [1.0, 2.0, 5.0, 1.5, 7.0]])  # of arm 4, of arm:x 1 on average
    added = group_column_shift({"beta": beta}, data)
    own = np.asarray(data["X"], dtype=float).reshape(84, -1)
    first = np.array([np.flatnonzero(j == GROUP)[0] for j in range(12)])
    # With a slope that varies the interaction is the group's own too; x and other differ within groups in any case.
    if slope:
        z = np.asarray(data["Z"], dtype=float)[:, :2]
        for j in range(12):
            rows = j == GROUP
            np.testing.assert_allclose(z[rows] @ added[j], own[rows][:, 2:4] @ [4.0, 1.0], atol=1e-9)
    else:
        np.testing.assert_allclose(added[:, 0], 4 * own[first, 2], atol=1e-9)


def test_raw_estimates_lie_where_those_of_the_model_do(stanli: Engine) -> None:
    rng = np.random.default_rng(20261129)
    ward = rng.permutation(np.repeat(np.arange(12), rng.integers(2, 9, 12)))
    drug = ward % 2 == 0
    frame = pd.DataFrame({"ward": [f"w{k:02d}" for k in ward], "arm": np.where(drug, "drug", "none")})
    frame["y"] = 10 + 5 * drug + rng.normal(0, 1, 12)[ward] + rng.normal(0, 1, ward.size)
    fits = fit_variants("y ~ arm + (1 | ward)", frame, sampling=Sampling(draws=500, seed=1), engine=stanli)
    table = shrinkage_table(fits).set_index("group")
    beta = fits["partial_pooling"].draws("beta")["beta"].mean(axis=0)
    column = fits["partial_pooling"].data["X"][:, 1]
    assert abs(beta[1] - 5 * np.sign(np.corrcoef(column, drug)[0, 1])) < 2
    expected = (frame["y"] - beta[1] * column).groupby(frame["ward"]).mean()
    np.testing.assert_allclose(table["raw"], expected[table.index], rtol=1e-9)
    # So each lies on the other side of its estimate than the population: not 5 apart by arm.
    share = (table["partial_pooling"] - beta[0]) / (table["raw"] - beta[0])
    far = (table["raw"] - beta[0]).abs() > 0.3
    assert ((share > 0.3) & (share < 1.1))[far].all()
