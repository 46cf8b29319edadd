"""Missing outcomes: rows in groups, some of whose outcomes nobody saw, and a delta by which these may differ.

Written from Little & Rubin (2019), Statistical Analysis with Missing Data, 3rd ed., chapter 15, and Heckman (1979),
Econometrica 47:153, not from the Stan programs. Delta is no parameter: the rows say nothing of it that does not rest on
the outcome being normal. The selection form has a probit, not a logit: with a normal outcome what nobody saw is then
integrated out in closed form, in the programs, in scores and in predictions.
"""

from __future__ import annotations

from hbm_stan.families.missing_outcomes.columns import check, coords, default_priors, prepare
from hbm_stan.families.missing_outcomes.density import (
    beside_rows,
    drawn_table,
    log_joint,
    mean_of_rows,
    pointwise,
    prior_draws,
    simulate,
    support,
    transformed,
)
from hbm_stan.families.missing_outcomes.estimand import estimand, findings
from hbm_stan.families.missing_outcomes.given_rows import given_rows, settle
from hbm_stan.families.missing_outcomes.left_out import (
    alike,
    finer_group_log_lik,
    group_log_lik,
    new_row,
    prior_group_log_lik,
    raw,
    shrinkage_factor,
)
from hbm_stan.families.missing_outcomes.variants import OUTCOME, PRIOR_ROWS, UNSEEN, VARIANTS
from hbm_stan.families.normal_population import new_group
from hbm_stan.families.varying_terms import PREDICTION
from hbm_stan.model import Family, Groups, Programs, Twin, Words
from hbm_stan.prepare import Role
from hbm_stan.resources import share

FAMILY = Family(
    name="missing_outcomes",
    roles=(
        Role(name="group", kind="label", meaning="name of the group"),
        Role(name="outcome", kind="number", meaning="outcome of the row; empty where nobody saw it",
             may_be_missing=True),
        Role(name="predictors", kind="predictors", meaning="predictors of the row, such as the arm of a trial",
             optional=True),
    ),
    check_table=check,
    programs=Programs(
        variants=VARIANTS, prior_rows=PRIOR_ROWS,
        dims={
            "theta": ("group",), "theta_raw": ("group",), "beta": ("predictor",), "beta_raw": ("predictor",),
            "eta": ("unseen_term",), "eta_raw": ("unseen_term",), "y_rep": ("observation",),
            "log_lik": ("observation",),
        },
        population=("mu", "tau", "beta", "sigma", "eta"), hidden=("mu_raw", "beta_raw", "eta_raw"),
        folder=share("stan") / "missing_outcomes", prepare=prepare, default_priors=default_priors, coords=coords,
    ),
    twin=Twin(
        calibration={
            "mu": "normal(-4, 2)", "tau": "half_normal(2)", "beta": "normal(0, 2)", "sigma": "gamma(8, 1.5)",
            "eta": "normal(-0.4, 0.4)", "theta": "normal(-4, 4)",
        },
        log_joint=log_joint, support=support, transformed=transformed, prior_draws=prior_draws, simulate=simulate,
        pointwise=pointwise, mean_of_rows=mean_of_rows, drawn_table=drawn_table,
        beside_rows=beside_rows,
    ),
    groups=Groups(
        prediction={"predictors": PREDICTION["predictors"]}, new_group=new_group, new_row=new_row, raw=raw,
        shrinkage_factor=shrinkage_factor, less_alike=alike, group_log_lik=group_log_lik,
        finer_group_log_lik=finer_group_log_lik, prior_group_log_lik=prior_group_log_lik,
        given_rows=given_rows, settle=settle,
    ),
    words=Words(
        title="Missing outcomes: rows that nobody saw may differ by delta",
        citation="Little and Rubin (2019), Statistical Analysis with Missing Data, 3rd ed., ch. 15; Heckman (1979), "
        "Econometrica 47:153.",
        likelihood=(f"{OUTCOME}, quad i = 1, dots, N", UNSEEN), group_meaning="value", estimand=estimand,
        findings=findings,
    ),
)  # fmt: skip
