"""A tree of draws as netCDF-4, by h5py itself: through h5netcdf a small file takes longer than its sampling.

h5netcdf looks a file's dimensions up anew for every variable; to write 35 variables it takes 80 ms, this 8, and to read
31 it takes 70, this 16 (ours). Files are read by it, and by the library of netCDF: the layout is that of its users'
guide, appendix "File Format Specifications".
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hbm_stan.named import NamedSet, NamedTree, Values

if TYPE_CHECKING:
    import h5py

# The name of a dimension that no variable has the coordinates of, as the library of netCDF knows it by.
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable. {:10d}"
# Attributes of the layout, and those that say how values are written; of any other that CF has, xarray knows more.
_LAYOUT = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}
_CF = {
    "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "coordinates", "units", "calendar",
    "grid_mapping", "bounds", "dtype",
}  # fmt: skip


class _OtherLayoutError(Exception):
    """A file has what ``write_tree`` does not write of draws."""


def write_tree(tree: NamedTree, file: io.IOBase) -> None:
    """Write the sets of a tree, each with dimensions and coordinates of its own, to an open file."""
    import h5py

    with h5py.File(file, "w", track_order=True) as whole:
        _write_attributes(whole, tree.attrs)
        n_dimensions = 0
        for name, of_group in tree.items():
            n_dimensions += _write_group(of_group, whole.create_group(name, track_order=True), n_dimensions)


def _write_group(given: NamedSet, group: h5py.Group, first: int) -> int:
    """Write one group whose dimensions are counted from ``first`` on; returns how many it has."""
    sizes = given.sizes
    ids = {dim: first + k for k, dim in enumerate(sizes)}
    scales = {dim: _scale(group, dim, size, given.coords.get(dim)) for dim, size in sizes.items()}
    for dim, scale in scales.items():
        scale.attrs["_Netcdf4Dimid"] = np.int32(ids[dim])
    for name, (dims, values) in given.arrays.items():
        written = _dataset(group, name, values)
        for axis, dim in enumerate(dims):
            written.dims[axis].attach_scale(scales[dim])
        written.attrs["_Netcdf4Coordinates"] = np.array([ids[dim] for dim in dims], np.int32)
    _write_attributes(group, given.attrs)
    return len(ids)


def _scale(group: h5py.Group, dim: str, size: int, labels: Values | None) -> h5py.Dataset:
    """The dimension: its coordinates, or a bare length."""
    if labels is None:
        scale = group.create_dataset(dim, shape=(size,), dtype=">f4")
        scale.make_scale(_NO_VARIABLE.format(size))
    else:
        scale = _dataset(group, dim, labels)
        scale.make_scale(dim)
    return scale


def _dataset(group: h5py.Group, name: str, values: Values) -> h5py.Dataset:
    """A variable; booleans as CF has them, small numbers that say what they are."""
    import h5py

    if values.dtype.kind in "UO":
        return group.create_dataset(name, data=values.astype(object), dtype=h5py.string_dtype())
    if values.dtype.kind != "b":
        return group.create_dataset(name, data=values)
    written = group.create_dataset(name, data=values.astype(np.int8))
    written.attrs["dtype"] = "bool"
    return written


def _write_attributes(owner: h5py.Group | h5py.Dataset, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        owner.attrs[name] = value if isinstance(value, str) else np.atleast_1d(value)


def read_tree(file: Any) -> NamedTree:
    """The groups in an open file; xarray reads those that another has written."""
    import h5py

    try:
        with h5py.File(file, "r") as whole:
            return NamedTree({name: _read_group(group) for name, group in whole.items()}, _read_attributes(whole))
    except (_OtherLayoutError, AttributeError, KeyError, TypeError, ValueError):
        import xarray as xr

        file.seek(0)
        return NamedTree.of(xr.load_datatree(file, engine="h5netcdf"))


def _read_group(group: h5py.Group) -> NamedSet:
    if any(not hasattr(member, "shape") for member in group.values()):
        raise _OtherLayoutError  # a group in a group
    dims = {int(d.attrs["_Netcdf4Dimid"]): name for name, d in group.items() if _is_scale(d)}
    arrays, coords = {}, {}
    for name, dataset in group.items():
        if not _is_scale(dataset):
            arrays[name] = (tuple(dims[int(i)] for i in dataset.attrs["_Netcdf4Coordinates"]), _read_values(dataset))
        elif not _is_bare(name, dataset):
            coords[name] = _read_values(dataset)
    return NamedSet(arrays, coords, _read_attributes(group))


def _read_values(dataset: h5py.Dataset) -> Values:
    import h5py

    attributes = _read_attributes(dataset)
    of_cf = {key: value for key, value in attributes.items() if key in _CF}
    words = h5py.check_string_dtype(dataset.dtype) is not None
    values = np.asarray(dataset.asstr()[()], dtype=str) if words else np.asarray(dataset[()])
    if of_cf == {"dtype": "bool"}:
        return values.astype(bool)
    # Files of before have it at floats.
    if of_cf and not (of_cf.keys() == {"_FillValue"} and values.dtype.kind == "f" and np.isnan(of_cf["_FillValue"])):
        raise _OtherLayoutError
    return values


def _read_attributes(owner: h5py.Group | h5py.Dataset) -> dict[str, Any]:
    """Attributes without those of the layout; of a list of one number, the number."""
    given = {name: value for name, value in owner.attrs.items() if name not in _LAYOUT}
    return {name: value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value
            for name, value in given.items()}  # fmt: skip


def _is_scale(dataset: h5py.Dataset) -> bool:
    return _text(dataset.attrs.get("CLASS", "")) == "DIMENSION_SCALE"


def _is_bare(name: str, dataset: h5py.Dataset) -> bool:
    """Whether it is a dimension without coordinates: a scale that does not bear its own name."""
    return _is_scale(dataset) and _text(dataset.attrs["NAME"]) != name


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
