"""Shares strictly between 0 and 1, with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.terms.data import counted_cells, sum_of_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, scale_of_shares
from hbm_stan.later import logit
from hbm_stan.likelihoods.beta import LIKELIHOOD, divergence
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = np.asarray(table["outcome"], dtype=float)
    data, cell = counted_cells(table, priors)
    middle = sum_of_cells(logit(y), cell) / data["cell_rows"]
    return {
        **data, "y": y, "cell_logit": middle,
        "shortfall": max(float(divergence(middle[cell], logit(y)).sum()), 0.0),
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
