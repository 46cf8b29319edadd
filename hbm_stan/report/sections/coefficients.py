"""The section on the common coefficients of a formula's model: a forest, a table, and where the intercept stands."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from hbm_stan.nouns import of_results
from hbm_stan.predictors import INTERCEPT
from hbm_stan.report.blocks import Block, Span, column, figure, heading, mono, number, prose, ref, table
from hbm_stan.report.section import Drawings, Section
from hbm_stan.report.words import variant_title, with_unit
from hbm_stan.results.coefficients import (
    Coefficient,
    Coefficients,
    RowShare,
    forest_table,
    how_large,
    of_ratio,
    per_sd,
)
from hbm_stan.results.collect import Findings
from hbm_stan.results.digits import DASH, format_count, format_probability
from hbm_stan.results.entry import read
from hbm_stan.results.intervals import cells
from hbm_stan.results.terms import unit_of_terms

_FOREST = 2  # coefficients that a forest is of: one alone stands in its table
_SHOWN_ROWS = 20


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """What all rows share: each coefficient with its interval, as a ratio too where there is one."""
    if not results["coefficients"]:
        return []
    coefficients = read(Coefficients, results["coefficients"])
    return [
        heading("Common coefficients"),
        prose(*_intro(coefficients, figures)),
        *_forest(coefficients, figures),
        _table(results, coefficients),
        *_sds(results, coefficients),
        *(block for share in coefficients.shares for block in _share(share, coefficients.n_draws)),
    ]


def _intro(coefficients: Coefficients, figures: Iterable[str]) -> list[Span]:
    where: list[Span] = [" (", ref("coefficients"), ")"] if "coefficients" in figures else []
    spans: list[Span] = []
    if coefficients.slopes:
        spans += ["What one unit more of a column adds, the other columns as they are", *where, ". "]
    if coefficients.ratio and coefficients.slopes:
        of_what = f" ({coefficients.ratio_note})" * bool(coefficients.ratio_note)
        spans.append(f"Its exponential is the {coefficients.ratio}{of_what}, by which one unit more multiplies. ")
    for name, level in coefficients.references.items():
        spans += ["Levels of ", mono(name), " are compared with ", mono(level), ". "]
    places = [row.place for row in coefficients.rows if row.name == INTERCEPT]
    if len(places) > 1:
        spans.append(
            "Columns are centred at their means, where the intercept of the model stands; where all columns are 0 it "
            "follows from that and the coefficients. "
        )
    if coefficients.offset:
        spans.append("The offset is not part of the intercept. ")
    return spans or ["The formula has no column but the intercept."]


def _forest(coefficients: Coefficients, figures: Iterable[str]) -> list[Block]:
    if "coefficients" not in figures:
        return []
    what = f"{coefficients.ratio}s, on a log axis" if coefficients.ratio else "coefficients"
    scale = ", each for one sd of its column, for they differ much in size" if per_sd(coefficients.slopes) else ""
    caption = f"Common {what}{scale}: medians, and bars that hold 50 % and 90 % of the posterior."
    return figure("coefficients", figures, [caption], f"A forest of the common {what} with their intervals.")


def _table(results: dict[str, Any], coefficients: Coefficients) -> Block:
    heads = [column("Column", width="label"), number("50 %"), number("5 %"), number("95 %"), number("P(> 0)")]
    if coefficients.ratio:
        heads += [number(coefficients.ratio.capitalize()), number("5 %"), number("95 %")]
    rows = coefficients.rows
    cut = (
        f" First {_SHOWN_ROWS} of {format_count(len(rows))} coefficients; results.json has all."
        if len(rows) > _SHOWN_ROWS
        else ""
    )
    unit = unit_of_terms(results["data"]["quantity_unit"], bool(coefficients.slopes))
    about = f"{variant_title(results, results['main_variant'])}: common coefficients, medians and quantiles"
    return table([f"{with_unit(about, unit)}.{cut}"], heads, [_row(row, coefficients) for row in rows[:_SHOWN_ROWS]])


def _row(row: Coefficient, coefficients: Coefficients) -> list[str]:
    intercept = row.name == INTERCEPT
    label = ", ".join(filter(None, [row.name, row.place]))
    shown = [label, *cells(row), DASH if intercept else format_probability(row.p_positive, coefficients.n_draws)]
    if coefficients.ratio:
        shown += [DASH] * 3 if intercept else cells(of_ratio(row))
    return shown


def _share(share: RowShare, n_draws: int) -> list[Block]:
    """The coefficients of a share, as odds ratios too, and the share itself."""
    heads = [column("Column", width="label"), number("50 %"), number("5 %"), number("95 %"), number("P(> 0)"),
             number("Odds ratio"), number("5 %"), number("95 %")]  # fmt: skip
    rows = [
        [row.name, *cells(row), format_probability(row.p_positive, n_draws)]
        + ([DASH] * 3 if row.name == INTERCEPT else cells(of_ratio(row)))
        for row in share.rows
    ]
    caption = f"Share of {share.what}, {share.name}: coefficients of its log odds, medians and quantiles."
    return [prose(how_large(share)), table([caption], heads, rows)]


def _sds(results: dict[str, Any], coefficients: Coefficients) -> list[Block]:
    if not coefficients.sds:
        return []
    heads = [column("SD of the intercept", width="label"), number("50 %"), number("5 %"), number("95 %")]
    shown = [[f"between {row.many}, {row.place}", *cells(row)] for row in coefficients.sds]
    caption = with_unit("How much intercepts differ depends on where they stand", results["data"]["quantity_unit"])
    clause = f"Where slopes vary too, {of_results(results).many} and levels of other factors differ more in one place"
    return [prose(f"{clause} than in another."), table([f"{caption}."], heads, shown)]


def drawings(_findings: Findings, results: dict[str, Any]) -> Drawings:
    """The figure of the common coefficients of a formula, where there are some beside the intercept."""
    from hbm_stan import plots

    coefficients = read(Coefficients, results["coefficients"]) if results["coefficients"] else None
    if coefficients is None or len(coefficients.slopes) < _FOREST:
        return {}
    slopes, ratio, unit = coefficients.slopes, coefficients.ratio, results["data"]["quantity_unit"]
    what = (ratio or "coefficient") + " for one sd of the column" * per_sd(slopes)
    return {"coefficients": partial(plots.plot_forest, forest_table(slopes), what, "" if ratio else unit, bool(ratio))}


SECTION = Section(section, drawings)
