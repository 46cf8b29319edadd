"""The command ``hbm compare``: both targets side by side, each with its own words."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hbm_stan.cli.analysis import AnalysisArgument, MinutesOption, budget_of, fits_of, read_settled
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
    from collections.abc import Mapping
    from pathlib import Path

    from hbm_stan.analysis.read import Analysis
    from hbm_stan.comparison import Comparison
    from hbm_stan.densities import Unit
    from hbm_stan.diagnosis import Diagnosis
    from hbm_stan.fit import Fit

TargetOption = Annotated[
    str | None,
    typer.Option(
        help="observation (a new row of a known group: LOO) or group (a new group: leave-one-group-out); else both. "
        "Of a map also patch (an area whose neighbours are left out too)."
    ),
]
RefitsOption = Annotated[
    int | None,
    typer.Option("--max-refits", help="Exact refits for each variant and target; 0 repairs no Pareto k.", min=0),
]
FactorsOption = Annotated[
    bool,
    typer.Option("--factors", help="Compare a formula's model with those that lack one of its grouping factors."),
]
LikelihoodsOption = Annotated[
    bool,
    typer.Option("--likelihoods", help="Compare the likelihoods that the outcome of a formula can have."),
]


def compare(
    analysis: AnalysisArgument, engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None, parameterisation: ParameterisationOption = None, target: TargetOption = None,
    max_refits: RefitsOption = None, minutes: MinutesOption = None, factors: FactorsOption = False,
    likelihoods: LikelihoodsOption = False, cluster: ClusterOption = None,
) -> None:  # fmt: skip
    """Compare the variants by leaving each row, and each group, out; a high Pareto k is repaired.

    With --factors the model with partial pooling is compared with those that lack one of its grouping factors, with
    --likelihoods with those of other likelihoods. Exit code 1 where a failed check or a Pareto k that could not be
    repaired withholds it.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis), working_on(cluster):
        from hbm_stan.compare import unit_of
        from hbm_stan.errors import ComparisonError, DiagnosticError

        if factors and likelihoods:
            raise ComparisonError("--factors and --likelihoods are two questions: ask one at a time.")
        if target == "patch" and (factors or likelihoods):
            raise ComparisonError("--target patch: patches of a map are left out of its variants only.")
        only = None if target is None else unit_of(target)
        variants = _compare_patches if target == "patch" else _compare_variants
        compared = _compare_factors if factors else _compare_likelihoods if likelihoods else variants
        try:
            withheld = compared(run, analysis, parameterisation, only, max_refits, minutes)
        except DiagnosticError as error:
            run.write_json({"withheld": True, "verdict": [str(error)], "scores": []})
            raise
        if withheld:
            raise typer.Exit(1)


def _compare_variants(
    run: Run, analysis: Path, parameterisation: str | None, only: Unit | None, max_refits: int | None,
    minutes: float | None,
) -> bool:  # fmt: skip
    """Show and write the comparison of the variants; whether it is withheld."""
    from hbm_stan.compare import both_targets

    read, fits, diagnoses = _fitted(run, analysis, parameterisation)
    with run.steps() as tick:
        comparisons = both_targets(fits, diagnoses, only, budget_of(read, max_refits, minutes), read.store, tick)
    return _written(run, fits, {str(unit): comparison for unit, comparison in comparisons.items()})


def _compare_patches(
    run: Run, analysis: Path, parameterisation: str | None, _only: Unit | None, max_refits: int | None,
    minutes: float | None,
) -> bool:  # fmt: skip
    """The same of the variants of a map, patches of areas left out."""
    from hbm_stan.analysis.read import read_analysis
    from hbm_stan.compare import compare as compare_fits
    from hbm_stan.repair.folds import neighbours_of

    neighbours_of(read_analysis(analysis).dataset)  # refused before a pilot
    read, fits, diagnoses = _fitted(run, analysis, parameterisation)
    budget = budget_of(read, max_refits, minutes)
    with run.steps() as tick:
        comparison = compare_fits(fits, diagnoses, "patch", budget=budget, store=read.store, say=tick)
    return _written(run, fits, {"patch": comparison})


