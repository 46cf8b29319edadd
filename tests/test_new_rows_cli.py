"""``hbm predict`` and ``hbm contrast`` as a user gives them: files, JSON and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner, Result

from hbm_stan.cli.app import app

pytestmark = pytest.mark.usefixtures("stanli")


def hbm(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)


def table(folder: Path) -> Path:
    rng = np.random.default_rng(7)
    data = pd.DataFrame({"clinic": np.repeat(list("ABCDEFGHIJ"), 8), "arm": np.tile(["placebo", "drug"], 40)})
    data["age"] = rng.integers(30, 60, 80)
    mean = 5 + 2 * (data["arm"] == "drug") + 0.1 * (data["age"] - 45) + np.repeat(rng.normal(0, 1, 10), 8)
    data["score"] = (mean + rng.normal(0, 1, 80)).round(3)
    data.to_csv(folder / "trial.csv", index=False)
    return folder / "trial.csv"


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An analysis whose draws are kept after the first command."""
    folder = tmp_path_factory.mktemp("trial")
    call = (
        "new",
        table(folder),
        "score ~ arm + age + (1 | clinic)",
        "--to",
        folder / "a",
        "--reference",
        "arm=placebo",
    )
    assert hbm(*call).exit_code == 0
    return folder / "a"


def run(trial: Path, command: str, *words: object, code: int = 0) -> Result:
    done = hbm(command, trial, *words, "--engine", "stanli")
    assert done.exit_code == code, done.output
    return done


def test_rows_of_a_file_become_a_table_draws_and_json(trial: Path, tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"patient": ["one", "two", "three"], "arm": "drug", "age": [40, 50, 99], "clinic": ["A", "Z", "Z"]}
    )
    rows.to_csv(tmp_path / "rows.csv", index=False)
    to, nc, out = tmp_path / "p.csv", tmp_path / "d.nc", tmp_path / "o.json"
    words = (tmp_path / "rows.csv", "--new", "clinic=Z", "--to", to, "--draws", nc, "--json", out)
    done = run(trial, "predict", *words)
    table = pd.read_csv(to)
    assert list(table["patient"]) == ["one", "two", "three"]
    statistics = ["mean", "sd", "q05", "q25", "q50", "q75", "q95"]
    assert list(table.columns[4:]) == [f"{name}_{s}" for name in ("expected", "new") for s in statistics]
    assert table["expected_sd"][1] > table["expected_sd"][0]
    with xr.open_dataset(nc, engine="h5netcdf") as draws:
        np.testing.assert_allclose(draws["expected"].mean(("chain", "draw")), table["expected_mean"], rtol=1e-8)
        assert draws["new"].dims == ("chain", "draw", "row")
    written = json.loads(out.read_text())
    assert [row["patient"] for row in written["rows"]] == ["one", "two", "three"]
    assert any("age: outside the data" in note for note in written["notes"])
    assert "age: outside the data" in done.output
    again = run(trial, "predict", *words)  # over its own files
    assert "used again" in again.output
    assert pd.read_csv(to).equals(table)
    assert run(trial, "predict", "--grid", "age = 40", "--quiet").output == ""


def test_a_grid_is_shown_and_cut_off(trial: Path) -> None:
    done = run(trial, "predict", "--grid", "age = 30:59, arm = all, clinic = averaged")
    assert "and 40 more: --to FILE writes all." in done.output
    assert "averaged" in done.output
    other = run(trial, "predict", "--grid", "clinic = new", "--variant", "complete_pooling")
    assert "denies that clinics differ" in other.output


def test_a_contrast_is_said_and_written(trial: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.json"
    words = ("arm = drug - arm = placebo", "--at", "age = 40", "--at", "clinic = A averaged", "--region", "-1", "2.5")
    done = run(trial, "contrast", *words, "--json", out)
    assert "Difference of expected values: arm = drug - arm = placebo" in done.output
    assert "above 0: > 0.99" in done.output.replace("\u200a", " ")
    written = json.loads(out.read_text())
    assert [line["clinic"] for line in written["lines"]] == ["A", "averaged"]
    assert written["lines"][0]["mean"] == pytest.approx(2, abs=0.5)
    assert 0 < written["lines"][0]["p_region"] <= 1
    for wrong in ("arm = drug", "arm = drugs - arm = placebo", "arms = drug - arms = placebo"):
        assert "hbm: " in run(trial, "contrast", wrong, code=2).output
    assert run(trial, "contrast", "age = 50 - age = 40", "--quiet").output == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Name the rows to predict"),
        (("none.csv",), "none.csv: no such file"),
        (("--grid", "age = 1", "--to", "nowhere/p.csv"), "there is no folder nowhere"),
        (("--grid", "age = 1", "--to", "."), "is a folder"),
        (("--grid", "age = 1", "--draws", "nowhere/d.nc"), "there is no folder nowhere"),
        (("--grid", "age = 1", "--new", "clinic"), "in a grid write, for example, county = new"),
        (("--grid", "ages = 1"), "Did you mean 'age'"),
        (("--grid", "age = 1", "--variant", "partial"), "there is no variant 'partial'"),
    ],
)
def test_mistakes_are_said_before_sampling(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    call = ("new", table(tmp_path), "score ~ arm + age + (1 | clinic)", "--to", tmp_path / "b")
    assert hbm(*call).exit_code == 0
    done = hbm("predict", tmp_path / "b", *words)
    assert done.exit_code == 2
    (line,) = [line for line in done.output.splitlines() if line.startswith("hbm:")]
    assert message in line
    assert "Traceback" not in done.output
    assert not (tmp_path / "b" / "fits").exists()


def test_files_that_are_none_of_ours_are_kept(trial: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("arm,age,clinic\ndrug,40,A\n")
    for to in (rows, tmp_path / "x.txt"):
        to.write_text("arm,age,clinic\ndrug,40,A\n")
        done = run(trial, "predict", rows, "--to", to, code=2)
        assert "is there already and is not a table of predictions" in done.output
        assert to.read_text() == "arm,age,clinic\ndrug,40,A\n"


def test_a_failed_check_withholds_a_prediction(tmp_path: Path) -> None:
    call = ("new", table(tmp_path), "score ~ arm + age + (1 | clinic)", "--to", tmp_path / "few")
    assert hbm(*call).exit_code == 0
    text = (tmp_path / "few" / "analysis.toml").read_text()
    (tmp_path / "few" / "analysis.toml").write_text(_with_draws(text, 20))
    to, out = tmp_path / "p.csv", tmp_path / "o.json"
    for command in (("predict", "--grid", "age = 40", "--to", to), ("contrast", "arm = drug - arm = placebo")):
        done = run(tmp_path / "few", command[0], *command[1:], "--json", out, code=1)
        assert "did not pass its checks" in done.output
        assert not to.exists()
        written: Any = json.loads(out.read_text())
        assert written["withheld"] is True


def _with_draws(text: str, draws: int) -> str:
    lines = [line for line in text.splitlines() if not line.startswith(("draws", "chains"))]
    at = lines.index("[sampling]") + 1
    return "\n".join([*lines[:at], f"draws = {draws}", "chains = 2", *lines[at:]]) + "\n"
