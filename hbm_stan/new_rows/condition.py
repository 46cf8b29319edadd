"""A fit conditioned on the rows of groups that it never saw, without being made again.

p(population, new groups | all rows) is p(population | fitted rows) p(new rows | population) p(new groups | population,
new rows): draws of the population are weighted by the density of the new rows, their coefficients integrated out, and
the coefficients are drawn given both. The weights are Pareto smoothed (Vehtari et al. 2024, JMLR 25(72)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.encoding import IntArray
from hbm_stan.errors import DataError, DiagnosticError, ModelError
from hbm_stan.families.terms.effects import new_group as new_group_of_terms
from hbm_stan.families.terms.given_rows import given_rows as given_rows_of_terms
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import MORE_DRAWS_HELP, good_k
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import OWN_COLUMNS
from hbm_stan.model import Draws, GivenRows, StanData
from hbm_stan.new_rows.extend import extended_effects, extended_sizes, rows_from, systematic
from hbm_stan.new_rows.moved import in_words, summary_of_groups
from hbm_stan.new_rows.new_groups import NewGroups, read_new_groups, refuse_not_partial
from hbm_stan.notebook import card
from hbm_stan.prepare import Prepared
from hbm_stan.psis import smooth
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
else:
    from hbm_stan.later import xr

# Fewer effective draws than this are too few for the intervals that are reported (ours; 2.1 of Vehtari et al. 2021 asks
# for as many of one chain).
LEAST_EFFECTIVE = 100.0
# New groups before their rows for each draw of the population, as long as they are not too many (ours).
_TIMES, _AT_ONCE = 10, 4_000_000
_ENOUGH = 400.0  # effective draws: Vehtari et al. (2021), 100 of each of four chains
_ALIKE = 1e-6  # log densities that differ by less are alike (ours)
# What draws have that new groups have not, or that nothing is predicted from.
_NOT_TAKEN = ("lprior", "shift", "sampled")
# First dimensions of what groups and units have of their own, and of what known ones and their rows have.
_OWN = {("group",), ("unit",)}
_OF_KNOWN = _OWN | {("observation",)}


@dataclass(frozen=True, kw_only=True, repr=False)
class Conditioned:
    """New groups given their rows: a line for each of their coefficients in ``groups``, ``sentences`` that say how far
    the rows moved them, and ``draws`` (xarray) of the coefficients, dims chain, draw, group[, term].

    ``pareto_k`` of the importance weights lies below ``threshold``; they leave ``effective`` draws of the population.
    ``fit`` has the weighted draws, in which the new groups stand behind the known ones: what is predicted from it is
    given all rows. It has no chains to be checked.
    """

    groups: pd.DataFrame
    sentences: tuple[str, ...]
    draws: xr.Dataset
    pareto_k: float
    threshold: float
    effective: float
    notes: tuple[str, ...]
    fit: Fit

    def __repr__(self) -> str:
        return f"<Conditioned on {self.groups['group'].nunique()} new groups; .groups, .sentences, .draws, .notes>"

    def _repr_html_(self) -> str:
        return card(repr(self)[1:-1], (*self.sentences, *self.notes), self.groups)


def condition(fit: Fit, rows: Any) -> Conditioned:
    """New groups given their rows, of a CSV file or a DataFrame, from the draws of a fit that never saw them.

    Raises DataError or ModelError for rows or a model that this cannot be done with, DiagnosticError where the rows
    move the population too far for the weights of its draws to follow.
    """
    if not isinstance(fit, Fit):
        raise ModelError(f"condition takes one Fit, got {type(fit).__name__}: name one, fits['partial_pooling'].")
    refuse_not_partial(fit.family, fit.variant)
    return condition_on(fit, read_new_groups(fit.family, fit.table, rows))


def condition_on(fit: Fit, new: NewGroups) -> Conditioned:
    """The same of rows that were read."""
    rng = fit.rng(f"conditioned on {', '.join(new.labels)}")
    draws = {name: values for name, values in fit.draws().items() if name not in _NOT_TAKEN}
    data, known = rows_data(fit, new), _extended(fit, new, draws)
    given = _given(fit, rng, known, data)
    weights, k = weigh(given.log_lik, new)
    at = systematic(rng, weights, fit.n_draws)
    effective = float(1 / np.sum(weights**2))
    _refuse_few(effective, fit, new)
    joint = {**{name: values[at] for name, values in known.items()}, **_behind(fit, known, given.draw(rng, at), at)}
    conditioned = _as_fit(fit, new, joint)
    before = _new_groups(fit, known, data, rng)
    groups = summary_of_groups(conditioned, new, before)
    threshold = good_k(fit.n_draws)
    return Conditioned(
        groups=groups, sentences=tuple(in_words(conditioned, groups)), draws=_of_new(conditioned, new), pareto_k=k,
        threshold=threshold, effective=effective, notes=(_note(fit, k, threshold, effective), *new.rows.beyond),
        fit=conditioned,
    )  # fmt: skip


def weigh(log_lik: FloatArray, new: NewGroups) -> tuple[FloatArray, float]:
    """Smoothed weights of draws (S,) by the density of the rows of all new groups (S, J), and their Pareto k.

    Raises DiagnosticError where k is too high.
    """
    total = log_lik.sum(axis=1)
    if not np.isfinite(total).any():
        raise DataError(f"{new.where}: these rows have no density under any draw of the population. Check their unit.")
    if np.ptp(total) < _ALIKE:  # the rows say nothing of the population: no tail to be fitted
        return np.full(len(total), 1 / len(total)), -np.inf
    smoothed, k = smooth(total)
    threshold = good_k(len(total))
    if not float(k) < threshold:
        which = new.labels[int(np.argmax(np.ptp(log_lik, axis=0)))]
        more = "" if float(k) >= MORE_DRAWS_HELP else " More draws may do, too."
        raise DiagnosticError(
            f"{new.where}: the rows move the population too far for the weights of its draws to follow: their Pareto k "
            f"is {float(k):.2f} and must lie below {threshold:.2f}; most of it comes from {which!r}. Add the rows to "
            f"the table and fit again{', or condition on fewer groups at once' * (len(new.labels) > 1)}.{more}"
        )
    return np.exp(smoothed), float(k)


def _refuse_few(effective: float, fit: Fit, new: NewGroups) -> None:
    if effective < LEAST_EFFECTIVE:
        raise DiagnosticError(
            f"{new.where}: weighted by these rows, {fit.n_draws:,} draws of the population are worth {effective:.0f}; "
            f"at least {LEAST_EFFECTIVE:.0f} are needed. Take more draws, or add the rows to the table and fit again."
        )


def _note(fit: Fit, k: float, threshold: float, effective: float) -> str:
    shown = "below 0" if k < 0 else f"{k:.2f}"
    few = f"fewer than {_ENOUGH:.0f}: more draws would say it closer" if effective < _ENOUGH else ""
    return (
        f"Not fitted again: draws of the population are weighted by the density of the new rows (Pareto k {shown}, "
        f"allowed below {threshold:.2f}; {fit.n_draws:,} draws are worth {effective:,.0f}{', ' * bool(few)}{few})."
    )


def rows_data(fit: Fit, new: NewGroups) -> StanData:
    """The new rows as data of the model; of a formula's with levels counted behind the known ones."""
    if not fit.family.terms:
        alone = new.table.without(np.arange(new.n_fitted))
        return _family_data(fit, alone, new.where)
    design = new.table.design
    assert design is not None  # extended_design gave one
    rows, level = rows_from(design, new.n_fitted)
    outcome = np.asarray(new.table["outcome"])[new.n_fitted :]
    ones: StanData = {datum: np.ones(new.rows.n) for datum in ("trials", "exposure", "se") if datum in fit.data}
    whole = np.asarray(fit.data["y"]).dtype.kind in "iu"
    return {
        **extended_sizes(fit.data, design), **ones, "N": new.rows.n, "X": rows.X, "Z": rows.Z, "offset_": rows.offset,
        "y": outcome.astype(np.int64) if whole else outcome, "level": level, **new.rows.sizes,
        **{f"{OWN_COLUMNS}{name}": own for name, own in rows.beside.items()},
    }  # fmt: skip


