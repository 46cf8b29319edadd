"""Draws as arrays with names: what xarray makes of them, and places that are taken out of them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hbm_stan.named import NamedSet, NamedTree
from hbm_stan.tree import named_draws

LABELS = np.array(["c", "a", "b"])


def draws() -> NamedSet:
    rng = np.random.default_rng(3)
    return named_draws(
        {"mu": rng.normal(size=(2, 5)), "theta": rng.normal(size=(2, 5, 3)), "own": rng.normal(size=(2, 5, 4))},
        {"theta": ("group",)}, {"group": list(LABELS), "unit": [1, 2]}, {"seconds": 1.5},
    )  # fmt: skip


def test_xarray_has_the_same_names_labels_and_values() -> None:
    given = draws()
    dataset = given.as_xarray()
    assert list(dataset.data_vars) == list(given) == ["mu", "theta", "own"]
    assert dataset["theta"].dims == given["theta"].dims == ("chain", "draw", "group")
    assert dataset["own"].dims == ("chain", "draw", "own_dim_0")
    assert dict(dataset.sizes) == given.sizes == {"chain": 2, "draw": 5, "group": 3, "own_dim_0": 4}
    assert set(dataset.coords) == {"chain", "draw", "group"}  # what no array has, has no labels
    assert dataset.attrs == {"seconds": 1.5}
    np.testing.assert_array_equal(dataset["theta"].sel(group="a", chain=1, draw=4), given["theta"].values[1, 4, 1])


def test_no_draws_are_copied_for_xarray() -> None:
    tree = NamedTree({"posterior": draws()})
    tree.as_xarray()["posterior"]["mu"].values[1, 2] = 7.0
    assert tree["posterior"]["mu"].values[1, 2] == 7.0


def test_a_tree_of_xarray_comes_back_the_same() -> None:
    posterior = draws().as_xarray()
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((2, 5), bool))}, attrs={"n": 3})
    tree = xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats})
    tree.attrs["key"] = "k"
    xr.testing.assert_identical(NamedTree.of(tree).as_xarray(), tree)


@pytest.mark.parametrize("places", [slice(1, None), [2, 0], np.array([1])], ids=["slice", "list", "array"])
def test_places_of_a_dimension_are_those_that_xarray_takes(places: slice | list[int] | np.ndarray) -> None:
    given = draws()
    xr.testing.assert_identical(given.at("group", places).as_xarray(), given.as_xarray().isel(group=places))


def test_labels_of_the_places_may_be_others() -> None:
    thin = draws().at("draw", [1, 3], np.arange(2))
    np.testing.assert_array_equal(thin["mu"].values, draws()["mu"].values[:, [1, 3]])
    np.testing.assert_array_equal(thin.coords["draw"], [0, 1])
    np.testing.assert_array_equal(thin["theta"].coords["group"], LABELS)


def test_a_set_takes_the_place_of_one_and_others_stay() -> None:
    tree = NamedTree({"posterior": draws(), "sample_stats": NamedSet({})}, {"key": "k"})
    changed = tree.changed(posterior=draws().at("chain", [0]), more=NamedSet({}))
    assert list(changed) == ["posterior", "sample_stats", "more"]
    assert changed.attrs == {"key": "k"}
    assert changed["posterior"]["mu"].shape == (1, 5)
    assert tree["posterior"]["mu"].shape == (2, 5)


def test_an_array_is_one_to_numpy() -> None:
    mu = draws()["mu"]
    assert np.asarray(mu) is mu.values
    np.testing.assert_array_equal(np.log(np.abs(mu)), np.log(np.abs(mu.values)))
