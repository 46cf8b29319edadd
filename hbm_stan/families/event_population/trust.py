"""Whether the sums that stand for integrals can be trusted at the draws: importance weights of samples, and the grid.

Essick & Farr (2022), arXiv:2204.00461, and Talbot & Golomb (2023), MNRAS 526:3495: the log likelihood of a catalogue
is a sum of logs of Monte Carlo means, and its variance is the sum over events of 1 / ESS - 1 / number of samples. It
has to be below 1. The share of the population that is seen comes from quadrature here, not from simulated detections,
so that the rule for these (four times as many effective ones as events; Farr 2019, RNAAS 3:66) has nothing to bound.
"""

from __future__ import annotations

import numpy as np

from hbm_stan.families.event_population.density import finer_group_log_lik, group_log_lik, log_density
from hbm_stan.families.event_population.nodes import nodes_of_event
from hbm_stan.model import Draws, StanData
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray, shorten
from hbm_stan.verdicts import EVENT_WEIGHTS, QUADRATURE, Status, Verdict

# Talbot & Golomb (2023), section 3; half an error of one in the log likelihood is told (ours).
MOST_VARIANCE, TOLD_VARIANCE = 1.0, 0.25
# Effective samples below which an event's own mean is not known (Abbott et al. 2023, Physical Review X 13:011048,
# appendix: ten of each event).
LEAST_EFFECTIVE = 10.0
# An error of the log likelihood by quadrature that could move a posterior, and one that could not be seen (ours).
_WRONG, _SEEN = 0.5, 0.05
_DRAWS = 200  # draws of the posterior that are looked at
_NAMED = 3


def check_draws(draws: Draws, data: StanData, table: Prepared) -> list[Verdict]:
    """Verdicts on the integrals at draws of the population; none where nothing was integrated."""
    if "kappa" not in draws:
        return []
    every = np.linspace(0, len(draws["mu"]) - 1, min(_DRAWS, len(draws["mu"]))).astype(int)
    some = {name: np.asarray(draws[name])[every] for name in ("mu", "kappa")}
    return [*([_check_weights(some, data, table)] if data["sampled"] else []), *_check_grid(some, data, table)]


def effective_samples(draws: Draws, data: StanData) -> FloatArray:
    """The effective number of samples of each event at each draw, (S, J): (sum of weights)^2 / sum of their squares."""
    sizes = np.empty((len(np.asarray(draws["mu"])), data["J"]))
    for j in range(data["J"]):
        log_odds, _, weight = nodes_of_event(data, j)
        terms = log_density(draws, log_odds) + np.log(weight)
        ratios = np.exp(terms - terms.max(axis=1, keepdims=True))
        sizes[:, j] = ratios.sum(axis=1) ** 2 / np.sum(ratios**2, axis=1)
    return sizes


def variance_of(effective: FloatArray, data: StanData) -> FloatArray:
    """The variance of the log likelihood by the samples at each draw, (S,), from effective numbers (S, J)."""
    return np.asarray(np.sum(1 / effective - 1 / np.asarray(data["size"]), axis=1))


def _check_weights(draws: Draws, data: StanData, table: Prepared) -> Verdict:
    effective = effective_samples(draws, data)
    variance = float(np.mean(variance_of(effective, data)))
    typical = np.median(effective, axis=0)
    few = np.argsort(typical, kind="stable")
    few = few[typical[few] < LEAST_EFFECTIVE]
    status: Status = "fail" if variance > MOST_VARIANCE or few.size else "warn" if variance > TOLD_VARIANCE else "pass"
    noun, labels = table.noun, table.pooled.labels
    if status == "pass":
        return Verdict(name=EVENT_WEIGHTS, status="pass", value=variance, threshold=MOST_VARIANCE)
    worst = few if few.size else np.argsort(typical, kind="stable")
    named = ", ".join(f"{shorten(labels[j])} {typical[j]:.0f} of {data['size'][j]:,}" for j in worst[:_NAMED])
    hint = (
        f"Samples of {noun.many}, weighted to the population, leave few effective ones: {named}"
        f"{f' and {len(few) - _NAMED} more below {LEAST_EFFECTIVE:g}' * (len(few) > _NAMED)}. The log likelihood "
        f"is then known to a variance of {variance:.2g}, which has to be below {MOST_VARIANCE:g} (Talbot & Golomb 2023)"
        f" and is better below {TOLD_VARIANCE:g}. Give more samples of each {noun.one} (variance falls with their "
        "number), samples drawn under a prior nearer the population, or estimates with standard errors."
    )
    return Verdict(
        name=EVENT_WEIGHTS, status=status, value=variance, threshold=MOST_VARIANCE, hint=hint,
        subject=str(labels[worst[0]]),
    )  # fmt: skip


def _check_grid(draws: Draws, data: StanData, table: Prepared) -> list[Verdict]:
    finer = finer_group_log_lik(draws, data)
    if finer is None:
        return []
    worst = float(np.max(np.abs(np.sum(finer - group_log_lik(draws, data), axis=1))))
    status: Status = "fail" if worst > _WRONG else "warn" if worst > _SEEN else "pass"
    hint = (
        f"Integrals over the population change the log likelihood by up to {worst:.2g} with steps of half the size: "
        f"the population is narrower than the grid can resolve. If all {table.noun.many} are alike within their "
        "errors, complete pooling says so; else ask for a prior of kappa that ends earlier."
    )
    return [
        Verdict(
            name=QUADRATURE, status=status, value=worst, threshold=_WRONG, hint="" if status == "pass" else hint,
        )
    ]  # fmt: skip
