"""``hbm fit`` and ``hbm check``: draws, to a precision if asked for, and the verdicts on them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from hbm_stan.cli.analysis import AnalysisArgument, fits_of, read_settled
from hbm_stan.cli.run import (
    EngineOption,
    JsonOption,
    ParameterisationOption,
    QuietOption,
    Run,
    SeedOption,
    guarded,
)  # fmt: skip

if TYPE_CHECKING:
    pass

MCSE_HELP = "Draw until the Monte Carlo error of every mean is at most this share of its sd, such as 0.02."


def fit(
    analysis: AnalysisArgument, engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None,
    parameterisation: ParameterisationOption = None,
    variant: Annotated[list[str] | None, typer.Option(help="Fit this variant only; may be repeated.")] = None,
    mcse: Annotated[float | None, typer.Option(help=MCSE_HELP, metavar="SHARE", show_default=False)] = None,
    minutes: Annotated[float, typer.Option(help="With --mcse: minutes of sampling that are allowed in all.")] = 10,
) -> None:  # fmt: skip
    """Draw from the posteriors; the draws are kept as NetCDF with ArviZ's groups in the analysis's folder fits/.

    Exit code 1 where a precision that was asked for (--mcse) was not reached.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis):
        from hbm_stan.cli.show import fits_as_dict, show_fits
        from hbm_stan.parameterise import settle
        from hbm_stan.precision import check_target, until_precise

        if mcse is not None:
            check_target(mcse)
        read = read_settled(run, analysis, parameterisation)
        named = tuple(variant or read.variants)
        settled = settle(named, read.choice.variant) if read.choice else named
        if mcse is None:
            fits = fits_of(run, read, settled)
            show_fits(run, read, fits)
            run.write_json(fits_as_dict(read, fits))
            return
        reached = until_precise(
            lambda sampling: fits_of(run, replace(read, sampling=sampling), settled),
            read.sampling,
            mcse,
            minutes,
            run.say,
        )
        show_fits(run, read, reached.fits)
        run.show(reached.words)
        run.write_json({**fits_as_dict(read, reached.fits), "mcse": reached.as_dict()})
        if reached.stopped:
            raise typer.Exit(1)


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
