"""The rows of a comparison, and what they may be said to show in words; one sentence for each case."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Below this many units the standard error of a difference is too small; doubling it is the rough guard
# (Sivula, Magnusson & Vehtari 2025, arXiv:2008.10296; loo's glossary).
FEW_UNITS = 100
FEW_WIDENING = 2.0
# Differences below this are no ground for a choice, whatever their standard error (same source).
SMALL_DIFFERENCE = 4.0
# "Much smaller than" in the reading of p_loo, as a share of the number of parameters (ours).
_WELL_BELOW = 0.5


@dataclass(frozen=True)
class Score:
    """A row of the comparison, best variant first. ``elpd_diff`` is against the best ranked variant.

    ``prior`` is not empty where leaving a unit out leaves nothing but this prior: such a score says how the
    prior was chosen, not how well the data are pooled, and is not ranked. ``mcse`` and ``mcse_diff`` are Monte Carlo
    errors, nan where a unit is unrepaired. ``bootstrap`` are the 5 % and 95 % points of the difference under a Bayesian
    bootstrap over groups, and the share of it below zero; None where there are enough units.
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
    mcse: float = 0.0
    mcse_diff: float = 0.0
    weight_bma: float | None = None
    bootstrap: tuple[float, float, float] | None = None
    repaired: int = 0
    unrepaired: tuple[str, ...] = ()

    @property
    def ranked(self) -> bool:
        """Whether the score may be ranked against the others."""
        return not self.prior


def distinguishable(score: Score) -> bool:
    """Whether a variant may be told from the best: 4 apart beyond Monte Carlo error, two (widened) SEs, most groups."""
    d = abs(score.elpd_diff)
    return d - 2 * score.mcse_diff >= SMALL_DIFFERENCE and d >= 2 * score.se_diff_used and not _few_groups_differ(score)


def _few_groups_differ(score: Score) -> bool:
    """Whether the bootstrap over groups has zero within its 90 %: a few groups make the difference (ours)."""
    return score.bootstrap is not None and score.bootstrap[1] >= 0


def verdict_in_words(scores: Sequence[Score], n: int, unit: str = "observation", *, rough: bool = False) -> list[str]:
    """The verdict on scores of ``n`` units, best first; no ranking where a Pareto k is too high.

    ``rough`` says that an integral over groups is not accurate enough for one.
    """
    ranked = [s for s in scores if s.ranked]
    high = [s for s in ranked if s.pareto_k_high]
    unknown = [s for s in high if math.isnan(s.elpd)]
    if unknown:
        said = [
            f"The ranking is withheld: without refits there is no score of {unit}s left out for "
            f"{', '.join(plain(s.variant) for s in unknown)}."
        ]
    elif rough:
        said = ["The ranking is withheld: an integral over groups is not accurate enough."]
    elif high:
        named = ", ".join(f"{plain(s.variant)} ({s.pareto_k_high})" for s in high)
        said = [
            f"The ranking is withheld: Pareto k is too high for some {unit}s of {named}, and the error "
            "tends to favour the variant with more of them."
        ]
    else:
        said = [_pair(ranked[0], other, n) for other in ranked[1:]]
        if n < FEW_UNITS and len(ranked) > 1:
            said.append(few_units(n, unit))
    return said + [_unranked(s, unit) for s in scores if not s.ranked]


def _unranked(score: Score, unit: str) -> str:
    name = plain(score.variant).capitalize()
    if unit == "group":
        return (
            f"{name} is not ranked: it says nothing of a new group but its prior, {score.prior}, "
            f"and its score ({score.elpd:.1f}) would change with that choice."
        )
    return (
        f"{name} is not ranked: with one row for each group, leaving the row out leaves "
        f"only its prior, {score.prior}, and its score ({score.elpd:.1f}) would change with that choice."
    )


def few_units(n: int, unit: str = "observation") -> str:
    """What a reader must know of a comparison on fewer than 100 units."""
    return (
        f"With {n} {unit}s the standard error of an elpd difference is too small; below {FEW_UNITS} "
        "the values given here are doubled."
    )


def chance_in_words(n_models: int) -> str:
    """What must be said where the best of many models may be the best by chance (McLatchie & Vehtari 2024)."""
    return (
        f"With {n_models} variants the best one's lead over the median variant is no larger than the largest of as "
        "many chance differences would be: do not choose by rank."
    )


def _pair(best: Score, other: Score, n: int) -> str:
    a, b, d = plain(best.variant).capitalize(), plain(other.variant), abs(other.elpd_diff)
    error = "doubled standard error" if n < FEW_UNITS else "standard error"
    numbers = f"elpd difference {d:.1f}, {error} {other.se_diff_used:.1f}{_bootstrap(other)}"
    if d < SMALL_DIFFERENCE:
        return f"{a} and {b} are not distinguishable ({numbers}): these data do not decide between them."
    if d < 2 * other.se_diff_used:
        return (
            f"{a} scores better than {b}, but by less than two {error}s ({numbers}): not distinguishable on these data."
        )
    if _few_groups_differ(other):
        return f"{a} scores better than {b} ({numbers}), but a few groups make the difference: not distinguishable."
    if not distinguishable(other):
        return (
            f"{a} scores better than {b} ({numbers}), but the difference has a Monte Carlo error of "
            f"{other.mcse_diff:.1f}: not distinguishable with these draws; draw more."
        )
    return f"{a} predicts better than {b} ({numbers})."


def _bootstrap(score: Score) -> str:
    """The Bayesian bootstrap beside a doubled standard error."""
    if score.bootstrap is None or not all(map(math.isfinite, score.bootstrap)):
        return ""
    low, high, _ = score.bootstrap  # of the difference from the best; the lead of the best has the other sign
    # Adding 0 makes a rounded -0.0 a 0.0.
    return f", 90 % of a bootstrap over groups {round(-high, 1) + 0:.1f} to {round(-low, 1) + 0:.1f}"


def plain(variant: str) -> str:
    """The name of a variant as words."""
    return variant.replace("_", " ")


def badly_misspecified(p_loo: float, n_parameters: int, high: int) -> bool:
    """Whether p_loo says so: above the number of parameters, where Pareto k is high (Vehtari et al. 2017)."""
    return high > 0 and p_loo > n_parameters


def read_score(p_loo: float, n_parameters: int, n: int, high: int) -> str:
    """What p_loo says where Pareto k is high (Vehtari et al. 2017, 10.1007/s11222-016-9696-4; loo's glossary)."""
    if not high or math.isnan(p_loo):
        return ""
    if badly_misspecified(p_loo, n_parameters, high):
        return f"p_loo is above the number of parameters ({n_parameters}): the model is badly misspecified."
    if n_parameters > n / 5:
        return "p_loo is below the number of parameters, which is large for the data: a flexible model or a weak prior."
    if p_loo < _WELL_BELOW * n_parameters:
        return "p_loo is well below the number of parameters: the model may be misspecified."
    return ""
