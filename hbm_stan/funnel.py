"""Where divergent transitions sit: in the neck of a funnel of the population scale, and for which groups."""

from __future__ import annotations

from typing import Any

import numpy as np

from hbm_stan.elements import element_names
from hbm_stan.fit import Fit
from hbm_stan.later import bdtrc
from hbm_stan.table import FloatArray

_LOW = 0.05  # "its lowest 5 %"
_FEW = 3  # fewer in the neck are no pattern
_CHANCE = 0.01
_SHOWN = 3  # groups named


def where_divergences_sit(fit: Fit, diverging: np.ndarray[Any, Any]) -> tuple[str, str]:
    """The parameter to look at and a sentence: ``71 of them with log tau in its lowest 5 %: a funnel.``"""
    flat = diverging.reshape(-1).astype(bool)
    scale, quantity = fit.family.groups.population_scale, fit.family.groups.group_quantity
    draws = fit.draws(scale, quantity)
    if scale not in draws:
        return "", "they are spread over the posterior."
    names = np.array(element_names(scale, fit.named["posterior"][scale]))
    # The lowest 5 % of the draws of tau are the lowest 5 % of log tau; of several terms, the one with most of them.
    taus = draws[scale].reshape(len(flat), -1)
    moving = np.flatnonzero(np.ptp(taus, axis=0) > 0)  # the tau of a term that does not vary has no neck
    if not moving.size:
        return "", "they are spread over the posterior."
    taus, names = taus[:, moving], names[moving]
    low = taus <= np.quantile(taus, _LOW, axis=0)
    term = int((low & flat[:, None]).sum(axis=0).argmax())
    inside, count = int((low[:, term] & flat).sum()), int(flat.sum())
    # By chance 5 % of them would lie there.
    funnel = inside >= _FEW and bdtrc(inside - 1, count, _LOW) < _CHANCE
    if not inside:
        return str(names[0]) if len(names) == 1 else scale, "none of them in a funnel."
    sentence = f"{inside} of them with log {names[term]} in its lowest 5 %" + (": a funnel." if funnel else ".")
    theta = draws[quantity].reshape(len(flat), fit.table.n_groups, -1) if quantity in draws else None
    at = min(int(moving[term]), 0 if theta is None else theta.shape[2] - 1)
    groups = "" if theta is None else _groups(theta[..., at], flat, fit.table.pooled.labels)
    return str(names[term]), sentence + (
        f" {fit.table.noun.fill('{Groups}')} whose values are squeezed together there: {groups}." if groups else ""
    )


def _groups(theta: FloatArray, diverging: np.ndarray[Any, Any], labels: tuple[str, ...]) -> str:
    """The groups whose values spread least in divergent draws against the others: the funnel's neck."""
    if min(diverging.sum(), (~diverging).sum()) < 10:
        return ""
    ratio = theta[diverging].std(axis=0) / theta[~diverging].std(axis=0)
    order = np.argsort(ratio)[:_SHOWN]
    return ", ".join(labels[int(i)] for i in order if ratio[i] < 0.8)