def _family_data(fit: Fit, table: Prepared, where: str) -> StanData:
    """The data of a family without a formula, with what the fitted data settle for all rows."""
    data, settle = fit.family.stan_data(table, fit.priors, fit.variant), fit.family.groups.settle
    return data if settle is None else settle(data, fit.data, where)


def _extended(fit: Fit, new: NewGroups, draws: Draws) -> dict[str, FloatArray]:
    """The draws; of a formula's model with effects of the new levels, which are 0 as yet."""
    if not fit.family.terms or "effect" not in draws or new.table.design is None:
        return dict(draws)
    extended = extended_sizes(fit.data, new.table.design)
    return {**draws, "effect": extended_effects(np.asarray(draws["effect"]), fit.data, extended)}


def _population(fit: Fit, draws: Draws) -> dict[str, FloatArray]:
    """The draws without what known groups, units and rows have of their own."""
    dims = fit.family.programs.dims
    return {n: np.asarray(v) for n, v in draws.items() if dims.get(n, ())[:1] not in _OF_KNOWN}


def _given(fit: Fit, rng: np.random.Generator, draws: Draws, data: StanData) -> GivenRows:
    """The new groups given their rows and the draws, as the family knows how."""
    groups, population = fit.family.groups, _population(fit, draws)
    if fit.family.terms:
        known = [int(n) for n in fit.data["L"]]
        return given_rows_of_terms(likelihood(fit.family.name), rng, population, data, known)
    if groups.given_rows is not None:
        return groups.given_rows(rng, population, data)
    log_lik = fit.family.need("group_log_lik", "conditioning on a new group")(population, data)
    draw_groups = fit.family.need("draw_groups", "conditioning on a new group")

    def draw(again: np.random.Generator, at: IntArray) -> dict[str, FloatArray]:
        drawn = draw_groups(again, {name: values[at] for name, values in population.items()}, data)
        return dict(drawn) if isinstance(drawn, Mapping) else {groups.group_quantity: drawn}

    return GivenRows(np.asarray(log_lik), draw)


