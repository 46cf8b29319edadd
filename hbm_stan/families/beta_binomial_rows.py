"""Successes of trials that spread more than binomial ones, with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.families.binomial import refuse_no_trials
from hbm_stan.families.terms.data import counted_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, scale_of_successes
from hbm_stan.likelihoods.beta_binomial_rows import LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """Raises DataError where a row has no trials."""
    refuse_no_trials(table)
    y, trials = table["outcome"], table["trials"]
    data, _ = counted_cells(table, priors, y, trials)
    return {**data, "y": y.astype(np.int64), "trials": trials.astype(np.int64)}


def _own_priors(_scale: Scale) -> dict[str, Prior]:
    reason = "weak: 0 is binomial; at 0.5 rows about a half have probabilities from 0.19 to 0.81, 90 % of them"
    return {
        "overdispersion": Prior(
            name="overdispersion", distribution="half_normal", arguments=(0.5,), reason=reason, default=True
        )
    }


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=scale_of_successes,
        own_priors=_own_priors,
        calibration={
            "beta": "normal(0, 0.7)", "beta[intercept]": "normal(-2, 0.7)", "tau": "half_normal(0.7)",
            "overdispersion": "gamma(4, 8)", "theta": "normal(-2, 1)",
        },
    ),
)  # fmt: skip
