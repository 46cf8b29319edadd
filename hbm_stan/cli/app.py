"""The command ``hbm``."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import hbm_stan
from hbm_stan.cli.analysis import AnalysisArgument
from hbm_stan.cli.calibrate import calibrate
from hbm_stan.cli.compare import compare
from hbm_stan.cli.contrast import contrast
from hbm_stan.cli.decide import decide
from hbm_stan.cli.fit import check, fit
from hbm_stan.cli.predict import predict
from hbm_stan.cli.run import (
    ClusterOption,
    EngineOption,
    JsonOption,
    ParameterisationOption,
    QuietOption,
    Run,
    SeedOption,
    guarded,
    run_app,
    working_on,
)  # fmt: skip
from hbm_stan.cli.sensitivity import sensitivity
from hbm_stan.cli.summary import summary
from hbm_stan.cli.truth import reference, regress, verify

_SETTINGS: dict[str, Any] = {
    "add_completion": False, "no_args_is_help": True, "rich_markup_mode": None, "pretty_exceptions_enable": False,
    "help": "Fit grouped data with complete, no and partial pooling in Stan; check, compare, predict, report.",
}  # fmt: skip
app = typer.Typer(**_SETTINGS)


def main() -> None:
    """Run the command line."""
    run_app(lambda: app_of(sys.argv[1:])(prog_name="hbm"))


def app_of(words: list[str]) -> typer.Typer:
    """The app with the command alone that these words begin with, else whole: to build all takes 20 ms (ours)."""
    named = [
        c for c in app.registered_commands if words and words[0] == (c.name or getattr(c.callback, "__name__", ""))
    ]
    if not named:
        return app
    one = typer.Typer(**_SETTINGS)
    one.registered_callback, one.registered_commands = app.registered_callback, named
    return one


@app.callback(invoke_without_command=True)
def version_option(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Options before the command."""
    if version:
        typer.echo(f"hbm_stan {hbm_stan.__version__}")
        raise typer.Exit


@app.command()
def report(
    analysis: AnalysisArgument, engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None, parameterisation: ParameterisationOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write the report even if nothing changed.")] = False,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Fit under other priors first, as `hbm sensitivity` does.")
    ] = False,
    formats: Annotated[
        str, typer.Option("--format", help="pdf, or pdf,html: report.html too, one file that needs no other.")
    ] = "pdf",
    cluster: ClusterOption = None,
) -> None:  # fmt: skip
    """Fit, check, compare, predict, and write report.pdf and results.json. Exit code 1 if a check failed."""
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis), working_on(cluster):
        from hbm_stan.cli.show import show_report
        from hbm_stan.report.build import report as make_report

        with run.sampling_progress() as progress:
            document = make_report(
                analysis, engine=engine, seed=seed, force=force, sensitivity=sensitivity,
                parameterisation=parameterisation, formats=[f.strip() for f in formats.split(",")], say=run.say,
                progress=progress,
            )  # fmt: skip
        show_report(run, document)
        run.write_json(document.results)
        if document.results["status"] == "fail":
            raise typer.Exit(1)


GroupNameOption = Annotated[
    str, typer.Option(help="What a group is: child, or child, children; else the column's name.")
]
UnitOption = Annotated[
    str, typer.Option(help="The unit of the outcome; of a family with units in groups, their column.")
]
OutcomeUnitOption = Annotated[str, typer.Option(help="The unit of the outcome, of any family.")]
FamilyOption = Annotated[str, typer.Option(help="Without a formula: the model family; `hbm families` lists them.")]
LikelihoodOption = Annotated[
    str,
    typer.Option(
        help="Of a formula: normal, binomial, poisson ...; by default as the outcome is. Of a map: "
        "negative_binomial for counts that spread more than Poisson counts."
    ),
]
NoCentreOption = Annotated[
    bool, typer.Option("--no-centre", help="With a formula: columns as they are, not centred at their means.")
]
ReferenceOption = Annotated[
    list[str] | None, typer.Option(help="COLUMN=LEVEL: the level that a category's others are compared with.")
]
WeightsOption = Annotated[str, typer.Option(help="The column that says how many times each row counts.")]
ZiOption = Annotated[str, typer.Option(help='With extra zeros: what their share depends on, "~ x"; else a constant.')]
LevelsOption = Annotated[
    list[str] | None,
    typer.Option(help="COLUMN=LEVEL,LEVEL,...: the order of a category's levels; of an outcome, the lowest first."),
]
LogScaleOption = Annotated[
    bool, typer.Option("--log-scale", help="Estimates are ratios with limits, such as odds ratios.")
]
NeighboursOption = Annotated[
    str, typer.Option(help="Of a map: a CSV with two areas side by side in each row, or a GeoJSON file of outlines.")
]
MissingOption = Annotated[
    str, typer.Option(help="Of missing outcomes: pattern_mixture (they are shifted) or selection (they select).")
]
SelectionOption = Annotated[
    str, typer.Option(help="Of events: a CSV with a value and the probability that an event with it is seen.")
]
IntegralOption = Annotated[
    str, typer.Option(help='Of curves: "lower = 0, upper = 1, kernel = matern_52, mean = linear".')
]
QuestionOption = Annotated[str, typer.Option(help="What you want to know, in words; it opens the report.")]


