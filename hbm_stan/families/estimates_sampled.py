"""Estimates with standard errors, with more crossed coefficients than can be integrated out: others' are sampled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.estimates import scale
from hbm_stan.families.terms.data import weighted_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.likelihoods.estimates_sampled import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior

CALIBRATION: Mapping[str, str] = {
    "beta[intercept]": "normal(0.2, 0.5)", "tau": "half_normal(0.4)", "sd": "half_normal(0.4)",
    "theta": "normal(0.2, 1)",
}  # fmt: skip


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y, se = (np.asarray(table[role], dtype=float) for role in ("outcome", "standard_error"))
    return {**weighted_cells(table, priors, y, se**-2), "y": y, "se": se}


FAMILY = family_of(LIKELIHOOD, Parts(outcome=_outcome, scale=scale, calibration=CALIBRATION))
