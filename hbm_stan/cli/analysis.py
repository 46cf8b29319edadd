"""What commands on an analysis share: its argument, reading it, fitting it with progress."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.budget import Budget
    from hbm_stan.cli.run import Run
    from hbm_stan.fit import Fit

MinutesOption = Annotated[float | None, typer.Option("--minutes", help="What repairs may take in all.", min=0)]
AnalysisArgument = Annotated[Path, typer.Argument(metavar="ANALYSIS", help="An analysis folder, or its analysis.toml.")]


def mistyped(target: str) -> str | None:
    """A word that can only be a path, and names nothing; None for any other, such as the name of a family."""
    return target if os.sep in target and not os.path.exists(target) else None


def read_settled(run: Run, path: Path, parameterisation: str | None) -> Analysis:
    """The analysis with its seed, and with partial pooling in the form that the data call for."""
    from hbm_stan.analysis.read import read_analysis
    from hbm_stan.report.build import settled

    read = read_analysis(path).with_seed(run.seed)
    with run.sampling_progress() as progress:
        return settled(read, parameterisation, run.say, engine=run.engine, progress=progress)


def fits_of(run: Run, analysis: Analysis, variants: tuple[str, ...]) -> dict[str, Fit]:
    """The fits of these variants, with a bar for each where somebody watches."""
    from hbm_stan.report.build import fit_analysis

    with run.sampling_progress() as progress:
        return fit_analysis(analysis, variants, engine=run.engine, say=run.say, progress=progress)


def budget_of(analysis: Analysis, max_refits: int | None, minutes: float | None) -> Budget:
    """What repairs may cost; made after sampling, which the minutes do not count."""
    from hbm_stan.budget import Budget

    return Budget(
        analysis.max_refits if max_refits is None else max_refits, analysis.minutes if minutes is None else minutes
    )
