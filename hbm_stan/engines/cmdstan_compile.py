"""Stan programs become executables of CmdStan: several at once, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from hbm_stan.engines.chains import Ended, Task, run_together
from hbm_stan.engines.cmdstan_build import make_program, own_environment
from hbm_stan.engines.cmdstan_units import MODEL, compiled_before, density_once, shared_out, write_unit
from hbm_stan.engines.words import in_program
from hbm_stan.engines.workplace import storing, work_folder
from hbm_stan.errors import EngineError
from hbm_stan.program import Program
from hbm_stan.resources import cores

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
        sources = {target: workshop / str(i) / MODEL for i, target in enumerate(todo)}
        for target, source in sources.items():
            with storing(workshop):
                source.parent.mkdir()
                source.with_suffix(".stan").write_text(todo[target].code, encoding="utf-8")
        if not _translate(cmdstan, list(sources.values())):
            for target, source in sources.items():
                _check(cmdstan, todo[target], source.with_suffix(".stan"))
        units = shared_out({target: len(program.code) for target, program in todo.items()}, cores())
        before = compiled_before(cmdstan / "src" / "cmdstan" / "main.o")
        failed = _make([_unit_task(cmdstan, unit, sources, before) for unit in units], sources)
        if failed:  # each by itself and as it was translated: the message is that of one program
            for target in (left := [target for target in todo if not target.exists()]):
                sources[target].with_suffix(".hpp").unlink(missing_ok=True)
            failed = _make([_task(cmdstan, [target], sources, [str(sources[target])]) for target in left], sources)
        if failed:
            tail = "\n".join([line for line in failed.lines if line.strip()][-_TAIL:])
            raise EngineError(
                f"{todo[Path(failed.task.name.splitlines()[0])].path}: the C++ compiler failed. It says:\n{tail}"
            )


def _translate(cmdstan: Path, sources: Sequence[Path]) -> bool:
    """Let make translate the programs, as it is set up to, and take from the C++ what would be compiled twice."""
    translated = [source.with_suffix(".hpp") for source in sources]
    task = Task("translate", [make_program(), *map(str, translated)], cmdstan, own_environment())
    if any(ended.code != 0 for ended in run_together([task], lambda _task, _line: None)):
        return False
    for path in translated:
        with storing(path):
            path.write_text(density_once(path.read_text(encoding="utf-8")), encoding="utf-8")
    return True


def _make(tasks: Sequence[Task], sources: Mapping[Path, Path]) -> Ended | None:
    """Run calls of make, named by what they make, and keep their executables; what failed, if something did."""
    failed = None
    for ended in run_together(tasks, lambda _task, _line: None):
        if ended.code != 0:
            failed = ended
        else:
            for target in map(Path, ended.task.name.splitlines()):
                _keep(sources[target], target)
    return failed


def _check(cmdstan: Path, program: Program, source: Path) -> None:
    """Let the Stan compiler alone look at a program where make failed: its message is not mixed with those of make."""
    stanc = cmdstan / "bin" / "stanc"
    try:
        done = subprocess.run([stanc, f"--o={os.devnull}", source], capture_output=True, text=True, check=False)
    except OSError as error:
        raise EngineError(f"{stanc} cannot be started ({error.strerror or error}).") from error
    if done.returncode != 0:
        words = in_program(done.stderr or done.stdout, program)
        raise EngineError(f"{program.path} does not compile. The Stan compiler says:\n{words}")


def _unit_task(cmdstan: Path, unit: Sequence[Path], sources: Mapping[Path, Path], before: Sequence[str]) -> Task:
    own = [sources[target] for target in unit]
    with storing(own[0].parent):
        makefile = write_unit(own[0].with_name("unit"), own, before)
    return _task(cmdstan, unit, sources, ["-f", str(makefile), *map(str, own)])


def _task(cmdstan: Path, targets: Sequence[Path], sources: Mapping[Path, Path], words: Sequence[str]) -> Task:
    # What a killed compiler leaves among the temporary files goes when our folder goes.
    environment = own_environment() | {"TMPDIR": str(sources[targets[0]].parent)}
    return Task("\n".join(map(str, targets)), [make_program(), *words], cmdstan, environment)


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
