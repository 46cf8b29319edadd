"""Normal rows with more crossed coefficients than can be integrated out: those of other factors are sampled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.normal import CALIBRATION, scale
from hbm_stan.families.terms.data import weighted_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import residual_prior
from hbm_stan.likelihoods.normal_sampled import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = np.asarray(table["outcome"], dtype=float)
    return {**weighted_cells(table, priors, y, np.ones(len(y))), "y": y}


FAMILY = family_of(LIKELIHOOD, Parts(outcome=_outcome, scale=scale, own_priors=residual_prior, calibration=CALIBRATION))
