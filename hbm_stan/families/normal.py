"""Normal outcomes with the common and varying coefficients of a formula."""

from __future__ import annotations

from hbm_stan.families.terms.family import family_of

FAMILY = family_of("normal")
