"""Hand-run: regret of hierarchical Thompson sampling beside other policies, for reports/bandit.md.

    python tests/tools/bandit_regret.py run regret.json [--runs 200] [--only WORD]   # some minutes
    python tests/tools/bandit_regret.py show regret.json reports/sample/bandit.png   # prints tables, draws the figure

In each run arms are drawn from a population, some come in on the way, and every policy meets the same rates and the
same luck: at step t a trial of an arm succeeds if the t-th uniform number is below its rate. Regret is pseudo-regret:
the rate of the best arm that is there, less that of the arm that was chosen, added up over steps. Runs are kept as they
end, and one that was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import betaln, expit, logit

from hbm_stan.bandit.thompson import Bandit

SEED = 20261121
RUNS, POINTS = 200, 100
Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Arms at the start, how many come in every so many steps, how long, and the rates' population."""

    name: str
    arms: int
    new: int
    every: int
    steps: int
    rates: Callable[[np.random.Generator, int], Array]
    shapes: tuple[float, float]  # of the beta with the mean and the variance of the rates


def two_kinds(rng: np.random.Generator, size: int) -> Array:
    """No beta distribution: one arm in twenty has a rate near 0.15, the others one near 0.03."""
    good = rng.random(size) < 0.05
    return np.where(good, rng.beta(30, 170, size), rng.beta(6, 194, size))


def of_beta(a: float, b: float) -> dict[str, object]:
    return {"rates": lambda rng, size: rng.beta(a, b, size), "shapes": (a, b)}


def _matched(mean: float, variance: float) -> tuple[float, float]:
    kappa = mean * (1 - mean) / variance - 1
    return mean * kappa, (1 - mean) * kappa


_KINDS_MEAN = 0.05 * 0.15 + 0.95 * 0.03
_KINDS_SQUARE = 0.05 * (0.15**2 + 0.15 * 0.85 / 201) + 0.95 * (0.03**2 + 0.03 * 0.97 / 201)
SCENARIOS = (
    Scenario(name="200 arms, rates 0.05 ± 0.034", arms=200, new=20, every=500, steps=5000, **of_beta(2, 38)),
    Scenario(name="1,000 arms, rates 0.05 ± 0.034", arms=1000, new=100, every=1000, steps=10_000, **of_beta(2, 38)),
    Scenario(name="100 arms nearly alike, rates 0.05 ± 0.011", arms=100, new=10, every=1000, steps=10_000,
             **of_beta(20, 380)),
    Scenario(name="200 arms of two kinds, 0.03 and 0.15", arms=200, new=20, every=500, steps=5000, rates=two_kinds,
             shapes=_matched(_KINDS_MEAN, _KINDS_SQUARE - _KINDS_MEAN**2)),
)  # fmt: skip


class Thompson:
    """Thompson sampling with one fixed beta prior for every arm, independent of the others."""

    def __init__(self, arms: int, rng: np.random.Generator, shapes: tuple[float, float] = (1.0, 1.0)) -> None:
        self.rng, self.shapes = rng, shapes
        self.hits, self.misses = np.zeros(arms), np.zeros(arms)

    def add(self, arms: int) -> None:
        self.hits, self.misses = (np.append(c, np.zeros(arms)) for c in (self.hits, self.misses))

    def choose(self) -> int:
        return int(self.rng.beta(self.shapes[0] + self.hits, self.shapes[1] + self.misses).argmax())

    def learn(self, arm: int, hit: bool) -> None:
        counts = self.hits if hit else self.misses
        counts[arm] += 1


class EmpiricalBayes(Thompson):
    """Thompson sampling with the beta prior that maximises the likelihood of all counts, fitted anew as they come in.

    Uniform until 50 trials; then refitted every 25 trials, from 1,000 on every 100.
    """

    def __init__(self, arms: int, rng: np.random.Generator) -> None:
        super().__init__(arms, rng)
        self._trials, self._at = 0, np.array([0.0, np.log(20.0)])

    def learn(self, arm: int, hit: bool) -> None:
        super().learn(arm, hit)
        self._trials += 1
        if self._trials >= 50 and self._trials % (25 if self._trials < 1000 else 100) == 0:
            self._refit()

    def _refit(self) -> None:
        tried = self.hits + self.misses > 0
        pairs, times = np.unique(np.stack([self.hits[tried], self.misses[tried]]), axis=1, return_counts=True)

        def loss(x: Array) -> float:
            a, b = expit(x[0]) * np.exp(x[1]), expit(-x[0]) * np.exp(x[1])
            return -float(times @ (betaln(a + pairs[0], b + pairs[1]) - betaln(a, b)))

        if not self.hits.any():
            return
        start = self._at if self._at[0] else np.array([logit(self.hits.sum() / self._trials), self._at[1]])
        fit = minimize(loss, start, method="L-BFGS-B", bounds=[(-12, 12), (np.log(0.1), np.log(1e5))])
        self._at = fit.x
        self.shapes = float(expit(fit.x[0]) * np.exp(fit.x[1])), float(expit(-fit.x[0]) * np.exp(fit.x[1]))


