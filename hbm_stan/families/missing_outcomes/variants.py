"""The variants of missing outcomes, and the rows of their prior table."""

from __future__ import annotations

from hbm_stan.model import Variant
from hbm_stan.priors import SCALES, PriorRow

OUTCOME = 'y_i tilde "normal"(theta_(j[i]) + x_i^T beta, sigma)'
UNSEEN = 'P(y_i "is unseen") = Phi(x_i^T eta + delta (y_i - c))'
_COMMON = "beta tilde p(beta), quad eta tilde p(eta), quad sigma tilde p(sigma)"
_GIVEN = "theta standardised given the rows that were seen"
COMMON = ("beta", "sigma", "eta")

VARIANTS = (
    Variant(
        name="complete_pooling", title="Complete pooling", pooling="complete",
        parameterisation="intercepts where predictors are at their means",
        assumption="All {groups} share one regression.", math=("theta_j = mu", f"mu tilde p(mu), quad {_COMMON}"),
        priors=("mu", *COMMON),
    ),
    Variant(
        name="no_pooling", title="No pooling", pooling="no", parameterisation=_GIVEN,
        assumption="Each {group} has a value of its own with a fixed, wide prior (fixed effects); slopes, the sd of "
        "rows and how rows come to be unseen are common.",
        math=("theta_j tilde p(theta)", _COMMON), priors=("theta", *COMMON),
        shared=COMMON,
    ),
    Variant(
        name="partial_pooling", title="Partial pooling", pooling="partial", parameterisation=_GIVEN,
        assumption="Values of {groups} are draws from one population, whose mean and sd are learnt.",
        math=('theta_j tilde "normal"(mu, tau)', f"mu tilde p(mu), quad tau tilde p(tau), quad {_COMMON}"),
        priors=("mu", "tau", *COMMON),
    ),
)  # fmt: skip
PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("normal",), meaning="mean outcome of the population where predictors are 0",
             source="weak on the scale of the data", role="outcome"),
    PriorRow(name="tau", distributions=SCALES, meaning="sd between {groups}", source="Gelman (2006)", role="outcome"),
    PriorRow(name="beta", distributions=("normal",), meaning="effect of {predictor|predictors} on the outcome",
             source="weak", role="outcome"),
    PriorRow(name="sigma", distributions=SCALES, meaning="sd of rows about the value of their {group}", source="weak",
             role="outcome"),
    PriorRow(name="eta", distributions=("normal",), meaning="{term|what stands} in the probit of being unseen",
             source="a factor of ten in the odds for one sd is large"),
    PriorRow(name="theta", distributions=("normal",), meaning="value of each {group} without pooling",
             source="fixed and wide", role="outcome"),
)  # fmt: skip
