"""Logistic regression in groups: outcomes of 0 and 1, or successes of trials, with intercepts and slopes by group.

Written from Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, ch. 13, 14, not
from the Stan programs. Integrals over groups: adaptive Gauss-Hermite quadrature (Pinheiro & Bates 1995).
"""

from __future__ import annotations

from hbm_stan.families.alike import alike_rates
from hbm_stan.families.logistic_regression.columns import default_priors, prepare
from hbm_stan.families.logistic_regression.density import (
    exact_loo,
    finer_group_log_lik,
    group_log_lik,
    log_joint,
    new_group,
    pointwise,
    prior_draws,
    prior_group_log_lik,
    row_moments,
    simulate,
    support,
    transformed,
)  # fmt: skip
from hbm_stan.families.logistic_regression.estimates import raw, rule
from hbm_stan.families.logistic_regression.findings import findings, new_row
from hbm_stan.families.logistic_regression.given_rows import given_rows
from hbm_stan.families.logistic_regression.separation import separation, unlearnable
from hbm_stan.families.varying_terms import PREDICTION, coords
from hbm_stan.model import Family, Groups, Option, Programs, Twin, Variant, Words
from hbm_stan.prepare import Role
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.resources import share

_POPULATION = ("mu", "gamma", "tau", "rho")
_PARTIAL = (
    'theta_j tilde "normal"(mu + (U_j gamma, 0, dots), "diag"(tau) Omega "diag"(tau))',
    'mu tilde p(mu), quad gamma tilde p(gamma), quad tau tilde p(tau), quad Omega tilde "LKJ"(rho)',
)
_ASSUMPTION = (
    "Intercepts and slopes of {groups} are draws from one population, whose means, sds and correlations are learnt."
)
_GELMAN_HILL = "Gelman & Hill (2007), chapter 14"

_VARIANTS = (
    Variant(name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation="mu itself",
            assumption="All {groups} share one regression; group predictors are predictors like the others.",
            math=("theta_j = mu + (U_j gamma, 0, dots)", "mu tilde p(mu), quad gamma tilde p(gamma)"),
            priors=("mu", "gamma")),
    Variant(name="no_pooling", title="No pooling", pooling="no", parameterisation="theta itself",
            assumption="{Groups} share nothing; each has a regression of its own with fixed, wide priors.",
            math=("theta_j tilde p(theta)",), priors=("theta",)),
    Variant(name="partial_pooling", title="Partial pooling", pooling="partial",
            parameterisation="non-centered: deviations in units of tau", assumption=_ASSUMPTION, math=_PARTIAL,
            priors=_POPULATION, settings={"centered": 0}),
    Variant(name="partial_pooling_centered", title="Partial pooling, centered", pooling="partial",
            parameterisation="centered: theta itself", assumption=_ASSUMPTION, math=_PARTIAL, priors=_POPULATION,
            better="partial_pooling (non-centered) or partial_pooling_by_term", program="partial_pooling",
            settings={"centered": 1}),
    Variant(name="partial_pooling_noncentered", title="Partial pooling, non-centered", pooling="partial",
            parameterisation="non-centered: deviations in units of tau; the default under its full name",
            assumption=_ASSUMPTION, math=_PARTIAL, priors=_POPULATION, program="partial_pooling",
            settings={"centered": 0}),
    Variant(name="partial_pooling_by_term", title="Partial pooling, parameterised by term", pooling="partial",
            parameterisation="by term: centered where the data of most {groups} say much about it, else non-centered",
            assumption=_ASSUMPTION, math=_PARTIAL, priors=_POPULATION, better="partial_pooling (non-centered)",
            program="partial_pooling"),
    Variant(name="partial_pooling_intercept", title="Partial pooling of the intercepts", pooling="partial",
            parameterisation="non-centered: deviations in units of tau",
            assumption="Intercepts of {groups} are draws from one population; slopes are the same in all {groups}.",
            math=('theta_(j 1) tilde "normal"(mu_1 + U_j gamma, tau_1), quad theta_(j k) = mu_k " for " k > 1',
                  "mu tilde p(mu), quad gamma tilde p(gamma), quad tau_1 tilde p(tau_1)"),
            priors=("mu", "gamma", "tau[intercept]")),
)  # fmt: skip
_PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("normal",),
             meaning="mean of the {term|term's coefficient} in the population, log odds", source=_GELMAN_HILL),
    PriorRow(name="gamma", distributions=("normal",), meaning="effect of {predictor} on intercepts, log odds",
             source=_GELMAN_HILL),
    PriorRow(name="tau", distributions=SCALES, meaning="sd of the {term|term's coefficient} between {groups}, log odds",
             source="Gelman (2006), Bayesian Analysis 1:515"),
    PriorRow(name="rho", distributions=("lkj",), meaning="correlations of the coefficients of {groups}",
             source="Lewandowski, Kurowicka & Joe (2009), Journal of Multivariate Analysis 100:1989"),
    PriorRow(name="theta", distributions=("normal",), meaning="{term} of each {group} without pooling, log odds",
             source="fixed and wide"),
)  # fmt: skip

