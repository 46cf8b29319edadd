"""What makes the report again: versions, programs, whether they are certified, and the command."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from hbm_stan.analysis.read import Analysis
from hbm_stan.fit import Fit
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
class Reproduction(Entry):
    """What the appendix prints, and how much of it: ``appendix`` is "full", "short" or "none"."""

    versions: dict[str, str]
    programs: list[dict[str, str]]
    certificate: dict[str, Any]
    appendix: str
    command: str


def reproduction_of(
    analysis: Analysis, main: Fit, programs: list[dict[str, str]], proofs: dict[str, Any]
) -> Reproduction:
    """What the appendix of an analysis prints."""
    place = shlex.quote(_place(analysis.folder))
    return Reproduction(
        versions=versions(),
        programs=programs,
        certificate=proofs,
        appendix=analysis.appendix,
        command=f"hbm report {place} --engine {main.engine} --seed {main.sampling.seed}",
    )


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


def program_of(fit: Fit) -> dict[str, str]:
    """The Stan program of a fit: its file, its hash, its code with and without what it includes."""
    program = fit.family.program(fit.variant)
    entry = {"variant": fit.variant, "file": program.path.name, "sha256": program.sha256, "code": program.code}
    return entry | {"source": program.path.read_text(encoding="utf-8")}


def _place(folder: Path) -> str:
    """The analysis folder as a reader would name it: from where the command was given, if it lies below."""
    try:
        return str(folder.resolve().relative_to(Path.cwd()))
    except ValueError:
        return folder.resolve().name
