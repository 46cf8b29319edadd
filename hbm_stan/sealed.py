"""A tree of draws as a NetCDF file with a seal: written and read without a second copy of the draws in memory."""

from __future__ import annotations

import hashlib
import io
import os
import re
from pathlib import Path
from typing import Any

from hbm_stan.deferred import Deferred
from hbm_stan.engines.stopping import held_back
from hbm_stan.named import NamedTree
from hbm_stan.netcdf import read_tree, write_tree

_FORMAT = 2
# After the end of the NetCDF file, where its readers do not look: the hash of all that stands before.
_SEAL = re.compile(rb"\nhbm_stan fit, format (\d+), sha256 ([0-9a-f]{64})\n\Z")
_SEAL_BYTES = 120
_PART = 2**20  # bytes that are hashed at once
_HELD = 2**24  # bytes of a file that are held until somebody asks for its draws (ours)


class UnusableError(Exception):
    """A file does not give a tree; says why."""


class _Draft(io.RawIOBase):
    """A file whose writes never seem to fail: HDF5 ends the whole process where one does.

    ``refused`` is the first error of the disk. From there on the file goes on in memory: HDF5 reads again what it has
    written, and what it does not find makes it crash.
    """

    def __init__(self, file: io.FileIO) -> None:
        self._at: io.FileIO | io.BytesIO = file
        self.refused: OSError | None = None

    def write(self, content: Any) -> int:
        """Write everything, if not to the disk, then to memory."""
        whole = memoryview(content).cast("B")
        start, left = self._at.tell(), whole
        try:
            while left:
                left = left[self._at.write(left) or 0 :]
        except OSError as error:
            self.refused = error
            self._at.seek(0)
            self._at = io.BytesIO(self._at.read())
            self._at.seek(start)
            self._at.write(whole)
        return len(whole)

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from where the file stands."""
        return self._at.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place."""
        return self._at.seek(offset, whence)

    def tell(self) -> int:
        """Where the file stands."""
        return self._at.tell()

    def truncate(self, size: int | None = None) -> int:
        """Cut or lengthen the file."""
        return self._at.truncate(size)

    def readable(self) -> bool:
        """HDF5 reads what it has written."""
        return True

    def writable(self) -> bool:
        """It is written."""
        return True

    def seekable(self) -> bool:
        """HDF5 goes to and fro."""
        return True


def write_sealed(tree: NamedTree, path: Path) -> str:
    """Write a tree and its seal, and have them on the disk; the hash in the seal. Raises OSError where the disk takes
    no more."""
    with held_back(), path.open("w+b", buffering=0) as file:
        draft = _Draft(file)
        write_tree(tree, draft)
        digest = _digest(file, file.seek(0, io.SEEK_END))
        draft.write(f"\nhbm_stan fit, format {_FORMAT}, sha256 {digest}\n".encode())
        if draft.refused is not None:
            raise draft.refused
        os.fsync(file.fileno())
        return digest


def open_sealed(path: Path) -> tuple[str, Deferred[NamedTree]]:
    """The hash that a file is sealed with, and the tree in it.

    The hash is compared before HDF5 looks at the file, for damage could make HDF5 crash or hang. The tree of a small
    file is made when it is asked for, of the bytes whose hash was compared; that of a large one at once, for these
    would be a second copy of the draws. Raises UnusableError, for a small file also when the tree is asked for.
    """
    try:
        with path.open("rb", buffering=0) as file:
            if os.fstat(file.fileno()).st_size > _HELD:
                digest, tree = _check_seal(file, path.name), _tree(file, path.name)
                return digest, Deferred(lambda: tree)
            content = io.BytesIO(file.read())
    except OSError as error:
        raise UnusableError(f"{path.name} cannot be read ({error.strerror or error})") from error
    return _check_seal(content, path.name), Deferred(lambda: _tree(content, path.name))


def _check_seal(file: io.FileIO | io.BytesIO, name: str) -> str:
    """The hash in the seal; UnusableError where a file does not end with one of this format and of what is before."""
    size = file.seek(0, io.SEEK_END)
    start = file.seek(max(0, size - _SEAL_BYTES))
    seal = _SEAL.search(file.read())
    if seal is None:
        raise UnusableError(f"{name} is damaged or was not written by hbm_stan")
    if int(seal[1]) != _FORMAT:
        raise UnusableError(f"{name} was written by another version of hbm_stan, in another format")
    digest = _digest(file, start + seal.start())
    if digest.encode() != seal[2]:
        raise UnusableError(f"{name} is damaged")
    return digest


def _digest(file: io.FileIO | io.BytesIO, size: int) -> str:
    """The SHA-256 of the first ``size`` bytes of a file."""
    digest, left = hashlib.sha256(), size
    file.seek(0)
    while left and (part := file.read(min(left, _PART))):
        digest.update(part)
        left -= len(part)
    return digest.hexdigest()


def _tree(file: io.FileIO | io.BytesIO, name: str) -> NamedTree:
    file.seek(0)
    try:
        return read_tree(file)
    except Exception as error:  # whole, as its hash says, yet not understood: whatever the libraries call it
        raise UnusableError(f"{name} cannot be read by this version of xarray and h5netcdf ({error})") from error
