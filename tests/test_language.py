"""Every program is in the common language of CmdStan 2.27 and the embedded engine: the oldest compiler takes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hbm_stan.engines import Engine
from hbm_stan.engines.install import find_cmdstan
from hbm_stan.families import families
from hbm_stan.program import Program

PROGRAMS = {f"{f.name}-{v.name}": f.program(v.name) for f in families().values() for v in f.variants if not v.program}


def refused(program: Program, folder: Path) -> str:
    """What CmdStan's compiler says against a program; empty where it takes it."""
    path = folder / "program.stan"
    path.write_text(program.code)
    stanc = Path(str(find_cmdstan())) / "bin" / "stanc"
    made = subprocess.run([stanc, f"--o={folder / 'out.hpp'}", path], capture_output=True, text=True, check=False)
    return "" if made.returncode == 0 else made.stdout + made.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_cmdstan_s_compiler_takes_the_program(name: str, cmdstan: Engine, tmp_path: Path) -> None:
    assert refused(PROGRAMS[name], tmp_path) == ""


def test_a_word_of_a_later_language_is_refused(cmdstan: Engine, tmp_path: Path) -> None:
    # Planted fault: a type that came with Stan 2.36.
    later = "parameters { sum_to_zero_vector[3] x; } model { x ~ std_normal(); }"
    assert "sum_to_zero_vector" in refused(Program("later", tmp_path / "later.stan", later), tmp_path)
