"""A fit conditioned on the rows of groups that it never saw, without being made again wherever that can be.

p(population, new groups | all rows) is p(population | fitted rows) p(new rows | population) p(new groups | population,
new rows): draws of the population are weighted by the density of the new rows, their coefficients integrated out, and
the coefficients are drawn given both. The weights are Pareto smoothed (Vehtari et al. 2024, JMLR 25(72)); where they
cannot be trusted, the model is fitted again with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.budget import Budget
from hbm_stan.counting import Listener, told
from hbm_stan.encoding import IntArray
from hbm_stan.engines import Progress
from hbm_stan.errors import DiagnosticError, ModelError
from hbm_stan.families.terms.effects import new_group as new_group_of_terms
from hbm_stan.families.terms.given_rows import given_rows as given_rows_of_terms
from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import OWN_COLUMNS
from hbm_stan.model import Draws, GivenRows, StanData
from hbm_stan.named import NamedTree
from hbm_stan.new_rows.extend import extended_effects, extended_sizes, rows_from, systematic
from hbm_stan.new_rows.moved import in_words, summary_of_groups
from hbm_stan.new_rows.new_groups import NewGroups, read_condition
from hbm_stan.new_rows.refit import Means, Repaired, note_of, refitted
from hbm_stan.new_rows.weigh import Weights, weigh
from hbm_stan.notebook import card
from hbm_stan.prepare import Prepared
from hbm_stan.store import FitStore
from hbm_stan.table import FloatArray
from hbm_stan.tree import named_draws

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

# New groups before their rows for each draw of the population, as long as they are not too many (ours).
_TIMES, _AT_ONCE = 10, 4_000_000
# What draws have that new groups have not, or that nothing is predicted from.
_NOT_TAKEN = ("lprior", "shift", "sampled")
# First dimensions of what groups and units have of their own, and of what known ones and their rows have.
_OWN = {("group",), ("unit",)}
_OF_KNOWN = _OWN | {("observation",)}


@dataclass(frozen=True, kw_only=True, repr=False)
class Conditioned:
    """New groups given their rows: a line for each of their coefficients in ``groups``, ``sentences`` that say how far
    the rows moved them, and ``draws`` (xarray) of the coefficients, dims chain, draw, group[, term].

    ``pareto_k`` is that of the importance weights and ``effective`` what they leave of the draws of the population.
    ``fit`` has the weighted draws, in which the new groups stand behind the known ones: what is predicted from it is
    given all rows. It has no chains to be checked. Where k did not lie below ``threshold``, or too few draws were left,
    ``repaired`` says what was fitted again, and ``fit`` is that fit, which passed its checks.
    """

    groups: pd.DataFrame
    sentences: tuple[str, ...]
    draws: xr.Dataset
    pareto_k: float
    threshold: float
    effective: float
    notes: tuple[str, ...]
    fit: Fit
    repaired: Repaired | None = None

    def __repr__(self) -> str:
        return f"<Conditioned on {self.groups['group'].nunique()} new groups; .groups, .sentences, .draws, .notes>"

    def _repr_html_(self) -> str:
        return card(repr(self)[1:-1], (*self.sentences, *self.notes), self.groups)


def condition(
    fit: Fit, rows: Any, *, budget: Budget | None = None, store: FitStore | None = None,
    say: Callable[[str], None] | None = None,
) -> Conditioned:  # fmt: skip
    """New groups given their rows, of a CSV file or a DataFrame, from the draws of a fit that never saw them.

    Where the rows move the population too far for the weights of its draws to follow, the model is fitted again with
    them, within ``budget`` (``Budget(max_refits=0)`` fits nothing again); that fit is kept in ``store``, by default in
    the user's cache folder. Raises DataError or ModelError for rows or a model that this cannot be done with,
    DiagnosticError where weights cannot follow and no fit was made, or it failed its checks.
    """
    if not isinstance(fit, Fit):
        raise ModelError(f"condition takes one Fit, got {type(fit).__name__}: name one, fits['partial_pooling'].")
    new = read_condition(fit.family, fit.variant, fit.table, rows)
    return condition_on(fit, new, Means.of(budget, store, say))


def condition_on(fit: Fit, new: NewGroups, means: Means | None = None) -> Conditioned:
    """The same of rows that were read."""
    means = means or Means()
    rng = fit.rng(f"conditioned on {', '.join(new.labels)}")
    draws = {name: values for name, values in fit.draws().items() if name not in _NOT_TAKEN}
    data, known = rows_data(fit, new), _extended(fit, new, draws)
    with told(_bar(means, "weights by the new rows")):
        given = _given(fit, rng, known, data)
    weights = weigh(given.log_lik, new)
    repaired, note = None, weights.note
    if weights.failure:
        conditioned, repaired = refitted(fit, new, weights, means)
        note = note_of(repaired, fit.table.noun.one, fit.table.noun.many)
    else:
        conditioned = _weighted(fit, new, known, given, weights, rng, means)
    groups = summary_of_groups(conditioned, new, _new_groups(fit, known, data, rng))
    return Conditioned(
        groups=groups, sentences=tuple(in_words(conditioned, groups)), draws=_of_new(conditioned, new),
        pareto_k=weights.pareto_k, threshold=weights.threshold, effective=weights.effective,
        notes=(note, *new.rows.beyond), fit=conditioned, repaired=repaired,
    )  # fmt: skip


def _weighted(
    fit: Fit, new: NewGroups, known: Draws, given: GivenRows, weights: Weights, rng: np.random.Generator, means: Means
) -> Fit:
    """The fit with draws chosen by their weights, and with new groups drawn given these and their rows."""
    if len(new.labels) > 1:
        means.say(f"{fit.variant}: drawing {len(new.labels):,} new {fit.table.noun.many} given their rows")
    at = systematic(rng, weights.of_draws, fit.n_draws)
    with told(_bar(means, "draws given the new rows")):
        drawn = given.draw(rng, at)
    joint = {**{name: values[at] for name, values in known.items()}, **_behind(fit, known, drawn, at)}
    conditioned = _as_fit(fit, new, joint)
    _refuse_untrusted(conditioned, new, means.waive)
    return conditioned


def _refuse_untrusted(conditioned: Fit, new: NewGroups, waive: Collection[str]) -> None:
    """Raise DiagnosticError where what only the family checks of draws (sums over samples of events) fails."""
    judge = conditioned.family.check_draws
    verdicts = () if judge is None else judge(conditioned.draws(), conditioned.data, conditioned.table)
    failed = [v for v in verdicts if v.status == "fail" and v.name not in waive]
    if failed:
        words = " ".join(f"{v.name}: {v.hint}" for v in failed)
        raise DiagnosticError(f"{new.where}: given these rows, {conditioned.variant} fails a check. {words}")


def _bar(means: Means, name: str) -> Listener:
    """What moves a bar of that name, which starts with the first step that is counted."""
    bars: list[Progress | None] = []

    def move(done: int, total: int) -> None:
        if not bars:
            bars.append(means.progress(name))
        if bars[0] is not None:
            bars[0](1, done, total)

    return move


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
    arrays = {}
    for name, values in draws.items():
        axes = dims.get(name, tuple(f"{name}_dim_{i}" for i in range(values.ndim - 1)))
        fits = all(len(coords[d]) == n for d, n in zip(axes, values.shape[1:], strict=True) if d in coords)
        if fits:  # what known groups have and new ones have not is left out
            arrays[name] = values[None]
    sampling = replace(fit.sampling, chains=1, draws=len(next(iter(draws.values()))))
    tree = NamedTree({"posterior": named_draws(arrays, dims, coords)})
    return replace(fit, table=new.table, data=data, named=tree, every=None, sampling=sampling)


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
    """Draws of what the new groups have of their own, but for what a program standardises."""
    posterior = conditioned.named["posterior"]
    own = {n: a for n, a in posterior.arrays.items() if "group" in a[0] and not n.endswith("_raw")}
    return replace(posterior, arrays=own).at("group", slice(new.n_known, None)).as_xarray()
