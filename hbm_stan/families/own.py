"""A family of the user's own: a folder with Stan programs and a family.py, or a family.toml that says less."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hbm_stan.errors import PROGRAMS, HbmError, ModelError, nearest
from hbm_stan.families.declared import read_declared
from hbm_stan.model import PARTS, Family, place_of
from hbm_stan.prepare import Prepared
from hbm_stan.program import Declaration

_EXAMPLE = "`hbm new-family NAME` writes an example."
# Functions that return one value for each draw and row or group, and which of their arguments the draws are.
_DRAWS_AT = {
    "simulate": 1, "new_group": 1, "pointwise": 0, "group_log_lik": 0, "finer_group_log_lik": 0, "loo_log_lik": 0,
    "draw_groups": 1,
}  # fmt: skip
# What a table once had of its groups, and its factor has.
_OF_FACTOR = {"labels": "pooled.labels", "group": "pooled.level", "sizes": "pooled.sizes"}
_MAY_BE_NONE = {"finer_group_log_lik", "prior_group_log_lik"}


def read_family(folder: Path) -> Family:
    """The family in a folder; raises ModelError naming the file, and the line or the key, where something is wrong."""
    if folder.name in {"family.py", "family.toml"} and os.path.isfile(folder):
        folder = folder.parent
    if not os.path.isdir(folder):
        raise ModelError(f"There is no folder {folder} with a family in it. {_EXAMPLE}")
    script, table = folder / "family.py", folder / "family.toml"
    files = [file for file in (script, table) if file.is_file()]
    if not files:
        raise ModelError(f"{folder}: there is neither a family.py nor a family.toml. {_EXAMPLE}")
    if len(files) == 2:
        raise ModelError(f"{folder}: there are both a family.py and a family.toml. Keep one; family.py can do more.")
    file, text = files[0], _text(files[0])
    family = _guarded(_from_script(file, text), file) if file == script else read_declared(file, text)
    _check_programs(family, file)
    return replace(family, source=hashlib.sha256(text.encode()).hexdigest())


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror or error}).") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{file} is not UTF-8 ({error.reason} at byte {error.start}). Save it as UTF-8.") from error


def _from_script(file: Path, text: str) -> Family:
    """FAMILY of a family.py. It is run from its text: no bytecode is left in the folder, none is out of date."""
    place = str(file.resolve())
    module = ModuleType(f"_hbm_family_{hashlib.sha256(place.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}")
    module.__file__ = place
    sys.modules[module.__name__] = module  # where dataclasses look for the types that they are made of
    logging.getLogger(PROGRAMS).info("Running the program %s", file)
    try:
        exec(compile(text, str(file), "exec"), module.__dict__)
    except SyntaxError as error:
        raise ModelError(f"{error.filename}, line {error.lineno}: {error.msg}.") from None
    except (Exception, SystemExit) as error:
        raise ModelError(f"{_line(file, error)}: {_misplaced(error) or _message(error)}") from error
    if "FAMILY" not in module.__dict__:
        raise ModelError(f"{file}: there is no FAMILY. Write FAMILY = Family(...) at its end. {_EXAMPLE}")
    family = module.__dict__["FAMILY"]
    if not isinstance(family, Family):
        raise ModelError(f"{file}: FAMILY is a {type(family).__name__}; it must be a Family of hbm_stan.model.")
    for part, kind in PARTS.items():
        if not isinstance(component := getattr(family, part), kind):
            fault = f"{part} is a {type(component).__name__}; it must be a {kind.__name__} of hbm_stan.model"
            raise ModelError(f"{file}: FAMILY: {fault}. {_EXAMPLE}")
    return family


def _line(file: Path, error: BaseException) -> str:
    """The file and the line of it that an error came through last."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(file)]
    return f"{file}, line {lines[-1]}" if lines else f"{file}"


def _message(error: BaseException) -> str:
    if isinstance(error, AttributeError) and isinstance(error.obj, Prepared) and error.name in _OF_FACTOR:
        return f"AttributeError: table.{error.name} is table.{_OF_FACTOR[error.name]}."
    return str(error) if isinstance(error, HbmError) else f"{type(error).__name__}: {error}."


