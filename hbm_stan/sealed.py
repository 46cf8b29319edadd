"""A tree of draws as a NetCDF file with a seal: written and read without a second copy of the draws in memory."""

from __future__ import annotations

import hashlib
import io
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr
else:
    from hbm_stan.later import xr

_FORMAT = 2
# After the end of the NetCDF file, where its readers do not look: the hash of all that stands before.
_SEAL = re.compile(rb"\nhbm_stan fit, format (\d+), sha256 ([0-9a-f]{64})\n\Z")
_SEAL_BYTES = 120
_PART = 2**20  # bytes that are hashed at once


class UnusableError(Exception):
    """A file does not give a tree; says why."""


class _Draft(io.FileIO):
    """A file whose writes never seem to fail: HDF5 ends the whole process where one does.

    ``refused`` is the first error of the disk, or Ctrl-C.
    """

    refused: OSError | KeyboardInterrupt | None = None

    def write(self, content: Any) -> int:
        """Write everything, or keep the error."""
        left = memoryview(content).cast("B")
        size = len(left)
        try:
            while left:
                left = left[super().write(left) or 0 :]
        except (OSError, KeyboardInterrupt) as error:
            self.refused = self.refused or error
        return size

    def raise_refused(self) -> None:
        """Raise what was kept."""
        if self.refused is not None:
            raise self.refused


def write_sealed(tree: xr.DataTree, path: Path) -> None:
    """Write a tree and its seal, and have them on the disk; raises OSError where this takes no more."""
    with _Draft(path, "w+") as draft:
        try:
            tree.to_netcdf(draft, engine="h5netcdf")
        finally:
            draft.raise_refused()  # what HDF5 says of a file that lacks a part is no news
        digest = _digest(draft, draft.seek(0, io.SEEK_END))
        draft.write(f"\nhbm_stan fit, format {_FORMAT}, sha256 {digest}\n".encode())
        draft.raise_refused()
        os.fsync(draft.fileno())


def read_sealed(path: Path) -> xr.DataTree:
    """The tree in a file; its hash is compared before HDF5 looks at it, for damage could make HDF5 crash or hang."""
    try:
        with path.open("rb", buffering=0) as file:
            _check_seal(file, path.name)
            return _tree(file, path.name)
    except OSError as error:
        raise UnusableError(f"{path.name} cannot be read ({error.strerror or error})") from error


def _check_seal(file: io.FileIO, name: str) -> None:
    """Raise UnusableError where a file does not end with a seal of this format and of what stands before it."""
    size = file.seek(0, io.SEEK_END)
    start = file.seek(max(0, size - _SEAL_BYTES))
    seal = _SEAL.search(file.read())
    if seal is None:
        raise UnusableError(f"{name} is damaged or was not written by hbm_stan")
    if int(seal[1]) != _FORMAT:
        raise UnusableError(f"{name} was written by another version of hbm_stan, in another format")
    if _digest(file, start + seal.start()).encode() != seal[2]:
        raise UnusableError(f"{name} is damaged")


def _digest(file: io.FileIO, size: int) -> str:
    """The SHA-256 of the first ``size`` bytes of a file."""
    digest, left = hashlib.sha256(), size
    file.seek(0)
    while left and (part := file.read(min(left, _PART))):
        digest.update(part)
        left -= len(part)
    return digest.hexdigest()


def _tree(file: io.FileIO, name: str) -> xr.DataTree:
    file.seek(0)
    try:
        return xr.load_datatree(file, engine="h5netcdf")
    except Exception as error:  # whole, as its hash says, yet not understood: whatever the libraries call it
        raise UnusableError(f"{name} cannot be read by this version of xarray and h5netcdf ({error})") from error
