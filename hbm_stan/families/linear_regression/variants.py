"""The variants of the linear regression, and the rows of its prior table."""

from __future__ import annotations

from collections.abc import Mapping

from hbm_stan.model import Variant
from hbm_stan.priors import SCALES, PriorRow

ROW = 'y_i tilde "normal"(x_i^T theta_(j[i]), sigma)'
POPULATION = ("mu", "tau", "rho", "gamma", "sigma")
_ASSUMPTION = "Intercepts and slopes are draws from one population, whose means, sds and correlations are learnt."
_PARTIAL = (
    'theta_j tilde "MVN"(mu + (u_j^T gamma, 0, dots), "diag"(tau) Omega "diag"(tau))',
    'mu tilde p(mu), quad tau tilde p(tau), quad Omega tilde "LKJ"(eta), quad gamma tilde p(gamma)',
    "sigma tilde p(sigma)",
)
_MARGINAL = "partial_pooling (coefficients integrated out)"


def _by_term(name: str, title: str, how: str, settings: Mapping[str, int]) -> Variant:
    return Variant(name, f"Partial pooling, {title}", "partial", how, _ASSUMPTION, _PARTIAL, POPULATION,
                   better=_MARGINAL, program="partial_pooling_by_term", settings=settings)  # fmt: skip


VARIANTS = (
    Variant("complete_pooling", "Complete pooling", "complete", "mu itself",
            "All {groups} share one regression; group predictors are predictors like the others.",
            ('y_i tilde "normal"(x_i^T mu + u_(j[i])^T gamma, sigma)',
             "mu tilde p(mu), quad gamma tilde p(gamma), quad sigma tilde p(sigma)"), ("mu", "gamma", "sigma")),
    Variant("no_pooling", "No pooling", "no", "marginal: coefficients integrated out, drawn afterwards",
            "{Groups} share nothing; each has its own regression and residual scale, with fixed, wide priors.",
            ('y_i tilde "normal"(x_i^T theta_(j[i]), sigma_(j[i]))',
             "theta_j tilde p(theta), quad sigma_j tilde p(sigma_j)"), ("theta", "sigma_group")),
    Variant("partial_pooling", "Partial pooling", "partial",
            "marginal: coefficients integrated out, drawn afterwards", _ASSUMPTION, _PARTIAL, POPULATION),
    Variant("partial_pooling_intercept", "Partial pooling of the intercept", "partial",
            "marginal: intercepts integrated out, drawn afterwards",
            "Intercepts are draws from one population, whose mean and sd are learnt; {groups} share the slopes.",
            ('theta_(j 1) tilde "normal"(mu_1 + u_j^T gamma, tau_1), quad theta_(j k) = mu_k "for" k > 1',
             "mu tilde p(mu), quad tau_1 tilde p(tau), quad gamma tilde p(gamma), quad sigma tilde p(sigma)"),
            ("mu", "tau[intercept]", "gamma", "sigma")),
    _by_term("partial_pooling_centered", "centered", "centered: theta itself", {"centered": 1}),
    _by_term("partial_pooling_noncentered", "non-centered", "non-centered: standardised deviations, each given the "
             "terms before it", {"centered": 0}),
    _by_term("partial_pooling_by_term", "by term", "each term centered where {groups} know most of it, else "
             "non-centered", {}),
)  # fmt: skip
PRIOR_ROWS = (
    PriorRow("mu", ("normal",), "mean of the {term} in the population", "Gelman & Hill (2007)", "outcome"),
    PriorRow("tau", SCALES, "sd of the {term} between {groups}", "Gelman (2006)", "outcome"),
    PriorRow("rho", ("lkj",), "correlations of the coefficients", "Lewandowski, Kurowicka & Joe (2009)"),
    PriorRow("gamma", ("normal",), "effect of {predictor} on the intercept", "weak", "outcome"),
    PriorRow("sigma", SCALES, "residual sd of rows about their {group}'s line", "weak", "outcome"),
    PriorRow("theta", ("normal",), "{term} of each {group} without pooling", "fixed and wide", "outcome"),
    PriorRow("sigma_group", SCALES, "sd of rows about the line of each {group} without pooling", "fixed and wide",
             "outcome"),
)  # fmt: skip