def _misplaced(error: BaseException) -> str:
    """Where an argument belongs that a Family, or another part of it, was given; empty for other errors."""
    match = re.search(r"__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
    part = place_of(match[1]) if match and isinstance(error, TypeError) else ""
    if not match or not part:
        return ""
    kind = PARTS[part].__name__
    beside = ", ".join(f.name for f in fields(PARTS[part]) if f.name != match[1])
    return (
        f"{match[1]} is an argument of {kind}: write Family(..., {part}={kind}({match[1]}=..., ...)). So are {beside}. "
        f"{_EXAMPLE}"
    )


def _guarded(family: Family, file: Path) -> Family:
    """The family with its functions wrapped: an error in one names the file and the line, and so does a wrong shape."""
    holders = (family, *(getattr(family, part) for part in PARTS))
    values = {f.name: getattr(holder, f.name) for holder in holders for f in fields(holder)}
    return family.with_fields(**{n: _guard(family, n, value, file) for n, value in values.items() if callable(value)})


def _guard(family: Family, name: str, function: Callable[..., Any], file: Path) -> Callable[..., Any]:
    @functools.wraps(function)
    def guarded(*args: Any) -> Any:
        try:
            value = function(*args)
        except HbmError:
            raise
        except Exception as error:
            raise ModelError(f"{_line(file, error)}: {name}() failed with {_message(error)}") from error
        fault = _fault(family, name, value, args)
        if fault:
            raise ModelError(f"{file}: {name}() {fault}")
        return value

    return guarded


def _fault(family: Family, name: str, value: Any, args: tuple[Any, ...]) -> str:
    """What is wrong with what a function returned, or nothing."""
    if name == "prepare":
        if not isinstance(value, dict):
            return f"must return a dict of Stan data, not a {type(value).__name__}."
        observed = family.programs.observed
        if observed not in value:
            return f"gives no {observed!r}, which is to be the outcome. Its keys: {', '.join(map(str, value))}."
    if name == "default_priors" and not isinstance(value, dict):
        return f"must return a dict of priors by name, not a {type(value).__name__}."
    if name == "default_priors":
        rows = [row.name for row in family.programs.prior_rows]
        for parameter in value:
            if parameter.partition("[")[0] not in rows:
                return f"names {parameter!r}, which is no row of prior_rows. {nearest(parameter, rows)}"
    return "" if value is None and name in _MAY_BE_NONE else _fault_of_shape(name, value, args)


def _fault_of_shape(name: str, value: Any, args: tuple[Any, ...]) -> str:
    shape = np.shape(value)
    if name == "prior_group_log_lik":
        groups = args[0].get("J", np.size(value))
        if shape != (groups,):
            return f"gave the shape {shape}. It must give one value for each group: ({groups},)."
    if name in _DRAWS_AT:
        draws: Mapping[str, Any] = args[_DRAWS_AT[name]]
        n = len(next(iter(draws.values())))
        if len(shape) < 2 or shape[0] != n:
            return f"gave the shape {shape}. The first dimension is the draw ({n}), the second the row or the group."
    return ""


def _check_programs(family: Family, file: Path) -> None:
    """Raise ModelError where a program is missing, or returns what the family does not name."""
    if not family.programs.variants:
        raise ModelError(f"{file}: there are no variants. A family has one at least.")
    declared: list[tuple[str, Declaration]] = []
    for variant in family.programs.variants:
        program = family.programs.folder / f"{variant.program or variant.name}.stan"
        if not os.path.isfile(program):
            there = ", ".join(sorted(p.name for p in family.programs.folder.glob("*.stan"))) or "none"
            raise ModelError(f"{file}: the variant {variant.name!r} needs {program}. Programs there: {there}.")
        declared += [(program.name, d) for d in family.program(variant.name).outputs]
    outputs = {d.name: d for _, d in declared}
    named = {
        "log_lik": (family.programs.log_lik, "log_lik"), "y_rep": (family.programs.y_rep, "y_rep"),
        "group_quantity": (family.groups.group_quantity, "theta"),
    }  # fmt: skip
    for key, (name, default) in named.items():
        if name != default and name not in outputs:
            raise ModelError(f"{file}: {key} is {name!r}, which no program declares. {nearest(name, outputs)}")
    for name in family.programs.population:
        if name not in outputs:
            raise ModelError(f"{file}: population names {name!r}, which no program declares. {nearest(name, outputs)}")
    for program_name, d in declared:
        _check_dims(family, file, program_name, d)


def _check_dims(family: Family, file: Path, program: str, d: Declaration) -> None:
    """Raise ModelError where the dims of a variable are not named, or are fewer or more than it has."""
    if d.name in {family.programs.log_lik, family.programs.y_rep}:
        if len(d.dims) != 1:
            raise ModelError(f"{file}: {d.name} of {program} must have one value for each row, and one dimension.")
        return
    named = family.programs.dims.get(d.name)
    if d.name in family.programs.hidden and named is None:
        return
    if d.dims and named is None:
        raise ModelError(
            f"{file}: dims does not name {d.name!r}, which {program} declares with the sizes "
            f"[{', '.join(d.dims)}]. Say what each counts, such as group or observation; or name it in hidden if it "
            "is no parameter to look at."
        )
    if len(named or ()) != len(d.dims):
        raise ModelError(
            f"{file}: dims of {d.name!r} are ({', '.join(named or ())}), but {program} declares it with "
            f"{len(d.dims)} dimension{'' if len(d.dims) == 1 else 's'}."
        )
