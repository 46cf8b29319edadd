"""Rows in bins, observed and replicated: bins that hold what they say, and bands that are those of the replications."""

from __future__ import annotations

import numpy as np
import pytest

from hbm_stan import plots
from hbm_stan.histograms import LEAST_ROWS, counted, edges_of, table_of

RNG = np.random.default_rng(4)
AMOUNTS = RNG.gamma(2, 3, 200)
COUNTS = RNG.poisson(3, 200).astype(float)


@pytest.mark.parametrize("y", [AMOUNTS, COUNTS, COUNTS * 40, RNG.normal(0, 1, 200)])
def test_every_observed_row_is_in_a_bin_and_bins_touch(y: np.ndarray) -> None:
    edges = edges_of(y)
    assert edges is not None
    assert np.diff(edges) == pytest.approx(np.diff(edges)[0])
    assert counted(y[None], edges).sum() == len(y)
    assert edges[-1] > y.max()


def test_whole_numbers_have_a_bin_each_and_amounts_begin_at_zero() -> None:
    edges = edges_of(COUNTS)
    assert edges is not None
    assert edges[0] == -0.5
    observed = counted(COUNTS[None], edges)[0]
    assert [observed[k] for k in range(6)] == [np.sum(k == COUNTS) for k in range(6)]
    assert edges_of(AMOUNTS)[0] >= 0  # type: ignore[index]


def test_few_rows_have_few_bins() -> None:
    few, many = RNG.normal(0, 1, 20), RNG.normal(0, 1, 400)
    counts = np.arange(26.0, 252.0, 10.0)
    sizes = [len(edges_of(y)) - 1 for y in (few, many, counts)]  # type: ignore[arg-type]
    assert sizes == [10, 30, 12]


def test_few_rows_and_two_values_have_no_shape() -> None:
    assert edges_of(AMOUNTS[: LEAST_ROWS - 1]) is None
    assert edges_of(np.tile([0.0, 1.0], 50)) is None


def test_bands_are_quantiles_of_the_counts_of_replications() -> None:
    replicated = RNG.poisson(3, (300, 200)).astype(float)
    edges = edges_of(COUNTS)
    assert edges is not None
    table = table_of(COUNTS, edges, counted(replicated, edges))
    threes = (replicated == 3).sum(axis=1)
    row = table[table["low"] == 2.5].iloc[0]
    assert [row["q05"], row["q50"], row["q95"]] == pytest.approx(np.quantile(threes, [0.05, 0.5, 0.95]))
    assert row["observed"] == np.sum(COUNTS == 3)
    # Too many zeros stand out: an observed count beyond the band.
    inflated = np.where(RNG.random(200) < 0.4, 0.0, COUNTS)
    zeros = table_of(inflated, edges, counted(replicated, edges)).iloc[0]
    assert zeros["observed"] > zeros["q95"]


def test_the_figure_of_counts_has_square_roots_and_words() -> None:
    from example_results import example_tables

    edges = edges_of(COUNTS)
    assert edges is not None
    table = table_of(COUNTS, edges, counted(RNG.poisson(3, (50, 200)).astype(float), edges))
    groups, beside = plots.plot_ppc(example_tables(8)["ppc"], "ducks", rows=table, whole=True).draw().axes
    assert beside.get_title("left") == "rows, square roots"
    assert beside.get_xlabel() == "outcome of a row (ducks)"
    assert beside.get_yscale() == "function"
    assert groups.get_xlabel() == "groups in the order of what was observed"
