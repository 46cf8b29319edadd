"""What is predicted of each row by all others: replications of rows, weighted as if the row had not been there.

Gelfand, Dey & Chang (1992); the weights are smoothed (PSIS: Vehtari et al. 2024, JMLR 25(72)). Both the replication and
the weight of a draw must be of one distribution of the row: given its group's own effects, or, where a group has no
other row, of a new group of the population, with the effect integrated out of the weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hbm_stan.densities import density_of, evaluated_of, has_log_lik, log_lik_of
from hbm_stan.errors import ComparisonError
from hbm_stan.fit import Fit
from hbm_stan.leave_one_out import good_k
from hbm_stan.log_sums import log_sum_exp
from hbm_stan.model import Draws
from hbm_stan.portions import VERY_MANY_ROWS, portions
from hbm_stan.psis import ALIKE, smooth
from hbm_stan.replicate import can_replicate
from hbm_stan.table import FloatArray
from hbm_stan.tree import posterior_draws

# Of more rows so many are looked at, evenly spaced in the table, and of a large table so many draws (ours): the band of
# 2,000 rows is 3 % wide, and the Monte Carlo error of a probability from 1,000 draws is at most 1.6 %.
MOST_ROWS, _DRAWS_OF_LARGE = 2000, 1000
_PURPOSE = "leave-one-out replications"


@dataclass(frozen=True, kw_only=True)
class LooPredictive:
    """Weighted replications of ``rows``, places in the table: ``y_rep`` and ``log_weights`` have shape (draw, row).

    Weights sum to 1 in each column. ``elpd_i`` (row,) is the log density of an observed row given all others.
    ``pareto_k`` (row,) is good below ``k_threshold``; what other weights say of their row cannot be trusted.
    """

    rows: npt.NDArray[np.int64]
    y: FloatArray
    y_rep: FloatArray
    log_weights: FloatArray
    elpd_i: FloatArray
    pareto_k: FloatArray
    k_threshold: float

    @property
    def reliable(self) -> npt.NDArray[np.bool_]:
        """Which rows have weights that can be trusted; a k that is not a number is no good k."""
        return np.asarray(self.pareto_k < self.k_threshold)

    def mean(self) -> FloatArray:
        """The expected value of each row, shape (row,)."""
        return self._each(lambda w, y, _: np.sum(w * y, axis=0))

    def below(self) -> tuple[FloatArray, FloatArray]:
        """The probabilities of less than what was observed, and of at most that, shape (row,) each."""
        strictly = self._each(lambda w, y, seen: np.sum(w * (y < seen), axis=0))
        equal = self._each(lambda w, y, seen: np.sum(w * (y == seen), axis=0))
        return np.clip(strictly, 0, 1), np.clip(strictly + equal, 0, 1)

    def drawn(self, rng: np.random.Generator, n: int) -> FloatArray:
        """``n`` data sets, each row from its own predictive distribution, independently: shape (n, row)."""
        sets = np.empty((n, len(self.rows)))
        for j in range(len(self.rows)):
            ends = np.cumsum(np.exp(self.log_weights[:, j]))
            at = np.searchsorted(ends, rng.random(n) * ends[-1], side="right")
            sets[:, j] = self.y_rep[np.minimum(at, len(ends) - 1), j]
        return sets

    def _each(self, of: Callable[[FloatArray, FloatArray, FloatArray], FloatArray]) -> FloatArray:
        """A statistic of each row from weights, replications and what was observed, some rows at a time."""
        parts = [
            of(np.exp(self.log_weights[:, some]), self.y_rep[:, some], self.y[some])
            for some in portions(len(self.rows), len(self.y_rep))
        ]
        return np.concatenate(parts)


def looked_at(n: int, of: int) -> list[str]:
    """That not all rows were looked at; nothing where they were."""
    return [f"{n:,} of {of:,} rows were looked at, evenly spaced in the table."] if n < of else []


def why_not(fit: Fit) -> str:
    """Why rows of a fit have no leave-one-out predictive distribution from its draws; empty where they have."""
    if not has_log_lik(fit):
        return f"{fit.family.name} gives no {fit.family.programs.log_lik}, the log density of each row"
    if not can_replicate(fit):
        return f"{fit.family.name} gives no {fit.family.programs.y_rep}, replications of rows"
    if fit.table.one_row_per_group and fit.pooling == "no":
        return f"without pooling, a {fit.table.noun.one} that is left out with its only row has nothing but its prior"
    return ""


def loo_predictive(fit: Fit) -> LooPredictive:
    """Weighted replications of the rows of a fit; raises ComparisonError where there are none (``why_not``)."""
    if reason := why_not(fit):
        raise ComparisonError(f"{fit.variant}: nothing is predicted of rows that are left out, for {reason}.")
    n = fit.table.n_rows
    rows = np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).round().astype(np.int64))
    if _of_new_groups(fit):
        y_rep, log_lik = _new_groups(fit, rows)
    elif fit.family.groups.loo_rep is not None and not density_of(fit, "observation").own:
        y_rep, log_lik = _given_others(fit, rows)
    elif fit.rows_on_request:
        y_rep, log_lik = _on_request(fit, rows)
    else:
        y_rep = posterior_draws(fit.named["posterior_predictive"], ["y"])["y"][:, rows]
        log_lik = log_lik_of(fit)[:, rows]
    log_weights, elpd, k = np.empty_like(log_lik), np.empty(len(rows)), np.empty(len(rows))
    for some in portions(len(rows), len(log_lik)):
        log_weights[:, some], k[some] = _weights(log_lik[:, some])
        elpd[some] = log_sum_exp(log_weights[:, some] + log_lik[:, some], axis=0)
    return LooPredictive(
        rows=rows,
        y=fit.y[rows],
        y_rep=y_rep,
        log_weights=log_weights,
        elpd_i=elpd,
        pareto_k=k,
        k_threshold=good_k(len(log_lik)),
    )


def _of_new_groups(fit: Fit) -> bool:
    """Whether a row that is left out takes its group with it, and what is left of the model can draw a new one.

    Beside other factors a row says something of their effects too, which the integrated density does not condition on:
    there the row's own effects are kept, and Pareto k says what that is worth.
    """
    family, design = fit.family, fit.table.design
    able = family.groups.new_group is not None and family.twin.simulate is not None
    one_factor = design is None or len(design.factors) <= 1
    alone = fit.table.one_row_per_group and fit.pooling == "partial" and able and one_factor
    return alone and not density_of(fit, "observation").own


def _given_others(fit: Fit, rows: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Replications given the other rows of a group, and log densities, where rows of a group depend on each other."""
    groups, rng = fit.family.groups, fit.rng(_PURPOSE)
    assert groups.loo_rep is not None
    assert groups.loo_log_lik is not None
    chosen, n = _chosen(fit)
    y_rep, log_lik = np.empty((n, len(rows))), np.empty((n, len(rows)))
    for part in portions(n, fit.table.n_rows):
        some = {name: values[part] for name, values in chosen.items()}
        y_rep[part] = groups.loo_rep(rng, some, fit.data, fit.variant, rows)
        log_lik[part] = groups.loo_log_lik(some, fit.data, fit.variant)[:, rows]
    return y_rep, log_lik


