"""What `netcdf` writes, xarray reads as it reads what it wrote itself, and the dimensions are those of netCDF-4."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr

from hbm_stan.named import NamedTree
from hbm_stan.netcdf import read_tree, write_tree


def many_kinds() -> xr.DataTree:
    """A tree with all that a fit may hold, and more kinds of it."""
    rng = np.random.default_rng(7)
    posterior = xr.Dataset(
        {
            "theta": (("chain", "draw", "group"), rng.normal(size=(2, 5, 3))),
            "mu": (("chain", "draw"), np.array([[1.0, np.nan, np.inf, -np.inf, 0.0]] * 2)),
            "square": (("row", "row_again"), np.arange(16.0).reshape(4, 4)),
        },
        {"chain": [0, 1], "draw": np.arange(5) * 2, "group": ["Ålesund, 'x'", "", "北京"]},
    )
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), rng.random((2, 5)) < 0.5),
            "n_steps": (("chain", "draw"), rng.integers(1, 9, (2, 5))),
            "short": ("draw", np.arange(5, dtype=np.float32)),
            "scalar": ((), 3.5),
            "word": ((), "one"),
        },
        attrs={"seconds": [1.5, 2.5], "engine": "stanli, 0.24", "n": 4, "none": ""},
    )
    empty = xr.Dataset({"none": (("nothing", "group"), np.empty((0, 3)))}, {"group": [3, 1, 2]})
    tree = xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats, "constant_data": empty})
    tree.attrs["hbm_stan"] = '{"key": "ß", "parts": [1, 2]}'
    return tree


def content_of(tree: xr.DataTree) -> bytes:
    with io.BytesIO() as file:
        write_tree(NamedTree.of(tree), file)
        return file.getvalue()


def by_xarray(tree: xr.DataTree) -> bytes:
    with io.BytesIO() as file:
        tree.to_netcdf(file, engine="h5netcdf")
        return file.getvalue()


def read_again(tree: xr.DataTree) -> xr.DataTree:
    return xr.load_datatree(io.BytesIO(content_of(tree)), engine="h5netcdf")


def test_what_is_read_again_is_what_was_written() -> None:
    tree = many_kinds()
    again = read_again(tree)
    assert again.identical(tree)
    for node in tree.subtree:
        for name, variable in node.variables.items():
            read = again[node.path].variables[name]
            assert read.dtype.kind == variable.dtype.kind or {read.dtype.kind, variable.dtype.kind} == {"O", "U"}
            np.testing.assert_array_equal(read.values, variable.values)


def test_it_is_read_as_what_xarray_writes_is(tmp_path: Path) -> None:
    tree = many_kinds().drop_nodes("constant_data")  # a length of nothing is unlimited in what xarray writes
    tree.to_netcdf(tmp_path / "xarray.nc", engine="h5netcdf")
    theirs, ours = xr.load_datatree(tmp_path / "xarray.nc", engine="h5netcdf"), read_again(tree)
    assert ours.identical(theirs)
    for node in theirs.subtree:
        types = {name: v.dtype for name, v in node.variables.items()}
        assert {name: v.dtype for name, v in ours[node.path].variables.items()} == types


def test_groups_are_read_singly_with_their_coordinates(tmp_path: Path) -> None:
    with (tmp_path / "fit.nc").open("w+b") as file:
        write_tree(NamedTree.of(many_kinds()), file)
    with xr.open_dataset(tmp_path / "fit.nc", group="posterior", engine="h5netcdf") as posterior:
        assert posterior["theta"].sel(group="北京", draw=4, chain=1).values == pytest.approx(
            many_kinds()["posterior"]["theta"].values[1, 2, 2]
        )


def test_every_dimension_has_a_number_of_its_own_and_variables_name_theirs() -> None:
    # The rules by which the library of netCDF tells dimensions apart, of which h5netcdf needs none.
    numbers: list[int] = []
    wrong: list[str] = []

    def look(name: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.is_scale:
            numbers.append(int(item.attrs["_Netcdf4Dimid"]))
        elif [int(dim[0].attrs["_Netcdf4Dimid"]) for dim in item.dims] != list(item.attrs["_Netcdf4Coordinates"]):
            wrong.append(name)

    with h5py.File(io.BytesIO(content_of(many_kinds())), "r") as whole:
        whole.visititems(look)
        assert whole["posterior/row"].attrs["NAME"].startswith(b"This is a netCDF dimension but not a netCDF var")
    assert not wrong
    assert sorted(numbers) == list(range(len(numbers)))
    assert len(numbers) == 5 + 2 + 2


# Read by h5py itself


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engines that xarray itself is asked to read by."""
    engines: list[str] = []
    load = xr.load_datatree

    def counted(file: Any, engine: str) -> xr.DataTree:
        engines.append(engine)
        return load(file, engine=engine)

    monkeypatch.setattr(xr, "load_datatree", counted)
    return engines


