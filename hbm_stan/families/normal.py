"""Normal rows with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.design import Design
from hbm_stan.families.terms.data import marginal_data
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, of_outcome, residual_prior
from hbm_stan.likelihoods.normal import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, two_digits

CALIBRATION: Mapping[str, str] = {
    "beta[intercept]": "normal(23, 3)", "tau": "half_normal(1)", "sd": "half_normal(2)", "sigma": "gamma(4, 6)",
    "theta": "normal(23, 3)",
}  # fmt: skip


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = np.asarray(table["outcome"], dtype=float)
    return marginal_data(table, priors, y, np.ones(len(y)))


def scale(table: Prepared, design: Design) -> Scale:
    """The sd of the outcome, beside its known part."""
    y = table["outcome"] - design.offset
    s = two_digits(float(np.std(y, ddof=1)) or float(np.abs(y).max()) or 1.0)
    return of_outcome(float(y.mean()), s, f"the sd of the outcome, {s:g}", "centred on the mean of the outcome")


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale,
        own_priors=residual_prior,
        calibration=CALIBRATION,
    ),
)
