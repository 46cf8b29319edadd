"""The variants of grouped normal data, and the rows of their prior table."""

from __future__ import annotations

from hbm_stan.model import Variant
from hbm_stan.priors import SCALES, PriorRow

POPULATION = ("mu", "tau", "sigma", "sigma_spread")
_ASSUMPTION = "{Groups} are draws from one population, whose location and scale are learnt from all of them."
_PARTIAL = ('theta_j tilde "normal"(mu, tau), quad y_i tilde "normal"(theta_(j[i]), sigma)',
            "mu tilde p(mu), quad tau tilde p(tau), quad sigma tilde p(sigma)")  # fmt: skip
_MARGINAL = "partial_pooling ({group} values integrated out)"

VARIANTS = (
    Variant(name="complete_pooling", title="Complete pooling", pooling="complete",
            parameterisation="mu and sigma themselves",
            assumption="All rows share one location and one scale, whatever their {group}.",
            math=('y_i tilde "normal"(mu, sigma)', "mu tilde p(mu), quad sigma tilde p(sigma)"),
            priors=("mu", "sigma")),
    Variant(name="no_pooling", title="No pooling", pooling="no",
            parameterisation="theta standardised given the data, sigma_group itself",
            assumption="{Groups} share nothing; each has its own location and scale, with fixed priors.",
            math=('y_i tilde "normal"(theta_(j[i]), sigma_(j[i]))',
                  "theta_j tilde p(theta), quad sigma_j tilde p(sigma_j)"), priors=("theta", "sigma_group")),
    Variant(name="partial_pooling", title="Partial pooling", pooling="partial",
            parameterisation="marginal: {group} values integrated out, drawn afterwards", assumption=_ASSUMPTION,
            math=_PARTIAL, priors=POPULATION[:3]),
    Variant(name="partial_pooling_centered", title="Partial pooling, centered", pooling="partial",
            parameterisation="centered: theta itself", assumption=_ASSUMPTION, math=_PARTIAL, priors=POPULATION[:3],
            better=f"{_MARGINAL} or partial_pooling_noncentered"),
    Variant(name="partial_pooling_noncentered", title="Partial pooling, non-centered", pooling="partial",
            parameterisation="non-centered: theta = mu + tau * theta_raw", assumption=_ASSUMPTION, math=_PARTIAL,
            priors=POPULATION[:3], better=_MARGINAL),
    Variant(name="partial_pooling_sigma_by_group", title="Partial pooling, a scale for each group", pooling="partial",
            parameterisation="marginal in theta; log scales standardised by their population and their own rows",
            assumption="{Groups} are draws from one population of locations and one of scales, learnt from all of "
                       "them.",
            math=('theta_j tilde "normal"(mu, tau), quad y_i tilde "normal"(theta_(j[i]), sigma_(j[i]))',
                  'log sigma_j tilde "normal"(log sigma, s), quad s = sigma_"spread" tilde p(s)', _PARTIAL[1]),
            priors=POPULATION, better="partial_pooling (one scale for all {groups})"),
)  # fmt: skip
PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("normal",), meaning="location of the population",
             source="weak on the scale of the data", role="outcome"),
    PriorRow(name="tau", distributions=SCALES, meaning="scale of the population: how much {groups} differ",
             source="Gelman (2006)", role="outcome"),
    PriorRow(name="sigma", distributions=SCALES, meaning="sd within {groups}, or the median of their own sds",
             source="weak", role="outcome"),
    PriorRow(name="sigma_spread", distributions=SCALES,
             meaning="sd of the logarithm of the sds of {groups}: how much they differ", source="weak"),
    PriorRow(name="theta", distributions=("normal",), meaning="value of each {group} without pooling",
             source="fixed and wide", role="outcome"),
    PriorRow(name="sigma_group", distributions=SCALES, meaning="sd of rows of each {group} without pooling",
             source="fixed and wide", role="outcome"),
)  # fmt: skip
