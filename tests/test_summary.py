"""``hbm summary``: estimates on the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hbm_stan.analysis.read import read_analysis
from hbm_stan.cli.app import app
from hbm_stan.engines import Engine
from hbm_stan.report.build import fit_analysis, settled


@pytest.fixture
def wards(tmp_path: Path) -> Path:
    rng = np.random.default_rng(20261129)
    ward = rng.permutation(np.repeat(np.arange(8), 6))
    frame = pd.DataFrame({"ward": [f"w{k}" for k in ward], "age": rng.normal(50, 9, 48).round(1)})
    frame["stay"] = (9 + rng.normal(0, 1, 8)[ward] + 0.1 * (frame["age"] - 50) + rng.normal(0, 1, 48)).round(3)
    frame.to_csv(tmp_path / "wards.csv", index=False)
    asked = ["new", str(tmp_path / "wards.csv"), "stay ~ age + (1 | ward)", "--to", str(tmp_path / "a")]
    assert CliRunner().invoke(app, asked).exit_code == 0
    return tmp_path / "a"


def test_estimates_are_printed_with_what_they_mean(wards: Path, stanli: Engine, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = CliRunner().invoke(app, ["summary", str(wards), "--engine", stanli.name, "--json", str(out)])
    assert done.exit_code == 0, done.output
    told = json.loads(out.read_text())["partial_pooling"]["parameters"]
    assert list(told) == ["beta[intercept]", "beta[age]", "tau[intercept]", "sigma"]
    wards_fit = fit_analysis(settled(read_analysis(wards)), ("partial_pooling",), engine=stanli)["partial_pooling"]
    assert wards_fit.reused
    age = wards_fit.draws("beta")["beta"][:, 1]
    assert told["beta[age]"]["mean"] == pytest.approx(age.mean())
    assert told["beta[age]"]["q95"] == pytest.approx(np.quantile(age, 0.95))
    printed = " ".join(done.output.split())
    assert "beta[age]" in printed
    assert "common coefficient of age" in printed
    assert "w0" not in printed
    assert printed.endswith("Checks: pass")
    every = CliRunner().invoke(app, ["summary", str(wards), "--engine", stanli.name, "--all"])
    assert "theta[w0, intercept]" in every.output
    other = CliRunner().invoke(app, ["summary", str(wards), "--engine", stanli.name, "--variant", "complete_pooling"])
    assert "tau" not in other.output
    assert "beta[age]" in other.output


def test_numbers_of_chains_that_failed_are_not_to_be_trusted(wards: Path, stanli: Engine) -> None:
    toml = wards / "analysis.toml"
    toml.write_text(toml.read_text().replace("draws = 1000", "draws = 10").replace("warmup = 1000", "warmup = 20"))
    done = CliRunner().invoke(app, ["summary", str(wards), "--engine", stanli.name])
    assert done.exit_code == 1
    assert "These numbers are not to be trusted." in " ".join(done.output.split())
