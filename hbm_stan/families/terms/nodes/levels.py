"""Rows of groups side by side: their density at coefficients, and where these lie given a population.

Given the population the groups are independent of each other: Newton's steps are taken in all of them at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hbm_stan.families.terms.effects import groups_of, take_rows
from hbm_stan.integrate.structure import IntArray
from hbm_stan.likelihoods.likelihood import Likelihood, Rows, some_rows
from hbm_stan.model import StanData
from hbm_stan.table import FloatArray

# Newton's method: its longest step in eta, most steps, and the step, in sds of a group's coefficients, that is none.
_STEP, _STEPS, _ARRIVED = 2.0, 50, 1e-5


@dataclass(frozen=True, kw_only=True)
class GroupRows:
    """Rows in the order of groups: columns (N, K) of what varies, known part of eta (N,), sizes of groups (J,)."""

    likelihood: Likelihood
    rows: Rows
    columns: FloatArray
    offset: FloatArray
    sizes: IntArray

    @classmethod
    def of(cls, likelihood: Likelihood, data: StanData) -> GroupRows:
        """The rows of data whose only terms are those of the group."""
        group = groups_of(data)
        some = take_rows(data, np.argsort(group, kind="stable"))
        return cls(
            likelihood=likelihood, rows=some, columns=np.asarray(some["Z"], dtype=float)[:, : data["KG"]],
            offset=np.asarray(some["offset_"], dtype=float), sizes=np.bincount(group, minlength=data["J"]),
        )  # fmt: skip

    def of_groups(self, taken: IntArray) -> GroupRows:
        """The rows of these groups (in ascending order) only."""
        rows = np.flatnonzero(np.isin(np.repeat(np.arange(self.n_groups), self.sizes), taken))
        return replace(
            self, rows=some_rows(self.rows, rows), columns=self.columns[rows], offset=self.offset[rows],
            sizes=self.sizes[taken],
        )  # fmt: skip

    @property
    def n_groups(self) -> int:
        """The number of groups, J."""
        return len(self.sizes)

    def eta(self, theta: FloatArray) -> FloatArray:
        """The linear predictor of each row at coefficients (..., J, K), (..., N)."""
        eta = np.empty((*theta.shape[:-2], len(self.columns)))
        eta[...] = self.offset
        for k in range(theta.shape[-1]):
            eta += np.repeat(theta[..., k], self.sizes, axis=-1) * self.columns[:, k]
        return eta

    def by_group(self, values: FloatArray) -> FloatArray:
        """Sums of values of rows (..., N) by group, (..., J)."""
        return np.add.reduceat(values, np.cumsum(self.sizes) - self.sizes, axis=-1)

    def log_lik(self, theta: FloatArray) -> FloatArray:
        """log p of each group's rows at its coefficients (..., J, K), but for their constant, (..., J)."""
        return self.by_group(self.likelihood.kernel(self.eta(theta), self.rows, {}))

    def slopes(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First derivatives of ``log_lik`` at (..., J, K), (..., J, K), and minus the second ones, (..., J, K, K)."""
        eta, z = self.eta(theta), self.columns
        score, weight = (f(eta, self.rows, {}) for f in (self.likelihood.score, self.likelihood.weight))
        first, second = np.empty(theta.shape), np.empty((*theta.shape, z.shape[1]))
        for k in range(z.shape[1]):
            first[..., k] = self.by_group(score * z[:, k])
            for m in range(k + 1):
                second[..., k, m] = second[..., m, k] = self.by_group(weight * z[:, k] * z[:, m])
        return first, second


@dataclass(frozen=True, kw_only=True)
class Modes:
    """Where each group's coefficients lie given its rows and a population: the mode (J, K); there the first (J, K) and
    minus the second derivatives (J, K, K) of the density of its rows, and the precision given both (J, K, K)."""

    theta: FloatArray
    first: FloatArray
    second: FloatArray
    precision: FloatArray

    def of_groups(self, taken: IntArray) -> Modes:
        """Those of these groups only."""
        return Modes(
            theta=self.theta[taken], first=self.first[taken], second=self.second[taken], precision=self.precision[taken]
        )


def find_level_modes(
    groups: GroupRows, mean: FloatArray, precision: FloatArray, start: FloatArray, arrived: float = _ARRIVED
) -> Modes:
    """The modes given a population of this mean (K,) and precision (K, K), from ``start`` (J, K).

    Of many populations side by side where all begin with their axis, the rows' offset too if it differs between them.
    ``arrived`` is the last step, in sds of a group's coefficients.
    """
    theta, starts = np.array(start), np.cumsum(groups.sizes) - groups.sizes
    mean, of_each = mean[..., None, :], precision[..., None, :, :]
    for _ in range(_STEPS):
        first, second = groups.slopes(theta)
        both = second + of_each
        step = np.linalg.solve(both, (first - (theta - mean) @ precision)[..., None])[..., 0]
        along = np.abs(groups.eta(step) - groups.offset)
        farthest = np.maximum.reduceat(along, starts, axis=-1)
        theta += step / np.maximum(1, farthest / _STEP)[..., None]
        if np.einsum("...k,...kl,...l->...", step, both, step).max() < arrived**2:
            break
    first, second = groups.slopes(theta)
    return Modes(theta=theta, first=first, second=second, precision=second + of_each)
