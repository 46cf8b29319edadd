"""The figures of a report: a table for each, drawn by ``hbm_stan.plots``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.elements import term_of, term_words
from hbm_stan.fit import Fit
from hbm_stan.histograms import is_whole
from hbm_stan.nouns import of_results
from hbm_stan.predict import Y_NEW, NewGroup
from hbm_stan.report import left_out
from hbm_stan.report.blocks import MOST_ROWS
from hbm_stan.report.caterpillars import axis_of, figure_name
from hbm_stan.report.coefficients import forest_table, per_sd, slopes_of
from hbm_stan.report.collect import Findings
from hbm_stan.report.conditional import axis_words, observed_rows
from hbm_stan.report.diagnostics import chains_passed
from hbm_stan.report.draw_tables import energy_table, ess_table, population_table, prior_tables, rank_table
from hbm_stan.report.front import figure_room
from hbm_stan.report.scales import scale_of
from hbm_stan.report.terms import new_quantities, shared_terms, unit_of_term
from hbm_stan.report.units import of_rates
from hbm_stan.rhat import MIN_ESS_PER_CHAIN

# What a page has room for: terms of a regression, new quantities.
MOST_TERMS, _MOST_NEW = 3, 3
MOST_DISCRETE = 2
_FOREST = 2  # coefficients that a forest is of: one alone stands in its table
ALIKE = 8.0  # intervals that differ by more are not drawn on one axis (ours)


def draw_figures(findings: Findings, results: dict[str, Any]) -> dict[str, bytes]:
    """All figures that the results call for, as SVG by name."""
    from hbm_stan import plots

    main, unit = findings.fits[results["main_variant"]], results["data"]["quantity_unit"]
    diagnosis = findings.diagnoses[main.variant]
    drawn: dict[str, Callable[[], Any]] = {}
    if not chains_passed(results):
        drawn = {
            "ranks": lambda: plots.plot_ranks(rank_table(main, diagnosis.summary)),
            **({} if main.direct else {"energy": lambda: plots.plot_energy(energy_table(main))}),
            "ess": lambda: plots.plot_ess(ess_table(diagnosis.summary), MIN_ESS_PER_CHAIN * main.sampling.chains),
        }
    if not findings.withheld:
        population = population_table(main)
        if len(population):
            priors = prior_tables(main, population)
            mixed = any("[" in name for name in results["population"])
            drawn["population"] = partial(plots.plot_population, population, priors, "" if mixed else unit)
        drawn |= _answer(findings, results)
        drawn |= _forest(results)
        drawn |= _effects(main, results)
        drawn |= _shrinkage(findings, results)
        drawn |= _caterpillars(results)
        drawn |= _replicated(findings, results)
        drawn |= _left_out(results)
        if findings.new_group is not None and not any(p["new"] for p in results["page_one"]["panels"]):
            drawn["new_group"] = partial(_new_group, findings.new_group, results, same_scale(main))
        for k, own in enumerate(findings.own):
            if own.areas is not None and own.borders is not None:
                drawn[f"own_{k}"] = partial(
                    plots.plot_map, own.areas, own.borders, own.x_label, own.y_label, own.outlines
                )
            elif own.sweep is not None:
                drawn[f"own_{k}"] = partial(plots.plot_tipping, own.sweep, own.x_label, own.y_label)
            elif own.intervals is not None:
                drawn[f"own_{k}"] = partial(plots.plot_sources, own.intervals, own.x_label)
            elif own.curves is not None:
                drawn[f"own_{k}"] = partial(plots.plot_curves, own.curves, own.points, own.x_label, own.y_label)
    return {name: plots.save_svg(draw()) for name, draw in drawn.items()}


def _answer(findings: Findings, results: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The figure of page one, where the groups have a quantity of their own."""
    from hbm_stan import plots

    main, noun = findings.fits[results["main_variant"]], of_results(results)
    panels = []
    for panel in results["page_one"]["panels"]:
        table = on_readers_scale(main, findings.shrinkage, panel["term"])
        panels.append({**panel, "groups": table, "words": " ".join(filter(None, [panel["words"], panel["place"]]))})
    return {"answer": partial(plots.plot_answer, panels, noun.one, noun.many, figure_room(results))} if panels else {}


def on_readers_scale(fit: Fit, shrinkage: pd.DataFrame, term: str) -> pd.DataFrame:
    """Columns group, raw, raw_low, raw_high (a standard error apart), q05, q25, q50, q75, q95 of a term."""
    back, own = scale_of(fit, term).back, shrinkage[shrinkage["term"] == term]
    ends = {"raw": own["raw"], "raw_low": own["raw"] - own["raw_se"], "raw_high": own["raw"] + own["raw_se"]}
    ends |= {key: own[key] for key in ("q05", "q25", "q50", "q75", "q95")}
    return pd.DataFrame({"group": own["group"]} | {key: back(values.to_numpy()) for key, values in ends.items()})


