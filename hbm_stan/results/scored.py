"""The comparison of variants, as ``hbm_stan.comparison.Comparison`` gives it: scores, pairs, repairs, sentences.

Differences of elpd, their errors and scores are in nats; where the ranking is withheld, differences are nan.
"""

from __future__ import annotations

from dataclasses import dataclass

from hbm_stan.results.entry import Entry


@dataclass(frozen=True, kw_only=True)
class ScoreRow(Entry):
    """The score of a variant, best first. ``elpd_diff`` is against the best ranked one.

    ``bootstrap`` are the 5 % and 95 % points of the difference and the share of it below zero. ``route`` says how units
    were left out in words, ``route_kind`` which way it is. ``pareto_k_high`` counts units that are unrepaired.
    """

    variant: str
    elpd: float
    se: float
    elpd_diff: float
    se_diff: float
    se_diff_used: float
    p_loo: float
    weight: float | None
    pareto_k_high: int
    pareto_k_max: float | None
    route: str
    prior: str
    reading: str
    mcse: float
    mcse_diff: float
    weight_bma: float | None
    bootstrap: list[float] | None
    repaired: int
    unrepaired: list[str]
    route_kind: str
    ranked: bool


@dataclass(frozen=True, kw_only=True)
class RepairRow(Entry):
    """A unit with a high Pareto k, and its score before and after it was repaired."""

    variant: str
    label: str
    route: str
    pareto_k: float
    pareto_k_after: float
    elpd_before: float
    elpd: float
    mcse: float
    route_kind: str


@dataclass(frozen=True, kw_only=True)
class GroupOfLead(Entry):
    """A group that a lead rests on, and its share of the lead."""

    group: str
    share: float


@dataclass(frozen=True, kw_only=True)
class PairRow(Entry):
    """What the scores say of two variants; ``elpd_diff`` is the lead of ``better``, never below 0."""

    better: str
    other: str
    kind: str
    reason: str
    elpd_diff: float
    se_diff_used: float
    mcse_diff: float
    n_units: int
    n_groups: int
    bootstrap: list[float] | None
    rests_on: list[GroupOfLead]
    n_for: int
    decides: str
    side: str


@dataclass(frozen=True, kw_only=True)
class Scored(Entry):
    """The sections ``comparison`` and ``group_comparison``: ``unit`` is what is left out in turn."""

    unit: str
    target: str
    n_observations: int
    n_units: int
    scores: list[ScoreRow]
    repairs: list[RepairRow]
    verdict: list[str]
    pairs: list[PairRow]
    withheld_because: list[str]
    notes: list[str]
    withheld: bool
    k_threshold: float
