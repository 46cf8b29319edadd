"""Where CmdStan is on this machine, and what building with it lacks here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path

from hbm_stan.engines.cmdstan_build import UNFINISHED, make_program
from hbm_stan.errors import EngineError

_WITHOUT = "Everything also runs without CmdStan, on the embedded engine: --engine stanli."


class NoCmdStanError(EngineError):
    """There is no CmdStan, and none can be made: after what is wrong it names the other engine."""

    def __init__(self, message: str, apart: str = " ") -> None:
        super().__init__(f"{message}{apart}{_WITHOUT}")


def cmdstan_home() -> Path:
    """The folder in which CmdStanPy keeps its CmdStans."""
    return Path.home() / ".cmdstan"


def find_cmdstan() -> Path | None:
    """
    The CmdStan to use: the one that CMDSTAN names, else the newest finished one in ~/.cmdstan, else None.

    Raises EngineError if CMDSTAN is set and is not a CmdStan.
    """
    named = os.environ.get("CMDSTAN", "")
    if named:
        return _named_cmdstan(Path(named).expanduser())
    folders = sorted(cmdstan_home().glob("cmdstan-*"), key=_by_version, reverse=True)
    return next((folder for folder in folders if is_finished(folder)), None)


def _named_cmdstan(path: Path) -> Path:
    lacking = [part for part in ("makefile", "bin/stanc") if not (path / part).is_file()]
    if not lacking and not os.access(path / "bin" / "stanc", os.X_OK):
        lacking = ["the right to run bin/stanc"]
    if lacking or (path / UNFINISHED).exists():
        problem = f"it lacks {' and '.join(lacking)}" if lacking else "its build was not finished"
        raise NoCmdStanError(
            f"CMDSTAN is set to {path}, which is not a usable CmdStan: {problem}. "
            "Set it to a built CmdStan, or unset it and run `hbm install-cmdstan`."
        )
    return path


def _by_version(folder: Path) -> tuple[float, ...]:
    """A key: 2.9 before 2.27, a release candidate before its release, other names first of all."""
    match = re.fullmatch(r"cmdstan-(\d+)\.(\d+)\.(\d+)(?:-rc(\d+))?", folder.name)
    if not match:
        return (-1.0,)
    return tuple(float(number) if number else float("inf") for number in match.groups())


def is_finished(root: Path) -> bool:
    """Whether ``make build`` of a CmdStan went to its end: compiler, tools, main object and TBB are there."""
    parts = [root / "makefile", *(root / "bin" / tool for tool in ("stanc", "stansummary", "diagnose"))]
    return (
        all(part.is_file() for part in parts)
        and os.access(root / "bin" / "stanc", os.X_OK)
        and any((root / "src" / "cmdstan").glob("main*.o"))
        and (any((root / "stan/lib/stan_math/lib/tbb").glob("libtbb.*")) or _has_foreign_tbb(root))
        and not (root / UNFINISHED).exists()
    )


def _has_foreign_tbb(root: Path) -> bool:
    """Whether make/local names a TBB of the system's, which then is not built in the tree."""
    local = root / "make" / "local"
    return local.is_file() and "TBB_LIB" in local.read_text(errors="replace")


def cmdstan_version(path: Path) -> str:
    """The version that the makefile of a CmdStan states, such as "2.27.0"."""
    makefile = path / "makefile"
    text = makefile.read_text(errors="replace") if makefile.is_file() else ""
    match = re.search(r"^CMDSTAN_VERSION\s*:?=\s*(\S+)", text, re.MULTILINE)
    if not match:
        raise EngineError(f"{makefile} does not state CMDSTAN_VERSION: {path} is not a CmdStan.")
    return match.group(1)


def toolchain_missing() -> list[str]:
    """The tools that compiling lacks here, by name: of make and a C++ compiler."""
    missing = [] if shutil.which(make_program()) else [make_program()]
    if not compiler():
        missing.append(os.environ.get("CXX") or "g++")
    return missing


def compiler() -> str | None:
    """The C++ compiler, as CXX names it (perhaps behind a launcher, with flags), else g++, else clang++."""
    words = [word for word in shlex.split(os.environ.get("CXX", "")) if not word.startswith("-")]
    if words:
        return words[-1] if all(shutil.which(word) for word in words) else None
    return next((name for name in ("g++", "clang++") if shutil.which(name)), None)
