"""Coefficients given the rows of groups that were not fitted: their density and draws, without a sampler.

Densities are held against the quadrature of leave-one-group-out, draws against closed forms and grids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from condition_cases import FORMULAS, ROLES, dataset, parts
from scipy.special import logsumexp
from scipy.stats import norm

from hbm_stan.families import family
from hbm_stan.families.terms.density import own_of
from hbm_stan.families.terms.effects import factor_of, middle, terms_of
from hbm_stan.families.terms.given_rows import given_rows as given_rows_of_terms
from hbm_stan.fit import prepare_table
from hbm_stan.integrate import given_rows as module
from hbm_stan.likelihoods import likelihood
from hbm_stan.model import GivenRows, StanData

S = 60
# Priors that the tables could have come from, for draws of the population.
LIKELY = {
    "mu": "normal(0.3, 0.4)", "beta": "normal(0.3, 0.4)", "gamma": "normal(0.5, 0.2)", "tau": "lognormal(-0.3, 0.3)",
    "sd": "lognormal(-1, 0.3)", "tau_unit": "lognormal(-0.7, 0.3)", "sigma": "lognormal(-0.3, 0.2)",
    "sigma_spread": "lognormal(-1, 0.3)", "overdispersion": "lognormal(-0.5, 0.3)", "variation": "lognormal(-0.5, 0.2)",
    "spread": "lognormal(-0.8, 0.2)", "zi": "normal(-1.2, 0.3)", "nu": "gamma(20, 4)",
    "level": "normal(0.3, 0.4)", "level_sd": "lognormal(-0.3, 0.3)", "slope": "normal(1.5, 0.5)",
    "slope_sd": "lognormal(-0.5, 0.3)", "amplitude": "lognormal(-0.5, 0.3)", "length_scale": "lognormal(0, 0.3)",
}  # fmt: skip
# Means over 60 draws, of 40 comparisons, at a family error of 1e-3.
LIMIT = norm.isf(1e-3 / 80)


def drawn(case: str) -> tuple[Any, StanData, dict[str, np.ndarray]]:
    """A family, the data of the fitted rows of a case, and draws of the population and of effects from priors."""
    name, variant, table = dataset(case, parts()[0])
    own = family(name)
    read = prepare_table(own, table)
    rows = {prior.partition("[")[0] for prior in own.priors(read)}
    priors = own.priors(read, {name: text for name, text in LIKELY.items() if name in rows})
    data = own.stan_data(read, priors, variant)
    rng = np.random.default_rng(8)
    draws = own.need("prior_draws", "a test")(rng, priors, data, S)
    if case == "grouped_normal":
        del draws["sigma_spread"]  # of another variant
    if own.terms:
        draws |= own.need("latent", "a test")(rng, {k: v for k, v in draws.items() if k != "theta"}, data, variant)
    return own, data, {k: np.asarray(v) for k, v in draws.items()}


def given(case: str, seed: int = 3, times: int = 1) -> tuple[Any, StanData, dict[str, np.ndarray], GivenRows]:
    """The groups of a case given their rows, as if they were new; each draw of the population so many times."""
    own, data, once = drawn(case)
    draws = {name: np.repeat(values, times, axis=0) for name, values in once.items()}
    rng = np.random.default_rng(seed)
    if own.terms:
        # The group's levels count as new; those of factors inside it too, and of all others as known.
        group = np.asarray(data["level"])[0]
        inside = [len(np.unique(np.column_stack([group, lv]), axis=0)) == len(np.unique(lv)) for lv in data["level"]]
        known = [0 if new else int(size) for new, size in zip(inside, data["L"], strict=True)]
        effects = {
            "effect": np.where(_of_known(data, known), draws["effect"], 0.0)
        } if "effect" in draws else {}  # fmt: skip
        draws = {**draws, **effects}
        return own, data, draws, given_rows_of_terms(likelihood(own.name), rng, draws, data, known)
    return own, data, draws, own.groups.given_rows(rng, draws, data)


def _of_known(data: StanData, known: list[int]) -> np.ndarray:
    width = max(term.effects.stop for term in terms_of(data))
    taken = np.zeros(width, dtype=bool)
    for term, n in zip(terms_of(data), known, strict=True):
        taken[term.effects] = n > 0
    return taken


WITH_OWN = ("grouped_normal", "sigma_by_group", "logistic_regression", "nested_normal")


@pytest.mark.parametrize("case", [*WITH_OWN, *FORMULAS])
def test_the_density_is_that_of_the_quadrature(case: str) -> None:
    own, data, draws, known = given(case)
    truth = own.groups.group_log_lik(draws, data)
    assert known.log_lik.shape == truth.shape
    if case == "logistic_regression" or (own.terms and likelihood(own.name).precision is None):
        # An estimate without bias: its mean over draws and groups, of the ratio to the truth, is 1.
        ratio = np.exp(known.log_lik - truth)
        error = ratio.std() / np.sqrt(ratio.size)
        assert abs(ratio.mean() - 1) < LIMIT * error + 2e-3  # quadrature of many dimensions is right to a thousandth
        assert ratio.std() < 0.5
    else:
        np.testing.assert_allclose(known.log_lik, truth, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("case", ["grouped_normal", "nested_normal", "normal", "estimates", "lognormal"])
def test_draws_of_normal_groups_are_those_of_the_closed_form(case: str) -> None:
    own, data, draws, known = given(case, times=200)
    rng = np.random.default_rng(12)
    ours = known.draw(rng, np.arange(200 * S))["theta"]
    again = own.programs.draw_groups(rng, draws, data)
    theirs = again["theta"] if isinstance(again, dict) else again
    for power in (1, 2):
        a, b = (x.reshape(S, 200, -1) ** power for x in (ours, theirs))
        error = np.sqrt((a.var(axis=1) + b.var(axis=1)) / 200)
        z = (a.mean(axis=1) - b.mean(axis=1)) / error
        assert np.abs(z).max() < norm.isf(1e-3 / (4 * z.size))


def on_a_grid(case: str, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and sd of theta of a group given its rows for each draw, (S,), by the trapezoidal rule in one dimension."""
    own, data, draws, _ = given(case)
    (group_term, *_) = terms_of(data)
    rows = np.flatnonzero(np.asarray(data["level"])[0] == j + 1)
    e = np.linspace(-9, 9, 1500)
    given_likelihood, sd = likelihood(own.name), factor_of(group_term, draws, data)[:, 0, 0]
    some = {
        name: value[rows] if np.shape(value)[:1] == (data["N"],) else value for name, value in data.items()
    }  # fmt: skip
    eta = middle(draws, data)[:, rows]
    log_p = np.stack([
        given_likelihood.log_p(eta + (sd * x)[:, None], some, own_of(given_likelihood, draws)).sum(axis=1)
        - x**2 / 2 for x in e
    ], axis=1)  # fmt: skip
    weight = np.exp(log_p - logsumexp(log_p, axis=1, keepdims=True))
    mean = weight @ e
    theta = draws["beta"][:, 0] + sd * mean
    return theta, sd * np.sqrt(np.maximum(weight @ e**2 - mean**2, 0))


