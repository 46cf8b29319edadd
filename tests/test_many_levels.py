"""Rows given the others of their level, thousands of levels at a time, against the plain form: all rows at once."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from hbm_stan.densities import sum_by_group
from hbm_stan.integrate import Nested, log_integral, parts, usual_nodes
from hbm_stan.integrate import rows as by_rows
from hbm_stan.integrate.mode import Integrand, find_modes
from hbm_stan.integrate.rows import log_rows_given_others
from hbm_stan.integrate.structure import Level, in_groups, structure, sum_by
from hbm_stan.likelihoods import likelihood
from hbm_stan.likelihoods.likelihood import some_rows

DRAWS, LEVELS, ROWS = 7, 60, 700


def integrand(name: str, far: float = 0.0) -> tuple[Level, np.ndarray, Integrand]:
    """Rows in no order, in levels of one row and more, some of them decisive; ``far`` moves one outcome."""
    rng = np.random.default_rng(17)
    own = rng.permutation(np.concatenate([np.arange(LEVELS), rng.integers(0, LEVELS // 2, ROWS - LEVELS)]))
    columns = np.column_stack([np.ones(ROWS), rng.normal(size=ROWS) * rng.choice([1, 4], ROWS)])
    eta = rng.normal(0.3, 0.5, (DRAWS, ROWS))
    y = {
        "binomial": rng.binomial(3, 0.4, ROWS), "poisson": rng.poisson(2.0, ROWS), "student_t": rng.normal(size=ROWS),
        "negative_binomial": rng.poisson(2.0, ROWS),
    }[name].astype(float)  # fmt: skip
    y[11] += far
    data: dict[str, Any] = {"y": y, "trials": np.full(ROWS, 3), "exposure": np.ones(ROWS)}
    density = likelihood(name)
    values = {"sigma": 0.7, "nu": 4.0, "overdispersion": 0.4}
    parameters = {row.name: np.full((DRAWS, 1), values[row.name]) for row in density.own_rows}
    factor = (
        np.broadcast_to(np.array([[0.8, 0.0], [0.2, 0.4]]), (DRAWS, 2, 2)) * np.linspace(0.5, 1.5, DRAWS)[:, None, None]
    )
    return Level(columns, own, LEVELS), factor, Integrand(density, data, parameters, eta)


def plain(level: Level, factor: np.ndarray, given: Integrand) -> np.ndarray:
    """As it was first written: all rows at once, logarithms of sums, and each decisive row's others looked up."""
    pieces = []
    s = structure([level], (), level.level, level.size)
    for part in parts(len(given.eta), given.eta.shape[1]):
        some, own = given.at(given.eta[part], part), factor[part]
        modes = find_modes(s, [own], some, finer=False)
        leverage = np.max([by_rows._leverage(level, some, mode) for mode in modes], axis=0)
        log_densities, total = by_rows._summed_logs(level, own, some, modes, usual_nodes)
        decisive = np.flatnonzero(leverage.max(axis=0) > by_rows._decisive(usual_nodes(2)))
        others = [np.setdiff1d(np.flatnonzero(level.level == level.level[n]), n) for n in decisive]
        taken = np.concatenate(others)
        home = np.repeat(np.arange(len(decisive)), [len(o) for o in others])
        rest = Integrand(given.likelihood, some_rows(given.rows, taken), some.own, some.eta[:, taken])
        alone = Level(level.columns[taken], home, len(decisive))
        integrals = log_integral(Nested.of([alone]), [own], rest, usual_nodes)
        log_densities[:, decisive] = total[:, level.level[decisive]] - integrals
        pieces.append(log_densities)
    return np.concatenate(pieces)


