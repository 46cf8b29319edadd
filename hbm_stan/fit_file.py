"""What was worked out of a fit's file, noted beside it: read again only while that file and our code are the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.resources import installed_version, own_code, write_text_whole

_NOTES = 8  # answers that are noted of one fit, to other waived checks or thresholds; the oldest go first (ours)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What commands ask of a fit beside its draws: what its file says of it, what the engine said of all draws together
    (``about``), whether these are ``independent`` ones, and whether its sampler shows ``trouble``."""

    key: str
    seconds: float
    adapt_delta: float | None
    earlier: tuple[Mapping[str, Any], ...]
    about: Mapping[str, float | str]
    independent: bool
    trouble: bool


@dataclass(frozen=True)
class FitFile:
    """The file of a fit, the hash that it is sealed with, and the facts that were noted of it, None if there are none.

    Notes stand beside it, in ``<variant>-<start of key>.json`` with a hash of their own, and name the hash of the fit
    and of what read it: those of another fit, of other code, and damaged ones are no notes.
    """

    path: Path
    digest: str
    facts: Facts | None = None

    @classmethod
    def at(cls, path: Path, digest: str) -> FitFile:
        """The file at that path, whose hash was compared, with its facts."""
        notes = _read(path, digest)
        return cls(path, digest, None if notes is None else _facts(notes))

    def answer(self, question: str) -> Any:
        """What was noted as the answer to a question, or None."""
        notes = _read(self.path, self.digest)
        return None if notes is None else notes["answers"].get(question)

    def note(self, facts: Facts, question: str, answer: Any) -> None:
        """Note an answer, in plain values; where nothing can be written it will be worked out again."""
        notes = _read(self.path, self.digest)
        answers = {} if notes is None else notes["answers"]
        answers = dict(list({**answers, question: answer}.items())[-_NOTES:])
        content = {"fit": self.digest, "by": _reader(), "facts": asdict(facts), "answers": answers}
        text = json.dumps(content, default=_plain)
        with contextlib.suppress(OSError):
            write_text_whole(beside(self.path), f"{text}\n{_hash(text)}\n")


def beside(path: Path) -> Path:
    """Where the notes of the fit in that file are."""
    return path.with_suffix(".json")


def _read(path: Path, digest: str) -> dict[str, Any] | None:
    """The notes beside a fit whose file has that hash, whole and by what runs now; None where there are none such."""
    try:
        text, seal = beside(path).read_text(encoding="utf-8").splitlines()
        notes: dict[str, Any] = json.loads(text) if _hash(text) == seal else {}
    except (OSError, ValueError):
        return None
    return notes if notes.get("fit") == digest and notes["by"] == _reader() else None


def _facts(notes: Mapping[str, Any]) -> Facts:
    return Facts(**{**notes["facts"], "earlier": tuple(notes["facts"]["earlier"])})


@cache
def _reader() -> str:
    """What reads draws and judges them, as a hash: our code, Python, NumPy and SciPy."""
    return _hash("\0".join([own_code(), sys.version, np.__version__, installed_version("scipy")]))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A number or a list for JSON, of NumPy's."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be noted")
