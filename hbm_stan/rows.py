"""Single rows of counts and of successes, observed and replicated: zeros, largest, spread, Pearson dispersion.

Rates of groups may be replicated well by a model whose rows spread far more than its likelihood allows. Each statistic
is a number for each data set, whatever the order of its rows; in words, what would describe rows that lie far out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from hbm_stan.fit import Fit
from hbm_stan.likelihoods import likelihood, with_extra_zeros
from hbm_stan.likelihoods.likelihood import Likelihood
from hbm_stan.model import Draws
from hbm_stan.nouns import Noun, capital
from hbm_stan.table import FloatArray


class Statistic(StrEnum):
    """A statistic of a data set: of its rows, or of the rates of its groups where rows are counts or 0 and 1."""

    MEAN = "mean"
    SD = "sd"
    SMALLEST = "smallest"
    LARGEST = "largest"
    SD_OF_MEANS = "sd_of_means"
    ZEROS = "zeros"
    FULL = "full"
    LARGEST_ROW = "largest_row"
    SD_OF_ROWS = "sd_of_rows"
    DISPERSION = "dispersion"
    UNLIKE = "unlike_spreads"


# Those of single rows, in words.
OF_ROWS: Mapping[Statistic, str] = {
    Statistic.ZEROS: "rows of 0",
    Statistic.FULL: "rows of successes only",
    Statistic.LARGEST_ROW: "largest row",
    Statistic.SD_OF_ROWS: "standard deviation of the rows",
    Statistic.DISPERSION: "Pearson dispersion of the rows",
    Statistic.UNLIKE: "how unlike the spreads within {groups} are",
}
_SPREADS = {Statistic.DISPERSION, Statistic.SD_OF_ROWS, Statistic.LARGEST_ROW}
_LEAST_ROWS = 3  # of a group whose spread is looked at


@dataclass(frozen=True)
class Rows:
    """What the rows of a fit are: counts, or successes of ``trials`` (N,). ``alone`` where each group has one row.

    ``likelihood`` is the one that describes them; ``formula`` says whether the model is of a formula, which can have
    another.
    """

    trials: FloatArray | None
    alone: bool
    likelihood: Likelihood
    formula: bool


def rows_of(fit: Fit) -> Rows | None:
    """The rows as counts or successes; None for other outcomes, and for 0 and 1, which cannot spread more or less."""
    outcome = fit.family.outcome(fit.table)
    role = next((r for r in fit.family.roles if r.name == outcome), None)
    if role is None or role.kind != "count":
        return None
    trials = fit.table.values.get(role.at_most)
    if trials is not None and trials.max() <= 1:
        return None
    plain = "poisson" if trials is None else "binomial"
    own = likelihood(fit.family.name if fit.family.terms else plain)
    return Rows(trials, fit.table.one_row_per_group, own, fit.family.terms)


def is_ordered(fit: Fit) -> bool:
    """Whether rows are ordered categories, in groups of which two or more have rows enough to show their spread."""
    of_group = np.bincount(fit.table.pooled.level)
    ordered = any(r.name == fit.family.outcome(fit.table) and r.kind == "ordered" for r in fit.family.roles)
    return ordered and int(np.count_nonzero(of_group >= _LEAST_ROWS)) > 1


def unlike_spreads(y: FloatArray, group: npt.NDArray[np.int64]) -> FloatArray:
    """The sd over groups of the sd of their categories, numbered 1, 2, ..., for data sets y (S, N): (S,).

    Thresholds give categories their shares whatever these are, and groups their means; that all groups spread alike
    about their means is what the model claims beyond that.
    """
    of_group = np.bincount(group)
    spreads = [y[:, group == j].std(axis=1, ddof=1) for j in np.flatnonzero(of_group >= _LEAST_ROWS)]
    return np.asarray(np.std(spreads, axis=0, ddof=1))


def row_statistics(rows: Rows, y: FloatArray) -> dict[Statistic, FloatArray]:
    """Statistics of the rows of data sets y (S, N), (S,) each.

    Where each group has one row, the rows are the groups, whose rates have a largest value and an sd already.
    """
    statistics = {Statistic.ZEROS: np.count_nonzero(y == 0, axis=1)}
    if rows.trials is not None:
        statistics[Statistic.FULL] = np.count_nonzero(y == rows.trials, axis=1)
    if not rows.alone:
        if rows.trials is None:
            statistics[Statistic.LARGEST_ROW] = y.max(axis=1)
        statistics[Statistic.SD_OF_ROWS] = np.std(y if rows.trials is None else y / rows.trials, axis=1, ddof=1)
    return {name: np.asarray(values, dtype=float) for name, values in statistics.items()}


def pearson_dispersion(y: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Mean of (y - mean)^2 / variance over the rows, (S,): about 1 where rows spread as the likelihood says.

    A discrepancy of data and parameters (Gelman, Meng & Stern 1996, eq. 8): mean and variance are those of each draw.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = (y - mean) ** 2 / variance
    # A row without spread that is as it must be adds nothing.
    return np.asarray(np.where(y == mean, 0, terms).mean(axis=1))


def has_dispersion(fit: Fit, rows: Rows) -> bool:
    """Whether the rows' dispersion says something: a group's own value, seen in its only row, leaves none."""
    given = fit.family.twin.row_moments is not None and fit.family.groups.group_quantity in fit.named["posterior"]
    return not rows.alone and given


def dispersions(fit: Fit, draws: Draws, y_rep: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The Pearson dispersion of the observed and of the replicated rows under each of these draws, (S,) each."""
    mean, variance = fit.family.need("row_moments", "the dispersion of rows")(draws, fit.data)
    return pearson_dispersion(fit.y[None], mean, variance), pearson_dispersion(y_rep, mean, variance)


