"""``hbm summary``: the estimates of a fit on the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

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
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.diagnosis import Diagnosis
    from hbm_stan.fit import Fit

_NUMBERS = ("mean", "sd", "5 %", "50 %", "95 %")


def summary(
    analysis: AnalysisArgument, engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None,
    parameterisation: ParameterisationOption = None,
    variant: Annotated[list[str] | None, typer.Option(help="Of this variant; may be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Parameters of groups too.")] = False,
) -> None:  # fmt: skip
    """Print the estimates of the population's parameters: mean, sd, quantiles, effective draws, and what they mean.

    Of partial pooling, unless --variant names others. Exit code 1 if a check failed: the numbers are then not to be
    trusted.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis):
        from rich.text import Text

        from hbm_stan.checks import check_fits
        from hbm_stan.cli.show import show_attempts, status_text
        from hbm_stan.parameterise import settle
        from hbm_stan.verdicts import for_json

        read = read_settled(run, analysis, parameterisation)
        named = tuple(variant or (read.main_variant,))
        fits = fits_of(run, read, settle(named, read.choice.variant) if read.choice else named)
        diagnoses, estimates = check_fits(fits, read.waived), {}
        for name, fit in fits.items():
            rows = _rows(fit, diagnoses[name], every)
            _show(run, read, fit, rows)
            run.show(Text("Checks: ") + status_text(diagnoses[name].status), *_failed(diagnoses[name]))
            estimates[name] = {"status": diagnoses[name].status, "parameters": for_json(rows)}
        show_attempts(run, fits)
        run.write_json(estimates)
        if any(d.status == "fail" for d in diagnoses.values()):
            raise typer.Exit(1)


def _rows(fit: Fit, diagnosis: Diagnosis, every: bool) -> dict[str, dict[str, Any]]:
    """Summaries by parameter: of the population in its order, then of groups where all are asked for."""
    from hbm_stan.predict import population_names

    table = diagnosis.summary
    names = [name for name in population_names(fit) if name in table.index]
    names += [name for name in table.index if name not in set(names)] if every else []
    return {name: table.loc[name].to_dict() for name in names}


def _show(run: Run, read: Analysis, fit: Fit, rows: dict[str, dict[str, Any]]) -> None:
    from rich.text import Text

    from hbm_stan.cli.show import plain_table
    from hbm_stan.results.digits import format_summary
    from hbm_stan.results.meanings import parameter_meanings, prior_rows

    meanings = {row.name: row.meaning for row in prior_rows(read, fit)} | parameter_meanings(read, fit)
    columns = ("bulk ESS", "R-hat")
    table = plain_table(fit.variant, *_NUMBERS, *columns, "meaning", right=(*_NUMBERS, *columns))
    for name, row in rows.items():
        meaning = meanings.get(name) or meanings.get(name.partition("[")[0], "")
        table.add_row(Text(name), *format_summary(row), *_mixing(row), Text(meaning))
    run.show(table)


def _mixing(row: Mapping[str, float]) -> tuple[str, str]:
    """Bulk ESS and R-hat; none of groups of which some draws are held only, for they mix as their population does."""
    return ("", "") if math.isnan(row["rhat"]) else (f"{row['ess_bulk']:,.0f}", f"{row['rhat']:.3f}")


def _failed(diagnosis: Diagnosis) -> list[str]:
    """What failed, and what to do about it."""
    return [f"These numbers are not to be trusted. {v.name}: {v.hint}" for v in diagnosis.failed]
