"""The population of arms on a grid: against quadrature by other hands, NUTS and direct draws; and draws of arms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import count_quadrature
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from test_beta_binomial import MODEL, dataset, differences, fitted, of_frame, quadrature, rates

from hbm_stan.bandit import decision as decision_module
from hbm_stan.bandit import population as population_module
from hbm_stan.bandit.decision import decide, joint_draws
from hbm_stan.bandit.evidence import Evidence
from hbm_stan.bandit.grid import DECISION, STEPS, lay_grid
from hbm_stan.bandit.margins import kappa_quantiles, mu_quantiles
from hbm_stan.bandit.population import Population
from hbm_stan.bandit.thompson import Bandit, choose_priors
from hbm_stan.data import Dataset
from hbm_stan.engines import Engine
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError, HbmError, ModelError
from hbm_stan.fit import prepare_table
from hbm_stan.priors import Prior

SEED = 20261121
# Many arms that nobody bought at, one that everybody did, unequal sizes, in no order.
SPARSE = pd.DataFrame({
    "g": [f"arm {j}" for j in (7, 2, 11, 5, 1, 9, 4, 12, 3, 10, 8, 6)],
    "y": [0, 0, 2, 0, 1, 0, 0, 1, 0, 0, 3, 0],
    "n": [4, 1, 9, 2, 1, 30, 3, 12, 1, 6, 17, 2],
})  # fmt: skip
QUANTILES = count_quadrature.QUANTILES
TABLES = ("rat_tumour", "baseball", "ab_test", "sparse")
# Tables that are hard for a grid: nothing, two arms of many trials, all or none a success, a little and a lot.
HARD = {
    "no trials": ([0, 0, 0], [0, 0, 0]), "two alike": ([500, 520], [10_000, 10_000]),
    "two apart": ([100, 9000], [10_000, 10_000]), "all failed": ([0] * 50, [1] * 50),
    "all or nothing": ([0, 0, 5, 0, 5], [5, 5, 5, 5, 5]), "all succeeded": ([7, 1, 30], [7, 1, 30]),
    "a hundred million": ([10**6, 10**6 + 5000], [10**8, 10**8]), "one of a million": ([0, 3], [2, 10**6]),
}  # fmt: skip


def table(name: str) -> Dataset:
    return of_frame(SPARSE) if name == "sparse" else dataset(name)


def counts(name: str) -> tuple[np.ndarray, np.ndarray, Mapping[str, Prior]]:
    """Successes, trials and the family's default priors."""
    prepared = prepare_table(MODEL, table(name))
    return prepared["successes"], prepared["trials"], MODEL.priors(prepared)


def of_counts(y: Any, n: Any, shape: tuple[int, int] = STEPS, priors: Mapping[str, Prior] | None = None) -> Population:
    y, n = np.asarray(y, dtype=float), np.asarray(n, dtype=float)
    return Population(y, n - y, priors or choose_priors(y.sum(), n.sum()), shape)


@cache
def on_grid(name: str, shape: tuple[int, int] = DECISION) -> Population:
    y, n, priors = counts(name)
    return of_counts(y, n, shape, priors)


def nodes_of(population: Population) -> count_quadrature.Nodes:
    """The grid as the oracle has one, for its moments, quantiles and mixtures."""
    mu, kappa = population.mu, population.kappa
    values = {"mu": mu, "kappa": kappa, "tau": np.sqrt(mu * (1 - mu) / (kappa + 1))}
    return count_quadrature.Nodes(
        values | {"alpha": mu * kappa, "beta": (1 - mu) * kappa, "log_kappa": np.log(kappa)}, population.weights
    )


def moments(population: Population) -> dict[str, tuple[float, float]]:
    nodes = nodes_of(population)
    return {p: (s["mean"], s["sd"]) for p in ("mu", "tau", "log_kappa") for s in [nodes.summary(p)]}


