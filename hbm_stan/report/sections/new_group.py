"""The section on the population: the parameters that all groups share, and a new group."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from hbm_stan.elements import base_of, term_of
from hbm_stan.fit import Fit
from hbm_stan.nouns import of_results
from hbm_stan.predict import Y_NEW, NewGroup
from hbm_stan.report.blocks import Block, Span, figure, heading, prose, ref, sentence, table
from hbm_stan.report.section import Drawings, Section
from hbm_stan.report.words import SUMMARY_COLUMNS, caption_unit, meaning_of, summary_row, variant_title, with_unit
from hbm_stan.results.collect import Findings
from hbm_stan.results.digits import format_probability
from hbm_stan.results.terms import new_quantities, unit_of_term
from hbm_stan.results.units import of_categories

_MOST_NEW = 3  # quantities that a page has room for (ours)
MOST_DISCRETE = 2
ALIKE = 8.0  # intervals that differ by more are not drawn on one axis (ours)
_DOTS = "A hundred equally likely values of each quantity: one dot is one in a hundred. Bars hold 50 % and 90 %."


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """Posterior of the parameters that all groups share, and what to expect of a group that was not seen."""
    fitted = results["fits"][results["main_variant"]]["parameters"]
    noun, new = of_results(results), new_quantities(results)
    # The common coefficients of a formula have a table of their own.
    own = "beta" if results["coefficients"] else ""
    shared = [n for n in results["population"] if n in fitted and base_of(n) != own]
    rows = [summary_row(n, meaning_of(results, n), fitted[n]) for n in shared]
    rows += [summary_row(q["name"], q["meaning"], q) for q in new]
    if not rows:
        return []
    what = [f"the {noun.many} share"] * bool(shared) + [f"a new {noun.one}"] * bool(new)
    about = f"{variant_title(results, results['main_variant'])}: what {', and '.join(what)}"
    unit = caption_unit(results, [*shared, *(q["name"] for q in new)])
    title = f"The population and a new {noun.one}" if new else "The population"
    return [
        heading(title),
        *(prose(*_of_new(results, figures)) for _ in new[:1]),
        *figure("new_group", figures, [_DOTS], f"Quantile dotplots of a new {noun.one}."),
        table(
            [with_unit(about, unit) + ". MCSE is the Monte Carlo standard error of the mean."], SUMMARY_COLUMNS, rows
        ),
    ]


def _of_new(results: dict[str, Any], figures: Iterable[str]) -> list[Span]:
    """Where a new group comes from, where it is drawn, and on which side of zero it lies how surely."""
    new = results["new_group"]
    drawn = ["new_group", *["answer"] * any(panel["new"] for panel in results["page_one"]["panels"])]
    where = next((name for name in drawn if name in figures), None)
    spans = [*sentence(new["note"]), *([" It is drawn in ", ref(where), "."] if where else [])]
    signs = [q for q in new_quantities(results) if q["sign"]]
    if signs:
        parts = [f"{format_probability(q['p_positive'], new['n_draws'])} ({q['meaning']})" for q in signs]
        spans.append(f" The probability of a value above zero: {', '.join(parts)}.")
    return spans


def same_scale(fit: Fit) -> bool:
    """Whether an outcome lies on the scale of the group quantity."""
    return fit.family.words.same_unit and not (fit.family.size or fit.family.discrete)


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


def drawings(findings: Findings, results: dict[str, Any]) -> Drawings:
    """A new group, where page one does not draw it; of categories in order the shares of each are in a table."""
    if findings.new_group is None or any(p["new"] for p in results["page_one"]["panels"]):
        return {}
    main = findings.fits[results["main_variant"]]
    if of_categories(main):
        return {}
    return {"new_group": partial(_new_group, findings.new_group, results, same_scale(main))}


SECTION = Section(section, drawings)