def _forest(results: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The figure of the common coefficients of a formula, where there are some beside the intercept."""
    from hbm_stan import plots

    slopes = slopes_of(results["coefficients"])
    if len(slopes) < _FOREST:
        return {}
    ratio, unit = results["coefficients"]["ratio"], results["data"]["quantity_unit"]
    what = (ratio or "coefficient") + " for one sd of the column" * per_sd(slopes)
    return {"coefficients": partial(plots.plot_forest, forest_table(results), what, "" if ratio else unit, bool(ratio))}


def _effects(fit: Fit, results: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The figure of the conditional effects."""
    from hbm_stan import plots

    panels = effect_panels(fit, results["conditional_effects"])
    return {"conditional": partial(plots.plot_effects, panels, *axis_words(fit))} if panels else {}


def effect_panels(fit: Fit, effects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the conditional effects draw; new observations of 0 or 1 or of counts would hide them."""
    panels = []
    for effect in effects:
        rows = pd.DataFrame(effect["rows"])
        if of_rates(fit):
            rows[["new_q05", "new_q95"]] = np.nan
        panels.append({**effect, "rows": rows, "points": observed_rows(fit, effect["column"], effect["levels"])})
    return panels


def _caterpillars(results: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The figures of the levels of other factors that the analysis asks for."""
    from hbm_stan import plots

    drawn: dict[str, Callable[[], Any]] = {}
    for k, entry in enumerate(results["caterpillars"]):
        what, unit = axis_of(entry, results["data"]["quantity_unit"])
        drawn[figure_name(k)] = partial(plots.plot_caterpillar, pd.DataFrame(entry["rows"]), what, unit, entry["many"])
    return drawn


def _replicated(findings: Findings, results: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The figure of the predictive check, where data were replicated."""
    from hbm_stan import plots

    if findings.ppc is None:
        return {}
    main, groups, noun = findings.fits[results["main_variant"]], findings.ppc.groups, of_results(results)
    unit, what = results["data"]["observed_unit"], results["ppc"]["quantity"]
    rows = findings.ppc.rows
    whole = rows is not None and is_whole(main.y) and results["data"]["observed"] != "share"
    beside = left_out.panel_of(results)
    return {"ppc": partial(plots.plot_ppc, groups, unit, what, noun.one, noun.many, rows, whole, beside)}


def _left_out(results: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The figure of rows that are left out, where there are both transforms and calibration."""
    from hbm_stan import plots

    transforms, calibration, bins = left_out.tables_of(results)
    if transforms is None or calibration is None or bins is None:
        return {}
    return {left_out.NAME: partial(plots.plot_left_out, transforms, calibration, bins)}


def _shrinkage(findings: Findings, results: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """The terms that differ between groups: of many groups all of them in one figure, else those not on page one."""
    from hbm_stan import plots

    main, noun, unit = findings.fits[results["main_variant"]], of_results(results), results["data"]["quantity_unit"]
    shared, on_page_one = shared_terms(results["shrinkage"]), {p["term"] for p in results["page_one"]["panels"]}
    parts = {str(term): part for term, part in findings.shrinkage.groupby("term", sort=False)}
    shown = [
        t
        for k, t in enumerate(parts)
        if k < MOST_TERMS and t not in shared and parts[t]["partial_pooling"].notna().any()
    ]
    if main.table.pooled.sizes.size > MOST_ROWS:
        panels = [
            {"groups": with_sizes(main, parts[t]), "words": term_words(t) if t else quantity_words(main),
             "unit": unit_of_term(t, unit)}
            for t in shown
        ]  # fmt: skip
        return {"shrinkage": partial(plots.plot_strips, panels, noun.one, noun.many)} if panels else {}
    return {
        shrinkage_name(list(parts).index(t)): partial(
            plots.plot_shrinkage,
            parts[t],
            unit_of_term(t, unit),
            term_words(t) if t else quantity_words(main),
            noun.many,
        )
        for t in shown
        if t not in on_page_one
    }


def with_sizes(fit: Fit, groups: pd.DataFrame) -> pd.DataFrame:
    """The table of groups with the number of rows of each."""
    rows = pd.Series(fit.table.pooled.sizes, index=list(fit.table.pooled.labels))
    return groups.assign(rows=rows.loc[list(groups["group"])].to_numpy())


def shrinkage_name(k: int) -> str:
    """The name of the figure of the k-th term."""
    return f"shrinkage_{k}" if k else "shrinkage"


def same_scale(fit: Fit) -> bool:
    """Whether an outcome lies on the scale of the group quantity."""
    return fit.family.words.same_unit and not (fit.family.size or fit.family.discrete)


def quantity_words(fit: Fit) -> str:
    """What an axis calls the group quantity."""
    return "estimate" if fit.family.words.group_meaning == "value" else fit.family.words.group_meaning


def _new_group(prediction: NewGroup, results: dict[str, Any], same_scale: bool) -> Any:
    """The figure of a new group: its quantities on one axis where they have one unit, else each on its own.

    What takes two values at most (an outcome of 0 or 1) is left to the table.
    """
    units = results["data"]["quantity_unit"], results["data"]["unit"]
    first = results["new_group"]["quantities"][0]
    return new_group_figure(prediction, new_quantities(results), first, units, same_scale)[1]


def new_group_figure(
    prediction: NewGroup, given: list[dict[str, Any]], first: dict[str, Any], units: tuple[str, str], same_scale: bool
) -> tuple[pd.DataFrame, Any]:
    """The table of the quantities that are drawn (the ``first`` where none of those given is), and their figure.

    ``units`` are those of a group's quantity and of the outcome.
    """
    from hbm_stan import plots

    unit, outcome_unit = units
    quantities = [q for q in given if len(np.unique(prediction.draws[q["name"]])) > MOST_DISCRETE]
    quantities = [q for q in quantities if q["name"] != Y_NEW][:_MOST_NEW] + [
        q for q in quantities if q["name"] == Y_NEW
    ]
    table = pd.DataFrame(quantities or [first])
    table["unit"] = [outcome_unit if n == Y_NEW else unit_of_term(term_of(n), unit) for n in table["name"]]
    draws = pd.concat([pd.DataFrame({"name": n, "value": prediction.draws[n]}) for n in table["name"]])
    widths = (table["q95"] - table["q05"]).astype(float)
    alike = bool(widths.max() < ALIKE * widths.min())
    one_axis = not any("[" in n for n in table["name"]) and same_scale and alike
    return table, plots.plot_new_group(draws, table, unit if one_axis else "", shared=one_axis)
