"""What users assert in their own suites: right posteriors pass, moved ones fail with words, and the pytest plugin."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_reference import PRIORS, edited, saved, schools

from hbm_stan.attempts import fit
from hbm_stan.engines import Engine
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.examples import example
from hbm_stan.fit import Fit
from hbm_stan.named import NamedTree
from hbm_stan.reference import read_reference
from hbm_stan.testing import (
    assert_calibrated,
    assert_contract,
    assert_log_density,
    assert_matches_reference,
    assert_same_posterior,
)


@pytest.mark.usefixtures("stanli")
def test_parameterisations_of_one_model_have_one_posterior(tmp_path: Path) -> None:
    assert_same_posterior(schools(tmp_path), schools(tmp_path, "partial_pooling_noncentered"))


def test_engines_have_one_posterior(cmdstan: Engine, tmp_path: Path) -> None:
    ours = schools(tmp_path)
    other = fit("normal_means", ours.table.dataset, priors=PRIORS, sampling=ours.sampling, engine=cmdstan)
    assert_same_posterior(ours, other, ["mu", "tau"])


def moved(fit: Fit, name: str, by: float) -> Fit:
    tree = fit.tree.copy(deep=True)
    tree["posterior"][name] = tree["posterior"][name] + by
    return replace(fit, named=NamedTree.of(tree))


@pytest.mark.usefixtures("stanli")
def test_a_moved_parameter_is_named_with_mcse_and_threshold(tmp_path: Path) -> None:
    ours = schools(tmp_path)
    with pytest.raises(AssertionError) as failed:
        assert_same_posterior(ours, moved(schools(tmp_path, "partial_pooling_noncentered"), "mu", 1.5))
    message = str(failed.value)
    assert "1 parameter moved by more than 4.26 MCSE" in message
    assert "0.001 of suites of 50 comparisons" in message
    assert "mu: mean" in message
    assert "tau" not in message
    with pytest.raises(ModelError, match="Not in both fits: my"):
        assert_same_posterior(ours, ours, ["my"])
    with pytest.raises(ModelError, match="the same draws: that says nothing"):
        assert_same_posterior(ours, ours)


@pytest.mark.usefixtures("stanli")
def test_fits_that_cannot_have_one_posterior_are_refused(tmp_path: Path) -> None:
    ours = schools(tmp_path)
    with pytest.raises(ModelError, match=r"different priors: tau is half_cauchy\(5\) and half_cauchy\(6\)"):
        assert_same_posterior(ours, schools(tmp_path, priors={**PRIORS, "tau": "half_cauchy(6)"}))
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12.5])
    from test_truth import dataset

    with pytest.raises(ModelError, match="different data"):
        assert_same_posterior(ours, schools(tmp_path, dataset=dataset(y)))
    with pytest.raises(DiagnosticError, match="partial_pooling_centered did not pass its checks"):
        assert_same_posterior(ours, schools(tmp_path, "partial_pooling_centered"))


@pytest.mark.usefixtures("stanli")
def test_a_fit_is_held_against_a_reference_file(tmp_path: Path) -> None:
    path = saved(tmp_path)
    ours = schools(tmp_path)
    assert_matches_reference(ours, path)
    assert_matches_reference(ours, read_reference(path))
    edited(path, (("posteriors", 0, "parameters", "theta[C]", "q95"), 30.0))
    with pytest.raises(AssertionError, match=r"theta\[C\]: q95 .* against 30 \(-"):
        assert_matches_reference(ours, path)


@pytest.mark.usefixtures("stanli")
def test_calibration_is_asserted() -> None:
    from test_verify import with_program

    from hbm_stan.families import family

    assert_calibrated("normal_means", "complete_pooling", replications=60)
    broken = with_program(family("normal_means"), "no_pooling", "missing_likelihood_term")
    with pytest.raises(AssertionError, match=r"no_pooling: not calibrated in 100 replications:\n  uniform ranks"):
        assert_calibrated(broken, "no_pooling", replications=100, workers=1)


@pytest.mark.usefixtures("stanli")
def test_a_log_density_of_zero_at_every_point_is_one_constant() -> None:
    # beta(1, 1), prior only: the density is 1 everywhere.
    model, table = example("beta_binomial")
    assert_log_density(model, table, "complete_pooling", {"mu": "beta(1, 1)"})
    right = model.need("log_joint", "a test")
    wrong = model.with_fields(log_joint=lambda params, data, variant: right(params, data, variant) + params["mu"])
    with pytest.raises(AssertionError, match="prior only: the log density of the program minus"):
        assert_log_density(wrong, table, "complete_pooling", {"mu": "beta(1, 1)"})


@pytest.mark.usefixtures("stanli")
def test_the_contract_is_asserted_in_words() -> None:
    model, table = example("normal_means")
    assert_contract(model, table, "partial_pooling")
    with pytest.raises(AssertionError, match="partial_pooling: population names 'tua', which no program declares"):
        assert_contract(model.with_fields(population=("mu", "tua")), table, "partial_pooling")


SUITE = """
from hbm_stan.engines.stanli import StanliEngine

def test_engine(hbm_engine):
    assert isinstance(hbm_engine, StanliEngine)
"""


def run_suite(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_mine.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(tmp_path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)


@pytest.mark.usefixtures("stanli")
def test_the_plugin_gives_an_engine_to_suites_of_users(tmp_path: Path) -> None:
    done = run_suite(tmp_path, "--hbm-engine", "stanli")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_the_plugin_runs_both_engines_and_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CMDSTAN", str(tmp_path / "nowhere"))
    done = run_suite(tmp_path, "--hbm-engine", "both")
    assert done.returncode == 1
    assert "1 passed, 1 error" in done.stdout
    assert "CmdStan" in done.stdout
