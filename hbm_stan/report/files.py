"""Writes a file beside and renames it: what existed before is whole until the new one is."""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
import time
from pathlib import Path

from hbm_stan.errors import StorageError

# A file is written in seconds: what bears such a name and is older was left by a process that was killed.
_LEFT_SECONDS = 3600


def write_beside(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, all or nothing; raises StorageError where it cannot be written."""
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".writing")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a report is an ordinary one.
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error}).") from error
    finally:
        if name:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
    _clear_leftovers(path)


def _clear_leftovers(path: Path) -> None:
    for left in path.parent.glob(f".{glob.escape(path.name)}-*.writing"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                left.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
