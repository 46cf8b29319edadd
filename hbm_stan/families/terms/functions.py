"""The functions of a Family for a likelihood: what a formula's model needs, derived once from likelihood and terms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hbm_stan.families.terms import closed_form, density, effects, groups_left_out, integrals, left_out, population, raw
from hbm_stan.likelihoods.likelihood import Likelihood


def functions_of(likelihood: Likelihood) -> dict[str, Callable[..., Any]]:
    """By the name of the field, in whichever part of the family it stands.

    Where coefficients are integrated out they are drawn afterwards. Rows are left out with all of them integrated out
    where programs do that; else with those of their group.
    """
    shared: dict[str, Callable[..., Any]] = {
        "log_joint": density.log_joint,
        "transformed": population.transformed,
        "support": population.support,
        "prior_draws": population.prior_draws,
        "pointwise": density.pointwise,
        "simulate": density.simulate,
        "row_weights": density.row_weights,
        "group_log_lik": integrals.group_log_lik,
        "prior_group_log_lik": integrals.prior_group_log_lik,
        "exact_loo": left_out.exact_loo,
        "raw": raw.raw,
        "shrinkage_factor": raw.shrinkage_factor,
    }
    if likelihood.integrated:
        shared |= {
            "draw_groups": closed_form.draw_groups,
            "loo_log_lik": closed_form.loo_log_lik,
            "group_loo_log_lik": groups_left_out.group_loo_log_lik,
        }
    elif likelihood.precision is not None:
        shared |= {"draw_groups": closed_form.draw_groups, "loo_log_lik": closed_form.row_in_group_log_lik}
    else:
        shared |= {"loo_log_lik": integrals.loo_log_lik, "finer_group_log_lik": integrals.finer_group_log_lik}
    if likelihood.roles[0].kind == "count":  # whose spread follows from their mean
        shared["row_moments"] = density.row_moments
    functions: dict[str, Callable[..., Any]] = {
        name: partial(function, likelihood) for name, function in shared.items()
    }
    return functions | {"new_group": effects.new_group, "latent": effects.latent}
