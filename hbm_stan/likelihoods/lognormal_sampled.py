"""Amounts whose logs are normal, coefficients of other factors sampled: too many to be integrated out."""

from __future__ import annotations

from dataclasses import replace

from hbm_stan.likelihoods import lognormal
from hbm_stan.likelihoods.likelihood import Likelihood

LIKELIHOOD: Likelihood = replace(
    lognormal.LIKELIHOOD,
    name="lognormal_sampled",
    title="Lognormal, coefficients sampled",
    many_crossed="",
    sampled=True,
)
