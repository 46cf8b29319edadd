"""The variants of joint infection: complete pooling, none, and partial pooling in two forms."""

from __future__ import annotations

from hbm_stan.model import Variant

STREAMS = ("alpha", "beta", "overdispersion")  # what all villages share in every pooling: how streams measure
_POPULATION = ("mu", "gamma", "tau", *STREAMS)
_OF_STREAMS = 'alpha tilde p(alpha), quad beta tilde p(beta), quad "overdispersion" tilde p("overdispersion")'
_PARTIAL = (
    'theta_j tilde "normal"(mu + U_j gamma, tau)',
    "mu tilde p(mu), quad gamma tilde p(gamma), quad tau tilde p(tau)",
    _OF_STREAMS,
)
_DRAWS = (
    "{Groups} are draws from one population of intensities, whose mean and sd are learnt; predictors move the mean."
)

VARIANTS = (
    Variant(
        name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation="mu itself",
        assumption="All {groups} share one intensity; only their predictors let them differ.",
        math=("theta_j = mu + U_j gamma", "mu tilde p(mu), quad gamma tilde p(gamma)", _OF_STREAMS),
        priors=("mu", "gamma", *STREAMS),
    ),
    Variant(
        name="no_pooling", title="No pooling", pooling="no", parameterisation="theta itself",
        assumption="{Groups} share no population of intensities; each has one of its own with a fixed, wide prior. How "
        "the streams depend on an intensity is shared all the same: one {group} says nothing of it.",
        math=("theta_j tilde p(theta)", _OF_STREAMS), priors=("theta", *STREAMS),
    ),
    Variant(
        name="partial_pooling", title="Partial pooling", pooling="partial",
        parameterisation="non-centered: deviations in units of tau", assumption=_DRAWS, math=_PARTIAL,
        priors=_POPULATION, settings={"centered": 0},
    ),
    Variant(
        name="partial_pooling_centered", title="Partial pooling, centered", pooling="partial",
        parameterisation="centered: theta itself", assumption=_DRAWS, math=_PARTIAL, priors=_POPULATION,
        better="partial_pooling (non-centered)", program="partial_pooling", settings={"centered": 1},
    ),
    Variant(
        name="partial_pooling_noncentered", title="Partial pooling, non-centered", pooling="partial",
        parameterisation="non-centered: deviations in units of tau; the default under its full name",
        assumption=_DRAWS, math=_PARTIAL, priors=_POPULATION, program="partial_pooling", settings={"centered": 0},
    ),
)  # fmt: skip
