"""Poisson counts with extra zeros, with eta the log of the rate of what is no extra zero (Lambert 1992)."""

from __future__ import annotations

from hbm_stan.likelihoods.poisson import LIKELIHOOD as POISSON
from hbm_stan.likelihoods.zero_inflated import zero_inflated

LIKELIHOOD = zero_inflated(
    POISSON,
    "zero_inflated_poisson",
    "Zero-inflated Poisson",
    lambda _eta, _rows, _count, _freedom: {},
    math=(
        'y_n = 0 "with probability" pi_n, "else" y_n tilde "Poisson"("exposure"_n exp(eta_n)), quad n = 1, dots, N',
        'log(pi_n / (1 - pi_n)) = w_n^T "zi"',
    ),
    wider="zero_inflated_negative_binomial",
)