class UpperBound:
    """UCB1 (Auer, Cesa-Bianchi and Fischer 2002, Machine Learning 47): an arm that comes in is tried at once."""

    def __init__(self, arms: int, _rng: np.random.Generator) -> None:
        self.hits, self.trials, self._t = np.zeros(arms), np.zeros(arms), 0

    def add(self, arms: int) -> None:
        self.hits, self.trials = (np.append(c, np.zeros(arms)) for c in (self.hits, self.trials))

    def choose(self) -> int:
        untried = np.flatnonzero(self.trials == 0)
        if len(untried):
            return int(untried[0])
        return int((self.hits / self.trials + np.sqrt(2 * np.log(self._t) / self.trials)).argmax())

    def learn(self, arm: int, hit: bool) -> None:
        self.hits[arm] += hit
        self.trials[arm] += 1
        self._t += 1


class Hierarchical:
    """The package's: the population's posterior by quadrature, under the default priors for arms never tried."""

    def __init__(self, arms: int, rng: np.random.Generator) -> None:
        self.bandit = Bandit([str(j) for j in range(arms)])
        self.bandit.rng = rng

    def add(self, arms: int) -> None:
        for _ in range(arms):
            self.bandit.add(str(len(self.bandit.labels)))

    def choose(self) -> int:
        return self.bandit.choose_number()

    def learn(self, arm: int, hit: bool) -> None:
        self.bandit.population.learn(arm, float(hit), float(not hit))


class Oracle:
    """Knows all rates."""

    def __init__(self, rates: Array) -> None:
        self._rates, self._arms = rates, 0

    def add(self, arms: int) -> None:
        self._arms += arms

    def choose(self) -> int:
        return int(self._rates[: self._arms].argmax())

    def learn(self, _arm: int, _hit: bool) -> None:
        """It knows all."""


HIERARCHICAL = "hierarchical"
POLICIES: dict[str, Callable[[Scenario, Array, np.random.Generator], object]] = {
    HIERARCHICAL: lambda s, _r, rng: Hierarchical(s.arms, rng),
    "independent beta(1, 1)": lambda s, _r, rng: Thompson(s.arms, rng),
    "empirical Bayes": lambda s, _r, rng: EmpiricalBayes(s.arms, rng),
    "UCB1": lambda s, _r, rng: UpperBound(s.arms, rng),
    "oracle: knows the population": lambda s, _r, rng: Thompson(s.arms, rng, s.shapes),
    "oracle: knows all rates": lambda _s, r, _rng: Oracle(r),
}


def play(scenario: Scenario, policy: str, run: int) -> dict[str, object]:
    """One run of a policy: cumulative regret at some steps, and what its new arms got and cost.

    ``new_plays`` and ``new_regret`` are of arms in the ``every`` steps after they came in, ``share_best`` the share of
    the last tenth of the steps that went to the best arm.
    """
    rng = np.random.default_rng([SEED, run])
    arrivals = range(scenario.every, scenario.steps, scenario.every)
    rates = scenario.rates(rng, scenario.arms + scenario.new * len(arrivals))
    luck = rng.random(scenario.steps)
    player = POLICIES[policy](scenario, rates, np.random.default_rng([SEED, run, 1]))
    if isinstance(player, Oracle):
        player.add(scenario.arms)
    there, fresh = scenario.arms, scenario.arms  # arms so far; those from ``fresh`` on are new
    best = rates[:there].max()
    regret, plays, cost, at_best = np.zeros(scenario.steps), 0, 0.0, 0
    for t in range(scenario.steps):
        if t in arrivals:
            player.add(scenario.new)
            fresh, there = there, there + scenario.new
            best = rates[:there].max()
        arm = player.choose()
        player.learn(arm, bool(luck[t] < rates[arm]))
        regret[t] = best - rates[arm]
        if arm >= fresh and there > scenario.arms:
            plays, cost = plays + 1, cost + regret[t]
        at_best += bool(t >= 0.9 * scenario.steps and regret[t] == 0)
    points = np.linspace(0, scenario.steps, POINTS + 1).astype(int)[1:] - 1
    n_new = scenario.new * len(arrivals)
    return {
        "curve": np.round(np.cumsum(regret)[points], 4).tolist(), "new_plays": plays / n_new,
        "new_regret": cost / n_new, "share_best": at_best / (0.1 * scenario.steps),
    }  # fmt: skip


