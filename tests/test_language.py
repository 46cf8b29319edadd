"""Every program is in the common language of CmdStan 2.27, of the embedded engine and of a Stan of today.

The oldest compiler takes it, and that of Stan 2.35 or later, which the wheel of httpstan carries as a file.
"""

from __future__ import annotations

import re
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from hbm_stan.engines import Engine
from hbm_stan.engines.install import find_cmdstan
from hbm_stan.families import families
from hbm_stan.program import Program

PROGRAMS = {
    f"{f.name}-{v.name}": f.program(v.name) for f in families().values() for v in f.programs.variants if not v.program
}


def newest() -> Path:
    """The compiler in httpstan's wheel; skips where there is no wheel for this machine."""
    try:
        return Path(str(distribution("httpstan").locate_file("httpstan/stanc")))
    except PackageNotFoundError:
        pytest.skip("no wheel of httpstan for this machine")


def refused(program: Program, folder: Path, compiler: Path | None = None) -> str:
    """What a compiler, by default CmdStan's, says against a program; empty where it takes it."""
    path = folder / "program.stan"
    path.write_text(program.code)
    stanc = compiler or Path(str(find_cmdstan())) / "bin" / "stanc"
    completed = subprocess.run([stanc, f"--o={folder / 'out.hpp'}", path], capture_output=True, text=True, check=False)
    return "" if completed.returncode == 0 else completed.stdout + completed.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_cmdstan_s_compiler_takes_the_program(name: str, cmdstan: Engine, tmp_path: Path) -> None:
    assert refused(PROGRAMS[name], tmp_path) == ""


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_compiler_of_today_takes_the_program(name: str, tmp_path: Path) -> None:
    assert refused(PROGRAMS[name], tmp_path, newest()) == ""


def test_the_compiler_of_today_is_one() -> None:
    version = subprocess.run([newest(), "--version"], capture_output=True, text=True, check=True).stdout
    assert [int(minor) >= 35 for minor in re.findall(r"v2\.(\d+)", version)] == [True]


def test_a_word_of_a_later_or_an_earlier_language_is_refused(cmdstan: Engine, tmp_path: Path) -> None:
    # Planted faults: a type that came with Stan 2.36, and an array as it was written before 2.33.
    later = "parameters { sum_to_zero_vector[3] x; } model { x ~ std_normal(); }"
    assert "sum_to_zero_vector" in refused(Program("later", tmp_path / "later.stan", later), tmp_path)
    earlier = "data { int x[3]; } model { }"
    assert refused(Program("earlier", tmp_path / "earlier.stan", earlier), tmp_path) == ""
    assert "array" in refused(Program("earlier", tmp_path / "earlier.stan", earlier), tmp_path, newest())
