"""The policies that regret is simulated of, and that a simulated run counts what it says."""

from __future__ import annotations

from dataclasses import replace

import bandit_regret
import numpy as np
import pytest
from bandit_regret import HIERARCHICAL, POLICIES, SCENARIOS, EmpiricalBayes, Scenario, Thompson, UpperBound, play
from scipy import stats

SEED = 20261121
SMALL = replace(SCENARIOS[0], arms=30, new=6, every=100, steps=600)


def rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def test_independent_arms_are_chosen_as_often_as_they_are_the_best() -> None:
    player = Thompson(2, rng())
    for arm, hits, misses in ((0, 3, 4), (1, 1, 5)):
        player.hits[arm], player.misses[arm] = hits, misses
    x = np.linspace(0, 1, 20_001)
    p = np.trapezoid(stats.beta.pdf(x, 4, 5) * stats.beta.cdf(x, 2, 6), x)
    share = np.mean([player.choose() == 0 for _ in range(20_000)])
    assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / 20_000)


def test_empirical_bayes_finds_the_maximum_of_the_likelihood() -> None:
    player, generator = EmpiricalBayes(400, rng()), rng()
    rates = generator.beta(4, 16, 400)
    player.hits = generator.binomial(30, rates).astype(float)
    player.misses = 30 - player.hits
    player._trials = 12_000
    player._refit()
    log_likelihood = [
        stats.betabinom.logpmf(player.hits, 30, a, b).sum()
        for a, b in (player.shapes, *((player.shapes[0] * f, player.shapes[1] * g) for f in (0.99, 1, 1.01)
                                      for g in (0.99, 1, 1.01)))
    ]  # fmt: skip
    assert log_likelihood[0] >= max(log_likelihood) - 1e-4
    assert np.mean(player.shapes[0] / sum(player.shapes)) == pytest.approx(0.2, abs=0.02)


def test_ucb1_is_the_formula_of_the_paper() -> None:
    player = UpperBound(3, rng())
    chosen = []
    for t in range(200):
        arm = player.choose()
        if t >= 3:
            bounds = player.hits / player.trials + np.sqrt(2 * np.log(t) / player.trials)
            assert arm == int(bounds.argmax())
        chosen.append(arm)
        player.learn(arm, t % (arm + 2) == 0)
    assert chosen[:3] == [0, 1, 2]
    player.add(1)
    assert player.choose() == 3


def test_a_run_counts_the_regret_of_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[int] = []

    class Round:
        """Takes the arms in turn; knows how many there are."""

        def __init__(self) -> None:
            self.arms, self.at = SMALL.arms, -1

        def add(self, arms: int) -> None:
            self.arms += arms

        def choose(self) -> int:
            self.at = (self.at + 1) % self.arms
            log.append(self.at)
            return self.at

        def learn(self, arm: int, hit: bool) -> None:
            assert arm == log[-1]

    monkeypatch.setitem(POLICIES, "round", lambda *_: Round())
    result = play(SMALL, "round", 5)
    generator = np.random.default_rng([bandit_regret.SEED, 5])
    rates = SMALL.rates(generator, 30 + 6 * 5)
    regret, cold, plays = 0.0, 0.0, 0
    for t, arm in enumerate(log):
        there = 30 + 6 * (t // 100)
        step = rates[:there].max() - rates[arm]
        regret += step
        if t >= 100 and arm >= there - 6:
            cold, plays = cold + step, plays + 1
    assert result["curve"][-1] == pytest.approx(regret, abs=1e-3)
    assert result["new_regret"] == pytest.approx(cold / 30)
    assert result["new_plays"] == pytest.approx(plays / 30)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_is_the_same_again_and_regret_never_falls(policy: str) -> None:
    one, again = play(SMALL, policy, 2), play(SMALL, policy, 2)
    assert one == again
    assert (np.diff(one["curve"]) >= 0).all()
    assert (one["curve"][-1] == 0) == (policy == "oracle: knows all rates")


def test_rates_of_scenarios_have_the_mean_and_the_variance_that_are_stated() -> None:
    for scenario in SCENARIOS:
        a, b = scenario.shapes
        rates = scenario.rates(rng(), 200_000)
        exact = stats.beta(a, b)
        assert rates.mean() == pytest.approx(exact.mean(), abs=5 * exact.std() / np.sqrt(200_000))
        assert rates.std() == pytest.approx(exact.std(), rel=0.02)


def test_the_population_that_is_learnt_beats_arms_that_teach_nothing() -> None:
    scenario: Scenario = replace(SCENARIOS[0], arms=100, new=20, every=400, steps=1200)
    ours, theirs = ([play(scenario, p, run) for run in range(24)] for p in (HIERARCHICAL, "independent beta(1, 1)"))
    difference = np.array([b["curve"][-1] - a["curve"][-1] for a, b in zip(ours, theirs, strict=True)])
    assert difference.mean() > 4 * difference.std(ddof=1) / np.sqrt(24)
    assert np.mean([a["new_regret"] for a in ours]) < np.mean([b["new_regret"] for b in theirs]) / 2
