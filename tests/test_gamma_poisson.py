"""The gamma-Poisson family against published results, quadrature and closed forms, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import count_quadrature
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from test_truth import moved

from hbm_stan.data import Dataset, load
from hbm_stan.diagnose import summarise
from hbm_stan.engines import Sampling
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import DataError
from hbm_stan.families import family
from hbm_stan.fit import prepare_table
from hbm_stan.program import Program

TESTS = Path(__file__).parent
SEED = 20261121
SAMPLING = Sampling(draws=5000, adapt_delta=0.95, seed=SEED)
STATISTICS = ("mean", "sd", "q05", "q50", "q95")
MODEL = family("gamma_poisson")
PUMPS = {"group": "pump", "count": "failures", "exposure": "time_1000h"}
PUBLISHED = {"alpha": "exponential(1)", "beta": "gamma(0.1, 1)"}
PARTIAL = ("partial_pooling", "partial_pooling_centered")
# Two rows of group a, and groups with equal counts or equal exposure.
ROWS = pd.DataFrame({"g": list("abacd"), "y": [3, 2, 2, 2, 0], "e": [1.5, 2.0, 0.5, 2.0, 4.0]})


def of_frame(frame: pd.DataFrame, **roles: str) -> Dataset:
    return Dataset.from_frame(frame, **({"group": "g", "count": "y", "exposure": "e"} | roles))


def stan_data(data: Dataset, variant: str, priors: dict[str, str] | None = None) -> dict[str, Any]:
    table = prepare_table(MODEL, data)
    return MODEL.stan_data(table, MODEL.priors(table, priors), variant)


def fitted(
    engine: StanliEngine, variant: str, priors: dict[str, str] | None = None, data: Dataset | None = None
) -> pd.DataFrame:
    """Summary of everything that was drawn, group by group where it has groups; by default of the pumps."""
    data = data or load("pumps", PUMPS)
    labels = prepare_table(MODEL, data).pooled.labels
    names, draws = [], []
    drawn = engine.sample(MODEL.program(variant), stan_data(data, variant, priors), SAMPLING)
    for name, values in drawn.variables.items():
        if values.ndim == 2:
            names.append(name)
            draws.append(values[None])
        elif name == "theta":
            names += [f"theta[{label}]" for label in labels]
            draws.append(np.moveaxis(values, 2, 0))
    return summarise(names, np.concatenate(draws))


def differences(summary: pd.DataFrame, truth: dict[str, dict[str, float]]) -> dict[str, float]:
    """(estimate - truth) / MCSE for every statistic that the truth has."""
    return {
        f"{s} of {name}": (summary.loc[name, s] - row[s]) / summary.loc[name, f"mcse_{s}"]
        for name, row in truth.items()
        for s in row
    }


def reference() -> dict[str, Any]:
    contents: dict[str, Any] = json.loads((TESTS / "reference" / "pumps-bugs.json").read_text())
    return contents


@pytest.mark.parametrize("variant", PARTIAL)
def test_pumps_with_the_priors_of_the_bugs_examples(stanli: StanliEngine, variant: str) -> None:
    truth = reference()["posteriors"][0]["parameters"]
    z = differences(fitted(stanli, variant, PUBLISHED), truth)
    assert len(z) == 12 * len(STATISTICS)
    assert moved(z, 2 * len(z)) == {}


def test_pumps_equal_the_table_of_openbugs(stanli: StanliEngine) -> None:
    # The table has two to four digits and gives no Monte Carlo error; it comes from 10,000 updates, so that error is at
    # least sd / 100, and the last digit is half a unit off at most.
    summary = fitted(stanli, "partial_pooling", PUBLISHED)
    table = reference()["openbugs"]["mean"]
    z = {
        n: (summary.loc[n, "mean"] - m) / np.hypot(summary.loc[n, "mcse_mean"], summary.loc[n, "sd"] / 100)
        for n, m in table.items()
    }
    assert len(z) == 12
    assert moved(z, len(z)) == {}


def quadrature(priors: str, nodes: int) -> count_quadrature.Nodes:
    """The posterior of alpha and beta: under the priors of the BUGS examples, or under those of the prior table."""
    table = prepare_table(MODEL, load("pumps", PUMPS))
    chosen = MODEL.priors(table)
    (la, sa), (lb, sb) = chosen["alpha"].arguments, chosen["beta"].arguments

    def log_prior(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
        if priors == "published":
            return stats.expon.logpdf(alpha) + stats.gamma.logpdf(beta, 0.1)
        return stats.lognorm.logpdf(alpha, sa, scale=np.exp(la)) + stats.lognorm.logpdf(beta, sb, scale=np.exp(lb))

    return count_quadrature.gamma_poisson(table["count"], table["exposure"], log_prior, nodes)


def rates(nodes: count_quadrature.Nodes, groups: tuple[int, ...]) -> dict[str, dict[str, float]]:
    table = prepare_table(MODEL, load("pumps", PUMPS))
    y, e = table["count"], table["exposure"]
    a, b = nodes.values["alpha"], nodes.values["beta"]
    return {f"theta[{table.pooled.labels[j]}]": nodes.mixture("gamma", a + y[j], b + e[j]) for j in groups}


def test_our_quadrature_equals_an_independent_one() -> None:
    theirs = reference()["posteriors"][0]["parameters"]
    fine = quadrature("published", count_quadrature.NODES)
    ours = {name: fine.summary(name) for name in ("alpha", "beta")} | rates(quadrature("published", 150), (0, 6, 9))
    for name, row in ours.items():
        for s in STATISTICS:
            # Quantiles of the population are read off between nodes; the rest is exact.
            within = 2e-3 if not name.startswith("theta") else 1e-5
            assert row[s] == pytest.approx(theirs[name][s], abs=within * theirs[name]["sd"]), (name, s)


def default_truth() -> dict[str, dict[str, float]]:
    # mu and tau have long right tails with ten pumps: no MCSE for their sds.
    nodes = quadrature("default", count_quadrature.NODES)
    truth = {name: nodes.summary(name) for name in ("alpha", "beta", "mu", "tau")}
    for name in ("mu", "tau"):
        truth[name].pop("sd")
    return truth


@pytest.mark.parametrize("variant", PARTIAL)
def test_partial_pooling_with_the_default_priors_equals_quadrature(stanli: StanliEngine, variant: str) -> None:
    truth = default_truth() | rates(quadrature("default", 150), (0, 6, 9))
    assert moved(differences(fitted(stanli, variant), truth), 2 * 33) == {}


def test_the_comparison_catches_a_prior_other_than_the_claimed_one(stanli: StanliEngine) -> None:
    # Planted fault: alpha ~ lognormal(1.4, 1) sampled, the default lognormal(1.4, 2) claimed.
    summary = fitted(stanli, "partial_pooling", {"alpha": "lognormal(1.4, 1)"})
    assert "mean of alpha" in moved(differences(summary, default_truth()), 18)


def test_complete_and_no_pooling_equal_their_closed_forms(stanli: StanliEngine) -> None:
    data = load("pumps", PUMPS)
    y, e = (data.table.numbers(c) for c in ("failures", "time_1000h"))
    chosen = {"mu": "gamma(2, 3)", "theta": "gamma(0.5, 0.4)"}
    names = [f"theta[{p}]" for p in data.table.labels("pump")]
    z = {}
    for variant, parameters, shape, rate in (
        ("complete_pooling", ["mu"], [2 + y.sum()], [3 + e.sum()]),
        ("no_pooling", names, 0.5 + y, 0.4 + e),
    ):
        truth = {}
        for name, a, b in zip(parameters, shape, rate, strict=True):
            one = stats.gamma(a, scale=1 / b)
            truth[name] = {"mean": one.mean(), "sd": one.std()}
            truth[name] |= {q: one.ppf(p) for q, p in count_quadrature.QUANTILES.items()}
        z |= differences(fitted(stanli, variant, chosen), truth)
    assert len(z) == 11 * len(STATISTICS)
    assert moved(z, len(z)) == {}


def density(program: Program, data: dict[str, Any], points: np.ndarray) -> np.ndarray:
    """The engine's log density at points (logarithms of alpha_raw and mu_raw)."""
    model = StanliEngine().model(program, data)
    return np.array([model.log_prob_grad(q)[0] for q in points])


