"""Which of two variants predicts better, and how surely: one of four answers, from the differences group by group.

The rule is calibrated by ``tests/tools/verdict_table.py``; its error rates are in reports/comparison.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hbm_stan.scores import SMALL_DIFFERENCE
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import for_json
from hbm_stan.weights import bootstrap_difference

# What may be said of two variants; "withheld" where a high Pareto k or a rough integral forbids to say anything.
Kind = Literal["alike", "better", "better_here", "not_told_apart", "withheld"]
# Why a lead is uncertain in size ("few", "unequal"), or not told apart ("draws", "too_few", "both_sides").
Reason = Literal["", "few", "unequal", "draws", "too_few", "both_sides"]
# How one unit decides what units on both sides leave open: the lead is its own, or does not stand beside more like it.
Side = Literal["", "for", "against"]
# The share of the bootstrap that may lie below 0, how often more the group that speaks most against the lead counts in
# it (its like may be among the groups that were not seen), and the corrected standard errors that a lead needs. Ours:
# together they call one of two equals better in at most 4 of 100 simulated sets, and find tau = 3 in 99 of 100. More
# standard errors would not do: with 6 for 9, heavy tails and unequal groups make 5.7 false ones of 100, 5.6 with 2.5.
_LEVEL, _AGAINST, STANDARD_ERRORS = 0.05, 9, 1.8
# From so many groups on "better" may be said; with 12 the rule errs in up to 8 of 100 sets (ours, same simulation).
MANY_GROUPS = 20
# With fewer units on one side chance alone puts all on one side too often: 2 / 2^4 is 12 % (ours).
LEAST_UNITS = 5
# Groups are named until they make this share of the lead (ours).
_NAMED_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What the scores say of two variants. ``elpd_diff`` is the lead of ``better``, not below 0.

    ``bootstrap`` are the 5 % and 95 % points of the lead under a Bayesian bootstrap over groups and the share below
    zero. ``rests_on`` are the groups that make half of the lead and their shares of it, the largest first. Of units on
    both sides ``n_for`` speak for the lead; ``decides`` is the one that decides, ``side`` how ("" where none does).
    """

    better: str
    other: str
    kind: Kind
    reason: Reason = ""
    elpd_diff: float = math.nan
    se_diff_used: float = math.nan
    mcse_diff: float = math.nan
    n_units: int = 0
    n_groups: int = 0
    bootstrap: tuple[float, float, float] | None = None
    rests_on: tuple[tuple[str, float], ...] = ()
    n_for: int = 0
    decides: str = ""
    side: Side = ""

    def as_dict(self) -> dict[str, Any]:
        """The pair for JSON; numbers are null where the ranking is withheld."""
        row: dict[str, Any] = for_json(asdict(self))
        return row | {"rests_on": [{"group": label, "share": share} for label, share in self.rests_on]}


def judge(
    better: str,
    other: str,
    lead_i: FloatArray,
    *,
    se: float,
    mcse: float = 0.0,
    group: npt.NDArray[np.int64] | None = None,
    labels: Sequence[str] = (),
    limit: bool = False,
) -> Pair:
    """What may be said of two variants whose pointwise scores differ by ``lead_i``, shape (unit,), in sum not below 0.

    ``group`` is the group of each unit, ``labels`` the names of groups. ``limit`` says that ``other`` is a limit of
    ``better``, as complete pooling is of partial pooling: a lead of 4 is then rare by chance alone.
    """
    lead_j = lead_i if group is None else np.bincount(group, weights=lead_i)
    few_groups = group is not None and lead_j.size < LEAST_UNITS
    # Of fewer than five known groups, rows are the units that a statement on these groups rests on.
    lead = lead_i if few_groups else lead_j
    kind, reason = _kind(lead, lead_j.size, mcse, limit)
    side, at = _decided(lead) if reason == "both_sides" else ("", 0)
    return Pair(
        better=better, other=other, kind=kind, reason=reason, elpd_diff=float(lead_i.sum()), se_diff_used=se,
        mcse_diff=mcse, n_units=lead_i.size, n_groups=lead_j.size,
        bootstrap=bootstrap_difference(lead_j) if lead_j.size > 1 else None,
        rests_on=_rests_on(lead_j, labels) if kind == "better_here" else (), n_for=int(np.count_nonzero(lead > 0)),
        decides=labels[at] if side and labels and not few_groups else "", side=side,
    )  # fmt: skip


def _kind(lead: FloatArray, n_groups: int, mcse: float, limit: bool) -> tuple[Kind, Reason]:
    """The answer and why it is not a stronger one; ``lead`` has shape (unit,)."""
    total = float(lead.sum())
    if total < SMALL_DIFFERENCE:
        return "alike", ""
    if not total - 2 * mcse >= SMALL_DIFFERENCE:
        return "not_told_apart", "draws"
    # Where groups do not differ, partial pooling hardly ever leads by 4: less has to speak against chance.
    sure = stands(lead, against=0) if limit else one_sided(lead)
    if sure and n_groups >= MANY_GROUPS and corrected_z(lead) >= STANDARD_ERRORS:
        return "better", ""
    if sure:
        return "better_here", "few" if n_groups < MANY_GROUPS else "unequal"
    return "not_told_apart", "too_few" if lead.size < LEAST_UNITS else "both_sides"


def _decided(lead: FloatArray) -> tuple[Side, int]:
    """How a single unit, shape (unit,), decides that a lead is not told apart, and which; none where many do."""
    if not stands(lead, against=0):
        return "", 0
    return ("for", int(lead.argmax())) if lead.sum() <= lead.max() else ("against", int(lead.argmin()))


def one_sided(lead: FloatArray) -> bool:
    """Whether a lead, shape (unit,), stands in a bootstrap with more like its worst unit, and without its best one."""
    return lead.size >= LEAST_UNITS and bool(lead.sum() > lead.max()) and stands(lead, _AGAINST)


def stands(lead: FloatArray, against: int) -> bool:
    """Whether a bootstrap of a lead, shape (unit,), is nearly always above 0.

    The worst unit, if it speaks against the lead, counts ``against`` times more.
    """
    if not np.isfinite(lead).all():
        return False
    more = np.full(against, min(float(lead.min()), 0.0))
    return bootstrap_difference(np.append(lead, more))[2] <= _LEVEL


def corrected_z(lead: FloatArray) -> float:
    """The mean of ``lead``, shape (unit,), in standard errors, corrected for skewness: Johnson (1978), eq. 2.4.

    Journal of the American Statistical Association 73:536. Where large leads are the rare ones, as where some groups
    lie far out, the plain ratio is too small; where large losses are, it is too large.
    """
    n, mean, sd = lead.size, float(lead.mean()), float(lead.std(ddof=1))
    if sd == 0:
        return math.copysign(math.inf, mean)
    skewness = float(np.mean((lead - mean) ** 3)) / sd**3
    z = math.sqrt(n) * mean / sd
    return z + skewness * (1 + 2 * z**2) / (6 * math.sqrt(n))


def _rests_on(lead: FloatArray, labels: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """The groups with the largest leads that make half of the whole, and their shares; the largest first."""
    names = labels or [str(j + 1) for j in range(lead.size)]
    order = sorted(range(lead.size), key=lambda j: (-lead[j], names[j]))
    shares = lead[order] / lead.sum()
    # Shares that add up to a half but for rounding are a half.
    enough = int(np.argmax(np.cumsum(shares) >= _NAMED_SHARE - 1e-9)) + 1
    return tuple((names[j], float(share)) for j, share in zip(order[:enough], shares, strict=False))
