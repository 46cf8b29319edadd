"""The command ``hbm contrast``: one setting against another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hbm_stan.cli.analysis import AnalysisArgument, MinutesOption
from hbm_stan.cli.condition import ConditionOption, RefitOption, condition_fit, conditioned_record, show_groups
from hbm_stan.cli.predict import AtOption, VariantOption, passed_fit, read_with_condition, records
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
    from hbm_stan.new_rows.contrast import Contrast

SettingsArgument = Annotated[
    str, typer.Argument(metavar="CONTRAST", help='"arm = drug - arm = placebo", with blanks around the minus.')
]
ScaleOption = Annotated[
    str, typer.Option(help="difference or ratio of expected values, or link: difference of linear predictors.")
]
RegionOption = Annotated[
    tuple[float, float] | None, typer.Option(metavar="LOW HIGH", help="Say the probability of lying between the two.")
]
_WORDS = {
    "difference": "Difference of expected values", "ratio": "Ratio of expected values",
    "link": "Difference of linear predictors",
}  # fmt: skip


def contrast(
    analysis: AnalysisArgument, settings: SettingsArgument, engine: EngineOption = "auto", json: JsonOption = None,
    quiet: QuietOption = False, seed: SeedOption = None, parameterisation: ParameterisationOption = None,
    at: AtOption = None, scale: ScaleOption = "difference", region: RegionOption = None, variant: VariantOption = "",
    condition: ConditionOption = None, max_refits: RefitOption = None, minutes: MinutesOption = None,
) -> None:  # fmt: skip
    """How far the expected values of two settings lie apart, with intervals and the probability of the direction.

    All else stands at the usual row, or where --at says; grouping factors too. With --condition, of groups that were
    never fitted too, given their own rows. Exit code 1 where a failed check, or rows of --condition that could not be
    fitted, withhold it.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis):
        from hbm_stan.new_rows.contrast import contrast_pairs, has_average, read_pairs, refuse_region

        read, needs, given = read_with_condition(analysis, seed, variant, condition)
        refuse_region(region)
        pairs = read_pairs(
            needs, settings, ", ".join(at) if at else None, averaged=has_average(read.family, scale)
        )  # fmt: skip
        fit = passed_fit(run, read, variant, parameterisation)
        conditioned = None if given is None else condition_fit(run, fit, given, read, max_refits, minutes)
        if conditioned is not None:
            show_groups(run, conditioned)
        after = fit if conditioned is None else conditioned.fit
        contrasts = contrast_pairs(after, pairs, settings.strip(), scale, region)
        _show(run, contrasts, fit.n_draws)
        run.write_json({
            "contrast": contrasts.title, "scale": contrasts.scale, "variant": fit.variant,
            "notes": list(contrasts.notes), "region": region, **conditioned_record(conditioned),
            "lines": records(contrasts.table),
        })  # fmt: skip


def _show(run: Run, contrasts: Contrast, n_draws: int) -> None:
    """A line for each contrast."""
    from rich.text import Text

    from hbm_stan.cli.show import plain_table
    from hbm_stan.new_rows.contrast import SCALES
    from hbm_stan.results.digits import format_probability

    own = list(contrasts.table.columns[: list(contrasts.table.columns).index("mean")])
    none = f"{SCALES[contrasts.scale]:g}"
    numbers = ["mean", "median", "50 %", "90 %", "direction", *(["in region"] if "p_region" in contrasts.table else [])]
    table = plain_table(*own, *numbers, right=numbers)
    for line in contrasts.table.to_dict("records"):
        cells = [f"{line['mean']:.4g}", f"{line['q50']:.4g}"]
        cells += [f"{line[low]:.4g} to {line[high]:.4g}" for low, high in (("q25", "q75"), ("q05", "q95"))]
        cells.append(f"{line['direction']} {none}: {format_probability(line['p_direction'], n_draws)}")
        cells += [format_probability(line["p_region"], n_draws)] if "p_region" in line else []
        table.add_row(*(Text(str(line[name])) for name in own), *cells)
    run.show(
        Text(f"{_WORDS[contrasts.scale]}: {contrasts.title}", style="bold"),
        table,
        *(Text(note) for note in contrasts.notes),
    )