def assert_read_alike(content: bytes) -> None:
    """Raise AssertionError unless a file is read as xarray reads it: order, types, bytes and attributes."""
    ours, theirs = (
        read_tree(io.BytesIO(content)).as_xarray(), xr.load_datatree(io.BytesIO(content), engine="h5netcdf")
    )  # fmt: skip
    xr.testing.assert_identical(ours, theirs)
    assert list(ours.children) == list(theirs.children)
    for node in theirs.subtree:
        one, other = ours[node.path].to_dataset(), node.to_dataset()
        for part in ("data_vars", "coords", "sizes", "indexes"):
            assert list(getattr(one, part)) == list(getattr(other, part)), (node.path, part)
        assert {n: (type(v), str(v)) for n, v in one.attrs.items()} == {
            n: (type(v), str(v)) for n, v in other.attrs.items()
        }
        for name in other.variables:
            mine, expected = one[name].variable, other[name].variable
            assert (mine.dims, mine.dtype, type(mine)) == (expected.dims, expected.dtype, type(expected)), name
            assert mine.values.tobytes() == expected.values.tobytes(), name
            assert mine.values.flags.writeable == expected.values.flags.writeable, name


def test_a_fit_is_read_as_xarray_reads_it_without_xarray(asked: list[str]) -> None:
    content = content_of(many_kinds())
    read_tree(io.BytesIO(content))
    assert asked == []
    assert_read_alike(content)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.assign_coords(size=("group", [3, 1, 2])),
        lambda d: d.assign(day=("draw", np.arange(5).astype("datetime64[D]").astype("datetime64[ns]"))),
        lambda d: d.assign(since=("draw", np.arange(5), {"units": "days since 2000-01-01"})),
        lambda d: d.assign(part=("draw", np.arange(5.0), {"scale_factor": 2.0})),
        lambda d: d.assign(filled=("draw", np.arange(5.0), {"_FillValue": 3.0})),
    ],
    ids=["coordinates", "dates", "days", "scaled", "filled"],
)
def test_what_says_more_of_its_values_is_read_by_xarray(
    change: Callable[[xr.Dataset], xr.Dataset], asked: list[str]
) -> None:
    tree = many_kinds().drop_nodes("constant_data")
    content = by_xarray(tree.assign({"posterior": xr.DataTree(change(tree["posterior"].to_dataset()))}))
    ours, theirs = read_tree(io.BytesIO(content)), xr.load_datatree(io.BytesIO(content), engine="h5netcdf")
    assert "h5netcdf" in asked
    for name, node in theirs.children.items():
        assert set(ours[name]) == set(node.data_vars)
        for variable, values in node.data_vars.items():
            np.testing.assert_array_equal(ours[name][variable].values, values.values)


def test_what_xarray_wrote_is_read_as_it_reads_it() -> None:
    assert_read_alike(by_xarray(many_kinds().drop_nodes("constant_data")))
