"""How the answer depends on priors and on single groups, as ``hbm_stan.sensitivity`` gives it."""

from __future__ import annotations

from dataclasses import dataclass

from hbm_stan.results.entry import Entry
from hbm_stan.sensitivity.conclusion import Interval
from hbm_stan.sensitivity.unseen import Unseen


@dataclass(frozen=True, kw_only=True)
class Scaled(Entry):
    """The sensitivity of a quantity to the power of a component: a prior, all priors, or the likelihood."""

    quantity: str
    component: str
    value: float
    pareto_k: float


@dataclass(frozen=True, kw_only=True)
class Reading(Entry):
    """What the sensitivities of a quantity say together; ``prior`` is the one that it is most sensitive to."""

    quantity: str
    prior: str
    prior_value: float
    all_priors: float
    likelihood: float
    reading: str


@dataclass(frozen=True, kw_only=True)
class PowerScaling(Entry):
    """Power-scaling, between the powers ``alphas``; ``likelihood`` says which one was scaled."""

    threshold: float
    alphas: list[float]
    likelihood: str
    rows: list[Scaled]
    readings: list[Reading]
    sentences: list[str]


@dataclass(frozen=True, kw_only=True)
class Concluded(Entry):
    """What fits conclude: intervals by quantity in its unit, and what the comparison decides, in nats."""

    intervals: dict[str, Interval]
    columns: list[str]
    decision: str
    elpd_diff: float | None
    se_diff: float | None
    other: str
    signs: dict[str, str]
    verdict: str


@dataclass(frozen=True, kw_only=True)
class UnderOtherPriors(Entry):
    """The conclusion under other priors, and what changes; None where a refit failed its checks, which ``failed`` says.

    ``moved`` is in posterior sds. ``direct`` are the Pareto k of refits that are direct draws, ``sampled`` says why
    others are none, by variant.
    """

    label: str
    shown: str
    priors: dict[str, str]
    refitted: list[str]
    warning_example: bool
    failed: str
    changes: list[str]
    largest_move: str
    moved: float | None
    direct: dict[str, float]
    sampled: dict[str, str]
    conclusion: Concluded | None


@dataclass(frozen=True, kw_only=True)
class OtherPriors(Entry):
    """The conclusion as it stands, and under other priors."""

    base: Concluded
    rows: list[UnderOtherPriors]
    sentences: list[str]


@dataclass(frozen=True, kw_only=True)
class WithoutGroup(Entry):
    """The population without a group: intervals by parameter in its unit, and moves in posterior sds."""

    group: str
    route: str
    pareto_k: float | None
    intervals: dict[str, Interval]
    moves: dict[str, float]
    flips: list[str]
    direct: float | None
    sampled: str
    route_kind: str
    reliable: bool
    largest_move: str
    moved: float


@dataclass(frozen=True, kw_only=True)
class GroupInfluence(Entry):
    """The population as it stands and without each of ``groups`` groups, the largest moves first."""

    base: dict[str, Interval]
    groups: int
    rows: list[WithoutGroup]
    k_threshold: float
    sentences: list[str]
    columns: list[str]
    page_one: list[str]


@dataclass(frozen=True, kw_only=True)
class Sensitive(Entry):
    """The section ``sensitivity``; ``alternatives`` are None until other priors were tried."""

    variant: str
    withheld: str
    sentences: list[str]
    power: PowerScaling | None
    alternatives: OtherPriors | None
    influence: GroupInfluence | None
    unseen: Unseen | None
