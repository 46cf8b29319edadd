"""The rows of a comparison: what each score is, and what may be read from its p_loo."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# Below this many units the standard error of a difference is too small; doubling it is the rough guard
# (Sivula, Magnusson & Vehtari 2025, arXiv:2008.10296; loo's glossary).
FEW_UNITS = 100
FEW_WIDENING = 2.0
# Differences below this are no ground for a choice, whatever their standard error (same source).
SMALL_DIFFERENCE = 4.0
# Folds of the cross-validation that takes the place of more refits than are allowed.
FOLDS = 10
# "Much smaller than" in the reading of p_loo, as a share of the number of parameters (ours).
_WELL_BELOW = 0.5


class Route(StrEnum):
    """How a score was found, or how that of one unit was repaired; code asks which it is, readers get its words."""

    PSIS = "psis"
    INTEGRATED = "psis_integrated"
    BIASED = "psis_biased"
    EXACT = "exact"
    ROW_PRIOR = "row_prior"
    GROUP_PRIOR = "group_prior"
    NEEDS_REFITS = "needs_refits"
    REFITS = "refits"
    FOLDS = "folds"
    PATCHES = "patches"
    MORE_DRAWS = "more_draws"
    MOMENT_MATCHING = "moment_matching"
    REFIT = "refit"

    @property
    def words(self) -> str:
        """The route as readers know it."""
        return _ROUTES[self]


_ROUTES: Mapping[Route, str] = {
    Route.PSIS: "PSIS",
    Route.INTEGRATED: "PSIS, group effects integrated out",
    Route.BIASED: "PSIS, biased here: needs exact_loo()",
    Route.EXACT: "exact: closed form or quadrature",
    Route.ROW_PRIOR: "exact: its prior alone",
    Route.GROUP_PRIOR: "its prior alone",
    Route.NEEDS_REFITS: "needs refits: the family gives no group_log_lik",
    Route.REFITS: "refits, new groups drawn",
    Route.FOLDS: f"{FOLDS}-fold, stratified by group",
    Route.PATCHES: f"{FOLDS}-fold, each fold a patch of neighbours",
    Route.MORE_DRAWS: "more draws",
    Route.MOMENT_MATCHING: "moment matching",
    Route.REFIT: "refit",
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """A row of the comparison, best variant first. ``elpd_diff`` is against the best ranked variant.

    ``prior`` is not empty where leaving a unit out leaves nothing but this prior: such a score says how the
    prior was chosen, not how well the data are pooled, and is not ranked. ``mcse`` and ``mcse_diff`` are Monte Carlo
    errors, nan where a unit is unrepaired. ``bootstrap`` are the 5 % and 95 % points of the difference under a Bayesian
    bootstrap over groups, and the share of it below zero; None for the best variant and a single group.
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
    route: Route
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


def plain(variant: str) -> str:
    """The name of a variant as words."""
    return variant.replace("_", " ")


def most_p_loo(n_parameters: int) -> float:
    """The p_loo beyond which a model is badly misspecified: above the number of parameters (Vehtari et al. 2017).

    Of a right model p_loo is about half the sum of squares of as many standard normal scores, and that of the rows
    left out, so that it spreads about its mean p with an sd of sqrt(2 p): two of them are no misfit yet (ours).
    """
    return n_parameters + 2 * math.sqrt(2 * n_parameters)


def badly_misspecified(p_loo: float, n_parameters: int, high: int) -> bool:
    """Whether p_loo says so, where Pareto k is high (Vehtari et al. 2017)."""
    return high > 0 and p_loo > most_p_loo(n_parameters)


def read_score(p_loo: float, n_parameters: int, n: int, high: int) -> str:
    """What p_loo says where Pareto k is high (Vehtari et al. 2017, 10.1007/s11222-016-9696-4; loo's glossary)."""
    if not high or math.isnan(p_loo):
        return ""
    if badly_misspecified(p_loo, n_parameters, high):
        return (
            f"the effective number of parameters (p_loo) is well above the number of parameters ({n_parameters}): the "
            "model is badly misspecified."
        )
    if p_loo > n_parameters:
        return ""
    if n_parameters > n / 5:
        return "p_loo is below the number of parameters, which is large for the data: a flexible model or a weak prior."
    if p_loo < _WELL_BELOW * n_parameters:
        return "p_loo is well below the number of parameters: the model may be misspecified."
    return ""
