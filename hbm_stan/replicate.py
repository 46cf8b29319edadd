"""Data replicated from the prior and from the posterior, against the observed: would this model make such data?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from hbm_stan.fit import Fit, term_of
from hbm_stan.levels import FEW_GROUPS
from hbm_stan.model import posterior_draws
from hbm_stan.predict import raw_spread, rng_for
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

INTERVALS = (0.05, 0.25, 0.5, 0.75, 0.95)
# A statistic this far out in its replications is called a misfit: a convention of ours.
EXTREME_P = 0.01
# Data sets drawn from the prior: the ends of a 90 % interval are then known to about one part in a hundred.
PRIOR_SETS = 1000


@dataclass(frozen=True)
class PredictiveCheck:
    """Replicated data against the observed: statistics with their tail probability, and intervals by group."""

    variant: str
    statistics: pd.DataFrame
    groups: pd.DataFrame
    note: str
    verdict: Verdict


def _sd(y: FloatArray, axis: int | None = None) -> FloatArray:
    return np.asarray(np.std(y, axis=axis, ddof=1))


_STATISTICS: Mapping[str, Callable[..., FloatArray]] = {
    "mean": np.mean, "standard deviation": _sd, "smallest": np.min, "largest": np.max,
}  # fmt: skip


def predictive_check(fit: Fit) -> PredictiveCheck:
    """Posterior predictive check; the p value is P(T(y_rep) >= T(y)): near 0 or 1 is a misfit."""
    y_rep, note = _replicated(fit)
    observed, replicated = by_group(fit, fit.y[None])[0], by_group(fit, y_rep)
    statistics = _statistics(fit, y_rep)
    groups = pd.DataFrame({"group": fit.table.labels, "observed": observed})
    for prob, values in zip(INTERVALS, np.quantile(replicated, INTERVALS, axis=0), strict=True):
        groups[f"q{round(100 * prob):02d}"] = values
    outside = groups[(groups["observed"] < groups["q05"]) | (groups["observed"] > groups["q95"])]
    things = "observations" if fit.table.one_row_per_group else "group means"
    note += (
        f" {len(outside)} of {len(groups)} {things} lie outside their 90 % interval; about "
        f"{0.1 * len(groups):.1f} would by chance."
    )
    return PredictiveCheck(fit.variant, statistics, groups, note, _judge(statistics, outside))


def prior_check(fit: Fit) -> pd.DataFrame:
    """What the priors alone expect of the data: the statistics of data sets drawn from them, beside the observed.

    Empty where the family cannot draw from its priors. Columns as the statistics of the posterior predictive check.
    """
    family = fit.family
    if family.prior_draws is None or family.new_group is None or family.simulate is None or fit.pooling != "partial":
        return pd.DataFrame()
    rng = rng_for(fit, "prior predictive check")
    with np.errstate(over="ignore", invalid="ignore"):
        priors = family.priors_of(fit.variant, fit.priors)
        draws = family.prior_draws(rng, priors, fit.data, PRIOR_SETS)
        theta = family.new_group(rng, draws, fit.data, fit.variant)
        y = family.simulate(rng, {**draws, family.group_quantity: theta}, fit.data)
    return _statistics(fit, y[np.isfinite(y).all(axis=1)])


def check_priors(fit: Fit) -> list[Verdict]:
    """Warnings on priors of how much groups differ: flat ones, and heavy-tailed ones with few groups.

    Gelman (2006), Bayesian Analysis 1:515; decision-rules, pitfall 15. The share of the prior beyond the sd of the raw
    estimates says how much it favours groups that differ by more than the data show at first sight.
    """
    spread = raw_spread(fit)
    verdicts = []
    for name, prior in fit.family.priors_of(fit.variant, fit.priors).items():
        base = name.partition("[")[0]
        sd = spread.get(term_of(name), np.nan) if base == fit.family.population_scale else np.nan
        few = len(fit.table.labels) < FEW_GROUPS
        if prior.distribution != "uniform" and not (prior.distribution == "half_cauchy" and few):
            continue
        beyond = float(1 - prior.cumulative(sd)) if np.isfinite(sd) else None
        share = (
            "" if beyond is None else f" {100 * beyond:.0f} % of it lies above {sd:.3g}, the sd of the raw estimates."
        )
        why = (
            "a flat prior has an end that nobody believes in and favours large values"
            if prior.distribution == "uniform"
            else f"with {len(fit.table.labels)} groups its tail decides how large {name} may be"
        )
        advice = "A half-normal on the scale of the data is the usual choice."
        hint = f"The prior of {name} is {prior.text}: {why}.{share} {advice}"
        verdicts.append(Verdict("prior of a scale", "warn", beyond, None, hint, name))
    return verdicts


def by_group(fit: Fit, y: FloatArray) -> FloatArray:
    """The mean of each group's rows (its rate, where the family has trials or exposure), shape (S, J)."""
    size = np.asarray(fit.data[fit.family.size], dtype=float) if fit.family.size else np.ones(y.shape[1])
    index = fit.table.group
    if fit.table.one_row_per_group:
        means = np.empty((len(y), len(fit.table.labels)))
        means[:, index] = y / size
        return means
    return _sums(y, index) / np.bincount(index, weights=size)


