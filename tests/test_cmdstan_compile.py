"""Compiling with a made-up CmdStan: a shell script in the place of make writes the executables."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from processes import Child, until

from hbm_stan.engines.chains import cores
from hbm_stan.engines.cmdstan import CmdStanEngine
from hbm_stan.errors import EngineError, StorageError
from hbm_stan.program import Program

# Takes the steps of CmdStan's make: reads model.stan, writes model.hpp, a part of model, all of it; and those of a
# makefile for several programs at once.
MAKE = """#!/bin/sh
begin=$(date +%s%N)
together=""
if [ "$1" = -f ]; then together=together; grep -q '^include makefile' "$2" || exit 2; shift 2; fi
for target in "$@"; do
  case "$target" in *[!A-Za-z0-9/_.+,-]*) echo "make cannot take $target"; exit 2;; esac
  program="${target%.hpp}"
  "$(dirname "$0")/bin/stanc" --o="$program.hpp" "$program.stan" || exit 1
  cp "$program.stan" "$program.hpp" || exit 2
  [ "$program" = "$target" ] || continue
  touch "$TMPDIR/cc1.s"
  if grep -q 'C++ fault' "$program.stan"; then echo "cc1plus: out of words" ; echo "make: *** Error 1"; exit 2; fi
  if [ "$together" ] && grep -q 'alone' "$program.stan"; then echo "not together"; exit 2; fi
  printf '#!/bin/sh\\n' > "$program"
  chmod +x "$program"
  if [ -n "$HANG" ]; then sleep 60; fi
  sleep 0.2
  echo "echo $(cksum < "$program.stan")" >> "$program"
  echo "$begin $(date +%s%N) $together $MAKEFLAGS" >> "$LOG"
done
"""
STANC = """#!/bin/sh
if grep -q syntax "$2"; then echo "Syntax error in '$2', line 1" >&2; exit 1; fi
"""


@pytest.fixture
def cmdstan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CmdStanEngine:
    """An engine on a CmdStan of two scripts, with an empty cache."""
    root = tmp_path / "cmdstan"
    (root / "bin").mkdir(parents=True)
    (root / "makefile").write_text("CMDSTAN_VERSION := 9.9.9\n")
    for path, text in ((root / "bin" / "stanc", STANC), (root / "make.sh", MAKE)):
        path.write_text(text)
        path.chmod(0o755)
    temporary = tmp_path / "temp"
    temporary.mkdir()
    for name, value in {
        "MAKE": root / "make.sh", "LOG": tmp_path / "log", "HBM_CACHE": tmp_path / "cache", "TMPDIR": temporary,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr("tempfile.tempdir", None)
    return CmdStanEngine(root)


def program(name: str, code: str = "") -> Program:
    return Program(name, Path(f"/where/{name}.stan"), code or f"// {name}\n")


def build(engine: CmdStanEngine, *programs: Program) -> list[str]:
    messages: list[str] = []
    engine.build(programs, messages.append)
    return messages


def compiles(tmp_path: Path) -> int:
    log = tmp_path / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def files(folder: Path) -> set[str]:
    """All files, lock files aside."""
    return {p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"}


def test_each_program_is_compiled_once(cmdstan: CmdStanEngine, tmp_path: Path) -> None:
    a, b = program("a"), program("b")
    assert build(cmdstan, a, b) == ["Compiling 2 Stan programs with CmdStan 9.9.9"]
    assert build(cmdstan, a, b) == []
    assert compiles(tmp_path) == 2
    assert files(tmp_path / "cache") == {cmdstan.executable(a).name, cmdstan.executable(b).name}
    answers = [subprocess.run([cmdstan.executable(p)], capture_output=True, check=True).stdout for p in (a, b)]
    assert answers[0] != answers[1]
    assert list((tmp_path / "temp").iterdir()) == []


def built(engine: CmdStanEngine, *programs: Program) -> list[bytes]:
    """What the executables print: the check sum of the text that each was made of."""
    return [subprocess.run([engine.executable(p)], capture_output=True, check=True).stdout for p in programs]


def test_more_programs_than_cores_are_compiled_together(
    cmdstan: CmdStanEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hbm_stan.engines.cmdstan_compile.cores", lambda: 2)
    programs = [program(f"p{i}", "//" + " " * i) for i in range(5)]
    build(cmdstan, *programs)
    assert len(set(built(cmdstan, *programs))) == 5
    log = (tmp_path / "log").read_text().splitlines()
    assert len(log) == 5
    assert len({line.split()[0] for line in log}) == 2
    assert all(line.rstrip().endswith(" together") for line in log)
    again = [program(f"q{i}", p.code) for i, p in enumerate(programs)]
    for each in again:
        build(cmdstan, each)
    assert built(cmdstan, *again) == built(cmdstan, *programs)


def test_what_cannot_be_compiled_together_is_compiled_apart(
    cmdstan: CmdStanEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hbm_stan.engines.cmdstan_compile.cores", lambda: 1)
    programs = [program("a"), program("b", "// alone"), program("c")]
    build(cmdstan, *programs)
    assert len(set(built(cmdstan, *programs))) == 3
    with pytest.raises(EngineError) as error:
        build(cmdstan, program("d"), program("bad", "// C++ fault\n"), program("e"))
    assert str(error.value).startswith("/where/bad.stan: the C++ compiler failed. It says:\ncc1plus: out of words")


def test_programs_are_compiled_side_by_side(cmdstan: CmdStanEngine, tmp_path: Path) -> None:
    build(cmdstan, *(program(f"p{i}") for i in range(cores())))
    spans = [tuple(map(int, line.split()[:2])) for line in (tmp_path / "log").read_text().splitlines()]
    if cores() > 1:
        assert max(begin for begin, _ in spans) < min(end for _, end in spans)


def test_an_executable_belongs_to_text_name_version_and_place(cmdstan: CmdStanEngine, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "makefile").write_text("CMDSTAN_VERSION := 9.9.9\n")
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "makefile").write_text("CMDSTAN_VERSION := 9.9.10\n")
    places = {
        cmdstan.executable(program("a")),
        cmdstan.executable(program("b", "// a\n")),
        cmdstan.executable(program("a", "// a, changed\n")),
        CmdStanEngine(tmp_path / "other").executable(program("a")),
        CmdStanEngine(newer).executable(program("a")),
    }
    assert len(places) == 5
    assert cmdstan.executable(Program("a", Path("/elsewhere/a.stan"), "// a\n")) in places


def test_what_the_compilers_say_is_said(cmdstan: CmdStanEngine, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as error:
        build(cmdstan, program("good"), program("bad", "// C++ fault\n"))
    assert str(error.value).splitlines() == [
        "/where/bad.stan: the C++ compiler failed. It says:",
        "cc1plus: out of words",
        "make: *** Error 1",
    ]
    with pytest.raises(EngineError, match=r"^/where/bad.stan does not compile.*\nSyntax error in 'bad.stan', line 1"):
        build(cmdstan, program("bad", "// syntax\n"))
    assert not cmdstan.executable(program("bad", "// C++ fault\n")).exists()
    assert list((tmp_path / "temp").iterdir()) == []


def test_folders_with_blanks(cmdstan: CmdStanEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HBM_CACHE", "TMPDIR"):
        (tmp_path / "a b" / name).mkdir(parents=True)
        monkeypatch.setenv(name, str(tmp_path / "a b" / name))
    monkeypatch.setattr("tempfile.tempdir", None)
    build(cmdstan, program("a name with 'signs' $"))
    assert len(files(tmp_path / "a b" / "HBM_CACHE")) == 1
    assert files(tmp_path / "a b" / "TMPDIR") == set()


def test_what_reads_draws_is_imported_while_the_compiler_works(cmdstan: CmdStanEngine) -> None:
    told = "import time\nwhile 'xarray' not in sys.modules or 'scipy.special' not in sys.modules: time.sleep(0.01)\n"
    child = Child(["-c", BUILD + told + "print('there')", str(cmdstan.path), "a"])
    assert child.end()[1].splitlines()[-1] == "there"


def test_an_outer_make_does_not_reach_the_inner_one(
    cmdstan: CmdStanEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-n")
    build(cmdstan, program("a"))
    assert not (tmp_path / "log").read_text().rstrip("\n").endswith("-n")


BUILD = """
import sys
from pathlib import Path
from test_cmdstan_compile import program
from hbm_stan.engines.cmdstan import CmdStanEngine
try:
    CmdStanEngine(Path(sys.argv[1])).build([program(n) for n in sys.argv[2:]], print)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_two_processes_compile_a_program_once(cmdstan: CmdStanEngine, tmp_path: Path) -> None:
    children = [Child(["-c", BUILD, str(cmdstan.path), *names]) for names in ("ab", "ba", "bc")]
    assert [child.end()[::2] for child in children] == [(0, "")] * 3
    assert compiles(tmp_path) == 3
    assert files(tmp_path / "cache") == {cmdstan.executable(program(n)).name for n in "abc"}


