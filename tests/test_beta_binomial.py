"""The beta-binomial family against published results, quadrature and closed forms, and what it refuses."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import count_quadrature
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from scipy.special import expit
from test_truth import moved

from hbm_stan.data import Dataset, load
from hbm_stan.diagnose import summarise
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError, ModelError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.model import Evidence
from hbm_stan.program import Program
from hbm_stan.resources import share

TESTS = Path(__file__).parent
SEED = 20261121
SAMPLING = Sampling(draws=5000, adapt_delta=0.95, seed=SEED)
STATISTICS = ("mean", "sd", "q05", "q50", "q95")
MODEL = family("beta_binomial")
COLUMNS = {
    "rat_tumour": {"group": "experiment", "successes": "tumours", "trials": "rats"},
    "baseball": {"group": "player", "successes": "hits", "trials": "at_bats"},
    "clinics": {"group": "clinic", "successes": "adherent", "trials": "patients"},
    "ab_test": {"group": "variant", "successes": "conversions", "trials": "visitors"},
}
# Two rows of group a, and groups with equal counts.
ROWS = pd.DataFrame({"g": list("abacd"), "y": [3, 2, 2, 2, 0], "n": [5, 4, 9, 4, 6]})


def dataset(name: str) -> Dataset:
    return load(name, COLUMNS[name])


def of_frame(frame: pd.DataFrame) -> Dataset:
    return Dataset.from_frame(frame, group="g", successes="y", trials="n")


def stan_data(data: Dataset, variant: str, priors: dict[str, str] | None = None) -> dict[str, Any]:
    table = prepare_table(MODEL, data)
    return MODEL.stan_data(table, MODEL.priors(table, priors), variant)


def sample(engine: StanliEngine, program: Program, data: dict[str, Any], labels: tuple[str, ...]) -> pd.DataFrame:
    """Summary of everything that was drawn, group by group where it has groups."""
    names, draws = [], []
    for name, values in engine.sample(program, data, SAMPLING).variables.items():
        if values.ndim == 2:
            names.append(name)
            draws.append(values[None])
        elif name == "theta":
            names += [f"theta[{label}]" for label in labels]
            draws.append(np.moveaxis(values, 2, 0))
    return summarise(names, np.concatenate(draws))


def fitted(engine: StanliEngine, data: Dataset, variant: str, priors: dict[str, str] | None = None) -> pd.DataFrame:
    labels = prepare_table(MODEL, data).pooled.labels
    return sample(engine, MODEL.program(variant), stan_data(data, variant, priors), labels)


def differences(summary: pd.DataFrame, truth: dict[str, dict[str, float]]) -> dict[str, float]:
    """(estimate - truth) / MCSE for every statistic that the truth has."""
    return {
        f"{s} of {name}": (summary.loc[name, s] - row[s]) / summary.loc[name, f"mcse_{s}"]
        for name, row in truth.items()
        for s in row
    }


@cache
def quadrature(name: str, nodes: int = count_quadrature.NODES) -> count_quadrature.Nodes:
    """The posterior of mu and kappa under the default priors, whose arguments are read from the prior table."""
    table = prepare_table(MODEL, dataset(name))
    priors = MODEL.priors(table)
    (a, b), (location, scale) = priors["mu"].arguments, priors["kappa"].arguments

    def log_prior(mu: np.ndarray, kappa: np.ndarray) -> np.ndarray:
        return stats.beta.logpdf(mu, a, b) + stats.lognorm.logpdf(kappa, scale, scale=np.exp(location))

    return count_quadrature.beta_binomial(table["successes"], table["trials"], log_prior, nodes)


def rates(name: str, nodes: count_quadrature.Nodes, groups: tuple[int, ...]) -> dict[str, dict[str, float]]:
    table = prepare_table(MODEL, dataset(name))
    y, n = table["successes"], table["trials"]
    a, b = nodes.values["alpha"], nodes.values["beta"]
    return {f"theta[{table.pooled.labels[j]}]": nodes.mixture("beta", a + y[j], b + n[j] - y[j]) for j in groups}


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("rat_tumour", "partial_pooling"),
        ("rat_tumour", "partial_pooling_centered"),
        ("baseball", "partial_pooling"),
        ("ab_test", "partial_pooling"),
    ],
)
def test_partial_pooling_with_the_default_priors_equals_quadrature(
    stanli: StanliEngine, name: str, variant: str
) -> None:
    if name == "ab_test":  # thousands of trials: too many for the quadrature's sums of logarithms on a fine grid
        nodes = quadrature(name, 120)
        truth = rates(name, nodes, (0, 1, 2, 3))
    else:
        nodes = quadrature(name)
        # kappa has a long right tail in baseball, where nothing rules complete pooling out: no MCSE for its sd.
        truth = {p: nodes.summary(p) for p in ("mu", "tau", "kappa")} | rates(name, quadrature(name, 150), (0, 1, 17))
        if name == "baseball":
            truth["kappa"] = {s: truth["kappa"][s] for s in ("q05", "q50", "q95")}
    z = differences(fitted(stanli, dataset(name), variant), truth)
    assert moved(z, 120) == {}


def test_the_comparison_catches_a_prior_other_than_the_claimed_one(stanli: StanliEngine) -> None:
    # Planted fault: kappa ~ lognormal(3.4, 1) sampled, the default lognormal(3.4, 2) claimed.
    nodes = quadrature("rat_tumour")
    truth = {p: nodes.summary(p) for p in ("mu", "tau", "kappa")}
    summary = fitted(stanli, dataset("rat_tumour"), "partial_pooling", {"kappa": "lognormal(3.4, 1)"})
    assert "mean of tau" in moved(differences(summary, truth), 120)


def reference() -> dict[str, dict[str, float]]:
    file = TESTS / "reference" / "other" / "rat_tumour-bda3.json"
    parameters: dict[str, dict[str, float]] = json.loads(file.read_text())["parameters"]
    return parameters


def test_rat_tumours_with_the_hyperprior_of_the_book(stanli: StanliEngine) -> None:
    # The book's hyperprior is improper and not offered: tests/programs has the family's program with it. E(kappa^2) is
    # infinite under it (the density of kappa falls as kappa^(-3/2)), so the sds of alpha and beta are left out.
    truth = reference()
    truth["mu"] = truth.pop("mean_rate")
    truth["log_kappa"] = truth.pop("log_alpha_plus_beta")
    for name in ("alpha", "beta"):
        truth[name] = {s: v for s, v in truth[name].items() if s != "sd"}
    program = Program.read(TESTS / "programs" / "rat_tumour_bda3.stan", (share("stan") / "lib",))
    table = prepare_table(MODEL, dataset("rat_tumour"))
    summary = sample(stanli, program, stan_data(dataset("rat_tumour"), "partial_pooling"), table.pooled.labels)
    z = differences(summary, truth)
    assert len(z) == 76 * len(STATISTICS) - 2
    assert moved(z, len(z)) == {}


def test_our_quadrature_equals_an_independent_one() -> None:
    # Up to kappa = 10^5, for the reason above; the figures are those of another grid, by other hands.
    theirs = reference()
    table = prepare_table(MODEL, dataset("rat_tumour"))

    def log_prior(_mu: np.ndarray, kappa: np.ndarray) -> np.ndarray:
        return np.where(kappa < 1e5, -1.5 * np.log(kappa), -np.inf)

    fine, coarse = (
        count_quadrature.beta_binomial(table["successes"], table["trials"], log_prior, n) for n in (600, 150)
    )
    ours = {"mean_rate": fine.summary("mu"), "alpha": fine.summary("alpha"), "beta": fine.summary("beta")}
    ours |= rates("rat_tumour", coarse, (0, 20, 70))
    for name, row in ours.items():
        for s in STATISTICS:
            if (name, s) not in {("alpha", "sd"), ("beta", "sd")}:
                # Quantiles of the population are read off between nodes; the rest is exact.
                within = 1e-3 if not name.startswith("theta") else 1e-5
                assert row[s] == pytest.approx(theirs[name][s], abs=within * theirs[name]["sd"]), (name, s)


def test_complete_and_no_pooling_equal_their_closed_forms(stanli: StanliEngine) -> None:
    data = dataset("baseball")
    y, n = (data.table.numbers(c) for c in ("hits", "at_bats"))
    chosen = {"mu": "beta(2, 3)", "theta": "beta(0.5, 4)"}
    names = [f"theta[{p}]" for p in data.table.labels("player")]
    z = {}
    for variant, parameters, a, b in (
        ("complete_pooling", ["mu"], [2 + y.sum()], [3 + (n - y).sum()]),
        ("no_pooling", names, 0.5 + y, 4 + n - y),
    ):
        truth = {}
        for name, a_j, b_j in zip(parameters, a, b, strict=True):
            one = stats.beta(a_j, b_j)
            truth[name] = {"mean": one.mean(), "sd": one.std()}
            truth[name] |= {q: one.ppf(p) for q, p in count_quadrature.QUANTILES.items()}
        z |= differences(fitted(stanli, data, variant, chosen), truth)
    assert len(z) == 19 * len(STATISTICS)
    assert moved(z, len(z)) == {}


def test_one_of_two_and_fifty_of_a_hundred(stanli: StanliEngine) -> None:
    # theta ~ beta(8, 12): E = (8 + 1) / (20 + 2) and (8 + 50) / (20 + 100).
    summary = fitted(stanli, dataset("clinics"), "no_pooling", {"theta": "beta(8, 12)"})
    for name, mean in (("theta[Clinic 01]", 9 / 22), ("theta[Clinic 02]", 58 / 120)):
        assert abs(summary.loc[name, "mean"] - mean) < 4 * summary.loc[name, "mcse_mean"]


def test_partial_pooling_foretells_the_rest_of_the_season(stanli: StanliEngine) -> None:
    # Efron and Morris (1975): total squared error 0.0753 of the raw averages, 0.0215 of James and Stein's.
    data = dataset("baseball")
    rest = data.table.numbers("rest_average")
    raw, _ = MODEL.need("raw", "")(stan_data(data, "partial_pooling"))
    assert np.sum((raw - rest) ** 2) == pytest.approx(0.0753, abs=5e-5)
    summary = fitted(stanli, data, "partial_pooling")
    means = summary.loc[[f"theta[{p}]" for p in data.table.labels("player")], "mean"]
    assert np.sum((means - rest) ** 2) < 0.026


def density(program: Program, data: dict[str, Any], points: np.ndarray) -> np.ndarray:
    """The engine's log density at points (log odds of mu, logarithm of kappa_raw)."""
    model = StanliEngine().model(program, data)
    return np.array([model.log_prob_grad(q)[0] for q in points])


