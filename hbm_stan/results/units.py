"""In which unit a quantity stands, what is observed of a group, and whether the side of zero says anything of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.nouns import singular
from hbm_stan.predictors import INTERCEPT

if TYPE_CHECKING:
    from hbm_stan.fit import Fit

# An outcome with a mean of so many of its sds is not asked on which side of zero it is (ours) ...
FAR_FROM_ZERO = 3.0
# ... nor are estimates that each lie so many of their standard errors on one side of it (ours).
FAR_IN_ERRORS = 3.0
# What a family says of its group quantity where that is the outcome itself, or its mean: the column's name is enough.
_PLAIN = {"value", "mean"}


def of_rates(fit: Fit) -> bool:
    """Whether rows are 0/1 values or counts, so that a group shows a share or a rate of them."""
    return bool(fit.family.size or fit.family.discrete)


def of_categories(fit: Fit) -> bool:
    """Whether rows are categories in order, whose numbers are ranks."""
    return any(role.name == fit.family.outcome(fit.table) and role.kind == "ordered" for role in fit.family.roles)


def quantity_unit(fit: Fit) -> str:
    """The unit of the group quantity: the outcome's, unless that is divided by trials or exposure or transformed."""
    other = of_rates(fit) or not fit.family.words.same_unit
    return fit.family.words.quantity_unit if other else outcome_unit(fit)


def own_meaning(fit: Fit) -> str:
    """What the group quantity is beside the outcome: its rate, its log mean; empty where it is the outcome's value."""
    return "" if fit.family.words.group_meaning in _PLAIN else fit.family.words.group_meaning


def outcome_unit(fit: Fit) -> str:
    """The unit of the outcome's column."""
    return fit.table.dataset.unit(fit.family.outcome(fit.table))


def observed_unit(fit: Fit) -> str:
    """The unit of what is observed of a group: a share or a rate has none, whatever unit the group quantity has."""
    return "" if of_rates(fit) else outcome_unit(fit)


def rate_unit(fit: Fit) -> str:
    """What a rate is per: the unit of the exposure, one of it (per hour); empty where there is none."""
    unit = fit.table.dataset.unit("exposure") if "exposure" in fit.table else ""
    return f"per {singular(unit) if unit.isalpha() else unit}" if unit else ""


def observed_quantity(fit: Fit) -> str:
    """What is observed of a group: its outcome, or the mean, share or rate of its rows."""
    if fit.family.discrete:
        return "share"
    if fit.family.size:
        return "rate"
    return "outcome" if fit.table.one_row_per_group else "mean"


def zero_matters(fit: Fit, term: str) -> bool:
    """Whether the side of zero says something: not of rates, of an intercept, of outcomes that are far from zero."""
    if not fit.family.words.signed or term == INTERCEPT:
        return False
    return bool(term) or not far_from_zero(fit)


def far_from_zero(fit: Fit) -> bool:
    """Whether nobody would ask on which side of zero the outcome is: travel times, weights, scores of tests.

    Counts, shares and the numbers of categories are never below it. Measured: all on one side, or a mean of three sds.
    Estimates with their errors are asked unless each is clear of it.
    """
    if of_rates(fit) or of_categories(fit):
        return True
    y = np.asarray(fit.y, dtype=float)
    if fit.family.known_residual and fit.family.groups.raw is not None:
        estimate, error = fit.family.groups.raw(fit.data)
        with np.errstate(divide="ignore", invalid="ignore"):
            clear = np.abs(estimate) > FAR_IN_ERRORS * error
        return bool(clear.all() and np.ptp(np.sign(estimate)) == 0)
    one_side = bool((y > 0).all() or (y < 0).all())
    return one_side or abs(float(np.mean(y))) > FAR_FROM_ZERO * float(np.std(y)) > 0
