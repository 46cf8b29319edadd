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
    Variant("complete_pooling", "Complete pooling", "complete", "mu and sigma themselves",
            "All rows share one location and one scale, whatever their unit and {group}.",
            ('y_i tilde "normal"(mu, sigma)', "mu tilde p(mu), quad sigma tilde p(sigma)"), ("mu", "sigma")),
    Variant("no_pooling", "No pooling", "no", "units integrated out; theta standardised given scales and data",
            "{Groups} share nothing; each has a location, a scale of units and a scale of rows, with fixed priors.",
            (_ROW.replace("sigma", "sigma_j").replace('tau_"unit"', 'tau_("unit", j)'),
             'theta_j tilde p(theta), quad tau_("unit", j), sigma_j tilde p(dot)'), ("theta", "tau_unit", "sigma")),
    Variant("partial_pooling", "Partial pooling", "partial",
            "marginal: units and {groups} integrated out, drawn afterwards", _ASSUMPTION, _PARTIAL, POPULATION),
    Variant("partial_pooling_centered", "Partial pooling, centered", "partial", "centered at both levels",
            _ASSUMPTION, _PARTIAL, POPULATION, better=f"{_MARGINAL} or partial_pooling_noncentered"),
    Variant("partial_pooling_noncentered", "Partial pooling, non-centered", "partial",
            "non-centered at both levels", _ASSUMPTION, _PARTIAL, POPULATION, better=_MARGINAL),
)  # fmt: skip
PRIOR_ROWS = (
    PriorRow("mu", ("normal",), "location of the population", "weak on the scale of the data", "outcome"),
    PriorRow("tau", SCALES, "sd of {groups} in the population", "Gelman (2006), Bayesian Analysis 1", "outcome"),
    PriorRow("tau_unit", SCALES, "sd of units within {groups}", "weak on the scale of the data", "outcome"),
    PriorRow("sigma", SCALES, "sd of rows within a unit", "weak on the scale of the data", "outcome"),
    PriorRow("theta", ("normal",), "value of each {group} without pooling", "fixed and wide", "outcome"),
)  # fmt: skip