def off(population: Population, truth: Population | dict[str, tuple[float, float]]) -> float:
    """The largest difference of a mean or an sd, in sds."""
    exact = moments(truth) if isinstance(truth, Population) else truth
    ours = moments(population)
    return max(max(abs(ours[p][0] - m), abs(ours[p][1] - s)) / s for p, (m, s) in exact.items())


# --- the grid -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rat_tumour", "baseball", "clinics", "ab_test"])
@pytest.mark.parametrize("shape", [STEPS, DECISION])
def test_the_grid_equals_quadrature_by_other_hands(name: str, shape: tuple[int, int]) -> None:
    theirs = quadrature(name, 150 if name == "ab_test" else 600)
    log_kappa = {"log_kappa": np.log(theirs.values["kappa"])}
    theirs = count_quadrature.Nodes(theirs.values | log_kappa, theirs.weight)
    exact = {p: (s["mean"], s["sd"]) for p in ("mu", "tau", "log_kappa") for s in [theirs.summary(p)]}
    assert off(on_grid(name, shape), exact) < 1e-6


def test_priors_and_parameterisation_are_those_of_the_family() -> None:
    for name in TABLES:
        y, n, priors = counts(name)
        chosen = choose_priors(y.sum(), n.sum())
        assert {k: p.text for k, p in chosen.items()} == {k: priors[k].text for k in ("mu", "kappa")}
        evidence = Evidence.of(y, n, chosen)
        data = MODEL.stan_data(prepare_table(MODEL, table(name)), priors, "partial_pooling")
        rng = np.random.default_rng(SEED)
        logit, log_kappa = rng.normal(-1, 1, 10), rng.normal(3, 2, 10)
        # log_joint is of mu and kappa; d mu d kappa = mu (1 - mu) kappa dlogit dlog kappa.
        theirs = [
            MODEL.need("log_joint", "")({"mu": m, "kappa": k}, data, "partial_pooling") + np.log(m * (1 - m) * k)
            for m, k in zip(1 / (1 + np.exp(-logit)), np.exp(log_kappa), strict=True)
        ]
        ours = evidence.log_density(logit[:, None], log_kappa[:, None])[:, 0]
        assert np.ptp(ours - theirs) < 1e-8 * np.ptp(theirs)


def test_slopes_are_the_derivatives_of_the_density() -> None:
    y, n, priors = counts("rat_tumour")
    evidence = Evidence.of(y, n, priors)
    x, z = np.array([-3.0, -1.5, 0.5, 2.0]), np.array([-1.0, 2.0, 5.0, 11.0])
    h = 1e-4
    low, mid, high = (evidence.log_density((x + d)[:, None], z[:, None])[:, 0] for d in (-h, 0, h))
    first, second = evidence.slope(x, z)
    np.testing.assert_allclose(first, (high - low) / (2 * h), rtol=1e-5)
    np.testing.assert_allclose(second, (high - 2 * mid + low) / h**2, rtol=1e-3)


@pytest.mark.parametrize("name", HARD)
def test_twice_the_nodes_change_nothing_and_a_new_grid_holds_the_mass(name: str) -> None:
    steps, fine, finest = (of_counts(*HARD[name], shape) for shape in (STEPS, DECISION, (201, 151)))
    assert steps.holds
    assert fine.holds
    # Where the mean rate is hardly known its log odds have the exponential tails of a logistic density, and few nodes
    # for them; of three successes in a million a part of the sd of mu lies beyond 2e-9 of the height, where grids end.
    assert off(fine, finest) < (3e-4 if name == "one of a million" else 1e-5)
    assert off(steps, finest) < (5e-3 if name in {"no trials", "all failed"} else 5e-4)


def test_grids_of_random_tables_hold_the_mass() -> None:
    rng = np.random.default_rng(SEED)
    for _ in range(40):
        arms = int(np.exp(rng.uniform(np.log(2), np.log(200))))
        n = np.floor(np.exp(rng.normal(rng.uniform(0, 8), rng.uniform(0, 2), arms)))
        mean, kappa = rng.beta(0.7, 0.7), np.exp(rng.uniform(-1, 9))
        y = rng.binomial(n.astype(int), rng.beta(mean * kappa, (1 - mean) * kappa, arms))
        population = of_counts(y, n)
        assert population.holds
        assert off(population, anew(population)) < 5e-3  # as of no trials; of most tables 1e-6