@app.command()
def new(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="DATA", help="A CSV or a dataset folder; then a formula, in quotes.")],
    to: Annotated[Path, typer.Option(help="The folder to write analysis.toml into.")],
    family: FamilyOption = "", likelihood: LikelihoodOption = "", no_centre: NoCentreOption = False,
    engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False, seed: SeedOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an analysis.toml that is there.")] = False,
    reference: ReferenceOption = None, levels: LevelsOption = None, log_scale: LogScaleOption = False,
    level: Annotated[float | None, typer.Option(help="What the limits of estimates hold, if not 95 %.")] = None,
    unit_labels: Annotated[str, typer.Option(help="repeat: equal labels of units in two groups are two units.")] = "",
    neighbours: NeighboursOption = "", missing: MissingOption = "", selection: SelectionOption = "",
    integral: IntegralOption = "", weights: WeightsOption = "", zi: ZiOption = "", group_name: GroupNameOption = "",
    unit: UnitOption = "", outcome_unit: OutcomeUnitOption = "", question: QuestionOption = "",
) -> None:  # fmt: skip
    """Write an analysis.toml with every default spelled out.

    With a formula: hbm new data.csv "y ~ x + (1 + x | subject)" --to folder; --group names the factor that is pooled.
    Else name columns by role: --group subject --outcome y --predictors x --varying x; or those of a --family.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run):
        from hbm_stan.resources import find_data

        # Of words that it does not know, the parser takes the first for DATA: it may be an option of a role.
        if not data.startswith("-") and ("~" not in data or data.startswith("~/")):
            find_data(data)  # a mistyped path is said before the libraries are imported
        from hbm_stan.analysis.new import new_analysis
        from hbm_stan.analysis.told import Told
        from hbm_stan.cli.roles import family_of_limits, formula_among, orders, references, table_and_roles, unit_role

        options = [o for p in context.command.params for o in p.opts if o.startswith("--")]
        formula, words = formula_among([data, *context.args], family, likelihood)
        of_roles, unit = unit_role(family, unit, outcome_unit)
        table, roles = table_and_roles([*words, *of_roles], family, options, formula=bool(formula))
        family = family or family_of_limits(roles, formula, likelihood)
        analysis = new_analysis(
            table, family or likelihood, roles, to, formula=formula, force=force, seed=seed, **_centre(no_centre),
            reference=references(reference or []), levels=orders(levels or []), log_scale=log_scale, level=level,
            unit_labels=unit_labels, weights=weights, zi=zi, neighbours=neighbours, missing=missing or None,
            selection=selection, integral=integral, likelihood=likelihood if family else "",
            told=Told(question, group_name, unit),
        )  # fmt: skip
        run.show(*analysis.notes, *(f"Warning: {warning}" for warning in analysis.warnings), *analysis.missing)
        run.show(f"{analysis.path} is written. Next: hbm report {shlex.quote(str(to))}")
        run.write_json(analysis.as_dict())


def _centre(no_centre: bool) -> dict[str, bool]:
    return {"centre": False} if no_centre else {}


new_command = app.registered_commands[-1]
new_command.context_settings = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("new-family")
def new_family(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of your family; its folder gets it too.")],
    to: Annotated[Path, typer.Option(help="The folder to make it in.")] = Path(),
    engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False, seed: SeedOption = None,
) -> None:  # fmt: skip
    """Write a family of your own to begin with: programs, family.py, tests, a table and an analysis that work."""
    run = Run(engine, json, quiet, seed)
    with guarded(run):
        from hbm_stan.skeleton import new_family as write_family

        folder = write_family(name, to)
        place = shlex.quote(str(folder))
        run.show(f"{folder} is written, a working example. Next: hbm report {place}; pytest {place}")
        run.write_json({"family": str(folder)})


@app.command()
def families(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of them, or the folder of your own.", show_default=False)
    ] = None,
    engine: EngineOption = "auto",
    json: JsonOption = None,
    quiet: QuietOption = False,
    seed: SeedOption = None,
) -> None:
    """List the model families and the columns that they need; of one, its variants, priors and options too."""
    run = Run(engine, json, quiet, seed)
    with guarded(run):
        from hbm_stan.cli.show_families import families_as_dict, show_families, show_family
        from hbm_stan.families import families as all_families
        from hbm_stan.families import family as find_family

        if name is None:
            show_families(run, all_families())
            run.write_json(families_as_dict(all_families()))
        else:
            family = find_family(name)
            show_family(run, family)
            run.write_json(families_as_dict({family.name: family}))


@app.command()
def doctor(
    engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False, seed: SeedOption = None
) -> None:
    """Say what is installed, which engine would be used, and what is missing. Exit code 3 if nothing can sample."""
    run = Run(engine, json, quiet, seed)
    with guarded(run):
        from hbm_stan.cli.doctor import examine

        environment = examine(engine)
        run.show(*(f"{name:<16} {value}" for name, value in environment.items()))
        run.write_json(environment)


@app.command("install-cmdstan")
def install_cmdstan(
    engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False, seed: SeedOption = None
) -> None:
    """Install CmdStan where CmdStanPy finds it, from the first source that answers; nothing if it is there."""
    run = Run(engine, json, quiet, seed)
    with guarded(run):
        from hbm_stan.cli.doctor import install

        path, version = install(run)
        run.show(f"CmdStan {version} is ready.")
        run.write_json({"path": str(path), "version": version})


for command in (
    fit, check, summary, compare, predict, contrast, decide, sensitivity, reference, regress, verify, calibrate,
):  # fmt: skip
    app.command()(command)

__all__: list[Any] = ["app", "main"]
