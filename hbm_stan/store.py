"""Keeps fits by their content, says why one has to be made again, and never gives back a half-written one."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hbm_stan.deferred import Deferred, Later
from hbm_stan.errors import StorageError
from hbm_stan.fit_file import FitFile
from hbm_stan.fit_file import beside as notes_of
from hbm_stan.named import NamedTree
from hbm_stan.resources import cache_folder, try_to_write, write_text_whole
from hbm_stan.sealed import UnusableError, open_sealed, write_sealed

if TYPE_CHECKING:
    import filelock
else:
    from hbm_stan.later import filelock

_KEEP = 4  # fits kept of one variant; those that were not used for longest go first
_ABOUT = ("key", "seconds", "parts", "adapt_delta", "earlier")


@dataclass(frozen=True, kw_only=True)
class FitRecord:
    """A fit as it is kept: draws, what was asked for, the hash of that, and what sampling cost in seconds.

    The draws may be those of a later attempt: of another adapt_delta than was asked for, with the ``earlier`` ones.
    Draws, and ``parts`` with them, are read from the ``file`` when they are asked for, where the rest is noted.
    """

    named: Later[NamedTree] = Later()  # noqa: RUF009 (a descriptor: there is one for all)
    parts: Later[Mapping[str, Any]] = Later()  # noqa: RUF009
    key: str
    seconds: float
    adapt_delta: float | None = None  # of these draws; None: as asked for
    earlier: tuple[Mapping[str, Any], ...] = ()
    file: FitFile | None = None  # where it is kept, if it is


@dataclass(frozen=True)
class FitStore:
    """A folder of fits: ``<variant>-<start of key>.nc``, NetCDF with ArviZ's groups."""

    folder: Path

    @classmethod
    def for_user(cls, *names: str) -> FitStore:
        """A store in the user's cache folder, for notebooks: one for each family and dataset."""
        with _storing(Path("fits")):
            return cls(cache_folder("fits").joinpath(*(re.sub(r"[^\w-]", "_", name) for name in names)))

    def refuse_unwritable(self, size: int) -> None:
        """Raise StorageError, before anything is sampled, where ``size`` bytes could not be kept."""
        with _storing(self.folder):
            try_to_write(self.folder, size)

    def path(self, variant: str, key: str) -> Path:
        """Where a fit is kept."""
        return self.folder / f"{variant}-{key[:16]}.nc"

    def has(self, variant: str, key: str) -> bool:
        """Whether a fit of this key seems to be kept."""
        return self.path(variant, key).exists()

    @contextlib.contextmanager
    def lock(self, variant: str, say: Callable[[str], None]) -> Iterator[None]:
        """Held while a fit is made and written: a second process waits and then finds the fit."""
        with _storing(self.folder):
            lock = acquired(
                self.folder / f".{variant}.lock", say, f"{variant}: another process is sampling it; waiting"
            )
        try:
            yield
        finally:
            lock.release()

    def read(self, variant: str, key: str) -> FitRecord | None:
        """The fit of this key, or None where it is not kept whole. Needs no lock: files are replaced, never changed."""
        path = self.path(variant, key)
        try:
            record = _read(path)
        except UnusableError:
            return None
        if record.key != key:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used just now: evicted last
        return record

    def write(self, variant: str, record: FitRecord) -> FitRecord:
        """Keep a fit, and say where; call it with the lock held. Written beside, then renamed: no reader sees half a
        file."""
        path = self.path(variant, record.key)
        beside = self.folder / f".{variant}.writing"  # the holder's of the lock; what a killed one left is overwritten
        with _storing(path):
            try:
                digest = _write(record, beside)
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)
        for old in self._newest_first(variant)[_KEEP:]:
            with contextlib.suppress(OSError):
                old.unlink()
                notes_of(old).unlink(missing_ok=True)
        return replace(record, file=FitFile(path, digest))

    def read_note(self, name: str) -> dict[str, Any] | None:
        """A small result kept beside the fits, or None where there is none whole."""
        try:
            note: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return note

    def write_note(self, name: str, note: Mapping[str, Any]) -> None:
        """Keep a small result beside the fits; written beside, then renamed."""
        path = self.folder / f"{name}.json"
        with _storing(path):
            write_text_whole(path, json.dumps(note))

    def why(self, variant: str, key: str, parts: Mapping[str, Any]) -> str:
        """Why a fit has to be made: its file is damaged, or what differs from the one that was used last."""
        candidates = [path for path in (self.path(variant, key),) if path.exists()] or self._newest_first(variant)
        if not candidates:
            return "no earlier draws"
        try:
            before = _read(candidates[0])
        except UnusableError as reason:
            return str(reason)
        return "; ".join(_differences(before.parts, parts)) or f"{candidates[0].name} holds another fit"

    def _newest_first(self, variant: str) -> list[Path]:
        times: dict[Path, int] = {}
        for path in self.folder.glob(f"{variant}-{'[0-9a-f]' * 16}.nc"):
            with contextlib.suppress(OSError):  # another process may just have removed it
                times[path] = path.stat().st_mtime_ns
        return sorted(times, key=lambda path: times[path], reverse=True)


