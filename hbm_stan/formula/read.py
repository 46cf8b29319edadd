"""A formula and a table become a design, with what was decided on the way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.data import Dataset
from hbm_stan.design import Columns, Design, Factor, Term, make_design, make_factor, nested
from hbm_stan.errors import DataError
from hbm_stan.formula import checks
from hbm_stan.formula.coding import Coded, Coding, Levels, NewRow, code, learn_of, numbers_of, refuse_unknown
from hbm_stan.formula.expression import Node, columns_of
from hbm_stan.formula.parse import Bar, Formula, Sum, parse, parse_columns
from hbm_stan.formula.scopes import scopes_of
from hbm_stan.levels import check_levels
from hbm_stan.predictors import INTERCEPT, refuse_named_levels
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What a formula makes of a table: the design, the levels of its categories, notes and warnings."""

    formula: Formula
    design: Design
    levels: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    verdicts: tuple[Verdict, ...]


def read_structure(
    dataset: Dataset, own: Sequence[str] = (), ordered: Collection[str] = (), *, known_residual: bool
) -> Structure:
    """The structure that the formula of a dataset gives its table; raises ModelError or DataError before sampling.

    ``own`` are parameters of the likelihood with a formula of their own: a constant where none is given. ``ordered``
    are columns of outcomes of ordered categories: thresholds between these stand in the intercept's place.
    """
    formula = parse(dataset.reading.formula)
    where, n = dataset.table.where, dataset.table.n_rows
    checks.refuse_beside(where, dataset.reading.beside, own)
    factors = _factors(dataset, formula, known_residual)
    values: dict[str, npt.NDArray[Any]] = {}
    coded: dict[tuple[type, str], Coded] = {}
    common = _coding(dataset, with_intercept(formula.common) if ordered else formula.common, values, coded)
    checks.refuse_empty_cells(where, common.atoms, common.scopes, values)
    columns = common.columns(values, n)
    checks.refuse_columns(where, columns, n)
    apart = INTERCEPT in columns
    codings = [_coding(dataset, bar.columns, values, coded, bar=bar, apart=apart) for bar in formula.bars]
    beside = {p: _coding(dataset, parse_columns(dataset.reading.beside.get(p, "~ 1")), values, coded) for p in own}
    offsets = [_offset(dataset, node, values) for node in formula.offsets]
    terms = [
        term
        for bar, coding in zip(formula.bars, codings, strict=True)
        for term in _terms(dataset, bar, coding, factors, values)
    ]
    every = (common, *codings, *beside.values())
    categories = {atom.column: atom for c in every for atom in c.atoms if isinstance(atom, Levels)}
    levels = {column: atom.levels for column, atom in categories.items()}
    refuse_named_levels(dataset, [*levels, *ordered], "category of the formula")
    encode = _encode(every, [node for node, _ in offsets], levels, values)
    design = make_design(
        columns, terms, group=dataset.column("group") or formula.factors[0], centre=dataset.reading.centre,
        encode=encode, offset=np.sum([x for _, x in offsets], axis=0) if offsets else None,
    )  # fmt: skip
    own_columns = {p: _own_columns(where, coding, values, n) for p, coding in beside.items()}
    centred = {p: Columns.of(c, n, dataset.reading.centre) for p, c in own_columns.items()}
    design = replace(design.without_intercept() if ordered else design, beside=centred)
    return Structure(
        formula=formula, design=design, levels=levels,
        notes=tuple(f"{c}: levels are compared with {atom.levels[0]!r}, {atom.why}." for c, atom in categories.items())
        + tuple(checks.relations(list(factors.values()))),
        verdicts=tuple(_verdicts(every, design, values, factors, levels)),
    )  # fmt: skip


def _encode(
    codings: tuple[Coding, ...], offsets: Sequence[Node], levels: Mapping[str, tuple[str, ...]],
    values: Mapping[str, npt.NDArray[Any]],
) -> NewRow:  # fmt: skip
    """What gives the columns of a new row, and says what each column is made of."""
    parts = {name: own for coding in codings for name, own in coding.parts(values).items()}
    return NewRow(codings=codings, offsets=tuple(offsets), levels=levels, means=_means(values), parts=parts)


def _factors(dataset: Dataset, formula: Formula, known_residual: bool) -> dict[str, Factor]:
    """The grouping factors by name; raises DataError for those that cannot be told from rows or from each other."""
    factors = {name: read_factor(dataset, name, formula) for name in formula.factors}
    for factor in factors.values():
        checks.refuse_levels(dataset.table.where, factor, known_residual)
    checks.refuse_same_factors(dataset.table.where, list(factors.values()))
    return factors


