"""Formula models with normal rows against dense multivariate normals: densities, coefficients, what is left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from formula_cases import CASES
from formula_data import (
    UnitNoise,
    dense_covariance,
    dense_mean,
    eta_row_by_row,
    population,
    with_coefficients,
)
from scipy.stats import multivariate_normal

from hbm_stan.families.terms import closed_form, groups_left_out
from hbm_stan.likelihoods import likelihood

SIZE = 2
KINDS = (("normal", "complete"), ("normal", "no"), ("normal", "partial"), ("estimates", "partial"))


def rows_covariance(name: str, data: dict[str, Any], draws: dict[str, Any], s: int) -> np.ndarray:
    variance = data["se"] ** 2 if name == "estimates" else np.full(data["N"], draws["sigma"][s] ** 2)
    return np.asarray(np.diag(variance))


@pytest.mark.parametrize(("name", "pooling"), KINDS)
@pytest.mark.parametrize("case", CASES)
def test_the_marginal_density_is_that_of_a_dense_normal(case: str, name: str, pooling: str) -> None:
    data = CASES[case]()
    draws = population(np.random.default_rng(3), data, SIZE, pooling)
    ours = closed_form.log_marginal(likelihood(name), draws, data)
    for s in range(SIZE):
        covariance = dense_covariance(data, draws, s) + rows_covariance(name, data, draws, s)
        exact = multivariate_normal.logpdf(data["y"], dense_mean(data, draws, s), covariance)
        assert ours[s] == pytest.approx(exact, rel=1e-11)


def given_rows(name: str, data: dict[str, Any], draws: dict[str, Any], s: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of eta given y, by dense matrices."""
    k = dense_covariance(data, draws, s)
    gain = k @ np.linalg.inv(k + rows_covariance(name, data, draws, s))
    mean = dense_mean(data, draws, s)
    return mean + gain @ (data["y"] - mean), k - gain @ k


