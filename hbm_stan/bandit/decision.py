"""What is decided today: which arm next, the chance of each to be the best, and what stopping now would lose.

The expected loss of an arm is by how much its rate lies below the best one's, on average over the posterior: what one
would give away by stopping now and keeping that arm (Stucchio 2015, Bayesian A/B Testing at VWO). The arm with the
least is the one with the highest expected rate; that with the highest chance to be best may be another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.bandit.grid import DECISION
from hbm_stan.bandit.margins import kappa_quantiles, mu_quantiles
from hbm_stan.bandit.population import Population
from hbm_stan.bandit.thompson import Bandit
from hbm_stan.errors import DataError
from hbm_stan.table import FloatArray

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 20_000
_BLOCK = 2**21  # rates that are drawn at once
_MOST = 2 * 10**7  # numbers that are held at once, for quantiles
_FEWEST, _QUANTILE_DRAWS = 400, 4000
LARGEST_BATCH = 10**5


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Of each arm in play, in the order of ``labels``: counts, its rate, and what speaks for it.

    ``mean`` is exact, ``q05`` and ``q95`` are the ends of the 90 % interval. ``p_best`` is the probability that the
    rate is the highest, by which Thompson sampling chooses; ``loss`` the expected loss of stopping now with this arm,
    ``loss_mcse`` its Monte Carlo error. ``next`` has how many of a batch each arm gets. ``new_arm`` says the same of an
    arm that was never tried, ``population`` of mean rate and concentration.
    """

    labels: tuple[str, ...]
    hits: FloatArray
    trials: FloatArray
    mean: FloatArray
    q05: FloatArray
    q95: FloatArray
    p_best: FloatArray
    loss: FloatArray
    loss_mcse: FloatArray
    next: Mapping[str, int]
    new_arm: Mapping[str, float]
    population: Mapping[str, float]
    draws: int

    @property
    def leader(self) -> int:
        """The place of the arm to keep where one stops now: the highest expected rate, and so the least loss."""
        return int(self.mean.argmax())

    @property
    def p_best_mcse(self) -> FloatArray:
        """The Monte Carlo error of each probability, (arms,)."""
        return np.sqrt(self.p_best * (1 - self.p_best) / self.draws)

    @property
    def table(self) -> pd.DataFrame:
        """The rows as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """A row for each arm, the least expected loss first."""
        columns = {
            "successes": self.hits.astype(int), "trials": self.trials.astype(int), "mean": self.mean, "q05": self.q05,
            "q95": self.q95, "p_best": self.p_best, "p_best_mcse": self.p_best_mcse, "loss": self.loss,
            "loss_mcse": self.loss_mcse,
        }  # fmt: skip
        rows = [
            {"arm": label, **{name: values[i].item() for name, values in columns.items()}, "next": self.next[label]}
            for i, label in enumerate(self.labels)
        ]
        return sorted(rows, key=lambda row: -row["mean"])


def decide(bandit: Bandit, batch: int = 1, draws: int = DRAWS) -> Decision:
    """The decision at the counts of a bandit: ``batch`` arms to try next, by independent joint draws.

    Chances and losses are those of ``draws`` joint draws on a finer grid than that of single steps. DataError where
    there is nothing to decide.
    """
    arms = bandit.in_play
    if len(arms) < 2:
        raise DataError(
            f"There is one arm in play only ({bandit.labels[int(arms[0])]!r}): nothing can be decided. At least two "
            "are needed."
        )
    if not 1 <= batch <= LARGEST_BATCH:
        raise DataError(f"A batch has 1 to {LARGEST_BATCH:,} trials, found {batch:,}.")
    bandit.population.update()
    fine = Population(bandit.population.hits, bandit.population.misses, bandit.priors, DECISION)
    hits, misses = fine.hits[arms], fine.misses[arms]
    mean = _mean_rates(fine, hits, misses)
    leads, lost = _Leads(len(arms), int(mean.argmax())), []
    for rates, a, b in joint_draws(fine, hits, misses, bandit.rng, draws):
        lost.append(rates[: max(0, leads.room - leads.draws)].copy())
        leads.count(rates, bandit.rng.beta(a, b))
    low, high = np.quantile(np.concatenate(lost), [0.05, 0.95], axis=0)
    labels = tuple(bandit.labels[int(arm)] for arm in arms)
    new_arm = leads.new_arm(float(fine.weights @ fine.mu))
    return Decision(
        labels=labels, hits=hits, trials=hits + misses, mean=mean, q05=low, q95=high, p_best=leads.best / draws,
        loss=leads.loss / draws, loss_mcse=leads.loss_mcse, draws=draws, population=_population(fine),
        next=_batch(fine, hits, misses, bandit.rng, batch, labels), new_arm=new_arm,
    )  # fmt: skip


def joint_draws(
    population: Population, hits: FloatArray, misses: FloatArray, rng: np.random.Generator, size: int
) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Joint draws of rates in blocks: (draw, arm), with the population's shapes that each row shares, (draw,) each."""
    step = max(1, _BLOCK // len(hits))
    for start in range(0, size, step):
        a, b = population.nodes(rng, min(step, size - start))
        yield rng.beta(a[:, None] + hits, b[:, None] + misses), a, b


class _Leads:
    """Counts over joint draws who leads, by how much, and what an arm never tried would do."""

    def __init__(self, arms: int, leader: int) -> None:
        self.best, self.loss, self._squares = np.zeros(arms), np.zeros(arms), np.zeros(arms)
        self.draws, self.room = 0, int(np.clip(_MOST // arms, _FEWEST, _QUANTILE_DRAWS))
        self._leader = leader
        self._new: list[FloatArray] = []
        self._above = np.zeros(2)

    def count(self, rates: FloatArray, new: FloatArray) -> None:
        """Take in a block of draws; arms that share the highest rate (0 or 1 in double precision) share the lead."""
        highest = rates.max(axis=1, keepdims=True)
        leads = rates == highest
        self.best += (leads / leads.sum(axis=1, keepdims=True)).sum(axis=0)
        behind = highest - rates
        self.loss += behind.sum(axis=0)
        self._squares += np.einsum("ij,ij->j", behind, behind)
        self.draws += len(rates)
        self._new.append(new)
        self._above += (new > rates[:, self._leader]).sum(), (new > highest[:, 0]).sum()

    @property
    def loss_mcse(self) -> FloatArray:
        """The Monte Carlo error of each mean loss, (arms,)."""
        mean = self.loss / self.draws
        return np.asarray(np.sqrt(np.maximum(self._squares / self.draws - mean**2, 0) / self.draws))

    def new_arm(self, mean: float) -> dict[str, float]:
        """The rate of an arm never tried, and the probability that it is above the leader's and above all."""
        low, high = np.quantile(np.concatenate(self._new), [0.05, 0.95])
        above_leader, above_all = (float(x) for x in self._above / self.draws)
        return {
            "mean": mean, "q05": float(low), "q95": float(high), "p_above_leader": above_leader,
            "p_above_all": above_all,
        }  # fmt: skip


def _mean_rates(population: Population, hits: FloatArray, misses: FloatArray) -> FloatArray:
    """The expected rate of each arm, (arms,): (mu kappa + y) / (kappa + n), averaged over the nodes."""
    weight, mu, kappa = population.weights, population.mu, population.kappa
    held = weight > weight.max() * 1e-12
    w, a, k = weight[held], (mu * kappa)[held], kappa[held]
    means = [float(w @ ((a + y) / (k + y + f))) for y, f in zip(hits, misses, strict=True)]
    return np.array(means)


def _population(population: Population) -> dict[str, float]:
    """Mean and 90 % interval of the mean rate, median and 90 % interval of the concentration."""
    low, high = (float(q) for q in mu_quantiles(population, [0.05, 0.95]))
    kappa = (float(q) for q in kappa_quantiles(population, [0.05, 0.5, 0.95]))
    of_kappa = dict(zip(("kappa_q05", "kappa_q50", "kappa_q95"), kappa, strict=True))
    return {"mu_mean": float(population.weights @ population.mu), "mu_q05": low, "mu_q95": high, **of_kappa}


def _batch(
    population: Population, hits: FloatArray, misses: FloatArray, rng: np.random.Generator, size: int,
    labels: tuple[str, ...],
) -> dict[str, int]:  # fmt: skip
    """How many trials of a batch each arm gets: the leaders of as many independent joint draws."""
    counts = np.zeros(len(hits), dtype=int)
    for rates, _, _ in joint_draws(population, hits, misses, rng, size):
        leads = rates == rates.max(axis=1, keepdims=True)
        # Of equal rates, which are 0 or 1 in double precision, any with equal chance.
        shared = np.flatnonzero(leads.sum(axis=1) > 1)
        first = rates.argmax(axis=1)
        first[shared] = (leads[shared] * rng.random((len(shared), len(hits)))).argmax(axis=1)
        counts += np.bincount(first, minlength=len(hits))
    return dict(zip(labels, counts.tolist(), strict=True))