@pytest.mark.parametrize("group", [False, True], ids=["parent only", "whole group"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupted_compiler_leaves_nothing(cmdstan: CmdStanEngine, tmp_path: Path, name: str, group: bool) -> None:
    child = Child(["-c", BUILD, str(cmdstan.path), "a", "b"], {"HANG": "1"})
    until(lambda: child.descendants("sleep\0" + "60"), child)
    child.send(getattr(signal, name), group=group)
    started = time.monotonic()
    code, out, err = child.end()
    assert (code, out.splitlines()[-1], err) == (0, "interrupted", "")
    assert time.monotonic() - started < 3
    assert child.descendants() == []
    assert files(tmp_path / "temp") == files(tmp_path / "cache") == set()
    assert len(build(cmdstan, program("a"))) == 1


def test_kill_9_leaves_no_half_executable(cmdstan: CmdStanEngine, tmp_path: Path) -> None:
    child = Child(["-c", BUILD, str(cmdstan.path), "a"], {"HANG": "1"})
    until(lambda: child.descendants("sleep\0" + "60"), child)
    child.kill()
    child.end()
    assert files(tmp_path / "cache") == set()
    dying = "import os\nos.replace = lambda *_: os.kill(os.getpid(), 9)\n"
    assert Child(["-c", dying + BUILD, str(cmdstan.path), "a"]).end()[0] == -9
    assert not cmdstan.executable(program("a")).exists()
    assert len(build(cmdstan, program("a"))) == 1
    assert files(tmp_path / "cache") == {cmdstan.executable(program("a")).name}


def test_an_executable_half_copied_to_a_full_disk_is_not_kept(
    cmdstan: CmdStanEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(_source: Path, target: Path) -> None:
        target.write_bytes(b"#!/bin/")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copy2", copy)
    with pytest.raises(StorageError, match="No space left on device"):
        build(cmdstan, program("a"))
    assert files(tmp_path / "cache") == set()


def test_a_stan_compiler_that_cannot_run(cmdstan: CmdStanEngine) -> None:
    os.chmod(cmdstan.path / "bin" / "stanc", 0o644)
    with pytest.raises(EngineError, match="stanc cannot be started"):
        build(cmdstan, program("a"))
