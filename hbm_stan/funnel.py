"""Where divergent transitions sit: in the neck of a funnel of the population scale, and for which groups."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import binom

from hbm_stan.fit import Fit
from hbm_stan.table import FloatArray

_LOW = 0.05  # "its lowest 5 %"
_FEW = 3  # fewer in the neck are no pattern
_CHANCE = 0.01
_SHOWN = 3  # groups named


def where_divergences_sit(fit: Fit, diverging: np.ndarray[Any, Any]) -> tuple[str, str]:
    """The parameter to look at and a sentence: ``71 of them with log tau in its lowest 5 %: a funnel.``"""
    flat = diverging.reshape(-1).astype(bool)
    scale = fit.family.population_scale
    draws = fit.draws(scale, fit.family.group_quantity)
    if scale not in draws:
        return "", "they are spread over the posterior."
    # The lowest 5 % of the draws of tau are the lowest 5 % of log tau.
    low = draws[scale] <= np.quantile(draws[scale], _LOW)
    inside, count = int((low & flat).sum()), int(flat.sum())
    groups = _groups(draws[fit.family.group_quantity], flat, fit.table.labels)
    # By chance 5 % of them would lie there.
    funnel = inside >= _FEW and binom.sf(inside - 1, count, _LOW) < _CHANCE
    if not inside:
        return scale, "none of them in a funnel."
    sentence = f"{inside} of them with log {scale} in its lowest 5 %" + (": a funnel." if funnel else ".")
    return scale, sentence + (f" Groups whose values are squeezed together there: {groups}." if groups else "")


def _groups(theta: FloatArray, diverging: np.ndarray[Any, Any], labels: tuple[str, ...]) -> str:
    """The groups whose values spread least in divergent draws against the others: the funnel's neck."""
    if min(diverging.sum(), (~diverging).sum()) < 10 or theta.ndim != 2:
        return ""
    ratio = theta[diverging].std(axis=0) / theta[~diverging].std(axis=0)
    order = np.argsort(ratio)[:_SHOWN]
    return ", ".join(labels[int(i)] for i in order if ratio[i] < 0.8)