def _new_groups(fit: Fit, rows: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Replications in new groups, and log densities with the group's effect integrated out, (draw, row) each."""
    family, rng = fit.family, fit.rng(_PURPOSE)
    density = density_of(fit, "observation").of
    assert density is not None
    y_rep = np.empty((fit.n_draws, len(rows)))
    for part, some in fit.blocks(fit.table.n_rows):
        theta = family.need("new_group", _PURPOSE)(rng, some, fit.data, fit.variant)
        draws = {**some, family.groups.group_quantity: theta}
        y_rep[part] = family.need("simulate", _PURPOSE)(rng, draws, fit.data)[:, rows]
    return y_rep, evaluated_of(fit, density, rows)


def _chosen(fit: Fit) -> tuple[Draws, int]:
    """The draws that rows are replicated at, and how many: of a large table some at equal distances."""
    step = max(1, fit.n_draws // _DRAWS_OF_LARGE) if fit.rows_on_request else 1
    chosen = {name: values[::step] for name, values in fit.draws().items()}
    return chosen, len(next(iter(chosen.values())))


def _weights(log_lik: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log weights of draws for rows that are left out, and their Pareto k: 0 where all draws say the same of a row."""
    log_weights, k = smooth(-log_lik)
    alike = np.ptp(log_lik, axis=0) < ALIKE
    log_weights[:, alike], k[alike] = -np.log(len(log_lik)), 0.0
    return log_weights, k


def _on_request(fit: Fit, rows: npt.NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Replications and log densities of these rows of a large table, (draw, row) each: some draws, block by block."""
    family, rng, (chosen, n) = fit.family, fit.rng(_PURPOSE), _chosen(fit)
    if family.twin.some_rows is not None and fit.table.n_rows > VERY_MANY_ROWS:  # others are not replicated
        some_data = family.twin.some_rows(fit.settled_data, rows)
        y_rep = family.need("simulate", _PURPOSE)(rng, chosen, some_data)
        return y_rep, family.need("pointwise", _PURPOSE)(chosen, some_data)
    y_rep, log_lik = np.empty((n, len(rows))), np.empty((n, len(rows)))
    for part in portions(n, fit.table.n_rows):
        some = {name: values[part] for name, values in chosen.items()}
        y_rep[part] = family.need("simulate", _PURPOSE)(rng, some, fit.data)[:, rows]
        log_lik[part] = family.need("pointwise", _PURPOSE)(some, fit.data)[:, rows]
    return y_rep, log_lik