def test_rows_of_a_group_are_added_up() -> None:
    merged = ROWS.groupby("g", as_index=False).sum()
    chosen = {"kappa": "lognormal(3, 2)"}
    points = np.random.default_rng(SEED).normal(0, 2, (20, 2))
    program = MODEL.program("partial_pooling")
    one, other = (density(program, stan_data(of_frame(f), "partial_pooling", chosen), points) for f in (ROWS, merged))
    assert np.ptp(one - other) < 1e-9


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling"])
def test_exact_loo_is_the_integral_over_the_posterior_of_the_other_rows(variant: str) -> None:
    data = stan_data(of_frame(ROWS), variant, {"mu": "beta(2, 3)", "theta": "beta(0.7, 1.4)"})
    ours = MODEL.need("exact_loo", "")(data, variant)
    a, b = (2, 3) if variant == "complete_pooling" else (0.7, 1.4)
    for i in range(len(ROWS)):
        same = (ROWS.index != i) & ((variant == "complete_pooling") | (ROWS["g"] == ROWS["g"][i]))
        rest = ROWS[same]
        posterior = stats.beta(a + rest["y"].sum(), b + (rest["n"] - rest["y"]).sum())
        value, _ = integrate.quad(
            lambda t, i=i, p=posterior: stats.binom.pmf(ROWS["y"][i], ROWS["n"][i], t) * p.pdf(t), 0, 1, epsabs=1e-12
        )
        assert ours[i] == pytest.approx(np.log(value), abs=1e-6)


