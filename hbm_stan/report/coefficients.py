"""The section on the common coefficients of a formula's model: a forest, a table, and where the intercept stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hbm_stan.coefficients import coefficient_table, sd_table, share_table
from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood
from hbm_stan.nouns import of_results
from hbm_stan.predictors import INTERCEPT
from hbm_stan.report.blocks import Block, Span, column, figure, heading, mono, number, prose, ref, table
from hbm_stan.report.digits import DASH, format_count, format_probability
from hbm_stan.report.front import variant_title, with_unit
from hbm_stan.report.intervals import cells, estimate
from hbm_stan.report.meanings import levels_words
from hbm_stan.report.terms import unit_of_terms

_SHOWN_ROWS = 20
# Intervals of which one is so many times as wide as another are drawn for one sd of each column (ours).
_ALIKE = 8.0


def coefficients_of(fit: Fit) -> dict[str, Any] | None:
    """The common coefficients for JSON; None where a family has no formula, or the formula no columns."""
    rows = coefficient_table(fit)
    design = fit.table.design
    if rows.empty or design is None:
        return None
    sds = sd_table(fit).to_dict("records")
    return {
        "rows": rows.to_dict("records"),
        "ratio": likelihood(fit.family.name).ratio_words,
        "ratio_note": likelihood(fit.family.name).ratio_note,
        "sds": [row | {"many": levels_words(str(row["factor"]), design, fit.table.noun)} for row in sds],
        "references": {name: own[0] for name, own in getattr(design.encode, "levels", {}).items()},
        "offset": bool(design.offset.any()),
        "shares": shares_of_rows(fit),
        "n_draws": fit.n_draws,
    }


def shares_of_rows(fit: Fit) -> list[dict[str, Any]]:
    """Of each share that the likelihood has (of extra zeros): its name, what it is, and its coefficients."""
    given = likelihood(fit.family.name)
    return [
        {"name": name, "what": what, "rows": share_table(fit, name).to_dict("records")}
        for name, what in given.shares.items()
    ]


def for_one_more(row: Mapping[str, Any]) -> str:
    """What a ratio belongs to: an indicator of a level, or one unit more of a column."""
    return f"of {row['name']}" if row["indicator"] else f"for one unit more of {row['name']}"


def of_ratio(row: Mapping[str, Any]) -> dict[str, Any]:
    """Median, interval and their errors of the ratio in a row."""
    return {key.removeprefix("ratio_"): value for key, value in row.items() if key.startswith("ratio_")}


def slopes_of(coefficients: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The coefficients that a forest shows: all but the intercept; none where there are no coefficients."""
    return [row for row in coefficients["rows"] if row["name"] != INTERCEPT] if coefficients else []


