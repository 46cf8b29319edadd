"""``hbm fit`` and ``hbm check``: draws, to a precision if asked for, and the verdicts on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hbm_stan.cli.analysis import AnalysisArgument, fits_of, read_settled
from hbm_stan.cli.run import (
    ClusterOption,
    EngineOption,
    JsonOption,
    ParameterisationOption,
    QuietOption,
    Run,
    SeedOption,
    guarded,
    working_on,
)  # fmt: skip

if TYPE_CHECKING:
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.engines import Sampling
    from hbm_stan.fit import Fit
    from hbm_stan.precision import Reached

MCSE_HELP = "Draw until the Monte Carlo error of every mean is at most this share of its sd, such as 0.02."


def fit(
    analysis: AnalysisArgument, engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None,
    parameterisation: ParameterisationOption = None,
    variant: Annotated[list[str] | None, typer.Option(help="Fit this variant only; may be repeated.")] = None,
    mcse: Annotated[float | None, typer.Option(help=MCSE_HELP, metavar="SHARE", show_default=False)] = None,
    minutes: Annotated[float, typer.Option(help="With --mcse: minutes of sampling that are allowed in all.")] = 10,
    draws: Annotated[
        Path | None,
        typer.Option(help="Write the draws: a table (.csv, .csv.gz, .parquet), or for ArviZ (.nc).", metavar="PATH"),
    ] = None,
    cluster: ClusterOption = None,
) -> None:  # fmt: skip
    """Draw from the posteriors; the draws of parameters are kept as NetCDF in the analysis's folder fits/.

    Exit code 1 where a precision that was asked for (--mcse) was not reached.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis), working_on(cluster):
        from hbm_stan.cli.show import fits_as_dict, show_fits
        from hbm_stan.export import check_draws_file, write_draws
        from hbm_stan.parameterise import settle

        if draws is not None:
            check_draws_file(draws)
        read = read_settled(run, analysis, parameterisation)
        named = tuple(variant or read.variants)
        if draws is not None:
            check_draws_file(draws, len(named))
        settled = settle(named, read.choice.variant) if read.choice else named
        reached = None if mcse is None else _until_precise(run, read, settled, mcse, minutes)
        fits = fits_of(run, read, settled) if reached is None else reached.fits
        show_fits(run, read, fits)
        record = fits_as_dict(read, fits)
        if draws is not None:
            write_draws(fits, draws)
            run.show(str(draws))
        if reached is None:
            run.write_json(record)
            return
        run.show(reached.words)
        run.write_json({**record, "mcse": reached.as_dict()})
        if reached.stopped:
            raise typer.Exit(1)


def _until_precise(run: Run, read: Analysis, variants: tuple[str, ...], mcse: float, minutes: float) -> Reached:
    """The fits with as many draws as every mean needs."""
    from hbm_stan.precision import until_precise

    def fit_with(sampling: Sampling) -> dict[str, Fit]:
        return fits_of(run, replace(read, sampling=sampling), variants)

    return until_precise(fit_with, read.sampling, mcse, minutes, run.say)


def check(
    analysis: AnalysisArgument,
    engine: EngineOption = "auto",
    json: JsonOption = None,
    quiet: QuietOption = False,
    seed: SeedOption = None,
    parameterisation: ParameterisationOption = None,
) -> None:
    """Print the verdicts on every fit. Exit code 1 if a check failed: usable as a gate."""
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis):
        from hbm_stan.checks import check_fits
        from hbm_stan.cli.show import show_attempts, show_verdicts, verdicts_as_dict

        read = read_settled(run, analysis, parameterisation)
        fits = fits_of(run, read, read.variants)
        diagnoses = check_fits(fits, read.waived)
        table = next(iter(fits.values())).table
        show_verdicts(run, table.verdicts, diagnoses, table.noun)
        show_attempts(run, fits)
        run.write_json(verdicts_as_dict(table.verdicts, diagnoses))
        if any(d.status == "fail" for d in diagnoses.values()):
            raise typer.Exit(1)
