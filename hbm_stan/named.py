"""Arrays whose dimensions have names and labels, as few as draws need.

ArviZ's trees are xarray's. Making and reading one takes as long as the sampling of a small table, and loading xarray
longer: here draws are plain arrays, and ``as_xarray`` makes the tree for whoever asks for it, without copying them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hbm_stan.deferred import Deferred

if TYPE_CHECKING:
    import xarray as xr
else:
    from hbm_stan.later import xr

Values = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class NamedArray:
    """Values with the name of each dimension, and the labels of those that have any."""

    name: str
    dims: tuple[str, ...]
    values: Values
    coords: Mapping[str, Values]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values."""
        return tuple(self.values.shape)

    @property
    def sizes(self) -> dict[str, int]:
        """The length of each dimension."""
        return dict(zip(self.dims, self.values.shape, strict=True))

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Values:
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True, eq=False)
class NamedSet(Mapping[str, NamedArray]):
    """Arrays by name, (dims, values) each, whose dimensions of one name have one length and the same labels."""

    arrays: Mapping[str, tuple[tuple[str, ...], Values]]
    coords: Mapping[str, Values] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> NamedArray:
        dims, values = self.arrays[name]
        return NamedArray(name, dims, values, {dim: self.coords[dim] for dim in dims if dim in self.coords})

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def sizes(self) -> dict[str, int]:
        """The length of each dimension."""
        lengths = {dim: len(labels) for dim, labels in self.coords.items()}
        for dims, values in self.arrays.values():
            lengths |= zip(dims, values.shape, strict=True)
        return lengths

    def at(self, dim: str, places: slice | Sequence[int] | Values, labels: Values | None = None) -> NamedSet:
        """The set at some places of a dimension, which get these labels where they are given."""

        def taken(dims: tuple[str, ...], values: Values) -> Values:
            if dim not in dims:
                return values
            return np.asarray(values[(slice(None),) * dims.index(dim) + (places,)])

        arrays = {name: (dims, taken(dims, values)) for name, (dims, values) in self.arrays.items()}
        coords = {name: taken((name,), values) for name, values in self.coords.items()}
        return NamedSet(arrays, coords if labels is None else {**coords, dim: labels}, self.attrs)

    def as_xarray(self) -> xr.Dataset:
        """The same as xarray has it."""
        return xr.Dataset(dict(self.arrays), dict(self.coords), dict(self.attrs))


@dataclass(frozen=True, eq=False)
class NamedTree(Mapping[str, NamedSet]):
    """Sets by name: posterior, sample_stats, log_likelihood ..., as ArviZ calls them; some made when they are read."""

    sets: Mapping[str, NamedSet | Deferred[NamedSet]]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: xr.DataTree) -> NamedTree:
        """What a tree of xarray holds, of one level."""
        return cls(
            {str(name): _set_of(child.to_dataset()) for name, child in tree.children.items()}, _words(tree.attrs)
        )

    def __getitem__(self, name: str) -> NamedSet:
        own = self.sets[name]
        return own.value() if isinstance(own, Deferred) else own

    def __contains__(self, name: object) -> bool:
        return name in self.sets  # a Mapping's own asks for the value, which would be made

    def __iter__(self) -> Iterator[str]:
        return iter(self.sets)

    def __len__(self) -> int:
        return len(self.sets)

    def changed(self, **sets: NamedSet | Deferred[NamedSet]) -> NamedTree:
        """The tree with these sets in the place of those of their names, or beside the others."""
        return NamedTree({**self.sets, **sets}, self.attrs)

    def as_xarray(self) -> xr.DataTree:
        """The same as ArviZ has it."""
        tree = xr.DataTree.from_dict({name: one.as_xarray() for name, one in self.items()})
        tree.attrs = dict(self.attrs)
        return tree


def _set_of(dataset: xr.Dataset) -> NamedSet:
    arrays = {str(n): (tuple(map(str, v.dims)), np.asarray(v.values)) for n, v in dataset.data_vars.items()}
    coords = {str(n): np.asarray(v.values) for n, v in dataset.coords.items() if v.dims == (n,)}
    return NamedSet(arrays, coords, _words(dataset.attrs))


def _words(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): value for name, value in attrs.items()}
