"""The section on where the variance lies: its share by factor, with the interval of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hbm_stan.nouns import of_results
from hbm_stan.report.blocks import Block, column, heading, number, prose, table
from hbm_stan.report.section import Section
from hbm_stan.report.words import variant_title, with_unit
from hbm_stan.results.digits import DASH, fixed, format_count, significant
from hbm_stan.results.entry import read
from hbm_stan.results.formula_answer import share_sentence
from hbm_stan.results.intervals import cells
from hbm_stan.results.r_squared import RSquared
from hbm_stan.results.shares import VarianceShares


def section(results: dict[str, Any], _figures: Iterable[str]) -> list[Block]:
    """Of what common columns leave, how much lies between the levels of each factor; and how much all explains."""
    explained = _explained(results)
    if not results["variance_shares"]:
        return explained
    shares = read(VarianceShares, results["variance_shares"])
    intro = (
        f"The share of {shares.whole} that lies between the levels of each factor: the intraclass correlation, "
        "where there is one factor. Where slopes vary, the variance is the mean of those at all rows."
    )
    if len(shares.rows) == 2:  # one factor: a sentence does
        return [heading("Where the variance lies"), prose(f"{share_sentence(shares)[0]} {shares.note}"), *explained]
    heads = [
        column("Variance", width="label"), number("Levels"), number("SD"), number("Share"), number("5 %"),
        number("95 %"),
    ]  # fmt: skip
    rows = [
        [
            f"between {row.many}" if row.levels else row.name,
            format_count(row.levels) if row.levels else DASH,
            significant(row.sd_q50), *cells(row),
        ]
        for row in shares.rows
    ]  # fmt: skip
    about = f"{variant_title(results, results['main_variant'])}: shares of variance, medians and quantiles; SD"
    caption = with_unit(about, results["data"]["quantity_unit"])
    shown = table([f"{caption}."], heads, rows)
    return [heading("Where the variance lies"), prose(f"{intro} {shares.note}"), shown, *explained]


def _explained(results: dict[str, Any]) -> list[Block]:
    """R-squared of known and of new groups, in a sentence."""
    if not results["r_squared"]:
        return []
    r_squared = read(RSquared, results["r_squared"])
    many = of_results(results).many
    known, new = (
        f"{fixed(share.q50, 2)} (90 % interval {fixed(share.q05, 2)} to {fixed(share.q95, 2)})"
        for share in (r_squared.known, r_squared.new)
    )
    return [
        prose(
            f"R-squared, the share of the variance of rows that is explained, is {known} for rows of known {many} and "
            f"{new} for rows of new {many}, of which only the columns are known (Gelman et al. 2019)."
        )
    ]


SECTION = Section(section)
