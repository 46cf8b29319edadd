"""Populations of events: nodes against SciPy's quadrature, samples against estimates, selection, what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import expit, logsumexp
from test_cli import hbm

from hbm_stan.automatic import fit
from hbm_stan.checks import check
from hbm_stan.compare import compare
from hbm_stan.data import Dataset, load
from hbm_stan.density import log_density_spread, short_run
from hbm_stan.engines import Sampling
from hbm_stan.errors import DataError, DiagnosticError
from hbm_stan.examples import analyses, irregular
from hbm_stan.families import family
from hbm_stan.families.event_population import density, nodes, trust
from hbm_stan.families.event_population.findings import findings
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.identity import data_hash
from hbm_stan.model import Evidence
from hbm_stan.new_rows.condition import Conditioned, condition
from hbm_stan.new_rows.predict import predict
from hbm_stan.selection import notes_on
from hbm_stan.store import FitStore
from hbm_stan.verdicts import EVENT_WEIGHTS, QUADRATURE

MODEL = family("event_population")
SEED = 20261121
PARTIAL = "partial_pooling"
ESTIMATES = {"group": "event", "estimate": "spin", "standard_error": "error"}
SAMPLES = {"group": "event", "sample": "spin"}
# Near both ends and outside them, precise and vague, and one known to a thousandth.
ROWS = pd.DataFrame({
    "event": list("dgbfae"), "spin": [0.31, -0.04, 0.93, 0.55, 0.02, 0.7002],
    "error": [0.05, 0.03, 0.08, 0.3, 0.004, 0.001],
})  # fmt: skip
SEEN = [(0.0, 0.05), (0.3, 0.2), (0.7, 0.6), (1.0, 0.9)]
# Of the population: piled up at an end, at both, even, narrow, and of the usual kind.
SHAPES = [(0.4, 1.3), (0.3, 0.2), (1.0, 1.0), (60.0, 140.0), (2.0, 5.0), (0.05, 2.0)]


def of_frame(frame: pd.DataFrame = ROWS, **roles: Any) -> Dataset:
    return Dataset.from_frame(frame, **(ESTIMATES | roles))


def data_of(dataset: Dataset, priors: dict[str, str] | None = None) -> dict[str, Any]:
    table = prepare_table(MODEL, dataset)
    return MODEL.stan_data(table, MODEL.priors(table, priors), PARTIAL)


def at_shapes(shapes: Any = SHAPES) -> dict[str, np.ndarray]:
    a, b = np.array(shapes, dtype=float).T
    return {"mu": a / (a + b), "kappa": a + b}


def samples_of(frame: pd.DataFrame, n: int, seed: int, a: float = 1.0, b: float = 1.0) -> pd.DataFrame:
    """Samples of each event's posterior under the prior beta(a, b), by rejection; rows in any order."""
    rng, rows = np.random.default_rng([SEED, seed]), []
    for event in frame.itertuples():
        fine = np.linspace(0, 1, 40_001)[1:-1]
        weight = stats.norm.pdf(event.spin, fine, event.error) * stats.beta.pdf(fine, a, b)
        value = rng.choice(fine, size=n, p=weight / weight.sum())
        rows.append(pd.DataFrame({"event": event.event, "spin": value, "prior": stats.beta.pdf(value, a, b)}))
    return pd.concat(rows).sample(frac=1, random_state=seed).reset_index(drop=True)


def quad(f: Any, a: float, b: float, at: float, width: float) -> float:
    """The integral of f over beta(a, b): over log odds, with pieces about where f is narrow."""
    t_at = float(np.log(np.clip(at, 1e-6, 1 - 1e-6) / (1 - np.clip(at, 1e-6, 1 - 1e-6))))
    slope = max(np.clip(at, 1e-6, 1) * (1 - np.clip(at, 0, 1 - 1e-6)), 1e-3)
    own = [t_at + k * width / slope for k in (-8, -3, -1, 0, 1, 3, 8)]
    edges = np.unique(np.clip([*own, -800, -200, -60, -20, -8, -4, -2, 0, 2, 4, 8, 20, 60, 200, 800], -800, 800))

    def inside(t: float) -> float:
        log_p = a * -np.logaddexp(0, -t) + b * -np.logaddexp(0, t) - density.betaln(a, b)
        return float(f(expit(t)) * np.exp(log_p))

    pieces = pairwise(edges)
    return sum(integrate.quad(inside, lo, hi, epsabs=1e-14, epsrel=1e-12, limit=200)[0] for lo, hi in pieces)


# Nodes


