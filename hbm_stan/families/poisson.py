"""Counts with their exposure with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.terms.data import summed_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import scale_of_counts
from hbm_stan.likelihoods.poisson import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    counts = {"y": table["outcome"].astype(np.int64), "exposure": np.asarray(table["exposure"], dtype=float)}
    return {**summed_cells(table, priors, "exposure"), **counts}


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale_of_counts,
        calibration={
            "beta[intercept]": "normal(0.4, 0.7)", "beta[x]": "normal(0, 0.4)", "tau": "half_normal(0.5)",
            "sd": "half_normal(0.5)", "theta": "normal(0.4, 0.8)",
        },
    ),
)  # fmt: skip
