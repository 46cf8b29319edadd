"""The command ``hbm sensitivity``: what other priors, or one group less, would do to the answer."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hbm_stan.cli.analysis import AnalysisArgument, read_settled
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
    from rich.table import Table

    from hbm_stan.sensitivity.alternatives import Alternatives
    from hbm_stan.sensitivity.conclusion import Conclusion, Interval
    from hbm_stan.sensitivity.influence import Influence
    from hbm_stan.sensitivity.power import Power
    from hbm_stan.sensitivity.run import Sensitivity
    from hbm_stan.sensitivity.unseen import Unseen

_MOST_GROUPS = 10
_OTHERS = "Other priors, by refits; elpd (of new rows) less that of the best other variant, and the SE used"


def sensitivity(
    analysis: AnalysisArgument, engine: EngineOption = "auto", json: JsonOption = None, quiet: QuietOption = False,
    seed: SeedOption = None, parameterisation: ParameterisationOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only what needs no refit: power-scaling, and weights without groups.")
    ] = False,
    refit_groups: Annotated[
        int | None,
        typer.Option("--refit-groups", help="Groups to refit without at most, where weights fail; else 10.", min=0),
    ] = None,
    cluster: ClusterOption = None,
) -> None:  # fmt: skip
    """Would another prior, or one group less, change the answer? Exit code 1 where a fit failed its checks.

    Priors and likelihood are scaled by a power (no refit); then the analysis is fitted again under other priors.
    Fits are kept; the report shows the result that was found last.
    """
    run = Run(engine, json, quiet, seed)
    with guarded(run, analysis), working_on(cluster):
        from hbm_stan.sensitivity.run import sensitivity as look

        read = read_settled(run, analysis, parameterisation)
        with run.sampling_progress() as progress:
            assessment = look(
                read, engine=engine, quick=quick, refit_groups=refit_groups, say=run.say, progress=progress
            )
        _show(run, assessment)
        run.write_json(assessment.as_dict())
        if assessment.withheld:
            raise typer.Exit(1)


def _show(run: Run, assessment: Sensitivity) -> None:
    """A table and its sentences for each of the three looks."""
    from rich.text import Text

    if assessment.withheld:
        run.show(Text(assessment.withheld))
        return
    parts: list[tuple[str, Table | None, tuple[str, ...]]] = []
    if assessment.unseen is not None:
        parts.append(_unseen(assessment.unseen))
    if assessment.power is not None:
        scaled = (
            f"Priors and likelihood ({assessment.power.likelihood}) raised to a power near 1: power-scaling sensitivity"
        )
        parts.append((scaled, _power(assessment.power), assessment.power.sentences))
    if assessment.alternatives is not None:
        parts.append((_OTHERS, _alternatives(assessment.alternatives), assessment.alternatives.sentences))
    if assessment.influence is not None:
        left_out = assessment.influence.noun.fill("{Groups}")
        rows = _influence(assessment.influence) if assessment.influence.rows else None
        parts.append(
            (f"{left_out} left out, those that move the population most", rows, assessment.influence.sentences)
        )
    run.show(Text("Medians, with 90 % intervals in brackets; (!) marks a conclusion that changes."))
    for title, table, sentences in parts:
        run.show(Text(title, style="bold"), *([] if table is None else [table]), *(Text(s) for s in sentences), "")


def _unseen(swept: Unseen) -> tuple[str, Table, tuple[str, ...]]:
    """The conclusion under each delta, the star at that of the main fit."""
    from rich.text import Text

    from hbm_stan.cli.show import plain_table
    from hbm_stan.sensitivity.unseen_words import TITLE, sentences, table_of

    rows = table_of(swept)
    numbers = tuple(str(name) for name in rows.columns[:-1])
    table = plain_table(*numbers, "conclusion", right=numbers)
    for row in rows.to_dict("records"):
        table.add_row(*(f"{row[name]:.3g}" for name in numbers), Text(str(row["conclusion"])))
    return TITLE, table, sentences(swept)


def _power(power: Power) -> Table:
    from rich.text import Text

    from hbm_stan.cli.show import plain_table
    from hbm_stan.sensitivity.reading import WORDS

    numbers = ("its prior's", "all priors'", "likelihood's")
    table = plain_table("quantity", "strongest prior", *numbers, "reading", right=numbers)
    for row in power.read:
        values = (_number(row[k], 3) for k in ("prior_value", "all_priors", "likelihood"))
        table.add_row(Text(row["quantity"]), Text(row["prior"]), *values, WORDS[row["reading"]])
    return table


def _alternatives(tried: Alternatives) -> Table:
    """One line for each prior, and for each term that differs between groups where there are several."""
    from rich.text import Text

    from hbm_stan.cli.show import plain_table
    from hbm_stan.sensitivity.conclusion import element

    base = tried.base
    own = [t for t in _terms(base) if t]
    table = plain_table(
        "prior", *(["term"] if own else []), *base.columns, "elpd diff", "comparison", right=("elpd diff",)
    )
    for text, now, words in _lines(tried):
        for i, term in enumerate(_terms(base)):
            named = [Text("" if i else text), *([Text(term)] if own else [])]
            if now is None:
                table.add_row(*named, *("–" for _ in base.columns), "–", Text("" if i else words))
                continue
            shown = (_interval(now.intervals.get(element(c, term))) for c in base.columns)
            diff = "" if i else "–" if now.elpd_diff is None else f"{now.elpd_diff:.1f} ({now.se_diff:.1f})"
            table.add_row(*named, *shown, diff, Text("" if i else words))
    return table


def _terms(base: Conclusion) -> list[str]:
    from hbm_stan.sensitivity.conclusion import terms

    return terms(base.intervals, base.columns[min(1, len(base.columns) - 1)]) if base.columns else [""]


def _lines(tried: Alternatives) -> Iterator[tuple[str, Conclusion | None, str]]:
    yield "as it stands", tried.base, tried.base.verdict
    for row in tried.rows:
        words = row.failed if row.conclusion is None else row.conclusion.verdict
        yield row.rival.shown, row.conclusion, words + (" (!)" if row.changes else "")


def _influence(influence: Influence) -> Table:
    from rich.text import Text

    from hbm_stan.cli.show import plain_table

    names = influence.columns
    table = plain_table("without", *names, "moves most, sd", "Pareto k", "route", right=("Pareto k",))
    table.add_row("(nobody)", *(_interval(influence.base[n]) for n in names), "", "", "")
    for row in influence.rows[:_MOST_GROUPS]:
        shown = (_interval(row.intervals.get(n)) for n in names)
        moved = f"{row.largest} {row.moved:+.2f}" if row.moves else "–"
        table.add_row(Text(row.group), *shown, Text(moved), _number(row.pareto_k, 2), row.route.words)
    return table


def _interval(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval.q50:.3g} ({interval.q05:.3g}, {interval.q95:.3g})"


def _number(value: Any, decimals: int) -> str:
    return "–" if value is None or isnan(value) else f"{value:.{decimals}f}"
