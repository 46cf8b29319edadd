"""Raw estimates beside columns of the group: constant in it, so that its own rows say nothing of them."""

from __future__ import annotations

import numpy as np
import pytest
from formula_data import data_of, design_of, term

from hbm_stan.families.terms.raw import raw
from hbm_stan.likelihoods import likelihood

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
