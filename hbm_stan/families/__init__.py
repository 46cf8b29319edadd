"""The families, found by themselves: every module here that holds a FAMILY, and folders of the user's own."""

from __future__ import annotations

import importlib
import os
import pkgutil
from pathlib import Path

from hbm_stan.errors import ModelError, nearest
from hbm_stan.families.own import read_family
from hbm_stan.model import Family


def families() -> dict[str, Family]:
    """All families that come along, by name."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    all_families = [module.FAMILY for module in modules if hasattr(module, "FAMILY")]
    return {family.name: family for family in all_families}


def family(name: str, beside: Path | None = None) -> Family:
    """The family of that name, or that of a folder of the user's own, as seen from ``beside``.

    An unknown name is an error that names the nearest, and so is a folder that holds no family.
    """
    folder = (beside or Path()) / os.path.expanduser(name)
    if is_place(name):
        return read_family(folder)
    if (own := shipped(name)) is not None:
        return own
    known = families()
    if os.path.isdir(folder):
        return read_family(folder)
    raise ModelError(f"There is no family {name!r}. {nearest(name, known)} A family of your own is a folder: './name'.")


def shipped(name: str) -> Family | None:
    """The family of that name that comes along; all are imported only where none has a module of that name.

    None where there is none.
    """
    if name in {m.name for m in pkgutil.iter_modules(__path__)}:
        one: Family | None = getattr(importlib.import_module(f"{__name__}.{name}"), "FAMILY", None)
        if one is not None and one.name == name:
            return one
    return families().get(name)


def is_place(name: str) -> bool:
    """Whether the name of a family is that of a folder: it has a path separator, or is a dot."""
    return any(mark in name for mark in ("/", "\\", os.sep)) or name in {".", ".."}