@pytest.mark.parametrize("rows", [40, 10_000])
@pytest.mark.parametrize("name", ["binomial", "poisson", "negative_binomial", "student_t"])
def test_levels_in_blocks_are_all_levels_at_once(name: str, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_rows, "_ROWS", rows)
    monkeypatch.setattr("hbm_stan.integrate._CHUNK", 3 * ROWS)  # several parts of the draws
    level, factor, given = integrand(name)
    log_densities = log_rows_given_others(level, factor, given, usual_nodes)
    np.testing.assert_allclose(log_densities, plain(level, factor, given), rtol=0, atol=1e-10)


def test_blocks_hold_levels_whole_and_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(by_rows, "_ROWS", 40)
    level, _, given = integrand("binomial")
    blocks = by_rows._whole_levels(level, np.argsort(level.level, kind="stable"), given)
    assert len(blocks) > 5
    assert sorted(np.concatenate(blocks)) == list(range(ROWS))
    homes = [set(level.level[rows]) for rows in blocks]
    assert sum(map(len, homes)) == LEVELS == len(set().union(*homes))


@pytest.mark.parametrize("scale", [1.0, 300.0, 2000.0])
def test_sums_over_nodes_are_those_of_logarithms_however_far_apart(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    level = Level(np.ones((20, 1)), np.repeat(np.arange(5), 4), 5)
    nodes = [(scale * rng.normal(size=(3, 5)), scale * rng.normal(size=(3, 20))) for _ in range(9)]
    monkeypatch.setattr(by_rows, "_at_nodes", lambda *_: iter([(both.copy(), rows.copy()) for both, rows in nodes]))
    given = Integrand(likelihood("binomial"), {}, {}, np.zeros((3, 20)))
    with np.errstate(all="ignore"):
        quick = by_rows._about_the_modes(level, np.ones((3, 1, 1)), given, [], usual_nodes)
    for one, other in zip(quick, by_rows._summed_logs(level, np.ones((3, 1, 1)), given, [], usual_nodes), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-10)
        assert np.isfinite(one).all()


def test_levels_of_one_row_leave_nothing_to_integrate() -> None:
    level, factor, given = integrand("binomial")
    rows = np.arange(4)
    alone = Level(level.columns[rows], rows, 4)
    some = Integrand(given.likelihood, some_rows(given.rows, rows), given.own, given.eta[:, rows])
    assert (by_rows._without(alone, factor, some, rows, usual_nodes) == 0).all()


def test_the_part_of_few_rows_of_many_levels_takes_no_copy_of_all_coefficients() -> None:
    # It was made anew for each block of rows: leaving rows out took the square of a table's size.
    rng, at = np.random.default_rng(5), np.array([170, 3, 170, 19_999, 3])
    coefficients, columns = rng.normal(size=(20, 20_000, 3)), rng.normal(size=(5, 3))
    tracemalloc.start()
    part = Level(columns, at, 20_000).rows(coefficients)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_allclose(part, (coefficients[:, at] * columns).sum(axis=2), rtol=1e-14)
    assert peak < coefficients.nbytes / 100


def test_sums_by_index_need_no_order() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 50))
    for index in (rng.integers(0, 9, 50), np.sort(rng.integers(0, 9, 50)), np.full(50, 4)):
        sums = np.array([[row[index == j].sum() for j in range(10)] for row in values])
        np.testing.assert_allclose(sum_by(values, index, 10), sums, atol=1e-13)
        order, present, starts = in_groups(index)
        assert (order is None) == bool((np.diff(index) >= 0).all())
        np.testing.assert_array_equal(present, np.unique(index))
        assert len(starts) == len(present)


def test_rows_are_added_up_by_group() -> None:
    class Table:
        level = np.array([2, 0, 2, 1, 0])

    class Fit:
        table = type("T", (), {"pooled": Table, "n_groups": 3})

    values = np.arange(10.0).reshape(2, 5)
    expected = [[1.0 + 4, 3.0, 0.0 + 2], [6.0 + 9, 8.0, 5.0 + 7]]
    np.testing.assert_array_equal(sum_by_group(Fit(), values), expected)  # type: ignore[arg-type]
