"""What the fits say about groups: shrinkage of the known ones, and a group never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.diagnose import summarise
from hbm_stan.elements import element_names, term_of
from hbm_stan.errors import ModelError
from hbm_stan.families.terms.raw import group_column_shift
from hbm_stan.fit import Fit
from hbm_stan.mixing import mcse_mean
from hbm_stan.model import Evidence, Family, Finding, StanData
from hbm_stan.nouns import GROUPS, Noun
from hbm_stan.portions import large_portions, portions
from hbm_stan.scratch import give_back
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

_SHOWN = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of each group in the table
NOTES = {
    "partial": "The new {group} is drawn from the population that the known {groups} come from.",
    "complete": "Complete pooling gives a new {group} the shared value: it denies that {groups} differ.",
    "no": "Without pooling the known {groups} say nothing about a new one: this is the prior.",
}
# What ratios are made of: quantiles of their logs.
RATIOS = {"ratio": "q50", "ratio_q05": "q05", "ratio_q95": "q95"}
Y_NEW = "y_new"  # the name of its new observation, beside those of its quantities


@dataclass(frozen=True)
class NewGroup:
    """Prediction for an unseen group: its quantity and one new observation, one draw for each posterior draw.

    ``quantities`` has one row for each; ``note`` says where the group comes from.
    """

    quantities: pd.DataFrame
    draws: Mapping[str, FloatArray]
    note: str


def predicts_groups(family: Family) -> bool:
    """Whether a family says how a group that was not seen, and a row in it, are drawn."""
    return None not in (family.groups.new_row, family.groups.new_group, family.twin.simulate)


def new_group(fit: Fit, options: Mapping[str, Any] | None = None, **keys: Any) -> NewGroup:
    """Predict an unseen group from the population (without pooling: from the prior, which the note says).

    Options are the keys of ``[prediction]`` that the family has, such as ``standard_error`` of the new observation.
    """
    draws, words = draw_new_group(fit, {**(options or {}), **keys})
    shape = fit.shape
    table = summarise(list(draws), np.array([d.reshape(shape) for d in draws.values()]))
    for prob in (0.25, 0.75):
        table[f"q{round(100 * prob):02d}"] = [np.quantile(d, prob) for d in draws.values()]
    table["p_positive"] = [float(np.mean(d > 0)) for d in draws.values()]
    for name, values in _as_ratios(fit, list(draws.values())).items():
        table[name] = values
    table["meaning"] = [*(_meaning(fit, name) for name in list(draws)[:-1]), fit.table.noun.fill(words)]
    return NewGroup(table, draws, fit.table.noun.fill(NOTES[fit.pooling]))


def draw_new_group(fit: Fit, options: Mapping[str, Any]) -> tuple[dict[str, FloatArray], str]:
    """Draws (S,) of the quantities of an unseen group, and of one new observation, by name; what that is in words."""
    check_options(fit, options)
    read = fit.table
    named = {**options, "coords": fit.family.coordinates(read), "levels": read.levels, "design": read.design}
    design, words = fit.family.need("new_row", "a prediction for a new group")(fit.data, named)
    theta, y = _predicted(fit, design, fit.rng("new group"))
    return {**_by_term(fit, theta), Y_NEW: y}, words


def _predicted(fit: Fit, design: StanData, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """theta (S[, K]) and one observation (S,) of the new group that the design describes."""
    draws = fit.draws()
    theta = fit.family.need("new_group", "a prediction for a new group")(rng, draws, design, fit.variant)
    parameters = {**draws, **of_new_groups(fit, draws, design, rng), fit.family.groups.group_quantity: theta}
    y = fit.family.need("simulate", "a prediction for a new group")(rng, parameters, design)
    return theta[:, 0], y[:, 0]


def of_new_groups(
    fit: Fit, draws: Mapping[str, FloatArray], design: StanData, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """Other parameters of each new group (a residual scale without pooling): those of groups drawn at random."""
    dims = fit.family.programs.dims
    names = [n for n in draws if dims.get(n, ())[:1] == ("group",) and n != fit.family.groups.group_quantity]
    if not names:
        return {}
    size = (len(draws[names[0]]), design["J"])
    chosen = rng.integers(fit.table.n_groups, size=size)
    return {n: draws[n][np.arange(size[0])[:, None], chosen] for n in names}


def check_options(fit: Fit, options: Mapping[str, Any]) -> None:
    """Raise ModelError for an option of ``[prediction]`` that the family lacks, or a number that must be positive."""
    for name, value in options.items():
        if name not in fit.family.groups.prediction:
            known = ", ".join(fit.family.groups.prediction) or "none"
            raise ModelError(f"Prediction: {fit.family.name} has no option {name!r}. Its options: {known}.")
        if fit.family.groups.prediction[name].kind == "positive" and not value > 0:
            raise ModelError(f"Prediction: {name} must be above zero, got {value!r}.")


def _by_term(fit: Fit, theta: FloatArray) -> dict[str, FloatArray]:
    """Draws of a group's quantity by name: ``theta_new``, or ``theta_new[floor]`` for each term."""
    name = f"{fit.family.groups.group_quantity}_new"
    if theta.ndim == 1:
        return {name: theta}
    return {f"{name}[{term}]": theta[:, k] for k, term in enumerate(terms_of(fit))}


