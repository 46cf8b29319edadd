"""Estimates with their standard errors with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.design import Design
from hbm_stan.families.terms.data import marginal_data
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, of_outcome
from hbm_stan.likelihoods.estimates import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, two_digits
from hbm_stan.standard_errors import informative

CALIBRATION: Mapping[str, str] = {
    "beta[intercept]": "normal(-0.7, 0.7)", "beta[latitude]": "normal(-0.03, 0.03)",
    "tau": "half_normal(0.5)", "theta": "normal(-0.7, 1)",
}  # fmt: skip


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    se = np.asarray(table["standard_error"], dtype=float)
    return {**marginal_data(table, priors, np.asarray(table["outcome"], dtype=float), se), "se": se}


def scale(table: Prepared, design: Design) -> Scale:
    """The larger of the sd of the estimates that are measured well enough and their median standard error."""
    y, se = table["outcome"] - design.offset, table["standard_error"]
    known = informative(se)
    s = two_digits(max(float(np.std(y[known], ddof=1)), float(np.median(se[known]))))
    words = f"the scale of the data, {s:g} (the larger of the sd of the estimates and their median standard error)"
    centre = float(np.average(y, weights=1 / se**2))
    return of_outcome(centre, s, words, "centred on the precision-weighted mean of the estimates")


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale,
        calibration=CALIBRATION,
    ),
)
