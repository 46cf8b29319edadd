"""Values of groups that were not fitted, given their rows, seen and unseen, and draws of the population.

Seen outcomes make the value of a group normal. That others are unseen multiplies this by a probit for each, log-concave
in the value: proposals lie about the maximum of the product, each with its weight, whose mean is an estimate without
bias of what ``group_log_lik`` has by quadrature (Andrieu & Roberts 2009, Annals of Statistics 37:697, section 3).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hbm_stan.counting import counted
from hbm_stan.families.missing_outcomes.density import fitted, probit_unseen, slope_of
from hbm_stan.families.missing_outcomes.left_out import given_seen
from hbm_stan.integrate.given_rows import FREEDOM, PROPOSALS, Proposals
from hbm_stan.later import gammaln, log_ndtr
from hbm_stan.model import Draws, GivenRows, StanData
from hbm_stan.table import FloatArray

# Newton's method in sds of the value given its seen rows: most steps, the longest of them, and when it has arrived. It
# need not: proposals are weighted.
_STEPS, _LONGEST, _ARRIVED = 25, 2.0, 1e-3


def given_rows(rng: np.random.Generator, draws: Draws, data: StanData) -> GivenRows:
    """theta of each group given the outcomes that were seen, and which of its rows were not."""
    seen = given_seen(draws, data)
    x = np.asarray(data["X_unseen"], dtype=float).reshape(-1, data["K"])
    group = np.asarray(data["group_idx_unseen"], dtype=np.int64) - 1
    log_lik, proposals = np.array(seen.log_lik), []
    for j in counted(range(data["J"]), data["J"]):
        own = _propose(rng, draws, data, x[group == j], seen.centre[:, j], seen.sd[:, j])
        log_lik[:, j] += own.log_integral
        proposals.append(own)

    def draw(again: np.random.Generator, at: Any) -> dict[str, FloatArray]:
        z = [own.choose(again, at)[0][:, 0, 0] for own in proposals]
        return {"theta": seen.centre[at] + seen.sd[at] * np.stack(z, axis=1)}

    return GivenRows(log_lik, draw)


def _propose(
    rng: np.random.Generator, draws: Draws, data: StanData, x: FloatArray, centre: FloatArray, sd: FloatArray
) -> Proposals:  # fmt: skip
    """z of the value centre + sd z, (S, proposals, 1, 1), with weights: the probability that the rows x are unseen."""
    d = slope_of(data, x)
    at_centre = probit_unseen(draws, data, x, fitted(centre[:, None], draws, x))
    slope = d * sd[:, None] / np.sqrt(1 + (d * np.asarray(draws["sigma"])[:, None]) ** 2)
    z = rng.normal(size=(len(centre), PROPOSALS))
    if not slope.any():  # what is unseen says nothing of the value
        log_p = log_ndtr(at_centre).sum(axis=1)
        return Proposals((z[:, :, None, None],), np.repeat(log_p[:, None], PROPOSALS, axis=1))
    mode, root = _mode(at_centre, slope)
    z = mode[:, None] + z * np.sqrt(FREEDOM / rng.chisquare(FREEDOM, size=z.shape)) / root[:, None]
    log_target = -0.5 * (z**2 + math.log(2 * math.pi))
    for i in range(x.shape[0]):
        log_target += log_ndtr(at_centre[:, i, None] + slope[:, i, None] * z)
    square = ((z - mode[:, None]) * root[:, None]) ** 2
    constant = gammaln((FREEDOM + 1) / 2) - gammaln(FREEDOM / 2) - math.log(FREEDOM * math.pi) / 2
    proposed = constant + np.log(root)[:, None] - (FREEDOM + 1) / 2 * np.log1p(square / FREEDOM)
    return Proposals((z[:, :, None, None],), log_target - proposed)


def _mode(at_centre: FloatArray, slope: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where -z^2 / 2 + sum log Phi(a + b z) is greatest, (S,), and the root of its curvature there."""
    z = np.zeros(len(slope))
    curvature = np.ones(len(slope))
    for _ in range(_STEPS):
        t = at_centre + slope * z[:, None]
        mills = np.exp(-0.5 * (t**2 + math.log(2 * math.pi)) - log_ndtr(t))  # phi / Phi
        curvature = 1 + (slope**2 * mills * (mills + t)).sum(axis=1)
        step = np.clip(((slope * mills).sum(axis=1) - z) / curvature, -_LONGEST, _LONGEST)
        z = z + step
        if np.abs(step).max() < _ARRIVED:
            break
    return z, np.sqrt(curvature)


def settle(data: StanData, fitted_data: StanData, _where: str) -> StanData:
    """The data of new groups with the outcome that delta is counted from where the others were fitted."""
    return {**data, "y_centre": fitted_data["y_centre"]}
