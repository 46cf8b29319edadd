"""Predictors of groups: what they let expect of a group, and draws of their effects from the prior."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.model import Draws, StanData
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray


def mean_of(draws: Draws, data: StanData) -> FloatArray:
    """mu + U gamma, what each group is expected to be, (S, J)."""
    mean = np.repeat(draws["mu"][:, None], data["J"], axis=1)
    return np.asarray(mean + draws["gamma"] @ np.asarray(data["U"]).T if data["L"] else mean)


def draw_elements(rng: np.random.Generator, priors: Mapping[str, Prior], name: str, size: int) -> FloatArray:
    """Draws of all elements ``name[...]`` from their priors, in the order of these, (size, n); there may be none."""
    own = [prior.draw(rng, size) for label, prior in priors.items() if label.partition("[")[0] == name]
    return np.stack(own, axis=1) if own else np.zeros((size, 0))