def test_a_grid_on_common_nodes_of_mu_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    # Planted fault: at each kappa the nodes of mu that the widest of them needs.
    from hbm_stan.bandit import grid

    inner = grid._ends_of_mu

    def widest(*arguments: Any) -> tuple[np.ndarray, np.ndarray]:
        below, above = inner(*arguments)
        return np.full_like(below, below.min()), np.full_like(above, above.max())

    truth = of_counts(*HARD["two alike"], (201, 151))
    monkeypatch.setattr(grid, "_ends_of_mu", widest)
    assert off(of_counts(*HARD["two alike"]), truth) > 1e-2


@pytest.mark.parametrize(
    "text",
    ["lognormal(3, 1)", "gamma(2, 0.1)", "exponential(0.05)", "half_normal(50)", "half_cauchy(20)",
     "half_student_t(4, 30)"],
)  # fmt: skip
def test_other_priors_are_integrated_too(text: str) -> None:
    y, n, _ = counts("rat_tumour")
    priors = choose_priors(y.sum(), n.sum(), {"kappa": text, "mu": "beta(2, 5)"})
    theirs = count_quadrature.beta_binomial(
        y, n, lambda mu, kappa: stats.beta.logpdf(mu, 2, 5) + priors["kappa"].log_density(kappa), 300
    )
    exact = {p: (s["mean"], s["sd"]) for p in ("mu", "tau") for s in [theirs.summary(p)]}
    assert off(of_counts(y, n, priors=priors), exact) < 1e-5


def test_a_prior_with_an_end_or_of_another_name_is_refused() -> None:
    with pytest.raises(ModelError, match=r"uniform\(0, 100\) ends at a number.*Take lognormal"):
        Bandit(["a", "b"], priors={"kappa": "uniform(0, 100)"})
    with pytest.raises(ModelError, match=r"posterior of mu has no end: its prior beta\(0.01, 0.01\)"):
        Bandit(["a", "b"], priors={"mu": "beta(0.01, 0.01)"})
    with pytest.raises(ModelError, match=r"posterior of kappa has no end: its prior gamma\(0.001, 1\)"):
        Bandit(["a", "b"], priors={"kappa": "gamma(0.001, 1)"})
    with pytest.raises(DataError, match=r"no prior named 'kapa'. Did you mean 'kappa'"):
        Bandit(["a", "b"], priors={"kapa": "lognormal(3, 1)"})
    with pytest.raises(ModelError, match="'normal' is not offered"):
        Bandit(["a", "b"], priors={"kappa": "normal(3, 1)"})


@pytest.mark.parametrize("name", ["rat_tumour", "baseball", "clinics"])
def test_quantiles_of_the_population_are_read_smoothly(name: str) -> None:
    theirs = quadrature(name)
    log_kappa = count_quadrature.Nodes({"log_kappa": np.log(theirs.values["kappa"])}, theirs.weight)
    mu, kappa = theirs.summary("mu"), log_kappa.summary("log_kappa")
    population = on_grid(name)
    ours = mu_quantiles(population, [*QUANTILES.values()]), np.log(kappa_quantiles(population, [*QUANTILES.values()]))
    for row, values in zip((mu, kappa), ours, strict=True):
        assert np.abs(values - [row[q] for q in QUANTILES]).max() < 3e-3 * row["sd"]
    # Planted fault: off sorted nodes.
    assert abs(nodes_of(population).summary("mu")["q50"] - mu["q50"]) > 3e-3 * mu["sd"]


# --- against draws of the family's programs -------------------------------------------------------------------------


