"""How precisely the rows say each common coefficient given the spread of groups: the unit in which it is sampled.

Estimates with known standard errors are sampled so: the spread of groups then moves no common coefficient. The formula
stands in ``stan/lib/standard_common.stanfunctions``.
"""

from __future__ import annotations

import numpy as np

from hbm_stan.families.terms.effects import terms_of
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray


def precision_of_common(data: StanData, row_precision: FloatArray, tau: FloatArray) -> FloatArray:
    """1 / variance of each common coefficient given tau (KG,) and the others, its prior counted, (P,).

    As if each were moved by the spread of one column of the group's terms: its own, or the first; and, where other
    factors vary too, by none. ``row_precision`` (N,) is that of the rows.
    """
    own, pooled = np.asarray(data["own"], dtype=int), [term for term in terms_of(data) if term.pooled]
    precision = 1 / np.asarray(data["prior_beta"], dtype=float).reshape(-1, 2)[:, 1] ** 2
    if not data["use_likelihood"]:
        return precision
    for p, x in enumerate(np.asarray(data["X"], dtype=float).T):
        mover = int(np.argmax(own == p + 1))  # 0 where there is none: the first
        [term] = [term for term in pooled if term.at.start <= mover < term.at.stop]
        z, level = term.level.columns[:, mover - term.at.start], term.level.level
        g = np.bincount(level, row_precision * z**2, minlength=term.level.size)
        d = np.bincount(level, row_precision * z * x, minlength=term.level.size)
        g, d = g[g > 0], d[g > 0]
        whole, between = float(row_precision @ x**2), float(np.sum(d**2 / g))
        if data["KO"] or between <= 1e-9 * whole:
            precision[p] += whole
        else:
            far = tau[mover] ** 2 * between / float(np.sum((d / g) ** 2))
            precision[p] += max(whole - between, 0.0) + between / (1 + far)
    return precision
