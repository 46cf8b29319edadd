"""Stan programs become executables of CmdStan: several at once, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from hbm_stan.engines.chains import Task, run_together
from hbm_stan.engines.cmdstan_build import make_program, own_environment
from hbm_stan.engines.words import in_program
from hbm_stan.engines.workplace import storing, work_folder
from hbm_stan.errors import EngineError
from hbm_stan.program import Program

_TAIL = 15  # lines of the C++ compiler's output in a message


def compile_programs(cmdstan: Path, wanted: Mapping[Path, Program]) -> None:
    """Compile each program to its path unless it is there; raises EngineError in the compiler's words.

    They are compiled elsewhere and renamed: a half-written executable never bears the name of a whole one. Of two
    processes that want the same one the second waits.
    """
    with contextlib.ExitStack() as held:
        for target in sorted(wanted):  # in one order everywhere, so that no two processes wait for each other
            with storing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(FileLock(target.with_name(f".{target.name}.lock")))
        todo = {target: program for target, program in wanted.items() if not target.exists()}
        if todo:
            _compile(cmdstan, todo)


def _compile(cmdstan: Path, todo: Mapping[Path, Program]) -> None:
    with work_folder() as workshop:
        sources = {target: workshop / str(i) / "model.stan" for i, target in enumerate(todo)}
        for target, source in sources.items():
            with storing(workshop):
                source.parent.mkdir()
                source.write_text(todo[target].code, encoding="utf-8")
            _translate(cmdstan, todo[target], source)
        tasks = {str(target): _task(cmdstan, target, source) for target, source in sources.items()}
        for ended in run_together(list(tasks.values()), lambda _task, _line: None):
            target = Path(ended.task.name)
            if ended.code != 0:
                tail = "\n".join([line for line in ended.lines if line.strip()][-_TAIL:])
                raise EngineError(f"{todo[target].path}: the C++ compiler failed. It says:\n{tail}")
            _keep(sources[target].with_suffix(""), target)


def _translate(cmdstan: Path, program: Program, source: Path) -> None:
    """Let the Stan compiler alone look at the program first: its message is not mixed with those of make."""
    stanc = cmdstan / "bin" / "stanc"
    try:
        done = subprocess.run([stanc, f"--o={os.devnull}", source], capture_output=True, text=True, check=False)
    except OSError as error:
        raise EngineError(f"{stanc} cannot be started ({error.strerror or error}).") from error
    if done.returncode != 0:
        words = in_program(done.stderr or done.stdout, program)
        raise EngineError(f"{program.path} does not compile. The Stan compiler says:\n{words}")


def _task(cmdstan: Path, target: Path, source: Path) -> Task:
    # What a killed compiler leaves among the temporary files goes when our folder goes.
    environment = own_environment() | {"TMPDIR": str(source.parent)}
    return Task(str(target), [make_program(), str(source.with_suffix(""))], cmdstan, environment)


def _keep(built: Path, target: Path) -> None:
    beside = target.with_name(f".{target.name}.writing")  # ours alone: we hold the lock
    with storing(target):
        try:
            shutil.copy2(built, beside)
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
