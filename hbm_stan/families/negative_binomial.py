"""Counts that spread more than Poisson counts, with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.terms.data import counted_cells, sum_of_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, scale_of_counts
from hbm_stan.likelihoods.negative_binomial import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y, exposure = table["outcome"], np.asarray(table["exposure"], dtype=float)
    data, cell = counted_cells(table, priors, exposure)
    return {
        **data, "y": y.astype(np.int64), "exposure": exposure, "cell_y": sum_of_cells(y, cell),
    }  # fmt: skip


def overdispersion_prior(_scale: Scale) -> dict[str, Prior]:
    """The default prior of the sd of rates of rows over their mean, beyond Poisson."""
    reason = "weak: 0 is Poisson; rates of rows that differ by a factor of 2 or 3 are ordinary, tenfold a surprise"
    return {
        "overdispersion": Prior(
            name="overdispersion", distribution="exponential", arguments=(1.0,), reason=reason, default=True
        )
    }


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale_of_counts,
        own_priors=overdispersion_prior,
        calibration={
            "beta": "normal(0, 0.5)", "beta[intercept]": "normal(-0.3, 0.5)", "tau": "half_normal(0.5)",
            "overdispersion": "gamma(4, 6)", "theta": "normal(-0.3, 0.8)",
        },
    ),
)  # fmt: skip
