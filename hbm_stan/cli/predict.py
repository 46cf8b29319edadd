"""The command ``hbm predict``: rows that nobody has observed, of a file or of a grid."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hbm_stan.cli.analysis import AnalysisArgument, MinutesOption, fits_of
from hbm_stan.cli.condition import (
    ConditionOption,
    GroupsToOption,
    RefitOption,
    condition_fit,
    conditioned_record,
    read_condition_of,
    refuse_without_condition,
    show_groups,
)  # fmt: skip
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
    from collections.abc import Sequence

    import pandas as pd

    from hbm_stan.analysis.read import Analysis
    from hbm_stan.fit import Fit
    from hbm_stan.new_rows.needs import Needs
    from hbm_stan.new_rows.new_groups import NewGroups
    from hbm_stan.new_rows.predict import Prediction

RowsArgument = Annotated[
    str, typer.Argument(metavar="[ROWS]", help="A CSV with the columns of the model, a line for each row.")
]
GridOption = Annotated[
    str,
    typer.Option(help='Instead of rows: "days = 0:9, subject = known"; factors are known, new, population, averaged.'),
]
AtOption = Annotated[
    list[str] | None, typer.Option("--at", help='"age = 40, county = new": where all rows stand; may be repeated.')
]
NewOption = Annotated[
    list[str] | None,
    typer.Option("--new", help="COLUMN, or COLUMN=LABEL,LABEL: labels of ROWS that are new; may be repeated."),
]
VariantOption = Annotated[str, typer.Option(help="The variant; by default the one with partial pooling.")]
ToOption = Annotated[Path | None, typer.Option(help="The CSV to write, a line for each row.")]
DrawsOption = Annotated[Path | None, typer.Option(help="The NetCDF to write the draws into.")]
_SHOWN = 20  # lines on the terminal


def predict(
    analysis: AnalysisArgument, rows: RowsArgument = "", engine: EngineOption = "auto", json: JsonOption = None,
    quiet: QuietOption = False, seed: SeedOption = None, parameterisation: ParameterisationOption = None,
    grid: GridOption = "", at: AtOption = None, new: NewOption = None, condition: ConditionOption = None,
    variant: VariantOption = "", to: ToOption = None, groups_to: GroupsToOption = None, draws: DrawsOption = None,
    max_refits: RefitOption = None, minutes: MinutesOption = None,
) -> None:  # fmt: skip
    """The expected value and a new observation of each row, of known levels, new ones or the middle of a population.

    Mean, sd, median, 50 % and 90 % interval of both. With --condition, of groups that were never fitted, given their
    own rows: without ROWS these are predicted; where weights cannot follow these, they are fitted too. Draws that are
    kept are used, others are sampled first. Exit code 1 where a failed check, or rows of --condition that could not be
    fitted, withhold it.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis):
        _refuse_places(to, draws, groups_to, [rows, condition])
        refuse_without_condition(groups_to, condition)
        from hbm_stan.new_rows.predict import ask, predict_given, predict_rows
        from hbm_stan.new_rows.read import read_rows

        read, needs, given = read_with_condition(analysis, seed, variant, condition)
        chosen = given.own_rows if given is not None and not rows and not grid else rows or None
        asked = ask(needs, chosen, grid or None, _new(new or [], grid), ", ".join(at) if at else None)
        checked = read_rows(needs, asked)
        fit = passed_fit(run, read, variant, parameterisation)
        if given is None:
            prediction = predict_rows(fit, checked, keep=draws is not None)
        else:
            conditioned = condition_fit(run, fit, given, read, max_refits, minutes)
            prediction = predict_given(conditioned, checked, keep=draws is not None)
        _write(prediction, to, draws, groups_to)
        _show(run, prediction, needs)
        run.show(*(f"{path} is written." for path in (to, groups_to, draws) if path is not None))
        record = conditioned_record(prediction.conditioned)
        run.write_json(
            {"variant": fit.variant, "notes": list(prediction.notes), **record, "rows": records(prediction.table)}
        )


def _write(prediction: Prediction, to: Path | None, draws: Path | None, groups_to: Path | None) -> None:
    """Write what was asked for: the table of rows, that of conditioned groups, and draws."""
    from hbm_stan.files import write_beside

    groups = None if prediction.conditioned is None else prediction.conditioned.groups
    for path, table in ((to, prediction.table), (groups_to, groups)):
        if path is not None and table is not None:
            write_beside(path, table.to_csv(index=False, float_format="%.10g").encode())
    if draws is not None:
        _write_draws(prediction, draws)


