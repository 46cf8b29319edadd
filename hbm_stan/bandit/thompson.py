"""Hierarchical Thompson sampling: arms whose rates are draws from one beta population that is learnt from all of them.

Thompson (1933), Biometrika 25; Chapelle and Li (2011), An Empirical Evaluation of Thompson Sampling. Each arm is chosen
with the posterior probability that its rate is the highest: one joint draw of all rates, and the arm that leads in it.
A joint draw has one draw of the population, which all arms share, and given it a beta draw of each arm (Gelman et al.
2013, Bayesian Data Analysis, 3rd ed., equation 5.7). An arm that was never tried has the population for its prior.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from hbm_stan.bandit.grid import STEPS
from hbm_stan.bandit.population import Population
from hbm_stan.errors import DataError, nearest
from hbm_stan.families.beta_binomial import FAMILY, usual_priors
from hbm_stan.nouns import Noun
from hbm_stan.priors import Prior, parse_prior
from hbm_stan.table import FloatArray, shorten

ARMS = Noun("arm", "arms")
IndexArray = npt.NDArray[np.int64]
# What the population's priors are called; that of rates without pooling has no use here.
PRIORS = ("mu", "kappa")


def choose_priors(hits: float, trials: float, chosen: Mapping[str, str] | None = None) -> dict[str, Prior]:
    """The priors of mu and kappa that partial pooling has by default for these totals, or those that are chosen."""
    rows = {row.name: row for row in FAMILY.programs.prior_rows if row.name in PRIORS}
    priors = {name: usual_priors(hits, trials)[name] for name in PRIORS}
    for name, text in (chosen or {}).items():
        if name not in rows:
            raise DataError(f"Priors: decisions have no prior named {shorten(name)!r}. {nearest(name, rows)}")
        priors[name] = parse_prior(text, rows[name])
    return priors


class Bandit:
    """Arms with their counts, and the population that they are draws from.

    ``hits`` and ``trials`` are the counts at the start, in the order of ``labels`` (none: no arm was tried). The priors
    are those of ``families/beta_binomial.py``, chosen once, for the counts at the start: a prior that moved with each
    result would count results twice.
    """

    def __init__(
        self, labels: Sequence[str], hits: Sequence[float] | FloatArray = (), trials: Sequence[float] | FloatArray = (),
        *, priors: Mapping[str, str] | None = None, seed: int | Sequence[int] = 0, shape: tuple[int, int] = STEPS,
    ) -> None:  # fmt: skip
        y, n = (np.asarray(c, dtype=float) if len(c) else np.zeros(len(labels)) for c in (hits, trials))
        _refuse_counts(labels, y, n)
        self.labels = list(labels)
        self.rng = np.random.default_rng(seed)
        self.priors = choose_priors(float(y.sum()), float(n.sum()), priors)
        self.population = Population(y, n - y, self.priors, shape)
        self._number = {label: arm for arm, label in enumerate(self.labels)}
        self._in_play: IndexArray | None = None  # None: all are

    def add(self, label: str, hits: float = 0.0, trials: float = 0.0) -> None:
        """A new arm; DataError where there is one of this name."""
        if label in self._number:
            raise DataError(f"There is an arm {shorten(label)!r} already. Give the new one another name.")
        _refuse_counts([label], np.array([hits]), np.array([trials]))
        self._number[label] = self.population.add(hits, trials - hits)
        self.labels.append(label)
        if self._in_play is not None:
            self._in_play = np.append(self._in_play, self._number[label])

    def retire(self, label: str) -> None:
        """Take an arm out of play; its counts go on saying what the population is like."""
        arm = self.number(label)
        self._in_play = self.in_play[self.in_play != arm]
        if not len(self._in_play):
            raise DataError(f"{shorten(label)!r} is the last arm in play: without it there is nothing to decide.")

    @property
    def in_play(self) -> IndexArray:
        """The numbers of the arms that are not retired, (arms in play,)."""
        return np.arange(len(self.labels)) if self._in_play is None else self._in_play

    def number(self, label: str) -> int:
        """The number of an arm; DataError names the nearest."""
        if label not in self._number:
            raise DataError(f"There is no arm {shorten(label)!r}. {nearest(label, self.labels)}")
        return self._number[label]

    def learn(self, label: str, hits: float = 0.0, misses: float = 0.0) -> None:
        """Count results of an arm: so many successes, so many failures."""
        if not (hits >= 0 and misses >= 0 and hits % 1 == 0 and misses % 1 == 0):
            _refuse_counts([label], np.array([hits]), np.array([hits + misses]))
        self.population.learn(self.number(label), hits, misses)

    def choose(self) -> str:
        """The arm to try next: that which leads in a joint draw."""
        return self.labels[self.choose_number()]

    def choose_number(self) -> int:
        """The number of the arm to try next."""
        a, b = self.population.node(self.rng)
        hits, misses = self.population.hits, self.population.misses
        if self._in_play is None:
            return self._leader(self.rng.beta(a + hits, b + misses))
        return int(self._in_play[self._leader(self.rng.beta(a + hits[self._in_play], b + misses[self._in_play]))])

    def _leader(self, rates: FloatArray) -> int:
        """The place of the highest rate; of those that are 0 or 1 in double precision, any with equal chance."""
        best = int(rates.argmax())
        if 0 < rates[best] < 1:
            return best
        return int(self.rng.choice(np.flatnonzero(rates == rates[best])))


def _refuse_counts(labels: Sequence[str], hits: FloatArray, trials: FloatArray) -> None:
    """Raise DataError for counts that cannot be, and where there is no arm or one of them twice."""
    if not len(labels):
        raise DataError("There are no arms. At least two are needed for something to be decided.")
    if len(hits) != len(labels) or len(trials) != len(labels):
        raise DataError(f"There are {len(labels)} arms, {len(hits)} numbers of successes and {len(trials)} of trials.")
    twice = [label for i, label in enumerate(labels) if label in labels[:i]] if len(set(labels)) < len(labels) else []
    if twice:
        raise DataError(f"The arm {shorten(twice[0])!r} stands there twice. Give each arm a name of its own.")
    for label, y, n in zip(labels, hits, trials, strict=True):
        if not (0 <= y <= n < math.inf and y % 1 == 0 and n % 1 == 0):
            raise DataError(
                f"Arm {shorten(label)!r}: {y:g} successes of {n:g} trials cannot be. Both are whole numbers from 0 on, "
                "and there are at most as many successes as trials."
            )
