"""hbm.fit: partial pooling comes in the form that the data call for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hbm_stan as hbm
from hbm_stan import automatic
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.parameterise import choose_parameterisation, named_parameterisation
from hbm_stan.store import FitStore

SAMPLING = Sampling(warmup=300, draws=300, seed=20261129)
FORMULA = "y ~ x + (1 | g)"


def counts(rows: int, mean: float) -> pd.DataFrame:
    """Counts of ten groups of unequal size, rows in no order."""
    rng = np.random.default_rng(20261129)
    g, x = rng.choice(10, rows, p=np.arange(1, 11) / 55), rng.normal(size=rows)
    y = rng.poisson(mean * np.exp(0.8 * rng.normal(size=10)[g] + 0.2 * x))
    return pd.DataFrame({"g": [f"g{k}" for k in g], "x": x, "y": y})


def test_partial_pooling_is_in_the_form_that_a_report_would_take(stanli: Engine, tmp_path: Path) -> None:
    frame, store, messages = counts(400, 30.0), FitStore(tmp_path), []
    how = {"likelihood": "poisson", "sampling": SAMPLING, "engine": stanli, "store": store}
    fits = hbm.fit_variants(FORMULA, frame, say=messages.append, **how)
    assert list(fits) == ["complete_pooling", "no_pooling", "partial_pooling"]
    model, data = automatic.family_and_data(FORMULA, frame, likelihood="poisson")
    assert isinstance(data, Dataset)
    expected = choose_parameterisation(model, data, seed=SAMPLING.seed, store=store).variant
    assert fits["partial_pooling"].variant == expected == "partial_pooling_centered"
    assert any("A short pilot" in text for text in messages)
    # The form was fitted to see whether it passes: nobody is told that its draws are those of an earlier run.
    assert not any(fit.reused for fit in fits.values())
    one = hbm.fit(FORMULA, frame, **how)
    assert (one.key, one.reused) == (fits["partial_pooling"].key, True)
    other = hbm.fit(FORMULA, frame, parameterisation="noncentered", **how)
    assert other.variant == named_parameterisation(one.family, "noncentered")
    assert other.key != one.key
    # What is named is fitted as it is named.
    assert hbm.fit(FORMULA, frame, "partial_pooling_centered", **how).key == one.key
    assert hbm.compare(fits).scores[0].variant in fits


def test_no_pilot_runs_where_there_is_nothing_to_choose(monkeypatch: pytest.MonkeyPatch, stanli: Engine) -> None:
    def never(*_given: object, **_how: object) -> None:
        raise AssertionError("no pilot is called for")

    monkeypatch.setattr(automatic, "choose_parameterisation", never)
    frame = counts(60, 3.0)
    how = {"sampling": SAMPLING, "engine": stanli}
    assert hbm.fit(FORMULA, frame, likelihood="normal", **how).variant == "partial_pooling"
    assert hbm.fit(FORMULA, frame, "complete_pooling", likelihood="poisson", **how).pooling == "complete"


def test_what_is_wrong_is_said_before_a_pilot(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_given: object, **_how: object) -> None:
        raise AssertionError("a pilot ran first")

    monkeypatch.setattr(automatic, "choose_parameterisation", never)
    frame = counts(60, 3.0)
    with pytest.raises(ModelError, match="There is no engine 'stan'"):
        hbm.fit(FORMULA, frame, likelihood="poisson", engine="stan")
    with pytest.raises(ModelError, match=r"there is no parameterisation 'centred'.*centered"):
        hbm.fit(FORMULA, frame, likelihood="poisson", engine="stanli", parameterisation="centred")
    with pytest.raises(
        ModelError, match=r"draws is a setting of the sampler: write sampling=hbm.Sampling\(draws=200\)"
    ):
        hbm.fit(FORMULA, frame, likelihood="poisson", draws=200)
    with pytest.raises(DataError, match="A Dataset is needed, got str"):
        hbm.fit("logistic_regression", "my.csv")
    with pytest.raises(TypeError, match="likelihood goes with a formula"):
        hbm.fit("logistic_regression", frame, likelihood="poisson")
