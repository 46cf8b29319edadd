"""The rows of a comparison, and what they may be said to show in words; one sentence for each case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Below this many observations the standard error of a difference is too small; doubling it is the rough guard
# (Sivula, Magnusson & Vehtari 2025, arXiv:2008.10296; loo's glossary).
FEW_OBSERVATIONS = 100
FEW_WIDENING = 2.0
# Differences below this are no ground for a choice, whatever their standard error (same source).
SMALL_DIFFERENCE = 4.0


@dataclass(frozen=True)
class Score:
    """A row of the comparison, best variant first. ``elpd_diff`` is against the best: zero or negative."""

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
    reading: str


def distinguishable(score: Score) -> bool:
    """Whether a variant may be told from the best: at least 4 apart, and at least two (widened) standard errors."""
    return abs(score.elpd_diff) >= SMALL_DIFFERENCE and abs(score.elpd_diff) >= 2 * score.se_diff_used


def verdict_in_words(scores: Sequence[Score], n: int) -> list[str]:
    """The verdict on scores, best first; no ranking where a Pareto k is too high."""
    high = [s for s in scores if s.pareto_k_high]
    if high:
        named = ", ".join(f"{plain(s.variant)} ({s.pareto_k_high})" for s in high)
        said = [
            f"The ranking is withheld: Pareto k is too high for some observations of {named}, and the error "
            "tends to favour the variant with more of them."
        ]
    else:
        said = [_pair(scores[0], other) for other in scores[1:]]
    if n < FEW_OBSERVATIONS:
        said.append(few_observations(n))
    return said


def few_observations(n: int) -> str:
    """What a reader must know of a comparison on fewer than 100 observations."""
    return (
        f"There are {n} observations only: the standard error of a difference is too small with fewer than "
        f"{FEW_OBSERVATIONS}, and is doubled here."
    )


def _pair(best: Score, other: Score) -> str:
    a, b, d = plain(best.variant).capitalize(), plain(other.variant), abs(other.elpd_diff)
    numbers = f"elpd difference {d:.1f}, standard error {other.se_diff_used:.1f}"
    if d < SMALL_DIFFERENCE:
        return f"{a} and {b} are not distinguishable ({numbers}): choose on purpose, not on rank."
    if not distinguishable(other):
        return (
            f"{a} scores better than {b}, but the difference is uncertain ({numbers}): "
            "not distinguishable on these data."
        )
    return f"{a} predicts better than {b} ({numbers})."


def plain(variant: str) -> str:
    """The name of a variant as words."""
    return variant.replace("_", " ")


def read_score(p_loo: float, n: int, high: int) -> str:
    """What p_loo says where Pareto k is high (Vehtari et al. 2017, 10.1007/s11222-016-9696-4; loo's glossary)."""
    if not high:
        return ""
    if p_loo > n / 5:
        return "p_loo is large for the number of observations: a flexible model or a weak prior."
    return "p_loo is small: the model may be misspecified for the observations with high Pareto k."
