"""A Stan program as text: includes inlined, hashed, and its data block read, before anything is compiled."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hbm_stan.errors import DataError, ModelError, nearest

# Strings and comments first: what looks like an include, a comment or a brace in them is none.
_STRING_OR_COMMENT = r'"[^"\n]*"|//[^\n]*|/\*.*?\*/'
_COMMENT = re.compile(_STRING_OR_COMMENT, re.DOTALL)
_INCLUDE = re.compile(
    rf'{_STRING_OR_COMMENT}|[ \t]*#include[ \t]+(?:"([^"\n]+)"|<([^>\n]+)>|([^\s"<>]+))[ \t]*', re.DOTALL
)
_WORD = re.compile(r"\s*([A-Za-z]\w*)\s*")
# One size declares two dimensions.
_SQUARE = {"cov_matrix", "corr_matrix", "cholesky_factor_cov", "cholesky_factor_corr"}
# Types whose values are arrays of numbers; tuples, complex numbers and what Stan adds later are left to Stan.
_ARRAYS = _SQUARE | {
    "int", "real", "vector", "row_vector", "matrix", "simplex", "unit_vector", "ordered", "positive_ordered",
    "sum_to_zero_vector",
}  # fmt: skip
_LARGEST_INT = 2**31 - 1
_GENERATED = r"generated\s+quantities"
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: lambda a, b: operator.floordiv(a, b) if isinstance(a, int) and isinstance(b, int) else a / b,
    ast.FloorDiv: operator.floordiv,
}


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """One declared variable: its Stan type, the expressions of its dimensions, of its bounds and of its multiplier."""

    name: str
    type: str
    dims: tuple[str, ...] = ()
    lower: str | None = None
    upper: str | None = None
    multiplier: str | None = None


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
    def outputs(self) -> tuple[Declaration, ...]:
        """What the program gives back: the variables at the top level of its parameters and generated quantities."""
        blocks = ("parameters", r"transformed\s+parameters", _GENERATED)
        return tuple(d for block in blocks for d in _top_level(self.code, block, self.name))

    @property
    def generated(self) -> tuple[Declaration, ...]:
        """The variables at the top level of the generated quantities."""
        return _top_level(self.code, _GENERATED, self.name)

    @property
    def sha256(self) -> str:
        """The hash of the program with its includes inlined."""
        return hashlib.sha256(self.code.encode()).hexdigest()

    def block(self, name: str) -> tuple[Declaration, ...]:
        """The declarations of a block (``data``, ``parameters``), in order; empty where there is no such block."""
        return _declared_in(self.code, name, self.name)


# Proofs ask for the same blocks at every random point.
@lru_cache(maxsize=256)
def _declared_in(code: str, name: str, program: str) -> tuple[Declaration, ...]:
    body = _block_body(_without_comments(code), name, program)
    return tuple(d for s in body.split(";") if s.strip() for d in _declarations(" ".join(s.split()), program))


# A fit asks five times what its program gives back.
@lru_cache(maxsize=256)
def _top_level(code: str, name: str, program: str) -> tuple[Declaration, ...]:
    """The declarations at the top level of a block, among whatever else it does."""
    declarations: list[Declaration] = []
    body, before = _block_body(_without_comments(code), name, program), ""
    while body != before:  # loops and local blocks, from the inside
        body, before = re.sub(r"\{[^{}]*\}", ";", body), body
    for statement in body.split(";"):
        with contextlib.suppress(ModelError):  # a statement that declares nothing
            declarations += [d for d in _declarations(" ".join(statement.split()), program) if d.type in _ARRAYS]
    return tuple(declarations)


def _without_comments(code: str) -> str:
    return _COMMENT.sub(lambda m: '""' if m[0].startswith('"') else " ", code)


def _inline(path: Path, dirs: tuple[Path, ...], above: tuple[Path, ...]) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: the Stan program cannot be read ({error}).") from error
    if path.resolve() in above:
        raise ModelError(f"{path} includes itself, through {' -> '.join(p.name for p in above)}.")

    def replace(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[3]
        if name is None:
            return match[0]
        for folder in dirs:
            if (folder / name).is_file():
                return _inline(folder / name, dirs, (*above, path.resolve())).rstrip("\n")
        searched = ", ".join(str(d) for d in dirs)
        raise ModelError(f"{path}: the included file {name!r} is not in any of: {searched}.")

    return _INCLUDE.sub(replace, text)


def _block_body(code: str, name: str, program: str) -> str:
    starts = re.finditer(rf"(transformed\s+)?\b{name}\s*\{{", code)
    begin = next((m.end() for m in starts if m[1] is None), None)
    if begin is None:
        return ""
    depth = 1
    for i in range(begin, len(code)):
        depth += {"{": 1, "}": -1}.get(code[i], 0)
        if depth == 0:
            return code[begin:i]
    raise ModelError(f"{program}: the block {name!r} of the Stan program is not closed.")


def _declarations(statement: str, program: str) -> list[Declaration]:
    """What a statement such as ``array[N] vector<lower=0>[K] a, b`` declares."""
    try:
        kind, rest = _word(statement)
        array, rest = _enclosed(rest, "[", "]") if kind == "array" else ("", rest)
        kind, rest = _word(rest) if kind == "array" else (kind, rest)
        _, rest = _enclosed(rest, "(", ")")  # of a tuple
        bounds, rest = _enclosed(rest, "<", ">")
        size, rest = _enclosed(rest, "[", "]")
        names = [re.fullmatch(r"\s*([A-Za-z]\w*)\s*(=.*)?", piece) for piece in _split(rest)]
        if not names or None in names:
            raise ValueError(rest)
    except ValueError:
        raise ModelError(
            f"{program}: the declaration {statement!r} is not understood. "
            "Declare arrays as `array[N] real x` (Stan 2.26 and later)."
        ) from None
    own = _split(size) * (2 if kind in _SQUARE and len(_split(size)) == 1 else 1)
    dims = tuple(d.strip() for d in (*_split(array), *own))
    limits = {key.strip(): value.strip() for key, _, value in (piece.partition("=") for piece in _split(bounds))}
    given = {key: limits.get(key) for key in ("lower", "upper", "multiplier")}
    return [Declaration(name=m[1], type=kind, dims=dims, **given) for m in names if m]


def _word(text: str) -> tuple[str, str]:
    match = _WORD.match(text)
    if match is None:
        raise ValueError(text)
    return match[1], text[match.end() :]


def _enclosed(text: str, opening: str, closing: str) -> tuple[str, str]:
    """What the brackets at the start of the text hold, and the text after them; nothing if none stand there."""
    if not text.lstrip().startswith(opening):
        return "", text
    begin = text.index(opening) + 1
    depth = 0
    for i in range(begin, len(text)):
        if depth == 0 and text[i] == closing:
            return text[begin:i], text[i + 1 :]
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[i], 0)
    raise ValueError(text)


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
            hint = nearest(key, declared) if declared else "The program has no data."
            raise DataError(f"{program.name}: data key {key!r} is not in the program. {hint}")
    for name, declaration in declared.items():
        if name not in data:
            have = ", ".join(data) or "nothing"
            raise DataError(f"{program.name}: the data lack {name!r} ({declaration.type}); they have {have}.")
        if declaration.type in _ARRAYS:
            _check_value(f"{program.name}: data {name!r}", declaration, data)


def _check_value(where: str, declaration: Declaration, data: Mapping[str, Any]) -> None:
    value = _array(where, data[declaration.name])
    if declaration.type == "int" and value.size:
        _refuse(where, "must hold integers", value, ~np.isfinite(value) | (value != np.floor(value)))
        _refuse(where, "must hold integers (write 3, not 3.0)", value, np.full(value.shape, value.dtype.kind == "f"))
        _refuse(where, f"must be at most {_LARGEST_INT}", value, value > _LARGEST_INT)
    _refuse(where, "must be finite", value, ~np.isfinite(value))
    shape = tuple(_evaluate(d, data) for d in declaration.dims)
    empty = value.size == 0 and 0 in shape  # [] has lost the other dimensions
    if None not in shape and value.shape != shape and not empty:
        raise DataError(f"{where} has shape {value.shape}; the program says ({', '.join(declaration.dims)}) = {shape}.")
    for word, bound, bad in (("at least", declaration.lower, np.less), ("at most", declaration.upper, np.greater)):
        limit = None if bound is None else _evaluate(bound, data)
        if limit is not None and np.shape(limit) in {(), value.shape}:
            shown = bound if np.ndim(limit) or str(limit) == bound else f"{bound} = {limit}"
            _refuse(where, f"must be {word} {shown}", value, bad(value, limit))


def _array(where: str, given: Any) -> np.ndarray[Any, Any]:
    try:
        value = np.asarray(given)
    except ValueError:
        raise DataError(f"{where} has rows of different length.") from None
    if value.dtype.kind not in "iuf":
        raise DataError(f"{where} holds {value.dtype}; numbers are needed.")
    return value


def _refuse(where: str, wrong: str, value: np.ndarray[Any, Any], bad: np.ndarray[Any, Any]) -> None:
    if np.any(bad):
        raise DataError(f"{where} {wrong}; {_first(value, bad)}.")


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
