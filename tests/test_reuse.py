"""An analysis run again, changed, run twice at once, interrupted and killed: the command line's point of view."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from processes import Child, until
from spy import Spy

from hbm_stan.analysis.read import read_analysis
from hbm_stan.engines.cmdstan import CmdStanEngine
from hbm_stan.fit import Fit
from hbm_stan.report.build import fit_analysis, report

ANALYSIS = """
family = "normal_means"
data = "schools.csv"
variants = ["no_pooling", "partial_pooling"]
columns = { group = "school", estimate = "effect", standard_error = "se" }
priors = { mu = "normal(0, 5)", tau = "half_cauchy(5)", theta = "normal(0, 50)" }

[sampling]
chains = 2
warmup = 200
draws = 400
seed = 5
"""
CSV = "school,effect,se\nA,28,15\nB,8,10\nC,-3,16\nD,7,11\nE,-1,9\nF,1,11\nG,18,10\nH,12,18\n"
VARIANTS = ["no_pooling", "partial_pooling"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An analysis of two variants."""
    place = tmp_path / "my analysis [1]"
    place.mkdir()
    (place / "analysis.toml").write_text(ANALYSIS)
    (place / "schools.csv").write_text(CSV)
    return place


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def run(folder: Path, spy: Spy) -> dict[str, Fit]:
    spy.sampled.clear()
    return fit_analysis(read_analysis(folder), engine=spy)


def stored_files(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "fits").iterdir() if p.suffix != ".lock")


def hbm(*arguments: str | Path, **environment: str) -> Child:
    return Child(["-W", "error", "-m", "hbm_stan", *map(str, arguments)], environment)


# Again


@pytest.mark.usefixtures("undrawn")
def test_a_second_report_samples_nothing_and_writes_nothing(folder: Path) -> None:
    spy = Spy()
    first = report(folder, engine=spy)
    assert spy.sampled == VARIANTS
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (first.pdf, first.json)}
    second = report(folder, engine=spy)
    assert spy.sampled == VARIANTS
    assert (first.fresh, second.fresh) == (True, False)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (first.pdf, first.json)} == before
    # A question in other words is a new report on the same draws; so is one that is forced.
    change(folder / "analysis.toml", "\nfamily", '\nquestion = "Why?"\nfamily')
    assert report(folder, engine=spy).fresh
    assert spy.sampled == VARIANTS


CHANGES = [
    ("schools.csv", "C,-3,16", "C,4,16", VARIANTS, "the data changed (y[3] from -3.0 to 4.0)"),
    ("schools.csv", "C,4,16", "C,4,16.5", VARIANTS, "the data changed (se[3] from 16.0 to 16.5)"),
    ("schools.csv", "C,4,16", "Ç,4,16", VARIANTS, "the data changed (groups[3] from C to Ç)"),
    ("schools.csv", "Ç,4,16.5\n", "", VARIANTS, "the data changed (groups, J from 8 to 7, y, se)"),
    ("analysis.toml", "half_cauchy(5)", "half_normal(5)", VARIANTS[1:],
     "the prior of tau changed from half_cauchy(5) to half_normal(5)"),
    ("analysis.toml", "normal(0, 50)", "normal(0, 60)", VARIANTS[:1],
     "the prior of theta changed from normal(0, 50) to normal(0, 60)"),
    ("analysis.toml", "seed = 5", "seed = 6", VARIANTS, "seed changed from 5 to 6"),
    ("analysis.toml", "draws = 400", "draws = 500", VARIANTS, "draws changed from 400 to 500"),
    ("analysis.toml", "seed = 6", "seed = 6\nadapt_delta = 0.95", VARIANTS,
     "adapt_delta changed from 0.9 to 0.95"),
]  # fmt: skip


def test_what_changed_is_sampled_again_and_said(folder: Path) -> None:
    spy = Spy()
    run(folder, spy)
    for file, old, new, sampled, reason in CHANGES:
        change(folder / file, old, new)
        fits = run(folder, spy)
        assert spy.sampled == sampled
        assert {name: f.reason for name, f in fits.items() if not f.reused} == dict.fromkeys(sampled, reason)


def test_a_change_taken_back_needs_no_sampling(folder: Path) -> None:
    spy = Spy()
    run(folder, spy)
    change(folder / "schools.csv", "C,-3,16", "C,4,16")
    run(folder, spy)
    change(folder / "schools.csv", "C,4,16", "C,-3,16")
    assert all(f.reused for f in run(folder, spy).values())


def test_what_means_the_same_to_stan_is_not_sampled_again(folder: Path) -> None:
    spy = Spy()
    run(folder, spy)
    csv, toml = folder / "schools.csv", folder / "analysis.toml"
    rows = [f"{line},{i}" for i, line in enumerate(CSV.replace("28", "28.0").splitlines())]
    csv.write_text("\r\n".join(rows))  # other bytes, and a column that plays no part
    change(toml, "family", 'title = "New"\nfamily')
    change(toml, "seed = 5", "seed = 5 # the same\nadapt_delta = 0.9\nmax_treedepth = 10")
    assert all(f.reused for f in run(folder, spy).values())


def test_another_engine_or_version_samples_again(folder: Path) -> None:
    run(folder, Spy())
    fits = run(folder, Spy(version="1.1"))
    assert {f.reason for f in fits.values()} == {"the engine changed from spy 1.0 to spy 1.1"}