@pytest.mark.parametrize("seen", [None, SEEN])
def test_integrals_over_the_population_are_those_of_scipy(seen: Any) -> None:
    dataset = of_frame(selection=seen)
    data, draws = data_of(dataset), at_shapes()
    chance = (lambda x: 1.0) if dataset.reading.selection is None else dataset.reading.selection.of
    ours, log_seen = density.group_log_lik(draws, data), density.log_seen(draws, data)
    for s, (a, b) in enumerate(SHAPES):
        share = quad(chance, a, b, 0.5, 0.1)
        assert log_seen[s] == pytest.approx(np.log(share), abs=2e-5)
        for j, event in enumerate(ROWS.itertuples()):
            event_is_seen = quad(
                lambda x, e=event: stats.norm.pdf(e.spin, x, e.error) * chance(x), a, b, event.spin, event.error
            )  # fmt: skip
            assert ours[s, j] == pytest.approx(np.log(event_is_seen / share), abs=5e-5), (a, b, event.event)


def test_nodes_that_lie_too_far_apart_are_seen() -> None:
    """The planted fault: an event that is known to a thousandth, on the grid without nodes of its own."""
    y, se = ROWS["spin"].to_numpy(), ROWS["error"].to_numpy()
    coarse, right = data_of(of_frame()), data_of(of_frame())
    log_odds, share = nodes.grid()
    weight = stats.norm.pdf(y[-1], expit(log_odds), se[-1]) * share
    own = {"first": [1], "size": [len(weight)], "weight": weight, "node": log_odds, "cell": share, "J": 1}
    one = density.group_log_lik(at_shapes(), {**coarse, **own})[:, 0]
    assert np.abs(one - density.group_log_lik(at_shapes(), right)[:, -1]).max() > 0.1  # 2,000 times what is allowed


def test_finer_steps_change_nothing_that_matters() -> None:
    for dataset in (of_frame(), of_frame(selection=SEEN), of_samples()):
        data, draws = data_of(dataset), at_shapes()
        finer = density.finer_group_log_lik(draws, data)
        if finer is None:
            assert dataset.reading.selection is None
            continue
        assert np.abs(finer - density.group_log_lik(draws, data)).max() < 1e-4


def of_samples(n: int = 400, seen: Any = SEEN, prior: bool = True, **roles: Any) -> Dataset:
    frame = samples_of(ROWS[ROWS["error"] > 0.02], n, 3, 1.0, 2.0)
    named = SAMPLES | ({"prior_density": "prior"} if prior else {}) | roles
    return Dataset.from_frame(frame, selection=seen, **named)


def test_the_mean_over_samples_is_that_of_brute_force() -> None:
    dataset = of_samples()
    data, draws = data_of(dataset), at_shapes()
    frame = pd.DataFrame({name: dataset.table.column(name) for name in dataset.table.names})
    labels = list(dict.fromkeys(frame["event"]))
    ours, log_seen = density.group_log_lik(draws, data), density.log_seen(draws, data)
    for s, (a, b) in enumerate(SHAPES):
        ratio = stats.beta.pdf(frame["spin"], a, b) / frame["prior"]
        mean = ratio.groupby(frame["event"]).mean()[labels].to_numpy()
        np.testing.assert_allclose(ours[s], np.log(mean) - log_seen[s], rtol=1e-10)


def test_values_are_means_and_sds_with_the_prior_of_samples_undone() -> None:
    vague = ROWS[ROWS["error"] > 0.02]
    data = data_of(Dataset.from_frame(samples_of(vague, 20_000, 5, 1.0, 3.0), **SAMPLES, prior_density="prior"))
    for event, y, se in zip(
        dict.fromkeys(samples_of(vague, 20_000, 5, 1.0, 3.0)["event"]), data["y"], data["se"], strict=True
    ):
        row = vague[vague["event"] == event].iloc[0]
        cut = stats.truncnorm(-row.spin / row.error, (1 - row.spin) / row.error, row.spin, row.error)
        assert y == pytest.approx(cut.mean(), abs=0.02)
        assert se == pytest.approx(cut.std(), rel=0.1)


# The program


