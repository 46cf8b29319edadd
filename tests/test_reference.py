"""Reference files: what they must hold, which fits they are of, long runs that make them, and what moved since."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from test_cli import hbm
from test_truth import dataset

from hbm_stan.attempts import fit
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.families import family
from hbm_stan.fit import Fit, jobs_of
from hbm_stan.reference import check_precision, matches, read_reference, regress, write_reference
from hbm_stan.reference import long_run as long_run_module
from hbm_stan.reference.files import FILE
from hbm_stan.reference.long_run import joined, long_run, reference_of
from hbm_stan.store import FitStore

PRIORS = {"mu": "normal(0, 5)", "tau": "half_cauchy(5)"}
SAMPLING = Sampling(draws=1000, adapt_delta=0.95, seed=3)


def schools(tmp_path: Path, variant: str = "partial_pooling", **changed: Any) -> Fit:
    asked = {"priors": PRIORS, "dataset": dataset(), **changed}
    data = asked.pop("dataset")
    store = FitStore(tmp_path / "fits")
    return fit("normal_means", data, variant, sampling=SAMPLING, engine="stanli", store=store, **asked)


def saved(tmp_path: Path, variant: str = "partial_pooling", n_draws: int = 500) -> Path:
    """A reference of a run that is long enough for a test."""
    job = jobs_of(family("normal_means"), dataset(), [variant], PRIORS, SAMPLING, StanliEngine())[0]
    path = tmp_path / FILE
    write_reference(reference_of("eight schools", [long_run(job, draws=n_draws)], path))
    return path


def edited(path: Path, *changes: tuple[tuple[Any, ...], Any]) -> Path:
    record = json.loads(path.read_text())
    for keys, value in changes:
        inner = record
        for key in keys[:-1]:
            inner = inner[key]
        if value is None:
            del inner[keys[-1]]
        else:
            inner[keys[-1]] = value
    path.write_text(json.dumps(record))
    return path


FIRST = ("posteriors", 0, "parameters", "tau")


@pytest.mark.usefixtures("stanli")
def test_a_long_run_is_a_reference_that_its_fits_agree_with(tmp_path: Path) -> None:
    held = read_reference(saved(tmp_path))
    about = held.posteriors[0].about
    assert about["divergences"] == 0
    assert about["largest_rhat"] < 1.01
    assert about["largest_autocorrelation"] < 0.05
    comparison = regress({"partial_pooling": schools(tmp_path)}, held)
    assert not comparison.moved
    assert comparison.agreements["partial_pooling"].n == 50
    assert comparison.notes == ()
    # The posterior is that of the model, not of the program: another parameterisation has it too.
    noncentered = replace(held.posteriors[0], variants=("partial_pooling_noncentered",))
    other = schools(tmp_path, "partial_pooling_noncentered")
    assert not regress({other.variant: other}, replace(held, posteriors=(noncentered,))).moved


@pytest.mark.usefixtures("stanli")
def test_a_moved_posterior_is_named_with_its_parameters(tmp_path: Path) -> None:
    held = read_reference(edited(saved(tmp_path), ((*FIRST, "mean"), 9.0), (("about", "engine"), "stanli 0.1")))
    comparison = regress({"partial_pooling": schools(tmp_path)}, held)
    assert comparison.moved
    assert "tau: mean" in comparison.agreements["partial_pooling"].words
    assert comparison.as_dict()["variants"]["partial_pooling"]["moved"][0]["parameter"] == "tau"
    assert "stanli 0.1" in comparison.notes[0]


@pytest.mark.usefixtures("stanli")
def test_a_run_that_diverges_makes_no_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_run_module, "WARMUP", 200)  # enough to diverge
    job = jobs_of(
        family("normal_means"), dataset(), ["partial_pooling_centered"], PRIORS, SAMPLING, StanliEngine()
    )[0]  # fmt: skip
    run = long_run(job, draws=50)
    assert any("divergent" in fault for fault in run.faults)
    with pytest.raises(DiagnosticError, match=r"partial_pooling_centered is no reference: .*divergent"):
        reference_of("eight schools", [run], tmp_path / FILE)


@pytest.mark.usefixtures("stanli")
def test_a_reference_of_something_else_is_refused(tmp_path: Path) -> None:
    held = read_reference(saved(tmp_path))
    fits = schools(tmp_path)
    with pytest.raises(ModelError, match="family beta_binomial"):
        matches(fits, replace(held, family="beta_binomial"))
    with pytest.raises(ModelError, match=r"no posterior of 'complete_pooling'; it holds partial_pooling"):
        matches(schools(tmp_path, "complete_pooling"), held)
    with pytest.raises(ModelError, match=r"other priors: tau was half_cauchy\(5\), is half_cauchy\(6\)"):
        matches(schools(tmp_path, priors={**PRIORS, "tau": "half_cauchy(6)"}), held)
    assert matches(fits, replace(held, priors={"mu": "normal(0.0,5)", "tau": "half_cauchy(5e0)"})).variants
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12.1])
    with pytest.raises(ModelError, match="other data than"):
        matches(schools(tmp_path, dataset=dataset(y)), held)


@pytest.mark.usefixtures("stanli")
def test_a_reference_with_too_few_draws_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    held = read_reference(path)
    check_precision(held, held.posteriors[0])
    sd = float(held.posteriors[0].table.loc["tau", "sd"])
    held = read_reference(edited(path, ((*FIRST, "mcse_mean"), 0.2 * sd)))
    with pytest.raises(ModelError, match=r"the mean of tau is 0\.20 of its sd .* 1 of 10 .* Make the reference"):
        check_precision(held, held.posteriors[0])


@pytest.mark.usefixtures("stanli")
def test_a_parameter_that_the_fit_lacks_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    record = json.loads(path.read_text())
    parameters = record["posteriors"][0]["parameters"]
    parameters["kappa"] = parameters.pop("tau")
    path.write_text(json.dumps(record))
    with pytest.raises(ModelError, match="partial_pooling does not have kappa"):
        regress({"partial_pooling": schools(tmp_path)}, read_reference(path))


@pytest.mark.usefixtures("stanli")
def test_what_a_long_run_lacks_is_no_agreement(tmp_path: Path) -> None:
    fits = {"partial_pooling": schools(tmp_path)}
    path = edited(saved(tmp_path), (FIRST, None))
    with pytest.raises(ModelError, match=r"partial_pooling has and it lacks tau\."):
        regress(fits, read_reference(path))
    with pytest.raises(ModelError, match="does not say the prior of tau"):
        regress(fits, read_reference(edited(saved(tmp_path), (("priors", "tau"), None))))
    with pytest.raises(ModelError, match="data has no sha256"):
        regress(fits, read_reference(edited(saved(tmp_path), (("data", "sha256"), None))))


@pytest.mark.usefixtures("stanli")
def test_what_a_foreign_reference_does_not_say_is_compared_and_said_not_to_be_checked(tmp_path: Path) -> None:
    fits = {"partial_pooling": schools(tmp_path)}
    held = replace(read_reference(saved(tmp_path)), kind="foreign")
    assert regress(fits, held).unchecked == ()
    assert regress(fits, held).as_dict()["not_checked"] == []
    bare = replace(held, priors={}, data={"rows": 8})
    (posterior,) = bare.posteriors
    table = posterior.table.drop(index=["mu"]).drop(columns=["q05", "q50"])
    bare = replace(bare, posteriors=(replace(posterior, table=table),))
    comparison = regress(fits, bare)
    assert not comparison.moved
    assert comparison.unchecked == (
        "Data not checked of partial_pooling: the reference, of 8 rows, does not say which data its figures are of.",
        "Priors not checked of partial_pooling, for the reference does not say them: mu, tau.",
        "Parameters not compared of partial_pooling, for the reference has no figures of them: mu.",
        "Statistics not compared of partial_pooling, for the reference has none: q05, q50.",
    )
    assert comparison.as_dict()["not_checked"] == list(comparison.unchecked)
    with pytest.raises(ModelError, match="of other data: of 9 rows; here are 8"):
        regress(fits, replace(bare, data={"rows": 9}))
    assert "Priors" not in str(regress(fits, replace(bare, priors=held.priors)).unchecked)


@pytest.mark.usefixtures("stanli")
def test_long_runs_of_other_variants_stay_in_the_file(tmp_path: Path) -> None:
    held = read_reference(saved(tmp_path))
    complete = read_reference(saved(tmp_path, "complete_pooling"))
    both = joined(complete, held)
    assert [p.variants for p in both.posteriors] == [("complete_pooling",), ("partial_pooling",)]
    assert set(both.priors) == {"mu", "tau"}
    assert [p.variants for p in joined(held, held).posteriors] == [("partial_pooling",)]
    with pytest.raises(ModelError, match="holds partial_pooling of other data or priors"):
        joined(complete, replace(held, priors={**held.priors, "mu": "normal(0, 6)"}))
    with pytest.raises(ModelError, match="holds partial_pooling of other data or priors"):
        joined(complete, replace(held, data={**held.data, "sha256": "0"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((("format",), 7), "no reference file of format 1"),
        ((("priors",), None), ""),
        ((("family",), None), "keys are missing: family"),
        ((("kind",), "rumour"), "kind is 'rumour'; allowed: 'closed form'"),
        (((*FIRST, "mcse_mean"), None), "mcse_mean is missing"),
        (((*FIRST, "mean"), "much"), "parameters with numbers"),
        (((*FIRST, "mean"), float("inf")), "Infinity is no number"),
        (((*FIRST, "q05"), float("nan")), "NaN is no number"),
        (((*FIRST, "mcse_sd"), -1.0), "mcse_sd of tau is -1; a Monte Carlo error is above zero"),
        (((*FIRST, "mcse_sd"), 0), "mcse_sd of tau is 0; a Monte Carlo error is above zero"),
        ((FIRST, {}), "a parameter has none of mean"),
        ((("posteriors", 0, "parameters"), {}), "a parameter has none of mean"),
        ((("posteriors", 0, "variants"), None), "needs variants and parameters"),
        ((("posteriors", 0, "variants"), "partial_pooling"), "variants must be a list of names"),
        ((("posteriors", 0), 3), "needs variants and parameters"),
        ((("posteriors",), []), "holds no posterior"),
        ((("posteriors",), 3), "posteriors must be a list, found 3"),
        ((("data",), "x"), "data must be an object, found 'x'"),
        ((("priors",), {"tau": 5}), "the prior of tau must be a text"),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong(tmp_path: Path, change: tuple[Any, Any], message: str) -> None:
    row = dict.fromkeys(("mean", "sd", "q05", "q50", "q95"), 1.0)
    row |= {f"mcse_{s}": 0.01 for s in list(row)}
    file = {
        "format": 1, "title": "t", "kind": "long run", "source": "s", "method": "m", "exact": False,
        "family": "normal_means", "data": {}, "priors": {},
        "posteriors": [{"variants": ["partial_pooling"], "parameters": {"mu": row, "tau": dict(row)}}],
    }  # fmt: skip
    path = tmp_path / FILE
    path.write_text(json.dumps(file))
    assert list(read_reference(path).posteriors[0].table.index) == ["mu", "tau"]
    edited(path, change)
    if message:
        with pytest.raises(ModelError, match=message):
            read_reference(path)
    else:
        assert read_reference(path).priors == {}


def test_what_is_no_file_and_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no reference\. `hbm reference ANALYSIS --save` makes one"):
        read_reference(tmp_path / FILE)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(ModelError, match="is not JSON"):
        read_reference(tmp_path / FILE)


@pytest.mark.usefixtures("stanli")
def test_the_commands_save_compare_and_refuse(analysis: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hbm("regress", analysis, "--engine", "stanli").exit_code == 2
    done = hbm("reference", analysis, "--engine", "stanli", "--save", "--variant", "partial_pooling")
    assert done.exit_code == 0, done.output
    assert "10,000 draws of 10 chains" in done.output
    done = hbm("regress", analysis, "--engine", "stanli", "--json", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "out.json").read_text())["status"] == "agrees"
    before = (analysis / FILE).read_text()
    # A run that meets no criteria leaves the file as it was; a short one shows it.
    monkeypatch.setattr(long_run_module, "long_run", partial(long_run, draws=50))
    monkeypatch.setattr(long_run_module, "WARMUP", 200)
    done = hbm("reference", analysis, "--engine", "stanli", "--save", "--variant", "partial_pooling_centered")
    assert done.exit_code == 1
    assert "divergent" in done.output
    assert (analysis / FILE).read_text() == before
    done = hbm("regress", analysis, "--engine", "stanli")
    assert "Not compared, for the reference has none of them: complete_pooling, no_pooling." in done.output
    edited(analysis / FILE, ((*FIRST, "q50"), 9.0))
    done = hbm("regress", analysis, "--engine", "stanli")
    assert done.exit_code == 1
    assert "tau: q50" in done.output
    table = pd.read_csv(analysis / "data.csv")
    table.loc[0, "effect"] += 1
    table.to_csv(analysis / "data.csv", index=False)
    done = hbm("regress", analysis, "--engine", "stanli")
    assert done.exit_code == 2
    assert "other data" in done.output