POINTS = np.random.default_rng(SEED).normal(0, 1.5, (20, 2))
UNIT = {"alpha": "lognormal(0, 2)", "beta": "lognormal(0, 2)"}  # alpha_raw = alpha, mu_raw = mu


def test_rows_of_a_group_are_added_up() -> None:
    merged = ROWS.groupby("g", as_index=False).sum()
    program = MODEL.program("partial_pooling")
    one, other = (density(program, stan_data(of_frame(f), "partial_pooling", UNIT), POINTS) for f in (ROWS, merged))
    assert np.ptp(one - other) < 1e-9


def test_the_unit_of_exposure_changes_the_unit_of_the_rates_only() -> None:
    # The default priors go along with it: alpha has the same posterior whether time is in hours or in 1000 hours. The
    # location of beta's prior is rounded to a tenth, which 10^(4 / ln 10) = e^4 does not disturb.
    factor = np.exp(4)
    program = MODEL.program("partial_pooling")
    scaled = ROWS.assign(e=ROWS["e"] * factor)
    one, other = (density(program, stan_data(of_frame(f), "partial_pooling"), POINTS) for f in (ROWS, scaled))
    assert np.ptp(one - other) < 1e-9


@pytest.mark.parametrize("variant", ["complete_pooling", "no_pooling"])
def test_exact_loo_is_the_integral_over_the_posterior_of_the_other_rows(variant: str) -> None:
    data = stan_data(of_frame(ROWS), variant, {"mu": "gamma(2, 3)", "theta": "gamma(1.5, 0.4)"})
    ours = MODEL.need("exact_loo", "")(data, variant)
    shape, rate = (2, 3) if variant == "complete_pooling" else (1.5, 0.4)
    for i in range(len(ROWS)):
        rest = ROWS[(ROWS.index != i) & ((variant == "complete_pooling") | (ROWS["g"] == ROWS["g"][i]))]
        posterior = stats.gamma(shape + rest["y"].sum(), scale=1 / (rate + rest["e"].sum()))
        value, _ = integrate.quad(
            lambda t, i=i, p=posterior: stats.poisson.pmf(ROWS["y"][i], t * ROWS["e"][i]) * p.pdf(t),
            0, 80, epsabs=1e-12, limit=200,
        )  # fmt: skip
        assert ours[i] == pytest.approx(np.log(value), abs=1e-6)


