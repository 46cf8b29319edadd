"""Whether fits can be compared at all, and what must be said beside their comparison."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from hbm_stan.densities import Unit, unit_labels
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import QUADRATURE_MATTERS, LeftOut
from hbm_stan.scores import Route, plain

# Names of columns that order rows in time: leaving one row out then lets the future predict the past.
_TIME = re.compile(r"(^|_)(time|date|day|days|week|month|year|hour|wave|visit|session)s?($|_)", re.IGNORECASE)


def notes_beside(fits: Mapping[str, Fit], left_out: Mapping[str, LeftOut | None], unit: Unit) -> list[str]:
    """What must be said beside the verdict."""
    notes = []
    for name, fit in fits.items():
        own, noun = left_out[name], fit.table.noun
        if own is None:
            notes.append(
                f"{plain(name).capitalize()} has no score for a new {noun.one}: it says nothing of one but its prior, "
                "and the family gives no prior_group_log_lik, or cannot compute it well under these priors."
            )
        elif own.route is Route.NEEDS_REFITS:
            notes.append(
                f"{plain(name).capitalize()}: one of the {noun.many} can only be left out by fitting again without it, "
                f"for the family gives no group_log_lik{_offer(fit)}"
            )
        notes += [] if own is None else _doubtful(name, fit, own)
        if own is not None and own.quadrature is not None and own.rough:
            known = f"twice the nodes of the integrals over {noun.many} move elpd by {own.quadrature:.2f}"
            words = f"the error of the integrals over {noun.many} is not known" if math.isnan(own.quadrature) else known
            notes.append(f"{plain(name).capitalize()}: {words}; above {QUADRATURE_MATTERS} it would matter.")
    draws = sorted({fit.n_draws for fit in fits.values()})
    if len(draws) > 1:
        notes.append(
            f"The fits have different numbers of draws ({', '.join(f'{d:,}' for d in draws)}): the limit of Pareto k "
            "is that of each fit."
        )
    first = next(iter(fits.values()))
    timed = [c for c in _predictor_columns(first) if _TIME.search(c)]
    if unit == "observation" and timed and not first.table.one_row_per_group:
        notes.append(
            f"Rows seem to be ordered in time ({timed[0]}): leaving one row out lets later rows predict earlier ones. "
            "For a forecast, leave out the last rows instead."
        )
    return notes


def _predictor_columns(fit: Fit) -> list[str]:
    dataset = fit.table.dataset
    return [c for role in fit.table.predictors for c in dataset.listed(role)]


def _doubtful(name: str, fit: Fit, own: LeftOut) -> list[str]:
    """Refits whose score is a mean that few draws carry: exact refits can be off too (Paananen et al. 2021)."""
    labels = unit_labels(fit, own.unit)
    high = {labels[i]: r for i, r in own.repairs.items() if not r.pareto_k_after < own.k_threshold}
    if not high:
        return []
    each = ", ".join(f"{label} ({r.pareto_k_after:.2f}, Monte Carlo error {r.mcse:.2f})" for label, r in high.items())
    return [f"{plain(name).capitalize()}: the refit's own Pareto k is high without {each}: its error may be larger."]


def _offer(fit: Fit) -> str:
    """What scores of new groups by refits would cost, where the family could give them."""
    missing = fit.family.missing(("new_group", "pointwise"))
    if missing:
        unseen = f"a fit that has not seen the {fit.table.noun.one}"
        return f"; nor can it score {unseen}, having no {' and no '.join(missing)}."
    groups = fit.table.n_groups
    return f": {groups} fits of about {fit.seconds:.1f} s. Ask for them with --target group --max-refits {groups}."


def refuse_different_data(fits: Sequence[Fit]) -> None:
    """Raise ComparisonError for fits of different groups, row order, outcomes or values."""
    first = fits[0]
    for other in fits[1:]:
        difference = _groups_differ(first, other) or _outcomes_differ(first, other) or _values_differ(first, other)
        if difference:
            raise ComparisonError(f"{first.variant} and {other.variant} were fitted to different {difference}")


def _groups_differ(a: Fit, b: Fit) -> str:
    one, other = a.table.pooled, b.table.pooled
    if one.labels == other.labels and np.array_equal(one.level, other.level):
        return ""
    if one.row_labels == other.row_labels:
        return ""
    if sorted(a.table.pooled.labels) == sorted(b.table.pooled.labels):
        return "row order: the same groups stand in another order. Fit both to the same table."
    return f"data: {a.table.n_groups} and {b.table.n_groups} groups, not the same ones."


def _outcomes_differ(a: Fit, b: Fit) -> str:
    columns = tuple(f.table.dataset.column(f.family.outcome(f.table)) for f in (a, b))
    if columns[0] == columns[1] or np.array_equal(a.y, b.y):
        return ""
    return (
        f"outcome scales: the outcome is {columns[0]!r} in one and {columns[1]!r} in the other. "
        "If one is a transform of the other, add its log Jacobian, or refit."
    )


def _values_differ(a: Fit, b: Fit) -> str:
    for role, values in a.table.values.items():
        if role not in b.table.values:  # a family that reads other columns too; the outcome was compared before
            continue
        i = next(iter(np.flatnonzero(values != b.table.values[role])), None)
        if i is not None:
            label = a.table.pooled.labels[int(a.table.pooled.level[i])]
            return (
                f"data: the {role.replace('_', ' ')} of group {label!r} is {values[i]:g} in one "
                f"and {b.table.values[role][i]:g} in the other."
            )
    return ""
