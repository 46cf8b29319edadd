"""Which parameterisation a sampled term calls for: how much groups say of a coefficient, against their population."""

from __future__ import annotations

import numpy as np

from hbm_stan.families.terms.raw import raw
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import StanData

# From so many times the information in the population on, the centered form is the better one: where the sd of the
# population is not known. As for logistic regression, whose forms change places between 1.5 and 1.9
# (tests/tools/sweep.py).
_STRONG = 1.75


def rule(likelihood: Likelihood, data: StanData) -> tuple[str, str]:
    """The form by the ratio of the variance between groups, by moments, to that of the middle group's estimate."""
    estimate, error = raw(likelihood, data)
    strength = []
    for column, se in zip(estimate.T, error.T, strict=True):
        known = np.isfinite(column) & np.isfinite(se)
        if known.sum() < 2:
            strength.append(0.0)
            continue
        squared = se[known] ** 2
        strength.append(max(float(np.var(column[known], ddof=1) - squared.mean()), 0.0) / float(np.median(squared)))
    weakest = min(strength)
    chosen = "partial_pooling_centered" if weakest > _STRONG else "partial_pooling"
    return chosen, (
        f"In the middle {{group}} the data weigh {weakest:.2g} times as much as the population for the coefficient of "
        f"which they say least; above {_STRONG:g} times coefficients are centered, else non-centered"
    )