FAMILY = Family(
    name="logistic_regression",
    roles=(
        Role(name="group", kind="label", meaning="name of the group"),
        Role(name="outcome", kind="binary", meaning="1 for a success, 0 for none; or name successes and trials",
             optional=True),
        Role(name="successes", kind="count", meaning="number of successes, where rows stand for many trials",
             optional=True, at_most="trials"),
        Role(name="trials", kind="count", meaning="number of trials that the successes are out of", optional=True),
        Role(name="predictors", kind="predictors", meaning="predictors, whose slopes may vary by group", optional=True),
        Role(name="group_predictors", kind="group_predictors", meaning="predictors of the group's intercept",
             optional=True),
    ),
    outcomes=("outcome", "successes"), discrete=True, size="trials", known_residual=True, check_table=separation,
    programs=Programs(
        variants=_VARIANTS, prior_rows=_PRIOR_ROWS,
        dims={
            "mu": ("term",), "tau": ("term",), "tau_raw": ("term",), "gamma": ("group_predictor",),
            "gamma_raw": ("group_predictor",), "rho": ("pair",),
            "L_Omega": ("term", "other_term"),
            "theta": ("group", "term"), "theta_raw": ("group", "term"), "intercept_raw": ("group",),
            "y_rep": ("observation",), "log_lik": ("observation",),
        },
        population=_POPULATION, folder=share("stan") / "logistic_regression",
        hidden=("L_Omega", "tau_intercept_raw", "intercept_raw"),
        pilot=("partial_pooling", "partial_pooling_centered", "partial_pooling_by_term"), prepare=prepare,
        default_priors=default_priors, coords=coords, rule=rule, unlearnable=unlearnable,
    ),
    twin=Twin(
        calibration={
            "mu[intercept]": "normal(0.3, 1)", "mu[price_centered]": "normal(0, 0.5)",
            "tau[intercept]": "half_normal(1)", "tau[price_centered]": "half_normal(0.4)", "rho": "lkj(2)",
            "theta[intercept]": "normal(0.3, 1.5)", "theta[price_centered]": "normal(0, 0.6)",
        },
        log_joint=log_joint, support=support, transformed=transformed, prior_draws=prior_draws, simulate=simulate,
        row_moments=row_moments, pointwise=pointwise,
    ),
    groups=Groups(
        prediction={**PREDICTION, "trials": Option("of the row in a new group, a whole number; by default 1")},
        new_group=new_group, less_alike=alike_rates, group_log_lik=group_log_lik,
        finer_group_log_lik=finer_group_log_lik, prior_group_log_lik=prior_group_log_lik, new_row=new_row, raw=raw,
        exact_loo=exact_loo, given_rows=given_rows,
    ),
    words=Words(
        title="Logistic regression: successes in groups with intercepts and slopes of their own",
        citation="Gelman & Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models, ch. 13, 14.",
        likelihood=(
            'y_n tilde "binomial"("trials"_n, "logit"^(-1)(x_n^top theta_(j[n]))), quad n = 1, dots, N',
        ),
        group_meaning="coefficient", quantity_unit="log odds", findings=findings,
    ),
)  # fmt: skip
