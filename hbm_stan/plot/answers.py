"""Figures of what a fit answers: groups, coefficients, effects, the population, a new group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hbm_stan import diagnose
from hbm_stan.elements import term_of, term_words
from hbm_stan.plot.chosen import Fits, Prediction, lacks, main_of, named, one_of, predicted_for, with_table
from hbm_stan.predict import findings, population_names, shrinkage_table
from hbm_stan.report.blocks import MOST_ROWS
from hbm_stan.report.sections import groups as of_groups
from hbm_stan.report.sections import new_group as of_new
from hbm_stan.report.sections.caterpillars import axis_of
from hbm_stan.report.sections.conditional import effect_panels
from hbm_stan.report.sections.front import on_readers_scale
from hbm_stan.results import caterpillars, conditional, draw_tables
from hbm_stan.results import coefficients as common
from hbm_stan.results.entry import rows_of
from hbm_stan.results.quantities import averages, of_new_group
from hbm_stan.results.scales import scale_of
from hbm_stan.results.shrunken import ShrinkageRow
from hbm_stan.results.terms import unit_of_term, varying, varying_terms
from hbm_stan.results.units import outcome_unit, quantity_unit

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd


def forest(fits: Fits, term: str | None = None, prediction: Prediction | None = None) -> Any:
    """Groups in order with raw estimate and intervals, the average and a new group: the figure of page one.

    ``term`` is one of those that vary between groups, by default the first. ``.data``: group, kind (group, average,
    new), raw, raw_low, raw_high, q05, q25, q50, q75, q95, on the reader's scale (probabilities, not log odds).
    """
    from hbm_stan.plots.layered import layered_groups

    name, by_name = named(fits)
    fit, noun = by_name[name], by_name[name].table.noun
    table = shrinkage_table({name: fit}, name)
    terms = varying_terms(rows_of(ShrinkageRow, table))
    chosen = one_of(term, terms, "forest", "no quantity differs between its groups")
    new = predicted_for(fit, prediction)
    means = averages(fit, terms)
    newly = of_new_group(fit, new, [q.term for q in means])
    rows = [on_readers_scale(fit, table, chosen).assign(kind="group")]
    for kind, quantities, words in (("average", means, f"average {noun.one}"), ("new", newly, f"new {noun.one}")):
        rows += [
            pd.DataFrame([{"group": words, "kind": kind, **q.row.as_dict()}]) for q in quantities if q.term == chosen
        ]
    columns = ["group", "kind", "raw", "raw_low", "raw_high", "q05", "q25", "q50", "q75", "q95"]
    joined = pd.concat([part.reindex(columns=columns).dropna(axis=1, how="all") for part in rows], ignore_index=True)
    scale = scale_of(fit, chosen)
    words = " ".join(filter(None, [scale.words, scale.place]))
    return layered_groups(joined.reindex(columns=columns), words, scale.unit, noun.many)


def coefficients(fits: Fits) -> Any:
    """The common coefficients of a formula's model but the intercept; as ratios where they are some.

    ``.data``: name, q05, q25, q50, q75, q95, on the scale of the model, for one sd of the column where they differ much
    in size.
    """
    from hbm_stan import plots

    fit = main_of(fits)
    own = common.coefficients_of(fit)
    if own is None or not own.slopes:
        raise lacks(fit, "coefficients", "it has no common coefficient beside an intercept")
    table = common.forest_table(own.slopes)
    what = (own.ratio or "coefficient") + " for one sd of the column" * common.per_sd(own.slopes)
    unit = "" if own.ratio else quantity_unit(fit)
    return with_table(plots.plot_forest(table, what, unit, bool(own.ratio)), table)


def conditional_effects(fits: Fits, column: str | None = None, prediction: Prediction | None = None) -> Any:
    """What is expected over a column (by default the first), other columns where a new row stands.

    ``.data``: x, q05, q25, q50, q75, q95 of the expected outcome, new_q05, new_q95 of a new observation.
    """
    from hbm_stan.plots.layered import layered_effect

    fit = main_of(fits)
    effects = {e.column: e for e in conditional.conditional_effects(fit, prediction or {})}
    chosen = one_of(column, list(effects), "conditional_effects", "it has no columns, or no population")
    (panel,) = (p for p in effect_panels(fit, effects.values()) if p["column"] == chosen)
    return layered_effect(panel, panel["points"], *conditional.axis_words(fit))


def shrinkage(fits: Fits, term: str | None = None) -> Any:
    """Raw, unpooled, pooled estimate of each group and term; of more than 20 groups all in rising order.

    ``.data`` are the rows of ``hbm.shrinkage_table`` of the term.
    """
    from hbm_stan import plots
    from hbm_stan.plots.layered import layered_strips

    name, by_name = named(fits)
    fit, noun = by_name[name], by_name[name].table.noun
    table = shrinkage_table(by_name, name)
    known = table[table["partial_pooling"].notna()] if "partial_pooling" in table else table
    chosen = one_of(term, list(dict.fromkeys(known["term"])), "shrinkage", "it does not pool partially")
    own = table[table["term"] == chosen].reset_index(drop=True)
    words = term_words(chosen) if chosen else of_groups.quantity_words(fit)
    unit = unit_of_term(chosen, quantity_unit(fit))
    if fit.table.n_groups > MOST_ROWS:
        return layered_strips(of_groups.with_sizes(fit, own), words, unit, noun.one, noun.many)
    return with_table(plots.plot_shrinkage(own, unit, words, noun.many), own)


def population(fits: Fits) -> Any:
    """Posterior and prior of the parameters that all groups share. ``.data``: parameter, value (draws)."""
    from hbm_stan.plots.layered import layered_population

    fit = main_of(fits)
    table = draw_tables.population_table(fit)
    if table.empty:
        raise lacks(fit, "population", "its groups share no parameter")
    return layered_population(table, draw_tables.prior_tables(fit, table), quantity_unit(fit))


def caterpillar(fits: Fits, factor: str, column: str | None = None) -> Any:
    """How far the levels of another factor lie from their mean, for a column that varies between them.

    ``.data``: group (the level), q05, q25, q50, q75, q95.
    """
    from hbm_stan import plots

    fit = main_of(fits)
    design = fit.table.design
    others = [] if design is None else [f.name for f in design.factors if f.name != design.factors[0].name]
    chosen = one_of(factor, others, "caterpillar", "its formula has no factor beside the group")
    entries = {e.column: e for e in caterpillars.caterpillars_of(fit, [chosen])}
    entry = entries[one_of(column, list(entries), "caterpillar", f"nothing varies between the levels of {chosen}")]
    table = pd.DataFrame([row.as_dict() for row in entry.rows])
    what, unit = axis_of(entry.column, quantity_unit(fit))
    return with_table(plots.plot_caterpillar(table, what, unit, entry.many), table)


def new_group(fits: Fits, prediction: Prediction | None = None, **keys: Any) -> Any:
    """A hundred equally likely values of each quantity of a group that was not seen.

    ``prediction`` and keywords are those of ``hbm.new_group``. ``.data``: its quantities, and the unit of each.
    """
    fit = main_of(fits)
    predicted = predicted_for(fit, {**(prediction or {}), **keys})
    if predicted is None:
        raise lacks(fit, "new_group", f"{fit.family.name} does not say how a new group is drawn")
    quantities = predicted.quantities.rename_axis("name").reset_index().to_dict("records")
    summary = diagnose.check(fit).summary
    shared = summary.loc[[n for n in population_names(fit) if n in summary.index and term_of(n)]].to_dict("records")
    units, same = (quantity_unit(fit), outcome_unit(fit)), of_new.same_scale(fit)
    table, figure = of_new.new_group_figure(predicted, varying(quantities, shared), quantities[0], units, same)
    return with_table(figure, table)


def curves(fits: Fits, number: int = 1, prediction: Prediction | None = None) -> Any:
    """The curves of a section that only this family has (regression lines, spectra), the first unless told.

    ``.data``: panel, x, q10, q25, q50, q75, q90.
    """
    from hbm_stan import plots

    fit = main_of(fits)
    own = [f for f in findings(fit, prediction or {}) if f.curves is not None]
    if not 1 <= number <= len(own):
        raise lacks(fit, "curves", f"{fit.family.name} draws {len(own) or 'no'} sets of curves")
    chosen = own[number - 1]
    assert chosen.curves is not None
    figure = plots.plot_curves(chosen.curves, chosen.points, chosen.x_label, chosen.y_label)
    return with_table(figure, chosen.curves)
