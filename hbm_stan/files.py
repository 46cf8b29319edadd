"""Writes a file beside and renames it: what existed before is whole until the new one is."""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hbm_stan.errors import HbmError, StorageError

# A file is written in seconds: what bears such a name and is older was left by a process that was killed.
_LEFT_SECONDS = 3600
_HEAD = 20_000  # bytes of a file by which it is known: the names of a table's columns are among them


def write_beside(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, all or nothing; raises StorageError where it cannot be written.

    A link is written through. A pipe or a device, such as /dev/stdout, is written to: it cannot be replaced.
    """
    try:
        _refuse_pipe(path)
        if _is_stream(path):
            with path.open("ab", buffering=0) as stream:
                stream.write(content)
            return
        real = Path(os.path.realpath(path))
        real.parent.mkdir(parents=True, exist_ok=True)
        _replace(real, content)
    except OSError as error:
        raise StorageError(f"{path} cannot be written ({error.strerror or error}).") from error
    _clear_leftovers(real)


def writes_parquet() -> bool:
    """Whether a library is there that pandas writes Parquet with."""
    return find_spec("pyarrow") is not None or find_spec("fastparquet") is not None


def write_json(path: Path, value: Any, indent: int) -> None:
    """Write a plain value as JSON, all or nothing; what is not valid text (a folder's name) becomes JSON's escapes."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    write_beside(path, text.encode("utf-8", "backslashreplace"))


def _replace(path: Path, content: bytes) -> None:
    if os.path.exists(path) and not os.access(path, os.W_OK):
        # A folder's rights would let it be replaced; its own rights say that it is to be kept.
        raise PermissionError(errno.EACCES, "the file is write-protected")
    import tempfile  # a command that writes nothing is not to wait for it

    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=".writing")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes private files; a report is an ordinary one, or has the rights that it had.
        os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        os.replace(name, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def is_json(head: bytes) -> bool:
    """Whether a file that begins so is JSON, or empty."""
    return head.strip()[:1] in {b"", b"{", b"["}


def refuse_missing_folder(path: Path, option: str) -> None:
    """Raise HbmError where the folder of a result that ``option`` asks for is not there."""
    if not os.path.isdir(path.parent):
        raise HbmError(f"{option} {path}: there is no folder {path.parent}. Make it, or name another place.")


def refuse_place(path: Path, option: str, what: str = "JSON", mine: Callable[[bytes], bool] = is_json) -> None:
    """Raise HbmError where a result that ``option`` asks for could not be written, or would overwrite another thing.

    ``mine`` says of the beginning of a file that is there whether it is ``what`` is to be written.
    """
    import tempfile

    where = f"{option} {path}"
    if os.path.isdir(path):
        raise HbmError(f"{where} is a folder. Name a file.")
    try:
        _refuse_pipe(path)
        if _is_stream(path):
            return
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            if not mine(file.read(_HEAD)):
                raise HbmError(f"{where} is there already and is not {what}. It is kept; name another file.")
        folder = next(p for p in Path(os.path.realpath(path)).parents if os.path.exists(p))
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise HbmError(f"{where} cannot be written ({error.strerror or error}). Name another place.") from error


def _refuse_pipe(path: Path) -> None:
    """Raise OSError for a pipe with a name: to open one waits for a reader, for ever where none comes."""
    if not path.is_relative_to("/dev") and path.is_fifo():
        raise OSError(errno.EINVAL, "a pipe; a file is needed, or /dev/stdout")


def _is_stream(path: Path) -> bool:
    if path.is_relative_to("/dev/fd") or path in {Path("/dev/stdout"), Path("/dev/stderr")}:
        return True
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def _prefix(path: Path) -> str:
    # Names have at most 255 bytes, and mkstemp adds eight letters.
    return f".{path.name[:50]}-"


def _clear_leftovers(path: Path) -> None:
    for left in path.parent.glob(f"{glob.escape(_prefix(path))}*.writing"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                left.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
