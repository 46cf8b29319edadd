"""Whether the functions of a family agree with each other and with its programs, where no density shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax

from hbm_stan.agreement import threshold
from hbm_stan.leave_one_out import QUADRATURE_MATTERS
from hbm_stan.model import Draws, Option, StanData
from hbm_stan.table import FloatArray
from hbm_stan.verify.names import Claim

# How often a check of chance may fail although all is right, over all its comparisons (ours).
FAMILY_ERROR = 1e-4
# New groups of one draw, draws at which densities are compared, new groups for an integral over one.
_GROUPS, _POINTS, _NODES = 20_000, 3, 4000
_ROUNDING = 1e-8
# A Monte Carlo integral with a larger error, or fewer effective values, is not to be trusted; quadrature may be off by
# a thousandth.
_FINE, _EFFECTIVE, _QUADRATURE = 0.1, 200, 2e-3
# Draws of groups given one draw of the population, for their mean and variance.
_AGAIN = 40


def limit(n: int) -> float:
    """The largest z that chance explains among n comparisons."""
    return threshold(n, FAMILY_ERROR)


def repeated(draws: Draws, s: int, size: int) -> dict[str, FloatArray]:
    """One draw, many times."""
    return {name: np.repeat(values[s : s + 1], size, axis=0) for name, values in draws.items()}


def derived_quantities(claim: Claim) -> list[str]:
    """What ``transformed`` derives, against what the program has of that name, at the same draws."""
    family, draws = claim.family, claim.draws
    if family.twin.transformed is None:
        return []
    declared = family.program(claim.variant).block("parameters")
    empty = {d.name: np.zeros(0) for d in declared if d.name not in draws}
    off: dict[str, float] = {}
    for s in np.linspace(0, len(next(iter(draws.values()))) - 1, _POINTS).astype(int):
        one = empty | {d.name: draws[d.name][s] for d in declared if d.name in draws}
        for name, ours in family.twin.transformed(one, claim.data).items():
            theirs = draws[name][s] if name in draws else None
            if theirs is not None and np.shape(theirs) == np.shape(ours):
                far = np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))
                off[name] = max(off.get(name, 0.0), float(np.max(far, initial=0.0)))
    return [f"{n} of the program is not that of transformed()" for n, far in off.items() if not far < _ROUNDING]


def new_groups(claim: Claim) -> list[str]:
    """``new_group`` of each of two draws has the mean and the sd of the population of that draw."""
    family, draws = claim.family, claim.draws
    scale = family.groups.population_scale
    if (
        claim.pooling != "partial"
        or family.groups.new_group is None
        or family.groups.new_row is None
        or not {"mu", scale} <= {*draws}
    ):
        return []
    design, _ = family.groups.new_row(claim.data, _read(claim))
    mu = draws["mu"].reshape(len(draws["mu"]), -1)[:, 0]
    halves = [repeated(draws, int(s), _GROUPS // 2) for s in (np.argmin(mu), np.argmax(mu))]
    both = {name: np.concatenate([half[name] for half in halves]) for name in draws}
    if "gamma" in both and "gamma" in family.programs.population:
        both["gamma"] = np.zeros_like(both["gamma"])
    theta = family.groups.new_group(np.random.default_rng(5), both, design, claim.variant)[:, 0]
    if theta.shape != both["mu"].shape:
        return []
    for half in np.split(np.arange(len(theta)), 2):
        own, mean, sd = theta[half], both["mu"][half][0], both[scale][half][0]
        squares = (own - mean) ** 2
        floor = _ROUNDING * (1 + np.abs(mean))
        error, second = (v / np.sqrt(len(half)) for v in (np.maximum(sd, own.std(axis=0)), squares.std(axis=0)))
        z = limit(4 * own[0].size)
        if np.any(np.abs(own.mean(axis=0) - mean) > z * error + floor):
            return [f"the mean of new_group() is not the mu of its draw: {_shown(own.mean(axis=0))} for {_shown(mean)}"]
        if np.any(np.abs(squares.mean(axis=0) - sd**2) > z * second + floor):
            return [f"the sd of new_group() is not the {scale} of its draw: {_shown(own.std(axis=0))} for {_shown(sd)}"]
    return []


def _shown(values: Any) -> str:
    return ", ".join(f"{v:.3g}" for v in np.ravel(values)[:4])


def _others_by_group(claim: Claim) -> list[str]:
    """Effects of groups, units or rows beside the group quantity: values of units and of curves, residual scales."""
    family = claim.family
    own = {family.groups.group_quantity, family.programs.log_lik, family.programs.y_rep, *family.programs.hidden}
    names = [n for n in claim.draws if n not in own and not n.endswith("_raw")]
    return [n for n in names if {"group", "unit", "observation"} & set(family.programs.dims.get(n, ()))]


def _given_new_groups(claim: Claim, s: int) -> tuple[FloatArray, FloatArray]:
    """theta of many new groups at one draw, (nodes, J[, K]), and log p(rows of each group | theta), (nodes, J)."""
    family = claim.family
    one = repeated(claim.draws, s, _NODES)
    theta = family.need("new_group", "a proof")(np.random.default_rng(s), one, claim.data, claim.variant)
    given = {**one, family.groups.group_quantity: theta}
    rows = family.need("pointwise", "a proof")(given, claim.data)
    group, n_groups = claim.table.pooled.level, claim.table.n_groups
    by_group = np.stack([rows[:, group == j].sum(axis=1) for j in range(n_groups)], axis=1)
    beside = family.twin.beside_rows
    return theta, by_group if beside is None else by_group + beside(given, claim.data)


def _can_integrate(claim: Claim) -> bool:
    family = claim.family
    given = not family.missing(("new_group", "pointwise")) and family.groups.population_scale in claim.draws
    return claim.pooling == "partial" and given and not _others_by_group(claim)


def _spread_draws(claim: Claim) -> list[int]:
    n = len(claim.draws[claim.family.groups.population_scale])
    return [0, 7 * n // 20, 7 * n // 10]


def group_integrals(claim: Claim) -> list[str]:
    """``group_log_lik`` is the integral of ``pointwise`` over ``new_group``, by Monte Carlo."""
    family = claim.family
    if family.groups.group_log_lik is None or not _can_integrate(claim):
        return []
    for s in _spread_draws(claim):
        _, by_group = _given_new_groups(claim, s)
        ours = family.groups.group_log_lik({k: v[s : s + 1] for k, v in claim.draws.items()}, claim.data)[0]
        integral = logsumexp(by_group, axis=0) - np.log(_NODES)
        error = np.exp(by_group - integral).std(axis=0) / np.sqrt(_NODES)
        allowed = np.where(error < _FINE, limit(3 * len(ours)) * error + _QUADRATURE, np.inf)
        far = np.flatnonzero(np.abs(ours - integral) > allowed)
        if far.size:
            j = int(far[0])
            difference = f"{ours[j]:.4g} where an integral over new_group() and pointwise() gives {integral[j]:.4g}"
            return [f"group_log_lik() of {claim.table.pooled.labels[j]} is {difference}"]
    return []


def finer_integrals(claim: Claim) -> list[str]:
    """``finer_group_log_lik`` is near ``group_log_lik``: it takes the same integrals with more nodes."""
    family = claim.family
    if claim.pooling != "partial" or family.groups.finer_group_log_lik is None or family.groups.group_log_lik is None:
        return []
    few = {name: values[_spread_draws(claim)] for name, values in claim.draws.items()}
    finer = family.groups.finer_group_log_lik(few, claim.data)
    if finer is None:
        return []
    far = np.abs(np.asarray(finer) - family.groups.group_log_lik(few, claim.data))
    worst = float(np.max(far, where=np.isfinite(far), initial=0.0))
    if worst <= QUADRATURE_MATTERS:
        return []
    return [f"finer_group_log_lik() is {worst:.3g} from group_log_lik() (allowed: {QUADRATURE_MATTERS:g})"]


def shrinkage(claim: Claim) -> list[str]:
    """``shrinkage_factor`` is nearer the weight of the population in a group's mean given its rows than its opposite.

    That mean is taken over new groups, weighed by the likelihood of the rows: raw + w (mu - raw) in conjugate models,
    and near it in others. The opposite, 1 - w, is what an inverted factor is.
    """
    family = claim.family
    given = family.groups.shrinkage_factor is not None and family.groups.raw is not None
    if not given or not _can_integrate(claim) or claim.draws[family.groups.population_scale].ndim > 1:
        return []
    raw, own, opposite = np.asarray(family.need("raw", "a proof")(claim.data)[0]), 0.0, 0.0
    for s in _spread_draws(claim):
        one = {name: values[s : s + 1] for name, values in claim.draws.items()}
        factor = family.need("shrinkage_factor", "a proof")(one, claim.data)
        if factor is None:
            return []
        theta, by_group = _given_new_groups(claim, s)
        weights = softmax(by_group, axis=0)
        centre, mean = theta.mean(axis=0), np.sum(weights * theta, axis=0)
        used = np.isfinite(raw) & (1 / np.sum(weights**2, axis=0) > _EFFECTIVE)
        for w, off in ((factor[0], 1), (1 - factor[0], 0)):
            far = float(np.sum((mean - raw - w * (centre - raw))[used] ** 2))
            own, opposite = own + off * far, opposite + (1 - off) * far
    return [] if own <= opposite else ["shrinkage_factor() is not the population's weight: one less it fits better"]


def groups_given_rows(claim: Claim) -> list[str]:
    """The program's groups have the mean and the spread of ``draw_groups`` given the same population."""
    family, theta = claim.family, claim.draws.get(claim.family.groups.group_quantity)
    if claim.pooling != "partial" or family.programs.draw_groups is None or theta is None:
        return []
    rng, rest = np.random.default_rng(8), {k: v for k, v in claim.draws.items() if k != family.groups.group_quantity}
    drawn = [family.programs.draw_groups(rng, rest, claim.data) for _ in range(_AGAIN)]
    again = np.stack([d[family.groups.group_quantity] if isinstance(d, Mapping) else d for d in drawn])
    if again.shape[1:] != theta.shape:
        return [f"draw_groups() gives shape {again.shape[1:]}; {family.groups.group_quantity} has {theta.shape}"]
    mean, variance, size = again.mean(axis=0), again.var(axis=0, ddof=1), len(theta)
    off, wide = theta - mean, (theta - mean) ** 2 - variance * (1 + 1 / _AGAIN)
    z = limit(2 * off[0].size)
    for what, values in (("mean", off), ("spread", wide)):
        error = values.std(axis=0, ddof=1) / np.sqrt(size)
        # What the program does not let vary differs by rounding.
        small = _ROUNDING * (1 + np.abs(mean).max(axis=0)) ** 2
        if np.any(np.abs(values.mean(axis=0)) > z * error + small):
            return [f"the {what} of the program's {family.groups.group_quantity} is not that of draw_groups()"]
    return []


