"""Data replicated from the posterior, against the observed: would this model make such data?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from hbm_stan.fit import Fit
from hbm_stan.group_means import GroupMeans
from hbm_stan.histograms import counted, edges_of, table_of
from hbm_stan.model import Draws
from hbm_stan.rows import (
    OF_ROWS,
    Rows,
    Statistic,
    dispersions,
    has_dispersion,
    is_ordered,
    row_statistics,
    rows_of,
    spread_factor,
    unlike_in_words,
    unlike_spreads,
    would_describe,
)
from hbm_stan.table import FloatArray
from hbm_stan.tree import posterior_draws
from hbm_stan.verdicts import PREDICTIVE_CHECK, Verdict

if TYPE_CHECKING:
    import pandas as pd
else:
    from hbm_stan.later import pd

INTERVALS = (0.05, 0.25, 0.5, 0.75, 0.95)
# Two-sided p of a statistic in its replications: outside the middle 99 % is a warning, and of single rows of counts
# or successes outside the middle 99.9 % is a failed check (ours).
EXTREME_P, MISFIT_P = 0.01, 0.001
# So many replications can tell a p below 0.001: with none beyond the observed, p is 2/(S + 1).
_REPLICATIONS = 4000
# Replications whose rows are counted in bins: for intervals hundreds are enough (ours).
_HISTOGRAMS = 400

# Observed and replicated statistics, (1,) or (S,) and (S,).
_Pairs = Mapping[Statistic, tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, kw_only=True)
class PredictiveCheck:
    """Replicated data against the observed: statistics with their tail probability, and intervals by group.

    ``p_value`` is the share of replications above the observed, ties counted half; ``p_two_sided`` counts the observed
    data as one more replication, so that it is never 0. ``low`` and ``high`` hold the middle 99.9 % of replications.
    """

    variant: str
    statistics: pd.DataFrame
    groups: pd.DataFrame
    note: str
    verdict: Verdict
    rows: pd.DataFrame | None = None


def _sd(y: FloatArray, axis: int | None = None) -> FloatArray:
    return np.asarray(np.std(y, axis=axis, ddof=1))


_STATISTICS: Mapping[Statistic, tuple[str, Callable[..., FloatArray]]] = {
    Statistic.MEAN: ("mean", np.mean), Statistic.SD: ("standard deviation", _sd),
    Statistic.SMALLEST: ("smallest", np.min), Statistic.LARGEST: ("largest", np.max),
}  # fmt: skip


def can_replicate(fit: Fit) -> bool:
    """Whether rows can be replicated: the program gave them, or they are drawn when asked for."""
    return "posterior_predictive" in fit.named or fit.rows_on_request


def predictive_check(fit: Fit) -> PredictiveCheck:
    """Posterior predictive check by the draws of ``Fit.of_rows``; p is P(T(y_rep) >= T(y)): near 0 or 1 is a misfit."""
    fit = fit.of_rows
    edges = None if fit.family.twin.of_groups is not None else edges_of(_of_rows(fit, fit.y))  # of several kinds none
    seldom = max(1, fit.n_draws // _HISTOGRAMS)
    total = fit.n_draws * _repeats(fit)
    means, parts = GroupMeans(fit.table.n_groups, fit.n_draws, total, very_many=fit.every is not None), []
    for draws, y in _replications(fit):
        if len(chosen := means.chosen(y)):
            means.hold(by_group(fit, chosen))
        parts.append((_pairs(fit, draws, y), _bins(fit, y[::seldom], edges)))
    observed, pairs = by_group(fit, fit.y[None])[0], _joined([some for some, _ in parts])
    in_bins = None if edges is None else np.concatenate([part for _, part in parts if part is not None])
    rows = None if edges is None or in_bins is None else table_of(_of_rows(fit, fit.y), edges, in_bins)
    statistics, replications = compared(pairs, partial(in_words, fit)), len(next(iter(pairs.values()))[1])
    groups = pd.DataFrame({"group": fit.table.pooled.labels, "observed": observed})
    for prob, values in zip(INTERVALS, means.quantiles(INTERVALS), strict=True):
        groups[f"q{round(100 * prob):02d}"] = values
    outside = groups[(groups["observed"] < groups["q05"]) | (groups["observed"] > groups["q95"])]
    things = "observations" if fit.table.one_row_per_group else f"{fit.table.noun.one} means"
    note = (
        f"{_how(fit)} {len(outside)} of {len(groups)} {things} lie outside their 90 % interval; about "
        f"{means.outside * len(groups):.1f} would by chance."
    )
    verdict = _judge(fit, statistics, outside, replications)
    return PredictiveCheck(
        variant=fit.variant, statistics=statistics, groups=groups, note=note, verdict=verdict, rows=rows
    )


def _of_rows(fit: Fit, y: FloatArray) -> FloatArray:
    """Outcomes of rows, (..., N): the share of its trials where rows have some."""
    return np.asarray(y / fit.data["trials"] if fit.family.discrete and fit.family.size else y, dtype=float)


def _bins(fit: Fit, y: FloatArray, edges: FloatArray | None) -> FloatArray | None:
    """How many rows of replications (S, N) lie in each bin, where there are bins."""
    return None if edges is None else counted(_of_rows(fit, y), edges)


def by_group(fit: Fit, y: FloatArray) -> FloatArray:
    """The mean of each group's rows (its rate, where the family has trials or exposure), shape (S, J).

    Where its rows are of several kinds, what the family has in the place of their mean.
    """
    if fit.family.twin.of_groups is not None:
        return fit.family.twin.of_groups(y, fit.data)
    size = np.asarray(fit.data[fit.family.size], dtype=float) if fit.family.size else np.ones(y.shape[1])
    index = fit.table.pooled.level
    if fit.table.one_row_per_group:
        means = np.empty((len(y), fit.table.n_groups))
        means[:, index] = y / size
        return means
    if fit.rows_on_request:  # many rows: one pass over each data set, in any order
        sums = np.stack([np.bincount(index, weights=values, minlength=fit.table.n_groups) for values in y])
        return np.asarray(sums / np.bincount(index, weights=size))
    order, starts = fit.table.by_group  # groups are made contiguous, so that one pass adds them up
    return np.asarray(np.add.reduceat(y[:, order], starts, axis=1) / np.bincount(index, weights=size))


def _of_groups(fit: Fit) -> bool:
    """Whether statistics are of the rates of groups."""
    rates = fit.family.discrete or bool(fit.family.size) or fit.family.twin.of_groups is not None
    return fit.table.one_row_per_group or rates


def statistics_of(fit: Fit, y: FloatArray) -> dict[Statistic, FloatArray]:
    """Statistics of data sets y (S, N), (S,) each: of rows, or of the groups' rates where rows are counts or 0/1."""
    grouped = by_group(fit, y)
    statistics = {name: of(grouped if _of_groups(fit) else y, axis=1) for name, (_, of) in _STATISTICS.items()}
    alone = _of_groups(fit) or fit.table.n_groups == 1
    return statistics if alone else statistics | {Statistic.SD_OF_MEANS: _sd(grouped, axis=1)}


