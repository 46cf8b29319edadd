"""`hbm new-family`: what it writes works at once, passes its own tests, and those tests catch planted faults."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pypdf import PdfReader
from typer.testing import CliRunner

from hbm_stan import testing
from hbm_stan.analysis.read import Analysis, read_analysis
from hbm_stan.cli.app import app
from hbm_stan.errors import ModelError
from hbm_stan.fit import prepare_table
from hbm_stan.report.build import report
from hbm_stan.skeleton import _FILES, new_family

VARIANTS = ("complete_pooling", "no_pooling", "partial_pooling")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return new_family("counters", tmp_path / "a b")


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def hbm(*words: object) -> Any:
    return CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)


def test_the_command_writes_a_folder_and_says_what_comes_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = hbm("new-family", "counters", "--json", "made.json")
    assert done.exit_code == 0, done.output
    assert "hbm report counters; pytest counters" in done.stdout
    assert json.loads((tmp_path / "made.json").read_text()) == {"family": "counters"}
    assert {p.name for p in (tmp_path / "counters").iterdir()} == set(_FILES)
    for path in (tmp_path / "counters").iterdir():
        assert "my_family" not in path.read_text()
    assert 'name="counters"' in (tmp_path / "counters" / "family.py").read_text()
    assert hbm("new-family", "other", "--to", "deep/er").exit_code == 0
    assert read_analysis(tmp_path / "deep" / "er" / "other").family.name == "other"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a b", "letters, digits and underscores"),
        ("9lives", "letters, digits and underscores"),
        ("../up", "letters, digits and underscores"),
        ("größe", "letters, digits and underscores"),
        ("normal_means", "comes along already"),
        ("there", "is there already"),
    ],
)
def test_nothing_is_overwritten_and_a_name_is_a_word(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "family.py").write_text("mine")
    done = hbm("new-family", name, "--to", tmp_path)
    assert done.exit_code == 2
    assert message in done.stderr
    assert [p.name for p in tmp_path.rglob("*")] == ["there", "family.py"]
    assert (tmp_path / "there" / "family.py").read_text() == "mine"


def test_a_link_that_leads_nowhere_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="is there already"):
        new_family("mine", tmp_path)


def pytest_on(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder.parent)


@pytest.mark.usefixtures("stanli")
def test_its_own_tests_pass_and_they_fail_where_a_program_is_wrong(own: Path) -> None:
    good = pytest_on(own)
    assert good.returncode == 0, good.stdout
    assert "20 passed" in good.stdout
    edit(own / "partial_pooling.stan", "tau ~ normal(0, prior_tau)", "tau ~ normal(0, square(prior_tau))")
    edit(own / "analysis.toml", '# tau = "half_normal(1)"', 'tau = "half_normal(0.8)"')
    edit(own / "no_pooling.stan", "exponential_lpdf(y[n] | rate)", "-rate * y[n]")
    edit(own / "complete_pooling.stan", "exponential_rng(rate)", "1 / rate")
    edit(own / "complete_pooling.stan", "one waiting time each", "one each")
    bad = pytest_on(own)
    assert bad.returncode == 1
    failed = {line.split("::")[1].split(" - ")[0] for line in bad.stdout.split("\n") if line.startswith("FAILED")}
    assert failed == {
        "test_the_log_density_follows_other_priors[partial_pooling]",
        "test_log_lik_is_pointwise[no_pooling]",
        "test_replicated_rows_are_those_of_simulate[complete_pooling]",
        "test_all_programs_have_one_data_block",
    }


@pytest.mark.usefixtures("stanli")
def test_its_report_is_made_with_everything_in_it(own: Path) -> None:
    document = report(own, engine="stanli")
    results = document.results
    assert results["status"] == "pass"
    assert results["notices"] == []  # nothing is lacking
    assert results["title"].startswith("counters: ")
    assert results["new_group"] is not None
    assert results["ppc"] is not None
    assert results["prior_check"]
    assert len(results["comparison"]["scores"]) == 3
    assert not results["comparison"]["withheld"]
    assert all(row["raw"] is not None for row in results["shrinkage"])
    assert document.pdf.stat().st_size > 20_000
    assert "a new counter" in "".join(page.extract_text() for page in PdfReader(document.pdf).pages)


@pytest.mark.usefixtures("stanli")
@pytest.mark.parametrize(
    ("functions", "lost"),
    [
        (("new_row",), "a prediction for a new counter (needs new_row())"),
        (("prior_draws",), "a prior predictive check (needs prior_draws())"),
        (("raw", "log_joint", "pointwise"), "raw estimates of the counters (needs raw())"),
    ],
)
def test_functions_marked_optional_may_be_left_out_and_the_report_says_so(
    own: Path, functions: tuple[str, ...], lost: str, request: pytest.FixtureRequest
) -> None:
    if "raw" not in functions:  # without raw estimates the figure of shrinkage is another one
        request.getfixturevalue("undrawn")
    for function in functions:
        edit(own / "family.py", f"    {function}={function},\n", "")
    results = report(own, engine="stanli").results
    assert lost in " ".join(results["notices"])
    assert (results["new_group"] is None) == ("new_row" in functions)
    assert (results["prior_check"] == []) == ("prior_draws" in functions)


# hbm_stan.testing on its own


def read(own: Path) -> Analysis:
    return read_analysis(own)


@pytest.mark.usefixtures("stanli")
@pytest.mark.parametrize(
    ("variant", "before", "after"),
    [
        ("partial_pooling", "theta_raw ~ std_normal();", "theta ~ normal(mu, tau);"),  # the density of another space
        ("partial_pooling", "real<lower=0> tau;", "real<lower=0, upper=9> tau; // bound"),  # harmless: see below
        ("complete_pooling", "normal(prior_mu[1], prior_mu[2]);", "normal(prior_mu[1], 2 * prior_mu[2]);"),
        ("no_pooling", "exponential(exp(-theta[group_idx]))", "exponential(exp(theta[group_idx]))"),
        ("no_pooling", "y ~ exponential(exp(-theta[group_idx]));", "target += -sum(y .* exp(-theta[group_idx]));"),
    ],
)
def test_the_log_density_check_catches_faults_and_takes_bounds_as_declared(
    own: Path, variant: str, before: str, after: str
) -> None:
    edit(own / f"{variant}.stan", before, after)
    analysis = read(own)
    if "upper=9" in after:  # the Jacobian of the bound that is declared: no fault of the density
        testing.assert_log_density(analysis.family, analysis.dataset, variant)
        return
    with pytest.raises(AssertionError, match=f"{variant}, .*not one constant"):
        testing.assert_log_density(analysis.family, analysis.dataset, variant)


def test_data_that_a_program_does_not_take_are_caught(own: Path) -> None:
    edit(own / "family.py", '"group_idx": table.group_idx,', '"group_idx": table.pooled.level,')
    analysis = read(own)
    with pytest.raises(Exception, match=r"group_idx.*must be at least 1"):
        testing.assert_data(analysis.family, analysis.dataset, "no_pooling")


@pytest.mark.usefixtures("stanli")
def test_what_a_test_needs_and_is_not_there_is_named(own: Path) -> None:
    analysis = read(own)
    table = prepare_table(analysis.family, analysis.dataset)
    for name, check in (("log_joint", testing.assert_log_density), ("pointwise", testing.assert_pointwise),
                        ("simulate", testing.assert_replications)):  # fmt: skip
        without = analysis.family.with_fields(**{name: None})
        with pytest.raises(ModelError, match=rf"counters has no {name}\(\)"):
            check(without, table, "complete_pooling")
    edit(own / "complete_pooling.stan", "real mu;", "real<lower=-2 * sqrt(prior_tau)> mu;")
    with pytest.raises(ModelError, match=r"mu: the bound .* support\(\)"):
        testing.assert_log_density(read(own).family, table, "complete_pooling")
    given = read(own).family.with_fields(support=lambda data: {"mu": (-2 * np.sqrt(data["prior_tau"]), np.inf)})
    testing.assert_log_density(given, table, "complete_pooling")


def test_every_variant_of_the_skeleton_is_there(own: Path) -> None:
    assert tuple(v.name for v in read(own).family.programs.variants) == VARIANTS
