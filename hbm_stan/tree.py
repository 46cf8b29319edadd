"""Draws of an engine become a tree as ArviZ has them: names of groups and terms, and what its program left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hbm_stan.deferred import Deferred
from hbm_stan.engines import EngineDraws
from hbm_stan.errors import ModelError
from hbm_stan.families.terms.nodes import nodes_follow, nodes_serve
from hbm_stan.generated import complete, drawn_rows, draws_the_rest
from hbm_stan.independent import independent_draws
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import Family, StanData
from hbm_stan.named import NamedSet, NamedTree
from hbm_stan.portions import spaced_places
from hbm_stan.prepare import Prepared
from hbm_stan.table import FloatArray

# From here on what a program would draw of groups and rows at every iteration is drawn in NumPy afterwards: it takes
# longer than sampling does (ours).
MANY_ROWS, MANY_GROUPS = 5000, 1000
# Engines return floats; these are what ArviZ has them as.
_STATS_TYPES: Mapping[str, type] = {"diverging": bool, "reached_max_treedepth": bool, "tree_depth": int, "n_steps": int}


def is_large(family: Family, table: Prepared) -> bool:
    """Whether group effects are drawn after sampling, and log_lik and y_rep when they are asked for.

    The family must know how, or have programs that sample the effects of groups, as those of formulas do. Neither is
    kept: from the draws and the seed they are the same again.
    """
    return (table.n_rows > MANY_ROWS or table.n_groups > MANY_GROUPS) and draws_the_rest(family)


def is_by_nodes(family: Family, table: Prepared, variant: str) -> bool:
    """Whether a variant is tried by nodes before it is sampled: of a large table, a model that they serve."""
    if not is_large(family, table) or not family.terms or table.design is None:
        return False
    return nodes_serve(likelihood(family.name), table.design, family.variant(variant).pooling)


def is_by_following_nodes(family: Family, table: Prepared, variant: str) -> bool:
    """Whether direct draws try a variant by nodes that follow its population, before its program is sampled."""
    if not family.terms or table.design is None:
        return False
    return nodes_follow(likelihood(family.name), table.design, family.variant(variant).pooling)


def draws_tree(
    family: Family,
    table: Prepared,
    data: StanData,
    drawn: EngineDraws,
    seed: int,
    *,
    rows: bool = True,
    effects: bool = True,
) -> NamedTree:
    """The draws as ArviZ wants them: posterior, posterior_predictive, log_likelihood, sample_stats, data.

    Without ``rows``, log_likelihood and posterior_predictive are left out; without ``effects``, so is what the program
    left to be drawn: ``with_effects`` draws it.
    """
    programs = family.programs
    special = {programs.y_rep: "posterior_predictive", programs.log_lik: "log_likelihood"}
    variables = {name: values for name, values in drawn.variables.items() if values.size}
    if not rows:
        variables = {name: values for name, values in variables.items() if name not in special}
    if effects and (family.terms or data.get("generate", 1) == 0):
        variables |= complete(family, data, variables, seed, rows=rows)
    groups: dict[str, dict[str, Any]] = {"posterior": {}, "posterior_predictive": {}, "log_likelihood": {}}
    for name, values in variables.items():
        group = special.get(name, "posterior")
        groups[group]["y" if group != "posterior" else name] = values
    coords = family.coordinates(table)
    dims = _dims(family)
    sets = {g: _checked_set(family, g, values, dims, coords) for g, values in groups.items() if values}
    stats: dict[str, Any] = {n: values.astype(_STATS_TYPES.get(n, float)) for n, values in drawn.sample_stats.items()}
    sets["sample_stats"] = named_draws(stats, {}, {}, drawn.about)
    y = np.asarray(data[programs.observed])
    sets["observed_data"] = NamedSet({"y": (tuple(dims["y"]), y)}, _used(coords, dims["y"]))
    sets["constant_data"] = _constant_data(data, programs.observed, coords, table.n_rows)
    return NamedTree(sets)


def with_rows(family: Family, table: Prepared, data: StanData, tree: NamedTree, seed: int) -> NamedTree:
    """The tree with log densities and replications of rows, made in NumPy when each is asked for; always the same."""
    groups = ("log_likelihood", "posterior_predictive")
    return tree.changed(**{g: _RowsLater(family, table, data, tree["posterior"], seed, g) for g in groups})


class _RowsLater(Deferred[NamedSet]):
    """Log densities or replications of rows that are made when they are asked for, also in the process they went to."""

    def __init__(self, *given: Any) -> None:
        super().__init__(lambda: _rows_of(*given))
        self._given = given

    def __reduce__(self) -> tuple[Any, ...]:
        return _RowsLater, self._given


def _rows_of(family: Family, table: Prepared, data: StanData, posterior: NamedSet, seed: int, group: str) -> NamedSet:
    name = family.programs.log_lik if group == "log_likelihood" else family.programs.y_rep
    given = {own: np.asarray(values.values) for own, values in posterior.items()}
    rows = drawn_rows(family, data, given, seed, name)
    return _checked_set(family, group, {"y": rows}, _dims(family), family.coordinates(table))


def thinned(tree: NamedTree, draws: int) -> NamedTree:
    """The tree with so many draws of each chain, at equal distances."""
    sets = {}
    for name, given in tree.items():
        size = given.sizes.get("draw")
        sets[name] = given if size is None else given.at("draw", spaced_places(draws, size), np.arange(draws))
    return NamedTree(sets)


def with_effects(
    family: Family, table: Prepared, data: StanData, tree: NamedTree, seed: int, variant: str
) -> NamedTree:
    """The tree with what its program left to be drawn of groups: from the same draws and seed always the same.

    Where the posterior is known, nothing was sampled, and all of it is drawn here.
    """
    posterior = tree.get("posterior", NamedSet({}))
    given = {name: np.asarray(values.values) for name, values in posterior.items()}
    shape = tuple(tree["sample_stats"].sizes[dim] for dim in ("chain", "draw"))
    drawn_effects = None if given else independent_draws(family, data, variant, shape, seed, table.n_groups)
    if drawn_effects is None:
        drawn_effects = complete(family, data, given, seed, rows=False, n_groups=0 if family.terms else table.n_groups)
    if not drawn_effects:
        return tree
    effects = _checked_set(family, "posterior", drawn_effects, family.programs.dims, family.coordinates(table))
    whole = NamedSet({**posterior.arrays, **effects.arrays}, {**posterior.coords, **effects.coords}, posterior.attrs)
    return tree.changed(posterior=whole)


def posterior_draws(posterior: NamedSet, names: Sequence[str]) -> dict[str, FloatArray]:
    """The variables of a posterior with chains joined: shape (draw, ...)."""
    draws = {}
    for name in names:
        if name in posterior:
            values = np.asarray(posterior[name].values, dtype=float)
            draws[name] = values.reshape(-1, *values.shape[2:])
    return draws


def _dims(family: Family) -> dict[str, tuple[str, ...]]:
    """The dims of each variable, and of what there is of each row."""
    return {**family.programs.dims, "y": family.programs.dims.get(family.programs.log_lik, ("observation",))}


def _checked_set(
    family: Family, group: str, arrays: Mapping[str, FloatArray], dims: Mapping[str, Any], coords: Mapping[str, Any]
) -> NamedSet:
    """Draws (chain, draw, ...) by name as a set, their shapes compared with their dims."""
    _check_shapes(family, group, arrays, dims, coords)
    return named_draws(arrays, dims, coords)


def _check_shapes(
    family: Family, group: str, values: Mapping[str, FloatArray], dims: Mapping[str, Any], coords: Mapping[str, Any]
) -> None:
    """Raise ModelError where a variable of a program has another shape than its dims say."""
    shown = {"log_likelihood": family.programs.log_lik, "posterior_predictive": family.programs.y_rep}
    for name, array in values.items():
        if name not in dims:
            continue
        expected = tuple(len(coords[d]) if d in coords else None for d in dims[name])
        shape = np.shape(array)[2:]
        fits = len(shape) == len(expected) and all(e in {None, f} for e, f in zip(expected, shape, strict=True))
        if not fits:
            raise ModelError(
                f"{family.name}: {shown.get(group, name)} has shape {shape} in the program; its dims say "
                f"({', '.join(dims[name])}) = {expected}. Change one of them."
            )


def _constant_data(data: StanData, observed: str, coords: Mapping[str, Any], n_rows: int) -> NamedSet:
    """Data with one value for each group or row, other than the outcome and the priors."""
    n_groups = len(coords["group"])
    lengths = {n_rows: "observation", n_groups: "group"}
    constants = {
        name: ((lengths[len(value)],), np.asarray(value))
        for name, value in data.items()
        if name != observed and not name.startswith("prior_") and np.ndim(value) == 1 and len(value) in lengths
    }
    return NamedSet(constants, _used(coords, {axes[0] for axes, _ in constants.values()}))


def named_draws(
    values: Mapping[str, Any], dims: Mapping[str, tuple[str, ...]], coords: Mapping[str, Any],
    attrs: Mapping[str, Any] | None = None,
) -> NamedSet:  # fmt: skip
    """Draws (chain, draw, ...) by name as a set with the labels of their dims; chains and draws count from 0."""
    arrays = {
        name: (("chain", "draw", *dims.get(name, _unnamed(name, array))), array) for name, array in values.items()
    }
    labels = _used(coords, {d for axes, _ in arrays.values() for d in axes})
    shape = next(iter(values.values())).shape[:2]
    places = {d: np.arange(n) for d, n in zip(("chain", "draw"), shape, strict=True)}
    return NamedSet(arrays, {**labels, **places}, attrs or {})


def _unnamed(name: str, array: FloatArray) -> tuple[str, ...]:
    """Dims of a variable that its family does not name: its own."""
    return tuple(f"{name}_dim_{i}" for i in range(np.ndim(array) - 2))


def _used(coords: Mapping[str, Any], dims: Any) -> dict[str, Any]:
    return {d: np.asarray(c if isinstance(c, range) else list(c)) for d, c in coords.items() if d in dims}
