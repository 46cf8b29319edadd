"""Writes a family to begin with: a folder that works at once and passes its own tests."""

from __future__ import annotations

import os
from pathlib import Path

from hbm_stan.errors import ModelError
from hbm_stan.families import families
from hbm_stan.files import write_beside

_NAME = "my_family"  # the example's own name, which the new one replaces
_FILES = (
    "complete_pooling.stan", "no_pooling.stan", "partial_pooling.stan", "family.py", "test_family.py", "data.csv",
    "analysis.toml",
)  # fmt: skip


def new_family(name: str, to: Path) -> Path:
    """Write the folder ``to``/``name`` with programs, family.py, tests, a small table and an analysis of it.

    Raises ModelError for a name that is no word, that of a family which comes along, or a folder that is there.
    """
    if not (name.isidentifier() and name.isascii()):
        raise ModelError(f"{name!r}: the name of a family has letters, digits and underscores; a letter is first.")
    if name in families():
        raise ModelError(f"A family {name!r} comes along already. Give yours another name.")
    folder = Path(os.path.expanduser(to)) / name
    if os.path.lexists(folder):
        raise ModelError(f"{folder} is there already. Give another name, or another folder with --to.")
    source = Path(__file__).with_name(_NAME)
    for file in _FILES:
        text = (source / file).read_text(encoding="utf-8").replace(_NAME, name)
        write_beside(folder / file, text.encode())
    return folder
