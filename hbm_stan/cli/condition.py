"""The option ``--condition`` of ``hbm predict`` and ``hbm contrast``: rows of groups that were never fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hbm_stan.cli.analysis import budget_of
from hbm_stan.errors import DiagnosticError, HbmError

if TYPE_CHECKING:
    from hbm_stan.analysis.read import Analysis
    from hbm_stan.cli.run import Run
    from hbm_stan.fit import Fit
    from hbm_stan.new_rows.condition import Conditioned
    from hbm_stan.new_rows.new_groups import NewGroups
    from hbm_stan.prepare import Prepared

ConditionOption = Annotated[
    Path | None,
    typer.Option(help="A CSV of rows of new groups with their outcomes: what is predicted is given these too."),
]
GroupsToOption = Annotated[
    Path | None, typer.Option(help="The CSV to write, a line for each coefficient of the groups of --condition.")
]
# As of ``hbm compare``, but that there is one fit to be made.
RefitOption = Annotated[
    int | None,
    typer.Option("--max-refits", min=0,
                 help="Of --condition: 0 makes no fit with its rows where Pareto k is high; else as in [comparison]."),
]  # fmt: skip
_SHOWN = 20  # lines on the terminal


def refuse_without_condition(groups_to: Path | None, condition: Path | None) -> None:
    """Raise HbmError where the table of conditioned groups is asked for, and there are none."""
    if groups_to is not None and condition is None:
        raise HbmError("--groups-to is for the groups of --condition. Name a CSV of their rows.")


def read_condition_of(read: Analysis, table: Prepared, variant: str, condition: Path) -> NewGroups:
    """The rows of new groups, checked before anything is sampled."""
    from hbm_stan.new_rows.new_groups import read_condition

    name = read.family.variant(variant or read.main_variant).name
    return read_condition(read.family, name, table, condition)


def condition_fit(
    run: Run, fit: Fit, new: NewGroups, read: Analysis, max_refits: int | None, minutes: float | None
) -> Conditioned:  # fmt: skip
    """The fit given the new groups' rows; where these move it too far and no refit may repair that, JSON says so."""
    from hbm_stan.new_rows.condition import condition_on
    from hbm_stan.new_rows.refit import Means

    many = fit.table.noun.many if len(new.labels) > 1 else fit.table.noun.one
    run.say(f"{fit.variant}: conditioning on {len(new.labels):,} new {many} ({new.rows.n:,} rows)")
    budget = budget_of(read, max_refits, minutes)
    try:
        with run.sampling_progress() as progress:
            means = Means(budget=budget, store=read.store, say=run.say, progress=progress, waive=read.waived)
            return condition_on(fit, new, means)
    except DiagnosticError as error:
        run.write_json({"withheld": True, "variant": fit.variant, "notes": [str(error)]})
        raise


def conditioned_record(given: Conditioned | None) -> dict[str, Any]:
    """For JSON: the new groups and the weights of the draws; nothing where there are none."""
    from dataclasses import asdict
    from math import isfinite

    from hbm_stan.cli.predict import records

    if given is None:
        return {}
    return {
        "condition": {
            "groups": records(given.groups), "sentences": list(given.sentences), "notes": list(given.notes),
            "pareto_k": given.pareto_k if isfinite(given.pareto_k) else None, "threshold": given.threshold,
            "effective_draws": given.effective,
            "repaired": None if given.repaired is None else {"how": "refit", **asdict(given.repaired)},
        }
    }  # fmt: skip


def show_groups(run: Run, given: Conditioned) -> None:
    """The new groups: mean, sd, 50 % and 90 % interval of each coefficient, and how far their rows moved them."""
    from rich.text import Text

    from hbm_stan.cli.show import plain_table

    noun, groups = given.fit.table.noun.one, given.groups
    terms = ["coefficient"] if (groups["term"] != "").any() else []
    titles = [noun, *terms, "rows", "mean", "sd", "50 %", "90 %", "sd before"]
    table = plain_table(*titles, right=titles[1 + len(terms) :])
    for line in groups.head(_SHOWN).to_dict("records"):
        numbers = (f"{line['mean']:.4g}", f"{line['sd']:.3g}", f"{line['q25']:.4g} to {line['q75']:.4g}",
                   f"{line['q05']:.4g} to {line['q95']:.4g}", f"{line['population_sd']:.3g}")  # fmt: skip
        names = (str(line["group"]), *([str(line["term"])] if terms else []), f"{line['rows']:,}")
        table.add_row(*map(Text, (*names, *numbers)))
    meaning = given.fit.family.words.group_meaning
    run.show(Text(f"{meaning[:1].upper()}{meaning[1:]} of each new {noun} given its rows."), table)
    if len(groups) > _SHOWN:
        run.show(f"and {len(groups) - _SHOWN:,} more: --groups-to FILE writes all.")
    run.show(*(Text(sentence) for sentence in (*given.sentences, *given.notes)), "")
