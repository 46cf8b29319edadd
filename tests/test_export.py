"""Draws as a table for other programs."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_fits import fake_fit
from typer.testing import CliRunner

from hbm_stan import files
from hbm_stan.cli.app import app
from hbm_stan.diagnose import parameters
from hbm_stan.engines import Engine, Sampling
from hbm_stan.errors import ModelError
from hbm_stan.export import check_draws_file, draws_table, write_draws

FEW = Sampling(chains=2, draws=30, seed=3)


def test_a_line_is_a_draw_in_its_place() -> None:
    fit = fake_fit(sampling=FEW)
    table = draws_table({"partial_pooling": fit})
    names, draws = parameters(fit)
    assert list(table.columns) == ["chain", "draw", *names]
    assert len(table) == 60
    row = table[(table["chain"] == 2) & (table["draw"] == 7)].iloc[0]
    for k, name in enumerate(names):
        assert row[name] == draws[k, 1, 6]


def test_several_variants_are_named_and_what_one_lacks_is_empty() -> None:
    fits = {"partial_pooling": fake_fit(sampling=FEW), "complete_pooling": fake_fit("complete_pooling", sampling=FEW)}
    table = draws_table(fits)
    assert list(table["variant"].value_counts()) == [60, 60]
    complete = table[table["variant"] == "complete_pooling"]
    assert complete["theta[A]"].isna().all()
    assert not table.loc[table["variant"] == "partial_pooling", "theta[A]"].isna().any()


@pytest.mark.parametrize("name", ["draws.csv", "draws.csv.gz"])
def test_numbers_come_back_to_the_last_bit_and_bytes_do_not_change(name: str, tmp_path: Path) -> None:
    fits = {"partial_pooling": fake_fit(sampling=FEW)}
    write_draws(fits, tmp_path / name)
    back = pd.read_csv(tmp_path / name)
    pd.testing.assert_frame_equal(back, draws_table(fits), check_exact=True)
    first = (tmp_path / name).read_bytes()
    write_draws(fits, tmp_path / name)
    assert (tmp_path / name).read_bytes() == first
    if name.endswith("gz"):
        assert gzip.decompress(first).startswith(b"chain,draw,")


def test_a_name_that_says_no_format_is_refused_and_so_is_a_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"draws.xlsx: draws are written as \.csv, \.csv\.gz, \.parquet"):
        check_draws_file(Path("draws.xlsx"))
    monkeypatch.setattr(files, "find_spec", lambda _name: None)
    with pytest.raises(ModelError, match="Parquet needs the package pyarrow"):
        check_draws_file(Path("draws.parquet"))
    assert check_draws_file(Path("DRAWS.CSV")) == ".csv"
    with pytest.raises(ModelError, match="draws of one variant, and 3 are asked for"):
        check_draws_file(Path("draws.nc"), 3)


def test_the_command_writes_what_a_reference_can_be_made_of(tmp_path: Path, stanli: Engine) -> None:
    folder, out, run = tmp_path / "schools", tmp_path / "draws.csv", CliRunner()
    words = ["--group", "school", "--estimate", "effect", "--standard-error", "se", "--family", "normal_means"]
    assert run.invoke(app, ["new", "eight_schools", *words, "--to", str(folder)]).exit_code == 0
    fit = ["fit", str(folder), "--engine", stanli.name, "--variant", "partial_pooling"]
    assert run.invoke(app, [*fit, "--draws", str(tmp_path / "draws.txt")]).exit_code == 2
    assert not (folder / "fits").exists()
    done = run.invoke(app, [*fit, "--draws", str(out)])
    assert done.exit_code == 0, done.output
    table = pd.read_csv(out)
    assert len(table) == 4000
    assert np.isfinite(table.to_numpy(float)).all()
    taken = run.invoke(app, ["reference", str(folder), "--variant", "partial_pooling", "--import", str(out)])
    assert taken.exit_code == 0, taken.output
    assert (folder / "reference.json").exists()
