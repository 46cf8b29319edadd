"""What a replication starts from: true values, an outcome drawn from them, and the data that the program then gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.calibrate.truths import draw_truths
from hbm_stan.engines import Sampling
from hbm_stan.errors import DataError, ModelError
from hbm_stan.model import Draws, Family, StanData
from hbm_stan.prepare import LARGEST, Prepared, Units
from hbm_stan.priors import Prior
from hbm_stan.program import Program, check_data
from hbm_stan.table import FloatArray

_LARGEST_COUNT = 2**31 - 1  # of Stan's integers
_AGAIN = " (again)"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that a replication depends on but its number and the engine.

    ``design`` is the Stan data of ``table``, whose outcome counts only where ``posterior`` is given: draws given the
    observed outcome, (replications, ...), that the truths are then taken from.
    """

    family: Family
    variant: str
    table: Prepared
    priors: Mapping[str, Prior]
    program: Program
    design: StanData
    sampling: Sampling
    n_draws: int
    seed: int
    posterior: Draws | None = None


def scenario(setup: Setup, rng: np.random.Generator, number: int) -> tuple[dict[str, FloatArray], Prepared, StanData]:
    """Truths (first dimension 1), the table, and the program's data with an outcome drawn from the truths.

    Raises DataError where the outcome is not finite or none that the family or its program takes.
    """
    family, design = setup.family, setup.design
    if setup.posterior is None:
        truth = draw_truths(rng, family, setup.variant, setup.priors, design)
        if family.twin.drawn_table is not None:
            table = family.twin.drawn_table(rng, truth, setup.table, design)
            data = family.stan_data(table, setup.priors, setup.variant)
            check_data(setup.program, data)
            return truth, table, data
        table, y = setup.table, _simulated(setup, rng, truth)
    else:
        truth = {name: np.asarray(values)[number : number + 1] for name, values in setup.posterior.items()}
        table, y, truth = _joined(setup, rng, truth)
    if not (np.isfinite(y).all() and (np.abs(y) <= LARGEST).all()):
        raise DataError("the simulated outcome is not finite")
    return truth, table, _data(setup, table, y)


def _simulated(setup: Setup, rng: np.random.Generator, truth: Draws) -> FloatArray:
    simulate = setup.family.need("simulate", "simulation-based calibration")
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(simulate(rng, truth, setup.design)[0], dtype=float)
    except ValueError as error:  # NumPy's own words for a scale below zero, a mean that is too large ...
        raise DataError(f"no outcome can be simulated from these true values ({error})") from error


def _data(setup: Setup, table: Prepared, y: FloatArray) -> StanData:
    """The program's data for this outcome. What a family derives from the outcome is derived again."""
    family, role = setup.family, setup.family.outcome(setup.table)
    before = np.asarray(setup.design[family.programs.observed])
    whole = np.issubdtype(before.dtype, np.integer)
    if whole and (np.abs(y) > _LARGEST_COUNT).any():
        raise DataError("a simulated count is larger than Stan's whole numbers")
    y = y.astype(np.int64) if whole else y
    if role in setup.table and np.array_equal(setup.table[role], before):
        simulated = replace(table, values={**table.values, role: y.astype(float)})
        data = family.stan_data(simulated, setup.priors, setup.variant)
        if not np.array_equal(data[family.programs.observed], y):
            raise ModelError(
                f"{family.name}: prepare() changes the outcome, so that no simulated one can be given to it."
            )
    else:
        data = {**family.stan_data(table, setup.priors, setup.variant), family.programs.observed: y}
    check_data(setup.program, data)
    return data


def _joined(
    setup: Setup, rng: np.random.Generator, truth: dict[str, FloatArray]
) -> tuple[Prepared, FloatArray, dict[str, FloatArray]]:
    """The observed rows and as many drawn from the truth: of the same groups, or of new ones (see ``new_groups``)."""
    family, observed = setup.family, np.asarray(setup.design[setup.family.programs.observed], dtype=float)
    if not family.one_row_per_group:
        return rows_again(setup.table), np.concatenate([observed, _simulated(setup, rng, truth)]), truth
    new_group = family.need("new_group", "posterior calibration")
    others = {**truth, family.groups.group_quantity: np.asarray(new_group(rng, truth, setup.design, setup.variant))}
    if family.twin.latent is not None:
        others |= family.twin.latent(rng, others, setup.design, setup.variant)
    y = np.concatenate([observed, _simulated(setup, rng, others)])
    by_group = {name for name, dims in family.programs.dims.items() if dims[:1] == ("group",)}
    both = {
        name: np.concatenate([values, others[name]], axis=1) if name in by_group else values
        for name, values in truth.items()
    }
    return groups_again(setup.table), y, both


def rows_again(table: Prepared) -> Prepared:
    """The table with every row twice: the second time, a new row of the same group and unit, or levels of factors."""
    units, design = table.units, None if table.design is None else table.design.twice()
    twice = None if units is None else replace(units, unit=np.tile(units.unit, 2))
    pooled = table.pooled.twice() if design is None else design.pooled
    return replace(_doubled(table), pooled=pooled, units=twice, design=design)


def groups_again(table: Prepared) -> Prepared:
    """The table with every row twice: the second time, of a new group with the same design."""
    labels, level = table.pooled.labels, table.pooled.level
    more = len(labels)
    names = (*labels, *(f"{label}{_AGAIN}" for label in labels))
    pooled = replace(table.pooled, labels=names, level=np.concatenate([level, level + more]))
    units = table.units
    if units is not None:
        unit = np.concatenate([units.unit, units.unit + len(units.labels)])
        names = (*units.labels, *(f"{label}{_AGAIN}" for label in units.labels))
        units = Units(names, unit, np.concatenate([units.group, units.group + more]))
    return replace(_doubled(table), pooled=pooled, units=units)


def _doubled(table: Prepared) -> Prepared:
    values = {name: np.tile(v, 2) for name, v in table.values.items()}
    predictors = {name: replace(p, values=np.tile(p.values, (2, 1))) for name, p in table.predictors.items()}
    return replace(table, values=values, predictors=predictors)