def is_ratio(fit: Fit) -> bool:
    """Whether the estimates are ratios, analysed as their logs."""
    return fit.table.dataset.reading.log_scale


def _as_ratios(fit: Fit, draws: Sequence[FloatArray]) -> dict[str, FloatArray]:
    """Median and 90 % interval of each row of draws as ratios; nothing where estimates are none."""
    if not is_ratio(fit):
        return {}
    levels = {name: float(quantile[1:]) / 100 for name, quantile in RATIOS.items()}
    return {name: np.exp([float(np.quantile(row, p)) for row in draws]) for name, p in levels.items()}


def _meaning(fit: Fit, name: str) -> str:
    return f"{term_of(name) or fit.family.words.group_meaning} of a new {fit.table.noun.one}"


def terms_of(fit: Fit) -> tuple[str, ...]:
    """The terms of the group quantity: one empty name where it is a single number."""
    name = fit.family.groups.group_quantity
    dims = fit.family.programs.dims.get(name, ())
    if len(dims) < 2:
        return ("",)
    size = fit.named["posterior"][name].sizes[dims[1]]
    return tuple(map(str, fit.family.coordinates(fit.table).get(dims[1], range(1, size + 1))))


def group_draws(fit: Fit) -> FloatArray:
    """Draws of the group quantity with its terms, shape (S, J, K); K is 1 where it is a single number."""
    name = fit.family.groups.group_quantity
    theta = fit.draws(name)[name]
    return theta.reshape(*theta.shape[:2], -1)


def raw_spread(fit: Fit) -> dict[str, float]:
    """The standard deviation of the raw group estimates, by term; nan where there are too few of them."""
    if fit.family.groups.raw is None:
        return {}
    raw = np.asarray(fit.family.groups.raw(fit.data)[0]).reshape(fit.table.n_groups, -1)
    finite = [column[np.isfinite(column)] for column in raw.T]
    return {t: float(np.std(c, ddof=1)) if len(c) > 1 else np.nan for t, c in zip(terms_of(fit), finite, strict=True)}


def _has_groups(fit: Fit) -> bool:
    """Whether the draws hold the group quantity; those of a user's own family may not."""
    return fit.family.groups.group_quantity in fit.named["posterior"]


def shrinkage_table(fits: Mapping[str, Fit], main: str = "partial_pooling") -> pd.DataFrame:
    """Raw, pooled and partially pooled estimate of each group, with the factor by which it is shrunken.

    The factor is the posterior mean of the population's weight in the group's estimate: 0 keeps the raw estimate,
    1 replaces it by the population's location. A raw estimate of a formula is that of the group's own rows, given the
    coefficients of columns that do not differ within groups, of which these rows say nothing. One row for each group
    and term; columns as in results-schema.md.
    """
    fit = fits[main]
    if not _has_groups(fit):
        return pd.DataFrame(columns=["group", "term", "raw", "partial_pooling", "sd"])
    by_pooling = {f.pooling: f for name, f in fits.items() if name != main and _has_groups(f)}
    by_pooling[fit.pooling] = fit
    terms, labels = terms_of(fit), fit.table.pooled.labels
    theta = group_draws(fit).reshape(fit.n_draws, -1)
    size = (len(labels), len(terms))
    raw, raw_se = _raw(fit, size)
    columns: dict[str, Any] = {"group": np.repeat(labels, len(terms)), "term": terms * len(labels)}
    columns |= {"raw": raw.ravel(), "raw_se": raw_se.ravel()}
    for pooling in ("complete", "no", "partial"):
        other = by_pooling.get(pooling)
        columns[f"{pooling}_pooling"] = means_of(other) if other else np.nan
    columns["sd"] = _by_column(theta, lambda some: some.std(axis=0, ddof=1)[None]).ravel()
    columns["mcse_mean"] = mcse_mean(theta.reshape(*fit.shape, -1).transpose(2, 0, 1))
    quantiles = _by_column(theta, lambda some: np.quantile(some, _SHOWN, axis=0), portions)
    columns |= {f"q{round(100 * prob):02d}": values for prob, values in zip(_SHOWN, quantiles, strict=True)}
    columns["factor"] = _factor(fit, size)
    if is_ratio(fit):
        columns |= {name: np.exp(columns[quantile]) for name, quantile in RATIOS.items()}
    return pd.DataFrame(columns)


