"""Amounts whose logs are normal, with more crossed coefficients than can be integrated out: others' are sampled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.lognormal import scale
from hbm_stan.families.terms.data import weighted_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import residual_prior
from hbm_stan.likelihoods.lognormal_sampled import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior

CALIBRATION: Mapping[str, str] = {
    "beta[intercept]": "normal(3.1, 0.2)", "tau": "half_normal(0.05)", "sd": "half_normal(0.1)",
    "sigma": "gamma(4, 100)", "theta": "normal(3.1, 0.2)",
}  # fmt: skip


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = np.asarray(table["outcome"], dtype=float)
    return {**weighted_cells(table, priors, np.log(y), np.ones(len(y))), "y": y}


FAMILY = family_of(LIKELIHOOD, Parts(outcome=_outcome, scale=scale, own_priors=residual_prior, calibration=CALIBRATION))