def per_sd(rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a forest is of coefficients for one sd of their columns: as they are, some would be too short to see."""
    widths = [row["q95"] - row["q05"] for row in rows]
    return bool(max(widths) > _ALIKE * min(widths))


def forest_table(results: Mapping[str, Any]) -> pd.DataFrame:
    """What the forest draws: name, q05, q25, q50, q75, q95, as they are or for one sd of the column."""
    rows = slopes_of(results["coefficients"])
    scaled = per_sd(rows)
    return pd.DataFrame([
        {"name": row["name"]}
        | {key: row[key] * (row["column_sd"] if scaled else 1.0) for key in ("q05", "q25", "q50", "q75", "q95")}
        for row in rows
    ])  # fmt: skip


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """What all rows share: each coefficient with its interval, as a ratio too where there is one."""
    coefficients = results["coefficients"]
    if not coefficients:
        return []
    return [
        heading("Common coefficients"),
        prose(*_intro(results, figures)),
        *_forest(results, figures),
        _table(results),
        *_sds(results),
        *(block for share in coefficients["shares"] for block in _share(results, share)),
    ]


def _intro(results: dict[str, Any], figures: Iterable[str]) -> list[Span]:
    coefficients = results["coefficients"]
    where: list[Span] = [" (", ref("coefficients"), ")"] if "coefficients" in figures else []
    spans: list[Span] = []
    if slopes_of(coefficients):
        spans += ["What one unit more of a column adds, the other columns as they are", *where, ". "]
    if coefficients["ratio"]:
        of_what = f" ({coefficients['ratio_note']})" * bool(coefficients["ratio_note"])
        spans.append(f"Its exponential is the {coefficients['ratio']}{of_what}, by which one unit more multiplies. ")
    for name, level in coefficients["references"].items():
        spans += ["Levels of ", mono(name), " are compared with ", mono(level), ". "]
    places = [row["place"] for row in coefficients["rows"] if row["name"] == INTERCEPT]
    if len(places) > 1:
        spans.append(
            "Columns are centred at their means, where the intercept of the model stands; where all columns are 0 it "
            "follows from that and the coefficients. "
        )
    if coefficients["offset"]:
        spans.append("The offset is not part of the intercept. ")
    return spans or ["The formula has no column but the intercept."]


def _forest(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    coefficients = results["coefficients"]
    if "coefficients" not in figures:
        return []
    what = f"{coefficients['ratio']}s, on a log axis" if coefficients["ratio"] else "coefficients"
    scale = ", each for one sd of its column, for they differ much in size" if per_sd(slopes_of(coefficients)) else ""
    caption = f"Common {what}{scale}: medians, and bars that hold 50 % and 90 % of the posterior."
    return figure("coefficients", figures, [caption], f"A forest of the common {what} with their intervals.")


def _table(results: dict[str, Any]) -> Block:
    coefficients = results["coefficients"]
    heads = [column("Column", width="label"), number("50 %"), number("5 %"), number("95 %"), number("P(> 0)")]
    if coefficients["ratio"]:
        heads += [number(coefficients["ratio"].capitalize()), number("5 %"), number("95 %")]
    rows = coefficients["rows"]
    cut = (
        f" First {_SHOWN_ROWS} of {format_count(len(rows))} coefficients; results.json has all."
        if len(rows) > _SHOWN_ROWS
        else ""
    )
    unit = unit_of_terms(results["data"]["quantity_unit"], bool(slopes_of(coefficients)))
    about = f"{variant_title(results, results['main_variant'])}: common coefficients, medians and quantiles"
    return table([f"{with_unit(about, unit)}.{cut}"], heads, [_row(row, coefficients) for row in rows[:_SHOWN_ROWS]])


def _row(row: Mapping[str, Any], coefficients: Mapping[str, Any]) -> list[str]:
    intercept = row["name"] == INTERCEPT
    label = ", ".join(filter(None, [row["name"], row["place"]]))
    shown = [label, *cells(row), DASH if intercept else format_probability(row["p_positive"], coefficients["n_draws"])]
    if coefficients["ratio"]:
        shown += [DASH] * 3 if intercept else cells(of_ratio(row))
    return shown


def _share(results: dict[str, Any], share: Mapping[str, Any]) -> list[Block]:
    """The coefficients of a share, as odds ratios too, and the share itself."""
    heads = [column("Column", width="label"), number("50 %"), number("5 %"), number("95 %"), number("P(> 0)"),
             number("Odds ratio"), number("5 %"), number("95 %")]  # fmt: skip
    n_draws = results["coefficients"]["n_draws"]
    rows = [
        [row["name"], *cells(row), format_probability(row["p_positive"], n_draws)]
        + ([DASH] * 3 if row["name"] == INTERCEPT else cells(of_ratio(row)))
        for row in share["rows"]
    ]
    caption = f"Share of {share['what']}, {share['name']}: coefficients of its log odds, medians and quantiles."
    return [prose(how_large(share)), table([caption], heads, rows)]


def how_large(share: Mapping[str, Any]) -> str:
    """How large a share is where its columns are at their means; what it depends on where there is no intercept."""
    columns = [row["name"] for row in share["rows"]]
    where = ", at the means of its columns," if len(columns) > 1 else ""
    for row in share["rows"]:
        if row["name"] == INTERCEPT:
            return f"The share of {share['what']}{where} is about {estimate(of_ratio(row))}."
    return f"The share of {share['what']} depends on {', '.join(columns)}."


def _sds(results: dict[str, Any]) -> list[Block]:
    rows = results["coefficients"]["sds"]
    if not rows:
        return []
    heads = [column("SD of the intercept", width="label"), number("50 %"), number("5 %"), number("95 %")]
    shown = [[f"between {row['many']}, {row['place']}", *cells(row)] for row in rows]
    caption = with_unit("How much intercepts differ depends on where they stand", results["data"]["quantity_unit"])
    clause = f"Where slopes vary too, {of_results(results).many} and levels of other factors differ more in one place"
    return [prose(f"{clause} than in another."), table([f"{caption}."], heads, shown)]
