"""Amounts above 0 whose logs are normal, with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.design import Design
from hbm_stan.families.terms.data import marginal_data
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, of_outcome, residual_prior
from hbm_stan.likelihoods.lognormal import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, two_digits

CALIBRATION: Mapping[str, str] = {
    "beta[intercept]": "normal(5.5, 0.7)", "beta[age]": "normal(0, 0.1)", "tau": "half_normal(0.5)",
    "sigma": "gamma(6, 8)", "theta": "normal(5.5, 0.8)",
}  # fmt: skip


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = np.asarray(table["outcome"], dtype=float)
    return {**marginal_data(table, priors, np.log(y), np.ones(len(y))), "y": y}


def scale(table: Prepared, design: Design) -> Scale:
    """The sd of the logs, beside their known part: as for log(y) ~ ..."""
    logs = np.log(table["outcome"]) - design.offset
    s = two_digits(float(np.std(logs, ddof=1)) or 1.0)
    return of_outcome(float(logs.mean()), s, f"the sd of the logs, {s:g}", "centred on the mean of the logs")


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale,
        own_priors=residual_prior,
        calibration=CALIBRATION,
    ),
)
