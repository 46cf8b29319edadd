"""Families of counts with extra zeros: cells of rows of 0 and of others, priors of the share, what a table must have
for the share to be learnt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hbm_stan.design import Design
from hbm_stan.errors import DataError
from hbm_stan.families.terms.data import cells, design_of, sum_of_cells
from hbm_stan.families.terms.family import Parts, family_of
from hbm_stan.families.terms.own_columns import column_coords, column_data
from hbm_stan.families.terms.priors import Scale, scale_of_counts
from hbm_stan.integrate.structure import IntArray
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.likelihoods.zero_inflated import ZI
from hbm_stan.model import Family, StanData
from hbm_stan.predictors import INTERCEPT
from hbm_stan.prepare import Prepared
from hbm_stan.priors import Prior, two_digits
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

# Priors of log odds: of the intercept, and for one sd of a column (ours).
_MIDDLE, _WIDE, _SLOPE = -1.0, 1.5, 1.5
# Priors for the shipped examples, on the scale of what is measured there.
_CALIBRATION = {
    "beta": "normal(0, 0.5)", "beta[intercept]": "normal(0.5, 0.5)", "tau": "half_normal(0.5)",
    "zi": "normal(-0.5, 0.7)", "theta": "normal(0.5, 0.8)",
}  # fmt: skip


def family_with_zeros(
    given: Likelihood, own_priors: Callable[[Scale], dict[str, Prior]] = lambda _scale: {}, **calibration: str
) -> Family:
    """The family of a likelihood with extra zeros; its counts may have parameters of their own, with priors."""
    parts = Parts(
        outcome=zero_cells,
        scale=scale_of_counts,
        own_priors=own_priors,
        column_priors=zi_priors,
        coords=column_coords,
        check_table=check_zeros,
        calibration={**_CALIBRATION, **calibration},
    )
    return family_of(given, parts)


def zero_cells(table: Prepared, priors: Mapping[str, Prior]) -> StanData:
    """The Stan data of counts: rows alike in exposure and columns of the share too are one cell, in which rows of 0 and
    others are counted apart. Listed are the cells with rows of 0, and the distinct rows of the share's columns, of rows
    of 0 and of others: programs take logarithms of no more."""
    y, exposure = table["outcome"], np.asarray(table["exposure"], dtype=float)
    columns = design_of(table).beside[ZI].X
    data, cell = cells(table, priors, exposure, *columns.T)
    zero_rows = np.bincount(cell, weights=y == 0)
    zero_cell = np.flatnonzero(zero_rows)
    share_row, zero_share = _shares(columns, data["cell_row"][zero_cell] - 1)
    other_row, other_share = _shares(columns, np.flatnonzero(y > 0))
    return {
        **data, **column_data(table, priors), "y": y.astype(np.int64), "exposure": exposure,
        "cell_y": sum_of_cells(y, cell), "cell_others": np.bincount(cell, weights=y > 0),
        "NZ": len(zero_cell), "zero_cell": zero_cell + 1, "zero_rows": zero_rows[zero_cell],
        "NS": len(share_row), "share_row": share_row + 1, "zero_share": zero_share + 1,
        "NO": len(other_row), "other_row": other_row + 1, "other_rows": np.bincount(other_share).astype(float),
    }  # fmt: skip


def _shares(columns: FloatArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Of rows with distinct columns the first each, and which of these each row equals."""
    _, first, share = np.unique(columns[rows], axis=0, return_index=True, return_inverse=True)
    return rows[first], share.ravel()


def zi_priors(design: Design) -> dict[str, Prior]:
    """Of the intercept's and of each column's log odds of an extra zero."""
    columns, priors = design.beside[ZI], {}
    for name, column in zip(columns.names, columns.X.T, strict=True):
        label = f"{ZI}[{name}]"
        if name == INTERCEPT:
            reason = (
                "weak: an extra zero has probability 0.02 to 0.87 (95 %), 0.27 in the middle, at the means of columns"
            )
            priors[label] = Prior(
                name=label, distribution="normal", arguments=(_MIDDLE, _WIDE), reason=reason, default=True
            )
            continue
        sd = float(np.std(column)) or float(np.abs(column).max()) or 1.0
        reason = (
            f"centred on no effect; odds that differ by a factor of 4.5 are ordinary, for one sd of {name} ({sd:.3g})"
        )
        priors[label] = Prior(
            name=label, distribution="normal", arguments=(0.0, two_digits(_SLOPE / sd)), reason=reason, default=True
        )
    return priors


def check_zeros(table: Prepared) -> Sequence[Verdict]:
    """Raise DataError for counts from which a share of extra zeros cannot be learnt."""
    y, where = table["outcome"], table.dataset.table.where
    column = table.dataset.column("outcome")
    if not y.any():
        raise DataError(
            f"{where}, column {column!r}: every count is 0, so that nothing tells an extra zero from a count of 0. "
            "Take likelihood poisson, which says how low the rate must be."
        )
    if y.all():
        raise DataError(
            f"{where}, column {column!r}: no count is 0 (the least is {y.min():g}), so that a share of extra zeros "
            "cannot be learnt. Take likelihood poisson or negative_binomial; were rows of 0 left out of the table?"
        )
    return ()
