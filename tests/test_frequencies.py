"""A column of weights says how many times a row counts: every number is that of the table with all its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import hbm_stan as hbm
from hbm_stan.analysis.read import read_analysis
from hbm_stan.cli.app import app
from hbm_stan.data import Dataset, load
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError
from hbm_stan.families import families
from hbm_stan.fit import prepare_table

FORMULAS = {
    "normal": "m ~ x + (1 | g) + (1 | h)",
    "binomial": "y ~ x + (1 | g) + (1 | h)",
    "poisson": "k ~ x + (1 | g) + (1 | h)",
}


def _tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ninety rows of which many are equal, in any order, and the same in short: a row of each kind and how often."""
    rng = np.random.default_rng(20261129)
    group, item = rng.integers(0, 5, 90), rng.integers(0, 3, 90)
    whole = pd.DataFrame(
        {"g": [f"g{j}" for j in group], "h": [f"h{j}" for j in item], "x": rng.integers(0, 2, 90) + 0.5}
    )
    whole = whole.assign(y=rng.integers(0, 2, 90), k=rng.poisson(1.5, 90), m=rng.integers(1, 4, 90) / 4)
    short = whole.value_counts(sort=False).reset_index(name="n").sample(frac=1, random_state=3)
    return whole, short


@pytest.mark.parametrize("likelihood", FORMULAS)
def test_the_data_are_those_of_the_whole_table(likelihood: str) -> None:
    whole, short = _tables()
    family, order = families()[likelihood], list(whole.columns)
    counted = Dataset.from_frame(short.sort_values(order), formula=FORMULAS[likelihood], weights="n")
    written = Dataset.from_frame(whole.sort_values(order), formula=FORMULAS[likelihood])
    inputs = []
    for dataset in (counted, written):
        table = prepare_table(family, dataset)
        inputs.append(family.stan_data(table, family.priors(table), "partial_pooling"))
    for name, value in inputs[1].items():
        np.testing.assert_array_equal(inputs[0][name], value, err_msg=name)


def test_groups_of_a_table_in_any_order_have_the_rows_that_they_have_in_whole() -> None:
    whole, short = _tables()
    table = prepare_table(families()["normal"], Dataset.from_frame(short, formula=FORMULAS["normal"], weights="n"))
    sums = dict(zip(table.pooled.labels, np.bincount(table.pooled.level, weights=table["outcome"]), strict=True))
    assert sums == whole.groupby("g")["m"].sum().to_dict()
    sizes = dict(zip(table.pooled.labels, table.pooled.sizes.tolist(), strict=True))
    assert sizes == whole["g"].value_counts().to_dict()


def test_equal_posteriors_whether_rows_are_counted_or_written(stanli: StanliEngine) -> None:
    """In the order of the whole table the repeated rows are the same table, and so is every draw."""
    whole, _ = _tables()
    ordered = whole.sort_values(list(whole.columns)).reset_index(drop=True)
    short = ordered.value_counts(sort=False).reset_index(name="n")
    sampling = Sampling(chains=2, warmup=100, draws=100)
    counted = hbm.fit(FORMULAS["binomial"], short, weights="n", engine=stanli, sampling=sampling)
    written = hbm.fit(FORMULAS["binomial"], ordered, engine=stanli, sampling=sampling)
    assert counted.key == written.key
    assert len(counted.y) == len(whole)


def test_rows_of_weight_zero_go_and_the_table_says_so() -> None:
    dataset = Dataset.from_frame(pd.DataFrame({"g": ["a", "b", "c"], "y": [1.0, 2, 3], "n": [2, 0, 3]}), weights="n")
    assert list(dataset.table.column("y")) == [1.0, 1.0, 3.0, 3.0, 3.0]
    assert dataset.table.notes == ("n says how often each of 3 rows counts: 5 rows in all; 1 of weight 0 left out",)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -2, 1], "below 0 in row 2: '-2'"),
        ([1, 2, 0.37], "not whole in row 3: '0.37'"),
        ([0, 0, 0], "all weights are 0"),
        ([1, 2, 2_000_000], "2,000,003 rows"),
        ([1, None, 2], "no value in row 2"),
    ],
)
def test_what_is_no_number_of_times_is_refused(weights: list[float], message: str) -> None:
    frame = pd.DataFrame({"g": ["a", "b", "c"], "y": [1.0, 2, 3], "n": pd.Series(weights, dtype=object)})
    with pytest.raises(DataError, match=message):
        Dataset.from_frame(frame, weights="n")


def test_a_bad_row_is_named_as_it_stands_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("g,y,n\na,1,3\na,,2\nb,4,5\nb,5,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no value in line 3\. "):
        prepare_table(families()["grouped_normal"], load(path, group="g", outcome="y", weights="n"))


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ n + (1 | g)", "the column 'n' is in the model and named as weights"),
        ("n ~ y + (1 | g)", "the column 'n' is in the model and named as weights"),
        ("y | se(s) ~ 1 + (1 | g)", "says by itself how much it counts"),
    ],
)
def test_weights_that_the_model_uses_too_are_refused(formula: str, message: str) -> None:
    frame = pd.DataFrame({"g": list("abc") * 3, "y": np.arange(9.0), "s": 1.0, "n": 2})
    with pytest.raises(DataError, match=message):
        hbm.fit(formula, frame, weights="n")


def test_an_unknown_column_of_weights_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no column 'freq' of weights\. Did you mean 'frequency'"):
        Dataset.from_frame(pd.DataFrame({"g": ["a", "b"], "frequency": [1, 2]}), weights="freq")


def test_new_writes_the_weights_and_the_analysis_reads_them(tmp_path: Path, cache: Path) -> None:
    whole, short = _tables()
    short.to_csv(tmp_path / "short.csv", index=False)
    called = ["new", str(tmp_path / "short.csv"), FORMULAS["poisson"], "--weights", "n", "--to", str(tmp_path / "a")]
    done = CliRunner().invoke(app, called)
    assert done.exit_code == 0, done.output
    assert f"n says how often each of {len(short)} rows counts: {len(whole)} rows in all" in " ".join(
        done.output.split()
    )
    assert 'weights = "n"' in (tmp_path / "a" / "analysis.toml").read_text()
    assert read_analysis(tmp_path / "a").dataset.table.n_rows == len(whole)
