"""What a posterior is conditional on, so that two machines agree on it: the table as read, and what the user fixed.

Cells count as they stand, to the last digit. Numbers that were computed from them (least-squares starts, logarithms,
standard errors made of limits) differ in their last bits between processors and builds of NumPy: they count to nine
digits.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hbm_stan.design import Design
from hbm_stan.formula import columns_read, computed
from hbm_stan.missingness import Missingness
from hbm_stan.model import Family, StanData
from hbm_stan.portions import VERY_MANY_ROWS
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior
from hbm_stan.program import Program
from hbm_stan.rounding import rounded_to_nine_digits, to_nine_digits

_SWITCHES = ("use_likelihood", "generate")


def stan_values(data: StanData) -> dict[str, Any]:
    """Stan data as plain numbers and lists, fractions to nine digits."""
    return {name: to_nine_digits(value) for name, value in data.items()}


def is_prior(name: str) -> bool:
    """Whether Stan data of this name are a prior's."""
    return name.startswith("prior_")


def data_in_order(family: Family, table: Prepared, data: StanData) -> dict[str, Any]:
    """What the draws of a fit are of, with its order of rows and groups: labels, and Stan data other than priors.

    Where a column has more than nine digits, or others are made of it by a formula, its cells stand beside.
    """
    units = {} if table.units is None else {"units": list(table.units.labels)}
    values = {name: _in_brief(value) for name, value in data.items() if not is_prior(name)}
    beside = _longer_cells(family, table) if table.design is None else _cells_as_read(family, table)
    longer = {f"{column} as read": _in_brief(cells, to_nine=False) for column, cells in beside.items()}
    terms = {} if table.design is None else {"terms": _terms_of(table.design), "levels": _levels_of(table.design)}
    return {"groups": list(table.pooled.labels), **units, **terms, **values, **longer}


def _in_brief(value: Any, *, to_nine: bool = True) -> Any:
    """A datum as plain numbers, fractions to nine digits; of very many numbers, how many they are and their hash."""
    if np.ndim(value) not in {1, 2} or len(value) <= VERY_MANY_ROWS:
        return to_nine_digits(value) if to_nine else value
    array = np.asarray(value)
    numbers = (rounded_to_nine_digits(array) if to_nine and array.dtype.kind == "f" else array).astype("<f8")
    shape = " x ".join(f"{size:,}" for size in array.shape)
    return f"{shape} numbers with the hash {hashlib.sha256(numbers.tobytes()).hexdigest()}"


def model_in_words(
    family: Family, variant: str, program: Program, priors: Mapping[str, Prior], data: StanData
) -> dict[str, Any]:
    """What the draws of a fit are by: its program and priors, and a user's own family.

    The same programs run under every prior, so all priors are data; those that this program does not read, and
    that its variant does not name, are left out: they change nothing here.
    """
    values = {name: value for name, value in data.items() if is_prior(name) and _reads(program, name)}
    return {
        "program": program.sha256,
        "priors": family.prior_texts(variant, priors),
        # Texts may leave out what prepare() makes of priors.
        "prior values": stan_values(values),
        **_own(family, data),
    }


def _reads(program: Program, name: str) -> bool:
    """Whether a program does anything with a datum but declare it; a mention in a comment counts, to be safe."""
    return len(re.findall(rf"\b{name}\b", program.code)) > 1


def _own(family: Family, data: StanData) -> dict[str, Any]:
    """Of a user's own family: how the draws are named, and its code where that draws what the program left out."""
    own, source = family.programs, family.source
    if not source:
        return {}
    names = {"dims": {k: list(v) for k, v in own.dims.items()}, "log_lik": own.log_lik, "y_rep": own.y_rep}
    return {"names": names, "family": source if data.get("generate") == 0 else ""}


