"""Amounts above 0 whose sd is a share of their mean, with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.terms.data import counted_cells, sum_of_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, scale_of_amounts
from hbm_stan.likelihoods.gamma import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = np.asarray(table["outcome"], dtype=float)
    data, cell = counted_cells(table, priors)
    mean = sum_of_cells(y, cell) / data["cell_rows"]
    above = y / mean[cell] - 1
    # log(mean) less the mean of the logs, by row, to which deviations from the mean add up to nothing.
    shortfall = float(np.sum(above - np.log1p(above)))
    return {**data, "y": y, "cell_log": np.log(mean), "shortfall": max(shortfall, 0.0)}


def _own_priors(_scale: Scale) -> dict[str, Prior]:
    reason = "weak: 0 is no variation; an sd of a half or the whole of the mean is ordinary, three times it a surprise"
    return {
        "variation": Prior(name="variation", distribution="exponential", arguments=(1.0,), reason=reason, default=True)
    }


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale_of_amounts,
        own_priors=_own_priors,
        calibration={
            "beta[intercept]": "normal(5.5, 0.7)", "beta[age]": "normal(0, 0.1)", "tau": "half_normal(0.5)",
            "variation": "gamma(6, 8)", "theta": "normal(5.5, 0.8)",
        },
    ),
)  # fmt: skip