def _fitted(
    run: Run, analysis: Path, parameterisation: str | None
) -> tuple[Analysis, dict[str, Fit], dict[str, Diagnosis]]:
    """The analysis, the fits of the variants that it compares, and their checks."""
    from hbm_stan.checks import check_fits
    from hbm_stan.errors import ComparisonError

    read = read_settled(run, analysis, parameterisation)
    if len(read.compared) < 2:
        raise ComparisonError(f"{analysis}: a comparison needs two variants of different pooling at least.")
    fits = fits_of(run, read, read.compared)
    return read, fits, check_fits(fits, read.waived)


def _written(run: Run, fits: Mapping[str, Fit], comparisons: Mapping[str, Comparison]) -> bool:
    """Show and write comparisons by target; whether one is withheld."""
    from hbm_stan.cli.show import show_attempts

    show_attempts(run, fits)
    for comparison in comparisons.values():
        show_comparison(run, comparison)
    run.write_json({target: comparison.as_dict() for target, comparison in comparisons.items()})
    return any(comparison.withheld for comparison in comparisons.values())


def _compare_factors(
    run: Run, analysis: Path, parameterisation: str | None, only: Unit | None, max_refits: int | None,
    minutes: float | None,
) -> bool:  # fmt: skip
    """Show and write the comparison of the grouping factors; whether it is withheld."""
    from dataclasses import replace

    from hbm_stan.analysis.read import read_analysis
    from hbm_stan.cli.show import show_attempts
    from hbm_stan.factors import fit_models, judge_factors, reduced_models
    from hbm_stan.parameterise import DEFAULT, named_parameterisation
    from hbm_stan.report.build import settled

    read = read_analysis(analysis).with_seed(run.seed)
    main = read.main_variant if read.family.variant(read.main_variant).pooling == "partial" else "partial_pooling"
    reduced_models(read.family, read.dataset, main)  # refused before a pilot
    forms = main == DEFAULT and named_parameterisation(read.family, parameterisation or read.parameterisation) is None
    read = settled(replace(read, variants=(main,), compared=(main,)), parameterisation, run.say, engine=run.engine)
    models = reduced_models(read.family, read.dataset, read.main_variant)
    with run.sampling_progress() as progress:
        fits = fit_models(
            models, priors=read.priors, sampling=read.sampling, engine=read.engine_for(run.engine),
            store=read.store, say=run.say, progress=progress, minutes=read.minutes, waive=read.waived, forms=forms,
        )  # fmt: skip
    budget = budget_of(read, max_refits, minutes)
    with run.steps() as tick:
        comparison = judge_factors(models, fits, only, waive=read.waived, budget=budget, store=read.store, say=tick)
    show_attempts(run, fits)
    _show_each(run, comparison.comparisons)
    run.write_json(comparison.as_dict())
    return comparison.withheld


def _compare_likelihoods(
    run: Run, analysis: Path, parameterisation: str | None, only: Unit | None, max_refits: int | None,
    minutes: float | None,
) -> bool:  # fmt: skip
    """Show and write the comparison of the likelihoods; whether it is withheld."""
    from rich.text import Text

    from hbm_stan.analysis.read import read_analysis
    from hbm_stan.cli.show import show_attempts
    from hbm_stan.errors import ComparisonError
    from hbm_stan.ladder import fit_ladder, judge_ladder, ladder_of

    if parameterisation:
        raise ComparisonError("--parameterisation: each likelihood's own pilots choose it; leave it out.")
    read = read_analysis(analysis).with_seed(run.seed)
    ladder = ladder_of(read.family, read.dataset)
    with run.sampling_progress() as progress:
        fits = fit_ladder(
            ladder, priors=read.priors, sampling=read.sampling, engine=read.engine_for(run.engine),
            store=read.store, say=run.say, progress=progress, minutes=read.minutes, waive=read.waived,
        )  # fmt: skip
    budget = budget_of(read, max_refits, minutes)
    with run.steps() as tick:
        comparison = judge_ladder(ladder, fits, only, waive=read.waived, budget=budget, store=read.store, say=tick)
    show_attempts(run, fits)
    run.show(*(Text(words) for words in (*comparison.rows, *ladder.left_out)), Text(""))
    _show_each(run, comparison.comparisons)
    run.show(*map(Text, comparison.extra_zeros))
    run.write_json(comparison.as_dict())
    return comparison.withheld