def in_words(fit: Fit, statistic: Statistic) -> str:
    """What a statistic is called."""
    noun = fit.table.noun
    if statistic in OF_ROWS:
        return noun.fill(OF_ROWS[statistic])
    if statistic is Statistic.SD_OF_MEANS:
        return f"standard deviation of the {noun.one} means"
    words, _ = _STATISTICS[statistic]
    plain = fit.table.one_row_per_group or not _of_groups(fit) or statistic is Statistic.MEAN
    return words if plain else f"{words} of the {noun.many}"


def compared(pairs: _Pairs, words: Callable[[Statistic], str] = str) -> pd.DataFrame:
    """The table of statistics; one that is the same in the data and in all replications is left out."""
    told = {kind: (o, r) for kind, (o, r) in pairs.items() if np.ptp(r) or np.any(o != r)}
    rows = [(words(kind), str(kind), *_row(*pair)) for kind, pair in told.items()]
    return pd.DataFrame(rows, columns=_COLUMNS)


_COLUMNS = ["name", "kind", "observed", "replicated_mean", "q05", "q95", "p_value", "p_two_sided", "low", "high"]


def _row(observed: FloatArray, replicated: FloatArray) -> tuple[float, ...]:
    low, q05, q95, high = np.quantile(replicated, [MISFIT_P / 2, 0.05, 0.95, 1 - MISFIT_P / 2])
    above, equal = np.mean(replicated > observed), np.mean(replicated == observed)
    # Ties count half: a discrete statistic that always equals the observed one is no misfit.
    p = above + 0.5 * equal
    beyond = min(above + equal, 1 - above)
    two_sided = min(1.0, 2 * (1 + beyond * len(replicated)) / (1 + len(replicated)))
    numbers = (np.mean(observed), np.mean(replicated), q05, q95, p, two_sided, low, high)
    return tuple(float(v) for v in numbers)


def _pairs(fit: Fit, draws: Draws, y: FloatArray) -> dict[Statistic, tuple[FloatArray, FloatArray]]:
    """Observed and replicated statistics of a block of replications."""
    one, many = statistics_of(fit, fit.y[None]), statistics_of(fit, y)
    rows = rows_of(fit)
    if rows is not None:
        one, many = one | row_statistics(rows, fit.y[None]), many | row_statistics(rows, y)
        if has_dispersion(fit, rows):
            one[Statistic.DISPERSION], many[Statistic.DISPERSION] = dispersions(fit, draws, y)
    if is_ordered(fit):
        unlike = (unlike_spreads(some, fit.table.pooled.level) for some in (fit.y[None], y))
        one[Statistic.UNLIKE], many[Statistic.UNLIKE] = unlike
    return {kind: (one[kind], many[kind]) for kind in one}


