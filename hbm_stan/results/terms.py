"""Words for the terms of a group quantity, and which of them differ between groups in the main variant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hbm_stan.elements import term_of
from hbm_stan.predictors import INTERCEPT
from hbm_stan.results.shrunken import ShrinkageRow

_SAME = 1e-9  # relative: two summaries of the same draws


def unit_of_term(term: str, unit: str) -> str:
    """The unit of a term: the outcome's for a single quantity and for an intercept, else that for each unit of it."""
    if not unit or not term or term == INTERCEPT:
        return unit
    return f"{unit} per unit of {term}"


def short_unit(term: str, unit: str) -> str:
    """The unit of a coefficient where its column is named beside it; empty where there is no shorter one."""
    return "" if not unit or not term or term == INTERCEPT else f"{unit} per unit"


def unit_of_terms(unit: str, terms: bool) -> str:
    """The unit of a table that holds an intercept and coefficients."""
    return f"{unit}; coefficients per unit of their predictor" if unit.strip() and terms else unit


def varying(quantities: Sequence[Mapping[str, Any]], parameters: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The predicted quantities that are not just a parameter of the population again.

    A coefficient that all groups share is the same in a new group: its mean and sd are those of a parameter.
    """
    known = [(p["mean"], p["sd"]) for p in parameters]
    return [dict(q) for q in quantities if not any(_equal(q["mean"], m) and _equal(q["sd"], s) for m, s in known)]


def new_quantities(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The quantities of a new group that are worth showing; a single one always is."""
    quantities = (results["new_group"] or {}).get("quantities", [])
    fitted = results["fits"].get(results["main_variant"], {}).get("parameters", {})
    shared = [fitted[n] for n in results["population"] if n in fitted and term_of(n)]
    return varying(quantities, shared)


def shared_terms(rows: Sequence[ShrinkageRow]) -> list[str]:
    """The terms of the shrinkage table whose pooled value is the same in all groups."""
    by_term: dict[str, list[ShrinkageRow]] = {}
    for row in rows:
        by_term.setdefault(row.term, []).append(row)
    return [t for t, own in by_term.items() if t and len(own) > 1 and all(_alike(own[0], r) for r in own[1:])]


def varying_terms(rows: Sequence[ShrinkageRow]) -> list[str]:
    """The terms that differ between groups in the main variant, in their order."""
    shared = shared_terms(rows)
    known = [r.term for r in rows if math.isfinite(r.partial_pooling) or math.isfinite(r.no_pooling)]
    return [term for term in dict.fromkeys(known) if term not in shared]


def _alike(one: ShrinkageRow, other: ShrinkageRow) -> bool:
    return _equal(one.partial_pooling, other.partial_pooling) and _equal(one.sd, other.sd)


def _equal(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return False
    return math.isfinite(one) and math.isclose(one, other, rel_tol=_SAME, abs_tol=0.0)
