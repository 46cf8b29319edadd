"""What is concluded from some fits, so that it can be seen whether another prior, or one group less, changes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from hbm_stan.comparison import Comparison
from hbm_stan.elements import base_of, term_of
from hbm_stan.fit import Fit
from hbm_stan.scores import plain
from hbm_stan.sensitivity.quantities import Side, location_and_scale, location_of, side, watched
from hbm_stan.table import FloatArray


class Decision(StrEnum):
    """What a comparison decides of the main variant against the best other one; none where it cannot be asked."""

    NONE = "none"
    WITHHELD = "withheld"
    BETTER = "better"
    WORSE = "worse"
    NOT_TOLD_APART = "not_told_apart"


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A posterior in short: mean, sd, median and the ends of the 90 % interval."""

    mean: float
    sd: float
    q05: float
    q50: float
    q95: float


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """Intervals by quantity, on which side of zero each location lies, and what the comparison decides.

    ``elpd_diff`` is the main variant's elpd minus that of the best other one that is ranked, ``se_diff`` its standard
    error (doubled where observations are few); both None where there is no ranking.
    """

    intervals: Mapping[str, Interval]
    decision: Decision = Decision.NONE
    elpd_diff: float | None = None
    se_diff: float | None = None
    other: str = ""
    locations: tuple[str, ...] = ()
    scales: tuple[str, ...] = ()
    signs: Mapping[str, Side] = field(default_factory=dict)
    columns: tuple[str, ...] = ()  # names of location, scale and the new group's value, those that there are

    @property
    def verdict(self) -> str:
        """The decision in words; empty where there is none."""
        return {
            Decision.NONE: "",
            Decision.WITHHELD: "the ranking is withheld",
            Decision.BETTER: f"better than {plain(self.other)}",
            Decision.WORSE: f"worse than {plain(self.other)}",
            Decision.NOT_TOLD_APART: f"not told apart from {plain(self.other)}",
        }[self.decision]

    def as_dict(self) -> dict[str, Any]:
        """The conclusion for JSON."""
        row = asdict(self)
        in_words = {"signs": {name: s.words for name, s in self.signs.items()}, "verdict": self.verdict}
        return {k: row[k] for k in ("intervals", "columns", "decision", "elpd_diff", "se_diff", "other")} | in_words


def terms(names: Iterable[str], scale: str) -> list[str]:
    """The terms that differ between groups: those that the scale has; an empty one where it is a single number."""
    elements = [n for n in names if base_of(n) == scale]
    return [term_of(n) for n in elements] or [""]


def varying(names: Iterable[str], scale: str) -> list[str]:
    """The names of locations and scales, without the locations of terms that groups share."""
    given = list(names)
    own = terms(given, scale)
    return [n for n in given if term_of(n) in own] or given


def element(name: str, term: str) -> str:
    """The name of a term's element: ``mu``, ``mu[floor]``."""
    return f"{name}[{term}]" if term else name


def interval(draws: FloatArray) -> Interval:
    """Mean, sd, median and 90 % interval of draws, (S,)."""
    q05, q50, q95 = (float(q) for q in np.quantile(draws, (0.05, 0.5, 0.95)))
    return Interval(mean=float(draws.mean()), sd=float(draws.std(ddof=1)), q05=q05, q50=q50, q95=q95)


def conclude(main: Fit, comparison: Comparison | None, options: Mapping[str, Any]) -> Conclusion:
    """What these fits conclude: of the main variant, and of its comparison with the others where there is one."""
    intervals = {name: interval(draws) for name, draws in watched(main, options).items()}
    elements, location = location_and_scale(main), location_of(main.family)
    locations = tuple(n for n in elements if base_of(n) == location)
    scales = tuple(n for n in elements if n not in locations)
    signs = {n: side(intervals[n].q05, intervals[n].q95) for n in locations} if main.family.words.signed else {}
    decision, diff, se, other = _decided(comparison, main.variant)
    names = (location, main.family.groups.population_scale, f"{main.family.groups.group_quantity}_new")
    there = {base_of(n) for n in intervals}
    columns = tuple(n for n in names if n in there)
    return Conclusion(
        intervals=intervals,
        decision=decision,
        elpd_diff=diff,
        se_diff=se,
        other=other,
        locations=locations,
        scales=scales,
        signs=signs,
        columns=columns,
    )


def _decided(comparison: Comparison | None, main: str) -> tuple[Decision, float | None, float | None, str]:
    """The decision on the main variant against the best other one, elpd difference, its error, and that other one."""
    if comparison is None:
        return Decision.NONE, None, None, ""
    if comparison.withheld:
        return Decision.WITHHELD, None, None, ""
    ranked = {s.variant: s for s in comparison.scores if s.ranked}
    others = [s for s in ranked.values() if s.variant != main]
    if main not in ranked or not others:
        return Decision.NONE, None, None, ""
    own, other = ranked[main], max(others, key=lambda s: s.elpd)
    ahead = own.elpd >= other.elpd
    # Differences are kept against the best: one of the two is the best of all.
    worse = other if ahead else own
    diff = -worse.elpd_diff if ahead else worse.elpd_diff
    pair = comparison.pair(main, other.variant)
    if pair is not None and pair.kind in {"better", "better_here"}:
        decision = Decision.BETTER if ahead else Decision.WORSE
    else:
        decision = Decision.NOT_TOLD_APART
    return decision, float(diff), float(worse.se_diff_used), other.variant


def changes(base: Conclusion, now: Conclusion) -> list[str]:
    """What another prior changes of a conclusion, in words; empty where it stands."""
    phrases = []
    before, after = ((conclusion.decision, conclusion.other) for conclusion in (base, now))
    # A ranking that a Pareto k withholds on one side says nothing of the prior.
    withheld = Decision.WITHHELD in {base.decision, now.decision}
    if base.decision is not Decision.NONE and after != before and not withheld:
        phrases.append(f"the comparison: {now.verdict or 'no ranking'} (before: {base.verdict})")
    for name, sign in base.signs.items():
        if now.signs.get(name, sign) is not sign:
            phrases.append(f"the 90 % interval of {name} lies {now.signs[name].words} (before: {sign.words})")
    for name in (*base.locations, *base.scales):
        a, b = base.intervals[name], now.intervals.get(name)
        if b is not None and (b.q05 > a.q95 or b.q95 < a.q05):
            phrases.append(f"the 90 % intervals of {name} do not overlap")
    return phrases


def largest_move(base: Conclusion, now: Conclusion) -> tuple[str, float]:
    """The location or scale whose mean moves most, and by how many posterior sds."""
    moves = {
        n: (now.intervals[n].mean - base.intervals[n].mean) / base.intervals[n].sd
        for n in (*base.locations, *base.scales)
        if n in now.intervals
    }
    name = max(moves, key=lambda n: abs(moves[n]), default="")
    return name, moves.get(name, 0.0)
