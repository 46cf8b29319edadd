"""Shares strictly between 0 and 1, with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.terms.data import counted_cells, sum_of_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, scale_of_shares
from hbm_stan.later import expit, logit
from hbm_stan.likelihoods.beta import LIKELIHOOD, divergence
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

# Rows that lie closer to their means than so large a concentration says: terms of concentration * log(concentration)
# would cancel, and take with them the digits that the density is written in otherwise (ours; it is exact to 1e-10 a row
# far beyond).
_CONCENTRATED = 1e4


def _concentrated(y: FloatArray, data: StanData) -> bool:
    """Whether shares lie, or may lie, so close to what columns and levels say of them that large terms would cancel.

    The concentration is that of the rows about least squares on the log odds: their variance is nearly 1 / (mean
    (1 - mean) concentration) where it is large. Where no rows are left to judge by, they may.
    """
    from scipy.sparse import csr_matrix, hstack
    from scipy.sparse.linalg import lsqr

    levels, first, blocks = np.asarray(data["level"]) - 1, 0, [csr_matrix(data["X"])]
    for t, width in enumerate(data["K"]):
        for column in np.asarray(data["Z"]).T[first : first + width]:
            shape = (len(y), int(data["L"][t]))
            blocks.append(csr_matrix((column, (np.arange(len(y)), levels[t])), shape=shape))
        first += width
    columns = hstack(blocks).tocsr()
    freedom = len(y) - columns.shape[1]
    if freedom <= 0:
        return True
    log_odds = logit(y) - data["offset_"]
    fitted = columns @ lsqr(columns, log_odds)[0]
    mean = expit(fitted + data["offset_"])
    squares = float(np.sum((log_odds - fitted) ** 2 * mean * (1 - mean)))
    return not squares * _CONCENTRATED > freedom


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = np.asarray(table["outcome"], dtype=float)
    data, cell = counted_cells(table, priors)
    middle = sum_of_cells(logit(y), cell) / data["cell_rows"]
    return {
        **data, "y": y, "cell_logit": middle,
        "shortfall": max(float(divergence(middle[cell], logit(y)).sum()), 0.0),
        "concentrated": int(_concentrated(y, data)),
    }  # fmt: skip


def _own_priors(_scale: Scale) -> dict[str, Prior]:
    reason = "weak: 0 is no spread; 0.7 is a uniform share at a mean of one half, above 1 most shares lie near 0 and 1"
    return {"spread": Prior(name="spread", distribution="exponential", arguments=(2.0,), reason=reason, default=True)}


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale_of_shares,
        own_priors=_own_priors,
        calibration={
            "beta[intercept]": "normal(-1.5, 0.5)", "beta[end_point]": "normal(0, 0.01)", "tau": "half_normal(0.5)",
            "spread": "gamma(6, 20)", "theta": "normal(-1.5, 0.7)",
        },
    ),
)  # fmt: skip