def spread_factor(fit: Fit, dispersion: float) -> float:
    """By how much the sd of rows about their group exceeds the likelihood's; nan where groups leave no rows for it.

    Each coefficient of a group takes one row's worth of dispersion, in the estimate or in the spread of its draws.
    """
    if math.isnan(dispersion):
        return math.nan
    effects = np.asarray(fit.named["posterior"][fit.family.groups.group_quantity].values)[0, 0]  # (J[, K])
    taken = effects[0].size if fit.pooling == "complete" else effects.size
    left = fit.y.size - taken
    return math.sqrt(max((dispersion * fit.y.size - taken) / left, 0)) if left > 0 else math.nan


def _mended(rows: Rows, wider: str) -> str:
    """The likelihood that describes rows which spread more, and how to have it; empty where there is none."""
    return f": {likelihood(wider).rows_words} would describe them, {_how(rows, wider)}" if wider else ""


def _how(rows: Rows, name: str) -> str:
    """How to have another likelihood."""
    if rows.formula:
        return f'likelihood = "{name}" in analysis.toml or --likelihood {name}'
    return f"as in hbm new FILE 'y ~ 1 + (1 | group)' --likelihood {name}"


def _more_zeros(rows: Rows, where: str, first: bool) -> str:
    """What would have more rows of 0 (``where``); ``first`` where nothing else was said that would."""
    if rows.likelihood.counts is not None:
        return 'Let the share of extra zeros depend on what may explain it: zi = "~ x" in analysis.toml or --zi "~ x".'
    inflated = with_extra_zeros(rows.likelihood)
    if inflated is None:
        what = "A zero-inflated likelihood" if first else "If that is not enough, a zero-inflated likelihood"
        return f"{what} would have more rows of {where}; this version has none (hbm new-family begins your own)."
    what = capital(inflated.rows_words) if first else f"If that is not enough, {inflated.rows_words}"
    return f"{what} would have more rows of {where}, {_how(rows, inflated.name)}."


def unlike_in_words(above: bool, noun: Noun) -> str:
    """What it means that groups differ in their spreads more (``above``), or less, than ordered categories do."""
    if not above:
        return (
            f"{noun.fill('{Groups}')} spread more alike than the model expects: are categories parts of a fixed total?"
        )
    return (
        f"Some {noun.many} use the middle categories and others the ends, or they do not share thresholds. One set "
        f"of thresholds cannot describe that: an odds ratio is a mean over unlike {noun.many}."
    )


def would_describe(rows: Rows, above: Collection[str], below: Collection[str], spread: float, noun: Noun) -> str:
    """What would describe rows of which these statistics lie above, or below, what is expected.

    ``spread`` is what ``spread_factor`` gives.
    """
    what, sentences, wider = rows.likelihood.rows_words, [], rows.likelihood.wider
    if _SPREADS & set(above):
        sentences.append(f"Rows spread more than {what} do (over-dispersion){_mended(rows, wider)}.")
    elif _SPREADS & set(below):
        sentences.append(
            f"Rows spread less than {what} do (under-dispersion): is a row a mean, rounded, capped, or a part of a "
            "fixed total?"
        )
    if {Statistic.ZEROS, Statistic.FULL} & set(above):
        words = {Statistic.ZEROS: "0", Statistic.FULL: "successes only"}
        where = " or ".join(word for statistic, word in words.items() if statistic in above)
        sentences.append(_more_zeros(rows, where, first=not sentences))
    if {Statistic.ZEROS, Statistic.FULL} & set(below):
        sentences.append("Were rows of none, or of all, left out of the table?")
    if spread > 1 and Statistic.DISPERSION in above:
        sentences.append(f"Intervals of {noun.many} are about {spread:.1f} times too narrow.")
    return " ".join(sentences)