@pytest.mark.parametrize("case", ["zero_inflated_poisson", "beta_binomial_rows", "beta"])
@pytest.mark.parametrize("j", [0, 7])
def test_draws_of_other_groups_are_those_of_a_grid(case: str, j: int) -> None:
    _own, data, _, _ = given(case)
    assert data["KG"] == 1
    mean, sd = on_a_grid(case, j)
    theta = given(case, times=30)[3].draw(np.random.default_rng(2), np.arange(30 * S))["theta"][:, j, 0].reshape(S, 30)
    z = ((theta - mean[:, None]) / sd[:, None]).ravel()
    # Chosen among 16 proposals: the bias falls with their number, and is small beside a sixtieth of an sd.
    assert abs(z.mean()) < LIMIT / np.sqrt(z.size) + 1 / 60
    assert abs(z.std() - 1) < LIMIT / np.sqrt(2 * z.size) + 1 / 30


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "a prior used twice": lambda patch: patch.setattr(
        module, "_squares", lambda e, right=module._squares: 2 * right(e)
    ),
    "proposals without their density": lambda patch: patch.setattr(
        module, "_log_density", lambda given, mode, e, added, exact: np.zeros(len(added))
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_of_the_density_are_caught(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own, data, draws, _ = given("poisson", times=20)
    truth = own.groups.group_log_lik(draws, data)
    FAULTS[fault](monkeypatch)
    ratio = np.exp(given("poisson", times=20)[3].log_lik - truth)
    assert abs(ratio.mean() - 1) > LIMIT * ratio.std() / np.sqrt(ratio.size) + 2e-3


def test_all_cases_are_here() -> None:
    names = {dataset(case, parts()[0])[0] for case in (*ROLES, *FORMULAS)}
    # Of normal means and spectra in test_condition.py; the others are forms of these.
    others = {"normal_means", "planck", "lognormal_sampled", "estimates_sampled", "zero_inflated_negative_binomial"}
    others |= {"disease_mapping"}  # a new area lies nowhere on the map, and is refused
    others |= {"missing_outcomes"}  # beside rows whose outcome is missing a group's value has no known distribution
    others |= {"event_population"}  # in test_event_population.py
    others |= {"joint_infection"}  # streams have a table of their own: test_joint_infection.py
    from hbm_stan.families import families

    assert names | others == set(families())
