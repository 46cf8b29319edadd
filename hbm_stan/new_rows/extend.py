"""A fitted table, its design and the effects of its levels, with new rows behind the fitted ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from hbm_stan.cells import kind, number
from hbm_stan.design import Columns, Design, Factor
from hbm_stan.encoding import IntArray, NewRows
from hbm_stan.families.terms.effects import terms_of
from hbm_stan.model import StanData
from hbm_stan.new_rows.read import Rows
from hbm_stan.new_rows.terms import encode_rows
from hbm_stan.table import FloatArray, Table


def joined(fitted: Table, new: Table, numbers: Collection[str], blanks: Collection[str] = ()) -> Table:
    """The columns of the fitted table with the cells of both; ``numbers`` are read as numbers, each by its file.

    Cells of ``blanks`` may be empty.
    """
    cells = tuple(_cells(fitted, name, numbers, blanks) + _cells(new, name, numbers, blanks) for name in fitted.names)
    where = f"{new.where}, with the rows that were fitted"
    return Table(where=where, names=fitted.names, cells=cells, categories=fitted.categories, ordered=fitted.ordered)


def _cells(table: Table, name: str, numbers: Collection[str], blanks: Collection[str]) -> list[Any]:
    if not name or name not in table.names:
        return [""] * table.n_rows
    if name in blanks:
        comma = table.decimal_comma
        return ["" if kind(cell) == "missing" else number(cell, comma) for cell in table.column(name)]
    return table.numbers(name).tolist() if name in numbers else list(table.column(name))


def extended_design(design: Design, rows: Rows) -> Design:
    """The design with new rows behind its own: coded and centred as these, their new levels behind the known ones."""
    new = encode_rows(design, rows)
    factors = {factor.name: _extended(factor, rows) for factor in design.factors}
    columns = np.split(new.Z, np.cumsum([len(term.names) for term in design.terms])[:-1], axis=1)
    terms = tuple(
        replace(term, factor=factors[term.factor.name], columns=np.vstack([term.columns, own]))
        for term, own in zip(design.terms, columns, strict=True)
    )
    return replace(
        design, X=np.vstack([design.X, new.X]), offset=np.concatenate([design.offset, new.offset]), terms=terms,
        beside=_beside(design, new),
    )  # fmt: skip


def _beside(design: Design, new: NewRows) -> dict[str, Columns]:
    return {name: replace(own, X=np.vstack([own.X, new.beside[name]])) for name, own in design.beside.items()}


def _extended(factor: Factor, rows: Rows) -> Factor:
    place = rows.places[factor.name]
    return replace(factor, labels=(*factor.labels, *place.new), level=np.concatenate([factor.level, place.level]))


def extended_sizes(data: StanData, design: Design) -> StanData:
    """The fitted data with the numbers of levels of the extended design."""
    sizes = np.array([len(term.factor.labels) for term in design.terms])
    return {**data, "J": len(design.pooled.labels), "L": sizes}


def extended_effects(effect: FloatArray, fitted: StanData, extended: StanData) -> FloatArray:
    """Effects of all levels, (S, M), those of new ones 0, from those of the fitted ones."""
    both = list(zip(terms_of(fitted), terms_of(extended), strict=True))
    wide = np.zeros((len(effect), max(own.effects.stop for _, own in both)))
    for before, own in both:
        size = before.effects.stop - before.effects.start
        wide[:, own.effects.start : own.effects.start + size] = effect[:, before.effects]
    return wide


def rows_from(design: Design, first: int) -> tuple[NewRows, IntArray]:
    """The rows of an extended design from ``first`` on, and their levels by term, (T, n), counted from 1."""
    beside = {name: own.X[first:] for name, own in design.beside.items()}
    new = NewRows(X=design.X[first:], Z=design.Z[first:], offset=design.offset[first:], beside=beside)
    return new, np.array([term.factor.level[first:] + 1 for term in design.terms])


def systematic(rng: np.random.Generator, weights: FloatArray, size: int) -> IntArray:
    """Places of ``size`` draws by normalised weights (S,): each as often as its weight says, to one more or less.

    Systematic resampling: Douc, Cappe & Moulines (2005), Proc. ISPA, section 3.
    """
    steps = (rng.uniform() + np.arange(size)) / size
    return np.minimum(np.searchsorted(np.cumsum(weights), steps), len(weights) - 1).astype(np.int64)