def _sums(y: FloatArray, index: npt.NDArray[np.int64]) -> FloatArray:
    """Sums of the columns of each group; groups are made contiguous, so that one pass adds them up."""
    order = np.argsort(index, kind="stable")
    starts = np.flatnonzero(np.diff(index[order], prepend=-1))
    return np.asarray(np.add.reduceat(y[:, order], starts, axis=1))


def _statistics(fit: Fit, y_rep: FloatArray) -> pd.DataFrame:
    """Statistics of the rows (of the groups' rates, where rows are counts or 0/1), observed and replicated."""
    y, rows = fit.y[None], []
    grouped = (by_group(fit, y)[0], by_group(fit, y_rep))
    of_groups = fit.table.one_row_per_group or fit.family.discrete or bool(fit.family.size)
    one, many = grouped if of_groups else (y[0], y_rep)
    for name, statistic in _STATISTICS.items():
        said = name if fit.table.one_row_per_group or not of_groups or name == "mean" else f"{name} of the groups"
        rows.append(_row(said, float(statistic(one)), statistic(many, axis=1)))
    if not of_groups:
        rows.append(_row("standard deviation of the group means", float(_sd(grouped[0])), _sd(grouped[1], axis=1)))
    return pd.DataFrame(rows, columns=["name", "observed", "replicated_mean", "q05", "q95", "p_value"])


def _row(name: str, observed: float, replicated: FloatArray) -> tuple[str, float, float, float, float, float]:
    low, high = np.quantile(replicated, [0.05, 0.95])
    # Ties count half: a discrete statistic that always equals the observed one is no misfit.
    p = float(np.mean(replicated > observed) + 0.5 * np.mean(replicated == observed))
    return name, observed, float(replicated.mean()), float(low), float(high), p


def _replicated(fit: Fit) -> tuple[FloatArray, str]:
    """Replicated outcomes, shape (draw, observation), and how they were made.

    With partial pooling and one row a group, a group's own theta has seen its only row and repeats it: new thetas are
    drawn from the population instead (Gelman, Meng & Stern 1996, section 2.3), so that a misfit can show.
    """
    family = fit.family
    if fit.table.one_row_per_group and fit.pooling == "partial" and family.new_group and family.simulate:
        rng = rng_for(fit, "predictive check")
        draws = fit.draws()
        theta = family.new_group(rng, draws, fit.data, fit.variant)
        note = "Each replication draws new groups from the population, measured as the known ones are."
        return family.simulate(rng, {**draws, family.group_quantity: theta}, fit.data), note
    y_rep = posterior_draws(fit.tree["posterior_predictive"].to_dataset(), ["y"])["y"]
    return y_rep, "Each replication keeps the value of each group and draws new errors."


def _judge(statistics: pd.DataFrame, outside: pd.DataFrame) -> Verdict:
    """A warning where a statistic of the data lies in the outermost hundredth of its replications."""
    p = statistics["p_value"]
    extreme = statistics[(p < EXTREME_P) | (p > 1 - EXTREME_P)]
    value = float(np.minimum(p, 1 - p).min())
    if extreme.empty:
        return Verdict("predictive check", "pass", value, EXTREME_P)
    named = " and ".join(extreme["name"])
    verb, first = ("is" if len(extreme) == 1 else "are"), float(extreme["p_value"].iloc[0])
    said = f"below {EXTREME_P}" if first < EXTREME_P else f"above {1 - EXTREME_P}"
    groups = ", ".join(str(g) for g in outside["group"].head(5))
    hint = (
        f"The {named} of the data {verb} not what the model expects (p value {said}). "
        + (f"Groups outside their 90 % interval: {groups}. " if groups else "")
        + "Check units and the spread of the rows; the assumed population or residual may not describe these groups."
    )
    return Verdict("predictive check", "warn", value, EXTREME_P, hint, str(extreme["name"].iloc[0]))
