"""What a command costs before it works: libraries that it does not need are not imported, and a screen is a screen."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from hbm_stan.cli.app import app, app_of
from hbm_stan.cli.run import Run
from hbm_stan.compare import score
from hbm_stan.diagnosis import Diagnosis
from hbm_stan.errors import ModelError
from hbm_stan.families import families, family
from hbm_stan.leave_one_out import LeftOut
from hbm_stan.likelihoods import likelihood, likelihoods
from hbm_stan.scores import Route
from hbm_stan.verdicts import Verdict

LIBRARIES = {
    "scipy", "pandas", "xarray", "arviz", "arviz_stats", "matplotlib", "plotnine", "stanli", "cmdstanpy", "typst",
    "h5py", "pydantic",
}  # fmt: skip
TABLE = "school,effect,se\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\nE,-1,9\n"
NEW = [
    "new",
    "t.csv",
    "--family",
    "normal_means",
    "--group",
    "school",
    "--estimate",
    "effect",
    "--standard-error",
    "se",
]
COLUMNS, LINES = 80, 24  # of a terminal, unless it is made larger


def loaded(words: list[str], folder: Path, watched: set[str], code: int) -> set[str]:
    """Which of the watched libraries a command imports."""
    program = (
        f"import sys; sys.argv = ['hbm', *{words!r}]; from hbm_stan.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        f"print('LOADED', code or 0, *sorted(set(sys.modules) & {watched!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    _, ended, *modules = done.stdout.splitlines()[-1].split()
    assert int(ended) == code, done.stderr
    return set(modules)


@pytest.mark.parametrize(
    "words",
    [["report", "nowhere"], ["compare", "no/where"], ["regress", "nowhere"], ["calibrate", "no/where"],
     ["verify", "no/where"], ["new", "nowhere.csv", "--family", "planck", "--to", "b"], ["fit", "t.csv"]],
    ids=" ".join,
)  # fmt: skip
def test_a_mistyped_path_is_said_before_anything_is_imported(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    assert loaded(words, tmp_path, {*LIBRARIES, "numpy"}, 2) == set()


@pytest.mark.parametrize("command", ["report", "fit", "check", "compare", "sensitivity"])
def test_mistyped_data_of_an_analysis_are_said_before_anything_is_imported(command: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    text = 'family = "normal_means"\ndata = "nowhere.csv"\n[columns]\ngroup = "g"\n'
    (tmp_path / "a" / "analysis.toml").write_text(text)
    assert loaded([command, "a"], tmp_path, {*LIBRARIES, "numpy"}, 2) == set()


@pytest.mark.parametrize(
    "words", [["families"], ["families", "planck"], [*NEW, "--to", "b"]], ids=["families", "families NAME", "new"]
)
def test_listing_families_and_checking_a_table_need_numpy_only(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    assert loaded(words, tmp_path, LIBRARIES, 0) == set()


ANALYSIS = """
family = "normal_means"
data = "t.csv"
columns = { group = "school", estimate = "effect", standard_error = "se" }
sampling = { warmup = 300, draws = 500 }
"""
# Families and rooms that an analysis of normal_means has no use for once its fits were checked and reported.
ELSEWHERE = {f"hbm_stan.{name}" for name in ("families.planck", "families.poisson", "leave_one_out", "plots")}
# Of the standard library and of locks, what takes 5 ms or more to import and is for those who write or sample.
SMALL = {"filelock", "email.message", "statistics", "tempfile"}


@pytest.mark.parametrize("command", ["check", "report"])
def test_fits_that_were_checked_are_checked_and_reported_again_by_numpy_alone(command: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "analysis.toml").write_text(ANALYSIS)
    words = [command, ".", "--engine", "stanli"]
    assert loaded(words, tmp_path, {"xarray", "scipy"}, 0) == {"scipy"}  # fitting needs it; nothing needs a tree
    assert loaded(words, tmp_path, LIBRARIES | ELSEWHERE | SMALL, 0) == set()


def test_draws_are_read_and_compared_without_what_neither_needs(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "analysis.toml").write_text(ANALYSIS)
    words = ["compare", ".", "--engine", "stanli"]
    loaded(words, tmp_path, LIBRARIES, 0)
    others = {"h5netcdf", "scipy.optimize", "scipy.stats", "hbm_stan.report.typeset", "hbm_stan.results"}
    assert loaded(words, tmp_path, LIBRARIES | others, 0) == {"h5py"}


def test_one_family_is_had_without_the_others(tmp_path: Path) -> None:
    others = {f"hbm_stan.families.{name}" for name in families()} - {"hbm_stan.families.planck"}
    program = (
        "import sys; from hbm_stan.families import family; planck = family('planck')\n"
        f"print(*sorted(set(sys.modules) & {others!r}))\n"
        "from hbm_stan.families import families; assert families()['planck'] is planck"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_families_and_likelihoods_are_those_of_their_modules() -> None:
    assert all(family(name) is known for name, known in families().items())
    assert all(likelihood(name) is known for name, known in likelihoods().items())
    for name in ("terms", "own", "choose"):  # modules, and no families
        with pytest.raises(ModelError, match=f"no family '{name}'"):
            family(name)


def test_the_families_fit_on_a_screen_and_each_says_more() -> None:
    lines = CliRunner().invoke(app, ["families"]).stdout.rstrip("\n").split("\n")
    assert len(lines) < LINES
    assert max(map(len, lines)) <= COLUMNS
    rows = re.split(r"[\s,]+", " ".join(lines).partition("(a formula)")[2])
    for name, known in families().items():
        assert name in rows if known.terms else any(line.startswith(f"{name} ") for line in lines), name
        more = CliRunner().invoke(app, ["families", name]).stdout
        wanted = [known.words.citation, *(v.name for v in known.programs.variants), *(r.name for r in known.roles)]
        wanted += [*(p.name for p in known.programs.prior_rows), *known.groups.prediction]
        assert all(word in more for word in wanted), name


def test_a_command_alone_is_that_command_of_the_whole() -> None:
    names = [c.name or getattr(c.callback, "__name__", "") for c in app.registered_commands]
    assert len(names) == len(set(names)) > 15
    for name in names:
        assert len(app_of([name, "--help"]).registered_commands) == 1, name
        for words in ([name, "--help"], [name, "--quiet", "--seed=x"], ["--version", name]):
            alone, whole = (CliRunner().invoke(one, words) for one in (app_of([name]), app))
            assert (alone.exit_code, alone.output) == (whole.exit_code, whole.output), words
            assert whole.exit_code == (2 if "--seed=x" in words else 0), words  # no command is to begin
    for other in ([], ["--help"], ["--version"], ["chekc"], ["--quiet", "check"], [""]):
        assert app_of(other) is app


def test_a_mistyped_family_is_named() -> None:
    done = CliRunner().invoke(app, ["families", "plank"])
    assert done.exit_code == 2
    assert "Did you mean 'planck'?" in done.stderr


def test_in_a_log_each_step_is_a_line_and_quiet_says_none(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        run = Run(quiet=quiet)
        run.say("a: sampling")
        with run.steps() as step, run.sampling_progress() as progress:
            step("b: proving")
            assert progress("c") is None
        shown = capsys.readouterr()
        assert (shown.out, shown.err) == ("", "" if quiet else "a: sampling\nb: proving\n")


def test_what_a_prompt_shows_is_a_screen() -> None:
    long = "A sentence that says what to do. " * 30
    verdicts = tuple(
        Verdict(name=f"check {i}", status="fail" if i == 39 else "pass", value=1.0, threshold=2.0, hint=long)
        for i in range(40)
    )
    shown = repr(Diagnosis("partial_pooling", verdicts, pd.DataFrame({"mean": range(3000)})))
    assert shown.splitlines()[0] == "<Diagnosis of partial_pooling: fail; 3,000 parameters in .summary>"
    assert shown.splitlines()[1].startswith("  fail  check 39          A sentence")
    scores = {
        f"variant_{i}": LeftOut(
            elpd_i=np.full(50, -1.0 - i / 10),
            lppd_i=np.zeros(50),
            pareto_k=None,
            k_threshold=0.7,
            route=Route.EXACT,
            n_parameters=2,
            mcse=0.0,
        )
        for i in range(30)
    }
    compared = repr(replace(score(scores), notes=(long,)))
    assert compared.startswith("<Comparison of 30 variants, 50 observations left out>\n  variant_0 ")
    assert "difference -5.0 (SE 0.0)" in compared
    for text in (shown, compared):
        assert len(text.splitlines()) < LINES
        assert max(map(len, text.splitlines())) <= 111
    withheld = repr(replace(score(scores), withheld=True, sentences=()))
    assert ", ranking withheld>" in withheld
    assert "difference" not in withheld