def truth_of(name: str, priors: Mapping[str, Prior]) -> dict[str, dict[str, float]]:
    """Means, sds and quantiles of the population and of five arms, by the grid."""
    y, n, _ = counts(name)
    population, fine = (of_counts(y, n, shape, priors) for shape in (DECISION, (241, 161)))
    nodes = nodes_of(population)
    labels = prepare_table(MODEL, table(name)).pooled.labels
    # Quantiles are read off between nodes: of tau off many, as it is no coordinate of the grid.
    truth = {"mu": nodes.summary("mu"), "tau": nodes_of(fine).summary("tau")}
    truth["mu"] |= dict(zip(QUANTILES, mu_quantiles(population, [*QUANTILES.values()]), strict=True))
    # kappa has a long right tail where complete pooling is not ruled out: no MCSE for its mean and sd.
    truth["kappa"] = dict(zip(QUANTILES, kappa_quantiles(population, [*QUANTILES.values()]), strict=True))
    a, b = nodes.values["alpha"], nodes.values["beta"]
    some = sorted({0, 1, 2, len(y) // 2, len(y) - 1})
    return truth | {f"theta[{labels[j]}]": nodes.mixture("beta", a + y[j], b + n[j] - y[j]) for j in some}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("how", ["NUTS", "direct"])
def test_the_grid_equals_draws_of_the_family_s_program(name: str, how: str, stanli: StanliEngine) -> None:
    engine: Engine = stanli if how == "NUTS" else DirectEngine()
    z = differences(fitted(engine, table(name), "partial_pooling"), truth_of(name, counts(name)[2]))
    assert len(z) == 3 * 5 - 2 + 5 * 5
    assert max(map(abs, z.values())) < 4, z


def test_draws_under_another_prior_are_caught(stanli: StanliEngine) -> None:
    # Planted fault: the grid under kappa ~ lognormal(3.4, 1), the program under the default.
    y, n, _ = counts("rat_tumour")
    other = choose_priors(y.sum(), n.sum(), {"kappa": "lognormal(3.4, 1)"})
    z = differences(fitted(stanli, table("rat_tumour"), "partial_pooling"), truth_of("rat_tumour", other))
    assert abs(z["mean of tau"]) > 4


def test_expected_rates_are_those_of_the_oracle() -> None:
    exact = rates("rat_tumour", quadrature("rat_tumour", 150), tuple(range(0, 71, 10)))
    population = on_grid("rat_tumour")
    ours = decision_module._mean_rates(population, population.hits, population.misses)
    labels = prepare_table(MODEL, table("rat_tumour")).pooled.labels
    for j in range(0, 71, 10):
        row = exact[f"theta[{labels[j]}]"]
        assert abs(ours[j] - row["mean"]) < 1e-6 * row["sd"]


# --- counts that come in --------------------------------------------------------------------------------------------


def stream(steps: int, arms: int, shapes: tuple[float, float], seed: int = 1) -> Iterator[tuple[int, bool]]:
    """Trials of arms, some much more often than others."""
    rng = np.random.default_rng([SEED, seed])
    theta, share = rng.beta(*shapes, arms), rng.dirichlet(np.full(arms, 0.3))
    for arm in rng.choice(arms, steps, p=share):
        yield int(arm), bool(rng.random() < theta[arm])


STREAMS = {"sparse": (3000, 300, (2.0, 38.0)), "alike": (6000, 5, (400.0, 600.0)), "two": (4000, 2, (3.0, 3.0))}


def followed(name: str) -> Population:
    """The population after a stream, its weights brought up to date after every trial."""
    steps, arms, shapes = STREAMS[name]
    population = of_counts(np.zeros(arms), np.zeros(arms))
    for arm, hit in stream(steps, arms, shapes):
        population.learn(arm, float(hit), float(not hit))
        population.update()
    return population


def anew(population: Population, shape: tuple[int, int] = DECISION) -> Population:
    population.update()
    return Population(population.hits, population.misses, population.priors, shape)


@pytest.mark.parametrize("name", STREAMS)
def test_trials_one_by_one_give_the_posterior_of_all_counts(name: str) -> None:
    population = followed(name)
    assert 2 < population.grids < 60
    assert off(population, anew(population)) < 1e-4


def outliers(arms: int = 200) -> Population:
    """Arms nearly alike, and then 40 that are nothing like them, each with its trials at once: kappa has to move."""
    rng = np.random.default_rng(SEED)
    population = of_counts(rng.binomial(50, rng.beta(60, 140, arms)), np.full(arms, 50))
    for rate in rng.permutation(np.repeat([0.02, 0.1, 0.6, 0.9], 10)):
        hits = int(rng.binomial(50, rate))
        population.learn(population.add(), hits, 50 - hits)
        population.update()
    return population


def test_the_grid_follows_a_population_that_moves() -> None:
    population = outliers()
    assert population.grids > 3
    assert off(population, anew(population)) < 1e-4


@pytest.mark.parametrize("fault", ["edge", "fewest"])
def test_a_grid_that_does_not_follow_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Planted faults: the nodes stay where they are although mass lies on their edge, or too few of them share it.
    monkeypatch.setattr(population_module, "EDGE", np.inf)
    if fault == "fewest":
        monkeypatch.setattr(population_module, "FEWEST", 0.0)
    stuck = outliers() if fault == "edge" else followed("sparse")
    assert off(stuck, anew(stuck)) > 1e-3


@pytest.mark.parametrize("fault", ["forgets", "swaps", "size"])
def test_a_wrong_gain_is_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Planted faults: what was known of the arm is left out; successes and failures swapped; kappa + n one too large.
    right = Population._gain

    def wrong(self: Population, arm: int, hits: float, misses: float) -> np.ndarray:
        if fault == "forgets":
            known = self.hits[arm], self.misses[arm]
            self.hits[arm] = self.misses[arm] = 0
            gain = right(self, arm, hits, misses)
            self.hits[arm], self.misses[arm] = known
            return gain
        if fault == "swaps":
            return right(self, arm, misses, hits)
        return right(self, arm, hits, misses) + np.log1p(-1 / (self._kappa + self.hits[arm] + self.misses[arm] + 1))

    rng = np.random.default_rng(SEED)
    y = rng.binomial(20, rng.beta(3, 9, 40))
    population = of_counts(y, np.full(40, 20))
    monkeypatch.setattr(Population, "_gain", wrong)
    for arm in rng.integers(0, 40, 40):
        population.learn(int(arm), 1.0, 0.0)
        population.update()
    assert off(population, anew(population)) > 1e-2


def test_many_results_at_once_equal_single_ones() -> None:
    rng = np.random.default_rng(SEED)
    y, n = np.array([3.0, 0.0, 12.0, 7.0]), np.array([9.0, 4.0, 40.0, 30.0])
    at_once, single = of_counts(y, n), of_counts(y, n)
    for arm, hits, misses in ((2, 5, 11), (0, 2, 0), (1, 0, 3)):
        at_once.learn(arm, hits, misses)
        trials = rng.permutation([True] * hits + [False] * misses)
        for hit in trials:
            single.learn(arm, float(hit), float(not hit))
            single.update()
    assert at_once.grids == single.grids == 1
    np.testing.assert_allclose(at_once.weights, single.weights, atol=1e-12)
    # More arms than it pays to add up one by one: the nodes are laid anew.
    many = of_counts(np.zeros(80), np.zeros(80))
    for arm in range(80):
        many.learn(arm, 1, arm)
    many.update()
    assert many.grids == 2
    assert off(many, anew(many)) < 1e-4


def test_a_new_arm_says_nothing_and_an_old_one_goes_on_teaching() -> None:
    y, n, priors = counts("rat_tumour")
    bandit = Bandit([f"a{j}" for j in range(71)], y, n)
    before = bandit.population.weights
    bandit.add("new")
    np.testing.assert_array_equal(bandit.population.weights, before)
    bandit.retire("a3")
    bandit.learn("new", 2, 5)
    assert "a3" not in {bandit.choose() for _ in range(300)}
    whole = of_counts([*y, 2], [*n, 7], priors=priors)
    assert off(bandit.population, whole) < 1e-5


# --- which arm ------------------------------------------------------------------------------------------------------

FEW = ([4, 9, 0, 13], [20, 30, 0, 60])


def exact_chances(population: Population) -> tuple[np.ndarray, float]:
    """The probability of each arm to be best and the expected highest rate, by quadrature at every node.

    P(best) is the integral of f_j times the product of the others' F; the expected maximum that of 1 - product of F.
    """
    held = population.weights > 1e-7
    w = population.weights[held] / population.weights[held].sum()
    mu, kappa = population.mu[held], population.kappa[held]
    x, dx = np.polynomial.legendre.leggauss(400)
    # Nodes thick at both ends, where densities of untried arms rise: x = sin^2.
    angle = (x + 1) * np.pi / 4
    theta, dx = np.sin(angle) ** 2, dx * np.pi / 4 * np.sin(2 * angle)
    a = mu[:, None] * kappa[:, None] + population.hits
    b = (1 - mu)[:, None] * kappa[:, None] + population.misses
    cdf = stats.beta.cdf(theta[:, None, None], a, b)
    product = cdf.prod(axis=2)
    best = []
    for j in range(len(population.hits)):
        # d F_j in closed form at the nodes' edges would lose little; the density is exact.
        others = np.delete(cdf, j, axis=2).prod(axis=2)
        best.append(float(w @ (dx @ (stats.beta.pdf(theta[:, None], a[:, j], b[:, j]) * others))))
    return np.array(best), float(1 - w @ (dx @ product))


@cache
def chances() -> tuple[np.ndarray, float, np.ndarray]:
    population = of_counts(*FEW)
    mean = decision_module._mean_rates(population, population.hits, population.misses)
    return *exact_chances(population), mean


def decided(order: list[int], draws: int = 20_000, batch: int = 1, seed: int = 3) -> Any:
    y, n = (np.array(c)[order] for c in FEW)
    return decide(Bandit([f"arm {j}" for j in order], y, n, seed=seed), batch, draws)


def worst_z(ours: Any, order: list[int]) -> float:
    best, highest, mean = chances()
    assert abs(best.sum() - 1) < 1e-4
    z = np.abs(ours.p_best - best[order]) / np.maximum(ours.p_best_mcse, 1e-4)
    z_loss = np.abs(ours.loss - (highest - mean[order])) / ours.loss_mcse
    return float(max(z.max(), z_loss.max()))


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_chances_and_losses_equal_quadrature(order: list[int]) -> None:
    ours = decided(order)
    assert worst_z(ours, order) < 4
    np.testing.assert_allclose(ours.mean, chances()[2][order], atol=1e-6)
    assert ours.labels[ours.leader] == f"arm {int(np.argmax(chances()[2]))}"
    rows = ours.rows()
    assert [row["arm"] for row in rows] == [f"arm {j}" for j in np.argsort(-chances()[2])]
    assert rows[0]["loss"] == min(row["loss"] for row in rows)


@pytest.mark.parametrize("fault", ["node of its own", "no population", "failures as trials"])
def test_wrong_joint_draws_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Planted faults: every arm has a draw of the population of its own; all have beta(1, 1); counts mixed up.
    def wrong(population: Population, hits: Any, misses: Any, rng: Any, size: int) -> Any:
        if fault == "failures as trials":
            yield from joint_draws(population, hits, misses + hits, rng, size)
            return
        pairs = [population.nodes(rng, size) for _ in hits]
        a, b = (np.stack([pair[k] for pair in pairs], axis=1) for k in (0, 1))
        a, b = (np.ones_like(a), np.ones_like(b)) if fault == "no population" else (a, b)
        yield rng.beta(a + hits, b + misses), a[:, 0], b[:, 0]

    monkeypatch.setattr(decision_module, "joint_draws", wrong)
    assert worst_z(decided([0, 1, 2, 3]), [0, 1, 2, 3]) > 4


def test_arms_are_chosen_as_often_as_they_are_the_best() -> None:
    best, _, _ = chances()
    y, n = FEW
    bandit = Bandit(list("abcd"), y, n, seed=SEED)
    size = 20_000
    share = np.bincount([bandit.choose_number() for _ in range(size)], minlength=4) / size
    assert (np.abs(share - best) < 4 * np.sqrt(best * (1 - best) / size)).all()
    batch = decided([0, 1, 2, 3], draws=400, batch=size).next
    assert sum(batch.values()) == size
    share = np.array([batch[f"arm {j}"] for j in range(4)]) / size
    assert (np.abs(share - best) < 4 * np.sqrt(best * (1 - best) / size)).all()


def test_an_arm_never_tried_is_what_a_new_arm_is_said_to_be() -> None:
    y, n, _ = counts("clinics")
    labels = [f"clinic {j}" for j in range(len(y))]
    without = decide(Bandit(labels, y, n, seed=4))
    # The same priors: of an arm without trials the pooled rate is no other.
    beside = decide(Bandit(["new", *labels], [0, *y], [0, *n], seed=5))
    assert beside.mean[0] == pytest.approx(without.new_arm["mean"], abs=1e-7)
    error = np.hypot(beside.p_best_mcse[0], np.sqrt(without.new_arm["p_above_all"] / without.draws))
    assert abs(beside.p_best[0] - without.new_arm["p_above_all"]) < 4 * error
    assert without.new_arm["p_above_leader"] > without.new_arm["p_above_all"]
    # Quantiles of the mixture, by the oracle.
    population = on_grid("clinics")
    exact = nodes_of(population).mixture(
        "beta", nodes_of(population).values["alpha"], nodes_of(population).values["beta"]
    )
    for q, p in (("q05", 0.05), ("q95", 0.95)):
        density = (exact["q95"] - exact["q05"]) ** -1 * 0.3  # no less than this at either
        assert abs(without.new_arm[q] - exact[q]) < 4 * np.sqrt(p * (1 - p) / without.draws) / density


def test_equal_rates_of_0_or_1_are_no_lead_of_the_first_arm() -> None:
    # kappa near 0.01: most rates are 0 or 1 in double precision, for all arms alike.
    bandit = Bandit(list("abcd"), priors={"kappa": "lognormal(-5, 0.1)"}, seed=6)
    ours = decide(bandit, 4000)
    assert (np.abs(ours.p_best - 0.25) < 4 * ours.p_best_mcse).all()
    for share in (
        np.array(list(ours.next.values())) / 4000,
        np.bincount([bandit.choose_number() for _ in range(4000)], minlength=4) / 4000,
    ):
        assert (np.abs(share - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)).all()


def test_a_pair_of_arms_by_one_more_integral() -> None:
    # P(a > b) of two betas that share a node, as a double sum by SciPy: kappa is fixed by a sharp prior.
    priors = {"kappa": "lognormal(3, 0.001)", "mu": "beta(2000, 8000)"}
    ours = decide(Bandit(["a", "b"], [8, 3], [20, 20], priors=priors, seed=8))
    k, m = np.exp(3), 0.2
    a, b = stats.beta(m * k + 8, (1 - m) * k + 12), stats.beta(m * k + 3, (1 - m) * k + 17)
    p, _ = integrate.quad(lambda x: a.pdf(x) * b.cdf(x), 0, 1)
    assert abs(ours.p_best[0] - p) < 4 * ours.p_best_mcse[0] + 1e-3


def test_one_arm_no_arms_and_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(DataError, match="no arms"):
        Bandit([])
    with pytest.raises(DataError, match="one arm in play only"):
        decide(Bandit(["a"], [1], [2]))
    with pytest.raises(DataError, match="'b' stands there twice"):
        Bandit(["a", "b", "b"])
    for hits, trials in ((3, 2), (-1, 2), (0.5, 2), (1, 2.5), (float("nan"), 2), (1, float("inf"))):
        with pytest.raises(DataError, match=r"cannot be\. Both are whole numbers"):
            Bandit(["a", "b"], [0, hits], [1, trials])
    bandit = Bandit(["a", "b"])
    for hits, misses in ((-1, 0), (0.5, 0), (0, float("nan"))):
        with pytest.raises(DataError, match="cannot be"):
            bandit.learn("a", hits, misses)
    with pytest.raises(DataError, match=r"no arm .A.\. Did you mean .a."):
        bandit.learn("A", 1)
    with pytest.raises(DataError, match="already"):
        bandit.add("a")
    bandit.retire("a")
    with pytest.raises(DataError, match="the last arm in play"):
        bandit.retire("b")
    with pytest.raises(HbmError, match="A batch has"):
        decide(Bandit(["a", "b"]), batch=0)


def test_lay_grid_looks_beyond_where_it_is_told_to() -> None:
    y, n, priors = counts("rat_tumour")
    evidence = Evidence.of(y, n, priors)
    usual = lay_grid(evidence)
    for about in ((-30.0, -20.0), (40.0, 41.0), (2.0, 2.1)):
        elsewhere = lay_grid(evidence, STEPS, about)
        assert abs(np.array(elsewhere.ends) - usual.ends).max() < 2.5


@cache
def adaptive(run: int) -> tuple[Population, np.ndarray, float]:
    """Rates drawn from the priors, and a population that learnt from 80 trials of arms of its own choice."""
    rng = np.random.default_rng([SEED, run])
    mean, kappa = rng.beta(1, 1), rng.lognormal(2.8, 2)
    theta = np.clip(rng.beta(mean * kappa, (1 - mean) * kappa, 6), 1e-12, 1 - 1e-12)
    bandit = Bandit(list("abcdef"), seed=[SEED, run, 1])
    for _ in range(80):
        arm = bandit.choose_number()
        hit = rng.random() < theta[arm]
        bandit.population.learn(arm, float(hit), float(not hit))
    return bandit.population, theta, mean


def misfits(fault: bool = False) -> dict[str, float]:
    """How far chances, losses and intervals lie from what came true, in standard errors, over 200 runs."""
    chance, best, gain, ranks = [], [], [], []
    for run in range(200):
        population, theta, mean = adaptive(run)
        a, b = population.nodes(np.random.default_rng([SEED, run, 2]), 2000)
        a, b = (np.ones_like(a), np.ones_like(b)) if fault else (a, b)
        rates = np.random.default_rng([SEED, run, 3]).beta(a[:, None] + population.hits, b[:, None] + population.misses)
        leader = int(rates.mean(axis=0).argmax())
        chance.append(np.bincount(rates.argmax(axis=1), minlength=6) / 2000)
        best.append(theta == theta.max())
        gain.append((rates.max(axis=1) - rates[:, leader]).mean() - (theta.max() - theta[leader]))
        ranks.append(float(population.weights @ (population.mu < mean)))
    p, came = np.concatenate(chance), np.concatenate(best)
    z = {"loss": abs(np.mean(gain)) / (np.std(gain, ddof=1) / np.sqrt(200)),
         "rank of mu": stats.norm.isf(stats.kstest(ranks, "uniform").pvalue / 2)}  # fmt: skip
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1.01)):
        inside = (p >= low) & (p < high)
        spread = np.sqrt((p * (1 - p))[inside].sum() + 1 / 4)
        z[f"P(best) from {low:g}"] = abs((came.astype(float) - p)[inside].sum()) / spread
    return z


def test_chances_losses_and_intervals_come_true_although_arms_were_chosen_by_their_results() -> None:
    z = misfits()
    assert max(z.values()) < 4, z
    # Planted fault: every arm on its own, with beta(1, 1).
    assert max(misfits(fault=True).values()) > 4
