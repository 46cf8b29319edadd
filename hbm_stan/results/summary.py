"""Summaries of posterior draws, as records of results.json: all that parameters have, or an interval alone.

Each number is in the unit of what is summarised; one whose name begins with ``mcse_`` is the Monte Carlo standard error
of the number of that name.
"""

from __future__ import annotations

from dataclasses import dataclass

from hbm_stan.results.entry import Entry


@dataclass(frozen=True, kw_only=True)
class Named(Entry):
    """What has a name: a base, the last one, of records in which it stands first."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Summary(Entry):
    """A summary as of parameters, in the order of the columns of ``hbm_stan.diagnose.summarise``.

    ``q05`` is the 5 % quantile; ``ess_bulk`` and ``ess_tail`` are numbers of draws.
    """

    mean: float
    sd: float
    mcse_mean: float
    mcse_sd: float
    q05: float
    mcse_q05: float
    q50: float
    mcse_q50: float
    q95: float
    mcse_q95: float
    ess_bulk: float
    ess_tail: float
    rhat: float


@dataclass(frozen=True, kw_only=True)
class Interval(Entry):
    """Median and both ends of a 90 % interval, with their errors."""

    q50: float
    q05: float
    q95: float
    mcse_q50: float
    mcse_q05: float
    mcse_q95: float


@dataclass(frozen=True, kw_only=True)
class Quartiles(Entry):
    """Median, quartiles and the ends of the 90 % interval: what a figure draws."""

    q05: float
    q25: float
    q50: float
    q75: float
    q95: float
