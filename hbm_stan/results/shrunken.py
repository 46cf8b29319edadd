"""The groups: the raw estimate of each beside the pooled ones, and how far it is drawn to the population."""

from __future__ import annotations

from dataclasses import dataclass, field

from hbm_stan.results.entry import OPTIONAL, Entry


@dataclass(frozen=True, kw_only=True)
class ShrinkageRow(Entry):
    """An entry of ``shrinkage``: a term of a group, in the unit of the group quantity.

    Pooled estimates are posterior means, nan where that variant was not fitted; sd and quantiles are those of the main
    variant. ``factor`` is the population's weight in the estimate, between 0 and 1. ``ratio`` is the median as a ratio,
    with its 90 % interval, where estimates are ratios analysed as their logs.
    """

    group: str
    term: str
    raw: float
    raw_se: float
    complete_pooling: float
    no_pooling: float
    partial_pooling: float
    sd: float
    mcse_mean: float
    q05: float
    q25: float
    q50: float
    q75: float
    q95: float
    factor: float
    ratio: float | None = field(default=None, metadata=OPTIONAL)
    ratio_q05: float | None = field(default=None, metadata=OPTIONAL)
    ratio_q95: float | None = field(default=None, metadata=OPTIONAL)
