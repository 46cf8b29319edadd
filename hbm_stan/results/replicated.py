"""Replicated data beside the observed: statistics, groups and rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hbm_stan.fit import Fit
from hbm_stan.replicate import PredictiveCheck
from hbm_stan.results.entry import Entry
from hbm_stan.results.units import observed_quantity


@dataclass(frozen=True, kw_only=True)
class Replicated(Entry):
    """The section ``ppc``."""

    variant: str
    statistics: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    note: str
    quantity: str


def replicated_of(check: PredictiveCheck, main: Fit) -> Replicated:
    """The predictive check as plain tables; its quantity is what the main fit observes of a group."""
    return Replicated(
        variant=check.variant,
        statistics=check.statistics.to_dict("records"),
        groups=check.groups.to_dict("records"),
        rows=[] if check.rows is None else check.rows.to_dict("records"),
        note=check.note,
        quantity=observed_quantity(main),
    )
