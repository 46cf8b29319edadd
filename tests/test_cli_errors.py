"""Mistakes on the command line: one paragraph, no traceback, the right exit code, and nothing half written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hbm_stan.cli.app import app

ROLES = ("--group", "school", "--estimate", "effect", "--standard-error", "se")
TABLE = "school,effect,se\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\nE,-1,9\n"
COMMANDS = (
    "report",
    "fit",
    "check",
    "summary",
    "compare",
    "new",
    "families",
    "new-family",
    "doctor",
    "install-cmdstan",
)
HEAVY = {"numpy", "pandas", "xarray", "scipy", "arviz", "arviz_stats", "matplotlib", "plotnine", "stanli", "cmdstanpy"}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a table and a quick analysis of it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "schools.csv").write_text(TABLE)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "analysis.toml").write_text(
        'family = "normal_means"\ndata = "../schools.csv"\nvariants = ["complete_pooling", "partial_pooling"]\n'
        '[columns]\ngroup = "school"\nestimate = "effect"\nstandard_error = "se"\n'
        "[sampling]\nwarmup = 500\ndraws = 1000\n"
    )
    return tmp_path


def hbm(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)


def process(words: Sequence[str], shell: str = "{}", **env: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, within a line of shell."""
    line = shell.format('"$0" -m hbm_stan "$@"')
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}", sys.executable, *words],
        capture_output=True, text=True, check=False, env={**os.environ, **env},
    )  # fmt: skip


def refused(done: Result, *words: str, code: int = 2) -> str:
    assert done.exit_code == code, done.output
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def one_paragraph(done: Result, *words: str, code: int = 2) -> None:
    message = refused(done, *words, code=code)
    assert message.startswith("hbm: ")
    assert message.count("\n") == 1, message
    assert len(message) < 900


# The call


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reprot"], "No such command 'reprot'"),
        (["report", "--foo", "a"], "No such option"),
        (["report"], "Missing argument"),
        (["report", "a", "b"], "unexpected extra argument"),
        (["report", "a", "--seed", "x"], "--seed"),
        (["report", "a", "--seed", "-1"], "--seed"),
        (["report", "a", "--seed", str(2**31)], "--seed"),
        (["report", "a", "--seed"], "--seed"),
        (["new", "schools.csv", *ROLES, "--family", "normal_means"], "--to"),
    ],
)
def test_a_wrong_call_is_refused(place: Path, words: list[str], message: str) -> None:
    refused(hbm(*words), message)


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["report", "gone"], ("gone", "no analysis here", "hbm new")),
        (["report", "schools.csv"], ("schools.csv is a table", "hbm new")),
        (["fit", "a", "--variant", "partial"], ("no variant 'partial'", "Did you mean 'partial_pooling'?")),
        (["new", "gone.csv"], ("gone.csv", "no such file")),
        (["new"], ("no table", "hbm new DATA")),
        (["new", "schools.csv", "more.csv"], ("'more.csv'", "one table only", "'schools.csv'")),
        (["new", "schools.csv", "--forse"], ("'--forse'", "Did you mean '--force'?")),
        (["new", "schools.csv", "--grup", "x"], ("'--grup'", "Did you mean '--group'?", "--standard-error")),
        (["new", "schools.csv", "-g", "x"], ("'-g'", "--group")),
        (["new", "schools.csv", "--group", "effect"], ("--group", "twice")),
        (["new", "schools.csv", "--group"], ("--group needs the name of a column",)),
        (["new", "schools.csv", "--estimate", "--group", "school"], ("--estimate needs the name of a column",)),
    ],
)
def test_a_wrong_argument_is_refused_in_words(place: Path, words: list[str], fragments: tuple[str, ...]) -> None:
    if words[0] == "new":
        words = ["new", *ROLES, "--family", "normal_means", "--to", "b", *words[1:]]
    one_paragraph(hbm(*words, "--engine", "stanli"), *fragments)
    assert not (place / "b").exists()
    assert not (place / "a" / "fits").exists()


