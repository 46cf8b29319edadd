"""The commands as a user gives them: what they print, the JSON they write, and their exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import arviz as az
import pytest
import xarray as xr
from typer.testing import CliRunner, Result

from hbm_stan.cli.app import app

ROOT = Path(__file__).parent.parent


def hbm(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)


def json_of(tmp_path: Path, *words: object) -> Any:
    path = tmp_path / "out.json"
    done = hbm(*words, "--engine", "stanli", "--json", path)
    assert done.exit_code == 0, done.output
    return json.loads(path.read_text())


@pytest.mark.usefixtures("undrawn")
def test_report_names_both_files_and_writes_them(analysis: Path, tmp_path: Path) -> None:
    done = hbm("report", analysis, "--engine", "stanli", "--json", tmp_path / "copy.json")
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-2:] == [str(analysis / "report.pdf"), str(analysis / "results.json")]
    assert json.loads((tmp_path / "copy.json").read_text()) == json.loads((analysis / "results.json").read_text())
    assert "predict alike" in done.output


def test_fit_keeps_draws_that_arviz_reads_and_writes_them_with_rows(analysis: Path, tmp_path: Path) -> None:
    draws = tmp_path / "draws.nc"
    written = json_of(tmp_path, "fit", analysis, "--variant", "partial_pooling", "--draws", draws)
    assert set(written) == {"partial_pooling"}
    with (
        xr.open_datatree(written["partial_pooling"]["file"], engine="h5netcdf") as of_parameters,
        xr.open_datatree(draws, engine="h5netcdf") as tree,
    ):
        assert {"posterior", "sample_stats"} <= set(of_parameters.children)
        assert not {"log_likelihood", "posterior_predictive"} & set(of_parameters.children)
        assert of_parameters["posterior"].equals(tree["posterior"])
        assert {"posterior", "sample_stats", "log_likelihood", "posterior_predictive"} <= set(tree.children)
        assert az.loo(tree).elpd == pytest.approx(-30.9, abs=1)
        assert tree["posterior"]["theta"].dims == ("chain", "draw", "group")
        assert list(tree["posterior"]["group"].values) == list("ABCDEFGH")


@pytest.mark.usefixtures("undrawn")
def test_check_is_a_gate(analysis: Path, tmp_path: Path) -> None:
    written = json_of(tmp_path, "check", analysis)
    assert {f["status"] for f in written["fits"].values()} == {"pass"}
    text = (analysis / "analysis.toml").read_text()
    (analysis / "analysis.toml").write_text(text.replace('"partial_pooling"]', '"partial_pooling_centered"]'))
    done = hbm("check", analysis, "--engine", "stanli")
    assert done.exit_code == 1
    assert "funnel" in done.output
    for command in ("report", "compare"):
        assert hbm(command, analysis, "--engine", "stanli").exit_code == 1, command
    assert json.loads((analysis / "results.json").read_text())["withheld"]


def test_compare_states_its_target(analysis: Path, tmp_path: Path) -> None:
    written = json_of(tmp_path, "compare", analysis)
    assert list(written) == ["observation"]  # one row for each group: to leave the row out is to leave the group out
    assert "leave-one-out" in written["observation"]["target"]
    assert [s["variant"] for s in written["observation"]["scores"]][-1] == "no_pooling"
    assert "leave-one-out" in hbm("compare", analysis, "--engine", "stanli").output


@pytest.mark.usefixtures("undrawn")
def test_another_seed_gives_other_draws(analysis: Path, tmp_path: Path) -> None:
    one = json_of(tmp_path, "report", analysis)
    two = json_of(tmp_path, "report", analysis, "--seed", "7")
    assert two["settings"]["seed"] == 7
    means = [r["fits"]["partial_pooling"]["parameters"]["mu"]["mean"] for r in (one, two)]
    assert means[0] != means[1]


@pytest.mark.usefixtures("undrawn")
def test_new_then_report(tmp_path: Path) -> None:
    csv = tmp_path / "my data.csv"
    csv.write_text("clinic;rate;error\nNorth;1,5;0,4\nSouth;0,2;0,5\nEast;0,9;0,3\nWest;-0,1;0,6\nCity;0,7;0,2\n")
    folder = tmp_path / "my analysis"
    words = ("--family", "normal_means", "--group", "clinic", "--estimate", "rate", "--standard-error=error")
    done = hbm("new", csv, *words, "--to", folder, "--seed", "11")
    assert done.exit_code == 0, done.output
    results = json_of(tmp_path, "report", folder)
    assert results["settings"]["seed"] == 11
    assert [row["raw"] for row in results["shrinkage"]] == [1.5, 0.2, 0.9, -0.1, 0.7]
    assert "semicolons separate the columns" in results["data"]["notes"]


@pytest.mark.parametrize("command", ["families", "doctor"])
def test_commands_without_an_analysis(command: str, tmp_path: Path) -> None:
    assert json_of(tmp_path, command)
    assert hbm(command, "--quiet", "--engine", "stanli").output == ""


def test_quiet_prints_nothing(analysis: Path) -> None:
    assert hbm("report", analysis, "--engine", "stanli", "--quiet").output == ""


def test_version() -> None:
    assert hbm("--version").output.startswith("hbm_stan ")


def test_auto_takes_cmdstan_where_it_is(cmdstan: object, tmp_path: Path) -> None:
    path = tmp_path / "doctor.json"
    assert hbm("doctor", "--json", path).exit_code == 0
    assert json.loads(path.read_text())["engine"].startswith("cmdstan")


def test_auto_takes_stanli_where_no_compiler_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "doctor.json"
    assert hbm("doctor", "--json", path).exit_code == 0
    environment = json.loads(path.read_text())
    assert environment["engine"].startswith("stanli")
    assert "missing" in environment["C++ toolchain"]
    refused = hbm("doctor", "--engine", "cmdstan")
    assert refused.exit_code == 3
    assert "g++" in refused.output
