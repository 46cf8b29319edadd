"""The section on ratios that were analysed as logs: a table of groups, of their average and of a new one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from hbm_stan.nouns import capital, of_results
from hbm_stan.report.blocks import MOST_ROWS, Block, column, excerpt, heading, number, prose, table
from hbm_stan.report.section import Section
from hbm_stan.results.digits import format_data, format_estimate
from hbm_stan.results.intervals import cells
from hbm_stan.results.tables import GROUPS

_KEYS = ("q50", "q05", "q95")


def section(results: dict[str, Any], _figures: Iterable[str]) -> list[Block]:
    """The estimates of the groups, of their average and of a new one as ratios."""
    ratios = results["ratios"]
    if not ratios:
        return []
    name, rows, noun = ratios["name"], results["shrinkage"], of_results(results)
    known = [r for r in rows if r["partial_pooling"] is not None]
    known = sorted(known, key=lambda r: float(r["q50"])) if len(known) > MOST_ROWS else known
    shown: list[Any] = [_group_row(r) for r in known]
    shown = excerpt(shown) if len(shown) > MOST_ROWS else shown
    if ratios["average"]:
        mean = ratios["average"]
        shown.append(["average (geometric mean)", "", *cells(mean)])
    if results["new_group"]:
        new = results["new_group"]["quantities"][0]
        keys = zip(("ratio", "ratio_q05", "ratio_q95"), _KEYS, strict=True)
        shown.append([f"a new {noun.one}", "", *(format_estimate(new[r], new[r] * new[f"mcse_{k}"]) for r, k in keys)])
    cut = [f" The lowest and the highest; all are in {GROUPS}."] if len(known) > MOST_ROWS else []
    heads = [
        column(capital(noun.one), width="label"),
        number("Observed"),
        number("50 %"),
        number("5 %"),
        number("95 %"),
    ]
    intro = (
        f"Everything else in this report is on the log scale, on which {name} was analysed. Medians and quantiles of a "
        "ratio are those of its log, taken back; means are not, and are left out here."
    )
    return [
        heading(f"As ratios: {name}"),
        prose(intro),
        table([f"{name}: observed, and its posterior.", *cut], heads, shown),
    ]


def _group_row(row: dict[str, Any]) -> list[str]:
    mcse = row["mcse_mean"] or 0.0
    errors = {"ratio": mcse, "ratio_q05": 2 * mcse, "ratio_q95": 2 * mcse}
    observed = "" if row["raw"] is None else format_data(float(f"{math.exp(row['raw']):.6g}"))
    return [str(row["group"]), observed, *(format_estimate(row[k], row[k] * e) for k, e in errors.items())]


SECTION = Section(section)
