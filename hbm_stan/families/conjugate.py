"""Rates whose posterior is conjugate: one for all groups, or one for each, under a fixed prior."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hbm_stan.families.totals import totals
from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray

# Draws of this size given the two numbers of the prior, and counts and sizes, added up over rows.
Posterior = Callable[[FloatArray, FloatArray, FloatArray, tuple[int, ...]], FloatArray]


def known_rates(posterior: Posterior, data: StanData, size_name: str, variant: str, size: int) -> Draws | None:
    """``size`` independent draws of all that the program of a variant declares; None with partial pooling."""
    counts, sizes = (data["use_likelihood"] * s for s in totals(data, size_name))
    if variant == "no_pooling":
        return {"theta": posterior(np.asarray(data["prior_theta"]), counts, sizes, (size, data["J"]))}
    if variant == "complete_pooling":
        mu = posterior(np.asarray(data["prior_mu"]), counts.sum(), sizes.sum(), (size,))
        return {"mu": mu, "theta": np.broadcast_to(mu[:, None], (size, data["J"]))}
    return None