def test_group_log_lik_integrates_the_rate_of_all_rows_of_a_group() -> None:
    data = stan_data(of_frame(ROWS), "partial_pooling")
    draws = {"mu": np.array([0.3, 0.6]), "kappa": np.array([4.0, 15.0])}
    ours = MODEL.need("group_log_lik", "")(draws, data)
    for s, (mu, kappa) in enumerate(zip(draws["mu"], draws["kappa"], strict=True)):
        for j, label in enumerate("abcd"):
            rows = ROWS[ROWS["g"] == label]
            value, _ = integrate.quad(
                lambda t, r=rows, m=mu, k=kappa: float(np.prod(stats.binom.pmf(r["y"], r["n"], t)))
                * stats.beta.pdf(t, m * k, (1 - m) * k), 0, 1, epsabs=1e-12,
            )  # fmt: skip
            assert ours[s, j] == pytest.approx(np.log(value), abs=1e-6)


def findings(theta: np.ndarray, labels: list[str], **population: np.ndarray) -> Any:
    frame = pd.DataFrame({"g": labels, "y": 1, "n": 4})
    table = prepare_table(MODEL, of_frame(frame))
    data = stan_data(of_frame(frame), "partial_pooling")
    evidence = Evidence(
        variant="v",
        draws={"theta": theta, **population},
        data=data,
        table=table,
        options={},
        rng=np.random.default_rng(1),
    )
    return MODEL.need("findings", "")(evidence)


def test_the_group_with_the_smallest_expected_loss_is_named() -> None:
    # b is best in two draws of three, but loses 0.5 in the third; a never loses more than 0.1.
    theta = np.array([[0.5, 0.6, 0.1], [0.5, 0.6, 0.1], [0.5, 0.0, 0.1]])
    (finding,) = findings(theta, ["a", "b", "c"])
    assert finding.sentences[0].startswith("Where a high rate is good, a is the one to choose: ")
    assert "No other group has a smaller expected loss." in finding.sentences[0]
    assert finding.sentences[1] == "b has the highest rate with probability 0.67."
    assert list(finding.table["group"]) == ["a", "b", "c"]
    np.testing.assert_allclose(finding.table["expected loss"], [0.2 / 3, 0.5 / 3, 1.4 / 3])
    np.testing.assert_allclose(finding.table["P(highest)"], [1 / 3, 2 / 3, 0])


