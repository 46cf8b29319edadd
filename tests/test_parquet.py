"""Tables beside a report and draws as Parquet: the same numbers as in CSV, only where there are many rows."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from example_results import example_results
from fake_fits import fake_fit

from hbm_stan.engines import Sampling
from hbm_stan.export import draws_table, write_draws
from hbm_stan.results import tables
from hbm_stan.results.tables import CHECKS, GROUPS, PARAMETERS, REPLICATED, write_tables

FEW = 100  # more than example_results has in any table
GROUPS_PARQUET = "tables/groups.parquet"


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MANY_ROWS", FEW)


@pytest.fixture(scope="module")
def pyarrow() -> ModuleType:
    """pyarrow, which other tests do without (conftest.py)."""
    without = sys.modules.pop("pyarrow")
    module = importlib.import_module("pyarrow")
    importlib.import_module("pyarrow.parquet")
    sys.modules["pyarrow"] = without
    return module


@pytest.fixture
def library(pyarrow: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)


def many_groups(n: int = FEW + 1) -> pd.DataFrame:
    """Groups with labels that CSV has to quote or to escape, a missing number and a column of none."""
    labels = [f"g{j}" for j in range(n - 3)] + ['a "b", c', "Zoë", "no text \udcff"]
    q50 = np.random.default_rng(3).normal(size=n)
    q50[1] = np.nan
    return pd.DataFrame({"group": pd.Series(labels, dtype=object), "term": "", "q50": q50, "ratio": None})


def written(folder: Path, table: pd.DataFrame, results: dict[str, Any] | None = None) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    names = write_tables(results or example_results(), folder, {GROUPS: table}, lines.append)
    assert names == sorted(str(p.relative_to(folder)) for p in (folder / "tables").iterdir())
    return names, lines


@pytest.mark.usefixtures("library")
def test_a_table_of_many_rows_stands_beside_the_report_as_parquet_too(tmp_path: Path) -> None:
    table = many_groups()
    names, lines = written(tmp_path, table)
    assert names == sorted([CHECKS, GROUPS, GROUPS_PARQUET, PARAMETERS])
    assert lines == []
    back, text = pd.read_parquet(tmp_path / GROUPS_PARQUET), pd.read_csv(tmp_path / GROUPS)
    assert list(back.columns) == list(text.columns) == list(table.columns)
    np.testing.assert_array_equal(back["q50"], table["q50"])
    assert back["group"].tolist() == text["group"].tolist()
    assert back["group"].tolist()[-3:] == ['a "b", c', "Zoë", "no text \\udcff"]
    assert back["ratio"].isna().all()


@pytest.mark.usefixtures("library")
def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        written(tmp_path / name, many_groups())
    assert (tmp_path / "one" / GROUPS_PARQUET).read_bytes() == (tmp_path / "two" / GROUPS_PARQUET).read_bytes()


@pytest.mark.usefixtures("library")
def test_of_few_rows_there_is_csv_alone_and_none_of_before_stays(tmp_path: Path) -> None:
    written(tmp_path, many_groups())
    names, lines = written(tmp_path, many_groups(FEW))
    assert GROUPS in names
    assert GROUPS_PARQUET not in names
    assert lines == []
    written(tmp_path, many_groups())
    assert write_tables(example_results(withheld=True), tmp_path) == [CHECKS]
    assert [p.name for p in (tmp_path / "tables").iterdir()] == ["checks.csv"]


def test_without_the_library_there_is_csv_and_one_line_says_how_to_have_parquet(tmp_path: Path) -> None:
    lines: list[str] = []
    both = {GROUPS: many_groups(), REPLICATED: many_groups(FEW + 30)}
    names = write_tables(example_results(), tmp_path, both, lines.append)
    assert names == sorted([CHECKS, GROUPS, PARAMETERS, REPLICATED])
    assert lines == [
        "tables/groups.csv has 101 rows, tables/replicated.csv 130: with the package pyarrow (pip install pyarrow) "
        "such tables are written as Parquet too, which is read faster. Once it is there, run this again with --force."
    ]
    lines.clear()
    write_tables(example_results(), tmp_path, {GROUPS: many_groups(FEW)}, lines.append)
    assert lines == []


@pytest.mark.usefixtures("library")
def test_draws_are_parquet_to_the_last_bit(tmp_path: Path) -> None:
    fits = {"partial_pooling": fake_fit(sampling=Sampling(chains=2, draws=30, seed=3))}
    write_draws(fits, tmp_path / "draws.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "draws.parquet"), draws_table(fits), check_exact=True)
