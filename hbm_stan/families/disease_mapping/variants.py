"""The variants of disease mapping: complete pooling, none, and partial pooling with and without space."""

from __future__ import annotations

from hbm_stan.model import Variant

_POPULATION = ("mu", "gamma", "tau")
_PRIORS = "mu tilde p(mu), quad gamma tilde p(gamma), quad tau tilde p(tau)"

VARIANTS = (
    Variant(
        "complete_pooling", "Complete pooling", "complete", "mu itself",
        "All {groups} share one rate; only their predictors let them differ.",
        ("theta_j = mu + U_j gamma", "mu tilde p(mu), quad gamma tilde p(gamma)"), ("mu", "gamma"),
    ),
    Variant(
        "no_pooling", "No pooling", "no", "theta itself",
        "{Groups} share nothing; each has a rate of its own with a fixed, wide prior.",
        ("theta_j tilde p(theta)",), ("theta",),
    ),
    Variant(
        "partial_pooling", "Partial pooling with space", "partial",
        "non-centered: structured and unstructured effects in units of tau",
        "{Groups} are draws from one population in which neighbours are alike; how much, and which share of the "
        "variance is spatial, is learnt (BYM2).",
        (
            "theta_j = mu + U_j gamma + tau (sqrt(rho \\/ s) phi_j + sqrt(1 - rho) epsilon_j), "
            'quad epsilon_j tilde "normal"(0, 1)',
            "p(phi) prop exp(-1/2 sum_(i tilde.op j) (phi_i - phi_j)^2), quad sum_j phi_j = 0",
            f"{_PRIORS}, quad rho tilde p(rho)",
        ),
        (*_POPULATION, "rho"),
    ),
    Variant(
        "partial_pooling_iid", "Partial pooling without space", "partial", "non-centered: deviations in units of tau",
        "{Groups} are draws from one population, whose mean and sd are learnt, wherever they lie.",
        ('theta_j tilde "normal"(mu + U_j gamma, tau)', _PRIORS), _POPULATION, by_default=True,
    ),
)  # fmt: skip
