"""The common coefficients of a formula's model: their summaries, as ratios too, and what a forest of them shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from hbm_stan.coefficients import coefficient_table, sd_table, share_table
from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.intervals import estimate
from hbm_stan.results.meanings import levels_words

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


def how_large(share: Mapping[str, Any]) -> str:
    """How large a share is where its columns are at their means; what it depends on where there is no intercept."""
    columns = [row["name"] for row in share["rows"]]
    where = ", at the means of its columns," if len(columns) > 1 else ""
    for row in share["rows"]:
        if row["name"] == INTERCEPT:
            return f"The share of {share['what']}{where} is about {estimate(of_ratio(row))}."
    return f"The share of {share['what']} depends on {', '.join(columns)}."
