"""Disease mapping: cases by area beside expected numbers, or of those tested, smoothed over neighbours (BYM2).

Written from Riebler, Sorbye, Simpson & Rue (2016), Statistical Methods in Medical Research 25:1145, Besag, York &
Mollie (1991), Annals of the Institute of Statistical Mathematics 43:1, and Freni-Sterrantino, Ventrucci & Rue (2018),
Spatial and Spatio-temporal Epidemiology 26:25 (islands, several pieces), not from the Stan programs.
"""

from __future__ import annotations

from hbm_stan.families.disease_mapping.alone import exact_loo
from hbm_stan.families.disease_mapping.columns import LIKELIHOODS, coords, default_priors, islands, prepare
from hbm_stan.families.disease_mapping.conditional import (
    finer_group_log_lik,
    group_log_lik,
    new_group,
    prior_group_log_lik,
)
from hbm_stan.families.disease_mapping.density import (
    link,
    log_joint,
    pointwise,
    prior_draws,
    row_moments,
    simulate,
    support,
    transformed,
)
from hbm_stan.families.disease_mapping.findings import alike, findings, new_row, raw, scale
from hbm_stan.families.disease_mapping.variants import VARIANTS
from hbm_stan.families.varying_terms import PREDICTION
from hbm_stan.model import Family, Groups, Option, Programs, Twin, Words
from hbm_stan.prepare import Role
from hbm_stan.priors import SCALES, PriorRow
from hbm_stan.resources import share

_RIEBLER = "Riebler et al. (2016), section 3"
_PRIOR_ROWS = (
    PriorRow(
        name="mu",
        distributions=("normal",),
        meaning="mean of log rate ratios or log odds where predictors are 0",
        source="Morris et al. (2019)",
    ),
    PriorRow(
        name="gamma",
        distributions=("normal",),
        meaning="effect of {predictor} on log risks",
        source="Morris et al. (2019)",
    ),
    PriorRow(
        name="tau",
        distributions=SCALES,
        meaning="sd of log risks between {groups}, beyond their predictors",
        source=_RIEBLER,
    ),
    PriorRow(name="rho", distributions=("beta",), meaning="share of that variance which is spatial", source=_RIEBLER),
    PriorRow(
        name="overdispersion",
        distributions=SCALES,
        meaning="with the likelihood negative_binomial: sd of the rates of {predictor|counts} over their mean",
        source="Cameron & Trivedi (2013), section 3.3",
    ),
    PriorRow(
        name="theta",
        distributions=("normal",),
        meaning="log risk of each {group} without pooling",
        source="fixed and wide",
    ),
)
_EXPECTED = "Where no case is expected there is no rate: join the area with a neighbour, or take its row and pairs out."

FAMILY = Family(
    name="disease_mapping",
    roles=(
        Role(name="group", kind="label", meaning="name of the area", neighbours=True),
        Role(name="count", kind="count", meaning="number of cases", optional=True, at_most="tested"),
        Role(name="expected", kind="positive", meaning="number of cases that was expected; or tested", optional=True,
             advice=_EXPECTED, likelihoods=LIKELIHOODS),
        Role(name="tested", kind="count", meaning="number tested, where cases are of those", optional=True),
        Role(name="group_predictors", kind="group_predictors", meaning="predictors of the area's rate", optional=True),
        Role(name="east", kind="number", meaning="where the area is drawn: longitude, or metres to the east",
             optional=True),
        Role(name="north", kind="number", meaning="the same to the north", optional=True),
    ),
    outcomes=("count",), size="expected", known_residual=True, one_row_per_group=True, check_table=islands,
    programs=Programs(
        variants=VARIANTS, prior_rows=_PRIOR_ROWS,
        dims={
            "theta": ("group",), "theta_raw": ("group",), "gamma": ("group_predictor",),
            "gamma_raw": ("group_predictor",), "overdispersion": ("spread",), "overdispersion_raw": ("spread",),
            "deviation": ("area",), "deviation_raw": ("area",), "phi_raw": ("mode",),
            "y_rep": ("observation",), "log_lik": ("observation",),
        },
        population=("mu", "gamma", "tau", "rho", "overdispersion"),
        shared=("overdispersion",), hidden=("phi_raw", "deviation_raw", "deviation"),
        folder=share("stan") / "disease_mapping", prepare=prepare, default_priors=default_priors, coords=coords,
    ),
    twin=Twin(
        calibration={
            "mu": "normal(0.3, 0.5)", "gamma": "normal(0, 0.5)", "tau": "half_normal(0.7)", "rho": "beta(2, 2)",
            "theta": "normal(0.3, 0.7)",
        },
        log_joint=log_joint, support=support, transformed=transformed, prior_draws=prior_draws, simulate=simulate,
        row_moments=row_moments, pointwise=pointwise, link=link,
    ),
    groups=Groups(
        prediction={
            "expected": Option("of a new area, whose cases are predicted; by default the median"),
            "tested": Option("of a new area, where cases are of those tested; by default the median", of_row=False),
            "group_predictors": PREDICTION["group_predictors"],
        },
        new_group=new_group, less_alike=alike, group_log_lik=group_log_lik, finer_group_log_lik=finer_group_log_lik,
        prior_group_log_lik=prior_group_log_lik, new_row=new_row, raw=raw, exact_loo=exact_loo,
    ),
    words=Words(
        title="Disease mapping: cases by area, smoothed over neighbours",
        citation="Riebler, Sorbye, Simpson and Rue (2016), Statistical Methods in Medical Research 25:1145; Morris "
        "et al. (2019), Spatial and Spatio-temporal Epidemiology 31:100301.",
        likelihood=(
            'y_j tilde "Poisson"("expected"_j exp(theta_j)) quad "or" quad '
            'y_j tilde "binomial"("tested"_j, "logit"^(-1)(theta_j)), quad j = 1, dots, J',
            '"or" quad y_j tilde "negative binomial"("mean" = m_j, "variance" = m_j + ("overdispersion" m_j)^2), quad '
            'm_j = "expected"_j exp(theta_j)',
        ),
        group_meaning="log risk", quantity_unit="log scale", signed=False, same_unit=False, scale=scale,
        findings=findings,
        replicated="Each replication draws each {group} anew, given all others and so its neighbours, with new cases.",
    ),
)  # fmt: skip