def _refuse_places(
    to: Path | None, draws: Path | None, groups_to: Path | None, sources: Sequence[Path | str | None]
) -> None:  # fmt: skip
    """Refuse outputs that could not be written, or would overwrite what is none of ours."""
    from hbm_stan.errors import HbmError
    from hbm_stan.files import refuse_missing_folder, refuse_place

    for path, option, what, mine in (
        (to, "--to", "a table of predictions", lambda head: not head.strip() or b"_q05" in head),
        (groups_to, "--groups-to", "a table of groups", lambda head: not head.strip() or b"population_mean" in head),
        (draws, "--draws", "NetCDF", lambda head: not head or head.startswith((b"\x89HDF", b"CDF"))),
    ):
        if path is not None:
            refuse_missing_folder(path, option)
            refuse_place(path, option, what, mine)
    for path, option in ((to, "--to"), (groups_to, "--groups-to")):
        if path is not None and path.exists() and any(s and Path(s).exists() and path.samefile(s) for s in sources):
            raise HbmError(f"{option} {path} is the file of the rows. Name another file.")
    if to is not None and groups_to is not None and to.resolve() == groups_to.resolve():
        raise HbmError(f"--to and --groups-to both name {to}. Name two files.")


def _new(options: list[str], grid: str) -> dict[str, Any]:
    """Which labels are new, by column."""
    from hbm_stan.errors import HbmError

    if options and grid:
        raise HbmError("--new is for the labels of rows; in a grid write, for example, county = new.")
    new_labels: dict[str, Any] = {}
    for one in options:
        column, sign, labels = one.partition("=")
        if sign and not labels.strip():
            raise HbmError(f"--new {one}: name the labels, --new {column}=A,B, or the column alone: all are new.")
        named = [label.strip() for label in next(csv.reader(io.StringIO(labels), skipinitialspace=True), [])]
        new_labels[column.strip()] = [*new_labels.get(column.strip(), []), *named] if sign else "new"
    return new_labels


def read_with_condition(
    path: Path, seed: int | None, variant: str, condition: Path | None
) -> tuple[Analysis, Needs, NewGroups | None]:
    """The analysis, what a row of its model needs, and rows of new groups to be conditioned on.

    Mistakes in rows are said before anything is sampled.
    """
    from hbm_stan.analysis.read import read_analysis
    from hbm_stan.fit import prepare_table
    from hbm_stan.new_rows.predict import needs_given

    read = read_analysis(path).with_seed(seed)
    table = prepare_table(read.family, read.dataset)
    new = None if condition is None else read_condition_of(read, table, variant, condition)
    return read, needs_given(read.family, table, new, read.prediction), new


def passed_fit(run: Run, read: Analysis, variant: str, parameterisation: str | None) -> Fit:
    """The fit of a variant, by default that with partial pooling; raises DiagnosticError where it failed a check."""
    from dataclasses import replace

    from hbm_stan.checks import check
    from hbm_stan.cli.show import show_attempts
    from hbm_stan.errors import DiagnosticError
    from hbm_stan.report.build import settled

    name = read.family.variant(variant or read.main_variant).name
    read = settled(replace(read, variants=(name,), compared=()), parameterisation, run.say, engine=run.engine)
    (fit,) = fits_of(run, read, read.variants).values()
    show_attempts(run, {fit.variant: fit})
    try:
        check(fit, read.waived).require()
    except DiagnosticError as error:
        run.write_json({"withheld": True, "variant": fit.variant, "notes": [str(error)]})
        raise
    return fit


def _write_draws(prediction: Prediction, path: Path) -> None:
    from hbm_stan.files import write_beside

    buffer = io.BytesIO()
    assert prediction.draws is not None  # kept, as a file was named
    prediction.draws.to_netcdf(buffer, engine="h5netcdf")
    write_beside(path, buffer.getvalue())


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a table as plain values; numbers that are not finite are null."""
    from math import isfinite

    return [
        {str(k): None if isinstance(v, float) and not isfinite(v) else v for k, v in line.items()}
        for line in table.to_dict("records")
    ]


def _show(run: Run, prediction: Prediction, needs: Needs) -> None:
    """The first lines: what the model reads, then mean or shares with 90 % intervals."""
    from rich.text import Text

    from hbm_stan.cli.show import plain_table

    if prediction.conditioned is not None:
        show_groups(run, prediction.conditioned)
    own = [name for name in prediction.table.columns if name in needs.columns]
    titles = [*own, *(name if name != "new" else "new observation" for name in prediction.summarised)]
    table = plain_table(*titles, right=titles[len(own) :])
    for line in prediction.table.head(_SHOWN).to_dict("records"):
        cells = (
            f"{line[f'{f}_mean']:.4g} ({line[f'{f}_q05']:.4g}, {line[f'{f}_q95']:.4g})" for f in prediction.summarised
        )
        table.add_row(*(Text(_cell(line[name])) for name in own), *cells)
    run.show(Text("Means, with 90 % intervals in brackets."), table)
    if len(prediction.table) > _SHOWN:
        run.show(f"and {len(prediction.table) - _SHOWN:,} more: --to FILE writes all.")
    run.show(*(Text(note) for note in prediction.notes))


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
