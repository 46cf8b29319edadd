"""Units of work as bytes, for other processes: families hold functions, which do not travel, so they go by their name.

A family of the user's goes by its folder. What was made in this process alone, and an engine of the user's, stay here.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hbm_stan.engines import ENGINES, Engine
from hbm_stan.engines.cmdstan import CmdStanEngine
from hbm_stan.engines.direct import DirectEngine
from hbm_stan.engines.stanli import StanliEngine
from hbm_stan.errors import HbmError, ModelError
from hbm_stan.families import families, shipped
from hbm_stan.families.own import read_family
from hbm_stan.model import Family

_ONE_AT_A_TIME = threading.Lock()  # a cluster's worker may have several threads, the embedded engine only one


def reference(family: Family) -> str | None:
    """How another process finds the family: its name, or its folder; None for one that was made in this process."""
    if shipped(family.name) is family:
        return family.name
    return str(family.programs.folder.resolve()) if family.source else None


def can_travel(engine: Engine) -> bool:
    """Whether another process can make the same engine."""
    return isinstance(engine, StanliEngine | CmdStanEngine | DirectEngine)


def stays_here(family: Family, engine: Engine | str) -> str:
    """Why fits of this family by this engine are made in this process alone, in words; empty where they may travel."""
    if reference(family) is None:
        return (
            f"The family {family.name} was made in this process and cannot be sent to another one. Keep it in a folder "
            "of its own (hbm new-family)"
        )
    name = engine if isinstance(engine, str) else engine.name
    if name not in ENGINES or not (isinstance(engine, str) or can_travel(engine)):
        return f"The engine {name} is none of ours and cannot be sent to another process. Name stanli or cmdstan"
    return ""


def _read_only(items: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(items)


def _texts(values: list[Any]) -> Any:
    """Texts as pandas keeps them here."""
    import pandas as pd

    return pd.array(values, dtype="str")


class _Pickler(pickle.Pickler):
    """Takes read-only mappings too, which datasets hold, and families by name or folder."""

    dispatch_table = copyreg.dispatch_table | {MappingProxyType: lambda mapping: (_read_only, (dict(mapping),))}

    def persistent_id(self, thing: Any) -> tuple[str, str] | None:
        """The place and the source of a family; None for anything else."""
        if not isinstance(thing, Family):
            return None
        place = reference(thing)
        if place is None:
            raise ModelError(f"The family {thing.name} was made in this process and cannot be sent to another one.")
        return place, thing.source

    def reducer_override(self, thing: Any) -> Any:
        """Texts that pandas keeps by pyarrow as plain ones: where they go, there may be no pyarrow."""
        if type(thing).__name__ != "ArrowStringArray":
            return NotImplemented
        return _texts, (thing.tolist(),)


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: tuple[str, str]) -> Family:
        """The family of that place; raises ModelError where its source is another by now."""
        place, source = pid
        if not source:
            return families()[place]
        family = read_family(Path(place))
        if family.source != source:
            raise ModelError(f"{place} was changed while it was worked with, or is another one here. Begin again.")
        return family


def packed(thing: Any) -> bytes:
    """Anything that travels as bytes."""
    out = io.BytesIO()
    _Pickler(out, protocol=pickle.HIGHEST_PROTOCOL).dump(thing)
    return out.getvalue()


def unpacked(content: bytes) -> Any:
    """What ``packed`` made bytes of."""
    return _Unpickler(io.BytesIO(content)).load()


def unit_of(work: Callable[..., Any], arguments: tuple[Any, ...]) -> bytes:
    """A call of a function of this package as bytes."""
    return packed((work, arguments))


def perform(unit: bytes) -> bytes:
    """What a worker makes of a unit, as bytes: its result, or the HbmError that it ended in."""
    with _ONE_AT_A_TIME:
        try:
            work, arguments = unpacked(unit)
            return packed((work(*arguments), None))
        except HbmError as error:
            return packed((None, error))
