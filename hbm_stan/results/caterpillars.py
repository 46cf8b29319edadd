"""How far the levels of other factors than the group lie from their mean, of those that the analysis asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hbm_stan.families.terms.effects import effects_of, terms_of
from hbm_stan.fit import Fit
from hbm_stan.mixing import WITH_QUARTILES
from hbm_stan.results.entry import Entry
from hbm_stan.results.meanings import levels_words
from hbm_stan.results.summary import Quartiles


@dataclass(frozen=True, kw_only=True)
class _OfLevel(Entry):
    group: str


@dataclass(frozen=True, kw_only=True)
class Deviation(Quartiles, _OfLevel):
    """How far a level lies from the mean of its population, in the unit of the linear predictor."""


@dataclass(frozen=True, kw_only=True)
class Caterpillar(Entry):
    """An entry of ``caterpillars``: the levels of a factor in a column that varies between them.

    ``many`` is what the levels are called.
    """

    factor: str
    column: str
    many: str
    rows: list[Deviation]


def caterpillars_of(fit: Fit, factors: Sequence[str]) -> list[Caterpillar]:
    """The deviations of the levels of these factors: an entry for each column that varies between them."""
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
                Deviation(group=label, **dict(zip(WITH_QUARTILES, quantiles[:, level, k], strict=True)))
                for level, label in enumerate(own.factor.labels)
            ]
            many = levels_words(own.factor.name, design, fit.table.noun)
            caterpillars.append(Caterpillar(factor=own.factor.name, column=column, many=many, rows=rows))
    return caterpillars
