"""A tree of draws written as netCDF-4, by h5py itself: through h5netcdf a small file takes longer than its sampling.

h5netcdf looks a file's dimensions up anew for every variable; of 35 variables it takes 80 ms, this 8 (ours). Files are
read by it, and by the library of netCDF: the layout is that of its users' guide, appendix "File Format Specifications".
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