def test_there_is_no_highest_rate_with_complete_pooling_nor_among_very_many_groups() -> None:
    assert findings(np.full((3, 2), 0.5), ["a", "b"], mu=np.full(3, 0.5)) == []
    assert findings(np.full((3, 201), 0.5), [f"g{j}" for j in range(201)]) == []


@pytest.mark.parametrize(
    ("y", "n", "message"),
    [
        ([1, 5], [4, 4], "above 'n' of the same row"),
        ([0, 2], [0, 4], "a has 0 trials"),
        ([1, 2], [4, 4.5], "a count is a whole number"),
        ([-1, 2], [4, 4], "a count cannot be negative"),
    ],
)
def test_counts_that_cannot_be_are_refused(y: list[float], n: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        stan_data(of_frame(pd.DataFrame({"g": ["a", "b"], "y": y, "n": n})), "partial_pooling")


@pytest.mark.parametrize("trials", [2.5, 0.5, 2.0**31])
def test_trials_of_the_new_observation_are_a_whole_number(trials: float) -> None:
    data = stan_data(of_frame(ROWS), "partial_pooling")
    with pytest.raises(ModelError, match=r"prediction\.trials must be a whole number"):
        MODEL.need("new_row", "")(data, {"trials": trials})
    design, words = MODEL.need("new_row", "")(data, {"trials": 1200.0})
    assert (design["trials"].tolist(), words) == ([1200], "successes out of 1,200 trials in a new {group}")


@pytest.mark.parametrize("successes", [0, 7])
def test_rates_of_nothing_and_of_all_can_be_sampled(stanli: StanliEngine, successes: int) -> None:
    data = of_frame(pd.DataFrame({"g": list("abcdef"), "y": successes, "n": 7}))
    priors = MODEL.priors(prepare_table(MODEL, data))
    assert all(np.isfinite(p.arguments).all() for p in priors.values())
    for variant in MODEL.default_variants:
        drawn = stanli.sample(MODEL.program(variant), stan_data(data, variant), Sampling(seed=SEED))
        assert not drawn.sample_stats["diverging"].any()
        assert all(np.isfinite(v).all() for v in drawn.variables.values())
    raw, se = MODEL.need("raw", "")(stan_data(data, "partial_pooling"))
    assert (raw == successes / 7).all()
    assert np.isnan(se).all()


@pytest.mark.parametrize("trials", [10, 1000, 100_000])
def test_groups_that_hardly_differ_can_be_sampled(stanli: StanliEngine, trials: int) -> None:
    # With a large kappa log Gammas once cancelled to noise, which a chain got stuck in at kappa = 10^16.
    y = np.random.default_rng(SEED).binomial(trials, 0.3, 8)
    data = of_frame(pd.DataFrame({"g": list("abcdefgh"), "y": y, "n": trials}))
    population = fitted(stanli, data, "partial_pooling").loc[["mu", "tau", "kappa"]]
    assert population["rhat"].max() < 1.01
    assert population["ess_bulk"].min() > 0.1 * SAMPLING.chains * SAMPLING.draws


def test_the_density_goes_to_complete_pooling_as_kappa_grows() -> None:
    # At kappa = 10^4, where the program changes from one form to the other, and far beyond it.
    data = stan_data(of_frame(ROWS), "partial_pooling", {"kappa": "uniform(0, 1e30)"})
    program = MODEL.program("partial_pooling")

    def at(*kappa: float) -> np.ndarray:
        share = np.array(kappa) / 1e30
        logit = np.log(share) - np.log1p(-share)
        jacobian = np.log(share) + np.log1p(-share)
        return density(program, data, np.column_stack([np.full(len(kappa), -0.4), logit])) - jacobian

    mu = expit(-0.4)
    y, n = ROWS["y"].sum(), ROWS["n"].sum()
    below, above = at(1e4 / mu * (1 - 1e-9), 1e4 / mu * (1 + 1e-9))
    assert below == pytest.approx(above, abs=1e-9)
    far, farther = at(1e14, 1e28)
    assert far == pytest.approx(farther, abs=1e-9)
    complete = stats.binom.logpmf(y, n, mu) - stats.binom.logpmf(y, n, 0.5)
    half, other = density(program, data, np.array([[0.0, -4.0], [-0.4, -4.0]]))
    jacobian = np.log(mu * (1 - mu)) - np.log(0.25)
    assert other - half - jacobian == pytest.approx(complete, abs=1e-6)