def _show_each(run: Run, comparisons: Mapping[Unit, Comparison]) -> None:
    """The scores and the sentences of each target."""
    from rich.text import Text

    for comparison in comparisons.values():
        show_scores(run, comparison)
        run.show(*(Text(s) for s in [*comparison.verdict, *comparison.notes]), Text(""))


_NUMBERS = ("elpd", "SE", "MCSE", "diff", "SE used", "p_loo", "weight", "k high", "repaired")


def show_comparison(run: Run, comparison: Comparison) -> None:
    """The scores and the verdict in words."""
    from rich.text import Text

    show_scores(run, comparison)
    run.show(*(Text(s) for s in [*comparison.verdict, *comparison.notes]))
    ranked = [s for s in comparison.scores if s.ranked]
    if len(ranked) > 1 and not comparison.withheld and any(s.weight is None for s in ranked):
        run.show(Text("Stacking weights are shown only where the best variant predicts better than each other one."))
    run.show(Text(""))


def show_scores(run: Run, comparison: Comparison) -> None:
    """The scores, best first, the routes of repaired units, and what is to be said of each."""
    from rich.text import Text

    from hbm_stan.cli.show import plain_table
    from hbm_stan.scores import Route

    table = plain_table("variant", *_NUMBERS, right=_NUMBERS)
    for s in comparison.scores:
        gap = ("–", "–") if comparison.withheld else (_fixed(s.elpd_diff), _fixed(s.se_diff_used))
        sure = "?" if s.pareto_k_high else ""
        numbers = (_fixed(s.elpd) + sure, _fixed(s.se), _fixed(s.mcse, 2), *gap, _fixed(s.p_loo), _fixed(s.weight, 2))
        table.add_row(s.variant, *numbers, str(s.pareto_k_high), str(s.repaired))
    of = f"{comparison.n_units:,} {comparison.units}"
    run.show(Text(f"Target: {comparison.target}; {of}.", style="bold"))
    run.show(Text(f"Pareto k is good below {comparison.k_threshold:.2f}; r_eff = 1."), table)
    run.show(*(Text(f"{s.variant}: {s.route.words}.") for s in comparison.scores if s.route is not Route.PSIS))
    if comparison.repairs:
        run.show(_repairs(comparison.repairs))
    run.show(*(Text(f"{s.variant}: {words}") for s in comparison.scores for words in _unrepaired(comparison, s)))
    run.show(*(Text(f"{s.variant}: {s.reading}") for s in comparison.scores if s.reading))


def _fixed(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or isnan(value) else f"{value:.{digits}f}"


def _repairs(rows: list[dict[str, Any]]) -> Any:
    from rich.text import Text

    numbers = ("k", "k after", "elpd before", "elpd")
    from hbm_stan.cli.show import plain_table

    table = plain_table("repaired", *numbers, "route", right=numbers)
    for row in rows:
        values = (row["pareto_k"], row["pareto_k_after"], row["elpd_before"], row["elpd"])
        name = Text(f"{row['variant']}, {row['label']}")
        table.add_row(name, *(_fixed(v, 2) for v in values), row["route"])
    return table


def _unrepaired(comparison: Comparison, score: Any) -> list[str]:
    """Units that are left, each reason once."""
    reasons = comparison.pointwise[score.variant].reasons
    by_reason: dict[str, list[str]] = {}
    for i, words in reasons.items():
        by_reason.setdefault(words, []).append(comparison.labels[i])
    return [f"not repaired: {_some(labels)}: {words.rstrip('.')}." for words, labels in by_reason.items()]


def _some(labels: list[str]) -> str:
    return ", ".join(labels[:5]) + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
