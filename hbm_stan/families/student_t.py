"""Numbers with gross errors, with the common and varying coefficients of a formula."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.design import Design
from hbm_stan.families.terms.data import counted_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.priors import Scale, of_outcome, residual_prior
from hbm_stan.likelihoods.student_t import LEAST_NU, LIKELIHOOD
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, two_digits

_QUARTILES = 1.349  # between those of a standard normal distribution


def _outcome(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    y = np.asarray(table["outcome"], dtype=float)
    return {**counted_cells(table, priors, y)[0], "y": y}


def _scale(table: Prepared, design: Design) -> Scale:
    """The sd that a normal outcome with these quartiles would have, which gross errors hardly move."""
    y = table["outcome"] - design.offset
    low, high = np.quantile(y, (0.25, 0.75))
    s = two_digits(float(high - low) / _QUARTILES or float(np.std(y, ddof=1)) or float(np.abs(y).max()) or 1.0)
    words = f"the sd of the outcome but for gross errors, {s:g} (its interquartile range over {_QUARTILES:g})"
    return of_outcome(float(np.median(y)), s, words, "centred on the median of the outcome")


def _own_priors(scale: Scale) -> dict[str, Prior]:
    reason = "weak: from gross errors in every tenth row (below 4) to rows that are all but normal (above 30)"
    return {
        **residual_prior(scale),
        "nu": Prior(name="nu", distribution="gamma", arguments=(2.0, 0.1), reason=reason, default=True, lower=LEAST_NU),
    }


FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=_outcome,
        scale=_scale,
        own_priors=_own_priors,
        calibration={
            "beta[intercept]": "normal(300, 20)", "beta[days]": "normal(10, 3)", "theta[intercept]": "normal(300, 60)",
            "theta[days]": "normal(10, 10)", "tau[intercept]": "half_normal(40)", "tau[days]": "half_normal(8)",
            "rho": "lkj(2)", "sigma": "gamma(4, 0.2)", "nu": "gamma(4, 0.5)",
        },
    ),
)  # fmt: skip