def new_rows(claim: Claim) -> list[str]:
    """``new_row`` honours each option of ``prediction``: its row has what a row of the table with that value has."""
    family = claim.family
    if family.groups.new_row is None or claim.variant != family.programs.variants[0].name:
        return []
    options = {name: option for name, option in family.groups.prediction.items() if option.of_row}
    return [problem for name, option in options.items() for problem in _honours(claim, name, option)]


def _honours(claim: Claim, name: str, option: Option) -> list[str]:
    table, problems = claim.table, []
    if option.kind == "table":
        columns = table.predictors.get(name)
        values = {n: columns.values[:, m] for m, n in enumerate(columns.names)} if columns is not None else {}
        tries = [(f"{name}.{n}", column, n) for n, column in values.items()]
    else:
        tries = [(name, table[name] if name in table else np.array([7.0]), "")]
    for label, column, key in tries:
        first = float(column[0])
        differs = column[column != first]
        other = float(differs[0]) if differs.size else 2 * first or 1.0
        one, two = (_design(claim, name, {key: v} if key else v) for v in (first, other))
        changed = [k for k in one if not np.array_equal(one[k], two[k])]
        if not changed:
            problems.append(f"new_row() does not honour {label}: its row is the same for {first:g} and {other:g}")
        elif name in table or key:
            problems += [f"new_row() with {label} = {first:g}: {w}" for w in _unlike(claim, one, two, changed)]
    return problems


def _design(claim: Claim, name: str, value: Any) -> StanData:
    return claim.family.need("new_row", "a proof")(claim.data, {**_read(claim), name: value})[0]  # type: ignore[no-any-return]


def _read(claim: Claim) -> dict[str, Any]:
    """What ``new_row`` is given of the table."""
    return {"coords": claim.family.coordinates(claim.table), "design": claim.table.design}


def _unlike(claim: Claim, one: StanData, two: StanData, changed: list[str]) -> list[str]:
    """Data of the new row that are not those of the first row of the table, which has the same value."""
    differences = []
    for key in changed:
        new, whole = np.asarray(one[key], dtype=float), np.asarray(claim.data[key], dtype=float)
        at = ~np.isclose(new, np.asarray(two[key], dtype=float))
        if new.shape == (1, *whole.shape[1:]) and not np.allclose(new[0][at[0]], whole[0][at[0]]):
            differences.append(f"{key} is {_shown(new[0][at[0]])}, and {_shown(whole[0][at[0]])} in a row of the table")
    return differences