@pytest.mark.parametrize(("name", "pooling"), KINDS)
@pytest.mark.parametrize("case", CASES)
def test_coefficients_are_drawn_from_their_distribution_given_the_rows(case: str, name: str, pooling: str) -> None:
    data = CASES[case]()
    draws = population(np.random.default_rng(4), data, 1, pooling)
    size = 1 + sum(k * count for k, count in zip(data["K"], data["L"], strict=True))
    many = {key: np.repeat(values, size, axis=0) for key, values in draws.items()}
    drawn = closed_form.draw_groups(likelihood(name), UnitNoise(), many, data)  # type: ignore[arg-type]
    eta = np.array([eta_row_by_row(data, {**many, **drawn}, s) for s in range(size)])
    mean, covariance = given_rows(name, data, draws, 0)
    np.testing.assert_allclose(eta[0], mean, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose((eta[1:] - eta[0]).T @ (eta[1:] - eta[0]), covariance, rtol=1e-8, atol=1e-9)
    if pooling == "no":
        own = np.asarray(data["own"])
        np.testing.assert_allclose(drawn["beta"][:, own[own > 0] - 1], drawn["theta"].mean(axis=1)[:, own > 0])


def inside(data: dict[str, Any], pooling: str) -> tuple[list[int], list[int]]:
    """Terms whose levels each occur in one group only, and the other terms that are not the group's."""
    group = data["level"][0]
    yes = [
        t
        for t in range(data["T"])
        if all(
            len({group[n] for n in np.flatnonzero(row == one)}) == 1 for row in [data["level"][t]] for one in set(row)
        )
    ]
    others = [t for t in range(data["G"], data["T"]) if t not in yes]
    return [t for t in yes if t >= data["G"] or pooling != "complete"], others


@pytest.mark.parametrize(("name", "pooling"), KINDS)
@pytest.mark.parametrize("case", CASES)
def test_a_group_is_integrated_with_what_lies_inside_it(case: str, name: str, pooling: str) -> None:
    data = CASES[case]()
    rng = np.random.default_rng(5)
    draws = with_coefficients(rng, data, population(rng, data, SIZE, pooling))
    ours = closed_form.group_log_lik(likelihood(name), draws, data)
    assert ours.shape == (SIZE, data["J"])
    own, others = inside(data, pooling)
    for s in range(SIZE):
        eta = eta_row_by_row(data, draws, s, others) - eta_row_by_row(data, draws, s, []) + dense_mean(data, draws, s)
        covariance = dense_covariance(data, draws, s, own) + rows_covariance(name, data, draws, s)
        for j in range(data["J"]):
            rows = np.flatnonzero(data["level"][0] == j + 1)
            exact = multivariate_normal.logpdf(data["y"][rows], eta[rows], covariance[np.ix_(rows, rows)])
            assert ours[s, j] == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(("name", "pooling"), KINDS)
@pytest.mark.parametrize("case", CASES)
def test_a_row_is_left_out_with_all_coefficients_integrated(case: str, name: str, pooling: str) -> None:
    data = CASES[case]()
    draws = population(np.random.default_rng(6), data, SIZE, pooling)
    ours = closed_form.loo_log_lik(likelihood(name), draws, data, "")
    for s in range(SIZE):
        covariance = dense_covariance(data, draws, s) + rows_covariance(name, data, draws, s)
        mean, all_rows = dense_mean(data, draws, s), np.arange(data["N"])
        whole = multivariate_normal.logpdf(data["y"], mean, covariance)
        for n in (0, 17, 41):
            rest = all_rows[all_rows != n]
            others = multivariate_normal.logpdf(data["y"][rest], mean[rest], covariance[np.ix_(rest, rest)])
            assert ours[s, n] == pytest.approx(whole - others, rel=1e-8)


@pytest.mark.parametrize("pooling", ["no", "partial", "complete"])
@pytest.mark.parametrize("case", CASES)
def test_a_row_of_a_group_is_left_out_given_what_crosses_it(case: str, pooling: str) -> None:
    data = CASES[case]()
    rng = np.random.default_rng(8)
    draws = with_coefficients(rng, data, population(rng, data, SIZE, pooling))
    ours = closed_form.row_in_group_log_lik(likelihood("normal_sampled"), draws, data, "")
    own, others = inside(data, pooling)
    if "two crossed inside" in case:  # of which the larger one is integrated out
        own, others = own[:-1], sorted([*others, own[-1]])
    for s in range(SIZE):
        mean = eta_row_by_row(data, draws, s, others) - eta_row_by_row(data, draws, s, []) + dense_mean(data, draws, s)
        covariance = dense_covariance(data, draws, s, own) + rows_covariance("normal", data, draws, s)
        for n in (0, 17, 41):
            all_rows = np.flatnonzero(data["level"][0] == data["level"][0][n])
            rest = all_rows[all_rows != n]
            whole, without = (
                multivariate_normal.logpdf(data["y"][rows], mean[rows], covariance[np.ix_(rows, rows)])
                for rows in (all_rows, rest)
            )
            assert ours[s, n] == pytest.approx(whole - without, rel=1e-8)


@pytest.mark.parametrize(("name", "pooling"), KINDS)
@pytest.mark.parametrize("case", CASES)
def test_a_group_is_left_out_with_all_coefficients_integrated(case: str, name: str, pooling: str) -> None:
    data = CASES[case]()
    rng = np.random.default_rng(7)
    draws = with_coefficients(rng, data, population(rng, data, SIZE, pooling))
    ours = groups_left_out.group_loo_log_lik(likelihood(name), draws, data)
    if "two crossed inside" in case:  # given the effects of the crossed factor
        np.testing.assert_array_equal(ours, closed_form.group_log_lik(likelihood(name), draws, data))
        return
    for s in range(SIZE):
        covariance = dense_covariance(data, draws, s) + rows_covariance(name, data, draws, s)
        mean = dense_mean(data, draws, s)
        whole = multivariate_normal.logpdf(data["y"], mean, covariance)
        for j in range(data["J"]):
            rest = np.flatnonzero(data["level"][0] != j + 1)
            others = multivariate_normal.logpdf(data["y"][rest], mean[rest], covariance[np.ix_(rest, rest)])
            assert ours[s, j] == pytest.approx(whole - others, rel=1e-8)
