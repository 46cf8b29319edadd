"""What is scored when a unit is left out: its log density given the parameters, by the best form that a family has.

One function serves PSIS, which evaluates it at the draws of the whole fit, and refits, whose draws have not seen it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.integrate.structure import sum_by
from hbm_stan.model import Draws, StanData
from hbm_stan.portions import portions
from hbm_stan.psis import Columns
from hbm_stan.resources import cores
from hbm_stan.scores import Route
from hbm_stan.scratch import give_back, room
from hbm_stan.table import FloatArray
from hbm_stan.tree import posterior_draws

Unit = Literal["observation", "group"]
# Log densities that are averaged at once (ours).
_AVERAGED = 2**20


@dataclass(frozen=True)
class Density:
    """``of(draws, data)`` is the log density of each unit, (S, U); None where only the program gives it.

    ``own`` says that it takes the parameters of the unit's own group, so that draws must have them.
    """

    of: Callable[[Draws, StanData], FloatArray] | None
    route: Route
    own: bool


@dataclass(frozen=True)
class OfRows:
    """A log density of rows, (S, N), that can be had of some rows alone: see ``Twin.some_rows``.

    ``settled(draws, data)`` are the draws with what it takes of all rows, worked out once for all blocks of them.
    """

    of: Callable[[Draws, StanData], FloatArray]
    settled: Callable[[Draws, StanData], Draws] | None = None

    def __call__(self, draws: Draws, data: StanData) -> FloatArray:
        """The log density of the rows of these data."""
        return self.of(draws, data)


class RowsAsked:
    """The log densities of rows at the draws of a fit, worked out when columns are asked for: ``[:, rows]``, (S, rows)
    or, of one row, (S,).

    Raises ComparisonError where one of these is not finite.
    """

    def __init__(self, fit: Fit, of: OfRows) -> None:
        assert fit.family.twin.some_rows is not None
        self._fit, self._of, self._some_rows = fit, of, fit.family.twin.some_rows
        self._data, self.shape = fit.settled_data, (fit.n_draws, fit.table.n_rows)
        self._draws: Draws = fit.draws() if of.settled is None else of.settled(fit.draws(), self._data)

    def __getitem__(self, place: tuple[slice, Any]) -> FloatArray:
        every, rows = place
        assert every == slice(None)
        if isinstance(rows, int | np.integer):
            return self[:, np.array([rows])][:, 0]
        values = self._of(self._draws, self._some_rows(self._data, rows))
        if not np.isfinite(values).all():
            _refuse_first(self._fit, values, "observation", np.arange(self.shape[1])[rows])
        return values


def density_of(fit: Fit, unit: Unit) -> Density:
    """The density of an observation given the others of its group, or of the rows of a group together."""
    family, partial = fit.family, fit.pooling == "partial"
    if unit == "group":
        group_log_lik = family.groups.group_loo_log_lik or family.groups.group_log_lik
        route = Route.INTEGRATED if partial else Route.PSIS
        # Complete pooling has no group effects: the rows of a group are independent given what all share.
        return Density(_summed(fit) if group_log_lik is None and not partial else group_log_lik, route, False)
    if (
        family.terms
        and family.groups.loo_log_lik is not None
        and (fit.pooling != "complete" or family.programs.draw_groups is not None)
    ):
        # With complete pooling too: marginal programs have the coefficients of other factors integrated out.
        rows, variant = family.groups.loo_log_lik, fit.variant
        return Density(lambda draws, data: rows(draws, data, variant), Route.INTEGRATED, False)
    if partial and fit.table.one_row_per_group and family.groups.group_log_lik is not None:
        log_lik, group = family.groups.group_log_lik, fit.table.pooled.level
        # One row a group, in any order: to the order of the rows.
        return Density(lambda draws, data: log_lik(draws, data)[:, group], Route.INTEGRATED, False)
    # Complete pooling too where rows say something of each other given what all share, as those of one curve do.
    if (fit.pooling != "complete" or family.groups.group_loo_log_lik) and family.groups.loo_log_lik is not None:
        rows, variant = family.groups.loo_log_lik, fit.variant
        of = of_rows(fit, lambda draws, data: rows(draws, data, variant), family.groups.loo_draws)
        return Density(of, Route.INTEGRATED, False)
    pointwise = family.twin.pointwise
    return Density(None if pointwise is None else of_rows(fit, pointwise), Route.PSIS, True)


def of_rows(
    fit: Fit, of: Callable[[Draws, StanData], FloatArray], settled: Callable[[Draws, StanData], Draws] | None = None
) -> Callable[[Draws, StanData], FloatArray]:
    """The log density of rows, which says so where some can be had alone."""
    return of if fit.family.twin.some_rows is None else OfRows(of, settled)


def _summed(fit: Fit) -> Callable[[Draws, StanData], FloatArray] | None:
    pointwise = fit.family.twin.pointwise
    return None if pointwise is None else lambda draws, data: sum_by_group(fit, pointwise(draws, data))


def sum_by_group(fit: Fit, rows: FloatArray) -> FloatArray:
    """The log densities of rows, (S, N), added up in each group, (S, J)."""
    return sum_by(rows, fit.table.pooled.level, fit.table.n_groups)


def evaluated(fit: Fit, of: Callable[[Draws, StanData], FloatArray]) -> Columns:
    """A log density of units at the draws of a fit, (S, U).

    Of a large table it is worked out a block of draws at a time, and lies on the disk where there is much of it; or a
    block of rows at a time, whenever they are asked for, where rows can be had alone.
    """
    if not fit.rows_on_request:
        return of(fit.draws(), fit.data)
    if isinstance(of, OfRows):
        return RowsAsked(fit, of)
    values: FloatArray | None = None
    for part, block in _blocks(fit, of):
        if values is None:
            values = room((fit.n_draws, block.shape[1]), f"the log densities of {block.shape[1]:,} units")
        values[part] = block
        give_back(values)
    assert values is not None
    return values


def evaluated_of(fit: Fit, of: Callable[[Draws, StanData], FloatArray], units: npt.NDArray[np.int64]) -> FloatArray:
    """A log density of some units at the draws of a fit, (S, units); that of others is not held."""
    if not fit.rows_on_request:
        return of(fit.draws(), fit.data)[:, units]
    if isinstance(of, OfRows):
        return RowsAsked(fit, of)[:, units]
    return np.concatenate([block[:, units] for _, block in _blocks(fit, of)])


def at_draws_of(
    fit: Fit, of: Callable[[Draws, StanData], FloatArray], draws: Draws, units: npt.NDArray[np.int64]
) -> FloatArray:  # fmt: skip
    """A log density of some units of a fit at any draws, (S, units); of rows that can be had alone, of no others."""
    some_rows = fit.family.twin.some_rows
    if isinstance(of, OfRows) and some_rows is not None:
        return of(draws, some_rows(fit.settled_data, units))
    return of(draws, fit.data)[:, units]


def totals_of(fit: Fit, of: Callable[[Draws, StanData], FloatArray]) -> FloatArray:
    """A log density summed over its units at the draws of a fit, (S,)."""
    if not fit.rows_on_request:
        return np.asarray(of(fit.draws(), fit.data).sum(axis=1))
    return np.concatenate([block.sum(axis=1) for _, block in _blocks(fit, of)])


def _blocks(fit: Fit, of: Callable[[Draws, StanData], FloatArray]) -> Iterator[tuple[slice, FloatArray]]:
    """A log density of units at some draws after others, with their places."""
    for part, draws in fit.blocks(fit.table.n_rows):
        yield part, of(draws, fit.settled_data)


def has_log_lik(fit: Fit) -> bool:
    """Whether there is a log density of each row, from the program or on request; a user's own may lack it."""
    return "log_likelihood" in fit.named or fit.rows_on_request