@dataclass(frozen=True)
class Unwritten(FitStore):
    """A store of fits that are made for somebody else to keep: in memory, by key."""

    folder: Path = Path()
    records: dict[str, FitRecord] = field(default_factory=dict)

    @contextlib.contextmanager
    def lock(self, variant: str, say: Callable[[str], None]) -> Iterator[None]:
        """Nobody else has it."""
        yield

    def read(self, variant: str, key: str) -> FitRecord | None:
        """The fit of this key, if it was made."""
        return self.records.get(key)

    def write(self, variant: str, record: FitRecord) -> FitRecord:
        """Hold a fit."""
        self.records[record.key] = record
        return record

    def why(self, variant: str, key: str, parts: Mapping[str, Any]) -> str:
        """Nothing is known of earlier ones here."""
        return ""


def acquired(path: Path, say: Callable[[str], None], waiting: str) -> filelock.BaseFileLock:
    """The lock of that file, held; its folder is made, and ``waiting`` said where another process holds it."""
    lock = filelock.FileLock(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        say(waiting)
        lock.acquire()
    return lock


def _write(record: FitRecord, path: Path) -> str:
    """Write a fit to a file, and have it on the disk; the hash in its seal."""
    about = json.dumps({name: getattr(record, name) for name in _ABOUT})
    return write_sealed(NamedTree(record.named.sets, {**record.named.attrs, "hbm_stan": about}), path)


def _read(path: Path) -> FitRecord:
    """The fit in a file; raises UnusableError where it gives none."""
    digest, tree = open_sealed(path)
    file = FitFile.at(path, digest)
    if file.facts is None:
        return _record(tree.value(), file)
    record, facts = Deferred(lambda: _later(tree, file)), file.facts
    return FitRecord(
        named=Deferred(lambda: record.value().named), parts=Deferred(lambda: record.value().parts), key=facts.key,
        seconds=facts.seconds, adapt_delta=facts.adapt_delta, earlier=facts.earlier, file=file,
    )  # fmt: skip


def _record(tree: NamedTree, file: FitFile) -> FitRecord:
    try:
        about = json.loads(tree.attrs["hbm_stan"])
        earlier = tuple(about.get("earlier", ()))  # files of before have none
        return FitRecord(
            named=NamedTree(tree.sets),
            parts=about["parts"],
            key=about["key"],
            seconds=about["seconds"],
            adapt_delta=about.get("adapt_delta"),
            earlier=earlier,
            file=file,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableError(f"{file.path.name} does not say whose draws it holds ({error})") from error


def _later(tree: Deferred[NamedTree], file: FitFile) -> FitRecord:
    """The fit in a file of which there are notes: it was read before."""
    try:
        return _record(tree.value(), file)
    except UnusableError as error:
        raise StorageError(f"{error}. Remove {file.path}, and run this again: it is sampled anew.") from error


@contextlib.contextmanager
def _storing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: draws cannot be kept there ({error.strerror or error}). Free some space, get the right to "
            "write, or name another folder."
        ) from error


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What changed, in words: ``the prior of tau changed from half_cauchy(5) to half_normal(5)``."""
    now = json.loads(json.dumps(now))  # as the kept ones are: lists, not tuples
    changes = []
    if before["program"] != now["program"]:
        changes.append("the Stan program or a file that it includes changed")
    if changed := _changed_values(before["data"], now["data"]):
        changes.append(f"the data changed ({', '.join(changed)})")
    priors = [
        f"the prior of {name} changed from {before['priors'].get(name)} to {text}"
        for name, text in now["priors"].items()
        if before["priors"].get(name) != text
    ]
    if not priors and (changed := _changed_values(before["prior values"], now["prior values"])):
        priors = [f"the priors changed ({', '.join(changed)})"]
    changes += priors
    changes += [
        f"{change}" for change in _changed_values(before["settings"], now["settings"], "{} changed from {} to {}")
    ]
    if before.get("names") != now.get("names") or before.get("family") != now.get("family"):
        changes.append("the family changed")
    if before["engine"] != now["engine"]:
        changes.append(f"the engine changed from {before['engine']} to {now['engine']}")
    return changes


def _changed_values(before: Mapping[str, Any], now: Mapping[str, Any], words: str = "{} from {} to {}") -> list[str]:
    """What differs: ``y[3] from -3.0 to 4.0`` (counted from 1), ``2 of 8 values of y``, ``J from 8 to 9``, ``y``."""
    changes = []
    for name in [*now, *(name for name in before if name not in now)]:
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        if not isinstance(old, list) and not isinstance(new, list):
            changes.append(words.format(name, old, new))
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            at = [i for i, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
            one = len(at) == 1 and not isinstance(new[at[0]], list)
            place = f"{name}[{at[0] + 1}]"
            changes.append(
                words.format(place, old[at[0]], new[at[0]]) if one else f"{len(at)} of {len(new)} values of {name}"
            )
        else:
            changes.append(name)
    return changes
