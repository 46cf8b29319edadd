"""A Stan program as text: includes inlined, hashed, and its data block read, before anything is compiled."""

from __future__ import annotations

import ast
import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.errors import DataError, ModelError, nearest

_INCLUDE = re.compile(r'^[ \t]*#include[ \t]+["<]?([^\s">]+)[">]?[ \t]*$', re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DECLARATION = re.compile(
    r"^(?:array\s*\[(?P<array>[^\]]*)\]\s*)?"
    r"(?P<type>[a-z_]+)\s*(?:<(?P<bounds>.*?)>)?\s*(?:\[(?P<dims>[^\]]*)\])?\s+(?P<name>\w+)(?:\s*=.*)?$",
    re.DOTALL,
)
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


@dataclass(frozen=True)
class Declaration:
    """One declared variable: its Stan type, the expressions of its dimensions and of its bounds."""

    name: str
    type: str
    dims: tuple[str, ...] = ()
    lower: str | None = None
    upper: str | None = None


@dataclass(frozen=True)
class Program:
    """A Stan program with its includes inlined."""

    name: str
    path: Path
    code: str

    @classmethod
    def read(cls, path: Path, include_dirs: tuple[Path, ...] = ()) -> Program:
        """The program in ``path``; includes are searched beside it and in ``include_dirs``."""
        return cls(path.stem, path, _inline(path, (path.parent, *include_dirs), ()))

    @property
    def sha256(self) -> str:
        """The hash of the program with its includes inlined."""
        return hashlib.sha256(self.code.encode()).hexdigest()

    def block(self, name: str) -> tuple[Declaration, ...]:
        """The declarations of a block (``data``, ``parameters``), in order; empty where there is no such block."""
        body = _block_body(_COMMENT.sub("", self.code), name)
        return tuple(_declaration(s.strip(), self.name) for s in body.split(";") if s.strip())


def _inline(path: Path, dirs: tuple[Path, ...], above: tuple[Path, ...]) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: the Stan program cannot be read ({error}).") from error
    if path in above:
        raise ModelError(f"{path} includes itself, through {' -> '.join(p.name for p in above)}.")

    def replace(match: re.Match[str]) -> str:
        for folder in dirs:
            if (folder / match[1]).is_file():
                return _inline(folder / match[1], dirs, (*above, path)).rstrip("\n")
        searched = ", ".join(str(d) for d in dirs)
        raise ModelError(f"{path}: the included file {match[1]!r} is not in any of: {searched}.")

    return _INCLUDE.sub(replace, text)


def _block_body(code: str, name: str) -> str:
    starts = re.finditer(rf"(transformed\s+)?\b{name}\s*\{{", code)
    begin = next((m.end() for m in starts if m[1] is None), None)
    if begin is None:
        return ""
    depth = 1
    for i in range(begin, len(code)):
        depth += {"{": 1, "}": -1}.get(code[i], 0)
        if depth == 0:
            return code[begin:i]
    raise ModelError(f"The block {name!r} of the Stan program is not closed.")


def _declaration(statement: str, program: str) -> Declaration:
    match = _DECLARATION.match(re.sub(r"\s+", " ", statement))
    if match is None:
        raise ModelError(
            f"{program}: the declaration {statement!r} is not understood. "
            "Declare arrays as `array[N] real x` (Stan 2.26 and later)."
        )
    dims = [d.strip() for part in (match["array"], match["dims"]) if part for d in _split(part)]
    bounds = {
        key.strip(): value.strip()
        for key, _, value in (piece.partition("=") for piece in _split(match["bounds"] or ""))
    }
    return Declaration(match["name"], match["type"], tuple(dims), bounds.get("lower"), bounds.get("upper"))


def _split(text: str) -> list[str]:
    """Pieces between the commas that stand outside parentheses."""
    pieces, depth, current = [], 0, ""
    for character in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            pieces.append(current)
            current = ""
        else:
            current += character
    return [p for p in (*pieces, current) if p.strip()]


def check_data(program: Program, data: Mapping[str, Any]) -> None:
    """Raise DataError unless ``data`` is what the program's data block asks for.

    Checks missing and unused keys, integer and real types, shapes, bounds and finiteness. A dimension or bound
    that is more than arithmetic on data is left to Stan.
    """
    declared = {d.name: d for d in program.block("data")}
    for key in data:
        if key not in declared:
            raise DataError(f"{program.name}: data key {key!r} is not in the program. {nearest(key, declared)}")
    for name, declaration in declared.items():
        if name not in data:
            have = ", ".join(sorted(data)) or "nothing"
            raise DataError(f"{program.name}: the data lack {name!r} ({declaration.type}); they have {have}.")
        _check_value(program.name, declaration, data)


def _check_value(program: str, declaration: Declaration, data: Mapping[str, Any]) -> None:
    value = np.asarray(data[declaration.name])
    where = f"{program}: data {declaration.name!r}"
    if value.dtype.kind not in "iufb":
        raise DataError(f"{where} holds {value.dtype}; numbers are needed.")
    if declaration.type == "int" and value.dtype.kind == "f" and not np.all(value == np.floor(value)):
        raise DataError(f"{where} must hold integers; {_first(value, value != np.floor(value))}.")
    if not np.all(np.isfinite(value)):
        raise DataError(f"{where} must be finite; {_first(value, ~np.isfinite(value))}.")
    shape = tuple(_evaluate(d, data) for d in declaration.dims)
    if None not in shape and value.shape != shape:
        raise DataError(f"{where} has shape {value.shape}; the program says ({', '.join(declaration.dims)}) = {shape}.")
    for word, bound, bad in (("at least", declaration.lower, np.less), ("at most", declaration.upper, np.greater)):
        limit = None if bound is None else _evaluate(bound, data)
        if limit is not None and np.any(bad(value, limit)):
            raise DataError(f"{where} must be {word} {bound} = {limit}; {_first(value, bad(value, limit))}.")


def _first(value: np.ndarray[Any, Any], bad: np.ndarray[Any, Any]) -> str:
    index = tuple(int(i) for i in np.argwhere(bad)[0]) if value.ndim else ()
    place = f"element {', '.join(str(i + 1) for i in index)}" if index else "it"
    return f"{place} is {value[index]}"


def _evaluate(expression: str, data: Mapping[str, Any]) -> Any:
    """The value of an arithmetic expression on scalar data, or None where it is more than that."""
    try:
        return _node(ast.parse(expression, mode="eval").body, data)
    except (SyntaxError, KeyError, TypeError, ZeroDivisionError):
        return None


def _node(node: ast.expr, data: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.Name):
        value = np.asarray(data[node.id])
        return value.item() if value.ndim == 0 else value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_node(node.operand, data)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_node(node.left, data), _node(node.right, data))
    raise TypeError(f"{ast.dump(node)} is more than arithmetic on data")