def _behind(fit: Fit, draws: Draws, new: Mapping[str, FloatArray], at: IntArray) -> dict[str, FloatArray]:
    """What groups and units have of their own, the new ones behind the known ones; effects, which have all levels."""
    dims = fit.family.programs.dims
    return {
        name: np.concatenate([np.asarray(draws[name])[at], own], axis=1)
        if dims.get(name, ())[:1] in _OWN and name in draws else np.asarray(own)
        for name, own in new.items() if name in draws
    }  # fmt: skip


def _as_fit(fit: Fit, new: NewGroups, draws: Mapping[str, FloatArray]) -> Fit:
    """The fit with these draws, in one chain, and with the table of all rows."""
    family = fit.family
    if family.terms:
        assert new.table.design is not None
        data = extended_sizes(fit.data, new.table.design)
    else:
        data = _family_data(fit, new.table, new.where)
    coords, dims = family.coordinates(new.table), family.programs.dims
    arrays: dict[str, Any] = {}
    used: dict[str, list[Any]] = {}
    for name, values in draws.items():
        axes = dims.get(name, tuple(f"{name}_dim_{i}" for i in range(values.ndim - 1)))
        fits = all(len(coords[d]) == n for d, n in zip(axes, values.shape[1:], strict=True) if d in coords)
        if fits:  # what known groups have and new ones have not is left out
            arrays[name] = (("chain", "draw", *axes), values[None])
            used |= {axis: list(coords[axis]) for axis in axes if axis in coords}
    size = len(next(iter(draws.values())))
    posterior = xr.Dataset(arrays, {**used, "chain": [0], "draw": np.arange(size)})
    sampling = replace(fit.sampling, chains=1, draws=size)
    tree = xr.DataTree.from_dict({"posterior": posterior})
    return replace(fit, table=new.table, data=data, tree=tree, every=None, sampling=sampling)


def _new_groups(fit: Fit, draws: Draws, data: StanData, rng: np.random.Generator) -> FloatArray:
    """The coefficients of the same groups before their rows: from the population as fitted, (draws, J[, K]).

    Several for each draw, for their mean and sd are what the rows' part is told by.
    """
    population, n = _population(fit, draws), int(data["J"])
    if fit.family.terms:
        data, n = {**data, "J": n - int(fit.data["J"])}, n - int(fit.data["J"])
    draw = new_group_of_terms if fit.family.terms else fit.family.need("new_group", "conditioning on a new group")
    times = max(1, min(_TIMES, _AT_ONCE // (fit.n_draws * n)))
    return np.concatenate([np.asarray(draw(rng, population, data, fit.variant)) for _ in range(times)])


def _of_new(conditioned: Fit, new: NewGroups) -> xr.Dataset:
    """Draws of what the new groups have of their own."""
    posterior = conditioned.tree["posterior"].to_dataset()
    names = [str(n) for n, values in posterior.data_vars.items() if "group" in values.dims]
    return posterior[names].isel(group=slice(new.n_known, None))
