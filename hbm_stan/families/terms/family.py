"""A Family for a likelihood: structure comes from the table's formula, functions from likelihood and terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from hbm_stan.families.terms import priors
from hbm_stan.families.terms.data import PREPARE, design_of, names_of
from hbm_stan.families.terms.functions import functions_of
from hbm_stan.families.terms.rule import rule
from hbm_stan.families.terms.usual import new_row, prediction_of
from hbm_stan.families.terms.variants import POPULATION, prior_rows_of, variants_of
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Family
from hbm_stan.prepare import Prepared, Role
from hbm_stan.priors import Prior
from hbm_stan.resources import share

_GROUP = Role("group", "label", "factor whose pooling is asked; by default the first of the formula")
_DIMS: Mapping[str, tuple[str, ...]] = {
    "beta": ("column",), "beta_raw": ("column",), "beta_shared": ("shared",), "beta_shared_raw": ("shared",),
    "tau": ("term",), "tau_raw": ("term",), "sd": ("other_term",), "sd_raw": ("other_term",),
    "rho": ("pair",), "partial": ("pair",), "rho_other": ("other_pair",), "partial_other": ("other_pair",),
    "theta": ("group", "term"), "effect": ("other_effect",), "shift": ("column",),
    "y_rep": ("observation",), "log_lik": ("observation",),
}  # fmt: skip
_HIDDEN = ("partial", "partial_other", "all_rho", "beta_shared")
_HIDDEN_SAMPLED = (*_HIDDEN, "sampled", "shift")
_PRIORS: Mapping[str, Callable[[Prepared], dict[str, Prior]]] = {
    "normal": priors.normal_priors,
    "estimates": partial(priors.default_priors, priors.scale_of_estimates),
    "binomial": partial(priors.default_priors, priors.scale_of_binomial),
    "poisson": partial(priors.default_priors, priors.scale_of_poisson),
}
# Priors for the shipped example of each likelihood, on the scale of what is measured there.
_CALIBRATION: Mapping[str, Mapping[str, str]] = {
    "normal": {
        "beta[intercept]": "normal(23, 3)", "tau": "half_normal(1)", "sd": "half_normal(2)", "sigma": "gamma(4, 6)",
        "theta": "normal(23, 3)",
    },
    "estimates": {
        "beta[intercept]": "normal(-0.7, 0.7)", "beta[latitude]": "normal(-0.03, 0.03)", "tau": "half_normal(0.5)",
        "theta": "normal(-0.7, 1)",
    },
    "binomial": {
        "beta": "normal(0, 0.7)", "beta[anger]": "normal(0.05, 0.1)", "tau": "half_normal(1)", "sd": "half_normal(1)",
        "theta": "normal(0, 1.5)",
    },
    "poisson": {
        "beta[intercept]": "normal(0.4, 0.7)", "beta[x]": "normal(0, 0.4)", "tau": "half_normal(0.5)",
        "sd": "half_normal(0.5)", "theta": "normal(0.4, 0.8)",
    },
}  # fmt: skip


def coords(table: Prepared) -> dict[str, tuple[str, ...]]:
    """Labels of columns, terms, pairs and effects."""
    names = names_of(design_of(table))
    return {
        "column": names.beta, "shared": names.shared, "term": names.tau, "other_term": names.sd, "pair": names.rho,
        "other_pair": names.rho_other, "other_effect": names.effect,
    }  # fmt: skip


def family_of(name: str) -> Family:
    """The family of that likelihood."""
    given = likelihood(name)
    made = Family(
        name=name,
        title=f"{given.title}: terms of a formula",
        citation=given.citation,
        roles=(_GROUP, *given.roles),
        variants=variants_of(given),
        prior_rows=prior_rows_of(given),
        dims=_DIMS,
        likelihood=given.math,
        population=(*POPULATION, *(row.name for row in given.own)),
        folder=share("stan") / name,
        hidden=_HIDDEN if given.precision else _HIDDEN_SAMPLED,
        group_meaning="coefficient",
        quantity_unit=given.eta_unit,
        same_unit=not given.eta_unit,
        discrete=given.size == "trials",
        size=given.size,
        known_residual=not given.own,
        pilot=() if given.precision else ("partial_pooling", "partial_pooling_centered"),
        prediction=prediction_of(given),
        calibration=_CALIBRATION[name],
        terms=True,
        prepare=PREPARE[name],
        default_priors=_PRIORS[name],
        coords=coords,
        new_row=partial(new_row, given),
    )
    functions: dict[str, Any] = functions_of(given)
    if made.pilot:
        functions["rule"] = partial(rule, given)
    return replace(made, **functions)
