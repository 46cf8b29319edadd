"""Integrals over a group's coefficients where rows have gross errors: several maxima, against dense grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from formula_cases import CASES, C, N
from formula_data import population, with_coefficients
from scipy.special import logsumexp
from scipy.stats import norm

from hbm_stan.families.terms import effects, integrals, raw
from hbm_stan.families.terms.density import own_of
from hbm_stan.integrate import mode
from hbm_stan.leave_one_out import QUADRATURE_MATTERS
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import Likelihood, some_rows

STUDENT = likelihood("student_t")
STEP = {1: 1 / 200, 2: 1 / 24}  # of the grid, over 9 sds either way
# Measured: at most 0.0083 with 21 nodes for scales of 0.2 about sds of 10 (a peak 50 times as narrow as the prior), and
# 0.046 where rows of scale 1 stand 10 apart in a population of sd 1, ten times less than what is said to matter.
CLOSE = 0.05


def rows_of(kind: str) -> np.ndarray:
    """Clean rows; a gross error in every seventh; two clusters of rows in every group; two and a row between them."""
    rng = np.random.default_rng(1)
    y = rng.normal(0, 1, N)
    if kind == "gross errors":
        return np.where(rng.random(N) < 1 / 7, y + rng.choice([-30, 30], N), y)
    place = np.zeros(N, dtype=int)
    for j in range(6):
        place[C["g"] == j] = np.arange(int((C["g"] == j).sum()))
    two = np.where(place < 3, 5, -5) + 0.3 * y
    return {"clean": y, "two clusters": two, "two clusters, one row between": np.where(place == 6, 0.0, two)}[kind]


def data_and_draws(
    case: str, y: np.ndarray, tau: float, sigma: float, nu: float
) -> tuple[dict[str, Any], dict[str, Any]]:
    data = {**CASES[case](), "y": y, "offset_": np.zeros(N)}
    draws = population(np.random.default_rng(22), data, 1)
    draws |= {
        "tau": np.full_like(draws["tau"], tau), "beta": 0 * draws["beta"], "sigma": np.array([sigma]),
        "nu": np.array([nu]),
    }  # fmt: skip
    return data, draws


def on_a_grid(data: dict[str, Any], draws: dict[str, Any], rows: np.ndarray, density: Likelihood = STUDENT) -> float:
    """log p(some rows of a group), by the trapezoidal rule over its coefficients."""
    (term,) = (t for t in effects.terms_of(data) if t.pooled)
    factor, size = effects.factor_of(term, draws, data)[0], term.level.width
    axis = np.arange(-9, 9 + 1e-9, STEP[size])
    points = np.stack(np.meshgrid(*[axis] * size, indexing="ij"), axis=-1).reshape(-1, size)
    eta = effects.middle(draws, data)[0][rows] + points @ factor.T @ term.level.columns[rows].T
    values = density.log_p(eta, some_rows(data, rows), own_of(density, draws)).sum(axis=1)
    return float(logsumexp(values + norm.logpdf(points).sum(axis=1)) + size * np.log(STEP[size]))


def of_groups(data: dict[str, Any], draws: dict[str, Any], density: Likelihood = STUDENT) -> np.ndarray:
    members = [np.flatnonzero(data["level"][0] == j + 1) for j in range(data["J"])]
    return np.array([on_a_grid(data, draws, rows, density) for rows in members])


KINDS = ("clean", "gross errors", "two clusters", "two clusters, one row between")
SCALES = ((1.0, 1.0, 2.01), (10.0, 0.5, 2.01), (10.0, 0.2, 5.0))


@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_integral_over_a_group_counts_all_maxima(kind: str, scales: tuple[float, float, float]) -> None:
    data, draws = data_and_draws("one factor", rows_of(kind), *scales)
    exact = of_groups(data, draws)
    ours = integrals.group_log_lik(STUDENT, draws, data)[0]
    finer = integrals.finer_group_log_lik(STUDENT, draws, data)
    assert finer is not None
    assert np.abs(ours - exact).max() < CLOSE
    assert np.abs(finer[0] - exact).max() <= np.abs(ours - exact).max() + 1e-9


@pytest.mark.parametrize("scales", [(1.0, 1.0, 2.01), (10.0, 1.0, 2.01), (10.0, 0.5, 3.0)])
@pytest.mark.parametrize("kind", KINDS[:3])
def test_twice_the_nodes_show_where_slopes_and_clusters_are_too_much(
    kind: str, scales: tuple[float, float, float]
) -> None:
    data, draws = data_and_draws("a slope that is no common one", rows_of(kind), *scales)
    off = np.abs(integrals.group_log_lik(STUDENT, draws, data)[0] - of_groups(data, draws)).max()
    finer = integrals.finer_group_log_lik(STUDENT, draws, data)
    assert finer is not None
    shown = np.abs(finer[0] - integrals.group_log_lik(STUDENT, draws, data)[0]).max()
    assert off < CLOSE or shown > off / 3


def test_a_maximum_that_is_missed_is_seen_with_twice_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    data, draws = data_and_draws("one factor", rows_of("two clusters, one row between"), 10.0, 0.2, 5.0)
    exact = of_groups(data, draws)
    monkeypatch.setattr(mode, "_PARTS", {False: 0, True: mode._PARTS[True]})
    ours = integrals.group_log_lik(STUDENT, draws, data)[0]
    assert np.abs(ours - exact).max() > 10  # about the maximum next to the population's mean only
    finer = integrals.finer_group_log_lik(STUDENT, draws, data)
    assert finer is not None
    assert np.abs(finer[0] - ours).max() > 100 * QUADRATURE_MATTERS
    np.testing.assert_allclose(finer[0], exact, atol=CLOSE)


def test_shares_of_maxima_add_up_to_one_and_no_maximum_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    data, draws = data_and_draws("one factor", rows_of("clean"), 1.0, 1.0, 4.0)
    exact = of_groups(data, draws)
    monkeypatch.setattr(mode, "_SAME", 0.0)
    monkeypatch.setattr(
        mode, "_PARTS", {False: 7, True: 12}
    )  # starts that lead to the same maximum, all of which are kept
    np.testing.assert_allclose(integrals.group_log_lik(STUDENT, draws, data)[0], exact, atol=1e-6)
    share = mode.log_share
    monkeypatch.setattr("hbm_stan.integrate.log_share", lambda modes, m, at: 0.0 * share(modes, m, at))
    np.testing.assert_allclose(integrals.group_log_lik(STUDENT, draws, data)[0], exact + np.log(8), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_is_left_out_of_a_group_with_gross_errors(kind: str) -> None:
    data, draws = data_and_draws("one factor", rows_of(kind), 3.0, 1.0, 2.5)
    draws = with_coefficients(np.random.default_rng(3), data, draws)
    ours = integrals.loo_log_lik(STUDENT, draws, data, "")[0]
    for n in (*range(6), int(np.argmax(np.abs(data["y"])))):
        rows = np.flatnonzero(data["level"][0] == data["level"][0][n])
        exact = on_a_grid(data, draws, rows) - on_a_grid(data, draws, rows[rows != n])
        assert ours[n] == pytest.approx(exact, abs=0.02)


def test_factors_inside_a_group_with_gross_errors_are_integrated_with_it() -> None:
    data, draws = data_and_draws("nested", rows_of("gross errors"), 2.0, 1.0, 3.0)
    draws["sd"] = np.array([[1.5]])
    draws = with_coefficients(np.random.default_rng(3), data, draws)
    ours = integrals.group_log_lik(STUDENT, draws, data)[0]
    unit = effects.terms_of(data)[1].level.level
    axis = np.arange(-9, 9 + 1e-9, 1 / 24)
    eta, own = effects.middle(draws, data)[0], {name: draws[name] for name in ("sigma", "nu")}
    for j in range(data["J"]):
        of_group = norm.logpdf(axis) + np.log(1 / 24)
        for level in np.unique(unit[data["level"][0] == j + 1]):
            rows = np.flatnonzero(unit == level)
            at = eta[rows] + 2.0 * axis[:, None, None] + 1.5 * axis[None, :, None]
            values = STUDENT.log_p(at, {"y": data["y"][rows]}, own).sum(axis=2) + norm.logpdf(axis)
            of_group = of_group + logsumexp(values, axis=1) + np.log(1 / 24)
        assert ours[j] == pytest.approx(logsumexp(of_group), abs=0.01)


@pytest.mark.parametrize("name", ["zero_inflated_poisson", "zero_inflated_negative_binomial"])
def test_the_maxima_of_rows_of_0_and_others_are_found_in_a_few_steps(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    density, rng, steps = likelihood(name), np.random.default_rng(7), []
    y = rng.poisson(np.exp(-1 + rng.normal(size=6)[C["g"]])) * (rng.uniform(size=N) > 0.5)
    data, draws = data_and_draws("one factor", y, 1.5, 1.0, 3.0)
    data |= {"exposure": np.ones(N)}
    draws |= {"beta": -np.ones_like(draws["beta"]), "overdispersion": np.array([0.5]), "zi": np.array([[0.0, 0.5]])}
    expand = mode._expand
    monkeypatch.setattr(mode, "_expand", lambda *given: steps.append(1) or expand(*given))
    ours = integrals.group_log_lik(density, draws, data)[0]
    np.testing.assert_allclose(ours, of_groups(data, draws, density), atol=1e-5)
    # From four starts: 21 and 25; to the last digit of the maxima, which nodes do not need, 58 and 73.
    assert len(steps) < 40


@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_raw_estimates_and_their_errors_have_the_unit_of_the_outcome(name: str) -> None:
    data = {**CASES["uncorrelated slopes"](), "offset_": np.zeros(N)}
    one = raw.raw(likelihood(name), data)
    far = raw.raw(likelihood(name), {**data, "y": 1000 * (data["y"] + 50)})
    np.testing.assert_allclose(far[0] - 50_000 * np.array([1, 0]), 1000 * one[0], rtol=1e-4, atol=0.1)
    np.testing.assert_allclose(far[1], 1000 * one[1], rtol=1e-4)


def test_raw_estimates_hardly_see_a_gross_error() -> None:
    data = {**CASES["one factor"](), "offset_": np.zeros(N), "y": rows_of("clean")}
    typed = data["y"].copy()
    typed[0] += 1e4
    group = data["level"][0][0] - 1
    clean, moved = (raw.raw(STUDENT, {**data, "y": y})[0][group, 0] for y in (data["y"], typed))
    assert abs(clean - moved) < 0.5
    normal = raw.raw(likelihood("normal"), {**data, "y": typed})[0][group, 0]
    assert abs(clean - normal) > 1000
