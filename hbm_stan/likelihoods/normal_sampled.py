"""Normal rows, coefficients of other factors sampled: too many to be integrated out."""

from __future__ import annotations

from dataclasses import replace

from hbm_stan.likelihoods import normal
from hbm_stan.likelihoods.likelihood import Likelihood

LIKELIHOOD: Likelihood = replace(
    normal.LIKELIHOOD, name="normal_sampled", title="Normal, coefficients sampled", many_crossed="", sampled=True
)
