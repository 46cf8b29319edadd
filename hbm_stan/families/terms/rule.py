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
    """The form by the ratio of the variance between levels, by moments, to that of the middle level's estimate.

    Levels are those of the group, or of the other factors where the group's coefficients are integrated out.
    """
    others = likelihood.precision is not None
    sampled = [_as_group(data, t) for t in range(data["G"], data["T"])] if others else [data]
    strength = [ratio for each in sampled for ratio in _strengths(likelihood, each)]
    if not strength:
        return "partial_pooling", "No coefficients of other factors are sampled"
    weakest = min(strength)
    chosen = "partial_pooling_centered" if weakest > _STRONG else "partial_pooling"
    level = "level of another factor" if others else "{group}"
    return chosen, (
        f"In the middle {level} the data weigh {weakest:.2g} times as much as the population for the coefficient of "
        f"which they say least; above {_STRONG:g} times coefficients are centered, else non-centered"
    )


def _strengths(likelihood: Likelihood, data: StanData) -> list[float]:
    """The ratio for each column of the group's terms; 0 where fewer than two groups have an estimate."""
    estimate, error = raw(likelihood, data)
    strengths = []
    for column, se in zip(estimate.T, error.T, strict=True):
        known = np.isfinite(column) & np.isfinite(se)
        squared = se[known] ** 2
        between = float(np.var(column[known], ddof=1) - squared.mean()) if known.sum() > 1 else 0.0
        strengths.append(max(between, 0.0) / float(np.median(squared)) if between else 0.0)
    return strengths


def _as_group(data: StanData, t: int) -> StanData:
    """The data with the factor of term t in the place of the group, and no other terms."""
    first, width = int(np.sum(data["K"][:t])), int(data["K"][t])
    own = np.concatenate([data["own"], data["other_own"]])[first : first + width]
    return {
        **data, "T": 1, "G": 1, "J": int(data["L"][t]), "KG": width, "KO": 0, "K": data["K"][t : t + 1],
        "L": data["L"][t : t + 1], "correlated": data["correlated"][t : t + 1], "own": own,
        "level": np.asarray(data["level"])[t : t + 1], "Z": np.asarray(data["Z"])[:, first : first + width],
    }  # fmt: skip
