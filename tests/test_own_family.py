"""Families of the user's own: both forms from table to PDF, what is missing named, and every mistake in words."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader
from typer.testing import CliRunner

from hbm_stan.analysis.new import new_analysis
from hbm_stan.analysis.read import read_analysis
from hbm_stan.attempts import fit_variants
from hbm_stan.cli.app import app
from hbm_stan.compare import compare
from hbm_stan.diagnose import check
from hbm_stan.errors import ComparisonError, HbmError, ModelError
from hbm_stan.families import families, family
from hbm_stan.families.own import read_family
from hbm_stan.fit import jobs_of
from hbm_stan.leave_one_out import loo
from hbm_stan.model import Finding
from hbm_stan.predict import shrinkage_table
from hbm_stan.program import Program
from hbm_stan.report.build import report
from hbm_stan.results.own import own_of
from hbm_stan.skeleton import new_family

PROGRAMS = Path(__file__).parent / "programs" / "robust"
# Ten trials, one of them far from the others: what a Student-t population is for.
TABLE = "trial,effect,se\n" + "".join(
    f"{name},{y},{se}\n"
    for name, y, se in zip(
        "ABCDEFGHIJ", (1.2, 0.4, 2.1, -0.3, 1.6, 0.9, 2.8, 0.1, 1.1, 14.0),
        (0.3, 0.2, 0.4, 0.3, 0.2, 0.3, 0.4, 0.2, 0.3, 0.5), strict=True,
    )
)  # fmt: skip
TOML = """
title = "Robust meta-analysis: a Student-t population"
outcome = "estimate"
group_quantity = "study"
log_lik = "ll"
population = ["centre", "spread"]
population_scale = "spread"

[roles]
group = { kind = "label", meaning = "name of the study" }
estimate = { kind = "number" }
standard_error = { kind = "positive" }

[variants.complete]
pooling = "complete"

[variants.partial]
pooling = "partial"

[data]
J = "J"
effect = "role:estimate"
error = "role:standard_error"
nu = 4

[dims]
study = ["group"]
"""
ANALYSIS = """
family = "../robust family"
data = "trials.csv"
[columns]
group = "trial"
estimate = "effect"
standard_error = "se"
[sampling]
seed = 20261121
draws = 1000
"""
# Roles and variants by position, as files of users may have them: they are read as before.
PYTHON = """
from pathlib import Path

import numpy as np

from hbm_stan.model import Family, Groups, Programs, Variant, Words
from hbm_stan.prepare import Role


def prepare(table, priors):
    return {
        "J": table.n_groups, "effect": table["estimate"], "error": table["standard_error"], "nu": 4,
    }


def raw(data):
    return data["effect"], data["error"]


