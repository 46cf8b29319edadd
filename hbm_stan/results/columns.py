"""The columns of the table that a fit reads."""

from __future__ import annotations

from hbm_stan.encoding import Part
from hbm_stan.fit import Fit
from hbm_stan.formula import columns_read


def columns_of(fit: Fit) -> list[tuple[str, str]]:
    """The role and the name of each column that is read; beside roles a formula has factors and columns."""
    dataset, design = fit.table.dataset, fit.table.design
    named = [(role.name, column) for role in fit.family.roles for column in dataset.listed(role.name)]
    if design is None:
        return named
    factors = [name for factor in design.factors for name in (factor.name, *factor.columns)]
    more = [*(("factor", name) for name in factors), *(("column", name) for name in columns_read(dataset))]
    for role, name in more:
        if name in dataset.table.names and name not in [column for _, column in named]:
            named.append((role, name))
    return named


def numbers_of_formula(fit: Fit) -> list[str]:
    """The columns that a formula reads as numbers."""
    design = fit.table.design
    return (
        [] if design is None else [c for c in getattr(design.encode, "means", {}) if c in fit.table.dataset.table.names]
    )


def parts_of(fit: Fit, name: str) -> tuple[Part, ...]:
    """What the column of a coefficient is made of, by the name of the coefficient's term."""
    if fit.table.design is not None:
        return fit.table.design.encode.parts_of(name)
    column_levels = [
        (c, level) for own in fit.table.predictors.values() for c in own.levels for level in own.levels[c][1:]
    ]
    levels = {f"{column}={level}": Part(f"{column}={level}", column, level) for column, level in column_levels}
    return (levels.get(name, Part(name, name)),)
