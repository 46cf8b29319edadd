"""Poisson counts with extra zeros, with the common and varying coefficients of a formula."""

from __future__ import annotations

from hbm_stan.families.terms.extra_zeros import check_zeros, zero_cells, zi_priors
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.own_columns import column_coords
from hbm_stan.families.terms.priors import scale_of_counts
from hbm_stan.likelihoods.zero_inflated_poisson import LIKELIHOOD

FAMILY = family_of(
    LIKELIHOOD,
    Parts(
        outcome=zero_cells,
        scale=scale_of_counts,
        column_priors=zi_priors,
        coords=column_coords,
        check_table=check_zeros,
        calibration={
            "beta": "normal(0, 0.5)", "beta[intercept]": "normal(0.5, 0.5)", "tau": "half_normal(0.5)",
            "zi": "normal(-0.5, 0.7)", "theta": "normal(0.5, 0.8)",
        },
    ),
)  # fmt: skip