def log_lik_of(fit: Fit) -> Columns:
    """The log density of each row given its own parameters as the program has it, shape (draw, observation).

    Raises ComparisonError where there is none, or a value is not finite.
    """
    if not has_log_lik(fit):
        raise ComparisonError(
            f"{fit.variant}: {fit.family.name} gives no {fit.family.programs.log_lik}: it cannot be compared. Give the "
            "log density of each row in generated quantities, or say in the family what the program calls it."
        )
    values: Columns
    if "log_likelihood" in fit.named:
        values = posterior_draws(fit.named["log_likelihood"], ["y"])["y"]
    else:
        values = evaluated(fit, of_rows(fit, fit.family.need("pointwise", "the log density of rows")))
    refuse_not_finite(fit, values, "observation")
    return values


def total_log_lik(fit: Fit) -> FloatArray:
    """The log density of all rows given their own parameters, (S,); raises ComparisonError as ``log_lik_of``."""
    rows = log_lik_of(fit)
    totals = np.zeros(rows.shape[0])
    for some in portions(rows.shape[1], rows.shape[0]):
        totals += rows[:, some].sum(axis=1)
        give_back(rows)
    return totals


def log_mean_density(log_density: Columns) -> FloatArray:
    """The log of the mean of densities over draws, from their logs (S, U): (U,)."""
    n_draws, units = log_density.shape
    means = np.empty(units)

    def average(some: slice) -> None:
        block = np.asarray(log_density[:, some])
        with np.errstate(all="ignore"):  # what is not finite shows in the mean, and is refused
            top = block.max(axis=0)
            means[some] = np.log(np.exp(block - top).sum(axis=0)) + top
        give_back(log_density)

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(average, portions(units, n_draws, _AVERAGED)))
    return means - math.log(n_draws)


def refuse_not_finite(fit: Fit, log_density: Columns, unit: Unit) -> None:
    """Raise ComparisonError that names the first unit and draw whose log density is not finite."""
    if not isinstance(log_density, np.ndarray):
        return  # what is worked out when it is asked for is looked at then
    total = 0.0
    for some in portions(len(log_density), log_density.shape[1]):
        total += log_density[some].sum()
        give_back(log_density)
    if np.isfinite(total):  # a sum of finite numbers may only overflow: then each is looked at
        return
    if not np.isfinite(log_density).all():
        _refuse_first(fit, log_density, unit, np.arange(log_density.shape[1]))


def _refuse_first(fit: Fit, log_density: FloatArray, unit: Unit, units: npt.NDArray[np.int64]) -> None:
    """Raise ComparisonError that names the first draw, and the first of these units, whose value is not finite."""
    draw, i = (int(x) for x in np.argwhere(~np.isfinite(log_density))[0])
    label, name = unit_labels(fit, unit)[units[i]], "log_lik" if unit == "observation" else "group_log_lik"
    raise ComparisonError(
        f"{fit.variant}: {name} of {label!r} is {log_density[draw, i]} in draw {draw + 1}. "
        f"A finite log density for every draw and {unit} is needed."
    )


def unit_labels(fit: Fit, unit: Unit) -> Sequence[str]:
    """What messages and tables call each unit."""
    return fit.table.row_names if unit == "observation" else list(fit.table.pooled.labels)


def rows_of(fit: Fit, unit: Unit, index: int) -> list[int]:
    """The rows that a unit consists of, counted from 0."""
    return [index] if unit == "observation" else [int(i) for i in np.flatnonzero(fit.table.pooled.level == index)]
