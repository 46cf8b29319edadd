"""A row given the others of its group, the group's rate integrated out: against quadrature, refits and replications."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import betaln, expit, gammaln, log_expit, logsumexp

from hbm_stan.attempts import fit
from hbm_stan.data import Dataset
from hbm_stan.engines import Sampling
from hbm_stan.families import family
from hbm_stan.fit import Fit, prepare_table
from hbm_stan.leave_one_out import good_k, loo
from hbm_stan.loo_pit import loo_pit
from hbm_stan.loo_predictive import loo_predictive
from hbm_stan.psis import psis_loo
from hbm_stan.repair import refit_without
from hbm_stan.repair.refits import held_out
from hbm_stan.scores import Route

SEED = 20261121
ROLES = {
    "beta_binomial": {"group": "g", "successes": "y", "trials": "n"},
    "gamma_poisson": {"group": "g", "count": "y", "exposure": "e"},
}
NAMES = tuple(ROLES)
PRIORS = {
    "beta_binomial": {"mu": "beta(2, 3)", "kappa": "lognormal(2, 1)", "theta": "beta(0.7, 1.4)"},
    "gamma_poisson": {
        "mu": "gamma(2, 1)", "alpha": "lognormal(1, 1)", "beta": "lognormal(0, 1)", "theta": "gamma(0.7, 0.4)",
    },
}  # fmt: skip
DRAWS = {
    "beta_binomial": {"mu": np.array([0.3, 0.6, 0.05]), "kappa": np.array([4.0, 15.0, 900.0])},
    "gamma_poisson": {"alpha": np.array([0.8, 3.0, 400.0]), "beta": np.array([0.5, 2.0, 90.0])},
}


def frame(name: str, sizes: tuple[int, ...] = (1, 2, 2, 3, 6)) -> pd.DataFrame:
    """Groups of so many rows, of unequal trials or exposure, with rates far apart, in no order."""
    rng = np.random.default_rng(SEED)
    group = np.repeat(np.arange(len(sizes)), sizes)
    if name == "beta_binomial":
        n = rng.integers(1, 21, len(group))
        rows = {"n": n, "y": rng.binomial(n, rng.beta(1.5, 3, len(sizes))[group])}
    else:
        e = rng.uniform(0.1, 9, len(group)).round(2)
        rows = {"e": e, "y": rng.poisson(rng.gamma(1.5, 1, len(sizes))[group] * e)}
    return pd.DataFrame({"g": [f"g{j:03d}" for j in group], **rows}).sample(frac=1, random_state=3, ignore_index=True)


def data_of(name: str, rows: pd.DataFrame, variant: str = "partial_pooling") -> Any:
    model = family(name)
    table = prepare_table(model, Dataset.from_frame(rows, ROLES[name]))
    priors = {k: v for k, v in PRIORS[name].items() if k in model.variant(variant).priors}
    return model.stan_data(table, model.priors(table, priors), variant)


def given_others(name: str, data: Any, variant: str = "partial_pooling", draws: Any = None) -> np.ndarray:
    return family(name).need("loo_log_lik", "a test")(DRAWS[name] if draws is None else draws, data, variant)


def log_p_row(name: str, row: pd.Series, rate: np.ndarray) -> np.ndarray:
    """The log probability of a row at rates of its group."""
    if name == "beta_binomial":
        return np.asarray(stats.binom.logpmf(row["y"], row["n"], rate))
    return np.asarray(stats.poisson.logpmf(row["y"], rate * row["e"]))


def by_quadrature(name: str, rows: pd.DataFrame, n: int, population: Any) -> float:
    """log p(row n | the other rows of its group): integrals over the group's rate, with and without the row.

    The trapezoidal rule on log odds, or on logs, where both ends carry no mass.
    """
    u = np.linspace(-40, 40, 40_001)
    rate, jacobian = (expit(u), log_expit(u) + log_expit(-u)) if name == "beta_binomial" else (np.exp(u), u)
    with np.errstate(divide="ignore", invalid="ignore"):
        without = population.logpdf(rate) + jacobian
        for m in rows.index[(rows["g"] == rows["g"][n]) & (rows.index != n)]:
            without = without + log_p_row(name, rows.loc[m], rate)
        both = without + log_p_row(name, rows.loc[n], rate)
    return float(logsumexp(both[np.isfinite(both)]) - logsumexp(without[np.isfinite(without)]))


def populations(name: str) -> list[Any]:
    if name == "beta_binomial":
        return [stats.beta(m * k, (1 - m) * k) for m, k in zip(*DRAWS[name].values(), strict=True)]
    return [stats.gamma(a, scale=1 / b) for a, b in zip(*DRAWS[name].values(), strict=True)]


@pytest.mark.parametrize("name", NAMES)
def test_the_density_given_the_others_is_a_quotient_of_integrals(name: str) -> None:
    rows = frame(name)
    ours = given_others(name, data_of(name, rows))
    assert ours.shape == (3, len(rows))
    for s, population in enumerate(populations(name)):
        for n in range(len(rows)):
            assert ours[s, n] == pytest.approx(by_quadrature(name, rows, n, population), abs=1e-6), (s, n)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_the_density_of_a_group_gains_by_the_row(name: str) -> None:
    rows = frame(name)
    data, of_group = data_of(name, rows), family(name).need("group_log_lik", "a test")
    ours, whole = given_others(name, data), of_group(DRAWS[name], data)
    for n in np.flatnonzero(rows["g"].map(rows["g"].value_counts()) > 1):
        rest = rows.drop(index=n)
        assert set(rest["g"]) == set(rows["g"])
        less = data_of(name, rest)
        # Groups stand in the order of their first rows: without a row they may stand in another.
        place = less["group_idx"][np.flatnonzero(rest["g"] == rows["g"][n])[0]] - 1
        gained = whole[:, data["group_idx"][n] - 1] - of_group(DRAWS[name], less)[:, place]
        np.testing.assert_allclose(ours[:, n], gained, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_without_pooling_it_is_the_exact_score_at_every_draw(name: str) -> None:
    data = data_of(name, frame(name), "no_pooling")
    ours = given_others(name, data, "no_pooling", {"theta": np.full((4, data["J"]), 0.2)})
    exact = family(name).need("exact_loo", "a test")(data, "no_pooling")
    np.testing.assert_allclose(ours, np.broadcast_to(exact, (4, data["N"])), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_of_equal_groups_it_is_the_density_of_rows_that_share_a_rate(name: str) -> None:
    """A population without spread: binomial and Poisson rows, to many digits (log Gammas would cancel to noise)."""
    rows = frame(name)
    if name == "beta_binomial":
        draws = {"mu": np.array([0.3]), "kappa": np.array([1e13])}
        truth = stats.binom.logpmf(rows["y"], rows["n"], 0.3)
    else:
        draws = {"alpha": np.array([3e12]), "beta": np.array([1e12])}
        truth = stats.poisson.logpmf(rows["y"], 3 * rows["e"])
    np.testing.assert_allclose(given_others(name, data_of(name, rows), draws=draws)[0], truth, atol=1e-8)


@cache
def fitted(name: str, variant: str = "partial_pooling") -> tuple[pd.DataFrame, Fit]:
    rows = frame(name, sizes=(1, *(2,) * 25, 3, 5))
    priors = {k: v for k, v in PRIORS[name].items() if k in family(name).variant(variant).priors}
    data, sampling = Dataset.from_frame(rows, ROLES[name]), Sampling(seed=SEED)
    return rows, fit(name, data, variant, priors=priors, sampling=sampling, engine="stanli")


@cache
def exact_scores(name: str) -> np.ndarray:
    """log p(y_n | all other rows) by sums over a grid of the population; only the rows and SciPy are used."""
    rows, _ = fitted(name)
    prior = {k: v for k, v in PRIORS[name].items() if k != "theta"}
    assert set(prior) == ({"mu", "kappa"} if name == "beta_binomial" else {"mu", "alpha", "beta"})
    y = rows["y"].to_numpy(float)
    size = rows["n" if name == "beta_binomial" else "e"].to_numpy(float)
    group = rows["g"].astype("category").cat.codes.to_numpy()
    if name == "beta_binomial":
        u, v = (x.ravel() for x in np.meshgrid(np.linspace(-4, 3, 141), np.linspace(-3, 7, 141), indexing="ij"))
        mu, kappa = expit(u), np.exp(v)
        log_p = stats.beta.logpdf(mu, 2, 3) + np.log(mu * (1 - mu)) + stats.norm.logpdf(v, 2, 1)
        first, second = mu * kappa, (1 - mu) * kappa

        def of_group(members: np.ndarray) -> np.ndarray:
            hits, total = y[members].sum(), size[members].sum()
            return betaln(first + hits, second + total - hits) - betaln(first, second)

        own = gammaln(size + 1) - gammaln(y + 1) - gammaln(size - y + 1)
    else:
        u, v = (x.ravel() for x in np.meshgrid(np.linspace(-4, 5, 161), np.linspace(-5, 5, 161), indexing="ij"))
        first, second = np.exp(u), np.exp(v)
        log_p = stats.norm.logpdf(u, 1, 1) + stats.norm.logpdf(v, 0, 1)

        def of_group(members: np.ndarray) -> np.ndarray:
            events, total = y[members].sum(), size[members].sum()
            rise = gammaln(first + events) - gammaln(first)
            return rise + first * np.log(second) - (first + events) * np.log(second + total)

        own = y * np.log(size) - gammaln(y + 1)
    by_group = [np.flatnonzero(group == j) for j in range(group.max() + 1)]
    densities = [of_group(members) for members in by_group]
    whole = log_p + np.sum(densities, axis=0)
    scores = np.empty(len(y))
    for n, j in enumerate(group):
        without = whole - densities[j] + of_group(by_group[j][by_group[j] != n])
        scores[n] = logsumexp(whole) - logsumexp(without) + own[n]
    return scores


def monte_carlo_error(log_lik: np.ndarray, elpd_i: np.ndarray) -> np.ndarray:
    """Of leave-one-out by self-normalised importance sampling; draws are taken to be worth a fifth of their number."""
    weights = np.exp(-log_lik - logsumexp(-log_lik, axis=0))
    return np.asarray(np.sqrt(5 * np.sum(weights**2 * (np.exp(log_lik - elpd_i) - 1) ** 2, axis=0)))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", ["partial_pooling", "partial_pooling_centered"])
def test_scores_of_rows_are_those_of_quadrature_and_need_no_repair(name: str, variant: str) -> None:
    rows, whole = fitted(name, variant)
    left_out, truth = loo(whole), exact_scores(name)
    assert left_out.route is Route.INTEGRATED
    assert not left_out.high.any()
    log_lik = given_others(name, whole.data, variant, whole.draws())
    errors = monte_carlo_error(log_lik, truth)
    assert np.max(np.abs(left_out.elpd_i - truth) / errors) < stats.norm.isf(0.005 / len(rows))
    # Given the group's own rate, some rows have weights that few draws carry.
    own = psis_loo(family(name).need("pointwise", "a test")(whole.draws(), whole.data))
    assert (own.pareto_k >= good_k(whole.n_draws)).any()
    assert np.max(left_out.pareto_k) < np.max(own.pareto_k)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_without_a_row_scores_it_alike(name: str) -> None:
    rows, whole = fitted(name)
    truth = exact_scores(name)
    alone = rows.index[rows["g"] == "g000"][0]
    for n in (int(np.argmin(truth)), int(alone)):
        refit = refit_without(whole, [n])
        density = held_out(whole, refit, "observation", [n])[:, 0]
        elpd = logsumexp(density) - math.log(len(density))
        error = np.std(np.exp(density - elpd)) / math.sqrt(len(density) / 5)
        assert abs(elpd - truth[n]) < 4 * error


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variant", ["partial_pooling", "no_pooling"])
def test_replications_of_a_row_have_the_density_that_is_scored(name: str, variant: str) -> None:
    data = data_of(name, frame(name), variant)
    size, at = 40_000, np.array([7, 2, 11, 0])
    once = {k: v[:1] for k, v in DRAWS[name].items()} if variant != "no_pooling" else {"theta": np.full((1, 5), 0.5)}
    many = {k: np.repeat(v, size, axis=0) for k, v in once.items()}
    drawn = family(name).need("loo_rep", "a test")(np.random.default_rng(4), many, data, variant, at)
    assert drawn.shape == (size, len(at))
    for r, n in enumerate(at):
        for value in range(min(4, data["trials"][n] + 1) if "trials" in data else 4):
            y = np.array(data["y"])
            y[n] = value  # other rows of the group keep theirs
            p = math.exp(given_others(name, data | {"y": y}, variant, once)[0, n])
            share = np.mean(drawn[:, r] == value)
            assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / size) + 1e-9, (n, value)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_its_place_in_what_the_others_predict(name: str) -> None:
    rows, whole = fitted(name)
    given = loo_predictive(whole)
    assert given.reliable.all()
    assert loo_pit(whole).unreliable == ()
    truth = exact_scores(name)
    low, high = given.below()
    # The share of replications that equal the row estimates the density of the row, whose exact value is known.
    p = np.exp(truth)
    worth = 1 / np.sum(np.exp(2 * given.log_weights), axis=0) / 5
    assert np.max(np.abs(high - low - p) / np.sqrt(p * (1 - p) / worth)) < stats.norm.isf(0.005 / len(rows))


@pytest.mark.parametrize("name", NAMES)
def test_without_pooling_no_draw_is_decisive_for_the_place_of_a_row(name: str) -> None:
    _, whole = fitted(name, "no_pooling")
    given = loo_predictive(whole)
    assert given.reliable.all()
    np.testing.assert_allclose(np.exp(given.log_weights), 1 / whole.n_draws)
    np.testing.assert_allclose(given.elpd_i, loo(whole).elpd_i, rtol=1e-9)
