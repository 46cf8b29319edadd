"""Columns, factors and terms of a formula become Stan data; likelihoods differ in what a row's outcome is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hbm_stan.design import Design, Term
from hbm_stan.errors import ModelError
from hbm_stan.families.terms.blocks import blocks_of
from hbm_stan.integrate.structure import IntArray
from hbm_stan.model import StanData
from hbm_stan.prepare import Prepared
from hbm_stan.priors import FIXED, Prior, PriorRow, encode_scale
from hbm_stan.table import FloatArray

_ROUNDING = 1e-9  # a share of the largest value that is rounding error


@dataclass(frozen=True, kw_only=True)
class Names:
    """The labels of a design's parameters: ``beta`` by column, ``tau`` by column of the group's terms, ``sd`` by those
    of the others (``word: intercept``), ``shared`` the common columns that are none of the group's; pairs of columns
    of correlated terms in ``rho`` and ``rho_other``, and every coefficient of other terms in ``effect``."""

    beta: tuple[str, ...]
    tau: tuple[str, ...]
    sd: tuple[str, ...]
    shared: tuple[str, ...]
    rho: tuple[str, ...]
    rho_other: tuple[str, ...]
    effect: tuple[str, ...]


def design_of(table: Prepared) -> Design:
    """The design of a table that was prepared for a formula."""
    if table.design is None:
        raise ModelError(f"{table.dataset.table.where}: this family needs a formula: y ~ x + (1 | group).")
    return table.design


def names_of(design: Design) -> Names:
    """The labels of the parameters, in the order of the programs."""
    group, others = _split(design)
    own = {name for term in group for name in term.names}
    return Names(
        beta=design.names,
        tau=tuple(name for term in group for name in term.names),
        sd=tuple(f"{term.factor.name}: {name}" for term in others for name in term.names),
        shared=tuple(name for name in design.names if name not in own),
        rho=_pairs(group, of_factor=False),
        rho_other=_pairs(others, of_factor=True),
        effect=tuple(
            f"{term.factor.name}: {label}, {name}"
            for term in others for label in term.factor.labels for name in term.names
        ),
    )  # fmt: skip


def _split(design: Design) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    """The terms of the group, and the others."""
    n = design.n_group_terms
    return design.terms[:n], design.terms[n:]


def _pairs(terms: Sequence[Term], of_factor: bool) -> tuple[str, ...]:
    return tuple(
        f"{f'{term.factor.name}: ' if of_factor else ''}{term.names[m]}, {term.names[k]}"
        for term in terms if term.correlated for k in range(len(term.names)) for m in range(k)
    )  # fmt: skip


def structure(design: Design) -> StanData:
    """Columns, terms and levels, as every program of a formula reads them."""
    names, terms = names_of(design), design.terms
    n_tau = len(names.tau)
    return {
        "N": len(design.X), "P": len(names.beta), "T": len(terms), "G": design.n_group_terms,
        "J": len(design.pooled.labels), "KG": n_tau, "KO": len(names.sd), "R": len(names.rho),
        "RO": len(names.rho_other), "PS": len(names.shared), "offset_": design.offset, "X": design.X, "Z": design.Z,
        "K": np.array([len(term.names) for term in terms]),
        "L": np.array([len(term.factor.labels) for term in terms]),
        "level": np.array([term.factor.level + 1 for term in terms]),
        "correlated": np.array([int(term.correlated) for term in terms]),
        "own": design.own[:n_tau] + 1,
        "shared": np.array([design.names.index(name) + 1 for name in names.shared], dtype=np.int64),
    }  # fmt: skip


def inside_groups(design: Design) -> FloatArray:
    """What the shared columns are in terms of the columns of the group's terms, by column of these and group,
    (KG J, PS): their weights where in every group the one is a sum of the others (a column of the groups is a multiple
    of the intercept), else 0."""
    names, group = names_of(design), design.pooled.level
    x = design.X[:, [design.names.index(name) for name in names.shared]]
    z = design.Z[:, : len(names.tau)]
    sizes = (len(design.pooled.labels), z.shape[1])
    products, sums = np.zeros((*sizes, z.shape[1])), np.zeros((*sizes, x.shape[1]))
    np.add.at(products, group, z[:, :, None] * z[:, None, :])
    np.add.at(sums, group, z[:, :, None] * x[:, None, :])
    weights = np.linalg.pinv(products, rcond=_ROUNDING, hermitian=True) @ sums
    rest = np.abs(x - np.einsum("nk,nkp->np", z, weights[group])).max(axis=0)
    weights[:, :, rest > _ROUNDING * np.abs(x).max(axis=0)] = 0.0
    return np.swapaxes(weights, 0, 1).reshape(sizes[0] * sizes[1], x.shape[1])


def prior_data(design: Design, priors: Mapping[str, Prior]) -> StanData:
    """The priors of the structure, by column."""
    names = names_of(design)
    data: StanData = {"prior_rho": priors["rho"].arguments[0] if "rho" in priors else 1.0}
    for row, columns in (("beta", names.beta), ("theta", names.tau)):
        arguments = [priors[f"{row}[{column}]"].arguments for column in columns]
        data[f"prior_{row}"] = np.array(arguments, dtype=float).reshape(len(columns), 2)
    for row, columns in (("tau", names.tau), ("sd", names.sd)):
        encoded = [encode_scale(priors[f"{row}[{column}]"]) for column in columns]
        data[f"prior_{row}_family"] = np.array([code for code, _ in encoded], dtype=np.int64)
        data[f"prior_{row}"] = np.array([scale for _, scale in encoded], dtype=float).reshape(len(columns), 2)
    return data


def marginal_data(table: Prepared, priors: Mapping[str, Prior], y: FloatArray, se: FloatArray) -> StanData:
    """What programs need that integrate coefficients out; rows weigh as their standard errors say."""
    design = design_of(table)
    blocks = blocks_of(design, table.dataset.table.where)
    start = np.linalg.lstsq(design.X / se[:, None], (y - design.offset) / se, rcond=None)[0]
    return {
        **structure(design), **prior_data(design, priors), "y": y, "start": start,
        "B": blocks.local_term.shape[0], "V": blocks.local_term.shape[1], "C": blocks.n_crossed,
        "block_idx": blocks.block + 1, "crossed": blocks.crossed, "place": blocks.place + 1,
        "local_term": blocks.local_term + 1,
    }  # fmt: skip


def summed_cells(table: Prepared, priors: Mapping[str, Prior], size: str) -> StanData:
    """What programs need that sample coefficients, where a likelihood knows only sums over rows with equal columns and
    levels, a cell: of outcomes, and of ``size``, the role and the datum of what they come from."""
    data, cell = cells(table, priors)
    return {**data, "cell_y": sum_of_cells(table["outcome"], cell), f"cell_{size}": sum_of_cells(table[size], cell)}


def weighted_cells(table: Prepared, priors: Mapping[str, Prior], y: FloatArray, weight: FloatArray) -> StanData:
    """What programs of normal rows need that sample the coefficients of other factors than the group: of each cell the
    weights of its rows and the weighted mean of y, squares about these, and the last cell of each group."""
    data, cell = cells(table, priors)
    total = sum_of_cells(weight, cell)
    mean = sum_of_cells(weight * y, cell) / total
    group = design_of(table).pooled.level[data["cell_row"] - 1]  # cells are sorted by it first
    return {
        **data, "cell_weight": total, "cell_mean": mean, "squares": float(np.sum(weight * (y - mean[cell]) ** 2)),
        "last_cell": np.cumsum(np.bincount(group)),
    }  # fmt: skip


def counted_cells(table: Prepared, priors: Mapping[str, Prior], *equal: FloatArray) -> tuple[StanData, IntArray]:
    """``cells``, with how many rows each of them stands for."""
    data, cell = cells(table, priors, *equal)
    return {**data, "cell_rows": np.bincount(cell).astype(float)}, cell


def sum_of_cells(values: FloatArray, cell: IntArray) -> FloatArray:
    """Sums of values (N,) by cell, (NC,)."""
    return np.bincount(cell, weights=np.asarray(values, dtype=float))


def cells(table: Prepared, priors: Mapping[str, Prior], *equal: FloatArray) -> tuple[StanData, IntArray]:
    """The structure with its cells, rows alike in columns, levels and ``equal`` (N,); and the cell of each row."""
    design = design_of(table)
    levels = [term.factor.level for term in design.terms]
    same = np.column_stack([*levels, design.X, design.Z, design.offset, *equal])
    _, row, cell = np.unique(same, axis=0, return_index=True, return_inverse=True)
    data: StanData = {
        **structure(design), **prior_data(design, priors), "M": sum(term.size for term in _split(design)[1]),
        "other_own": design.own[len(names_of(design).tau) :] + 1, "inside": inside_groups(design),
        "centered": np.zeros(len(design.terms), dtype=np.int64), "NC": len(row), "cell_row": row + 1,
        "place": _places(design, row) + 1,
    }  # fmt: skip
    return data, cell.ravel()


def _places(design: Design, rows: IntArray) -> IntArray:
    """Where coefficients stand among those of all terms, term by term, level by level, column fastest: by column of the
    terms and row, (KG + KO, rows)."""
    places, first = [], 0
    for term in design.terms:
        width = len(term.names)
        places.append(first + width * term.factor.level[rows] + np.arange(width)[:, None])
        first += width * len(term.factor.labels)
    return np.concatenate(places)


def own_prior_data(rows: Sequence[PriorRow], priors: Mapping[str, Prior]) -> StanData:
    """The priors of a likelihood's own parameters."""
    data: StanData = {}
    for row in rows:
        data[f"prior_{row.name}_family"], data[f"prior_{row.name}"] = encode_scale(priors[row.name])
        if row.may_be_fixed:
            data[f"{row.name}_free"] = int(priors[row.name].distribution != FIXED)
    return data
