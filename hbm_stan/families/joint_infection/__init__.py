"""Joint infection: snails, egg counts and blood tests of villages, joined through one latent intensity.

Written from Sammel, Ryan & Legler (1997), Journal of the Royal Statistical Society B 59:667 (one latent variable, moved
by covariates, with outcomes of several kinds), Rogan & Gladen (1978), American Journal of Epidemiology 107:71 (known
sensitivity and specificity), and Presanis et al. (2013), Statistical Science 28:376 (conflict), not from the Stan
programs.

The latent intensity has no unit of its own: with a level and a slope for every stream, they could undo any shift and
stretch of it. It is given the unit of the first stream that a table has (eggs, else blood tests, else snails), whose
level is 0 and slope 1: a reference variable (Bollen 1989, Structural Equations with Latent Variables, chapter 6). mu
and tau are then the mean and the sd of log egg counts, and slopes of the others are positive: no sign can flip.
"""

from __future__ import annotations

from hbm_stan.families.joint_infection.columns import coords, default_priors, prepare
from hbm_stan.families.joint_infection.conditional import (
    finer_group_log_lik,
    given_rows,
    group_log_lik,
    loo_log_lik,
    new_group,
    prior_group_log_lik,
)
from hbm_stan.families.joint_infection.conflict import check_model
from hbm_stan.families.joint_infection.density import (
    log_joint,
    of_groups,
    pointwise,
    prior_draws,
    row_moments,
    simulate,
    support,
    transformed,
)
from hbm_stan.families.joint_infection.estimates import raw, rule
from hbm_stan.families.joint_infection.findings import findings, scale
from hbm_stan.families.joint_infection.rows import PARTS, new_row
from hbm_stan.families.joint_infection.unfold import check_streams, unfold
from hbm_stan.families.joint_infection.variants import STREAMS, VARIANTS
from hbm_stan.families.varying_terms import PREDICTION
from hbm_stan.model import Family, Groups, Option, Programs, Twin, Words
from hbm_stan.prepare import Role
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.resources import share

_SAMMEL = "Sammel, Ryan & Legler (1997)"
_PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("normal",), meaning="mean of log intensities where predictors are 0",
             source=_SAMMEL),
    PriorRow(name="gamma", distributions=("normal",), meaning="effect of {predictor} on log intensities",
             source=_SAMMEL),
    PriorRow(name="tau", distributions=SCALES, meaning="sd of log intensities between {groups}, beyond predictors",
             source="Gelman (2006), Bayesian Analysis 1:515"),
    PriorRow(name="alpha", distributions=("normal",),
             meaning="log odds of {predictor|a stream} at the location of the prior of mu", source=_SAMMEL),
    PriorRow(name="beta", distributions=SCALES, meaning="log odds of {predictor|a stream} per unit of log intensity",
             source=_SAMMEL),
    PriorRow(name="overdispersion", distributions=SCALES,
             meaning="spread of the {predictor|eggs} of one person: 1 over the root of the size",
             source="Anscombe (1949), Biometrics 5:165"),
    PriorRow(name="theta", distributions=("normal",), meaning="log intensity of each {group} without pooling",
             source="fixed and wide"),
)  # fmt: skip

FAMILY = Family(
    name="joint_infection",
    roles=(
        Role(name="group", kind="label", meaning="name of the village"),
        Role(name="eggs", kind="count", meaning="eggs counted, in all people of the village together", optional=True,
             blank=True),
        Role(name="examined", kind="positive", meaning="people, or slides, whose eggs were counted", optional=True,
             blank=True, advice="Leave both cells empty where nobody was examined."),
        Role(name="positive", kind="count", meaning="people with a positive blood test", optional=True, blank=True,
             at_most="blood_tests"),
        Role(name="blood_tests", kind="count", meaning="people whose blood was tested", optional=True, blank=True),
        Role(name="sensitivity", kind="positive", meaning="probability of a positive test in an infected person",
             optional=True, blank=True),
        Role(name="specificity", kind="positive", meaning="probability of a negative test in a person not infected",
             optional=True, blank=True),
        Role(name="infected", kind="count", meaning="infected snails", optional=True, blank=True, at_most="snails"),
        Role(name="snails", kind="count", meaning="snails tested", optional=True, blank=True),
        Role(name="group_predictors", kind="group_predictors", meaning="predictors of the village's intensity",
             optional=True),
    ),
    known_residual=True, one_row_per_group=True, unfold=unfold, check_table=check_streams, check_model=check_model,
    programs=Programs(
        variants=VARIANTS, prior_rows=_PRIOR_ROWS,
        dims={
            "theta": ("group",), "theta_raw": ("group",), "gamma": ("group_predictor",),
            "gamma_raw": ("group_predictor",), "alpha": ("other_stream",), "alpha_raw": ("other_stream",),
            "beta": ("other_stream",), "beta_raw": ("other_stream",), "overdispersion": ("egg_stream",),
            "overdispersion_raw": ("egg_stream",), "y_rep": ("observation",), "log_lik": ("observation",),
        },
        population=("mu", "gamma", "tau", *STREAMS), shared=STREAMS, folder=share("stan") / "joint_infection",
        pilot=("partial_pooling", "partial_pooling_centered"), prepare=prepare, default_priors=default_priors,
        coords=coords, rule=rule,
    ),
    twin=Twin(
        calibration={
            "mu": "normal(3, 0.5)", "gamma": "normal(0, 0.5)", "tau": "half_normal(1)", "alpha": "normal(-0.5, 0.5)",
            "beta": "gamma(4, 5)", "overdispersion": "gamma(8, 4)", "theta": "normal(3, 1)",
        },
        log_joint=log_joint, support=support, transformed=transformed, prior_draws=prior_draws, simulate=simulate,
        row_moments=row_moments, pointwise=pointwise, of_groups=of_groups,
    ),
    groups=Groups(
        prediction={
            "group_predictors": PREDICTION["group_predictors"],
            "out_of": Option("of how many the new count of the first stream is: people examined or tested, or snails; "
                             "by default the median"),
        },
        new_group=new_group, group_log_lik=group_log_lik, finer_group_log_lik=finer_group_log_lik,
        prior_group_log_lik=prior_group_log_lik, loo_log_lik=loo_log_lik,
        given_rows=given_rows, new_row=new_row, raw=raw, parts=PARTS,
    ),
    words=Words(
        title="Joint infection: streams of evidence on one intensity",
        citation="Sammel, Ryan and Legler (1997), Journal of the Royal Statistical Society B 59:667; Presanis et al. "
        "(2013), Statistical Science 28:376.",
        likelihood=(
            'y_n tilde "negative binomial"("mean" = m_n e^(eta_n), "size" = m_n \\/ "overdispersion"^2) quad "eggs of" '
            'm_n "people"',
            'y_n tilde "binomial"("tests"_n, "sens"_n p_n + (1 - "spec"_n) (1 - p_n)), quad '
            'p_n = "logit"^(-1)(eta_n) quad "blood"',
            'y_n tilde "binomial"("snails"_n, "logit"^(-1)(eta_n)) quad "snails"',
            'eta_n = theta_j quad "in the first stream, else" quad alpha_s + beta_s (theta_j - c), quad n = 1, dots, N',
        ),
        group_meaning="log intensity", quantity_unit="log scale", signed=False, same_unit=False, scale=scale,
        findings=findings,
    ),
)  # fmt: skip
