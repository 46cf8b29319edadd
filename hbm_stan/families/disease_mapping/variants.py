"""The variants of disease mapping: complete pooling, none, and partial pooling with and without space."""

from __future__ import annotations

from hbm_stan.model import Variant

_SPREAD = "overdispersion"  # of counts, by choice; areas share it in every pooling
_POPULATION = ("mu", "gamma", "tau", _SPREAD)
_PRIORS = "mu tilde p(mu), quad gamma tilde p(gamma), quad tau tilde p(tau)"

VARIANTS = (
    Variant(
        name="complete_pooling", title="Complete pooling", pooling="complete", parameterisation="mu itself",
        assumption="All {groups} share one rate; only their predictors let them differ.",
        math=("theta_j = mu + U_j gamma", "mu tilde p(mu), quad gamma tilde p(gamma)"), priors=("mu", "gamma", _SPREAD),
    ),
    Variant(
        name="no_pooling", title="No pooling", pooling="no", parameterisation="theta in units of its prior",
        assumption="{Groups} share nothing; each has a rate of its own with a fixed, wide prior.",
        math=("theta_j tilde p(theta)",), priors=("theta", _SPREAD),
    ),
    Variant(
        name="partial_pooling", title="Partial pooling with space", pooling="partial",
        parameterisation="non-centered: structured and unstructured effects in units of tau",
        assumption="{Groups} are draws from one population in which neighbours are alike; how much, and which share of "
        "the variance is spatial, is learnt (BYM2).",
        math=(
            "theta_j = mu + U_j gamma + tau (sqrt(rho \\/ s) phi_j + sqrt(1 - rho) epsilon_j), "
            'quad epsilon_j tilde "normal"(0, 1)',
            "p(phi) prop exp(-1/2 sum_(i tilde.op j) (phi_i - phi_j)^2), quad sum_j phi_j = 0",
            f"{_PRIORS}, quad rho tilde p(rho)",
        ),
        priors=(*_POPULATION, "rho"),
    ),
    Variant(
        name="partial_pooling_iid", title="Partial pooling without space", pooling="partial",
        parameterisation="non-centered: deviations in units of tau",
        assumption="{Groups} are draws from one population, whose mean and sd are learnt, wherever they lie.",
        math=('theta_j tilde "normal"(mu + U_j gamma, tau)', _PRIORS), priors=_POPULATION, by_default=True,
    ),
)  # fmt: skip
