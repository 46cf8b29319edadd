"""The ways to give a formula: the words of `hbm new`, keys of analysis.toml, Python; and the model said in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hbm_stan
from hbm_stan.analysis.keys import check_keys
from hbm_stan.cli.roles import formula_among, table_and_roles
from hbm_stan.data import Dataset
from hbm_stan.errors import DataError, ModelError
from hbm_stan.families.choose import of_formula
from hbm_stan.formula import model_in_words, read_structure

FRAME = pd.DataFrame({
    "rt": np.exp(np.linspace(5, 7, 24)) + np.arange(24) % 5,
    "days": np.arange(24) % 8 + 1.0,
    "arm": ["placebo", "drug", "dose"] * 8,
    "subject": [f"s{i // 4}" for i in range(24)],
    "word": [f"w{i % 4}" for i in range(24)],
})  # fmt: skip


def words(formula: str, likelihood: str = "", group: str = "", **reading: Any) -> list[str]:
    chosen, dataset = of_formula(formula, FRAME, likelihood, group, **reading)
    return model_in_words(dataset, read_structure(dataset, known_residual=False).design, chosen, "as asked")


def test_a_formula_among_the_words_of_new() -> None:
    formula, rest = formula_among(["data.csv", "y ~ x + (1 | g)", "--group", "g"], "", "")
    assert formula == "y ~ x + (1 | g)"
    assert table_and_roles(rest, "", formula=True) == ("data.csv", {"group": "g"})
    with pytest.raises(ModelError, match="--outcome does not go with a formula, whose columns stand in it"):
        table_and_roles(["data.csv", "--outcome", "y"], "", formula=True)
    with pytest.raises(ModelError, match="Neither a formula nor --family"):
        formula_among(["data.csv"], "", "")
    with pytest.raises(ModelError, match="leave --family out"):
        formula_among(["data.csv", "y ~ (1 | g)"], "normal_means", "")
    with pytest.raises(ModelError, match="--likelihood goes with a formula, or with columns alone"):
        formula_among(["data.csv"], "normal_means", "poisson")
    assert formula_among(["~/data.csv"], "normal_means", "")[0] == ""


def test_keys_of_an_analysis_with_a_formula() -> None:
    file = Path("analysis.toml")
    check_keys(file, {"formula": "y ~ (1 | g)", "data": "d.csv", "likelihood": "normal", "group": "g", "centre": False})
    with pytest.raises(ModelError, match="the key 'data' is missing"):
        check_keys(file, {"formula": "y ~ (1 | g)"})
    with pytest.raises(ModelError, match="leave family out"):
        check_keys(file, {"formula": "y ~ (1 | g)", "data": "d.csv", "family": "normal"})
    with pytest.raises(ModelError, match="centre goes with a formula"):
        check_keys(file, {"family": "normal_means", "data": "d.csv", "columns": {}, "centre": True})
    with pytest.raises(ModelError, match="centre must be true or false"):
        check_keys(file, {"formula": "y ~ (1 | g)", "data": "d.csv", "centre": "yes"})


def test_a_formula_and_a_frame_or_a_dataset() -> None:
    formula = "log(rt) ~ days + arm + (1 | subject) + (1 | word)"
    likelihood, dataset = of_formula(formula, FRAME, group="word", reference={"arm": "drug"}, centre=False)
    assert likelihood == "normal"
    assert dict(dataset.columns) == {"outcome": "log(rt)", "group": "word"}
    assert (dataset.reading.levels, dataset.reading.centre) == ({"arm": ("drug",)}, False)
    again = of_formula(formula, Dataset.from_frame(FRAME, reference={"arm": "drug"}), group="word", centre=False)
    assert again[1].reading == dataset.reading
    with pytest.raises(DataError, match="A pandas DataFrame is needed"):
        of_formula(formula, {"rt": [1]})
    with pytest.raises(TypeError, match="likelihood goes with a formula"):
        hbm_stan.fit_variants("normal_means", FRAME, likelihood="normal")


def test_the_model_is_said_in_words() -> None:
    lines = words("log(rt) ~ days * arm + (1 + days | subject) + (1 | word) + offset(log(days))", "normal")
    assert lines[0] == "Model: log(rt), likelihood normal (as asked)."
    assert lines[1].startswith("Common to all rows: intercept, days, arm=drug, arm=dose, days:arm=drug, days:arm=dose.")
    assert "log(days) is added as it is (offset)." in lines[1]
    assert "centred at their means (days 4.5, arm=drug 0.33, arm=dose 0.33): the intercept" in lines[1]
    assert lines[2:] == [
        "Varies by subject (6 levels; the factor that is pooled): intercept, days, with correlations.",
        "Varies by word (4 levels): intercept.",
    ]


def test_where_a_model_without_correlations_is_zero_is_said() -> None:
    assert "days is 0, here at the mean" in words("rt ~ days + (days || subject)")[-1]
    assert "days is 0, here at the mean" in words("rt ~ days + (1 | word) + (0 + days | subject)")[-1]
    assert "here at the mean" not in " ".join(words("rt ~ days + (days || subject)", centre=False))
    assert "here at the mean" not in " ".join(words("rt ~ days + (days | subject)"))
