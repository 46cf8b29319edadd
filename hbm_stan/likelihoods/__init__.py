"""The likelihoods, found by themselves: every module here that holds a LIKELIHOOD."""

from __future__ import annotations

import importlib
import pkgutil

from hbm_stan.errors import ModelError, nearest
from hbm_stan.likelihoods.likelihood import Likelihood


def likelihoods() -> dict[str, Likelihood]:
    """All likelihoods, by name."""
    modules = (importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__))
    known = [module.LIKELIHOOD for module in modules if hasattr(module, "LIKELIHOOD")]
    return {likelihood.name: likelihood for likelihood in known}


def likelihood(name: str) -> Likelihood:
    """The likelihood of that name; an unknown one is an error that names the nearest."""
    if (own := _of_module(name)) is not None:
        return own
    known = likelihoods()
    if name not in known:
        raise ModelError(f"There is no likelihood {name!r}. {nearest(name, known)}")
    return known[name]


def _of_module(name: str) -> Likelihood | None:
    """The likelihood of that name from the module of that name, if it is there: to import all others takes longer."""
    if name not in {m.name for m in pkgutil.iter_modules(__path__)}:
        return None
    one: Likelihood | None = getattr(importlib.import_module(f"{__name__}.{name}"), "LIKELIHOOD", None)
    return one if one is not None and one.name == name else None


def with_extra_zeros(counts: Likelihood) -> Likelihood | None:
    """The likelihood of these counts with extra zeros; None where there is none."""
    return next((known for known in likelihoods().values() if known.counts is counts), None)
