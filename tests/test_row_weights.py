"""The report says which rows of a Student-t model are gross errors, and of other models nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hbm_stan.attempts import fit
from hbm_stan.engines import Engine, Sampling
from hbm_stan.results.formula_answer import weight_sentences
from hbm_stan.store import FitStore

SAMPLING = Sampling(chains=2, warmup=300, draws=300, seed=20261128)


def table(errors: dict[int, float]) -> pd.DataFrame:
    """Sixty rows of six groups in no order, with gross errors in some of them."""
    rng = np.random.default_rng(20261128)
    group = rng.permutation(np.arange(60) % 6)
    y = 10 + rng.normal(size=6)[group] + rng.normal(size=60)
    for row, off in errors.items():
        y[row] += off
    return pd.DataFrame({"g": [f"g{k}" for k in group], "y": y})


@pytest.mark.parametrize(("likelihood", "named"), [("student_t", True), ("normal", False)])
def test_gross_errors_are_named(likelihood: str, named: bool, stanli: Engine, tmp_path: Path) -> None:
    frame = table({7: 40.0, 31: -60.0})
    priors = {"nu": "fixed(4)"} if named else None
    outlier_fit = fit("y ~ 1 + (1 | g)", frame, "partial_pooling", sampling=SAMPLING, engine=stanli, priors=priors,
               store=FitStore(tmp_path), likelihood=likelihood)  # fmt: skip
    told = weight_sentences(outlier_fit)
    assert len(told) == named
    if named:
        words = told[0]
        assert words.startswith("2 of 60 rows say less than a fifth")
        # The farther one first: rows are counted from 1.
        assert words.index(f"row 32 ({frame['g'][31]}) 0.0") < words.index(f"row 8 ({frame['g'][7]}) 0.0")