def test_a_damaged_fit_is_sampled_again(folder: Path) -> None:
    spy = Spy()
    before = run(folder, spy)
    path = read_analysis(folder).store.path("no_pooling", before["no_pooling"].key)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    fits = run(folder, spy)
    assert spy.sampled == ["no_pooling"]
    assert fits["no_pooling"].reason == f"{path.name} is damaged"
    xr.testing.assert_identical(fits["no_pooling"].tree, before["no_pooling"].tree)
    assert all(f.reused for f in run(folder, spy).values())


# The command


def test_the_command_uses_draws_again_but_no_damaged_ones(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "answer.json"

    def answer() -> dict[str, Any]:
        code, _, err = hbm("fit", folder, "--engine", "stanli", "--json", target).end()
        assert code == 0
        # Steps alone: no traceback, and with -W error no warning either.
        assert all(line.startswith(("no_pooling: ", "partial_pooling: ")) for line in err.splitlines())
        reply: dict[str, Any] = json.loads(target.read_text())
        return reply

    first, second = answer(), answer()
    assert [(f["reused"], f["reason"]) for f in first.values()] == [(False, "no earlier draws")] * 2
    assert [(f["reused"], f["reason"]) for f in second.values()] == [(True, "nothing changed")] * 2
    cut, foreign = (folder / "fits" / name for name in stored_files(folder))
    cut.write_bytes(cut.read_bytes()[:-1])
    xr.Dataset({"theta": ("x", [1.0])}).to_netcdf(foreign, engine="h5netcdf")
    third = answer()
    assert all("is damaged" in f["reason"] and not f["reused"] for f in third.values())
    assert [f["key"] for f in third.values()] == [f["key"] for f in first.values()]


SPY = """
import sys
from pathlib import Path
from spy import Spy
from hbm_stan.analysis.read import read_analysis
from hbm_stan.report.build import fit_analysis
folder, log, seconds = sys.argv[1:]
fits = fit_analysis(read_analysis(folder), engine=Spy(log=Path(log), seconds=float(seconds)), say=print)
print(*(f.reused for f in fits.values()))
"""


def test_two_processes_at_once_sample_once(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    children = [Child(["-u", "-c", SPY, str(folder), str(log), "0.5"]) for _ in range(2)]
    ends = [child.end() for child in children]
    assert [(code, err) for code, _, err in ends] == [(0, "")] * 2
    assert sorted(log.read_text().split()) == VARIANTS
    lines = [out.splitlines()[-1].split() for _, out, _ in ends]
    assert all({a, b} == {"True", "False"} for a, b in zip(*lines, strict=True))
    assert any("another process is sampling it; waiting" in out for _, out, _ in ends)
    assert len(stored_files(folder)) == 2


def test_a_killed_process_is_taken_over(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = Child(["-u", "-c", SPY, str(folder), str(log), "60"])
    until(log.exists, first)
    second = Child(["-u", "-c", SPY, str(folder), str(log), "0"])
    assert second.process.stdout
    assert "another process is sampling it" in second.process.stdout.readline()
    first.kill()
    first.end()
    assert second.end()[0] == 0
    assert log.read_text().split() == ["no_pooling", *VARIANTS]
    assert len(stored_files(folder)) == 2


def slow(folder: Path) -> None:
    change(folder / "analysis.toml", "warmup = 200", "warmup = 1000000")


@pytest.mark.parametrize(("name", "group"), [("SIGINT", True), ("SIGTERM", False)])
def test_an_interrupted_command_leaves_no_process_and_no_file(
    cmdstan: CmdStanEngine, folder: Path, name: str, group: bool
) -> None:
    analysis = read_analysis(folder)
    cmdstan.build([analysis.family.program(v) for v in VARIANTS], lambda _text: None)
    slow(folder)
    child = hbm("fit", folder, "--engine", "cmdstan")
    until(lambda: child.descendants("no_pooling"), child)
    child.send(getattr(signal, name), group=group)
    code, out, err = child.end()
    *steps, last = err.splitlines()
    assert (code, out, last) == (130, "", "hbm: stopped. What was finished before is kept.")
    assert all(line.startswith("no_pooling: ") for line in steps)
    assert child.descendants() == []
    assert stored_files(folder) == []


def test_what_was_finished_before_an_interrupt_is_kept(folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child(["-u", "-c", SPY.replace("float(seconds)", "0 if not log else 0"), str(folder), str(log), "0"])
    assert child.end()[0] == 0
    slow(folder)
    change(folder / "analysis.toml", "normal(0, 50)", "normal(0, 51)")
    lock = folder / "fits" / ".no_pooling.lock"
    lock.unlink(missing_ok=True)  # the first run's: interrupted before its own, the second would be starting Python
    second = hbm("fit", folder, "--engine", "stanli")
    until(lock.exists, second)
    second.send(signal.SIGINT)
    assert second.end()[0] in (130, -signal.SIGINT)
    assert len(stored_files(folder)) == 2


def test_a_full_disk_is_exit_code_3(folder: Path, tiny_disk: Path) -> None:
    for name in ("analysis.toml", "schools.csv"):
        (tiny_disk / name).write_text((folder / name).read_text())
    code, out, err = hbm("fit", tiny_disk, "--engine", "stanli").end()
    assert (code, out) == (3, "")
    assert err.startswith(f"hbm: {tiny_disk}/fits: draws cannot be kept there (")
    assert "MB are needed" in err
    assert "Traceback" not in err
    assert stored_files(tiny_disk) == []