@pytest.mark.parametrize("role", ["group", "estimate", "standard-error"])
def test_each_role_must_be_named(place: Path, role: str) -> None:
    pairs = [(ROLES[i], ROLES[i + 1]) for i in range(0, 6, 2) if ROLES[i] != f"--{role}"]
    words = [w for pair in pairs for w in pair]
    one_paragraph(
        hbm("new", "schools.csv", *words, "--family", "normal_means", "--to", "b"),
        repr(role.replace("-", "_")),
        "'school', 'effect', 'se'",
    )


@pytest.mark.parametrize(
    "words",
    [
        ["schools.csv", *ROLES, "--family", "normal_means", "--to", "b"],
        [*ROLES, "schools.csv", "--family", "normal_means", "--to", "b"],
        ["--family", "normal_means", "--to", "b", *ROLES, "schools.csv"],
        [
            "--group=school",
            "--family=normal_means",
            "schools.csv",
            "--estimate=effect",
            "--to=b",
            "--standard_error=se",
        ],
        ["--to", "b", "--family", "normal_means", *ROLES, "--", "schools.csv"],
    ],
)
def test_options_and_the_table_come_in_any_order(place: Path, words: list[str]) -> None:
    done = hbm("new", *words)
    assert done.exit_code == 0, done.output
    assert "hbm report b" in done.stdout
    assert (place / "b" / "analysis.toml").exists()


