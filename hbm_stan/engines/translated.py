"""Stan programs in stanli's own form: most of what a model takes to be made, kept on disk for the next command."""

from __future__ import annotations

import contextlib
import hashlib
from functools import lru_cache
from pathlib import Path

from hbm_stan.errors import StorageError
from hbm_stan.resources import cache_folder, installed_version, write_text_whole

_PROGRAMS = 64  # kept in memory, 0.3 MB each at most; an analysis has three or four


@lru_cache(_PROGRAMS)
def translated(code: str) -> str:
    """A Stan program in stanli's own form, in which it meets its data.

    Of what a model takes to be made, this is nine tenths and more; refits, pilots and calibrations change data alone,
    and another command asks for the same programs. What is damaged on disk is translated again. Raises what
    ``stanli.stan_to_mir`` raises where the program is wrong.
    """
    import stanli

    path = _place(code)
    if path is not None and (form := _read(path)) is not None:
        return form
    form = str(stanli.stan_to_mir(code))
    if path is not None:
        with contextlib.suppress(OSError):  # a full disk costs the next command a second, and this one nothing
            write_text_whole(path, f"{_seal(form)}\n{form}")
    return form


def _place(code: str) -> Path | None:
    """Where the translation is kept; None where the cache cannot be written, which is no reason not to run."""
    with contextlib.suppress(StorageError):
        folder = cache_folder("programs") / f"stanli-{installed_version('stanli')}"
        return folder / f"{hashlib.sha256(code.encode()).hexdigest()[:32]}.mir"
    return None


def _read(path: Path) -> str | None:
    """The translation, or None where there is none whole: the first line is the hash of the rest."""
    try:
        seal, _, form = path.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return form if seal == _seal(form) else None


def _seal(form: str) -> str:
    return hashlib.sha256(form.encode()).hexdigest()
