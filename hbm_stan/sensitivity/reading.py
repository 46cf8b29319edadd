"""What power-scaling sensitivities say: whether prior and data disagree, one of them decides, or both count.

Kallioinen et al. (2024) read a conflict where prior and likelihood are both sensitive. That alone sounds wherever a
prior says anything beside the data: a half-normal prior of a scale has its mode at 0 and always pulls down, and with
ten groups its sensitivity is 0.08 to 0.14 where the data put the scale at the prior's own sd (reports/sensitivity.md).
A conflict is therefore read only where, besides, the data put the quantity where its own prior did not expect it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

# Above this a quantity is sensitive: Kallioinen et al. (2024); the limit of priorsense and of ArviZ.
THRESHOLD = 0.05
# The groups' own mean is apart from a prior of mu beyond so many sds: two-sided 5 %, as for TAIL (ours).
APART = 1.96
# From here on a prior pulls a location: its mean moves by a quarter of its sd when the prior's weight doubles (ours).
PULLS = 0.1
# A scale beyond the prior's upper 5 %, another positive quantity beyond its outer 5 %, was not expected (ours).
TAIL = 0.05
# Priors that are highest at 0: a value near 0 is none that they did not expect.
_FROM_ZERO = {"half_normal", "half_cauchy", "half_student_t", "uniform", "exponential"}

Reading = Literal["conflict", "strong prior", "both", "none", "unknown"]
WORDS: Mapping[str, str] = {
    "conflict": "potential prior-data conflict",
    "strong prior": "strong prior or weak likelihood",
    "both": "prior and data both count",
    "none": "none",
    "unknown": "not known: the prior or the likelihood could not be scaled",
}
ADVICE: Mapping[str, str] = {
    "conflict": "Prior and data pull in different directions: is the prior what was meant?",
    "strong prior": "The data say little here, so that the answer rests on the prior: give a reason for it.",
    "both": "They do not disagree; other priors show how much it matters.",
    "unknown": "Without both of them it cannot be said whether prior and data disagree.",
}


def unexpected(prior: Prior, draws: FloatArray) -> bool:
    """Whether the posterior of a quantity, (S,), lies where its own prior did not expect it.

    A location: its 90 % interval excludes the prior's centre. A scale: its median is in the prior's upper tail. Another
    quantity: its median is in either tail; never one whose prior is of several together.
    """
    low, middle, high = np.quantile(draws, (0.05, 0.5, 0.95))
    if prior.distribution == "normal":
        return not low <= prior.arguments[0] <= high
    if prior.of_all:  # of an element alone it says nothing
        return False
    below = prior.cumulative(float(middle))
    if prior.distribution in _FROM_ZERO:
        return 1 - below < TAIL
    return min(below, 1 - below) < TAIL / 2


def disagrees(prior: Prior, own: float, draws: FloatArray, groups: tuple[float, float] | None = None) -> bool:
    """Whether a quantity's own prior pulls it, by its sensitivity ``own``, away from where the data put it.

    ``groups`` is, of a location, the mean of its groups and the sd that it has given the location: where a prior is so
    tight that the posterior stays there, the groups show where the data are.
    """
    if prior.distribution == "normal" and groups is not None:
        (centre, scale), (mean, sd) = prior.arguments, groups
        if own >= THRESHOLD and abs(mean - centre) > APART * float(np.hypot(scale, sd)):
            return True
    limit = PULLS if prior.distribution == "normal" else THRESHOLD
    return own >= limit and unexpected(prior, draws)


def read(prior: float, likelihood: float, disagree: bool) -> Reading:
    """What sensitivities to the strongest prior and to the likelihood say together."""
    if np.isnan(prior):
        return "unknown"
    if prior < THRESHOLD:
        return "none"
    if not np.isfinite(likelihood):
        return "unknown"
    if disagree:
        return "conflict"
    return "both" if likelihood >= THRESHOLD else "strong prior"
