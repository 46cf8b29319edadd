"""Successes of trials, and outcomes of 0 and 1, with the common and varying coefficients of a formula."""

from __future__ import annotations

from hbm_stan.families.terms.family import family_of

FAMILY = family_of("binomial")
