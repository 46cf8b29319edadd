"""Negative binomial counts with extra zeros, with eta the log of the rate of what is no extra zero (Lambert 1992)."""

from __future__ import annotations

from hbm_stan.likelihoods.negative_binomial import LIKELIHOOD as NEGATIVE_BINOMIAL
from hbm_stan.likelihoods.negative_binomial import overdispersion_about
from hbm_stan.likelihoods.zero_inflated import zero_inflated

LIKELIHOOD = zero_inflated(
    NEGATIVE_BINOMIAL,
    "zero_inflated_negative_binomial",
    "Zero-inflated negative binomial",
    overdispersion_about,
    math=(
        'y_n = 0 "with probability" pi_n, "else" y_n tilde "negative binomial"("mean" = mu_n, "variance" = mu_n + '
        "(alpha mu_n)^2), quad n = 1, dots, N",
        'mu_n = "exposure"_n exp(eta_n), quad alpha = "overdispersion" = 1 / sqrt(phi)',
        'log(pi_n / (1 - pi_n)) = w_n^T "zi"',
    ),
)
