"""Build a CmdStan source tree, prove that it works, and move it to its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hbm_stan.errors import EngineError

Progress = Callable[[float], None]

# In a tree that has it, some step of ours is still to come: such a tree is never taken for a CmdStan.
UNFINISHED = ".hbm-unfinished"
# Their run path is the folder they were linked in, so they are linked again where the tree comes to rest.
_TOOLS = ("bin/stansummary", "bin/diagnose", "bin/print")
# What `make` would hand down from an outer make: its job server, and overrides meant for the outer makefile.
_OUTER_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "GNUMAKEFLAGS")
# Lines that `make build` of CmdStan 2.27 prints; only the progress bar depends on it.
_BUILD_LINES = 660
_TAIL_LINES = 12
_PROOF_DRAWS = 200


def run_child(
    argv: Sequence[str],
    *,
    what: str,
    cwd: Path,
    deadline: float,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> str:
    """
    The output of a command, stderr included; whatever ends this call ends all of the command's processes.

    ``deadline`` is a time of the monotonic clock. The output is added to ``log`` too.
    Raises EngineError, with the last lines of the output, if the command fails or is late.
    """
    lines: list[str] = []
    late = threading.Event()

    def stop() -> None:
        late.set()
        _kill_group(child)

    with _start(argv, cwd) as child:
        alarm = threading.Timer(max(0.0, deadline - time.monotonic()), stop)
        alarm.start()
        try:
            _collect(child, lines, log, on_line)
        except BaseException:
            _kill_group(child)
            raise
        finally:
            alarm.cancel()
    if late.is_set():
        raise EngineError(f"{what} was not done in time and was stopped.{_tail(lines)}")
    if child.returncode != 0:
        raise EngineError(f"{what} failed with exit code {child.returncode}.{_tail(lines)}")
    return "".join(lines)


def _start(argv: Sequence[str], cwd: Path) -> subprocess.Popen[str]:
    """A child in a session of its own: one signal then reaches make and every compiler below it."""
    env = own_environment()
    # What a killed compiler or download leaves in its folder for temporary files goes when our folder goes.
    env |= {"PYTHONUNBUFFERED": "1", "TMPDIR": str(cwd)}
    return subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip


def _collect(
    child: subprocess.Popen[str], lines: list[str], log: Path | None, on_line: Callable[[str], None] | None
) -> None:
    with log.open("a", encoding="utf-8") if log else contextlib.nullcontext() as copy:
        for line in child.stdout or ():
            lines.append(line)
            if copy:
                copy.write(line)
            if on_line:
                on_line(line)
    child.wait()


def _kill_group(child: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def _tail(lines: Sequence[str]) -> str:
    shown = [line.rstrip() for line in lines if line.strip()][-_TAIL_LINES:]
    return " The end of its output:\n  " + "\n  ".join(shown) if shown else ""


def own_environment() -> dict[str, str]:
    """The environment without what an outer make hands down: that is meant for the outer makefile."""
    return {k: v for k, v in os.environ.items() if k not in _OUTER_MAKE}


def make_program() -> str:
    """The name of make, as CmdStanPy takes it from the environment."""
    return os.environ.get("MAKE") or "make"


def line_counter(progress: Progress) -> Callable[[str], None]:
    """A function of a build's output lines that tells ``progress`` how far the build must be."""
    seen = 0

    def count(_line: str) -> None:
        nonlocal seen
        seen += 1
        progress(min(1.0, seen / _BUILD_LINES))

    return count


def build(root: Path, *, cores: int, deadline: float, log: Path, progress: Progress | None = None) -> None:
    """Run ``make build`` in a CmdStan source tree; ``progress`` gets a fraction from 0 to 1."""
    run_child(
        [make_program(), f"-j{cores}", "build"],
        what="Building CmdStan",
        cwd=root,
        deadline=deadline,
        log=log,
        on_line=line_counter(progress) if progress else None,
    )


def prove(root: Path, workshop: Path, *, deadline: float, log: Path) -> None:
    """Compile a small program with this CmdStan and draw from it; raises EngineError if that fails."""
    run_child([str(root / "bin" / "stanc"), "--version"], what="stanc", cwd=root, deadline=deadline, log=log)
    proof = workshop / "proof"
    shutil.rmtree(proof, ignore_errors=True)
    proof.mkdir()
    example = root / "examples" / "bernoulli"
    shutil.copy(example / "bernoulli.stan", proof)
    program, draws = proof / "bernoulli", proof / "draws.csv"
    make = [make_program(), str(program)]
    run_child(make, what="Compiling a first program", cwd=root, deadline=deadline, log=log)
    sample = [str(program), "sample", f"num_samples={_PROOF_DRAWS}", "num_warmup=200", "random", "seed=1"]
    sample += ["data", f"file={example / 'bernoulli.data.json'}", "output", f"file={draws}"]
    run_child(sample, what="Running a first program", cwd=proof, deadline=deadline, log=log)
    rows = [line for line in draws.read_text().splitlines() if line[:1] not in ("#", "l", "")]
    if len(rows) != _PROOF_DRAWS:
        raise EngineError(f"A first program gave {len(rows)} draws instead of {_PROOF_DRAWS}: {root} is not sound.")


def settle(staged: Path, target: Path, *, cores: int, deadline: float, log: Path) -> None:
    """Move a built and proven tree to ``target`` and prove it there; only then does it count as a CmdStan."""
    (staged / UNFINISHED).touch()
    for tool in _TOOLS:
        (staged / tool).unlink(missing_ok=True)
    (staged / "examples" / "bernoulli" / "bernoulli").unlink(missing_ok=True)
    staged.rename(target)
    try:
        build(target, cores=cores, deadline=deadline, log=log)
        prove(target, staged.parent, deadline=deadline, log=log)
    except BaseException:
        # CmdStanPy takes the highest version that it sees, finished or not.
        shutil.rmtree(target, ignore_errors=True)
        raise
    (target / UNFINISHED).unlink()
