"""family.toml: a user's Stan programs, which columns they read, and what they call things. No Python."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from hbm_stan.errors import ModelError, nearest
from hbm_stan.model import Family, Pooling, Programs, StanData, Variant, Words
from hbm_stan.notation import refuse_code
from hbm_stan.prepare import LIST_KINDS, Prepared, Role, RoleKind
from hbm_stan.priors import Prior
from hbm_stan.table import shorten

_Kinds = Mapping[str, type]
_WORDS = {str: "a text", list: "a list of texts", dict: "a table", bool: "true or false"}
_KEYS: _Kinds = {
    "name": str, "title": str, "citation": str, "likelihood": list, "outcome": str, "group_quantity": str,
    "group_meaning": str, "signed": bool, "same_unit": bool, "population": list, "population_scale": str,
    "log_lik": str, "y_rep": str, "hidden": list,
    "roles": dict, "variants": dict, "data": dict, "dims": dict, "labels": dict,
}  # fmt: skip
# Those that are fields of a part of a family with the same name and the same kind of value.
_AS_THEY_STAND = ("group_quantity", "group_meaning", "population_scale", "log_lik", "y_rep", "signed", "same_unit")
_REQUIRED = ("outcome", "roles", "variants", "data")
_ROLE: _Kinds = {"kind": str, "meaning": str, "optional": bool}
_VARIANT: _Kinds = {
    "pooling": str, "program": str, "title": str, "parameterisation": str, "assumption": str, "math": list,
}  # fmt: skip
_ROLE_KINDS = tuple(k for k in get_args(RoleKind) if k != "unit")
_ASSUMPTIONS = {
    "complete": "All {groups} share one value.",
    "no": "{Groups} share nothing.",
    "partial": "{Groups} are draws from one population.",
}
_SIZES: Mapping[str, Callable[[Prepared], Any]] = {
    "N": lambda table: table.n_rows,
    "J": lambda table: table.n_groups,
    "group_idx": lambda table: table.group_idx,
}
# Stan data that every program may have: this package fills them in.
_SWITCHES = {"use_likelihood", "generate"}
_Source = Callable[[Prepared], Any]


def read_declared(file: Path, text: str) -> Family:
    """The family that a family.toml describes; raises ModelError naming file and key."""
    try:
        declaration = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is not valid TOML: {error}.") from error
    _check(file, "", declaration, _KEYS)
    refuse_code(declaration.get("likelihood", ()), f"{file}: likelihood")
    for key in _REQUIRED:
        if key not in declaration:
            raise ModelError(f"{file}: the key {key!r} is missing.")
    roles = _roles(file, declaration["roles"])
    outcome = _outcome(file, declaration["outcome"], roles)
    sources = {n: _source(file, n, s, roles) for n, s in declaration["data"].items()}
    dims = _dims(file, declaration, roles)
    name = declaration.get("name") or file.resolve().parent.name
    family = Family(
        name=name, roles=roles, outcomes=(outcome.name,), discrete=outcome.kind == "binary",
        programs=Programs(
            variants=tuple(_variant(file, n, v) for n, v in declaration["variants"].items()), prior_rows=(), dims=dims,
            population=tuple(declaration.get("population", ())), folder=file.parent, prepare=_prepare(sources),
            default_priors=lambda _table: {}, observed=_observed(file, declaration["data"], outcome),
            hidden=tuple(declaration.get("hidden", ())), coords=_coords(roles, declaration.get("labels", {})),
        ),
        words=Words(
            title=declaration.get("title", name), citation=declaration.get("citation", ""),
            likelihood=tuple(declaration.get("likelihood", ())),
        ),
    ).with_fields(**{key: declaration[key] for key in _AS_THEY_STAND if key in declaration})  # fmt: skip
    _check_data_names(file, family, sources)
    return family


def _check(file: Path, where: str, entries: Mapping[str, Any], kinds: _Kinds) -> None:
    for key, value in entries.items():
        if key not in kinds:
            place = f" in [{where}]" if where else ""
            raise ModelError(f"{file}: unknown key {shorten(key)!r}{place}. {nearest(key, kinds)}")
        texts = not isinstance(value, list) or all(isinstance(v, str) for v in value)
        if not isinstance(value, kinds[key]) or not texts:
            full = f"{where}.{key}" if where else key
            raise ModelError(f"{file}: {full} must be {_WORDS[kinds[key]]}, found {shorten(repr(value))}.")


def _tables(file: Path, where: str, tables: Mapping[str, Any]) -> None:
    for name, value in tables.items():
        if not isinstance(value, dict):
            raise ModelError(f"{file}: {where}.{name} must be a table, found {shorten(repr(value))}.")


def _roles(file: Path, role_tables: Mapping[str, Any]) -> tuple[Role, ...]:
    _tables(file, "roles", role_tables)
    roles = []
    for name, keys in role_tables.items():
        _check(file, f"roles.{name}", keys, _ROLE)
        kind = keys.get("kind")
        if kind not in _ROLE_KINDS:
            raise ModelError(f"{file}: roles.{name}: the kind is {kind!r}. {nearest(str(kind), _ROLE_KINDS)}")
        optional = keys.get("optional", False)
        if optional and kind not in LIST_KINDS:
            raise ModelError(f"{file}: roles.{name}: only predictors can be optional: the programs need all else.")
        roles.append(Role(name=name, kind=kind, meaning=keys.get("meaning", name.replace("_", " ")), optional=optional))
    labels = [r.name for r in roles if r.kind == "label"]
    if len(labels) != 1:
        label_names = ", ".join(labels) or "none"
        raise ModelError(f"{file}: one role must have the kind 'label': the group. Found: {label_names}.")
    return tuple(roles)


def _outcome(file: Path, name: str, roles: tuple[Role, ...]) -> Role:
    numeric = {r.name: r for r in roles if r.kind not in {"label", *LIST_KINDS}}
    if name not in numeric:
        raise ModelError(f"{file}: outcome is {name!r}, which is no role with numbers. {nearest(name, numeric)}")
    return numeric[name]


def _variant(file: Path, name: str, declaration: Any) -> Variant:
    _tables(file, "variants", {name: declaration})
    _check(file, f"variants.{name}", declaration, _VARIANT)
    refuse_code(declaration.get("math", ()), f"{file}: variants.{name}.math")
    if not (name.isidentifier() and name.isascii()):
        raise ModelError(f"{file}: variants.{name}: a variant's name has letters, digits and underscores only.")
    pooling = declaration.get("pooling")
    if pooling not in get_args(Pooling):
        raise ModelError(f"{file}: variants.{name}: pooling is {pooling!r}. {nearest(str(pooling), get_args(Pooling))}")
    return Variant(
        name=name, title=declaration.get("title", name.replace("_", " ").capitalize()), pooling=pooling,
        parameterisation=declaration.get("parameterisation", "as in the program"),
        assumption=declaration.get("assumption", _ASSUMPTIONS[pooling]), math=tuple(declaration.get("math", ())),
        priors=(), program=declaration.get("program", "").removesuffix(".stan"),
    )  # fmt: skip


def _source(file: Path, name: str, source: Any, roles: tuple[Role, ...]) -> _Source:
    """What makes a Stan datum from the prepared table."""
    if isinstance(source, list | int | float) and not isinstance(source, bool):
        return lambda _table: source
    if source in _SIZES:
        return _SIZES[source]
    form, colon, role_name = source.partition(":") if isinstance(source, str) else ("", "", "")
    forms = {"role": ("positive", "number", "count", "binary"), "predictors": LIST_KINDS, "K": LIST_KINDS}
    if not colon or form not in forms:
        known = [*_SIZES, *(f"{form}:ROLE" for form in forms), "a number", "a list of numbers"]
        raise ModelError(f"{file}: data.{name} is {shorten(repr(source))}. It must be one of: {', '.join(known)}.")
    fitting = {r.name: r for r in roles if r.kind in forms[form]}
    if role_name not in fitting:
        hint = nearest(role_name, fitting) if fitting else "There is none in [roles]."
        raise ModelError(f"{file}: data.{name} is {source!r}: there is no such role of a kind that fits. {hint}")
    return _column(fitting[role_name], form)


def _column(role: Role, form: str) -> _Source:
    if form == "K":
        return lambda table: len(table.predictors[role.name].names)
    if role.kind == "predictors":
        return lambda table: table.predictors[role.name].values
    if role.kind == "group_predictors":
        return lambda table: table.predictors[role.name].by_group(table.pooled.level, table.n_groups)
    if role.kind in {"count", "binary"}:
        return lambda table: table[role.name].astype(np.int64)
    return lambda table: table[role.name]


def _observed(file: Path, data: Mapping[str, Any], outcome: Role) -> str:
    names = [name for name, source in data.items() if source == f"role:{outcome.name}"]
    if not names:
        raise ModelError(f"{file}: [data] does not give the outcome to the programs: y = 'role:{outcome.name}'.")
    return names[0]


def _prepare(sources: Mapping[str, _Source]) -> Callable[[Prepared, Mapping[str, Prior]], StanData]:
    return lambda table, _priors: {name: source(table) for name, source in sources.items()}


def _dims(file: Path, declaration: Mapping[str, Any], roles: tuple[Role, ...]) -> dict[str, tuple[str, ...]]:
    labels = declaration.get("labels", {})
    _check(file, "labels", labels, dict.fromkeys(labels, list))
    known = ["group", "observation", *(r.name for r in roles if r.kind in LIST_KINDS), *labels]
    dims = declaration.get("dims", {})
    _check(file, "dims", dims, dict.fromkeys(dims, list))
    for name, axes in dims.items():
        for axis in axes:
            if axis not in known:
                hint = f"{nearest(axis, known)} Another dim needs its labels in [labels]."
                raise ModelError(f"{file}: dims.{name}: there is no dim {axis!r}. {hint}")
    return {name: tuple(axes) for name, axes in dims.items()}


def _coords(
    roles: tuple[Role, ...], labels: Mapping[str, list[str]]
) -> Callable[[Prepared], dict[str, tuple[str, ...]]]:
    listed = [r.name for r in roles if r.kind in LIST_KINDS]
    fixed = {name: tuple(values) for name, values in labels.items()}
    return lambda table: {**{name: table.predictors[name].names for name in listed}, **fixed}


def _check_data_names(file: Path, family: Family, sources: Mapping[str, _Source]) -> None:
    """Raise ModelError for a datum that no program reads, and for one that a program reads and nothing gives."""
    read: set[str] = set()
    for variant in family.programs.variants:
        path = family.programs.folder / f"{variant.program or variant.name}.stan"
        if not path.is_file():
            return  # what is missing is said by the check of the programs
        names = {d.name for d in family.program(variant.name).block("data")} - _SWITCHES
        for name in sorted(names - sources.keys()):
            raise ModelError(
                f"{file}: {path.name} reads {name!r}, which [data] does not give. {nearest(name, sources)}"
            )
        read |= names
    for name in sources:
        if name not in read:
            raise ModelError(f"{file}: data.{name}: no program reads {name!r}. {nearest(name, read)}")
