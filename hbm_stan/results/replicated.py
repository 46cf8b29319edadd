"""Replicated data beside the observed: statistics, groups and rows."""

from __future__ import annotations

from dataclasses import dataclass

from hbm_stan.fit import Fit
from hbm_stan.replicate import PredictiveCheck
from hbm_stan.results.entry import Entry, rows_of
from hbm_stan.results.excerpts import replicated_listed
from hbm_stan.results.summary import Named, Quartiles
from hbm_stan.results.units import observed_quantity


@dataclass(frozen=True, kw_only=True)
class Statistic(Named):
    """A statistic of the data beside those of replicated data sets, in its own unit; ``kind`` says which it is.

    ``p_value`` is the share of replications above the observed, ties counted half, ``p_two_sided`` counts the observed
    data as one more replication; ``low`` and ``high`` hold the middle 99.9 % of replications.
    """

    kind: str
    observed: float
    replicated_mean: float
    q05: float
    q95: float
    p_value: float
    p_two_sided: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class _OfGroup(Entry):
    group: str
    observed: float


@dataclass(frozen=True, kw_only=True)
class ReplicatedGroup(Quartiles, _OfGroup):
    """The mean of a group's rows (its share, its rate) and what replications have of it."""


@dataclass(frozen=True, kw_only=True)
class _OfBin(Entry):
    low: float
    high: float
    observed: int


@dataclass(frozen=True, kw_only=True)
class ReplicatedBin(Quartiles, _OfBin):
    """How many rows have an outcome from ``low`` to ``high``, and how many of replications do."""


@dataclass(frozen=True, kw_only=True)
class Replicated(Entry):
    """The section ``ppc``; ``quantity`` is what is observed of a group."""

    variant: str
    statistics: list[Statistic]
    groups: list[ReplicatedGroup]
    rows: list[ReplicatedBin]
    note: str
    quantity: str


def replicated_of(check: PredictiveCheck, main: Fit) -> Replicated:
    """The predictive check of a fit; its quantity is what the main fit observes of a group."""
    return Replicated(
        variant=check.variant,
        statistics=rows_of(Statistic, check.statistics),
        groups=rows_of(ReplicatedGroup, replicated_listed(check.groups)),
        rows=[] if check.rows is None else rows_of(ReplicatedBin, check.rows),
        note=check.note,
        quantity=observed_quantity(main),
    )