def _raw(fit: Fit, size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """The estimates of groups by themselves and their standard errors, on the scale of the fit's own; nan without any.

    Of a formula: given the common coefficients of columns that do not differ within groups.
    """
    if fit.family.groups.raw is None:
        return np.full(size, np.nan), np.full(size, np.nan)
    raw, error = (np.asarray(v).reshape(size) for v in fit.family.groups.raw(fit.data))
    return raw - group_column_shift(fit.draws(), fit.data) if fit.family.terms else raw, error


def means_of(fit: Fit) -> FloatArray:
    """The posterior means of the group quantity, term by term of each group, (J * K,)."""
    draws = group_draws(fit).reshape(fit.n_draws, -1)
    return np.ravel(_by_column(draws, lambda some: some.mean(axis=0)[None]))


def _by_column(
    draws: FloatArray,
    figures: Callable[[FloatArray], FloatArray],
    cut: Callable[[int, int], Iterator[slice]] = large_portions,
) -> FloatArray:
    """What a function of draws (S, columns) gives for each column, (figures, columns); some columns at a time."""
    parts = []
    for some in cut(draws.shape[1], len(draws)):
        parts.append(figures(draws[:, some]))
        give_back(draws)
    return np.concatenate(parts, axis=1)


def _factor(fit: Fit, size: tuple[int, int]) -> FloatArray:
    """The posterior mean of the population's weight, one for each group and term; nan where there is none."""
    unknown, total = np.full(size, np.nan).ravel(), np.zeros(size).ravel()
    if fit.pooling != "partial" or fit.family.groups.shrinkage_factor is None:
        return unknown
    for _, draws in fit.blocks(total.size):
        factor = fit.family.groups.shrinkage_factor(draws, fit.data)
        if factor is None:
            return unknown
        if len(factor) == fit.n_draws:
            return factor.mean(axis=0).ravel()
        for one in factor.reshape(len(factor), -1):  # one by one: their sum does not depend on the blocks
            total += one
    return total / fit.n_draws


def shrinkage_notes(table: pd.DataFrame, noun: Noun = GROUPS) -> list[str]:
    """Groups that moved by more than one posterior sd, so that nobody reads ranks off the raw estimates."""
    moved = table[(table["raw"] - table["partial_pooling"]).abs() > table["sd"]]
    if moved.empty:
        return []
    names = list(dict.fromkeys(str(g) for g in moved["group"]))
    named = ", ".join(names[:8])
    named += f" and {len(names) - 8} more (of {table['group'].nunique()})" if len(names) > 8 else ""
    return [
        f"Moved by more than one posterior sd from the raw estimate: {named}. How far one of the {noun.many} moves "
        "depends on how well it is measured and on how far it lies from the others, not on its size alone."
    ]


def findings(fit: Fit, options: Mapping[str, Any]) -> list[Finding]:
    """The sections of the report that only this family has."""
    if fit.family.words.findings is None:
        return []
    evidence = Evidence(
        variant=fit.variant, draws=fit.draws(), data=fit.data, table=fit.table, options=options, rng=fit.rng("findings")
    )
    return list(fit.family.words.findings(evidence))


def population_names(fit: Fit) -> list[str]:
    """The names of the population's parameters that the variant has, element by element."""
    posterior = fit.named["posterior"]
    return [e for n in fit.family.programs.population if n in posterior for e in element_names(n, posterior[n])]
