"""Keeps what each replication gave, a line of JSON each, so that a second call goes on where the first one stopped."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hbm_stan.errors import StorageError
from hbm_stan.store import acquired

FORMAT = 1


@dataclass(frozen=True)
class Journal:
    """The file of one calibration: its first line says what was calibrated, each other line is a replication."""

    folder: Path
    name: str
    parts: Mapping[str, Any]
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def key(self) -> str:
        """All that the replications depend on, as a hash."""
        return hashlib.sha256(json.dumps({"format": FORMAT, **self.parts}, sort_keys=True).encode()).hexdigest()

    @property
    def path(self) -> Path:
        """Where the lines are kept."""
        return self.folder / f"{re.sub(r'[^A-Za-z0-9_-]', '_', self.name)}-{self.key[:16]}.jsonl"

    @contextlib.contextmanager
    def held(self, say: Callable[[str], None]) -> Iterator[None]:
        """Held while replications are added: a second process that calibrates the same waits and then goes on."""
        waiting = f"{self.name}: another process calibrates it; waiting"
        with self._storing():
            lock = acquired(self.path.with_suffix(".lock"), say, waiting)
        try:
            yield
        finally:
            lock.release()

    def read(self) -> dict[int, dict[str, Any]]:
        """The replications kept, by number. A line that was torn when its writer was killed is no replication."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(f"{self.path} cannot be read ({error.strerror or error}).") from error
        records = [record for line in lines if (record := _record(line)) is not None]
        return {int(record["replication"]): record for record in records}

    def repair(self) -> None:
        """Make the file's last line whole, so that the next one is; begin the file where there is none."""
        with self._storing():
            if not self.path.exists() or self.path.stat().st_size == 0:
                head = {"format": FORMAT, "key": self.key, **self.parts}
                self._append(json.dumps(head, sort_keys=True))
            with self.path.open("rb+") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 1, 0))
                if file.read(1) != b"\n":
                    file.write(b"\n")

    def add(self, record: Mapping[str, Any]) -> None:
        """Keep a replication: one write of one whole line."""
        with self._lock, self._storing():
            self._append(json.dumps(record, allow_nan=False))

    def _append(self, line: str) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(handle, f"{line}\n".encode())
        finally:
            os.close(handle)

    @contextlib.contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.path} cannot be written ({error.strerror or error}). Free some space or get the right to "
                "write; HBM_CACHE names another folder."
            ) from error


def _record(line: bytes) -> dict[str, Any] | None:
    """The replication in a line, or None where it holds none whole."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and isinstance(record.get("replication"), int)
    return record if whole and ({"ranks", "refused"} & record.keys()) else None
