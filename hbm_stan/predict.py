"""What the fits say about groups: shrinkage of the known ones, a group never seen, and replicated data."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hbm_stan.diagnose import summarise
from hbm_stan.errors import ModelError
from hbm_stan.fit import Fit
from hbm_stan.model import posterior_draws
from hbm_stan.table import FloatArray
from hbm_stan.verdicts import Verdict

INTERVALS = (0.05, 0.25, 0.5, 0.75, 0.95)
# A statistic this far out in its replications is called a misfit: a convention of ours.
EXTREME_P = 0.01


@dataclass(frozen=True)
class NewGroup:
    """Prediction for an unseen group: its quantity and one new observation, one draw for each posterior draw.

    ``quantities`` has one row for each; ``note`` says where the group comes from.
    """

    quantities: pd.DataFrame
    draws: Mapping[str, FloatArray]
    note: str


def _rng(fit: Fit, purpose: str) -> np.random.Generator:
    """A generator fixed by the seed, the variant and the purpose: the same report twice."""
    return np.random.default_rng([fit.sampling.seed, zlib.crc32(f"{fit.variant} {purpose}".encode())])


def new_group(fit: Fit, standard_error: float | None = None) -> NewGroup:
    """Predict an unseen group from the population (without pooling: from the prior, which the note says).

    ``standard_error`` is that of the new observation; by default the median of the data.
    """
    if standard_error is not None and not standard_error > 0:
        raise ModelError(f"Prediction: standard_error must be above zero, got {standard_error!r}.")
    se = float(np.median(fit.data["se"])) if standard_error is None else float(standard_error)
    rng = _rng(fit, "new group")
    theta = fit.family.new_group(rng, fit.population, fit.data, fit.variant)
    y = fit.family.simulate(rng, {"theta": theta}, {"se": se})
    shape = (fit.sampling.chains, fit.sampling.draws)
    draws = {"theta_new": theta, "y_new": y}
    table = summarise(list(draws), np.array([d.reshape(shape) for d in draws.values()]))
    for prob in (0.25, 0.75):
        table[f"q{round(100 * prob):02d}"] = [np.quantile(d, prob) for d in draws.values()]
    table["p_positive"] = [float(np.mean(d > 0)) for d in draws.values()]
    table["meaning"] = ["value of a new group", f"estimate in a new group, measured with standard error {se:g}"]
    pooling = fit.family.variant(fit.variant).pooling
    note = {
        "partial": "The new group is drawn from the population that the known groups come from.",
        "complete": "Complete pooling gives a new group the shared value: it denies that groups differ.",
        "no": "Without pooling the known groups say nothing about a new one: this is the prior.",
    }[pooling]
    return NewGroup(table, draws, note)


def shrinkage_table(fits: Mapping[str, Fit], main: str) -> pd.DataFrame:
    """Raw, pooled and partially pooled estimate of each group, with the factor by which it is shrunken.

    The factor is the posterior mean of the population's weight in the group's estimate: 0 keeps the raw estimate,
    1 replaces it by the population's location. Columns as in results-schema.md.
    """
    fit = fits[main]
    by_pooling = {f.family.variant(name).pooling: f for name, f in fits.items() if name != main}
    by_pooling[fit.family.variant(main).pooling] = fit
    theta = fit.draws(fit.family.group_quantity)[fit.family.group_quantity]
    chains = np.moveaxis(theta.reshape(fit.sampling.chains, fit.sampling.draws, -1), 2, 0)
    table = pd.DataFrame({"group": fit.table.labels, "raw": fit.data["y"], "raw_se": fit.data["se"]})
    for pooling in ("complete", "no", "partial"):
        other = by_pooling.get(pooling)
        table[f"{pooling}_pooling"] = _group_means(other) if other else np.nan
    from arviz_stats.base import array_stats as az

    table["sd"] = theta.std(axis=0, ddof=1)
    table["mcse_mean"] = az.mcse(chains, method="mean")
    for prob in (0.05, 0.25, 0.75, 0.95):
        table[f"q{round(100 * prob):02d}"] = np.quantile(theta, prob, axis=0)
    population = fit.population
    has_scale = fit.family.population_scale in population
    table["factor"] = fit.family.shrinkage_factor(population, fit.data).mean(axis=0) if has_scale else np.nan
    return table


def _group_means(fit: Fit) -> FloatArray:
    return np.asarray(fit.draws(fit.family.group_quantity)[fit.family.group_quantity].mean(axis=0))


def shrinkage_notes(table: pd.DataFrame) -> list[str]:
    """Groups that moved by more than one posterior sd, so that nobody reads ranks off the raw estimates."""
    moved = table[(table["raw"] - table["partial_pooling"]).abs() > table["sd"]]
    if moved.empty:
        return []
    named = ", ".join(str(g) for g in moved["group"].head(8))
    named += f" and {len(moved) - 8} more (of {len(table)})" if len(moved) > 8 else ""
    return [
        f"Moved by more than one posterior sd from the raw estimate: {named}. How far a group moves depends on its "
        "standard error and on how far it lies from the others, not on its size alone."
    ]


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
    "mean": np.mean,
    "standard deviation": _sd,
    "smallest": np.min,
    "largest": np.max,
}


def predictive_check(fit: Fit) -> PredictiveCheck:
    """Posterior predictive check; the p value is P(T(y_rep) >= T(y)): near 0 or 1 is a misfit."""
    y_rep, note = _replicated(fit)
    y = np.asarray(fit.data["y"])
    rows = []
    for name, statistic in _STATISTICS.items():
        replicated = statistic(y_rep, axis=1)
        low, high = np.quantile(replicated, [0.05, 0.95])
        observed = float(statistic(y))
        rows.append((name, observed, float(replicated.mean()), low, high, float(np.mean(replicated >= observed))))
    statistics = pd.DataFrame(rows, columns=["name", "observed", "replicated_mean", "q05", "q95", "p_value"])
    groups = pd.DataFrame({"group": fit.table.labels, "observed": y})
    for prob, values in zip(INTERVALS, np.quantile(y_rep, INTERVALS, axis=0), strict=True):
        groups[f"q{round(100 * prob):02d}"] = values
    outside = groups[(groups["observed"] < groups["q05"]) | (groups["observed"] > groups["q95"])]
    note += (
        f" {len(outside)} of {len(y)} observations lie outside their 90 % interval; about "
        f"{0.1 * len(y):.1f} would by chance."
    )
    return PredictiveCheck(fit.variant, statistics, groups, note, _judge(statistics, outside))


def _replicated(fit: Fit) -> tuple[FloatArray, str]:
    """Replicated outcomes, shape (draw, observation), and how they were made.

    With partial pooling and one row a group, a group's own theta has seen its only row and repeats it: new thetas are
    drawn from the population instead (Gelman, Meng & Stern 1996, section 2.3), so that a misfit can show.
    """
    if fit.family.one_row_per_group and fit.family.variant(fit.variant).pooling == "partial":
        rng = _rng(fit, "predictive check")
        population = fit.population
        theta = [fit.family.new_group(rng, population, fit.data, fit.variant) for _ in fit.table.labels]
        note = "Each replication draws new groups from the population, with the standard errors of the known ones."
        return fit.family.simulate(rng, {"theta": np.stack(theta, axis=1)}, fit.data), note
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
    groups = ", ".join(str(g) for g in outside["group"].head(5))
    hint = (
        f"The {named} of the data is not what the model expects (p value {extreme['p_value'].iloc[0]:.3f}). "
        + (f"Groups outside their 90 % interval: {groups}. " if groups else "")
        + "Check units and standard errors; a normal population may not describe these groups."
    )
    return Verdict("predictive check", "warn", value, EXTREME_P, hint, str(extreme["name"].iloc[0]))