def run_all(target: Path, runs: int, only: str) -> None:
    """Every run of every scenario and policy; kept after each run, beside and renamed."""
    by_scenario: dict[str, dict[str, list[dict[str, object]]]] = (
        json.loads(target.read_text()) if target.exists() else {}
    )
    for scenario in SCENARIOS:
        if only not in scenario.name:
            continue
        of_scenario = by_scenario.setdefault(scenario.name, {policy: [] for policy in POLICIES})
        started = time.perf_counter()
        for run in range(len(of_scenario[HIERARCHICAL]), runs):
            results = {policy: play(scenario, policy, run) for policy in POLICIES}
            for policy, result in results.items():
                of_scenario[policy].append(result)
            if run % 10 == 9 or run == runs - 1:
                beside = target.with_suffix(".writing")
                beside.write_text(json.dumps(by_scenario))
                os.replace(beside, target)
                print(f"{scenario.name}: {run + 1} runs, {time.perf_counter() - started:.0f} s", flush=True)


def mean_and_error(values: Array) -> str:
    return f"{values.mean():.1f} ± {values.std(ddof=1) / np.sqrt(len(values)):.1f}"


def show(source: Path, figure: Path) -> None:
    """Print the tables and draw the curves."""
    results = json.loads(source.read_text())
    for name, of_policy in results.items():
        n = len(of_policy[HIERARCHICAL])
        print(f"\n{name}, {n} runs\n")
        print("| policy | regret | beside hierarchical | regret of a new arm | its trials | best arm at the end |")
        print("|---|---|---|---|---|---|")
        ours = np.array([r["curve"][-1] for r in of_policy[HIERARCHICAL]])
        for policy, runs in of_policy.items():
            last = np.array([r["curve"][-1] for r in runs])
            cold, plays, best = (np.array([r[k] for r in runs]) for k in ("new_regret", "new_plays", "share_best"))
            beside = "" if policy == HIERARCHICAL else mean_and_error(last - ours)
            print(
                f"| {policy} | {mean_and_error(last)} | {beside} | {cold.mean():.3f} ± "
                f"{cold.std(ddof=1) / np.sqrt(n):.3f} | {plays.mean():.2f} | {100 * best.mean():.0f} % |"
            )
    draw(results, figure)


def draw(results: dict[str, dict[str, list[dict[str, object]]]], figure: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    styles = dict(zip(POLICIES, (
        ("#0072B2", "-", 2.2), ("#D55E00", "-", 1.4), ("#009E73", "--", 1.4), ("#777777", "-.", 1.4),
        ("#CC79A7", ":", 1.8), ("#000000", "-", 0.8),
    ), strict=True))  # fmt: skip
    drawing, axes = plt.subplots(2, 2, figsize=(8.4, 6.6), layout="constrained")
    for axis, scenario in zip(axes.flat, SCENARIOS, strict=True):
        if scenario.name not in results:
            continue
        steps = np.linspace(0, scenario.steps, POINTS + 1)
        for policy, (colour, style, width) in styles.items():
            curves = np.array([r["curve"] for r in results[scenario.name][policy]])
            mean = np.append(0, curves.mean(axis=0))
            error = np.append(0, 2 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves)))
            axis.plot(steps, mean, style, color=colour, lw=width, label=policy)
            axis.fill_between(steps, mean - error, mean + error, color=colour, alpha=0.15, lw=0)
        axis.set_title(scenario.name, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.set_xlim(0, scenario.steps)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("step", fontsize=9)
    for axis in axes[:, 0]:
        axis.set_ylabel("cumulative regret (successes)", fontsize=9)
    drawing.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncol=3, fontsize=8.5, frameon=False
    )
    drawing.savefig(figure, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["run", "show"])
    parser.add_argument("results", type=Path)
    parser.add_argument("figure", type=Path, nargs="?", default=Path("bandit.png"))
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", default="", help="scenarios with this word in their name")
    asked = parser.parse_args()
    if asked.part == "run":
        run_all(asked.results, asked.runs, asked.only)
    else:
        show(asked.results, asked.figure)


if __name__ == "__main__":
    main()
