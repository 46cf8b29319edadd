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
    return Variant(
        name=name, title=f"Partial pooling, {title}", pooling="partial", parameterisation=how, assumption=_ASSUMPTION,
        math=_PARTIAL, priors=POPULATION, better=_MARGINAL, program="partial_pooling_by_term", settings=settings,
    )  # fmt: skip


VARIANTS = (
    Variant(name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation="mu itself",
            assumption="All {groups} share one regression; group predictors are predictors like the others.",
            math=('y_i tilde "normal"(x_i^T mu + u_(j[i])^T gamma, sigma)',
                  "mu tilde p(mu), quad gamma tilde p(gamma), quad sigma tilde p(sigma)"),
            priors=("mu", "gamma", "sigma")),
    Variant(name="no_pooling", title="No pooling", pooling="no",
            parameterisation="marginal: coefficients integrated out, drawn afterwards",
            assumption="{Groups} share nothing; each has its own regression and residual scale, with fixed, wide "
                       "priors.",
            math=('y_i tilde "normal"(x_i^T theta_(j[i]), sigma_(j[i]))',
                  "theta_j tilde p(theta), quad sigma_j tilde p(sigma_j)"), priors=("theta", "sigma_group")),
    Variant(name="partial_pooling", title="Partial pooling", pooling="partial",
            parameterisation="marginal: coefficients integrated out, drawn afterwards", assumption=_ASSUMPTION,
            math=_PARTIAL, priors=POPULATION),
    Variant(name="partial_pooling_intercept", title="Partial pooling of the intercept", pooling="partial",
            parameterisation="marginal: intercepts integrated out, drawn afterwards",
            assumption="Intercepts are draws from one population, whose mean and sd are learnt; {groups} share the "
                       "slopes.",
            math=('theta_(j 1) tilde "normal"(mu_1 + u_j^T gamma, tau_1), quad theta_(j k) = mu_k "for" k > 1',
                  "mu tilde p(mu), quad tau_1 tilde p(tau), quad gamma tilde p(gamma), quad sigma tilde p(sigma)"),
            priors=("mu", "tau[intercept]", "gamma", "sigma")),
    _by_term("partial_pooling_centered", "centered", "centered: theta itself", {"centered": 1}),
    _by_term("partial_pooling_noncentered", "non-centered", "non-centered: standardised deviations, each given the "
             "terms before it", {"centered": 0}),
    _by_term("partial_pooling_by_term", "by term", "each term centered where {groups} know most of it, else "
             "non-centered", {}),
)  # fmt: skip
PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("normal",), meaning="mean of the {term} in the population",
             source="Gelman & Hill (2007)", role="outcome"),
    PriorRow(name="tau", distributions=SCALES, meaning="sd of the {term} between {groups}", source="Gelman (2006)",
             role="outcome"),
    PriorRow(name="rho", distributions=("lkj",), meaning="correlations of the coefficients",
             source="Lewandowski, Kurowicka & Joe (2009)"),
    PriorRow(name="gamma", distributions=("normal",), meaning="effect of {predictor} on the intercept", source="weak",
             role="outcome"),
    PriorRow(name="sigma", distributions=SCALES, meaning="residual sd of rows about their {group}'s line",
             source="weak", role="outcome"),
    PriorRow(name="theta", distributions=("normal",), meaning="{term} of each {group} without pooling",
             source="fixed and wide", role="outcome"),
    PriorRow(name="sigma_group", distributions=SCALES,
             meaning="sd of rows about the line of each {group} without pooling", source="fixed and wide",
             role="outcome"),
)  # fmt: skip
