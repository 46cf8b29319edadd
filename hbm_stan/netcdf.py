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

if TYPE_CHECKING:
    import h5py
    import xarray as xr
else:
    from hbm_stan.later import xr

# The name of a dimension that no variable has the coordinates of, as the library of netCDF knows it by.
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable. {:10d}"
# Attributes of the layout, and those that say how values are written here; of any other that CF has, xarray knows more.
_LAYOUT = {"CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST", "_Netcdf4Dimid", "_Netcdf4Coordinates"}
_CF = {
    "_FillValue", "missing_value", "scale_factor", "add_offset", "_Unsigned", "coordinates", "units", "calendar",
    "grid_mapping", "bounds", "dtype",
}  # fmt: skip


class _OtherLayoutError(Exception):
    """A file has what ``write_tree`` does not write of draws."""


def write_tree(tree: xr.DataTree, file: io.IOBase) -> None:
    """Write the groups of a tree, each with dimensions and coordinates of its own, to an open file."""
    import h5py

    with h5py.File(file, "w", track_order=True) as whole:
        n_dimensions = 0
        for node in tree.subtree:
            group = whole if node.path == "/" else whole.create_group(node.path, track_order=True)
            n_dimensions += _write_group(node.to_dataset(inherit=False), group, n_dimensions)


def _write_group(dataset: xr.Dataset, group: h5py.Group, first: int) -> int:
    """Write one group whose dimensions are counted from ``first`` on; returns how many it has."""
    # Booleans, dates and coordinates that are no dimensions as CF has them: by xarray, which reads them again.
    variables, attributes = xr.conventions.cf_encoder(*xr.conventions.encode_dataset_coordinates(dataset))
    ids = {dim: first + k for k, dim in enumerate(dataset.sizes)}
    scales = {dim: _scale(group, dim, size, variables.get(dim)) for dim, size in dataset.sizes.items()}
    for dim, scale in scales.items():
        scale.attrs["_Netcdf4Dimid"] = np.int32(ids[dim])
    for name, variable in variables.items():
        written = scales[name] if name in scales else _dataset(group, str(name), variable)
        _write_attributes(written, variable.attrs)
        if name not in scales:
            for axis, dim in enumerate(variable.dims):
                written.dims[axis].attach_scale(scales[dim])
            written.attrs["_Netcdf4Coordinates"] = np.array([ids[dim] for dim in variable.dims], np.int32)
    _write_attributes(group, attributes)
    return len(ids)


def _scale(group: h5py.Group, dim: Any, size: int, coordinate: xr.Variable | None) -> h5py.Dataset:
    """The dimension: its coordinates, or a bare length."""
    if coordinate is None:
        scale = group.create_dataset(str(dim), shape=(size,), dtype=">f4")
        scale.make_scale(_NO_VARIABLE.format(size))
    else:
        scale = _dataset(group, str(dim), coordinate)
        scale.make_scale(str(dim))
    return scale


def _dataset(group: h5py.Group, name: str, variable: xr.Variable) -> h5py.Dataset:
    import h5py

    values = np.asarray(variable.values)
    if values.dtype.kind in "UO":
        return group.create_dataset(name, data=values.astype(object), dtype=h5py.string_dtype())
    return group.create_dataset(name, data=values)


def _write_attributes(owner: h5py.Group | h5py.Dataset, attributes: Mapping[Any, Any]) -> None:
    for name, value in attributes.items():
        owner.attrs[str(name)] = value if isinstance(value, str) else np.atleast_1d(value)


def read_tree(file: Any) -> xr.DataTree:
    """The groups in an open file as xarray itself reads them, which it is asked to where another has written them."""
    import h5py

    try:
        with h5py.File(file, "r") as whole:
            groups = {f"/{name}": _read_group(group) for name, group in whole.items()}
            tree = xr.DataTree.from_dict(groups)
            tree.attrs = _read_attributes(whole)
            return tree
    except (_OtherLayoutError, KeyError, TypeError, ValueError):
        file.seek(0)
        return xr.load_datatree(file, engine="h5netcdf")


def _read_group(group: h5py.Group) -> xr.Dataset:
    if any(not hasattr(member, "shape") for member in group.values()):
        raise _OtherLayoutError  # a group in a group
    dims = {int(d.attrs["_Netcdf4Dimid"]): name for name, d in group.items() if _is_scale(d)}
    variables = {name: _read_variable(name, d, dims) for name, d in group.items() if not _is_bare(name, d)}
    values = {name: variable for name, variable in variables.items() if name not in dims.values()}
    coordinates = {name: variable for name, variable in variables.items() if name in dims.values()}
    return xr.Dataset(values, coordinates, _read_attributes(group))


def _read_variable(name: str, dataset: h5py.Dataset, dims: Mapping[int, str]) -> xr.Variable:
    import h5py

    attributes = _read_attributes(dataset)
    of_cf = {key: attributes.pop(key) for key in _CF & attributes.keys()}
    words = h5py.check_string_dtype(dataset.dtype) is not None
    values = np.asarray(dataset.asstr()[()], dtype=str) if words else np.asarray(dataset[()])
    if of_cf == {"dtype": "bool"}:
        values = values.astype(bool)
    elif of_cf and not (of_cf.keys() == {"_FillValue"} and values.dtype.kind == "f" and np.isnan(of_cf["_FillValue"])):
        raise _OtherLayoutError
    if _is_scale(dataset):
        return xr.Variable((name,), values, attributes)
    return xr.Variable([dims[int(i)] for i in dataset.attrs["_Netcdf4Coordinates"]], values, attributes)


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