def _joined(parts: list[dict[Statistic, tuple[FloatArray, FloatArray]]]) -> _Pairs:
    """The blocks put together; an observed statistic that depends on no draw is one number."""
    joined = {}
    for kind, (observed, _) in parts[0].items():
        of_draws = kind is Statistic.DISPERSION
        first = np.concatenate([part[kind][0] for part in parts]) if of_draws else observed
        joined[kind] = (first, np.concatenate([part[kind][1] for part in parts]))
    return joined


def _of_new_groups(fit: Fit) -> bool:
    """Whether replications draw new groups.

    With partial pooling and one row a group, a group's own theta has seen its only row and repeats it: new thetas are
    drawn from the population instead (Gelman, Meng & Stern 1996, section 2.3), so that a misfit can show.
    """
    family = fit.family
    able = family.groups.new_group is not None and family.twin.simulate is not None
    return fit.table.one_row_per_group and fit.pooling == "partial" and able


def _how(fit: Fit) -> str:
    if _of_new_groups(fit) and fit.family.words.replicated and fit.variant == fit.family.programs.variants[2].name:
        return fit.table.noun.fill(fit.family.words.replicated)
    if _of_new_groups(fit):
        return f"Each replication draws new {fit.table.noun.many} from the population, measured as the known ones are."
    return f"Each replication keeps the value of each {fit.table.noun.one} and draws new errors."


def _repeats(fit: Fit) -> int:
    """How often data are replicated from all draws: once, or often enough to tell a small p of single rows."""
    simulates = fit.family.twin.simulate is not None and rows_of(fit) is not None
    return math.ceil(_REPLICATIONS / fit.n_draws) if simulates else 1


def _replications(fit: Fit) -> Iterator[tuple[dict[str, FloatArray], FloatArray]]:
    """Blocks of draws with their replicated outcomes (S, N); again from the same draws where these are too few."""
    family, rng = fit.family, fit.rng(PREDICTIVE_CHECK)
    for again in range(_repeats(fit)):
        for part, some in fit.blocks(fit.table.n_rows):
            if _of_new_groups(fit):
                theta = family.need("new_group", "replicated groups")(rng, some, fit.data, fit.variant)
                some[family.groups.group_quantity] = theta
            if again or _of_new_groups(fit) or fit.rows_on_request:
                yield some, family.need("simulate", "replicated data")(rng, some, fit.data)
            else:
                yield some, posterior_draws(fit.named["posterior_predictive"], ["y"])["y"][part]


def _judge(fit: Fit, statistics: pd.DataFrame, outside: pd.DataFrame, replications: int) -> Verdict:
    """Failed where a statistic of single rows is far out, a warning where any lies in the outermost hundredth."""
    p, noun = statistics["p_two_sided"], fit.table.noun
    value = float(p.min())
    far, extreme = statistics[statistics["kind"].isin(list(OF_ROWS)) & (p < MISFIT_P)], statistics[p < EXTREME_P]
    if extreme.empty:
        return Verdict(name=PREDICTIVE_CHECK, status="pass", value=value, threshold=EXTREME_P)
    looked = f"of {len(p)} statistics in {replications:,} replications"
    if len(far):
        hint = (
            f"Single rows are not what the model expects (two-sided p below {MISFIT_P:g}; {looked}). {_expected(far)}. "
            f"{_mends(fit, rows_of(fit), far)}"
        )
        first = str(far["name"].iloc[0])
        return Verdict(name=PREDICTIVE_CHECK, status="fail", value=value, threshold=MISFIT_P, hint=hint, subject=first)
    outer = ", ".join(str(g) for g in outside["group"].head(5))
    hint = (
        f"The data are not quite what the model expects (smallest two-sided p {_p(value)}; {looked}). "
        f"{_expected(extreme)}. "
        + (f"{noun.fill('{Groups}')} outside their 90 % interval: {outer}. " if outer else "")
        + "Check units and the spread of the rows; the assumed population or residual may not describe these "
        f"{noun.many}."
    )
    first = str(extreme["name"].iloc[0])
    return Verdict(name=PREDICTIVE_CHECK, status="warn", value=value, threshold=EXTREME_P, hint=hint, subject=first)


def _mends(fit: Fit, rows: Rows | None, far: pd.DataFrame) -> str:
    """What the statistics of rows that lie far out say of the model, and what would describe such rows."""
    above, below = (list(far["kind"][side]) for side in (far["p_value"] < 0.5, far["p_value"] > 0.5))
    if rows is None:
        return unlike_in_words(bool(above), fit.table.noun)
    spread = spread_factor(fit, float(far["observed"][far["kind"] == Statistic.DISPERSION].max()))
    return would_describe(rows, above, below, spread, fit.table.noun)


def _expected(statistics: pd.DataFrame) -> str:
    """Each statistic as observed, and the middle 99.9 % of its replications."""
    ranges = [
        f"{s['name']} {s['observed']:.3g} ({s['low']:.3g} to {s['high']:.3g})" for s in statistics.to_dict("records")
    ]
    return f"Observed, and 99.9 % of replications: {'; '.join(ranges)}"


def _p(value: float) -> str:
    return f"below {MISFIT_P:g}" if value < MISFIT_P else f"{value:.1g}"
