"""The variants of nested normal data, and the rows of their prior table."""

from __future__ import annotations

from hbm_stan.model import Variant
from hbm_stan.priors import SCALES, PriorRow

POPULATION = ("mu", "tau", "tau_unit", "sigma")
_ASSUMPTION = "{Groups} are draws from one population, units from their {group}; scales are learnt from all of them."
_ROW = 'y_i tilde "normal"(phi_(u[i]), sigma), quad phi_u tilde "normal"(theta_(j[u]), tau_"unit")'
_PARTIAL = (_ROW, 'theta_j tilde "normal"(mu, tau), quad mu tilde p(mu), quad tau, tau_"unit", sigma tilde p(dot)')
_MARGINAL = "partial_pooling (units and {groups} integrated out)"

VARIANTS = (
    Variant(name="complete_pooling", title="Complete pooling", pooling="complete",
            parameterisation="mu and sigma themselves",
            assumption="All rows share one location and one scale, whatever their unit and {group}.",
            math=('y_i tilde "normal"(mu, sigma)', "mu tilde p(mu), quad sigma tilde p(sigma)"),
            priors=("mu", "sigma")),
    Variant(name="no_pooling", title="No pooling", pooling="no",
            parameterisation="units integrated out; theta standardised given scales and data",
            assumption="{Groups} share nothing; each has a location, a scale of units and a scale of rows, with fixed "
                       "priors.",
            math=(_ROW.replace("sigma", "sigma_j").replace('tau_"unit"', 'tau_("unit", j)'),
                  'theta_j tilde p(theta), quad tau_("unit", j), sigma_j tilde p(dot)'),
            priors=("theta", "tau_unit", "sigma")),
    Variant(name="partial_pooling", title="Partial pooling", pooling="partial",
            parameterisation="marginal: units and {groups} integrated out, drawn afterwards", assumption=_ASSUMPTION,
            math=_PARTIAL, priors=POPULATION),
    Variant(name="partial_pooling_centered", title="Partial pooling, centered", pooling="partial",
            parameterisation="centered at both levels", assumption=_ASSUMPTION, math=_PARTIAL, priors=POPULATION,
            better=f"{_MARGINAL} or partial_pooling_noncentered"),
    Variant(name="partial_pooling_noncentered", title="Partial pooling, non-centered", pooling="partial",
            parameterisation="non-centered at both levels", assumption=_ASSUMPTION, math=_PARTIAL, priors=POPULATION,
            better=_MARGINAL),
)  # fmt: skip
PRIOR_ROWS = (
    PriorRow(name="mu", distributions=("normal",), meaning="location of the population",
             source="weak on the scale of the data", role="outcome"),
    PriorRow(name="tau", distributions=SCALES, meaning="sd of {groups} in the population",
             source="Gelman (2006), Bayesian Analysis 1", role="outcome"),
    PriorRow(name="tau_unit", distributions=SCALES, meaning="sd of units within {groups}",
             source="weak on the scale of the data", role="outcome"),
    PriorRow(name="sigma", distributions=SCALES, meaning="sd of rows within a unit",
             source="weak on the scale of the data", role="outcome"),
    PriorRow(name="theta", distributions=("normal",), meaning="value of each {group} without pooling",
             source="fixed and wide", role="outcome"),
)  # fmt: skip