def data_hash(family: Family, variant: str, table: Prepared, data: StanData) -> str:
    """The hash of what all posteriors are conditional on; the same on every machine.

    Of a family that comes along this is the table alone, its rows in any order: parameters bear labels, and Stan data
    are made of nothing else. A user's own family may fix numbers in its code, and count its parameters: there Stan data
    belong to it, without priors, switches and what chooses a parameterisation.
    """
    terms = {role: list(p.names) for role, p in table.predictors.items() if p.names}
    cells = list(_longer_cells(family, table).values())
    columns = [*_prepared_columns(table), *_columns_of_formula(table)]
    content: dict[str, Any] = {"terms": terms, "rows": _sorted(columns), "cells": _sorted(cells)}
    if table.design is not None:
        reference = {column: levels[0] for column, levels in table.categories.items()}
        content |= {"design": _terms_of(table.design), "reference": reference, "centre": table.dataset.reading.centre}
    if table.dataset.reading.neighbours is not None:
        content |= {"neighbours": sorted(sorted(pair) for pair in table.dataset.reading.neighbours.pairs)}
    if table.unseen is not None:
        content |= {"unseen": _unseen_rows(table), "missing": asdict(table.dataset.reading.missing or Missingness())}
    if table.dataset.reading.selection is not None:
        selection = table.dataset.reading.selection
        content |= {"selection": [to_nine_digits(selection.at), to_nine_digits(selection.chance)]}
    if table.samples is not None:
        own = table.samples
        labels = [table.pooled.labels[j] for j in own.event]
        content |= {"samples": _sorted([labels, to_nine_digits(own.value), to_nine_digits(own.density)])}
    if table.dataset.reading.integral is not None:
        content |= {"integral": table.dataset.reading.integral.text}
    likelihood = table.dataset.reading.likelihood
    if likelihood and not any(r.likelihoods[:1] == (likelihood,) for r in family.roles):  # the first is the default
        content |= {"likelihood": likelihood}
    if table.ordered:
        content |= {"ordered": {column: list(names) for column, names in table.ordered.items()}}
    if family.source:
        out = {*_SWITCHES, *family.variant(variant).settings}
        likelihood_data = {name: value for name, value in data.items() if not is_prior(name) and name not in out}
        content |= {"groups": list(table.pooled.labels), "data": stan_values(likelihood_data)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _prepared_columns(table: Prepared) -> list[list[Any]]:
    """The checked columns: group, unit, numbers by role and predictors; in the order of their names."""
    columns = [table.pooled.row_labels]
    if table.units is not None:
        columns.append([table.units.labels[u] for u in table.units.unit])
    columns += [to_nine_digits(table.values[role]) for role in sorted(table.values)]
    for role in sorted(table.predictors):
        columns += [to_nine_digits(column) for column in np.asarray(table.predictors[role].values).T]
    return columns


def _unseen_rows(table: Prepared) -> list[str]:
    """The group and the predictors of rows whose outcome is missing, sorted."""
    if table.unseen is None:
        return []
    columns: list[list[Any]] = [[table.pooled.labels[j] for j in table.unseen.level]]
    for role in sorted(table.unseen.predictors):
        columns += [to_nine_digits(column) for column in np.asarray(table.unseen.predictors[role]).T]
    return _sorted(columns)


def _terms_of(design: Design) -> dict[str, Any]:
    """The names of common columns, and the factor, the columns and the correlations of each term."""
    terms = [[t.factor.name, list(t.names), t.correlated] for t in design.terms]
    beside = {name: list(own.names) for name, own in design.beside.items()}
    return {"common": list(design.names), "varying": terms} | ({"beside": beside} if beside else {})


def _levels_of(design: Design) -> dict[str, list[str]]:
    return {factor.name: list(factor.labels) for factor in design.factors}


def _columns_of_formula(table: Prepared) -> list[list[Any]]:
    """What a formula reads of each row: the offset, levels of factors and of categories, and numbers as they stand.

    Columns that are made of these bear names that say how; numbers that were computed would differ in last bits.
    """
    design = table.design
    if design is None:
        return []
    columns = [to_nine_digits(design.offset), *(f.row_labels for f in design.factors)]
    for column in columns_read(table.dataset):
        if column in table.categories:
            columns.append(table.dataset.table.labels(column))
        else:
            columns.append(to_nine_digits(table.dataset.table.numbers(column)))
    return columns


def _columns_as_read(family: Family, table: Prepared) -> list[str]:
    """The columns of numbers in the table as it was read: those of roles and, of a formula, those it is made of."""
    dataset = table.dataset
    labels = {role.name for role in family.roles if role.kind in {"label", "unit"}}
    columns = [c for role in sorted(dataset.columns) if role not in labels for c in dataset.listed(role)]
    if table.design is None:
        return columns
    read = [c for c in columns_read(dataset, left=True) if c not in table.categories]
    return [*(c for c in columns if c not in computed(dataset)), *read]


def _cells_as_read(family: Family, table: Prepared) -> dict[str, list[float | None]]:
    """The cells of columns of numbers; None of those that are empty, where they may be."""
    dataset, numbers = table.dataset, dict[str, list[float | None]]()
    blanks = {c for role in family.roles if role.blank or role.may_be_missing for c in dataset.listed(role.name)}
    for column in dict.fromkeys(_columns_as_read(family, table)):
        given = dataset.table.numbers_or_nan(column).tolist()
        cells = [None if column in blanks and math.isnan(cell) else cell for cell in given]
        if all(cell is None or math.isfinite(cell) for cell in cells):
            numbers[column] = cells
    return numbers


def _longer_cells(family: Family, table: Prepared) -> dict[str, list[float | None]]:
    """The cells of those that have more than nine digits."""
    longer = []
    for column in _columns_as_read(family, table):
        known = table.dataset.table.numbers_or_nan(column)
        known = known[np.isfinite(known)]
        if not np.array_equal(rounded_to_nine_digits(known), known):
            longer.append(column)
    read = _cells_as_read(family, table) if longer else {}
    return {column: cells for column, cells in read.items() if column in longer}


def _sorted(columns: Sequence[Sequence[Any]]) -> list[str]:
    """The rows of these columns, sorted."""
    return sorted(json.dumps(row) for row in zip(*columns, strict=True))
