"""Groups whose values are normal draws from one population: what the normal families share."""

from __future__ import annotations

import numpy as np

from hbm_stan.model import Draws, StanData
from hbm_stan.table import FloatArray


def new_group(rng: np.random.Generator, draws: Draws, design: StanData, variant: str) -> FloatArray:
    """theta of unseen groups, (S, J); without pooling it is the prior of theta, with complete pooling mu."""
    if variant == "no_pooling":
        return rng.normal(*design["prior_theta"], size=(len(draws["theta"]), design["J"]))
    mu = np.repeat(draws["mu"][:, None], design["J"], axis=1)
    return rng.normal(mu, draws["tau"][:, None]) if "tau" in draws else mu
