"""The families, found by themselves: every module here that holds a FAMILY."""

from __future__ import annotations

import importlib
import pkgutil

from hbm_stan.errors import ModelError, nearest
from hbm_stan.model import Family


def families() -> dict[str, Family]:
    """All families by name."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    found = [module.FAMILY for module in modules if hasattr(module, "FAMILY")]
    return {family.name: family for family in found}


def family(name: str) -> Family:
    """The family of that name; an unknown one is an error that names the nearest."""
    known = families()
    if name not in known:
        raise ModelError(f"There is no family {name!r}. {nearest(name, known)}")
    return known[name]
