"""Exact evidence, rows and groups left out of crossed and nested models, from our densities by quadrature alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from oracle_posteriors import POSTERIORS, Grid, grid_of, without

# Error of our own grid in a log density: with 14 nodes for each sd instead of 20 evidences move by up to 7e-3, and an
# error that falls faster than any power of the nodes is far smaller with 20.
OURS = 1e-3


@pytest.mark.parametrize("name", POSTERIORS)
def test_the_evidence_is_the_exact_one(name: str) -> None:
    exact, error = POSTERIORS[name]["log_evidence"]
    assert grid_of(name)[0].log_evidence == pytest.approx(exact, abs=OURS + error)


@pytest.mark.parametrize("name", ["bcg-metareg_ablat", "konstantopoulos2011-three-level"])
def test_rows_are_left_out_as_they_are_exactly(name: str) -> None:
    exact = POSTERIORS[name]["loo"]
    np.testing.assert_allclose(grid_of(name)[0].left_out("row"), exact["pointwise"], atol=OURS + exact["error"])


@pytest.mark.parametrize("name", ["pastes-nested", "konstantopoulos2011-three-level"])
def test_groups_are_left_out_with_the_factor_inside_them(name: str) -> None:
    grid, labels = grid_of(name)
    (exact,) = POSTERIORS[name]["logo"].values()
    by_group = [exact["by_group"][label] for label in labels]
    np.testing.assert_allclose(grid.left_out("group"), by_group, atol=OURS + exact["error"])


@pytest.mark.parametrize(("factor", "name"), [(0, "plate"), (1, "sample")])
def test_a_level_of_a_crossed_factor_is_left_out_by_two_evidences(factor: int, name: str) -> None:
    grid, _ = grid_of("penicillin-crossed")
    exact = POSTERIORS["penicillin-crossed"]["logo"][name]["by_group"]
    label = next(iter(exact))  # the first in the file, as in the data
    assert grid.log_evidence - without(grid, factor, 1).log_evidence == pytest.approx(exact[label], abs=2 * OURS)


def _faulty(grid: Grid, fault: str) -> Grid:
    data = dict(grid.data)
    if fault == "prior of another scale":
        return replace(grid, case={**grid.case, "scales": [2 * s for s in grid.case["scales"]]})
    if fault == "levels of the second factor shifted":
        data["level"] = np.vstack([data["level"][:1], np.roll(data["level"][1:], 1, axis=1)])
    else:
        data["se"] = data["se"] ** 2
    return replace(grid, data=data)


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("prior of another scale", "konstantopoulos2011-three-level"),
        ("levels of the second factor shifted", "pastes-nested"),
        ("variance for standard error", "bcg-metareg_ablat"),
    ],
)
def test_a_fault_is_seen_in_the_evidence(fault: str, name: str) -> None:
    exact, error = POSTERIORS[name]["log_evidence"]
    assert abs(_faulty(grid_of(name)[0], fault).log_evidence - exact) > 10 * (OURS + error)
