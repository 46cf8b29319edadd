"""The section on the levels of other factors than the group: a caterpillar for each that the analysis asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hbm_stan.elements import term_words
from hbm_stan.families.terms.effects import effects_of, terms_of
from hbm_stan.fit import Fit
from hbm_stan.mixing import WITH_QUARTILES
from hbm_stan.report.blocks import Block, Span, capital, figure, heading, prose, ref
from hbm_stan.report.meanings import levels_words
from hbm_stan.report.terms import unit_of_term


def caterpillars_of(fit: Fit, factors: Sequence[str]) -> list[dict[str, Any]]:
    """The deviations of the levels of these factors for JSON: an entry for each column that varies between them."""
    design = fit.table.design
    if design is None or not factors:
        return []
    draws = fit.draws("effect")
    caterpillars = []
    for own, term in zip(design.terms, terms_of(fit.data), strict=True):
        if term.pooled or own.factor.name not in factors:
            continue
        quantiles = np.quantile(effects_of(term, draws), list(WITH_QUARTILES.values()), axis=0)  # (5, L, K)
        for k, column in enumerate(own.names):
            rows = [
                {"group": label, **dict(zip(WITH_QUARTILES, quantiles[:, level, k], strict=True))}
                for level, label in enumerate(own.factor.labels)
            ]
            many = levels_words(own.factor.name, design, fit.table.noun)
            caterpillars.append({"factor": own.factor.name, "column": column, "many": many, "rows": rows})
    return caterpillars


def figure_name(k: int) -> str:
    """The name of the figure of the k-th entry."""
    return f"caterpillar_{k}"


def axis_of(entry: Mapping[str, Any], unit: str) -> tuple[str, str]:
    """What the axis of a caterpillar shows, and its unit."""
    return f"deviation of the {term_words(entry['column'])}", unit_of_term(entry["column"], unit)


def section(results: dict[str, Any], figures: Iterable[str]) -> list[Block]:
    """How far each level lies from the mean of its population."""
    caterpillars = results["caterpillars"]
    if not caterpillars:
        return []
    intro: list[Span] = ["How far the levels of a factor lie from the mean of their population"]
    shown = [figure_name(k) for k in range(len(caterpillars)) if figure_name(k) in figures]
    for k, name in enumerate(shown):
        intro += [", " if k else " (", ref(name)]
    intro.append(f"{')' * bool(shown)}: each is drawn towards it, the more the less its rows say.")
    blocks = [heading("Levels of other factors"), prose(*intro)]
    for k, entry in enumerate(caterpillars):
        what = f"{capital(term_words(entry['column']))}: deviations of the {len(entry['rows'])} {entry['many']}"
        caption = f"{what}, medians; bars hold 50 % and 90 % of the posterior."
        blocks += figure(figure_name(k), figures, [caption], f"{what}, with their intervals.")
    return blocks
