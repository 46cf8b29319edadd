"""hbm verify: every kind of truth passes for the shipped programs, and each catches a planted fault."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import contract
import numpy as np
import pytest
from test_cli import ROOT, hbm
from test_truth import dataset

from hbm_stan.certificate import KINDS, read_certificate, shipped_certificate
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import ModelError
from hbm_stan.examples import analyses, example
from hbm_stan.families import families
from hbm_stan.model import Family
from hbm_stan.program import Program
from hbm_stan.reference import shipped
from hbm_stan.resources import share
from hbm_stan.verify import Plan, verify
from hbm_stan.verify import engines as engines_module
from hbm_stan.verify.known import analysis_cases, compare_case, run_cases, shipped_cases, truths
from hbm_stan.verify.programs import log_density, pointwise, structure
from hbm_stan.verify.run import subjects_named

ALL = [(f.name, v.name) for f in families().values() for v in f.programs.variants]


def with_program(family: Family, variant: str, name: str) -> Family:
    """The family with the program of a variant replaced by a broken one."""
    wrong = Program.read(ROOT / "tests" / "broken" / f"{name}.stan", (share("stan") / "lib",))
    return contract.with_program(family, variant, wrong)


@pytest.mark.usefixtures("stanli")
def test_quick_proofs_certify_programs() -> None:
    # Of all other families test_families.py runs the same proofs one by one.
    certificate = verify(Plan(families=("gamma_poisson", "normal_means"), quick=True))
    proven = {"gamma_poisson", "normal_means"}
    assert [(p.family, p.variant) for p in certificate.programs] == [case for case in ALL if case[0] in proven]
    assert certificate.failed == ()
    assert all(p.certified for p in certificate.programs)
    for proof in certificate.programs:
        assert [t.kind for t in proof.truths] == list(KINDS)
        assert proof.truth("quadrature").status == "not run"
    assert any("--agree" in note for note in certificate.notes)


@pytest.mark.parametrize(
    ("name", "variant", "check"),
    [
        ("wrong_prior_scale", "partial_pooling", log_density),
        ("missing_likelihood_term", "no_pooling", log_density),
        ("log_lik_without_constant", "no_pooling", pointwise),
    ],
)
@pytest.mark.usefixtures("stanli")
def test_proofs_of_programs_catch_planted_faults(name: str, variant: str, check: object) -> None:
    family, table = example("normal_means")
    assert check(family, table, variant).status == "pass"  # type: ignore[operator]
    proof = check(with_program(family, variant, name), table, variant)  # type: ignore[operator]
    assert proof.status == "fail"
    assert proof.value > proof.threshold


def test_structure_catches_a_program_that_is_not_what_it_is_called() -> None:
    family, _ = example("normal_means")
    assert structure(family, "complete_pooling").status == "pass"
    proof = structure(with_program(family, "complete_pooling", "pools_a_subset"), "complete_pooling")
    assert proof.status == "fail"


@pytest.mark.usefixtures("stanli")
def test_a_program_with_a_wrong_prior_is_caught_by_a_known_posterior() -> None:
    cases = [c for c in shipped_cases(["normal_means"]) if c.variant == "partial_pooling"]
    cauchy = [c for c in cases if "half_cauchy(5)" in c.priors.get("tau", "")][:1]
    assert cauchy
    good = run_cases(cauchy, StanliEngine(), 5, lambda _: None)
    assert good[0].agreement is not None
    assert good[0].agreement.agrees
    bad = replace(cauchy[0], family=with_program(cauchy[0].family, "partial_pooling", "wrong_prior_scale"))
    comparison = compare_case(bad, StanliEngine(), 5, 50)
    assert comparison.agreement is not None
    assert not comparison.agreement.agrees
    truth = truths([comparison])["normal_means", "partial_pooling"][0]
    assert truth.status == "fail"
    assert "tau" in truth.detail


class Apart(StanliEngine):
    """An engine whose first chain lies apart from the others while chains are short."""

    name = "apart"

    def __init__(self, until: int) -> None:
        self.until, self.lengths = until, []  # type: ignore[var-annotated]

    def sample(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
        drawn = super().sample(*arguments, **options)  # type: ignore[arg-type]
        mu = drawn.variables["mu"].copy()
        self.lengths.append(mu.shape[1])
        if mu.shape[1] < self.until:
            mu[0] += 0.5 * mu.std()
        return replace(drawn, variables={**drawn.variables, "mu": mu})


@pytest.mark.usefixtures("stanli")
def test_chains_that_are_too_short_are_drawn_once_more_and_longer() -> None:
    # Which chains fail R-hat by a thousandth depends on the processor, and is no word on the program.
    case = next(c for c in shipped_cases(["normal_means"]) if "half_cauchy(5)" in c.priors.get("tau", ""))
    engine = Apart(until=10_000)
    comparison = compare_case(case, engine, 5, 50)
    assert engine.lengths == [2500, 10_000]
    assert comparison.agreement is not None
    assert comparison.agreement.agrees
    never = Apart(until=10**9)
    comparison = compare_case(case, never, 5, 50)
    assert never.lengths == [2500, 10_000]
    assert comparison.agreement is None
    assert "the chains, of 10,000 draws each, failed their checks (R-hat" in comparison.problem


def test_every_family_has_known_posteriors_and_every_reference_is_of_a_family() -> None:
    known = {(c.family.name, c.variant) for c in shipped_cases(tuple(families()))}
    for family in families().values():
        assert (family.name, "partial_pooling") in known, family.name
    for reference in shipped(share("reference")):
        assert reference.family in families(), reference.path
        for posterior in reference.posteriors:
            for variant in posterior.variants:
                families()[reference.family].variant(variant)


@pytest.mark.parametrize("name", sorted(analyses()))
def test_every_shipped_analysis_has_a_long_run_of_its_posteriors(name: str) -> None:
    analysis = analyses()[name]
    cases = analysis_cases(analysis)
    assert cases, f"{name}: `hbm reference reports/{name} --save` makes reference.json"
    for case in cases:
        assert case.reference.kind == "long run"
        # Programs may change, and posteriors stay: that they do is in the certificate. Here: how the run went.
        about = case.posterior.about
        assert about["divergences"] == 0
        assert about["largest_rhat"] < 1.01
        assert about["largest_autocorrelation"] < 0.05


def test_the_shipped_certificate_is_of_the_programs_that_are_here() -> None:
    # Where a program changed: `make certify` proves all of them again.
    certificate = read_certificate(shipped_certificate())
    assert {(p.family, p.variant): p.sha256 for p in certificate.programs} == {
        (f.name, v.name): f.program(v.name).sha256 for f in families().values() for v in f.programs.variants
    }
    assert certificate.failed == ()
    assert all(p.certified for p in certificate.programs)
    for proof in certificate.programs:
        assert proof.truth("engines").status in {"pass", "not applicable"}, proof.variant
    assert {p.family for p in certificate.programs if p.truth("calibration").status == "pass"} == set(families())


class Shifted(StanliEngine):
    """An engine that is not Stan: every draw of tau is a little too large."""

    name = "shifted"

    def sample(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
        drawn = super().sample(*arguments, **options)  # type: ignore[arg-type]
        return replace(drawn, variables={**drawn.variables, "tau": drawn.variables["tau"] * 1.2})


@pytest.mark.usefixtures("stanli")
def test_engines_that_disagree_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines_module, "_DRAWS", 1000)
    model = families()["normal_means"]
    pair = engines_module.Pair(title="schools", family=model, variant="partial_pooling", dataset=dataset(), priors={})
    same = engines_module.sample_pairs([pair], (StanliEngine(), StanliEngine()), 1, lambda _: None)
    assert engines_module.truths(same)["normal_means", "partial_pooling"].status == "pass"
    other = engines_module.sample_pairs([pair], (StanliEngine(), Shifted()), 1, lambda _: None)
    truth = engines_module.truths(other)["normal_means", "partial_pooling"]
    assert truth.status == "fail"
    assert "tau" in truth.detail


class Backwards(StanliEngine):
    """An engine that gives what it draws in another order."""

    name = "backwards"

    def sample(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
        drawn = super().sample(*arguments, **options)  # type: ignore[arg-type]
        return replace(drawn, variables=dict(reversed(drawn.variables.items())))


class Broken(StanliEngine):
    """An engine that leaves a parameter out of its draws."""

    name = "broken"

    def sample(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
        drawn = super().sample(*arguments, **options)  # type: ignore[arg-type]
        return replace(drawn, variables={**drawn.variables, "theta": np.full_like(drawn.variables["theta"], np.nan)})


@pytest.mark.usefixtures("stanli")
def test_engines_are_compared_by_name_and_draws_that_are_no_numbers_fail() -> None:
    model = families()["normal_means"]
    pair = engines_module.Pair(title="schools", family=model, variant="partial_pooling", dataset=dataset(), priors={})
    for engine, status in ((Backwards(), "pass"), (Broken(), "fail")):
        sampled = engines_module.sample_pairs([pair], (StanliEngine(), engine), 1, lambda _: None)
        truth = engines_module.truths(sampled)["normal_means", "partial_pooling"]
        assert truth.status == status
    assert "broken" in truth.detail
    assert "theta" in truth.detail


@pytest.mark.usefixtures("stanli")
def test_parameters_of_rows_are_compared_with_those_of_the_same_rows() -> None:
    """Of curves, whose values at rows are parameters; rows are shuffled before they are fitted."""
    case = next(c for c in analysis_cases(analyses()["hydration_ti"]) if c.variant == "complete_pooling")
    comparison = compare_case(case, StanliEngine(), 5, 1000)
    assert comparison.agreement is not None, comparison.problem
    assert comparison.agreement.agrees, comparison.agreement.words
    assert any(name.startswith("f[") for name in comparison.agreement.table["parameter"])


@pytest.mark.usefixtures("stanli")
def test_chains_that_fail_their_checks_are_not_compared() -> None:
    model = families()["normal_means"]
    pair = engines_module.Pair(
        title="schools",
        family=model,
        variant="partial_pooling_centered",
        dataset=dataset(),
        priors={"tau": "half_cauchy(5)"},
    )
    truth = engines_module.truths(
        engines_module.sample_pairs([pair], (StanliEngine(), StanliEngine()), 1, lambda _: None)
    )["normal_means", "partial_pooling_centered"]
    assert truth.status == "not applicable"
    assert "fails on stanli, so nothing is compared" in truth.detail


@pytest.mark.usefixtures("stanli")
def test_the_command_writes_a_certificate_and_says_what_failed(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = hbm("verify", "normal_means", "--quick", "--to", tmp_path / "proof", "--json", out)
    assert done.exit_code == 0, done.output
    assert "5 of 5 programs certified" in done.output
    assert (
        json.loads(out.read_text())["programs"]
        == json.loads((tmp_path / "proof/certificate.json").read_text())["programs"]
    )
    assert (tmp_path / "proof" / "certificate.pdf").read_bytes().startswith(b"%PDF")
    done = hbm("verify", "normal_moans", "--to", tmp_path)
    assert done.exit_code == 2
    assert "Did you mean 'normal_means'?" in done.output


@pytest.mark.usefixtures("stanli")
def test_a_family_without_log_joint_is_told_what_can_still_be_checked(tmp_path: Path) -> None:
    hbm("new-family", "waiting", "--to", tmp_path)
    folder = tmp_path / "waiting"
    done = hbm("verify", folder, "--quick")
    assert done.exit_code == 0, done.output
    assert "3 of 3 programs certified" in done.output
    text = (folder / "family.py").read_text()
    (folder / "family.py").write_text(text.replace("    log_joint=log_joint,\n", ""))
    done = hbm("verify", folder, "--quick")
    assert done.exit_code == 0, done.output
    assert "0 of 3 programs certified" in done.output
    assert "has no log_joint()" in done.output
    assert "What can still be checked" in done.output


def test_words_that_name_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no family 'x', and no folder with an analysis"):
        subjects_named(["x"])
    (tmp_path / "mine").mkdir()
    with pytest.raises(ModelError, match=r"mine has no analysis\.toml"):
        subjects_named([str(tmp_path / "mine")])
    with pytest.raises(ModelError, match="one analysis at a time"):
        subjects_named([str(tmp_path / "mine"), "planck"])
    names, analysis = subjects_named(["planck", "normal_means"])
    assert names == ("planck", "normal_means")
    assert analysis is None


def test_the_date_is_that_of_source_date_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    from hbm_stan.verify import run

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert run._today() == "1970-01-02"
