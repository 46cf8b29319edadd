"""Negative binomial counts with extra zeros, with the common and varying coefficients of a formula."""

from __future__ import annotations

from hbm_stan.families.negative_binomial import overdispersion_prior
from hbm_stan.families.terms.extra_zeros import family_with_zeros
from hbm_stan.likelihoods.zero_inflated_negative_binomial import LIKELIHOOD

FAMILY = family_with_zeros(LIKELIHOOD, overdispersion_prior, overdispersion="gamma(4, 6)")