def test_what_new_says_next_can_be_pasted(place: Path) -> None:
    done = hbm("new", "schools.csv", *ROLES, "--family", "normal_means", "--to", "my analysis")
    assert "hbm report 'my analysis'" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ["report", "a"],
        ["new", "schools.csv", *ROLES, "--family", "normal_means", "--to", "b"],
        ["families"],
        ["doctor"],
        ["install-cmdstan"],
    ],
)
def test_a_misspelled_engine_is_refused_by_every_command(
    place: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one_paragraph(hbm(*words, "--engine", "stanly"), "'stanly'", "Did you mean 'stanli'?")
    monkeypatch.setenv("HBM_ENGINE", "cmd")
    one_paragraph(hbm(*words), "'cmd'", "HBM_ENGINE")
    assert not (place / "b").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_takes_the_same_options_and_has_help(command: str) -> None:
    done = hbm(command, "--help")
    assert done.exit_code == 0
    for option in ("--engine", "--json", "--quiet", "--seed"):
        assert option in done.stdout, option


@pytest.mark.parametrize("target", ["a", "schools.csv", "schools.csv/x.json", "/proc/nowhere/x.json"])
def test_a_place_for_json_that_will_not_do_is_refused_before_the_work(place: Path, target: str) -> None:
    one_paragraph(hbm("check", "a", "--engine", "stanli", "--json", target), "--json", target)
    assert not (place / "a" / "fits").exists()
    assert (place / "schools.csv").read_text() == TABLE


@pytest.mark.usefixtures("undrawn")
def test_json_goes_into_a_new_folder_and_quiet_prints_nothing(place: Path) -> None:
    done = hbm("check", "a", "--engine", "stanli", "--quiet", "--json", "x/y/z.json")
    assert (done.exit_code, done.output) == (0, "")
    assert json.loads((place / "x/y/z.json").read_text())["fits"]
    for command in ("fit", "compare", "report"):
        assert hbm(command, "a/", "--engine", "stanli", "-q").output == "", command


def test_one_variant_is_not_compared_and_not_sampled(place: Path) -> None:
    text = (place / "a" / "analysis.toml").read_text()
    (place / "a" / "analysis.toml").write_text(text.replace('"complete_pooling", ', ""))
    one_paragraph(hbm("compare", "a", "--engine", "stanli"), "two", "variants")
    assert not (place / "a" / "fits").exists()


# The data, through a command


@pytest.mark.parametrize(
    ("old", "new", "fragments"),
    [
        ("28,15", "28,0", ("schools.csv", "'se'", "line 2: '0'", "above zero")),
        ("28,15", ",15", ("schools.csv", "'effect'", "no value in line 2")),
        ("A,", "B,", ("schools.csv", "'school'", "'B'", "line 2, line 3")),
        ("effect", "efect", ("analysis.toml", "[columns]", "'efect'")),
    ],
)
def test_bad_data_end_every_command_with_two(place: Path, old: str, new: str, fragments: tuple[str, ...]) -> None:
    (place / "schools.csv").write_text(TABLE.replace(old, new))
    for command in ("report", "check"):
        one_paragraph(hbm(command, "a", "--engine", "stanli"), *fragments)
    assert [p.name for p in (place / "a").iterdir()] == ["analysis.toml"]


@pytest.mark.usefixtures("undrawn")
def test_a_failing_run_leaves_the_earlier_report_whole(place: Path) -> None:
    assert hbm("report", "a", "--engine", "stanli").exit_code in {0, 1}
    before = {p.name: p.read_bytes() for p in (place / "a").iterdir() if p.is_file()}
    (place / "schools.csv").write_text(TABLE.replace("28", "x"))
    one_paragraph(hbm("report", "a", "--engine", "stanli"), "'x'")
    assert {p.name: p.read_bytes() for p in (place / "a").iterdir() if p.is_file()} == before


def test_an_analysis_folder_that_may_not_be_written_to(place: Path) -> None:
    (place / "a" / "fits").write_text("a file where the folder would be")
    one_paragraph(hbm("fit", "a", "--engine", "stanli"), "fits", code=3)


def test_a_label_is_printed_as_it_is(place: Path) -> None:
    (place / "schools.csv").write_text(
        TABLE.replace("B,", ":smile: [bold]A[/bold],").replace("\nC,", "\n:smile: [bold]A[/bold],")
    )
    one_paragraph(hbm("check", "a", "--engine", "stanli"), "':smile: [bold]A[/bold]'")


# Processes


@pytest.mark.parametrize("words", [["families"], ["--help"], ["--version"]])
def test_a_closed_pipe_is_no_error(words: list[str]) -> None:
    done = process(words, "{} | true")
    assert done.stderr == ""
    if words == ["families"]:
        assert done.returncode == 0


def test_behind_a_closed_pipe_the_work_is_done_and_the_exit_code_holds(place: Path) -> None:
    done = process(["check", "a", "--engine", "stanli", "--json", "out.json"], "{} | true")
    steps = [f"{variant}_pooling: sampling (no earlier draws)" for variant in ("complete", "partial")]
    assert (done.returncode, done.stderr.splitlines()) == (0, steps)
    assert json.loads((place / "out.json").read_text())["fits"]


@pytest.mark.parametrize("words", [["families"], ["--help"]])
def test_a_full_disk_behind_stdout_is_said_and_no_output_at_all_is_fine(words: list[str]) -> None:
    done = process(words, "{} > /dev/full")
    assert done.returncode == 3
    assert done.stderr.startswith("hbm: ")
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    closed = process(words, "{} >&-")
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_terminal_of_another_encoding_shows_what_it_can(place: Path) -> None:
    (place / "é 日本.csv").write_text(TABLE)
    done = process(["report", "日本"], PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "\\u65e5\\u672c: there is no analysis here" in done.stderr
    done = process(
        ["new", "é 日本.csv", *ROLES, "--family", "normal_means", "--to", "日本"], PYTHONIOENCODING="latin-1"
    )
    assert done.returncode == 0, done.stderr
    assert (place / "日本" / "analysis.toml").exists()


def test_a_usage_error_calls_the_command_by_its_name() -> None:
    assert "Usage: hbm report" in process(["report"]).stderr


@pytest.mark.parametrize(
    "code",
    [
        "import hbm_stan",
        "import sys; sys.argv[1:] = ['--help']\nfrom hbm_stan.cli.app import main\ntry: main()\nexcept SystemExit: 0",
    ],
)
def test_nothing_heavy_is_loaded_to_say_hello(code: str) -> None:
    program = f"{code}\nimport sys; print('loaded', sorted(set(sys.modules) & {HEAVY!r}))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == "loaded []"
