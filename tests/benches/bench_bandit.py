"""`python tests/benches/bench_bandit.py`: what a step of hierarchical Thompson sampling costs beside independent arms.

1,000 arms, 10,000 steps; a step is to choose an arm and to learn its result. Rounds take turns and medians are printed.
Three costs apart: the step; learning alone, as the next choice has it; and learning that is worked into the nodes of
the population at once, as nothing but a count is for independent arms. Machines differ: trust ratios within a run.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from hbm_stan.bandit.thompson import Bandit

SEED = 20261121


class Independent:
    """Thompson sampling with an independent beta(1, 1) prior of every arm: draws of all, the highest, a count."""

    def __init__(self, arms: int) -> None:
        self.rng = np.random.default_rng(SEED)
        self.a, self.b = np.ones(arms), np.ones(arms)

    def choose(self) -> int:
        return int(self.rng.beta(self.a, self.b).argmax())

    def learn(self, arm: int, hit: bool) -> None:
        counts = self.a if hit else self.b
        counts[arm] += 1

    def work_in(self) -> None:
        """Nothing is left to do."""


class Hierarchical:
    """The package's own."""

    def __init__(self, arms: int) -> None:
        self.bandit = Bandit([str(j) for j in range(arms)], seed=SEED)

    def choose(self) -> int:
        return self.bandit.choose_number()

    def learn(self, arm: int, hit: bool) -> None:
        self.bandit.population.learn(arm, float(hit), float(not hit))

    def work_in(self) -> None:
        self.bandit.population.update()


def measure(player: Independent | Hierarchical, arms: int, steps: int) -> dict[str, float]:
    """Microseconds a step, in all and of its parts; the clock itself takes a tenth of one, in both alike."""
    rng = np.random.default_rng([SEED, 1])
    rates, luck = rng.beta(2, 38, arms), rng.random(steps)
    chosen = learnt = worked = 0.0
    clock = time.perf_counter
    for u in luck:
        start = clock()
        arm = player.choose()
        after = clock()
        hit = bool(u < rates[arm])
        before = clock()
        player.learn(arm, hit)
        done = clock()
        player.work_in()
        end = clock()
        chosen, learnt, worked = chosen + after - start, learnt + done - before, worked + end - done
    parts = {"step": chosen + learnt + worked, "learn": learnt, "learn at once": learnt + worked, "choose": chosen}
    return {name: 1e6 * seconds / steps for name, seconds in parts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    players = {"independent": Independent, "hierarchical": Hierarchical}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in players}
    grids = 0
    for name, kind in players.items():  # libraries are loaded before the clock starts
        measure(kind(asked.arms), asked.arms, 50)
        runs[name].clear()
    for _ in range(asked.rounds):
        for name, kind in players.items():
            player = kind(asked.arms)
            runs[name].append(measure(player, asked.arms, asked.steps))
            grids = player.bandit.population.grids if isinstance(player, Hierarchical) else grids
    print(f"{asked.arms:,} arms, {asked.steps:,} steps, medians of {asked.rounds} interleaved rounds; {grids} grids\n")
    print("| microseconds | independent beta(1, 1) | hierarchical | ratio | ratio, by round |\n|---|---|---|---|---|")
    for part in runs["independent"][0]:
        one, other = ([run[part] for run in runs[name]] for name in players)
        ratios = [b / a for a, b in zip(one, other, strict=True)]
        a, b = statistics.median(one), statistics.median(other)
        spread = f"{min(ratios):.1f} to {max(ratios):.1f}"
        print(f"| {part} | {a:.2f} | {b:.2f} | {statistics.median(ratios):.1f} | {spread} |")


if __name__ == "__main__":
    main()
