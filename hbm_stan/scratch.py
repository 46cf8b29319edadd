"""Arrays too large for memory lie in files without a name; what was read of them is given back after each use.

Pages of such a file that nobody uses cost no memory: the system writes them to the disk and reads them again. A process
is charged with all that it ever touched, until it gives them back.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hbm_stan.errors import StorageError
from hbm_stan.resources import try_to_write

# Numbers of an array that is held in memory: half a GiB of them (ours). Larger ones are held on the disk.
IN_MEMORY = 2**26


def place() -> Path:
    """The folder of the files: the environment variable TMPDIR names it."""
    import tempfile  # of very large tables only: a start is not to wait for it

    return Path(tempfile.gettempdir())


def room(shape: Sequence[int], what: str) -> npt.NDArray[np.float64]:
    """An array to be filled, in memory or on the disk; ``what`` it is to hold follows "no room for" in an error.

    A file goes when nobody holds the array any more. Raises StorageError where the disk is too full.
    """
    if math.prod(shape) <= IN_MEMORY:
        return np.empty(shape)
    import tempfile

    try:
        try_to_write(place(), 8 * math.prod(shape))
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):  # else a disk that fills up meanwhile ends the process
                os.posix_fallocate(file.fileno(), 0, 8 * math.prod(shape))
            return np.memmap(file, dtype=float, mode="w+", shape=tuple(shape))
    except OSError as error:
        raise StorageError(
            f"{place()}: no room for {what} ({error.strerror or error}). Name a folder with more room in the "
            "environment variable TMPDIR, or ask for fewer draws."
        ) from error


def give_back(*arrays: Any) -> None:
    """Let the memory go that reading or filling these arrays took, where they lie on the disk; their values stay."""
    for array in arrays:
        pages = array
        while isinstance(pages, np.ndarray) and pages.base is not None:
            pages = pages.base
        if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)
