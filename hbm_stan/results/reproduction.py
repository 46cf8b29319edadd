"""What makes the report again: versions, programs, whether they are certified, and the command."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hbm_stan.analysis.read import Analysis
from hbm_stan.fit import Fit
from hbm_stan.later import metadata
from hbm_stan.results.entry import Entry

_PACKAGES = (
    "hbm-stan",
    "arviz",
    "arviz-stats",
    "cmdstanpy",
    "numpy",
    "pandas",
    "plotnine",
    "scipy",
    "stanli",
    "typst",
    "xarray",
)


@dataclass(frozen=True, kw_only=True)
class ProgramText(Entry):
    """An entry of ``programs``: a Stan program, its ``code`` with what it includes, its ``source`` as the file stands.

    ``sha256`` is the hash of the code.
    """

    variant: str
    file: str
    sha256: str
    code: str
    source: str


def command_of(analysis: Analysis, main: Fit) -> str:
    """The command that makes the report again."""
    place = shlex.quote(_place(analysis.folder))
    return f"hbm report {place} --engine {main.engine} --seed {main.sampling.seed}"


@cache
def versions() -> dict[str, str]:
    """The versions of everything that a number of the report went through."""
    import platform

    installed = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            installed[package] = "not installed as a package"
    return installed


def program_of(fit: Fit) -> ProgramText:
    """The Stan program of a fit: its file, its hash, its code with and without what it includes."""
    program = fit.family.program(fit.variant)
    return ProgramText(
        variant=fit.variant, file=program.path.name, sha256=program.sha256, code=program.code,
        source=program.path.read_text(encoding="utf-8"),
    )  # fmt: skip


def _place(folder: Path) -> str:
    """The analysis folder as a reader would name it: from where the command was given, if it lies below."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return folder.resolve().name
