"""An estimate and its interval in a sentence or in cells, with the digits that its Monte Carlo error allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hbm_stan.results.digits import format_estimate
from hbm_stan.results.entry import Entry

# Quantiles and their errors by key: a record of results.json, or a row of a table.
Row = Mapping[str, Any] | Entry

_LISTED = 8  # terms that a sentence lists; more are counted (ours)


def in_unit(text: str, unit: str) -> str:
    """A number with its unit."""
    return f"{text} {unit}".strip()


def numbers(row: Row) -> tuple[str, str, str]:
    """Median and both ends of the interval with the digits that the least certain allows.

    None of them is rounded to 0 and the median keeps two digits, as far as its own error allows.
    """
    row = _by_key(row)
    mcse = max(row["mcse_q05"], row["mcse_q50"], row["mcse_q95"])
    shown = []
    for q, least in (("q50", 2), ("q05", 1), ("q95", 1)):
        text = format_estimate(row[q], mcse)
        digits = len(text.replace(".", "").lstrip("0\N{MINUS SIGN}"))
        shown.append(format_estimate(row[q], row[f"mcse_{q}"]) if digits < least else text)
    return shown[0], shown[1], shown[2]


def estimate(row: Row, unit: str = "", *, posterior: bool = False) -> str:
    """The median with its unit, and in brackets the interval."""
    centre, low, high = numbers(row)
    return f"{in_unit(centre, unit)} ({'posterior median; ' * posterior}90 % interval {low} to {high})"


def cells(row: Row) -> list[str]:
    """Median and both ends of the interval for a table, each with the digits of its own error."""
    row = _by_key(row)
    return [format_estimate(row[key], row[f"mcse_{key}"]) for key in ("q50", "q05", "q95")]


def listed(subject: str, terms: Mapping[str, Row]) -> str:
    """One sentence for many terms: each with its median and its interval."""
    shown = [(term, *numbers(row)) for term, row in list(terms.items())[:_LISTED]]
    values = "; ".join(f"{term} {centre} ({low} to {high})" for term, centre, low, high in shown)
    more = f"; and {len(terms) - len(shown)} more" if len(terms) > len(shown) else ""
    return f"{subject} (median and 90 % interval): {values}{more}."


def _by_key(row: Row) -> Mapping[str, Any]:
    return row.as_dict() if isinstance(row, Entry) else row