def with_intercept(terms: Sum) -> Sum:
    """The same sum with an intercept, whether it says 0 + or not."""
    return replace(terms, text=f"{terms.text} + 1" if terms.text else "1")


def read_factor(dataset: Dataset, name: str, formula: Formula) -> Factor:
    """The factor of that name: a column of labels, or ``a:b`` within each other."""
    parts = next(parts for bar in formula.bars for parts in bar.factors if ":".join(parts) == name)
    for column in parts:
        refuse_unknown(dataset, column)
    factor = make_factor(parts[0], dataset.table.labels(parts[0]))
    for column in parts[1:]:
        factor = nested(factor, make_factor(column, dataset.table.labels(column)))
    return factor


def left_values(dataset: Dataset, node: Node) -> FloatArray:
    """The numbers of an expression of the left side (N,)."""
    values = {column: numbers_of(dataset, column) for column in columns_of(node)}
    return np.asarray(learn_of(dataset, node, values).values(values), dtype=float)


def _coding(
    dataset: Dataset,
    terms: Sum,
    values: dict[str, npt.NDArray[Any]],
    coded: dict[tuple[type, str], Coded],
    *,
    bar: Bar | None = None,
    apart: bool = False,
) -> Coding:
    """How a sum becomes columns; what it reads is added to ``values``, its atoms to ``coded``: each is read once."""
    for atom in terms.atoms:
        if (type(atom), str(atom)) not in coded:
            coded[type(atom), str(atom)] = code(dataset, atom, values)
    atoms = tuple(coded[type(atom), str(atom)] for atom in terms.atoms)
    scopes = scopes_of(terms, [isinstance(atom, Levels) for atom in atoms])
    if bar is not None and not scopes:
        raise DataError(f"Formula: nothing varies in {bar.text}. For an intercept that varies write (1 | group).")
    return Coding(atoms, tuple(scopes), apart)


def _own_columns(where: str, coding: Coding, values: Mapping[str, npt.NDArray[Any]], n: int) -> dict[str, FloatArray]:
    """The columns of an own parameter of the likelihood, refused as those of the formula are."""
    checks.refuse_empty_cells(where, coding.atoms, coding.scopes, values)
    columns = coding.columns(values, n)
    checks.refuse_columns(where, columns, n)
    return columns


def _terms(
    dataset: Dataset, bar: Bar, coding: Coding, factors: Mapping[str, Factor], values: Mapping[str, npt.NDArray[Any]]
) -> list[Term]:
    """The terms of a bar: one for each of its factors or, without correlations, one for each column too."""
    where = dataset.table.where
    checks.refuse_empty_cells(where, coding.atoms, coding.scopes, values)
    columns = coding.columns(values, dataset.table.n_rows)
    together = [tuple(columns)] if bar.correlated else [(name,) for name in columns]
    terms = [
        Term(factors[":".join(parts)], names, np.column_stack([columns[name] for name in names]), bar.correlated)
        for parts in bar.factors
        for names in together
    ]
    for term in terms:
        checks.refuse_empty_columns(where, term)
    return terms


def _offset(dataset: Dataset, node: Node, values: dict[str, npt.NDArray[Any]]) -> tuple[Node, FloatArray]:
    for column in columns_of(node):
        if column not in values:
            values[column] = numbers_of(dataset, column)
    learnt = learn_of(dataset, node, values)
    return learnt, np.asarray(learnt.values(values), dtype=float)


def _means(values: Mapping[str, npt.NDArray[Any]]) -> dict[str, float]:
    """Where a new row stands: at the mean of each number, and at 0 of one that is 0 or 1 (nobody is half a machine)."""
    numbers = {column: x for column, x in values.items() if x.dtype.kind == "f"}
    return {column: 0.0 if np.isin(x, (0, 1)).all() else float(np.mean(x)) for column, x in numbers.items()}


def _verdicts(
    codings: Sequence[Coding],
    design: Design,
    values: Mapping[str, npt.NDArray[Any]],
    factors: Mapping[str, Factor],
    levels: Mapping[str, tuple[str, ...]],
) -> list[Verdict]:
    atoms: list[Coded] = [atom for coding in codings for atom in coding.atoms]
    return [
        *(v for column, named in levels.items() for v in check_levels(column, named)),
        *checks.check_few_values(atoms, values, list(factors)),
        *checks.check_slopes(design),
        *checks.check_common_groups(codings[0].atoms, design),
    ]
