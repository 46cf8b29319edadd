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
    """A row of the comparison, best variant first. ``elpd_diff`` is against the best ranked variant.

    ``prior`` is not empty where leaving an observation out leaves nothing but this prior: such a score says how the
    prior was chosen, not how well the data are pooled, and is not ranked.
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

    @property
    def ranked(self) -> bool:
        """Whether the score may be ranked against the others."""
        return not self.prior


def distinguishable(score: Score) -> bool:
    """Whether a variant may be told from the best: at least 4 apart, and at least two (widened) standard errors."""
    return abs(score.elpd_diff) >= SMALL_DIFFERENCE and abs(score.elpd_diff) >= 2 * score.se_diff_used


def verdict_in_words(scores: Sequence[Score], n: int) -> list[str]:
    """The verdict on scores, best first; no ranking where a Pareto k is too high."""
    ranked = [s for s in scores if s.ranked]
    high = [s for s in ranked if s.pareto_k_high]
    if high:
        named = ", ".join(f"{plain(s.variant)} ({s.pareto_k_high})" for s in high)
        said = [
            f"The ranking is withheld: Pareto k is too high for some observations of {named}, and the error "
            "tends to favour the variant with more of them."
        ]
    else:
        said = [_pair(ranked[0], other, n) for other in ranked[1:]]
        if n < FEW_OBSERVATIONS and len(ranked) > 1:
            said.append(few_observations(n))
    return said + [_unranked(s) for s in scores if not s.ranked]


def _unranked(score: Score) -> str:
    return (
        f"{plain(score.variant).capitalize()} is not ranked: with one row for each group, leaving the row out leaves "
        f"only its prior, {score.prior}, and its score ({score.elpd:.1f}) would change with that choice."
    )


def few_observations(n: int) -> str:
    """What a reader must know of a comparison on fewer than 100 observations."""
    return (
        f"With {n} observations the standard error of an elpd difference is too small; below {FEW_OBSERVATIONS} "
        "the values given here are doubled."
    )


def _pair(best: Score, other: Score, n: int) -> str:
    a, b, d = plain(best.variant).capitalize(), plain(other.variant), abs(other.elpd_diff)
    error = "doubled standard error" if n < FEW_OBSERVATIONS else "standard error"
    numbers = f"elpd difference {d:.1f}, {error} {other.se_diff_used:.1f}"
    if d < SMALL_DIFFERENCE:
        return f"{a} and {b} are not distinguishable ({numbers}): these data do not decide between them."
    if not distinguishable(other):
        return (
            f"{a} scores better than {b}, but by less than two standard errors ({numbers}): "
            "not distinguishable on these data."
        )
    return f"{a} predicts better than {b} ({numbers})."


def plain(variant: str) -> str:
    """The name of a variant as words."""
    return variant.replace("_", " ")


def read_score(p_loo: float, n_parameters: int, n: int, high: int) -> str:
    """What p_loo says where Pareto k is high (Vehtari et al. 2017, 10.1007/s11222-016-9696-4; loo's glossary)."""
    if not high:
        return ""
    if p_loo > n_parameters:
        return f"p_loo is above the number of parameters ({n_parameters}): the model is badly misspecified."
    if n_parameters > n / 5:
        return "p_loo is below the number of parameters, which is large for the data: a flexible model or a weak prior."
    return "p_loo is well below the number of parameters: the model may be misspecified."
