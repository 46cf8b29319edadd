"""Keeps fits by their content, says why one has to be made again, and never gives back a half-written one."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import xarray as xr

from hbm_stan.errors import StorageError
from hbm_stan.resources import cache_folder

_KEEP = 4  # fits kept of one variant; the oldest go first
_FORMAT = 1


@dataclass(frozen=True)
class Kept:
    """A fit as it is kept: draws, what they depend on, the hash of that, and what sampling cost in seconds."""

    tree: xr.DataTree
    parts: Mapping[str, Any]
    key: str
    seconds: float


@dataclass(frozen=True)
class FitStore:
    """A folder of fits: ``<variant>-<start of key>.nc``, NetCDF with ArviZ's groups."""

    folder: Path

    @classmethod
    def for_user(cls) -> FitStore:
        """The store in the user's cache folder, for notebooks."""
        return cls(cache_folder("fits"))

    def path(self, variant: str, key: str) -> Path:
        """Where a fit is kept."""
        return self.folder / f"{variant}-{key[:16]}.nc"

    def has(self, variant: str, key: str) -> bool:
        """Whether a fit of this key seems to be kept."""
        return self.path(variant, key).exists()

    def lock(self, variant: str) -> filelock.BaseFileLock:
        """Held while a fit is read, made and written: a second process waits and then finds the fit."""
        self._make_folder()
        return filelock.FileLock(self.folder / f".{variant}.lock")

    def read(self, variant: str, key: str) -> Kept | None:
        """The fit of this key, or None where it is not kept whole."""
        path = self.path(variant, key)
        if not path.exists():
            return None
        try:
            kept = _read(path)
        except (OSError, ValueError, KeyError, RuntimeError):
            # Damaged by something outside: made again and overwritten, never believed.
            return None
        return kept if kept.key == key else None

    def write(self, variant: str, kept: Kept) -> None:
        """Keep a fit: written beside, then renamed, so that no reader ever sees half a file."""
        self._make_folder()
        path = self.path(variant, kept.key)
        tree = kept.tree.copy()
        tree.attrs["hbm_stan"] = json.dumps(
            {"format": _FORMAT, "key": kept.key, "seconds": kept.seconds, "parts": dict(kept.parts)}
        )
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=f".{variant}-", suffix=".writing")
        os.close(handle)
        try:
            tree.to_netcdf(name, engine="h5netcdf", encoding=_encoding(tree))
            os.replace(name, path)
        except OSError as error:
            raise StorageError(
                f"{path}: the draws could not be written ({error.strerror or error}). Free some "
                "space, or name another folder."
            ) from error
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        self._evict(variant, path)

    def why(self, variant: str, parts: Mapping[str, Any]) -> str:
        """Why a fit has to be made: what differs from the newest one that is kept for this variant."""
        newest = self._newest_first(variant)
        if not newest:
            return "no earlier draws"
        try:
            before = _read(newest[0]).parts
        except (OSError, ValueError, KeyError, RuntimeError):
            return "the draws kept earlier cannot be read"
        return "; ".join(_differences(before, parts)) or "the draws kept earlier cannot be read"

    def _newest_first(self, variant: str) -> list[Path]:
        found = self.folder.glob(f"{variant}-{'[0-9a-f]' * 16}.nc")
        return sorted(found, key=lambda p: p.stat().st_mtime_ns, reverse=True)

    def _evict(self, variant: str, keep: Path) -> None:
        for path in self._newest_first(variant)[_KEEP:]:
            if path != keep:
                path.unlink(missing_ok=True)
        for leftover in self.folder.glob(f".{variant}-*.writing"):
            leftover.unlink(missing_ok=True)

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self.folder}: the folder for draws cannot be made ({error.strerror or error})."
            ) from error


def _read(path: Path) -> Kept:
    with xr.open_datatree(path, engine="h5netcdf") as tree:
        tree.load()
        loaded = tree.copy()
    about = json.loads(loaded.attrs.pop("hbm_stan"))
    if about["format"] != _FORMAT:
        raise ValueError(f"format {about['format']}")
    return Kept(loaded, about["parts"], about["key"], about["seconds"])


def _encoding(tree: xr.DataTree) -> dict[str, Any]:
    # fletcher32: HDF5's own checksum, so that a flipped bit is an error on reading and not a number.
    return {
        node.path: {
            name: {"fletcher32": True} for name, v in node.data_vars.items() if v.dtype.kind in "fiu" and v.ndim
        }
        for node in tree.subtree
        if node.data_vars
    }


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed, in words: ``prior of tau changed from half_cauchy(5) to half_normal(5)``."""
    said = []
    if before["program"] != now["program"]:
        said.append("the Stan program or a file that it includes changed")
    if before["data"] != now["data"]:
        changed = [k for k in now["data"] if before["data"].get(k) != now["data"][k]]
        said.append(f"the data changed ({', '.join(changed)})")
    for name, text in now["priors"].items():
        old = before["priors"].get(name)
        if old != text:
            said.append(f"the prior of {name} changed from {old} to {text}")
    said += [
        f"{name} changed from {before['settings'].get(name)} to {value}"
        for name, value in now["settings"].items()
        if before["settings"].get(name) != value
    ]
    if before["engine"] != now["engine"]:
        said.append(f"the engine changed from {before['engine']} to {now['engine']}")
    return said
