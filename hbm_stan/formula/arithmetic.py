"""Tokens become an expression, or an error that says what cannot be read; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hbm_stan.errors import ModelError, did_you_mean, nearest
from hbm_stan.formula.expression import BASES, ELEMENTWISE, LEARNT, Column, Function, Node, Number, Operation
from hbm_stan.formula.tokens import Token, closing, refuse, split_at

# What may stand in an expression, and what makes several columns or a category: at the top of a term only.
_INSIDE = (*ELEMENTWISE, *LEARNT, "I")
FUNCTIONS = (*_INSIDE, *BASES, "C", "offset")
# Other arguments of each function: name -> kind; the first may stand without its name.
_SETTINGS: Mapping[str, Mapping[str, type]] = {
    "poly": {"degree": int, "raw": bool}, "bs": {"df": int, "degree": int}, "ns": {"df": int},
}  # fmt: skip
_TRUTHS = {"TRUE": True, "True": True, "T": True, "FALSE": False, "False": False, "F": False}
# What other programs call what the list has under another name.
_OTHER_NAMES = {
    "factor": "C", "as.factor": "C", "ordered": "C", "s": "bs", "t2": "bs", "ln": "log", "cr": "ns", "cs": "ns",
    "standardize": "scale", "centre": "center", "np.log": "log", "np.exp": "exp", "np.sqrt": "sqrt",
}  # fmt: skip
# Columns of a basis: beyond this it is no smooth curve but the data again (ours).
_MOST_COLUMNS = 30
_TIGHT = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_SIGN = 3


class ExpressionReader:
    """Reads one expression from tokens by precedence climbing; ``formula`` is shown in errors."""

    def __init__(self, formula: str, tokens: Sequence[Token]) -> None:
        self.formula, self.tokens, self.place = formula, list(tokens), 0

    def read(self) -> Node:
        """The expression that all the tokens make."""
        node = self._sum(0)
        if self.place < len(self.tokens):
            text = self.tokens[self.place].text
            wrong = (
                "a comma: one argument is taken here." if text == "," else f"an operator is missing before {text!r}."
            )
            raise self._error(wrong)
        return node

    def _error(self, wrong: str) -> ModelError:
        return refuse(self.formula, wrong)

    def _peek(self) -> Token | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None

    def _sum(self, least: int) -> Node:
        left = self._operand()
        while (token := self._peek()) and token.kind == "operator" and _TIGHT.get(token.text, -1) >= max(least, 0):
            self.place += 1
            binds = _TIGHT[token.text]
            left = Operation(token.text, left, self._sum(binds if token.text == "^" else binds + 1))
        if token and token.is_(":", "|", "||", "~"):
            raise self._error(f"{token.text!r} cannot stand inside a number made of columns.")
        return left

    def _operand(self) -> Node:
        token = self._peek()
        if token is None:
            raise self._error("an expression ends where a column or number is expected.")
        self.place += 1
        if token.is_("+", "-"):
            inner = self._sum(_SIGN)
            return inner if token.text == "+" else Operation("-", None, inner)
        if token.kind == "number":
            return Number(float(token.text))
        if token.is_("("):
            return self._inside(self.place - 1)
        if token.kind == "name":
            following = self._peek()
            return self._call(token) if following and following.is_("(") else Column(token.text)
        if token.kind == "quoted":
            raise self._error(f"the quoted text {token.text!r} cannot stand here. Names of columns go in `backticks`.")
        raise self._error(f"a column or number is expected where {token.text!r} stands.")

    def _inside(self, opening: int) -> Node:
        end = closing(self.tokens, opening)
        node = ExpressionReader(self.formula, self.tokens[opening + 1 : end]).read()
        self.place = end + 1
        return node

    def _call(self, name: Token) -> Node:
        refuse_unknown_function(self.formula, name.text)
        if name.text not in _INSIDE:
            raise self._error(f"{name.text}() cannot stand in another expression: it is a term of its own.")
        node = self._inside(self.place)
        return Function(name.text, node)


def refuse_unknown_function(formula: str, name: str) -> None:
    """Raise ModelError for a function that is not in the list."""
    if name in FUNCTIONS:
        return
    if other := _OTHER_NAMES.get(name):
        hint = f"Here it is {other}()."
    elif near := did_you_mean(name, FUNCTIONS):
        hint = f"{near} The functions are: {', '.join(FUNCTIONS)}."
    else:
        hint = nearest(name, FUNCTIONS)
    raise refuse(
        formula,
        f"{name}() is no function of formulas. {hint} A formula runs no code: other numbers are columns of the table, "
        "made before.",
    )


def read_expression(formula: str, tokens: Sequence[Token]) -> Node:
    """The expression of these tokens; a call of poly, bs or ns may be all of it."""
    if len(tokens) > 1 and tokens[0].kind == "name" and tokens[0].text in BASES and tokens[1].is_("("):
        if closing(tokens, 1) != len(tokens) - 1:
            raise refuse(formula, f"{tokens[0].text}() cannot stand in another expression: it is a term of its own.")
        return _read_basis(formula, tokens)
    return ExpressionReader(formula, tokens).read()


def _read_basis(formula: str, tokens: Sequence[Token]) -> Node:
    name = tokens[0].text
    first, *rest = arguments(tokens[2:-1])
    node = ExpressionReader(formula, first).read()
    settings: dict[str, Any] = {}
    for i, argument in enumerate(rest):
        key, value = _setting(formula, name, argument, i)
        settings[key] = value
    asked = next(iter(_SETTINGS[name]))
    if asked not in settings:
        raise refuse(formula, f"{name}() needs {asked}, the number of its columns, as in {name}({node}, 3).")
    if not 1 <= settings[asked] <= _MOST_COLUMNS:
        raise refuse(formula, f"{asked} of {name}() is {settings[asked]}; 1 to {_MOST_COLUMNS} are allowed.")
    return Function(name, node, settings)


def arguments(tokens: Sequence[Token]) -> list[list[Token]]:
    """The arguments of a call, between its commas."""
    return [piece for _, piece in split_at(tokens, ",")]


def _setting(formula: str, name: str, tokens: Sequence[Token], place: int) -> tuple[str, Any]:
    """One of the other arguments of a basis: its name and its value."""
    allowed = _SETTINGS[name]
    if len(tokens) == 3 and tokens[1].is_("="):
        key, value = tokens[0].text, tokens[2]
    elif len(tokens) == 1 and place == 0:
        key, value = next(iter(allowed)), tokens[0]
    else:
        raise refuse(formula, f"an argument of {name}() cannot be read. Allowed: {', '.join(allowed)}, as in df = 4.")
    if key not in allowed:
        raise refuse(formula, f"{name}() has no argument {key!r}. {nearest(key, allowed)}")
    if allowed[key] is bool and value.text in _TRUTHS:
        return key, _TRUTHS[value.text]
    if allowed[key] is int and value.text.isdigit():
        return key, int(value.text)
    kind = "TRUE or FALSE" if allowed[key] is bool else "a whole number"
    raise refuse(formula, f"{key} of {name}() must be {kind}, found {value.text!r}.")
