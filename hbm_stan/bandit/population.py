"""What all arms together say of their population: weights of the nodes of a grid, brought up to date as counts come in.

A trial of an arm with y successes of n multiplies the density at (mu, kappa) by (mu kappa + y) / (kappa + n), or by
((1 - mu) kappa + n - y) / (kappa + n) where it failed: the predictive probability given the population. So one trial
costs a logarithm at each node, however many arms there are. The nodes are laid anew where the posterior has moved to
their edge, or has become too narrow for them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hbm_stan.bandit.evidence import Evidence
from hbm_stan.bandit.grid import STEPS, Grid, lay_grid
from hbm_stan.later import expit
from hbm_stan.likelihoods.rising import log_rising
from hbm_stan.priors import Prior
from hbm_stan.table import FloatArray

# Of the mass, what may lie on the outermost nodes: more, and some lies beyond them (ours).
EDGE = 1e-6
# The least effective number of nodes in either direction, 1 / sum(weight^2). A normal density with nodes one sd apart
# has 2 sqrt(pi) = 3.5; at 3.0 they are 1.2 sds apart, where the trapezoidal rule is off by 2 exp(-2 pi^2 / 1.2^2) =
# 2e-6 (Trefethen and Weideman 2014, SIAM Review 56, theorem 5.1).
FEWEST = 3.0
_TINY = np.finfo(float).tiny
_MANY = 50  # changed arms: from here on to evaluate all counts is no slower than to add up the changes


class Population:
    """The posterior of mean rate and concentration given the counts of all arms, on a grid that follows it.

    ``grid`` has the nodes; ``hits`` and ``misses`` are the counts of each arm, shape (arms,). ``learn`` adds to them,
    and what was added is worked into the nodes when they are next looked at. ``grids`` is how often nodes were laid.
    """

    def __init__(
        self, hits: FloatArray, misses: FloatArray, priors: Mapping[str, Prior], shape: tuple[int, int] = STEPS
    ) -> None:
        self.hits, self.misses, self.priors, self.shape = hits.astype(float), misses.astype(float), priors, shape
        self.grids = 0
        self._news: dict[int, list[float]] = {}
        self._place(None)

    def add(self, hits: float = 0.0, misses: float = 0.0) -> int:
        """A new arm with these counts; returns its number."""
        arm = len(self.hits)
        self.hits, self.misses = np.append(self.hits, 0.0), np.append(self.misses, 0.0)
        if hits or misses:
            self.learn(arm, hits, misses)
        return arm

    def learn(self, arm: int, hits: float, misses: float) -> None:
        """Count ``hits`` more successes and ``misses`` more failures of an arm."""
        news = self._news.setdefault(arm, [0.0, 0.0])
        news[0] += hits
        news[1] += misses

    def update(self) -> None:
        """Work what was learnt into the weights of the nodes; lay the nodes anew where they no longer hold the mass."""
        if not self._news:
            return
        if len(self._news) > _MANY:
            self._count()
            self._place(self.grid.ends)
            return
        for arm, (hits, misses) in self._news.items():
            self._log_density += self._gain(arm, hits, misses)
        self._count()
        self._weigh()
        if not self.holds:
            self._place(self.grid.ends)

    @property
    def holds(self) -> bool:
        """Whether the nodes hold the mass: next to none on their edge, and enough of them share it, both ways."""
        w, total = self._weights, self.total
        slices = w @ self._ones
        edge = slices[0] + slices[-1] + w[:, 0].sum() + w[:, -1].sum()
        if edge > EDGE * total or total**2 < FEWEST * (slices @ slices):
            return False
        # Of mu the mean over kappa of what each slice's nodes share; a slice without mass has no say.
        within = np.einsum("zt,zt->z", w, w) / np.maximum(slices, _TINY)
        return bool(total >= FEWEST * within.sum())

    def nodes(self, rng: np.random.Generator, size: int) -> tuple[FloatArray, FloatArray]:
        """Draws of the population's two beta shapes, mu kappa and (1 - mu) kappa, shape (size,) each."""
        self.update()
        at = np.searchsorted(self._below, rng.random(size) * self.total, side="right")
        return self._a.ravel()[at], self._b.ravel()[at]

    def node(self, rng: np.random.Generator) -> tuple[float, float]:
        """One draw of both shapes."""
        self.update()
        at = int(np.searchsorted(self._below, rng.random() * self.total, side="right"))
        return float(self._a.flat[at]), float(self._b.flat[at])

    @property
    def weights(self) -> FloatArray:
        """The posterior probability of each node, (nodes,); their ``mu`` and ``kappa`` are in the same order."""
        self.update()
        return np.asarray(self._weights.ravel() / self.total)

    @property
    def mu(self) -> FloatArray:
        """The mean rate at each node, (nodes,)."""
        self.update()
        return np.asarray(expit(self.grid.logit).ravel())

    @property
    def kappa(self) -> FloatArray:
        """The concentration at each node, (nodes,)."""
        self.update()
        return np.broadcast_to(self._kappa, self._a.shape).ravel()

    def _gain(self, arm: int, hits: float, misses: float) -> FloatArray:
        """The log probability at each node of what is new of an arm, given what was known of it."""
        up, down, size = self._a + self.hits[arm], self._b + self.misses[arm], self._kappa
        size = size + (self.hits[arm] + self.misses[arm])
        if hits + misses == 1:
            return np.asarray(np.log(up if hits else down) - np.log(size))
        gain = hits * np.log(up) + misses * np.log(down) - (hits + misses) * np.log(size)
        rise = log_rising(up, np.array(hits)) + log_rising(down, np.array(misses))
        return np.asarray(gain + rise - log_rising(size, np.array(hits + misses)))

    def _count(self) -> None:
        for arm, (hits, misses) in self._news.items():
            self.hits[arm] += hits
            self.misses[arm] += misses
        self._news.clear()

    def _place(self, about: tuple[float, float] | None) -> None:
        """Lay the nodes where the counts say that the mass is."""
        evidence = Evidence.of(self.hits, self.hits + self.misses, self.priors)
        self.grid: Grid = lay_grid(evidence, self.shape) if about is None else lay_grid(evidence, self.shape, about)
        self._kappa = np.exp(self.grid.log_kappa)
        self._a, self._b = self._kappa * expit(self.grid.logit), self._kappa * expit(-self.grid.logit)
        self._log_density = self.grid.log_density + self.grid.log_width
        self.grids += 1
        self._ones = np.ones(self.shape[1])
        self._weigh()

    def _weigh(self) -> None:
        self._log_density -= self._log_density.max()
        self._weights = np.exp(self._log_density)
        self._below = np.cumsum(self._weights)
        self.total = float(self._below[-1])
