"""Numbers made of columns, as in log(x + 1): arithmetic and a closed list of functions, computed here and nowhere else.

A formula is never given to an interpreter: its text becomes the nodes below, and these know what they may do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hbm_stan.errors import DataError
from hbm_stan.table import FloatArray

# What is done to a number, whatever the other rows are.
ELEMENTWISE: Mapping[str, Callable[[FloatArray], FloatArray]] = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt}
# What is learnt from the column: mean and sd, or a basis of several columns.
LEARNT = ("scale", "center")
BASES = ("poly", "bs", "ns")
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow,
}  # fmt: skip
_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_SIGN = 3  # -x^2 is -(x^2)

Columns = Mapping[str, FloatArray]


@dataclass(frozen=True)
class Number:
    """A number that the formula states."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:.15g}"

    def values(self, _columns: Columns) -> Any:
        """The number."""
        return self.value


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str

    def __str__(self) -> str:
        return self.name

    def values(self, columns: Columns) -> Any:
        """The column's numbers (N,)."""
        return columns[self.name]


@dataclass(frozen=True)
class Operation:
    """Two expressions joined by + - * / ^; the left one is None for a sign."""

    symbol: str
    left: Node | None
    right: Node

    def __str__(self) -> str:
        binds = _SIGN if self.left is None else _BINDS[self.symbol]
        right = _bracketed(self.right, binds + (self.left is not None and self.symbol != "^"))
        if self.left is None:
            return f"{self.symbol}{right}"
        left = _bracketed(self.left, binds + (self.symbol == "^"))
        return f"{left}^{right}" if self.symbol == "^" else f"{left} {self.symbol} {right}"

    def values(self, columns: Columns) -> Any:
        """What the operation gives (N,)."""
        right = self.right.values(columns)
        left = 0.0 if self.left is None else self.left.values(columns)
        return _ARITHMETIC[self.symbol](left, right)


@dataclass(frozen=True)
class Function:
    """A function of the closed list of an expression; ``settings`` are its other arguments.

    ``state`` holds what was learnt from the table (mean and sd, a basis), so that a new row is treated alike.
    """

    name: str
    argument: Node
    settings: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        arguments = [
            str(self.argument),
            *(str(v) if k == _FIRST.get(self.name) else f"{k} = {v}" for k, v in self._written_settings()),
        ]
        return f"{self.name}({', '.join(arguments)})"

    def _written_settings(self) -> list[tuple[str, Any]]:
        return [(key, f"{value:g}" if isinstance(value, float) else value) for key, value in self.settings.items()]

    def values(self, columns: Columns) -> Any:
        """What the function gives: (N,), of a basis (N, K)."""
        x = self.argument.values(columns)
        if self.name in ELEMENTWISE:
            return ELEMENTWISE[self.name](x)
        if self.name in LEARNT:
            return (x - self.state["mean"]) / self.state["sd"]
        return x if self.name == "I" else _basis(self, x, dict(self.state))


# The setting that stands without its name: poly(x, 2).
_FIRST = {"poly": "degree", "bs": "df", "ns": "df"}
Node = Number | Column | Operation | Function


def _bracketed(node: Node, least: int) -> str:
    """The node's text, in brackets where what stands around it binds as tightly."""
    binds = (_SIGN if node.left is None else _BINDS[node.symbol]) if isinstance(node, Operation) else 9
    return f"({node})" if binds < least else str(node)


def columns_of(node: Node) -> tuple[str, ...]:
    """The columns that an expression reads, each once."""
    if isinstance(node, Column):
        return (node.name,)
    if isinstance(node, Function):
        return columns_of(node.argument)
    if isinstance(node, Operation):
        left = () if node.left is None else columns_of(node.left)
        return tuple(dict.fromkeys((*left, *columns_of(node.right))))
    return ()


def learn(node: Node, columns: Columns) -> Node:
    """The same expression with what its functions learn from these columns: means, sds and bases."""
    if isinstance(node, Operation):
        left = None if node.left is None else learn(node.left, columns)
        return replace(node, left=left, right=learn(node.right, columns))
    if not isinstance(node, Function):
        return node
    inner = learn(node.argument, columns)
    x = np.asarray(inner.values(columns), dtype=float)
    state: dict[str, Any] = {}
    if node.name in LEARNT:
        spread = float(np.std(x, ddof=1)) if node.name == "scale" else 1.0
        if not spread > 0:
            raise DataError(f"{node}: {node.argument} has the same value in every row and cannot be scaled.")
        state = {"mean": float(np.mean(x)), "sd": spread}
    learnt = replace(node, argument=inner, state=state)
    if node.name in BASES:
        _basis(learnt, x, state)  # the library fills the state
        learnt = replace(learnt, state=state)
    return learnt


def _basis(node: Function, x: Any, state: dict[str, Any]) -> FloatArray:
    """The columns of a polynomial or spline, (N, K), by the library; the state is filled where it is empty."""
    from formulaic.transforms.basis_spline import basis_spline
    from formulaic.transforms.cubic_spline import natural_cubic_spline
    from formulaic.transforms.poly import poly

    x = np.atleast_1d(np.asarray(x, dtype=float))
    try:
        if node.name == "poly":
            basis = poly(x, **node.settings, _state=state)
        elif node.name == "bs":
            # Beyond the range of the table the outer pieces go on, as R's do; within it nothing is changed.
            basis = basis_spline(x, **node.settings, extrapolation="extend", _state=state)
        else:
            basis = natural_cubic_spline(x, **node.settings, constraints="center", _state=state)
    except ValueError as error:
        raise DataError(f"{node}: {error}") from error
    basis = getattr(basis, "__wrapped__", basis)
    return np.column_stack(list(basis.values())) if isinstance(basis, Mapping) else np.asarray(basis, dtype=float)
