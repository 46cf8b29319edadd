"""Temporary folders that do not outlive their process, and what is said where nothing can be written."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from hbm_stan.engines.stopping import orderly_stop
from hbm_stan.errors import StorageError

_PREFIX, _LOCK = "hbm-stan-", ".lock"
# So young a folder may be that of a process that has not come to lock it yet.
_YOUNG_SECONDS = 60
# GNU make takes no path with blanks or with its own signs in it.
_PLAIN = re.compile(r"[\w/.+,-]+")


@contextlib.contextmanager
def work_folder() -> Iterator[Path]:
    """A temporary folder with a plain path; it is removed at the end, and so are those that killed processes left."""
    usual = tempfile.gettempdir()
    root = Path(usual if _PLAIN.fullmatch(usual) else "/tmp")
    _clear_leftovers(root)
    with orderly_stop(), contextlib.ExitStack() as at_the_end:
        with storing(root):
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
            at_the_end.callback(shutil.rmtree, folder, ignore_errors=True)
            at_the_end.enter_context(FileLock(folder / _LOCK))
        yield folder


def _clear_leftovers(root: Path) -> None:
    for folder in root.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # gone, or locked by a process that lives
            about = folder.lstat()
            if about.st_uid == os.getuid() and time.time() - about.st_mtime > _YOUNG_SECONDS:
                with FileLock(folder / _LOCK, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn what the system says about a full disk or a folder without access into a StorageError about ``path``."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{error.filename or path} cannot be written ({error.strerror or error}). Free some space or get the "
            "right to write; HBM_CACHE names another folder for compiled programs, TMPDIR one for temporary files."
        ) from error
