"""Weights of draws of the population by the density of new rows, Pareto smoothed, and whether they can be trusted.

Vehtari et al. (2024), JMLR 25(72): what weights say is reliable where their Pareto k lies below a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.leave_one_out import MORE_DRAWS_HELP, good_k
from hbm_stan.new_rows.new_groups import NewGroups
from hbm_stan.psis import smooth
from hbm_stan.table import FloatArray, shorten

# Fewer effective draws than this are too few for the intervals that are reported (ours; 2.1 of Vehtari et al. 2021 asks
# for as many of one chain).
LEAST_EFFECTIVE = 100.0
_ENOUGH = 400.0  # effective draws: Vehtari et al. (2021), 100 of each of four chains
_ALIKE = 1e-6  # log densities that differ by less are alike (ours)
_NAMED = 3  # groups that a message names


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Normalised weights ``of_draws`` (S,) by the rows of all new groups together, and their Pareto k.

    ``moved`` are the groups whose rows alone have weights of a high k; where there are none, the one whose log density
    differs most between draws.
    """

    of_draws: FloatArray
    pareto_k: float
    threshold: float
    moved: tuple[str, ...]

    @property
    def effective(self) -> float:
        """How many draws the weighted ones are worth."""
        return float(1 / np.sum(self.of_draws**2))

    @property
    def high(self) -> bool:
        """Whether k is too high; one that is not a number is."""
        return not self.pareto_k < self.threshold

    @property
    def failure(self) -> str:
        """Why nothing can be concluded from them, in words; empty where it can."""
        n = len(self.of_draws)
        if self.high:
            names = ", ".join(repr(shorten(label)) for label in self.moved[:_NAMED])
            more = f" and {len(self.moved) - _NAMED:,} more" * (len(self.moved) > _NAMED)
            k = f"{self.pareto_k:.2f}" if np.isfinite(self.pareto_k) else "infinite"
            return (
                f"the rows move the population too far for the weights of its {n:,} draws to follow (Pareto k "
                f"{k}, allowed below {self.threshold:.2f}; most of it comes from {names}{more})"
            )
        if self.effective < LEAST_EFFECTIVE:
            return (
                f"weighted by these rows, {n:,} draws of the population are worth {self.effective:.0f}, and at least "
                f"{LEAST_EFFECTIVE:.0f} are needed"
            )
        return ""

    @property
    def draws_help(self) -> bool:
        """Whether more draws of the population may do."""
        return not self.high or self.pareto_k < MORE_DRAWS_HELP

    @property
    def note(self) -> str:
        """What the weights are worth, in words."""
        shown = "below 0" if self.pareto_k < 0 else f"{self.pareto_k:.2f}"
        few = ", fewer than 400: more draws would say it closer" if self.effective < _ENOUGH else ""
        return (
            f"Not fitted again: draws of the population are weighted by the density of the new rows (Pareto k {shown}, "
            f"allowed below {self.threshold:.2f}; {len(self.of_draws):,} draws are worth {self.effective:,.0f}{few})."
        )


def weigh(log_lik: FloatArray, new: NewGroups) -> Weights:
    """The weights of draws by the log density of the rows of each new group, (S, J).

    Raises DataError where the rows have no density under any draw.
    """
    total = log_lik.sum(axis=1)
    threshold = good_k(len(total))
    if not np.isfinite(total).any():
        raise DataError(f"{new.where}: these rows have no density under any draw of the population. Check their unit.")
    if np.ptp(total) < _ALIKE:  # the rows say nothing of the population: no tail to be fitted
        even = np.full(len(total), 1 / len(total))
        return Weights(of_draws=even, pareto_k=-np.inf, threshold=threshold, moved=())
    smoothed, k = smooth(total)
    return Weights(
        of_draws=np.exp(smoothed), pareto_k=float(k), threshold=threshold, moved=_moved(log_lik, new.labels, threshold)
    )


def _moved(log_lik: FloatArray, labels: Sequence[str], threshold: float) -> tuple[str, ...]:
    """The groups that move the population too far by themselves, those of the highest k first, or the furthest one."""
    spread = np.ptp(np.where(np.isfinite(log_lik), log_lik, np.finfo(float).min), axis=0)
    some = np.flatnonzero(spread >= _ALIKE)
    k = np.nan_to_num(smooth(log_lik[:, some])[1], nan=np.inf)
    order = np.argsort(-k, kind="stable")
    high = tuple(labels[int(some[i])] for i in order if k[i] >= threshold)
    return high or (labels[int(np.argmax(spread))],)