CASES = {
    "estimates": of_frame, "seen": lambda: of_frame(selection=SEEN), "samples": lambda: of_samples(seen=None),
    "samples seen": of_samples, "uniform prior": lambda: of_samples(prior=False),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_program_has_the_density_of_numpy_for_every_form(case: str) -> None:
    data = data_of(CASES[case]())
    assert log_density_spread(MODEL.program(PARTIAL), MODEL, PARTIAL, data) < 1e-9
    draws = short_run(MODEL, PARTIAL, data, draws=50, warmup=100)
    np.testing.assert_allclose(draws["log_lik"], density.pointwise(draws, data), rtol=1e-9)
    assert {"mu", "tau", "kappa", "alpha", "beta", "theta"} <= set(draws)


@pytest.mark.parametrize("case", ["estimates", "seen", "samples seen"])
def test_values_given_the_population_have_their_own_distribution(case: str) -> None:
    """Mean, variance and quartiles of theta at one draw, of the program's rule in NumPy, against SciPy."""
    dataset = CASES[case]()
    data = data_of(dataset)
    one = {name: np.full(20_000, value[0]) for name, value in at_shapes([(2.0, 3.0)]).items()}
    theta = density.draw_groups(np.random.default_rng(5), one, data)
    fine = np.linspace(0, 1, 200_001)[1:-1]
    chance = nodes.chance_of(data)
    for j in range(data["J"]):
        if data["sampled"]:
            log_odds, _, weight = nodes.nodes_of_event(data, j)
            x = expit(log_odds)
            p = weight * x**2 * (1 - x) ** 3
        else:
            x = fine
            p = stats.norm.pdf(data["y"][j], x, data["se"][j]) * stats.beta.pdf(x, 2, 3)
            p = p if chance is None else p * chance(x)
        order = np.argsort(x)
        x, p = x[order], p[order] / p.sum()
        mean = float(p @ x)
        sd = float(np.sqrt(p @ (x - mean) ** 2))
        assert theta[:, j].mean() == pytest.approx(mean, abs=4.5 * sd / np.sqrt(20_000))
        assert theta[:, j].std() == pytest.approx(sd, rel=0.03)
        assert abs(np.mean(theta[:, j] <= x[np.searchsorted(np.cumsum(p), 0.25)]) - 0.25) < 0.02 + p.max()


def test_new_events_are_of_those_seen_where_data_are_replicated_and_of_all_where_one_is_predicted() -> None:
    data = data_of(of_frame(selection=SEEN))
    one = {name: np.full(40_000, value[0]) for name, value in at_shapes([(2.0, 5.0)]).items()}
    rng = np.random.default_rng(6)
    fine = np.linspace(0, 1, 20_001)[1:-1]
    p = stats.beta.pdf(fine, 2, 5) * of_frame(selection=SEEN).reading.selection.of(fine)  # type: ignore[union-attr]
    seen = density.new_group(rng, one, {**data, "J": 1}, PARTIAL)[:, 0]
    assert seen.mean() == pytest.approx(float(p @ fine / p.sum()), abs=0.004)
    assert np.quantile(seen, 0.1) == pytest.approx(fine[np.searchsorted(np.cumsum(p) / p.sum(), 0.1)], abs=0.006)
    design, words = density.new_row(data, {})
    assert "population" in words
    everything = density.new_group(rng, one, design, PARTIAL)[:, 0]
    assert everything.mean() == pytest.approx(2 / 7, abs=0.004)
    assert seen.mean() - everything.mean() > 0.05


def test_the_mean_of_samples_is_that_of_a_normal_cut_to_the_support() -> None:
    theta, se = np.array([[0.02, 0.5, 0.97, 0.3]]), np.array([0.1, 0.4, 0.2, 0.01])
    design = {"se": se, "sampled": 1}
    rng, again = np.random.default_rng(7), np.random.default_rng(7)
    ours = density.simulate(rng, {"theta": np.repeat(theta, 50, axis=0)}, design)
    y = again.normal(np.repeat(theta, 50, axis=0), se)
    cut = stats.truncnorm.mean(-y / se, (1 - y) / se, y, se)
    np.testing.assert_allclose(ours, cut, rtol=1e-6, atol=1e-9)
    assert np.all((ours > 0) & (ours < 1))


# Both forms, and faults in the data


def grid_posterior(data: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mu and kappa on a grid, flat (S,), and the posterior weight of each point under mu ~ beta(1, 1), lognormal."""
    mu, log_kappa = np.meshgrid(np.linspace(0.01, 0.99, 70), np.linspace(-1.0, 5.0, 60), indexing="ij")
    draws = {"mu": mu.ravel(), "kappa": np.exp(log_kappa.ravel())}
    log_p = density.group_log_lik(draws, data).sum(axis=1) + stats.norm.logpdf(log_kappa.ravel(), 1.8, 1.3)
    return draws["mu"], draws["kappa"], np.exp(log_p - logsumexp(log_p))


def mean_of(data: dict[str, Any]) -> tuple[float, float]:
    """Posterior mean and sd of the population's mean."""
    mu, _, weight = grid_posterior(data)
    mean = float(weight @ mu)
    return mean, float(np.sqrt(weight @ (mu - mean) ** 2))


def catalogue(n: int, seed: int, chance: Any = None, error: tuple[float, float] = (0.03, 0.15)) -> pd.DataFrame:
    """Events of beta(2, 5), seen by a chance that depends on their value, measured with errors."""
    rng, spins = np.random.default_rng([SEED, seed]), []
    while len(spins) < n:
        x = rng.beta(2, 5)
        if chance is None or rng.uniform() < chance(x):
            spins.append(x)
    errors = rng.uniform(*error, n)
    return pd.DataFrame({"event": [f"e{k}" for k in range(n)], "spin": rng.normal(spins, errors), "error": errors})


def test_samples_say_what_their_estimates_say_and_a_forgotten_prior_does_not() -> None:
    frame = catalogue(30, 11)
    exact, sd = mean_of(data_of(of_frame(frame)))
    sampled = samples_of(frame, 2000, 12, 3.0, 1.0)  # of a prior that prefers large values
    ours, _ = mean_of(data_of(Dataset.from_frame(sampled, **SAMPLES, prior_density="prior")))
    assert ours == pytest.approx(exact, abs=0.15 * sd)
    forgotten, _ = mean_of(data_of(Dataset.from_frame(sampled, **SAMPLES)))
    assert abs(forgotten - exact) > sd


def test_ignored_selection_moves_the_population_and_selection_brings_it_back() -> None:
    def chance(x: Any) -> Any:
        return 0.05 + 0.95 * np.asarray(x) ** 2

    pairs = [(x, float(chance(x))) for x in np.linspace(0, 1, 41)]
    frame = catalogue(400, 13, chance)
    told, sd = mean_of(data_of(of_frame(frame, selection=pairs)))
    assert abs(told - 2 / 7) < 4 * sd
    ignored, narrow = mean_of(data_of(of_frame(frame)))
    assert ignored - 2 / 7 > 10 * narrow


def test_ranks_of_true_populations_are_uniform_for_samples_whose_data_decide_what_is_seen() -> None:
    """Calibration of form (b), which `hbm calibrate` has no outcome for: the posterior by the twin on a grid."""
    rng = np.random.default_rng([SEED, 17])
    pairs = [(x, float(stats.norm.sf(0.5, x, 0.25))) for x in np.linspace(0, 1, 41)]
    ranks = {True: [], False: []}  # with the selection, and where it is forgotten
    fine = np.linspace(0, 1, 4001)[1:-1]
    for _ in range(120):
        mu, kappa = rng.beta(3, 3), rng.lognormal(1.8, 0.5)
        rows: list[pd.DataFrame] = []
        while len(rows) < 15:
            x = rng.beta(mu * kappa, (1 - mu) * kappa)
            strength, estimate = rng.normal(x, 0.25), rng.normal(x, 0.15)
            if strength < 0.5:  # what decides is part of the data that samples are conditional on
                continue
            weight = stats.norm.pdf(strength, fine, 0.25) * stats.norm.pdf(estimate, fine, 0.15) * 2 * (1 - fine)
            value = rng.choice(fine, size=150, p=weight / weight.sum())
            rows.append(pd.DataFrame({"event": f"e{len(rows)}", "spin": value, "prior": 2 * (1 - value)}))
        frame = pd.concat(rows)
        for known, own in ranks.items():
            seen = pairs if known else None
            data = data_of(Dataset.from_frame(frame, **SAMPLES, prior_density="prior", selection=seen))
            points = np.meshgrid(np.linspace(0.005, 0.995, 60), np.linspace(0.0, 3.6, 19), indexing="ij")
            draws = {"mu": points[0].ravel(), "kappa": np.exp(points[1].ravel())}
            log_p = stats.beta.logpdf(draws["mu"], 3, 3) + stats.norm.logpdf(points[1].ravel(), 1.8, 0.5)
            log_p += density.group_log_lik(draws, data).sum(axis=1)
            weight = np.exp(log_p - logsumexp(log_p)).reshape(60, 19).sum(axis=1)
            below = np.interp(mu, points[0][:, 0], np.cumsum(weight) - weight / 2)
            own.append(below)
    assert stats.kstest(ranks[True], "uniform").pvalue > 0.01
    assert stats.kstest(ranks[False], "uniform").pvalue < 1e-6


# Trust


def test_effective_samples_are_those_of_the_formula_and_few_fail_the_check() -> None:
    few = of_samples(n=8, seen=None)
    data, table = data_of(few), prepare_table(MODEL, few)
    draws = at_shapes([(2.0, 5.0)])
    effective = trust.effective_samples(draws, data)
    frame = pd.DataFrame({name: few.table.column(name) for name in few.table.names})
    ratio = stats.beta.pdf(frame["spin"], 2, 5) / frame["prior"]
    by_event = [ratio[frame["event"] == label] for label in table.pooled.labels]
    np.testing.assert_allclose(effective[0], [w.sum() ** 2 / (w**2).sum() for w in by_event], rtol=1e-9)
    expected = np.sum(1 / effective[0] - 1 / 8)
    assert trust.variance_of(effective, data)[0] == pytest.approx(expected)
    (verdict,) = trust.check_draws(draws, data, table)
    assert (verdict.name, verdict.status) == (EVENT_WEIGHTS, "fail")
    assert "Give more samples of each event" in verdict.hint


def test_the_variance_is_that_of_catalogues_sampled_again() -> None:
    """What 1 / ESS - 1 / n is worth: the spread of the log likelihood over new samples of the same posteriors."""
    vague = ROWS[ROWS["error"] > 0.02]
    draws = at_shapes([(2.0, 3.0)])
    totals, expected = [], []
    for seed in range(60):
        data = data_of(Dataset.from_frame(samples_of(vague, 150, 100 + seed), **SAMPLES))
        totals.append(density.group_log_lik(draws, data).sum())
        expected.append(trust.variance_of(trust.effective_samples(draws, data), data)[0])
    assert np.var(totals, ddof=1) == pytest.approx(np.mean(expected), rel=0.6)


def test_a_population_that_the_grid_cannot_resolve_fails_its_check() -> None:
    dataset = of_frame(pd.DataFrame({"event": list("abc"), "spin": [0.5, 0.51, 0.49], "error": 0.1}))
    data, table = data_of(dataset), prepare_table(MODEL, dataset)
    (fine,) = trust.check_draws({"mu": np.array([0.5]), "kappa": np.array([300.0])}, data, table)
    assert (fine.name, fine.status) == (QUADRATURE, "pass")
    mu = np.linspace(0.49, 0.51, 40)
    (coarse,) = trust.check_draws({"mu": mu, "kappa": np.full(40, 1e6)}, data, table)
    assert coarse.status == "fail"
    assert "complete pooling" in coarse.hint


def test_checks_of_sums_are_part_of_the_gate_and_may_be_waived() -> None:
    fitted = fit("event_population", of_samples(n=8, seen=None), engine="direct")
    result = check(fitted)
    assert [v.name for v in result.failed] == [EVENT_WEIGHTS]
    assert check(fitted, waive=[EVENT_WEIGHTS]).failed == []


# What is asked and refused


def test_order_changes_nothing_and_other_samples_do() -> None:
    def hash_of(dataset: Dataset) -> str:
        table = prepare_table(MODEL, dataset)
        return data_hash(MODEL, PARTIAL, table, MODEL.stan_data(table, MODEL.priors(table), PARTIAL))

    dataset = of_samples()
    assert hash_of(irregular(dataset, MODEL)) == hash_of(dataset)
    assert hash_of(of_samples(n=399)) != hash_of(dataset)
    assert hash_of(of_samples(seen=[(0.0, 0.05), (1.0, 0.9)])) != hash_of(dataset)
    draws = at_shapes()
    total = density.group_log_lik(draws, data_of(dataset)).sum(axis=1)
    again = density.group_log_lik(draws, data_of(irregular(dataset, MODEL))).sum(axis=1)
    np.testing.assert_allclose(again, total, rtol=1e-10)


def test_an_event_that_is_left_out_takes_its_samples_along() -> None:
    table = prepare_table(MODEL, of_samples())
    whole = MODEL.stan_data(table, MODEL.priors(table), PARTIAL)
    fewer = table.without([1])
    data = MODEL.stan_data(fewer, MODEL.priors(fewer), PARTIAL)
    assert fewer.pooled.labels == (table.pooled.labels[0], *table.pooled.labels[2:])
    rest = [0, *range(2, table.n_groups)]
    ours, all_of_them = (density.group_log_lik(at_shapes(), d) for d in (data, whole))
    np.testing.assert_allclose(ours, all_of_them[:, rest], rtol=1e-10)


def test_samples_have_partial_pooling_alone() -> None:
    table = prepare_table(MODEL, of_samples())
    assert MODEL.variants_for(table) == (PARTIAL,)
    with pytest.raises(DataError, match="complete pooling needs the likelihood of each event at any one value"):
        MODEL.refuse_unlearnable(table, "complete_pooling")
    with pytest.raises(DataError, match="the posterior that its samples are drawn from"):
        MODEL.refuse_unlearnable(table, "no_pooling")
    assert MODEL.variants_for(prepare_table(MODEL, of_frame())) == ("complete_pooling", "no_pooling", PARTIAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error": 0.0}, r"must be above zero; found row 2: .* An estimate without error is no measurement"),
        ({"event": "d"}, r"the group 'd' stands in 2 rows"),
        ({"spin": 37.0}, r"the estimate of g is 37 .* more than 5 of these outside 0 to 1"),
        ({"spin": float("nan")}, "no value|not a number|missing"),
    ],
)
def test_bad_estimates_are_refused(change: dict[str, Any], message: str) -> None:
    frame = ROWS.astype({"event": object})
    for name, value in change.items():
        frame.loc[1, name] = value
    with pytest.raises(DataError, match=message):
        data_of(of_frame(frame))


def test_few_events_and_samples_that_are_none_are_refused() -> None:
    with pytest.raises(DataError, match=r"2 events cannot tell of a population how much it spreads\. At least 3"):
        data_of(of_frame(ROWS.head(2)))
    for rows, message in (
        ([("a", 0.2), ("a", 0.4), ("b", 1.2), ("b", 0.1), ("c", 0.5), ("c", 0.6)], "outside the support.*row 3"),
        ([("a", 0.2), ("a", 0.0), ("b", 0.2), ("b", 0.1), ("c", 0.5), ("c", 0.6)], "outside the support.*row 2"),
        ([("a", 0.2), ("a", 0.4), ("b", 0.2), ("c", 0.5), ("c", 0.6)], "the event 'b' has one sample"),
        ([("a", 0.2), ("a", 0.4), ("b", 0.2), ("b", 0.2), ("c", 0.5), ("c", 0.6)], "all samples of the event 'b' are"),
    ):
        with pytest.raises(DataError, match=message):
            data_of(Dataset.from_frame(pd.DataFrame(rows, columns=["event", "spin"]), **SAMPLES))
    with pytest.raises(DataError, match="must be above zero"):
        data_of(of_samples().__class__.from_frame(
            samples_of(ROWS.head(3), 5, 1).assign(prior=0.0), **SAMPLES, prior_density="prior"
        ))  # fmt: skip
    with pytest.raises(DataError, match="estimate needs standard_error beside it"):
        data_of(Dataset.from_frame(ROWS, group="event", estimate="spin"))
    with pytest.raises(DataError, match=r"which say the same\. Name one of sample or estimate and standard_error"):
        data_of(of_frame(sample="spin"))


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        ([(0, 0.1), (0.5, 1.3)], r"column 'detection_probability', pair 2: .* lies between 0 and 1, found 1.3"),
        ([(0, 10), (1, 90)], "Percent are probabilities times 100"),
        ([(-1, 0.1), (1, 0.3)], r"column 'value', pair 1: a value lies between 0 and 1, found -1"),
        ([(0, 0.1), (0, 0.3), (1, 1)], "the value 0 is listed more than once"),
        ([(0, 0.0), (1, 0.0)], "no event could be seen"),
        ([(0, 0.5)], "need two values at least, found 1"),
        (
            [(0, 0.0), (0.6, 0.0), (1, 1.0)],
            r"the detection probability is 0 at all values that its estimate allows for",
        ),
        ("nowhere", "nowhere"),
        ([1, 2], "selection must be the path of a CSV of two columns"),
    ],
)
def test_bad_detection_probabilities_are_refused(seen: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data_of(of_frame(ROWS[ROWS["error"] < 0.06], selection=seen))


def test_a_seen_event_with_samples_cannot_have_a_probability_of_zero() -> None:
    with pytest.raises(DataError, match=r"is 0 at all values that its samples have for '[dbf]'"):
        data_of(of_samples(seen=[(0, 1.0), (0.05, 1.0), (0.06, 0.0), (1, 0.0)]))
    with pytest.raises(DataError, match="a selection is for populations of events"):
        prepare_table(family("normal_means"), of_frame(selection=SEEN))


def test_a_list_that_ends_early_is_told() -> None:
    dataset = of_frame(selection=[(0.9, 0.5), (0.1, 0.2)])
    (note,) = notes_on(dataset.reading.selection)
    assert "listed from 0.1 to 0.9; below and above they are taken as 0.2 and 0.5" in note
    assert note in prepare_table(MODEL, dataset).notes
    chance = dataset.reading.selection.of(np.array([0.0, 0.1, 0.5, 0.9, 1.0]))  # type: ignore[union-attr]
    np.testing.assert_allclose(chance, [0.2, 0.2, 0.35, 0.5, 0.5])


# Through the commands


@cache
def spins() -> dict[str, Fit]:
    dataset = load("black_hole_spins", ESTIMATES, selection="detection.csv")
    sampling = Sampling(draws=1000, seed=SEED)
    return {
        v: fit("event_population", dataset, v, engine="stanli", sampling=sampling)
        for v in ("complete_pooling", "no_pooling", PARTIAL)
    }


def test_an_event_left_out_is_scored_as_by_an_integral_over_the_population_of_the_others() -> None:
    """PSIS on the integrated density against quadrature over mu and kappa without the event."""
    fitted = spins()[PARTIAL]
    scored = compare(spins()).pointwise[PARTIAL].elpd_i
    whole = density.group_log_lik
    for j in (0, 17, 39):
        fewer = fitted.table.without([j])
        mu, kappa, weight = grid_posterior(MODEL.stan_data(fewer, fitted.priors, PARTIAL))
        own = whole({"mu": mu, "kappa": kappa}, fitted.data)[:, j]
        assert scored[j] == pytest.approx(float(np.log(weight @ np.exp(own))), abs=0.02)


def test_a_new_event_is_predicted_from_the_whole_population() -> None:
    fitted = spins()[PARTIAL]
    rows = pd.DataFrame({"event": ["N1", "N2"], "error": [0.05, 0.2]})
    table = predict(fitted, rows, group="new").table
    mean = fitted.draws("mu")["mu"].mean()
    assert table["expected_mean"].to_numpy() == pytest.approx(mean, abs=0.02)  # not of the events that are seen
    assert fitted.draws("theta")["theta"].mean() - mean > 0.04


NEW_SPINS, FAR_SPINS = (0.75, 0.8, 0.62, 0.7), (0.9, 0.85, 0.8, 0.5)


def sampled_catalogue(spins: tuple[float, ...] = NEW_SPINS, n: int = 400) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Samples of twenty events, and of four others, all with the density of a prior that is not even."""
    frame = samples_of(catalogue(20, 5, error=(0.05, 0.1)), n, 6, 1.0, 2.0)
    new = pd.DataFrame({"event": list("WXYZ"), "spin": spins, "error": [0.06, 0.07, 0.08, 0.3]})
    return frame, samples_of(new, n, 7, 1.0, 2.0)


def by_samples(frame: pd.DataFrame, seen: Any = SEEN) -> Dataset:
    return Dataset.from_frame(frame, **SAMPLES, prior_density="prior", selection=seen)


def far_from_sums(given: Conditioned, old: pd.DataFrame, new: pd.DataFrame) -> float:
    """How far means lie from a grid over the population and sums over samples, in sds: of new events, mu and log kappa.

    An event's samples have weights of population density over that of their prior, at each point of the grid.
    """
    mu, kappa, weight = grid_posterior(data_of(by_samples(pd.concat([old, new], ignore_index=True))))
    population, worst = given.fit.draws("mu", "kappa"), 0.0
    for ours, at in ((population["mu"], mu), (np.log(population["kappa"]), np.log(kappa))):
        worst = max(worst, abs(ours.mean() - weight @ at) / np.sqrt(weight @ (at - weight @ at) ** 2))
    some = weight > 1e-9
    a, b, w = (mu * kappa)[some], ((1 - mu) * kappa)[some], weight[some] / weight[some].sum()
    for event, own in new.groupby("event"):
        x, prior = own["spin"].to_numpy(), own["prior"].to_numpy()
        ratio = stats.beta.pdf(x, a[:, None], b[:, None]) / prior
        ratio /= ratio.sum(axis=1, keepdims=True)
        mean = float(w @ (ratio @ x))
        sd = float(np.sqrt(w @ (ratio @ x**2) - mean**2))
        line = given.groups.set_index("group").loc[event]
        worst = max(worst, abs(line["mean"] - mean) / sd, abs(np.log(line["sd"] / sd)))
    return float(worst)


def test_new_events_by_samples_are_those_of_sums_over_the_samples_of_all() -> None:
    old, new = sampled_catalogue()
    fitted = fit("event_population", by_samples(old), engine="direct")
    given = condition(fitted, new)
    assert given.repaired is None
    # Of 4,000 draws that are worth some hundred, a mean is off by a tenth of an sd at most.
    assert far_from_sums(given, old, new) < 0.2
    assert list(given.groups["rows"]) == [400] * 4
    before, after = (np.log(own.draws("kappa")["kappa"]) for own in (fitted, given.fit))
    assert abs(after.mean() - before.mean()) > before.std()  # the new events change the population
    table = predict(fitted, condition=new).table  # a row for each event, not for each sample
    assert sorted(table["event"]) == list("WXYZ")
    expected = table.set_index("event")["expected_mean"]
    assert expected["X"] == pytest.approx(given.groups.set_index("group")["mean"]["X"], abs=0.01)
    # Planted faults: samples go to the next event; the density that they were drawn under is forgotten.
    moved = new.assign(event=new["event"].map(dict(zip("WXYZ", "XYZW", strict=True))))
    assert far_from_sums(condition(fitted, moved), old, new) > 0.4
    assert far_from_sums(condition(fitted, new.assign(prior=1.0)), old, new) > 0.2


def test_new_events_by_samples_that_weights_cannot_follow_are_fitted_too(tmp_path: Path) -> None:
    old, new = sampled_catalogue(FAR_SPINS)
    given = condition(fit("event_population", by_samples(old), engine="direct"), new, store=FitStore(tmp_path))
    assert given.pareto_k > given.threshold
    assert given.repaired is not None
    assert given.repaired.groups == tuple(given.groups["group"])
    assert far_from_sums(given, old, new) < 0.1


def test_new_events_of_few_samples_are_withheld_and_samples_outside_are_named_by_their_file(tmp_path: Path) -> None:
    old, new = sampled_catalogue()
    fitted = fit("event_population", by_samples(old), engine="direct")
    with pytest.raises(DiagnosticError, match=f"given these rows, partial_pooling fails a check. {EVENT_WEIGHTS}: .*Z"):
        condition(fitted, new[new["event"] == "Z"].head(6))
    path = tmp_path / "new.csv"
    new.head(3).assign(event="Q", spin=[0.5, 1.2, 0.4]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"new\.csv, column 'spin': samples outside the support.*row 2|line 3"):
        condition(fitted, path)
    with pytest.raises(DataError, match="has one sample"):
        condition(fitted, new.head(1))


def test_new_events_with_rows_of_their_own_say_what_a_fit_with_them_says() -> None:
    fitted = spins()[PARTIAL]
    rows = pd.DataFrame({"event": ["N1", "N2", "N3"], "spin": [0.03, 0.06, 0.02], "error": [0.02, 0.03, 0.01]})
    both = condition(fitted, rows)
    frame = pd.DataFrame({name: fitted.table.dataset.table.column(name) for name in ("event", "spin", "error")})
    joint = Dataset.from_frame(pd.concat([frame, rows]), **ESTIMATES, selection=fitted.table.dataset.reading.selection)
    data = data_of(joint)
    mu, kappa, weight = grid_posterior(data)
    mean = float(weight @ mu)
    sd = float(np.sqrt(weight @ (mu - mean) ** 2))
    assert both.fit.draws("mu")["mu"].mean() == pytest.approx(mean, abs=0.15 * sd)
    assert abs(fitted.draws("mu")["mu"].mean() - mean) > 0.5 * sd
    few = np.random.default_rng(3).choice(len(mu), 4000, p=weight)
    theta = density.draw_groups(np.random.default_rng(4), {"mu": mu[few], "kappa": kappa[few]}, data)[:, -3:]
    ours = both.fit.draws("theta")["theta"][:, -3:]
    np.testing.assert_allclose(ours.mean(axis=0), theta.mean(axis=0), atol=0.006)
    np.testing.assert_allclose(ours.std(axis=0), theta.std(axis=0), rtol=0.1)


def test_a_quantity_on_one_curve_is_a_formula_and_no_family() -> None:
    """The second example of the issue: a polynomial in mass with shared coefficients, and noise of each event."""
    analysis = analyses()["tidal_deformability"]
    fitted = fit(analysis.family, analysis.dataset, PARTIAL, engine="direct")
    at = [1.2, 1.4, 1.6, 1.8]
    rows = pd.DataFrame({"mass": at, "event": "any", "error": 0.1})
    table = predict(fitted, rows, group="population").table
    truth = 4.5 - 1.15 * np.array(at) + 0.12 * np.array(at) ** 2
    z = (table["expected_mean"].to_numpy() - truth) / table["expected_sd"].to_numpy()
    assert np.abs(z).max() < 3


def test_direct_draws_are_those_of_the_sampler() -> None:
    direct = fit("event_population", spins()[PARTIAL].table.dataset, engine="direct")
    assert direct.engine.startswith("direct") or "direct" in str(direct.tree["sample_stats"].attrs)
    for name in ("mu", "kappa", "tau"):
        ours, theirs = direct.draws(name)[name], spins()[PARTIAL].draws(name)[name]
        assert abs(ours.mean() - theirs.mean()) < 0.15 * theirs.std()


def test_the_section_answers_what_is_asked_of_the_population() -> None:
    fitted = spins()[PARTIAL]
    (section,) = findings(
        Evidence(PARTIAL, fitted.draws(), fitted.data, fitted.table, {"above": 0.4}, np.random.default_rng(1))
    )
    a, b = fitted.draws("alpha")["alpha"], fitted.draws("beta")["beta"]
    chance = float(stats.beta.sf(0.4, a, b).mean())
    assert f"lies above 0.4 with a probability of {chance:.2f}" in section.first
    assert section.first.startswith("Of all events, seen or not")
    share = np.exp(density.log_seen(fitted.draws(), fitted.data))
    assert f"About {100 * np.median(share):.0f} % of the population" in " ".join(section.sentences)
    assert section.curves is not None
    for panel, curve in section.curves.groupby("panel"):
        area = np.trapezoid(curve["q50"], curve["x"])
        assert area == pytest.approx(1, abs=0.05), panel


def test_hbm_new_writes_the_selection_down_and_check_reads_it(tmp_path: Path) -> None:
    frame = catalogue(12, 21, lambda x: 0.2 + 0.8 * x)
    frame.to_csv(tmp_path / "events.csv", index=False)
    (tmp_path / "seen.csv").write_text("spin,seen\n0,0.2\n1,1\n")
    roles = ["--family", "event_population", "--group", "event", "--estimate", "spin", "--standard-error", "error"]
    written = hbm(
        "new", tmp_path / "events.csv", *roles, "--selection", tmp_path / "seen.csv", "--to", tmp_path / "spins"
    )
    assert written.exit_code == 0, written.output
    assert 'selection = "../seen.csv"' in (tmp_path / "spins" / "analysis.toml").read_text()
    checked = hbm("check", tmp_path / "spins", "--engine", "direct")
    assert checked.exit_code == 0, checked.output


def test_shipped_analyses_are_both_forms() -> None:
    own = {name: a for name, a in analyses().items() if a.family.name == "event_population"}
    assert {bool("sample" in a.dataset.columns) for a in own.values()} == {True, False}
    assert all(a.dataset.reading.selection is not None for a in own.values())
    assert replace(own["black_hole_spins"].dataset.reading, selection=None).selection is None
