"""What a sensitivity is asked of: the population's parameters and the value of a new group, by name."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np

from hbm_stan.elements import base_of, element_names
from hbm_stan.fit import Fit
from hbm_stan.model import Family
from hbm_stan.predict import Y_NEW, draw_new_group, means_of
from hbm_stan.table import FloatArray

# The parameter that families call the location of the population, and what it is in a formula's models.
LOCATION, OF_FORMULA = "mu", "beta"


class Side(StrEnum):
    """Where a 90 % interval lies."""

    ABOVE = "above"
    BELOW = "below"
    BOTH = "both"

    @property
    def words(self) -> str:
        """The side, to follow "lies"."""
        return {Side.ABOVE: "above zero", Side.BELOW: "below zero", Side.BOTH: "on both sides of zero"}[self]


def location_of(family: Family) -> str:
    """The name of the population's location: of a formula's models the common coefficients."""
    return OF_FORMULA if family.terms else LOCATION


def population_draws(fit: Fit) -> dict[str, FloatArray]:
    """Draws of the population's parameters by element, (S,) each; an element that is the same in all draws is none."""
    posterior = fit.named["posterior"]
    by_element: dict[str, FloatArray] = {}
    for name in fit.family.programs.population:
        if name in posterior:
            draws = fit.draws(name)[name]
            elements = draws.reshape(len(draws), -1).T
            by_element |= dict(zip(element_names(name, posterior[name]), elements, strict=True))
    return {name: draws for name, draws in by_element.items() if np.ptp(draws) > 0}


def means_of_groups(fit: Fit) -> dict[str, tuple[float, float]]:
    """Of each element of mu: the posterior mean of its groups' mean, and the sd that this has given mu, tau / sqrt(J).

    Nothing where mu is not what groups are distributed about: in other families, and beside predictors of groups.
    """
    draws = fit.draws(LOCATION, fit.family.groups.population_scale, fit.family.groups.group_quantity)
    if len(draws) < 3 or "gamma" in population_names(fit):
        return {}
    mu, tau, theta = draws.values()
    if theta.shape[2:] != mu.shape[1:] or tau.shape != mu.shape:
        return {}
    groups = theta.shape[1]
    means = means_of(fit).reshape(groups, -1).mean(axis=0)
    sds = np.sqrt(np.mean(tau**2, axis=0) / groups).reshape(-1)
    names = element_names(LOCATION, fit.named["posterior"][LOCATION])
    return {n: (float(m), float(s)) for n, m, s in zip(names, means, sds, strict=True)}


def population_names(fit: Fit) -> set[str]:
    """The population's parameters that have draws."""
    return {name for name in fit.family.programs.population if fit.draws(name).get(name, np.empty(0)).size}


def new_group_draws(fit: Fit, options: Mapping[str, Any]) -> dict[str, FloatArray]:
    """Draws of the value of a new group by term, (S,) each; none of a term that all groups share, or without words."""
    family = fit.family
    if None in (family.groups.new_row, family.groups.new_group, family.twin.simulate):
        return {}
    drawn, _ = draw_new_group(fit, options)
    shared = list(population_draws(fit).values())
    return {n: d for n, d in drawn.items() if n != Y_NEW and not any(np.array_equal(d, s) for s in shared)}


def watched(fit: Fit, options: Mapping[str, Any]) -> dict[str, FloatArray]:
    """The population's parameters and the new group's value: draws by name, (S,) each."""
    return population_draws(fit) | new_group_draws(fit, options)


def location_and_scale(fit: Fit) -> dict[str, FloatArray]:
    """Draws of location and scale by element, (S,) each; of the whole population where a family has neither name."""
    draws = population_draws(fit)
    names = {location_of(fit.family), fit.family.groups.population_scale}
    selected = {n: d for n, d in draws.items() if base_of(n) in names}
    return selected or draws


def side(q05: float, q95: float) -> Side:
    """Where a 90 % interval lies: above zero, below zero, or on both sides of it."""
    return Side.ABOVE if q05 > 0 else Side.BELOW if q95 < 0 else Side.BOTH
