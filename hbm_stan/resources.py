"""Where Stan programs, data sets, analyses and known posteriors are: in the checkout, or inside the package (wheel)."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from functools import cache
from pathlib import Path

from hbm_stan.errors import DataError, StorageError, did_you_mean

_PACKAGE = Path(__file__).resolve().parent
_CODE = (".py", ".typ", ".html")  # ends of names of files that say what comes out


def share(kind: str) -> Path:
    """The folder of ``kind`` (stan, data, reports, reference): the wheel's copy, else the checkout's."""
    packed = _PACKAGE / "_share" / kind
    if packed.is_dir():
        return packed
    return _PACKAGE.parent / ("tests/reference" if kind == "reference" else kind)


@cache
def own_code() -> str:
    """The hash of this package's files: what yesterday's code worked out is not up to date."""
    # By os, for Path takes twice as long over some 500 files, and a command that finds all in order does little else.
    files = [os.path.join(folder, n) for folder, _, names in os.walk(_PACKAGE) for n in names if n.endswith(_CODE)]
    return hashlib.sha256(b"\0".join(map(_content, sorted(files)))).hexdigest()


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


@cache
def installed_version(name: str) -> str:
    """The version of an installed package, of a name without a hyphen; raises PackageNotFoundError where there is none.

    Read where wheels have it: what importlib.metadata needs for that takes as long to import as an analysis to read.
    """
    for place in map(Path, sys.path):
        for about in sorted(place.glob(f"{name}-*.dist-info/METADATA")):
            text = about.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0]
            head = dict(re.findall(r"^(Name|Version): (.*)$", text, re.MULTILINE))
            if head.get("Name", "").lower() == name and "Version" in head:
                return str(head["Version"]).strip()
    from importlib.metadata import version

    return version(name)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_no_file(path: Path) -> None:
    """Raise DataError for a pipe or a device: it may give nothing for ever, and gives nothing a second time."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(
            f"{path} is no file (a pipe, a device or a folder). Save what it gives as a file, and name that."
        )


def find_data(path: str | Path) -> Path:
    """The file or folder of data that a path or a shipped dataset's name stands for; DataError where there is none."""
    if not str(path):
        raise DataError("The data need a name: a CSV file, a dataset folder, or a data set that comes along.")
    place = Path(os.path.expanduser(path))
    # os.path, for Path raises on names that are too long or not permitted (before Python 3.14).
    if not os.path.exists(place) and len(place.parts) == 1 and os.path.isdir(share("data") / place):
        place = share("data") / place
    if not os.path.exists(place):
        shipped = sorted(p.name for p in share("data").iterdir() if p.is_dir())
        near = did_you_mean(str(path), shipped)
        hint = f" {near}" if near else " Download it first." if "://" in str(path) else ""
        raise DataError(f"{path}: no such file or folder. Data sets that come along: {', '.join(shipped)}.{hint}")
    return place


def try_to_write(folder: Path, size: int = 0) -> None:
    """Make the folder and a file in it; raises OSError where that fails, or where ``size`` bytes are not free."""
    import errno
    import shutil
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    # Rights alone do not say it: the file system may be read-only, and root has all rights.
    with tempfile.TemporaryFile(dir=folder):
        pass
    free = shutil.disk_usage(folder).free
    if size > free:
        raise OSError(errno.ENOSPC, f"{size / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB are free")


def write_text_whole(path: Path, text: str) -> None:
    """Write a text beside and rename it, so that no reader sees half of it; raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.writing")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def cache_folder(kind: str) -> Path:
    """The user's cache folder for ``kind`` ("programs", "fits"); HBM_CACHE moves it."""
    import platformdirs

    root = os.environ.get("HBM_CACHE")
    folder = (Path(root) if root else Path(platformdirs.user_cache_dir("hbm_stan"))) / kind
    try:
        try_to_write(folder)
    except OSError as error:
        raise StorageError(
            f"{folder}: the cache cannot be written ({error.strerror or error}). Set HBM_CACHE to a folder that can be."
        ) from error
    return folder