FAMILY = Family(
    name="robust", outcomes=("estimate",),
    roles=(Role("group", "label", "study"), Role("estimate", "number", "estimate"),
           Role("standard_error", "positive", "its standard error")),
    programs=Programs(
        folder=Path(__file__).parent,
        variants=(Variant("complete", "Complete", "complete", "centre", "One value.", (), ()),
                  Variant("partial", "Partial", "partial", "centered", "A population.", (), ())),
        prior_rows=(), dims={"study": ("group",)}, population=("centre", "spread"), observed="effect", log_lik="ll",
        prepare=prepare, default_priors=lambda table: {},
    ),
    groups=Groups(
        group_quantity="study", population_scale="spread", raw=raw,
    ),
    words=Words(title="Robust meta-analysis", citation="", likelihood=()),
)
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with an analysis, and beside it the family that it names, in the form of a TOML."""
    own = tmp_path / "robust family"
    shutil.copytree(PROGRAMS, own)
    (own / "family.toml").write_text(TOML)
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "trials.csv").write_text(TABLE)
    (tmp_path / "trials" / "analysis.toml").write_text(ANALYSIS)
    return tmp_path


def as_python(place: Path, text: str = PYTHON) -> Path:
    own = place / "robust family"
    (own / "family.toml").unlink(missing_ok=True)
    (own / "family.py").write_text(text)
    return own


def edit(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def refused(place: Path, *words: str) -> str:
    with pytest.raises(HbmError) as caught:
        jobs_of(*_job(read_analysis(place / "trials")))
    message = str(caught.value)
    for word in words:
        assert word in message, message
    return message


def _job(analysis: Any) -> tuple[Any, ...]:
    class Named:
        name, version = "none", "0"

    return analysis.family, analysis.dataset, analysis.variants, analysis.priors, analysis.sampling, Named()


def hbm(*words: object) -> Any:
    return CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)


# From the table to the PDF


@pytest.mark.usefixtures("stanli")
def test_a_toml_and_programs_are_enough_for_checks_comparison_and_report(place: Path) -> None:
    document = report(place / "trials", engine="stanli")
    results = document.results
    assert results["status"] == "pass" or not results["withheld"]
    assert {s["variant"] for s in results["comparison"]["scores"]} == {"complete", "partial"}
    assert set(results["fits"]["partial"]["parameters"]) >= {"centre", "spread", "study[A]", "study[J]"}
    assert "centre is about" in results["answer"][0]
    assert results["new_group"] is None
    assert results["ppc"] is None
    assert results["priors"] == []
    [notice] = [n for n in results["notices"] if "the analyst's own family" in n]
    for word in ("new_row(), new_group() and simulate()", "raw()", "log_joint()", "y_rep in the Stan programs"):
        assert word in notice
    assert "a comparison on new trials (needs group_log_lik())" in notice
    assert "a comparison (" not in notice
    text = " ".join(page.extract_text() for page in PdfReader(document.pdf).pages)
    assert "own family" in text
    assert "The priors are those that the Stan programs in the appendix hold" in text


@pytest.mark.usefixtures("stanli")
def test_the_commands_take_a_family_of_the_user_s_own(place: Path) -> None:
    for command in ("fit", "check", "compare"):
        done = hbm(command, place / "trials", "--engine", "stanli")
        assert done.exit_code in {0, 1}, done.output
        assert "partial" in done.stdout + done.stderr


@pytest.mark.usefixtures("stanli")
def test_both_forms_give_the_same_fits(place: Path) -> None:
    first = read_analysis(place / "trials")
    fits = fit_variants(first.family, first.dataset, engine="stanli", sampling=first.sampling)
    as_python(place)
    other = read_analysis(place / "trials")
    again = fit_variants(other.family, other.dataset, engine="stanli", sampling=first.sampling)
    for name, fit in fits.items():
        assert fit.tree["posterior"].to_dataset().identical(again[name].tree["posterior"].to_dataset())
    assert np.isnan(shrinkage_table(fits, "partial")["raw"]).all()
    assert list(shrinkage_table(again, "partial")["raw"]) == [1.2, 0.4, 2.1, -0.3, 1.6, 0.9, 2.8, 0.1, 1.1, 14.0]


@pytest.mark.usefixtures("stanli", "undrawn")
def test_without_a_log_lik_nothing_is_compared_and_that_is_said(place: Path) -> None:
    own = place / "robust family"
    edit(own / "family.toml", 'log_lik = "ll"\n', "")
    edit(own / "family.toml", "[dims]", '[dims]\nll = ["group"]')
    edit(own / "family.toml", 'population_scale = "spread"', 'population_scale = "spread"\nhidden = ["ll"]')
    results = report(place / "trials", engine="stanli").results
    assert results["comparison"] is None
    assert "a comparison (needs log_lik in the Stan programs)" in " ".join(results["notices"])
    completed = hbm("compare", place / "trials", "--engine", "stanli")
    assert completed.exit_code == 2
    assert "gives no log_lik: it cannot be compared" in completed.stderr
    analysis = read_analysis(place / "trials")
    fits = fit_variants(analysis.family, analysis.dataset, engine="stanli", store=analysis.store)
    with pytest.raises(ComparisonError, match="no log_lik"):
        loo(fits["partial"])
    # Named afterwards: draws under another name are no longer those that were kept.
    edit(own / "family.toml", 'group_quantity = "study"', 'group_quantity = "study"\nlog_lik = "ll"')
    assert report(place / "trials", engine="stanli").results["comparison"] is not None


@pytest.mark.usefixtures("stanli")
def test_groups_that_the_programs_do_not_give_are_named(place: Path) -> None:
    """Partial pooling with the groups integrated out, and no draw of them: a population and a comparison remain."""
    own = place / "robust family"
    program = own / "partial.stan"
    edit(program, "  vector[J] study;\n", "")
    edit(program, "  study ~ student_t(nu, centre, spread);\n  effect ~ normal(study, error);\n",
         "  effect ~ normal(centre, sqrt(square(error) + square(spread)));\n")  # fmt: skip
    edit(program, "effect[j] | study[j], error[j]", "effect[j] | centre, hypot(error[j], spread)")
    for line in ('group_quantity = "study"\n', '\n[dims]\nstudy = ["group"]\n'):
        edit(own / "family.toml", line, "")
    results = report(place / "trials", engine="stanli").results
    assert results["shrinkage"] == []
    assert "estimates of the trials (needs theta in partial.stan)" in " ".join(results["notices"])


@pytest.mark.usefixtures("stanli")
def test_a_score_that_only_the_prior_decides_is_not_ranked(place: Path) -> None:
    """No pooling of one row a group, without exact_loo(): PSIS is biased there, and the ranking goes on without it."""
    own = place / "robust family"
    text = (own / "partial.stan").read_text()
    changes = {"real centre;\n": "", "  real<lower=0> spread;\n": "", "student_t(nu, centre, spread)": "normal(0, 20)"}
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    text = re.sub(r"  (centre|spread) ~ .*\n", "", text)
    (own / "no.stan").write_text(text)
    edit(own / "family.toml", "[data]", '[variants.no]\npooling = "no"\n\n[data]')
    analysis = read_analysis(place / "trials")
    fits = fit_variants(analysis.family, analysis.dataset, engine="stanli", sampling=analysis.sampling)
    compared = compare(fits, {n: check(f, ("R-hat", "bulk ESS", "tail ESS", "divergences")) for n, f in fits.items()})
    ranked = {s.variant: s.ranked for s in compared.scores}
    assert ranked == {"complete": True, "partial": True, "no": False}
    assert "needs exact_loo()" in next(s.route.words for s in compared.scores if s.variant == "no")


def test_the_example_of_the_readme_is_a_family(place: Path) -> None:
    own = place / "robust family"
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (own / "family.toml").write_text(re.search(r"```toml\n(.*?)```", readme, re.S)[1])  # type: ignore[index]
    (own / "partial.stan").rename(own / "student_t.stan")
    complete, partial = jobs_of(*_job(read_analysis(place / "trials")))
    assert set(complete.data) == {"J", "effect", "error"}
    assert set(partial.data) == {"J", "effect", "error", "nu"}
    assert partial.program.path.name == "student_t.stan"


# What depends on the family is made again


@pytest.mark.usefixtures("stanli", "undrawn")
def test_an_edit_of_the_family_makes_the_report_again_but_not_the_draws(place: Path) -> None:
    own = as_python(place)
    assert report(place / "trials", engine="stanli").fresh
    assert not report(place / "trials", engine="stanli").fresh
    edit(own / "family.py", 'title="Robust meta-analysis"', 'title="Sturdy meta-analysis"')
    messages: list[str] = []
    again = report(place / "trials", engine="stanli", say=messages.append)
    assert again.fresh
    assert again.results["model"]["title"] == "Sturdy meta-analysis"
    assert not any("sampling" in line for line in messages)
    edit(own / "partial.stan", "normal(0, 20)", "normal(0, 21)")
    report(place / "trials", engine="stanli", say=messages.append)
    assert any("the Stan program" in line for line in messages)


def test_no_bytecode_is_left_and_none_is_out_of_date(place: Path) -> None:
    own = as_python(place)
    assert family(f"{own}/").words.title == "Robust meta-analysis"
    edit(own / "family.py", 'title="Robust meta-analysis"', 'title="Sturdy meta-analysis"')  # of the same length
    assert family(f"{own}/").words.title == "Sturdy meta-analysis"
    assert not (own / "__pycache__").exists()


# Where a family is looked for


def test_a_name_is_a_family_that_comes_along_and_a_path_is_a_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    (place / "robust family").rename("normal_means")
    assert family("normal_means").source == ""
    assert family("./normal_means").source
    (place / "normal_means").rename("mine")
    assert family("mine").words.title.startswith("Robust")
    assert family("mine/family.toml").words.title.startswith("Robust")
    monkeypatch.chdir("/")
    assert family("mine", place).words.title.startswith("Robust")
    assert not any(f.source for f in families().values())


def test_hbm_new_writes_an_analysis_with_the_place_of_the_family(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    columns = {"group": "trial", "estimate": "effect", "standard_error": "se"}
    for name in ("robust family", "./robust family", str(place / "robust family")):
        written = new_analysis("trials/trials.csv", name, columns, place / "deep" / "new", force=True).path
        assert 'family = "../../robust family"' in written.read_text()
        assert read_analysis(written.parent).family.words.title.startswith("Robust")
    done = hbm("new", "trials/trials.csv", "--family", "robust family", "--group", "trial", "--estimate", "effect",
               "--standard-error", "se", "--to", "other")  # fmt: skip
    assert done.exit_code == 0, done.output


# Mistakes


def test_there_is_no_such_folder(place: Path) -> None:
    shutil.rmtree(place / "robust family")
    refused(place, "analysis.toml", "There is no folder", "robust family", "hbm new-family")
    edit(place / "trials" / "analysis.toml", "../robust family", "normal_meens")
    refused(place, "There is no family 'normal_meens'", "Did you mean 'normal_means'?", "a folder")


def test_the_folder_holds_no_family_or_two(place: Path) -> None:
    (place / "robust family" / "family.py").write_text(PYTHON)
    refused(place, "both a family.py and a family.toml")
    (place / "robust family" / "family.py").unlink()
    (place / "robust family" / "family.toml").unlink()
    refused(place, "neither a family.py nor a family.toml")


PYTHON_MISTAKES = {
    "no FAMILY": (("FAMILY = Family", "OTHER = Family"), ["family.py: there is no FAMILY"]),
    "not a Family": (("FAMILY = Family(", "FAMILY = dict("), ["FAMILY is a dict"]),
    "syntax": (("def raw(data):", "def raw(data:"), ["family.py, line "]),
    "import": (("import numpy as np", "import nunpy"), ["family.py, line 4: ModuleNotFoundError"]),
    "argument": (('citation="", ', ""), ["family.py, line ", "citation"]),
    "argument of a part": (('name="robust",', 'name="robust", title="Old",'),
                           ["family.py, line ", "title is an argument of Words", "words=Words(title=..., ...)",
                            "So are citation, likelihood", "hbm new-family"]),
    "argument of another part": (("words=Words(", "words=Words(raw=raw, "), ["raw is an argument of Groups"]),
    "no such argument": (('name="robust",', 'name="robust", nane="r",'), ["family.py, line ", "nane"]),
    "another kind of part": (("words=Words(", "words=dict("), ["FAMILY: words is a dict", "a Words of hbm_stan.model"]),
    "exit": (("import numpy as np", "raise SystemExit(3)"), ["family.py, line 4: SystemExit"]),
    "old name of a table": (("table.n_groups", "len(table.labels)"), ["prepare() failed", "is table.pooled.labels"]),
    "function fails": (('table["estimate"]', 'table["estimat"]'), ["family.py, line 12: prepare() failed", "estimat"]),
    "not a dict": (("    return {\n", "    return None\n    {\n"), ["prepare() must return a dict"]),
    "no outcome": (('observed="effect", ', ""), ["prepare() gives no 'y'"]),
    "unknown prior": (("lambda table: {}", 'lambda table: {"mu": None}'), ["default_priors() names 'mu'"]),
    "priors": (("lambda table: {}", "lambda table: []"), ["default_priors() must return a dict"]),
    "program missing": (('Variant("partial"', 'Variant("partal"'), ["'partal' needs", "complete.stan, partial.stan"]),
    "no dims": (('dims={"study": ("group",)}', "dims={}"), ["dims does not name 'study'", "[J]", "hidden"]),
    "too few dims": (('("group",)}', '("group", "observation")}'), ["dims of 'study'", "1 dimension."]),
    "log_lik": (('log_lik="ll"', 'log_lik="lll"'), ["log_lik is 'lll'", "Did you mean 'll'?"]),
    "population": (('("centre", ', '("center", '), ["population names 'center'", "Did you mean 'centre'?"]),
    "datum": (('"nu": 4', '"mu": 4'), ["the data lack 'nu'"]),
    "data too short": (('table["estimate"]', 'table["estimate"][1:]'), ["data 'effect' has shape (9,)"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", PYTHON_MISTAKES)
def test_mistakes_in_a_family_py_are_named(place: Path, mistake: str) -> None:
    (before, after), words = PYTHON_MISTAKES[mistake]
    own = as_python(place)
    assert jobs_of(*_job(read_analysis(place / "trials")))
    edit(own / "family.py", before, after)
    refused(place, *words)


def test_a_mistake_has_no_traceback_on_the_command_line(place: Path) -> None:
    as_python(place, "def broken(:\n")
    done = hbm("fit", place / "trials", "--engine", "stanli")
    assert done.exit_code == 2
    named, message = done.stderr.splitlines()
    assert named.endswith("family.py")
    assert "family.py, line 1: " in message


TOML_MISTAKES = {
    "not TOML": (("[roles]", "[roles"), ["family.toml is not valid TOML"]),
    "unknown key": (("outcome =", "outcom ="), ["unknown key 'outcom'", "Did you mean 'outcome'?"]),
    "kind of value": (('outcome = "estimate"', "outcome = 3"), ["outcome must be a text"]),
    "missing key": (('outcome = "estimate"\n', ""), ["the key 'outcome' is missing"]),
    "no such outcome": (('outcome = "estimate"', 'outcome = "group"'), ["outcome is 'group'"]),
    "key of a role": (('meaning = "name', 'meanin = "name'), ["[roles.group]", "Did you mean 'meaning'?"]),
    "kind of a role": (('kind = "number"', 'kind = "numeric"'), ["roles.estimate", "Did you mean 'number'?"]),
    "no label": (('kind = "label"', 'kind = "number"'), ["kind 'label'", "Found: none"]),
    "optional": (('kind = "positive" }', 'kind = "positive", optional = true }'), ["only predictors can be optional"]),
    "pooling": (('pooling = "partial"', 'pooling = "some"'), ["variants.partial: pooling is 'some'"]),
    "key of a variant": (('pooling = "partial"', 'poling = "partial"'), ["Did you mean 'pooling'?"]),
    "name of a variant": (("[variants.partial]", '[variants."a b"]'), ["letters, digits and underscores"]),
    "program missing": (("[variants.partial]", "[variants.partly]"), ["'partly' needs", "partial.stan"]),
    "source": (('J = "J"', 'J = "JJ"'), ["data.J is 'JJ'", "group_idx", "role:ROLE"]),
    "no such role": (('"role:estimate"', '"role:estimat"'), ["data.effect", "Did you mean 'estimate'?"]),
    "no predictors": (('nu = 4', 'nu = "predictors:estimate"'), ["data.nu", "There is none in [roles]"]),
    "the program lacks it": (("nu = 4", "nu = 4\nnuu = 5"), ["data.nuu: no program reads 'nuu'", "'nu'"]),
    "the program asks for it": (("nu = 4\n", ""), ["partial.stan reads 'nu', which [data] does not give"]),
    "outcome not given": (('effect = "role:estimate"', "effect = 3"), ["does not give the outcome"]),
    "no dims": (('study = ["group"]', ""), ["dims does not name 'study'"]),
    "dim": (('study = ["group"]', 'study = ["grup"]'), ["dims.study", "Did you mean 'group'?", "[labels]"]),
    "kind of dims": (('study = ["group"]', 'study = "group"'), ["dims.study must be a list of texts"]),
    "group_quantity": (('group_quantity = "study"', 'group_quantity = "trial"'), ["group_quantity is 'trial'"]),
    "literal": (("nu = 4", "nu = true"), ["data.nu is True"]),
    "bound": (("nu = 4", "nu = 0.5"), ["'nu' must be at least 1"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", TOML_MISTAKES)
def test_mistakes_in_a_family_toml_are_named(place: Path, mistake: str) -> None:
    (before, after), words = TOML_MISTAKES[mistake]
    edit(place / "robust family" / "family.toml", before, after)
    refused(place, *words)


def test_a_prior_cannot_be_chosen_where_the_programs_hold_them(place: Path) -> None:
    edit(place / "trials" / "analysis.toml", "[sampling]", '[priors]\nspread = "half_normal(1)"\n[sampling]')
    refused(place, "unknown key 'spread' in [priors]", "There are none.")


@pytest.mark.usefixtures("stanli")
def test_a_variable_of_another_shape_than_its_dims_is_named(place: Path) -> None:
    edit(place / "robust family" / "family.toml", "study = [", "# study\nstudy = [")
    edit(place / "robust family" / "partial.stan", "vector[J] ll;", "vector[J + 1] ll;")
    edit(place / "robust family" / "partial.stan", "for (j in 1 : J) {", "ll[J + 1] = 0;\n  for (j in 1 : J) {")
    analysis = read_analysis(place / "trials")
    with pytest.raises(ModelError, match=r"ll has shape \(11,\).*observation\) = \(10,\)"):
        fit_variants(analysis.family, analysis.dataset, ["partial"], engine="stanli")


# The forms of [data] that the example does not use


def test_every_source_of_a_datum_gives_what_it_says(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "all.stan").write_text(
        "data {\n  int N; int J; array[N] int g; array[N] int y; int K; int L; matrix[N, K] x; matrix[J, L] u;\n"
        "  array[2] real p;\n}\nparameters {\n  real a;\n  vector[K] b;\n}\nmodel {\n  a ~ normal(0, 1);\n}\n"
    )
    (own / "family.toml").write_text(
        'outcome = "hits"\npopulation = ["a"]\n[roles]\nclass = {kind = "label"}\nhits = {kind = "count"}\n'
        'row = {kind = "predictors", optional = true}\nshared = {kind = "group_predictors"}\n'
        '[variants.all]\npooling = "complete"\n[data]\nN = "N"\nJ = "J"\ng = "group_idx"\ny = "role:hits"\n'
        'K = "K:row"\nL = "K:shared"\nx = "predictors:row"\nu = "predictors:shared"\np = [0, 2.5]\n'
        '[dims]\nb = ["row"]\n'
    )
    rows = [
        ("b", 3, 0.5, 1, 7.0),
        ("a", 0, 1.5, 2, 9.0),
        ("b", 2, 2.5, 5, 7.0),
        ("a", 1, 0.5, 3, 9.0),
        ("c", 1, 2, 2, 8),
    ]
    (tmp_path / "t.csv").write_text("c,n,x1,x2,u\n" + "".join(",".join(map(str, r)) + "\n" for r in rows))
    (tmp_path / "analysis.toml").write_text(
        'family = "own"\ndata = "t.csv"\n[columns]\nclass = "c"\nhits = "n"\nrow = ["x1", "x2"]\nshared = "u"\n'
    )
    [job] = jobs_of(*_job(read_analysis(tmp_path)))
    assert {k: np.asarray(v).tolist() for k, v in job.data.items()} == {
        "N": 5, "J": 3, "g": [1, 2, 1, 2, 3], "y": [3, 0, 2, 1, 1], "K": 2, "L": 1,
        "x": [[0.5, 1], [1.5, 2], [2.5, 5], [0.5, 3], [2, 2]], "u": [[7], [9], [8]], "p": [0, 2.5],
    }  # fmt: skip
    assert np.asarray(job.data["y"]).dtype.kind == "i"
    assert job.family.coordinates(job.table)["row"] == ("x1", "x2")
    edit(tmp_path / "analysis.toml", 'row = ["x1", "x2"]\n', "")
    [job] = jobs_of(*_job(read_analysis(tmp_path)))
    assert np.shape(job.data["x"]) == (5, 0)


def test_the_outputs_of_a_program_are_its_declarations_at_the_top_level() -> None:
    code = """
    data { int J; }
    transformed data { vector[J] not_this; }
    parameters { real<lower=0> a; array[2] vector[J] b; }
    transformed parameters {
      vector[J] c = a * b[1]; // vector[J] comment
      profile("p") { real local = 3; c[1] = local; }
      for (j in 1:J) { vector[2] inner = [1, 2]'; if (j > 1) { matrix[2, 2] deep; } }
    }
    model { vector[J] neither; }
    generated quantities { array[J] int y_rep; real s = sum(c), t = fmax(a, 1); print("vector[J] text;"); }
    """
    n_dims = {d.name: len(d.dims) for d in Program("p", Path("p.stan"), code).outputs}
    assert n_dims == {"a": 0, "b": 2, "c": 1, "y_rep": 1, "s": 0, "t": 0}


# Functions of the user's own that go wrong while they are used


@pytest.mark.usefixtures("stanli", "undrawn")
def test_a_function_that_fails_or_gives_another_shape_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = new_family("waits", tmp_path)
    simulate = '    return rng.exponential(np.exp(draws["theta"][:, _group(design)]))'
    edit(own / "analysis.toml", "seed =", "chains = 2\nwarmup = 200\ndraws = 200\nseed =")
    edit(own / "analysis.toml", "[sampling]", '[checks]\nwaive = ["R-hat", "bulk ESS", "tail ESS"]\n[sampling]')
    edit(own / "family.py", simulate, simulate.replace('"theta"', '"thta"'))
    line = 1 + (own / "family.py").read_text().split("\n").index(simulate.replace('"theta"', '"thta"'))
    with pytest.raises(ModelError, match=rf"family\.py, line {line}: simulate\(\) failed with KeyError: 'thta'"):
        report(own, engine="stanli")
    edit(own / "family.py", simulate.replace('"theta"', '"thta"'), "    return np.zeros(3)")
    with pytest.raises(ModelError, match=r"simulate\(\) gave the shape \(3,\)"):
        report(own, engine="stanli")
    assert not (own / "results.json").exists()
    assert capsys.readouterr().out == ""


def test_a_family_that_draws_groups_itself_has_its_code_in_the_key(place: Path) -> None:
    """Where the family draws what the program left out, its code makes the draws; else only the names do."""
    as_python(place)
    analysis = read_analysis(place / "trials")
    job = jobs_of(*_job(analysis))[1]
    other = replace(job, family=replace(job.family, source="other"))
    assert job.key == other.key
    assert replace(job, data={**job.data, "generate": 0}).key != replace(other, data={**job.data, "generate": 0}).key
    assert job.key != replace(job, family=job.family.with_fields(log_lik="another")).key
    assert json.dumps(job.parts)


def test_densities_of_groups_must_have_one_value_for_each_group(place: Path) -> None:
    fields = "raw=raw, prior_group_log_lik=lambda data, v: {}, finer_group_log_lik=lambda draws, data: {},"
    draws, data = {"centre": np.zeros(4)}, {"J": 3}
    for ours, finer, wrong in (
        ("np.zeros(3)", "np.zeros((4, 3))", ""),
        ("None", "None", ""),
        ("np.zeros(2)", "None", r"prior_group_log_lik\(\) gave the shape \(2,\).*\(3,\)"),
        ("None", "np.zeros(3)", r"finer_group_log_lik\(\) gave the shape \(3,\)"),
    ):
        own = read_family(as_python(place, PYTHON.replace("raw=raw,", fields.format(ours, finer))))
        prior, twice = (own.need(f"{kind}_group_log_lik", "a test") for kind in ("prior", "finer"))
        with pytest.raises(ModelError, match=wrong) if wrong else nullcontext():
            _ = prior(data, "partial"), twice(draws, data)


def test_a_map_needs_no_names_and_a_table_that_lacks_a_column_is_named() -> None:
    areas = pd.DataFrame({k: [0.5, 1.5] for k in ("east", "north", "raw", "smoothed", "excess", "size")})
    (first, _) = own_of(Finding(title="Map", sentences=("Said.",), areas=areas)).as_dict()["areas"]
    assert "area" not in first
    named = own_of(Finding(title="Map", sentences=("Said.",), areas=areas.assign(area=["a", "b"]))).as_dict()
    assert [row["area"] for row in named["areas"]] == ["a", "b"]
    with pytest.raises(ModelError, match="Section 'Map': its areas have no column raw; they have east, "):
        own_of(Finding(title="Map", sentences=("Said.",), areas=areas.drop(columns="raw")))