def test_group_log_lik_integrates_the_rate_of_all_rows_of_a_group() -> None:
    data = stan_data(of_frame(ROWS), "partial_pooling")
    draws = {"alpha": np.array([1.5, 6.0]), "beta": np.array([0.5, 4.0])}
    ours = MODEL.need("group_log_lik", "")(draws, data)
    for s, (alpha, beta) in enumerate(zip(draws["alpha"], draws["beta"], strict=True)):
        for j, label in enumerate("abcd"):
            rows = ROWS[ROWS["g"] == label]
            value, _ = integrate.quad(
                lambda t, r=rows, a=alpha, b=beta: float(np.prod(stats.poisson.pmf(r["y"], t * r["e"])))
                * stats.gamma.pdf(t, a, scale=1 / b), 0, 80, epsabs=1e-12, limit=200,
            )  # fmt: skip
            assert ours[s, j] == pytest.approx(np.log(value), abs=1e-6)


def test_exposure_is_one_where_no_column_is_named() -> None:
    bare = Dataset.from_frame(ROWS, group="g", count="y")
    assert stan_data(bare, "partial_pooling")["exposure"].tolist() == [1.0] * 5
    one = stan_data(of_frame(ROWS.assign(e=1.0)), "partial_pooling")
    assert {k: np.asarray(v).tolist() for k, v in stan_data(bare, "partial_pooling").items()} == {
        k: np.asarray(v).tolist() for k, v in one.items()
    }


@pytest.mark.parametrize(
    ("y", "e", "message"),
    [
        ([-1, 2], [4, 4], "a count cannot be negative"),
        ([1.5, 2], [4, 4], "a count is a whole number"),
        ([1, 2], [0, 4], "must be above zero"),
        ([1, 3e9], [4, 4], "larger than Stan's whole numbers"),
    ],
)
def test_counts_and_exposures_that_cannot_be_are_refused(y: list[float], e: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        stan_data(of_frame(pd.DataFrame({"g": ["a", "b"], "y": y, "e": e})), "partial_pooling")


@pytest.mark.parametrize("count", [0, 1_000_000_000])
def test_no_events_and_very_many_can_be_sampled(stanli: StanliEngine, count: int) -> None:
    data = of_frame(pd.DataFrame({"g": list("abcdef"), "y": count, "e": 2.0}))
    priors = MODEL.priors(prepare_table(MODEL, data))
    assert all(np.isfinite(p.arguments).all() for p in priors.values())
    for variant in MODEL.default_variants:
        drawn = stanli.sample(MODEL.program(variant), stan_data(data, variant), Sampling(seed=SEED))
        # A billion events in each group say that mu is known as well as alpha lets it be, which is a funnel.
        assert count or not drawn.sample_stats["diverging"].any(), variant
        assert all(np.isfinite(v).all() for v in drawn.variables.values()), variant
    _, se = MODEL.need("raw", "")(stan_data(data, "partial_pooling"))
    assert np.isnan(se).all() == (count == 0)


@pytest.mark.parametrize("variation", [0.5, 0.02])
def test_large_counts_are_sampled_as_well_as_small_ones(stanli: StanliEngine, variation: float) -> None:
    # alpha and beta, which go up and down together, once took hundreds of steps here and did not converge; and where
    # rates hardly differ, two log Gammas of a large alpha cancelled to noise that a chain got stuck in.
    rng = np.random.default_rng(SEED)
    count = rng.poisson(1e5 * rng.gamma(variation**-2, variation**2, 20))
    data = of_frame(pd.DataFrame({"g": [f"g{j}" for j in range(20)], "y": count, "e": 2.0}))
    summary = fitted(stanli, "partial_pooling", data=data)
    population = summary.loc[["mu", "tau", "alpha", "beta"]]
    assert population["rhat"].max() < 1.01
    assert population["ess_bulk"].min() > 0.1 * SAMPLING.chains * SAMPLING.draws
