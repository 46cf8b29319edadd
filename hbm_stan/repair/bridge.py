"""A predictive density as the ratio of two evidences, by bridge sampling: Meng & Wong (1996), Statistica Sinica 6(4).

p(unit | the rest) is the evidence of all data over that of the rest. The draws of a refit alone give it as a mean that
a few of them carry where the unit surprises the model; those of the whole fit alone as a harmonic mean. The optimal
bridge takes both, and every term of it is bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hbm_stan.leave_one_out import mean_error
from hbm_stan.log_sums import log_sum_exp
from hbm_stan.psis import ALIKE, tail_k
from hbm_stan.table import FloatArray

_ROUNDS, _CONVERGED = 500, 1e-8


@dataclass(frozen=True)
class Exact:
    """The score of a unit from draws that have not seen it; ``pareto_k`` of what it is a mean of (the right tail)."""

    elpd: float
    mcse: float
    pareto_k: float


def tail_of(log_values: FloatArray) -> float:
    """The Pareto k of the right tail of values given by their logs; 0 where all are alike."""
    return 0.0 if np.ptp(log_values) < ALIKE else float(tail_k(log_values))


def score_of(log_density: FloatArray, chains: int) -> Exact:
    """The mean density over draws that have not seen the unit, shape (S,), with its Monte Carlo error."""
    elpd = float(log_sum_exp(log_density)) - math.log(len(log_density))
    return Exact(elpd, mean_error(np.exp(log_density - elpd), chains), tail_of(log_density))


def bridged(without: FloatArray, whole: FloatArray, chains: int) -> Exact:
    """The same density from the draws of both fits.

    ``without`` and ``whole`` are the log density of the unit at the draws of the fit without it and with it, (S,) each.
    """
    log_r = float(log_sum_exp(without)) - math.log(len(without))
    share = math.log(len(whole) / len(without))
    for _ in range(_ROUNDS):
        above = without - np.logaddexp(share + without - log_r, 0.0)
        below = -np.logaddexp(share + whole - log_r, 0.0)
        before, log_r = log_r, float(log_sum_exp(above) - log_sum_exp(below)) + share
        if abs(log_r - before) < _CONVERGED:
            break
    parts = [np.exp(terms - log_sum_exp(terms)) * len(terms) for terms in (above, below)]
    return Exact(log_r, math.hypot(*(mean_error(part, chains) for part in parts)), max(tail_of(above), tail_of(below)))
