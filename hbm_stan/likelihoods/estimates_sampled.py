"""Estimates with standard errors, coefficients of other factors sampled: too many to be integrated out."""

from __future__ import annotations

from dataclasses import replace

from hbm_stan.likelihoods import estimates
from hbm_stan.likelihoods.likelihood import Likelihood

LIKELIHOOD: Likelihood = replace(
    estimates.LIKELIHOOD,
    name="estimates_sampled",
    title="Estimates with known standard errors, coefficients sampled",
    many_crossed="",
    sampled=True,
)
