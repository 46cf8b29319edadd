"""How much groups differ over the data: by their lines where they have rows, not by an intercept where none are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hbm_stan.families.varying_terms import correlation_matrix
from hbm_stan.fit import Fit
from hbm_stan.table import FloatArray

# A spread below this share of the sd of the raw groups is as good as none (decision-rules, pitfall 17: ours).
NEAR_ZERO = 0.1
_NAMED = 3  # predictors that a sentence names


@dataclass(frozen=True)
class Differences:
    """The sd between groups over the data: its draws, (S,), and the sd of the raw groups, which noise is part of."""

    draws: FloatArray
    raw: float

    @property
    def limit(self) -> float:
        """Below it groups hardly differ."""
        return NEAR_ZERO * self.raw

    @property
    def near_zero(self) -> float:
        """The posterior probability that groups hardly differ; 0 where the raw groups cannot be compared."""
        return float(np.mean(self.draws < self.limit)) if np.isfinite(self.raw) else 0.0


def over_the_data(fit: Fit) -> Differences | None:
    """How much groups differ in their lines over the data; None where groups have no lines, or no population.

    A group's line at a row x is x' theta_j, with variance x' Sigma x over the population of groups (Gelman & Hill 2007,
    section 13.3); of the variances at all rows, the root of the mean. The raw lines are compared with the average line
    where each group has its rows, for elsewhere they are noise.
    """
    draws = fit.draws("mu", "tau", "rho")
    if not {"mu", "tau"} <= draws.keys() or np.ndim(fit.data.get("X", ())) != 2:
        return None
    x, tau = np.asarray(fit.data["X"], dtype=float), _of_all_terms(fit, draws["tau"])
    return Differences(spread_of_lines(x, tau, draws.get("rho")), _raw_spread(fit, x, draws["mu"].mean(axis=0)))


def spread_of_lines(x: FloatArray, tau: FloatArray, rho: FloatArray | None) -> FloatArray:
    """sqrt(mean over rows of x_n' Sigma x_n), (S,): Sigma from the sds (S, K) and correlations (S, K (K - 1) / 2).

    Without correlations coefficients are independent. The mean over rows of x' Sigma x is the sum of the elements of
    Sigma times those of the mean of x x'.
    """
    products = x.T @ x / len(x)
    omega = np.eye(tau.shape[1])[None] if rho is None or not rho.size else correlation_matrix(rho, tau.shape[1])
    variance = np.sum(products * omega * tau[:, :, None] * tau[:, None, :], axis=(1, 2))
    return np.asarray(np.sqrt(np.maximum(variance, 0.0)))  # rounding may leave less than nothing


def _of_all_terms(fit: Fit, tau: FloatArray) -> FloatArray:
    """The sds of all terms, (S, K): those that groups share are 0."""
    size = np.shape(fit.data["X"])[1]
    flat = tau.reshape(len(tau), -1)
    return flat if flat.shape[1] == size else np.pad(flat, ((0, 0), (0, size - flat.shape[1])))


def _raw_spread(fit: Fit, x: FloatArray, average: FloatArray) -> float:
    """The sd of the raw lines about the average line, each at the mean of its group's rows; nan below two of them."""
    if fit.family.groups.raw is None:
        return np.nan
    raw = np.asarray(fit.family.groups.raw(fit.data)[0]).reshape(fit.table.n_groups, -1)
    group = np.asarray(fit.data["group_idx"]) - 1
    means = np.stack([np.bincount(group, weights=column, minlength=len(raw)) for column in x.T], axis=1)
    means /= np.bincount(group, minlength=len(raw))[:, None]
    apart = np.sum(means * (raw - average), axis=1)
    apart = apart[np.isfinite(apart)]
    return float(np.std(apart, ddof=1)) if len(apart) > 1 else np.nan


def intercept_place(fit: Fit) -> str:
    """Where the intercept is, in words: ``at age = 0 and sex = f``; a category stands at the level compared with."""
    predictors = fit.table.predictors.get("predictors")
    if predictors is None or not predictors.names:
        return ""
    indicators = {f"{column}={level}": column for column, levels in predictors.levels.items() for level in levels}
    columns = list(dict.fromkeys(indicators.get(name, name) for name in predictors.names))
    if len(columns) > _NAMED:
        return f"where all {len(columns)} predictors are 0 or at their first level"
    places = [f"{c} = {predictors.levels[c][0] if c in predictors.levels else 0}" for c in columns]
    return f"at {' and '.join(filter(None, [', '.join(places[:-1]), places[-1]]))}"
